//! How many calls the writes of a batch take, and what holds up whom: the writes of many cards share calls, and each card goes
//! on as if it had one of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::common::*;
use futures_util::FutureExt;
use tidemark_domain::event::Profile;
use tidemark_domain::history::STATE_BYTES_MAX;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::policy::{Policy, Thresholds};
use tidemark_engine::config::WRITES_BYTES_MAX;
use tidemark_engine::memory::{Fault, ManualClock, MemoryQuarantine, MemorySink, MemoryStore, Op};
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem,
    StateStore, StateWrite,
};
use tidemark_engine::{BatchReport, End, Engine, EngineConfig, InRecord, Returned};

fn timeout() -> PortError {
    PortError::Timeout("test".to_owned())
}

/// A transaction of each of so many cards.
fn of_cards(cards: usize) -> Vec<Record> {
    records((0..cards).map(|at| tx(&format!("c{at}"), &format!("e{at}"), 5_000, 1_000)))
}

#[test]
fn twenty_five_cards_share_a_call() {
    for (cards, calls) in [(1, 1), (25, 1), (26, 2), (500, 20)] {
        let world = World::new();
        let batch = of_cards(cards);
        let report = world.run(&batch);
        assert_eq!((report.scored, report.commits), (cards as u64, cards as u64));
        assert_eq!(world.faults.count(Op::Commit), cards as u64);
        assert_eq!(world.faults.count(Op::WriteCall), calls, "{cards} cards");
        assert_as_expected(&world, &expect(&batch, &world.policy));
    }
}

#[test]
fn alerts_share_calls_and_one_that_is_there_twice_is_recorded_once() {
    let policy = Policy {
        thresholds: Thresholds { review: 0, alert: 0 },
        ..Policy::default_policy()
    };
    let world = World::with(policy, EngineConfig::default());
    let mut payloads: Vec<Vec<u8>> = (0..30)
        .map(|at| tx(&format!("c{at}"), &format!("e{at}"), 5_000, 1_000))
        .collect();
    payloads.extend(payloads.clone());
    let report = world.run(&records(payloads));
    assert_eq!(
        (report.scored, report.duplicate, report.decisions_recorded),
        (30, 30, 30)
    );
    assert_eq!(world.faults.count(Op::PutDecision), 30, "no event twice in a call");
    assert_eq!(world.faults.count(Op::WriteCall), 2 + 2);
}

/// A world whose twenty-five cards have states of more than a call takes together, and a further event of each of them.
fn of_large_states() -> (World, Vec<Record>) {
    let policy = Policy {
        head_events_max: 1_000,
        head_bytes_max: STATE_BYTES_MAX,
        outcome_features: true,
        ..Policy::default_policy()
    };
    let world = World::with(policy, EngineConfig::default());
    let event = |card: i64, at: i64| {
        let amount = 1_000 + at.unsigned_abs() * 7_919 % 100_000;
        tx(&format!("c{card}"), &format!("e{card}-{at}"), 90_000 - at * 60, amount)
    };
    let at_once = |events: Vec<Vec<u8>>| -> Vec<Record> {
        let record = |record| Record {
            arrival_ms: START_MS,
            ..record
        };
        records(events).into_iter().map(record).collect()
    };
    let events = (0..25).flat_map(|card| (0..390).map(move |at| event(card, at)));
    assert_eq!(world.run(&at_once(events.collect())).scored, 9_750);
    let bytes: usize = world.states().values().map(Vec::len).sum();
    assert!(bytes > WRITES_BYTES_MAX, "{bytes} bytes");
    (world, at_once((0..25).map(|card| event(card, 390)).collect()))
}

#[test]
fn large_states_go_out_in_calls_of_their_bytes() {
    let (world, batch) = of_large_states();
    let before = world.faults.count(Op::WriteCall);
    let report = world.run(&batch);
    assert_eq!(report.scored, 25);
    let calls = world.faults.count(Op::WriteCall) - before - u64::from(report.decisions_recorded > 0);
    // What was written is about as large as what it took the place of, and all of them are of one size.
    let largest = world.states().values().map(Vec::len).max().unwrap();
    assert_eq!(
        calls,
        25_usize.div_ceil(WRITES_BYTES_MAX / largest) as u64,
        "{largest} bytes"
    );
}

/// Whatever becomes of a card in a call, the others of that call have their own end.
#[test]
fn in_one_call_each_card_is_written_lost_repeated_or_given_back_by_itself() {
    let world = World::new();
    world.run(&records([tx("c1", "other", 6_000, 500)]));
    let before = world.faults.count(Op::Commit);
    let fault = |place: u64, fault: Fault| world.faults.at(Op::Commit, before + place..before + place + 1, fault);
    let throttled = || PortError::Throttled("test".to_owned());
    fault(2, Fault::Before(throttled()));
    fault(3, Fault::After(timeout()));
    fault(4, Fault::Before(PortError::Permanent("test".to_owned())));
    fault(5, Fault::ConflictWithoutItem);
    let batch = of_cards(8);
    // A process that read the other card's state before somebody wrote it.
    world.faults.at(Op::LoadStates, 1..2, Fault::StaleRead);
    let report = world.run(&batch);
    let mut ends = vec![End::Scored; 8];
    ends[4] = End::Returned(Returned::StoreRefused);
    assert_eq!(report.ends, ends);
    assert_eq!((report.conflicts, report.commits, report.retries), (2, 7, 2));
    assert_eq!((report.throttles, report.timeouts, report.commit_failures), (1, 1, 1));
    world.faults.clear();
    world.run(&batch[4..5]);
    let all = [records([tx("c1", "other", 6_000, 500)]), batch].concat();
    assert_as_expected(&world, &expect(&all, &world.policy));
}

/// The answer to a call of twenty-five writes is lost, wherever it was cut: those that happened are found to be ours.
#[test]
fn a_call_that_is_cut_anywhere_counts_each_write_once() {
    for reached in 0..=25 {
        let world = World::new();
        world.faults.at(Op::WriteCall, 0..1, Fault::Amid(reached, timeout()));
        let batch = of_cards(25);
        let report = world.run(&batch);
        assert_eq!(
            (report.scored, report.commits, report.conflicts),
            (25, 25, 0),
            "{reached}"
        );
        assert_eq!(
            (report.timeouts, report.retries),
            (25, 25),
            "each write is repeated by itself"
        );
        assert_as_expected(&world, &expect(&batch, &world.policy));
    }
}

/// The budget of a batch counts writes, however many of them share a call.
#[test]
fn a_lost_call_takes_a_repetition_for_each_of_its_writes() {
    let config = EngineConfig {
        retries_per_batch_max: 10,
        ..EngineConfig::default()
    };
    let world = World::with(Policy::default_policy(), config);
    world.faults.at(Op::WriteCall, 0..1, Fault::Before(timeout()));
    let report = world.run(&of_cards(25));
    assert_eq!((report.scored, report.retries, report.timeouts), (10, 10, 25));
    assert_eq!(report.returned.get(&Returned::CommitFailed), Some(&15));
}

type Running<'a> = Pin<Box<dyn Future<Output = BatchReport> + Send + 'a>>;

fn poll(running: &mut Running<'_>) -> Poll<BatchReport> {
    running.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What holds calls up until a test opens it.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 = true;
        gate.1.drain(..).for_each(Waker::wake);
    }

    async fn pass(&self) {
        std::future::poll_fn(|context| {
            let mut gate = self.0.lock().unwrap();
            if gate.0 {
                return Poll::Ready(());
            }
            gate.1.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn one_call_at_a_time(
    world: &World,
    call_ms: i64,
    gate: Gate,
) -> Engine<Hooked, MemorySink, MemoryQuarantine, ManualClock> {
    let config = EngineConfig {
        commits_concurrent_max: 25,
        ..world.config
    };
    let store = Hooked {
        inner: world.store.clone(),
        clock: world.clock.clone(),
        call_ms,
        gate,
    };
    let (sink, quarantine) = (world.sink.clone(), world.quarantine.clone());
    let policy = Arc::clone(&world.policy);
    Engine::new(store, sink, quarantine, world.clock.clone(), policy, config)
}

/// A profile's write that hangs holds up its own card, and neither the call in which its first event went out nor later ones.
#[test]
fn a_card_that_hangs_holds_up_no_other() {
    let gate = Gate::default();
    let world = World::new();
    let engine = one_call_at_a_time(&world, 0, gate.clone());
    let mut payloads = vec![
        tx("c0", "first", 6_000, 500),
        profile("c0", 1, 900.0),
        tx("c0", "second", 5_900, 500),
    ];
    payloads.extend((1..=200).map(|at| tx(&format!("c{at}"), &format!("e{at}"), 5_000, 1_000)));
    let batch = records(payloads);
    let records: Vec<InRecord<'_>> = batch.iter().map(Record::as_in).collect();
    let mut running: Running<'_> = Box::pin(engine.process(&records, FAR_MS));
    assert!(poll(&mut running).is_pending(), "the profile hangs");
    assert_eq!(world.store.cards().len(), 201, "and every other card is written");
    let calls = world.faults.count(Op::WriteCall);
    assert!(calls <= 10, "{calls} calls of 201 writes");
    gate.open();
    let Poll::Ready(report) = poll(&mut running) else {
        panic!("nothing hangs any more")
    };
    assert_eq!((report.scored, report.applied, report.retry_from), (202, 1, None));
    drop(running);
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

/// A write that waits for a call to end is not begun when it is too late by then: it comes again.
#[test]
fn a_write_that_had_to_wait_is_not_begun_too_late() {
    let (world, batch) = of_large_states();
    let engine = one_call_at_a_time(&world, 1_500, Gate::default());
    let deadline_ms = START_MS + world.config.deadline_margin_ms + 1_000;
    let before = world.faults.count(Op::WriteCall);
    let records: Vec<InRecord<'_>> = batch.iter().map(Record::as_in).collect();
    let report = engine.process(&records, deadline_ms).now_or_never().unwrap();
    let calls = world.faults.count(Op::WriteCall) - before - u64::from(report.decisions_recorded > 0);
    assert_eq!((calls, report.commits), (1, report.scored), "of two");
    assert!(report.scored > 0 && report.scored < 25, "{} scored", report.scored);
    assert_eq!(report.returned.keys().collect::<Vec<_>>(), [&Returned::Deadline]);
    assert_eq!((report.commit_failures, report.throttles, report.retries), (0, 0, 0));
}

/// A store in memory whose writes of cards take their time, and whose writes of profiles wait at a gate.
struct Hooked {
    inner: MemoryStore,
    clock: ManualClock,
    call_ms: i64,
    gate: Gate,
}

impl StateStore for Hooked {
    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        self.clock.advance(self.call_ms);
        self.inner.commit(writes).await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        self.gate.pass().await;
        self.inner.put_profile(profile).await
    }

    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.inner.load_states(cards).await
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.inner.load_state(card).await
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        self.inner.load_profiles(cards).await
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        self.inner.load_segments(segments, freshness).await
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        self.inner.put_segments(segments).await
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.inner.load_keys(keys).await
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.inner.load_key(key).await
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        self.inner.commit_keys(writes).await
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        self.inner.put_decisions(decisions).await
    }
}
