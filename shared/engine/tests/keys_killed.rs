//! Keys under faults: whatever is killed, whatever runs at once, each labelled event is in each of its keys once (I2).

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::task::noop_waker;
use proptest::prelude::*;
use tidemark_domain::event::Verdict;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{KeyId, PortError};
use tidemark_engine::{BatchReport, End, EngineConfig, InRecord};

use crate::common::*;
use crate::keys::{DAY_S, at, history, label_v2, policy, terminal, verdict};

type Taught = Vec<(KeyId, LabelledHistory)>;

fn taught(world: &World) -> Taught {
    let keys = world.store.keys().into_iter();
    keys.map(|(key, item)| (key, LabelledHistory::decode(&item.bytes).unwrap()))
        .collect()
}

/// Cards seal what they have beyond so many events. Two cards are warm: the others' segments are read again.
fn world(head_events_max: usize) -> World {
    let policy = Policy {
        head_events_max,
        ..policy()
    };
    let config = EngineConfig {
        cache_cards_max: 2,
        ..EngineConfig::default()
    };
    World::with(policy, config)
}

/// Transactions of five cards at three merchants; labels that call them fraud; then labels that change their mind, that come late, of
/// events that no card knows, and of events that their card has forgotten. Each kind has a batch of its own.
fn stream() -> Vec<Record> {
    let card = |number: usize| format!("card{}", number % 5);
    let label =
        |number: usize, what: &str, days: i64| verdict(&card(number), &format!("e{number}"), what, days * DAY_S);
    let events = (0..BATCH_RECORDS).map(|number| {
        let (id, merchant) = (format!("e{number}"), format!("m{}", number % 3));
        at(&card(number), &id, 40 * DAY_S - number as i64, &merchant)
    });
    let frauds = (0..BATCH_RECORDS).map(|number| match number {
        0..12 => label(number, "fraud", 30),
        12 => verdict("card0", "never-sent", "fraud", 30 * DAY_S),
        _ => label_v2("nobody", &format!("old{number}"), 800 * DAY_S, Some("long-ago")),
    });
    let changes = (0..BATCH_RECORDS).map(|number| match number {
        0..4 => label(number, "cleared", 20),
        4..6 => label(number, "fraud", 10),
        6..8 => label(number, "cleared", 35),
        8 => label(0, "fraud", 5),
        // Never called fraud: no key keeps it.
        9..12 => label(number + 6, "cleared", 20),
        _ => label(number - 12, "fraud", 30),
    });
    let last = (0..BATCH_RECORDS).map(|number| match number {
        0 => label(1, "cleared", 20),
        1..3 => label(number, "cleared", 3),
        number => at(&card(number), &format!("late{number}"), 60, &format!("m{}", number % 3)),
    });
    records(events.chain(frauds).chain(changes).chain(last))
}

/// The stream delivered, whatever happens on the way.
fn delivered(name: &str, head_events_max: usize, script: impl Fn(&World)) -> (World, Taught) {
    let world = world(head_events_max);
    script(&world);
    let ends = deliver(&world, &stream());
    assert!(ends.iter().all(|end| !matches!(end, End::Returned(_))), "{name}: I1");
    let keys = taught(&world);
    (world, keys)
}

/// What labels say of an event in the end, by rank: the one that is known since latest, `cleared` before `fraud`.
fn latest(labels: &[LabelledEvent]) -> Option<Verdict> {
    let latest = labels
        .iter()
        .max_by_key(|label| (label.known_since_ms, label.verdict as u8));
    latest.map(|label| label.verdict)
}

#[test]
fn the_stream_of_labels_says_something() {
    for head in [400, 2] {
        let (world, keys) = delivered("fair weather", head, |_| ());
        assert_eq!(keys.len(), 4);
        let labels: Vec<LabelledEvent> = keys.iter().flat_map(|(_, kept)| kept.labels()).copied().collect();
        assert_eq!(labels.iter().filter(|label| label.explained.is_none()).count(), 7);
        // 12 frauds, 4 and 2 and 2 labels that change them, 1 that changes back, 2 more at last.
        assert_eq!(labels.len(), 7 + 12 + 4 + 2 + 2 + 1 + 2);
        let calls = world.faults.calls();
        for op in [Op::LoadKeys, Op::CommitKey, Op::Commit, Op::Quarantine] {
            assert!(calls.contains(&op), "{op:?}");
        }
        for op in [Op::LoadSegments, Op::PutSegments] {
            assert_eq!(calls.contains(&op), head == 2, "labels of sealed events: {op:?}");
        }
    }
}

/// Every fault that a call can have.
fn faults_of(op: Op) -> Vec<Fault> {
    let timeout = || PortError::Timeout("test".to_owned());
    let mut faults = vec![
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Before(timeout()),
        Fault::After(timeout()),
    ];
    match op {
        Op::LoadKeys | Op::LoadStates => faults.push(Fault::StaleRead),
        Op::CommitKey | Op::Commit => faults.extend([Fault::Conflict, Fault::ConflictWithoutItem]),
        Op::Send | Op::Quarantine => faults.push(Fault::Partial(vec![0])),
        _ => {}
    }
    faults
}

#[test]
fn whatever_is_killed_or_fails_each_labelled_event_is_in_each_of_its_keys_once() {
    for head in [400, 2] {
        let (calm, expected) = delivered("fair weather", head, |_| ());
        for (call, op) in calm.faults.calls().into_iter().enumerate() {
            for fault in faults_of(op) {
                let name = format!("head {head}, {fault:?} at {call} ({op:?})");
                let (_, keys) = delivered(&name, head, |world| world.faults.at_call(call as u64, fault.clone()));
                assert_eq!(keys, expected, "{name}: I2");
            }
        }
    }
}

#[test]
fn two_deaths_change_nothing_either() {
    let (calm, expected) = delivered("fair weather", 400, |_| ());
    let calls = calm.faults.calls().len() as u64;
    for first in 0..calls {
        for distance in [1, 3, 7] {
            let name = format!("deaths at {first} and {distance} later");
            let (_, keys) = delivered(&name, 400, |world| {
                world.faults.at_call(first, Fault::CrashAfter);
                world.faults.at_call(first + distance, Fault::CrashAfter);
            });
            assert_eq!(keys, expected, "{name}: I2");
        }
    }
}

/// The fraud came in an earlier batch: when the label that takes it back comes again, the card knows that label alone.
#[test]
fn a_fraud_is_taken_back_though_the_worker_died_between_card_and_key() {
    let world = world(400);
    world.run(&records([at("a", "a1", 9 * DAY_S, "bad")]));
    world.run(&records([verdict("a", "a1", "fraud", 8 * DAY_S)]));
    let cleared = records([verdict("a", "a1", "cleared", 6 * DAY_S)]);
    let writes = world.faults.count(Op::CommitKey);
    world.faults.at(Op::CommitKey, writes..writes + 1, Fault::CrashBefore);
    assert!(run(&world.engine(), &cleared, FAR_MS).is_none(), "it died");
    world.faults.clear();
    assert_eq!(world.run(&cleared).ends, [End::Duplicate]);
    let kept = history(&world, terminal("bad"));
    assert_eq!(latest(kept.labels()), Some(Verdict::Cleared), "{kept:?}");
    assert_eq!(kept.version(), 2);
}

/// A label that says `cleared` of an event that its card has forgotten takes back what one said before.
#[test]
fn a_forgotten_event_s_fraud_is_taken_back() {
    let world = world(400);
    let old = |what: &str, known_age_s: i64| {
        let mut value: serde_json::Value =
            serde_json::from_slice(&label_v2("a", "old", 800 * DAY_S, Some("bad"))).unwrap();
        value["verdict"] = what.into();
        value["known_since_ms"] = (START_MS - known_age_s * 1_000).into();
        serde_json::to_vec(&value).unwrap()
    };
    world.run(&records([old("cleared", 9 * DAY_S)]));
    assert_eq!(
        history(&world, terminal("bad")).version(),
        0,
        "there is no fraud to take back"
    );
    world.run(&records([old("fraud", 8 * DAY_S), old("cleared", 7 * DAY_S)]));
    let kept = history(&world, terminal("bad"));
    assert_eq!((kept.version(), latest(kept.labels())), (2, Some(Verdict::Cleared)));
    world.run(&records([old("fraud", 8 * DAY_S), old("cleared", 7 * DAY_S)]));
    assert_eq!(history(&world, terminal("bad")), kept);
}

#[test]
fn a_warm_copy_from_before_the_fraud_does_not_lose_what_takes_it_back() {
    let world = world(400);
    let (first, second) = (world.engine(), world.engine());
    let go = |engine: &MemoryEngine, payload: Vec<u8>| run(engine, &records([payload]), FAR_MS).unwrap();
    let cleared = || verdict("a", "a1", "cleared", 6 * DAY_S);
    go(&first, at("a", "a1", 9 * DAY_S, "bad"));
    go(&second, at("c", "c1", 8 * DAY_S, "bad"));
    go(&first, verdict("a", "a1", "fraud", 8 * DAY_S));
    let writes = world.faults.count(Op::CommitKey);
    world.faults.at(Op::CommitKey, writes..writes + 1, Fault::CrashBefore);
    assert!(run(&first, &records([cleared()]), FAR_MS).is_none(), "it died");
    world.faults.clear();
    assert_eq!(go(&second, cleared()).returned_total(), 0);
    let kept = history(&world, terminal("bad"));
    assert_eq!((kept.version(), latest(kept.labels())), (2, Some(Verdict::Cleared)));
}

type Running<'a> = Pin<Box<dyn Future<Output = BatchReport> + Send + 'a>>;

/// Polls both in the given order, then in turn until they are done.
fn interleave(mut workers: [Running<'_>; 2], order: &[bool]) {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut done = [false, false];
    let turns = order.iter().map(|second| usize::from(*second));
    for at in turns.chain((0..20_000).map(|turn| turn % 2)) {
        if !done[at] && matches!(workers[at].as_mut().poll(&mut context), Poll::Ready(_)) {
            done[at] = true;
        }
        if done == [true, true] {
            return;
        }
    }
    panic!("the workers never end");
}

/// One of two merchants' eight events: which, and what a label says of it since when.
fn one_label() -> impl Strategy<Value = (usize, bool, i64)> {
    (0_usize..8, any::<bool>(), 1_i64..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The mapping and a redrive hand over labels of the same events at once: no fraud is lost, none counts twice, and the
    /// latest label has the last word.
    #[test]
    fn two_workers_teach_each_label_once(
        first in prop::collection::vec(one_label(), 1..10),
        second in prop::collection::vec(one_label(), 1..10),
        batches in 1_usize..4,
        order in prop::collection::vec(any::<bool>(), 0..160),
    ) {
        let config = EngineConfig { conflicts_per_card_max: 50, ..EngineConfig::default() };
        let world = World::with(policy(), config);
        let name = |number: usize| (format!("card{}", number % 3), format!("e{number}"), format!("m{}", number % 2));
        let events = (0..8).map(|number| {
            let (card, event, merchant) = name(number);
            at(&card, &event, 40 * DAY_S - number as i64, &merchant)
        });
        world.run(&records(events));
        world.faults.give_way();
        let engines = [world.engine(), world.engine()];
        let records = [&first, &second].map(|labels| {
            records(labels.iter().map(|(number, is_fraud, days)| {
                let (card, event, _) = name(*number);
                verdict(&card, &event, if *is_fraud { "fraud" } else { "cleared" }, days * DAY_S)
            }))
        });
        let workers: [Running<'_>; 2] = [0, 1].map(|at| {
            let (engine, records) = (&engines[at], &records[at]);
            let run: Running<'_> = Box::pin(async move {
                let mut last = BatchReport::default();
                for batch in records.chunks(records.len().div_ceil(batches)) {
                    let batch: Vec<InRecord<'_>> = batch.iter().map(Record::as_in).collect();
                    last = engine.process(&batch, i64::MAX).await;
                    assert_eq!(last.retry_from, None);
                }
                last
            });
            run
        });
        interleave(workers, &order);
        let said: Vec<(usize, bool, i64)> = first.iter().chain(&second).copied().collect();
        for number in 0..8 {
            let (_, _, merchant) = name(number);
            let kept = history(&world, terminal(&merchant));
            let time_ms = START_MS - (40 * DAY_S - number as i64) * 1_000;
            let of_event: Vec<LabelledEvent> =
                kept.labels().iter().filter(|label| label.time_ms == time_ms).copied().collect();
            let of_event_said = || said.iter().filter(|(other, ..)| *other == number);
            let frauds: std::collections::BTreeSet<i64> =
                of_event_said().filter(|(_, is_fraud, _)| *is_fraud).map(|(_, _, days)| START_MS - days * DAY_S * 1_000).collect();
            let kept_frauds: Vec<i64> = of_event.iter().filter(|label| label.verdict == Verdict::Fraud).map(|label| label.known_since_ms).collect();
            prop_assert_eq!(kept_frauds, frauds.iter().copied().collect::<Vec<_>>());
            let last_said = of_event_said().max_by_key(|(_, is_fraud, days)| (-days, !is_fraud)).map(|(_, is_fraud, _)| *is_fraud);
            if frauds.is_empty() {
                prop_assert!(of_event.is_empty(), "{:?}", of_event);
            } else {
                prop_assert_eq!(latest(&of_event).map(|verdict| verdict == Verdict::Fraud), last_said);
            }
        }
    }
}
