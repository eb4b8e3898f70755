//! A batch in foul weather: conflicts, ambiguous writes, throttling, deadlines, the breaker, sinks that take some.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::outcome::Tier;
use tidemark_domain::policy::{Policy, Thresholds};
use tidemark_engine::breaker::BreakerState;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{PortError, StateItem};
use tidemark_engine::{End, EngineConfig, Returned};

fn throttled() -> PortError {
    PortError::Throttled("test".to_owned())
}

fn timeout() -> PortError {
    PortError::Timeout("test".to_owned())
}

fn refused() -> PortError {
    PortError::Permanent("test".to_owned())
}

const ALWAYS: std::ops::Range<u64> = 0..u64::MAX;

fn two_cards() -> Vec<Record> {
    records([tx("a", "e1", 60, 100), tx("b", "e2", 50, 100), tx("a", "e3", 40, 100)])
}

#[test]
fn a_second_writer_wins_and_ours_is_folded_into_its_state() {
    let world = World::new();
    let (first, second) = (world.engine(), world.engine());
    run(&first, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    run(&second, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    let report = run(
        &first,
        &records([tx("a", "e2", 50, 100), tx("a", "e3", 40, 100)]),
        FAR_MS,
    )
    .unwrap();
    assert_eq!(report.ends, [End::Duplicate, End::Scored]);
    assert_eq!((report.conflicts, report.commits), (1, 1));
    let all = records([tx("a", "e1", 60, 100), tx("a", "e2", 50, 100), tx("a", "e3", 40, 100)]);
    assert_as_expected(&world, &expect(&all, &world.policy));
}

#[test]
fn a_conflict_without_the_winner_reads_it_again() {
    let world = World::new();
    world.faults.at(Op::Commit, 0..1, Fault::ConflictWithoutItem);
    let batch = records([tx("a", "e1", 60, 100)]);
    let report = world.run(&batch);
    assert_eq!(
        (report.scored, report.conflicts, world.faults.count(Op::LoadStates)),
        (1, 1, 2)
    );
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_card_that_always_loses_goes_back_and_others_do_not_wait() {
    let world = World::new();
    let losses = u64::from(world.config.conflicts_per_card_max) + 1;
    // The first call holds the writes of both cards.
    world.faults.at(Op::Commit, 0..1, Fault::Conflict);
    world.faults.at(Op::Commit, 2..losses + 1, Fault::Conflict);
    let report = world.run(&two_cards());
    let lost = End::Returned(Returned::ConflictLimit);
    assert_eq!(report.ends, [lost, End::Scored, lost]);
    assert_eq!(report.retry_from.as_deref(), Some("95"));
    assert_eq!(report.conflicts, losses);
}

#[test]
fn a_write_that_landed_without_an_answer_still_sends_its_outcomes() {
    let world = World::new();
    world.faults.at(Op::Commit, 0..1, Fault::After(timeout()));
    let batch = records([tx("a", "e1", 60, 100), tx("a", "e2", 50, 100)]);
    let report = world.run(&batch);
    assert_eq!(report.ends, [End::Scored, End::Scored]);
    assert_eq!((report.timeouts, report.retries, report.conflicts), (1, 1, 0));
    assert_eq!(world.store.state(&card("a")).unwrap().version.number, 1);
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_write_that_did_not_land_is_repeated() {
    let world = World::new();
    world.faults.at(Op::Commit, 0..2, Fault::Before(timeout()));
    let batch = records([tx("a", "e1", 60, 100)]);
    let report = world.run(&batch);
    assert_eq!((report.scored, report.timeouts, report.retries), (1, 2, 2));
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_write_of_unknown_fate_leaves_nothing_warm() {
    let world = World::new();
    let engine = world.engine();
    run(&engine, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    world.faults.at(Op::Commit, ALWAYS, Fault::After(timeout()));
    // Each repetition meets its own write as the winner; the answer is lost each time.
    let report = run(&engine, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    assert_eq!(report.ends, [End::Returned(Returned::CommitFailed)]);
    assert!(
        world.sink.outcomes().len() == 1,
        "nothing is sent before its write is known to stand"
    );
    world.faults.clear();
    let report = run(&engine, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    assert_eq!((report.duplicate, report.cache.state_misses), (1, 1));
}

#[test]
fn throttling_past_the_budget_sends_records_back_and_costs_bounded_time() {
    let config = EngineConfig {
        retries_per_batch_max: 3,
        ..EngineConfig::default()
    };
    let world = World::with(Policy::default_policy(), config);
    world.faults.at(Op::Commit, ALWAYS, Fault::Before(throttled()));
    let report = world.run(&two_cards());
    assert_eq!(report.ends, [End::Returned(Returned::CommitFailed); 3]);
    assert_eq!(report.retries, 3, "the budget is the batch's, not each card's");
    assert_eq!(report.throttles, 5, "three repetitions and the first call of each card");
    assert_eq!(world.clock.sleeps_ms().len(), 3);
    assert!(world.store.cards().is_empty() && world.sink.outcomes().is_empty());
}

#[test]
fn pauses_never_reach_the_deadline_margin() {
    let world = World::new();
    let deadline_ms = START_MS + world.config.deadline_margin_ms + 40;
    world.faults.at(Op::Commit, ALWAYS, Fault::Before(throttled()));
    let report = run(&world.engine(), &two_cards(), deadline_ms).unwrap();
    assert_eq!(report.returned_total(), 3);
    assert!(
        world.clock.sleeps_ms().iter().sum::<u64>() < 40,
        "{:?}",
        world.clock.sleeps_ms()
    );
}

#[test]
fn what_the_store_refuses_for_good_is_not_repeated() {
    let world = World::new();
    world.faults.at(Op::Commit, 0..1, Fault::Before(refused()));
    let report = world.run(&two_cards());
    let back = End::Returned(Returned::StoreRefused);
    assert_eq!(report.ends, [back, End::Scored, back]);
    assert_eq!(report.retries, 0);
}

#[test]
fn near_the_deadline_nothing_is_begun_and_everything_comes_again() {
    let world = World::new();
    let deadline_ms = START_MS + world.config.deadline_margin_ms;
    let report = run(&world.engine(), &two_cards(), deadline_ms).unwrap();
    assert_eq!(report.ends, [End::Returned(Returned::Deadline); 3]);
    assert_eq!(report.retry_from.as_deref(), Some("95"));
    assert_eq!(world.faults.count(Op::Commit), 0);
}

#[test]
fn a_batch_that_runs_into_the_deadline_finishes_what_is_committed() {
    let config = EngineConfig {
        backoff_base_ms: 500,
        commits_concurrent_max: 1,
        ..EngineConfig::default()
    };
    let world = World::with(Policy::default_policy(), config);
    // Card a's write is throttled until the time to begin anything is over; card b is not begun.
    world.faults.at(Op::Commit, 1..100, Fault::Before(throttled()));
    let deadline_ms = START_MS + config.deadline_margin_ms + 50;
    let batch = records([tx("a", "e1", 60, 100), tx("b", "e2", 50, 100), tx("c", "e3", 50, 100)]);
    let report = run(&world.engine(), &batch, deadline_ms).unwrap();
    assert_eq!(report.ends[0], End::Scored);
    assert_eq!(report.retry_from.as_deref(), Some("96"));
    assert_eq!(world.outcomes().len(), 1);
}

#[test]
fn a_state_that_cannot_be_read_back_is_never_overwritten() {
    let world = World::new();
    let broken = StateItem::new(7, vec![0xEE; 40]);
    world.store.set_state(&card("a"), broken.clone());
    let report = world.run(&two_cards());
    let corrupt = End::Returned(Returned::StateCorrupt);
    assert_eq!(report.ends, [corrupt, End::Scored, corrupt]);
    assert_eq!(world.store.state(&card("a")), Some(broken));
}

#[test]
fn a_state_that_turns_corrupt_under_a_conflict_is_not_overwritten_either() {
    let world = World::new();
    let engine = world.engine();
    run(&engine, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    let broken = StateItem::new(9, vec![0xEE; 40]);
    world.store.set_state(&card("a"), broken.clone());
    let report = run(&engine, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    assert_eq!(report.ends, [End::Returned(Returned::StateCorrupt)]);
    assert_eq!((report.conflicts, report.commit_failures), (1, 0));
    assert_eq!(world.store.state(&card("a")), Some(broken));
}

#[test]
fn states_that_cannot_be_loaded_send_their_records_back() {
    let world = World::new();
    world.faults.at(Op::LoadStates, ALWAYS, Fault::Before(throttled()));
    let report = world.run(&records([
        tx("a", "e1", 60, 100),
        b"poison".to_vec(),
        profile("b", 1, 100.0),
    ]));
    assert_eq!(report.ends[0], End::Returned(Returned::LoadFailed));
    assert_eq!(
        (report.quarantined_total(), report.applied),
        (1, 1),
        "what needs no state is finished"
    );
}

#[test]
fn a_stale_read_only_costs_a_conflict() {
    let world = World::new();
    world.run(&records([tx("a", "e1", 60, 100)]));
    world.run(&records([tx("a", "e2", 50, 100)]));
    world.faults.at(
        Op::LoadStates,
        world.faults.count(Op::LoadStates)..u64::MAX,
        Fault::StaleRead,
    );
    let report = world.run(&records([tx("a", "e3", 40, 100)]));
    assert_eq!((report.scored, report.conflicts), (1, 1));
    let all = records([tx("a", "e1", 60, 100), tx("a", "e2", 50, 100), tx("a", "e3", 40, 100)]);
    assert_as_expected(&world, &expect(&all, &world.policy));
}

#[test]
fn without_profiles_cards_are_scored_and_say_so_until_the_breaker_closes_again() {
    let world = World::new();
    let config = world.config;
    let engine = world.engine();
    let tx_of = |n: u32| records([tx("a", &format!("e{n}"), i64::from(100 - n), 100)]);
    // The card has a history: without it its first event would be neutral.
    world.run(&records([tx("a", "e", 200, 100)]));
    world.faults.at(Op::LoadProfiles, ALWAYS, Fault::Before(timeout()));
    for n in 0..config.breaker_failures_max {
        assert_eq!(engine.breaker_state(), BreakerState::Closed { failures: n });
        let report = run(&engine, &tx_of(n), FAR_MS).unwrap();
        assert_eq!((report.scored, report.tiers.get(&Tier::NoProfile)), (1, Some(&1)));
    }
    assert!(matches!(engine.breaker_state(), BreakerState::Open { .. }));
    let calls = world.faults.count(Op::LoadProfiles);
    let report = run(&engine, &tx_of(10), FAR_MS).unwrap();
    assert_eq!((report.scored, report.breaker_rejected), (1, 1));
    assert_eq!(
        world.faults.count(Op::LoadProfiles),
        calls,
        "an open breaker spares the call"
    );
    world.faults.clear();
    world.clock.advance(config.breaker_open_ms);
    let report = run(&engine, &tx_of(11), FAR_MS).unwrap();
    assert_eq!(report.tiers.get(&Tier::Full), Some(&1));
    assert_eq!(engine.breaker_state(), BreakerState::Closed { failures: 0 });
}

#[test]
fn a_profile_that_cannot_be_stored_holds_back_the_rest_of_its_card_only() {
    let world = World::new();
    world.faults.at(Op::PutProfile, ALWAYS, Fault::Before(throttled()));
    let batch = records([
        tx("a", "e1", 60, 100),
        profile("a", 1, 500.0),
        tx("b", "e2", 50, 100),
        tx("a", "e3", 40, 100),
    ]);
    let report = world.run(&batch);
    let back = End::Returned(Returned::ProfileFailed);
    assert_eq!(report.ends, [End::Scored, back, End::Scored, back]);
    assert_eq!(report.retry_from.as_deref(), Some("96"));
    world.faults.clear();
    world.run(&batch[1..]);
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn outcomes_that_the_sink_left_out_are_sent_again_and_only_those() {
    let world = World::new();
    world.faults.at(Op::Send, 0..1, Fault::Partial(vec![1]));
    let batch = two_cards();
    let report = world.run(&batch);
    assert_eq!((report.scored, report.outcomes_sent, report.throttles), (3, 3, 1));
    let order: Vec<String> = world
        .sink
        .outcomes()
        .iter()
        .map(|outcome| serde_json::from_slice::<serde_json::Value>(&outcome.bytes).unwrap()["event_id"].to_string())
        .collect();
    assert_eq!(order, ["\"e1\"", "\"e3\"", "\"e2\""]);
}

#[test]
fn an_outcome_that_never_gets_out_sends_its_record_back() {
    let world = World::new();
    world.faults.at(Op::Send, 0..1, Fault::Partial(vec![1, 2]));
    world.faults.at(Op::Send, 1..2, Fault::Partial(vec![1]));
    world.faults.at(Op::Send, 2..100, Fault::Partial(vec![0]));
    let batch = two_cards();
    let report = world.run(&batch);
    let back = End::Returned(Returned::SinkFailed);
    assert_eq!(report.ends, [End::Scored, End::Scored, back]);
    assert_eq!(report.retry_from.as_deref(), Some("97"));
    world.faults.clear();
    let report = world.run(&batch[2..]);
    assert_eq!(report.duplicate, 1, "it was committed; its stored outcome goes out now");
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_sink_that_takes_nothing_is_asked_as_often_as_any_port() {
    let world = World::new();
    world.faults.at(Op::Send, ALWAYS, Fault::Partial(vec![0, 1, 2]));
    let report = world.run(&two_cards());
    assert_eq!(report.ends, [End::Returned(Returned::SinkFailed); 3]);
    assert_eq!(world.faults.count(Op::Send), u64::from(world.config.attempts_max));
    assert_eq!((report.outcomes_sent, report.outcome_kib), (0, 0));
}

#[test]
fn outcomes_that_were_taken_are_counted_as_a_stream_bills_them() {
    let world = World::new();
    world.faults.at(Op::Send, ALWAYS, Fault::Partial(vec![0]));
    let report = world.run(&two_cards());
    let taken = world.sink.outcomes();
    assert_eq!((report.scored, taken.len()), (2, 2));
    let lengths: Vec<usize> = taken.iter().map(|outcome| outcome.bytes.len()).collect();
    assert!(lengths.iter().all(|bytes| (1..1_024).contains(bytes)), "{lengths:?}");
    assert_eq!(report.outcome_kib, 2, "a KiB begun is a whole one, for each record");
}

#[test]
fn an_alert_that_cannot_be_recorded_is_not_sent_and_the_others_are() {
    let policy = Policy {
        thresholds: Thresholds { review: 1, alert: 300 },
        ..Policy::default_policy()
    };
    let world = World::with(policy, EngineConfig::default());
    world.faults.at(Op::PutDecision, 0..1, Fault::Before(refused()));
    let history = |card: &str| -> Vec<Vec<u8>> {
        let usual = (0..9).map(|n| tx(card, &format!("{card}{n}"), 8_000 * (10 - n), 100));
        usual
            .chain([tx(card, &format!("{card}-dear"), 60, 9_000_000)])
            .collect()
    };
    let batch = records(history("a").into_iter().chain(history("b")));
    let report = world.run(&batch);
    let expected = expect(&batch, &world.policy);
    let alerts = &expected.alerts;
    assert!(alerts.len() > 1 && alerts.len() < batch.len(), "{alerts:?}");
    assert_eq!(
        (report.returned_total(), report.decisions_recorded),
        (1, alerts.len() as u64 - 1)
    );
    let recorded = world.store.decisions();
    let (sent, outcomes) = (world.outcomes(), &expected.outcomes);
    let unsent: Vec<&String> = outcomes.keys().filter(|event| !sent.contains_key(*event)).collect();
    assert_eq!(unsent.len(), 1, "{unsent:?}");
    assert!(alerts.contains(unsent[0]) && recorded.iter().all(|alert| alert.event.event_id.as_str() != unsent[0]));
    world.faults.clear();
    world.run(&batch);
    assert_as_expected(&world, &expected);
}

#[test]
fn a_quarantine_that_fails_sends_the_record_back() {
    let world = World::new();
    world.faults.at(Op::Quarantine, ALWAYS, Fault::Before(timeout()));
    let batch = records([tx("a", "e1", 60, 100), b"poison".to_vec(), tx("a", "e2", 50, 100)]);
    let report = world.run(&batch);
    let back = End::Returned(Returned::QuarantineFailed);
    assert_eq!(report.ends, [End::Scored, back, End::Scored]);
    assert_eq!(report.retry_from.as_deref(), Some("96"));
    world.faults.clear();
    let report = world.run(&batch[1..]);
    assert_eq!((report.quarantined_total(), report.duplicate), (1, 1));
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_large_payload_is_quarantined_whole_only_when_every_part_is_taken() {
    let world = World::new();
    world.faults.at(Op::Quarantine, ALWAYS, Fault::Partial(vec![1]));
    world.faults.at(Op::Quarantine, 1..100, Fault::Partial(vec![0]));
    let batch = records([vec![b'x'; 600 * 1024]]);
    let report = world.run(&batch);
    assert_eq!(report.ends, [End::Returned(Returned::QuarantineFailed)]);
    world.faults.clear();
    let report = world.run(&batch);
    assert_eq!((report.quarantined_total(), report.quarantine_messages), (1, 4));
}

/// The same id at another time, or on another card, is another event: each has its decision, and a copy has none of its own.
#[test]
fn alerts_that_share_an_id_are_all_recorded() {
    let policy = Policy {
        thresholds: Thresholds { review: 0, alert: 0 },
        ..Policy::default_policy()
    };
    let world = World::with(policy, EngineConfig::default());
    let batch = records([
        tx("a", "e", 60, 100),
        tx("a", "e", 50, 100),
        tx("b", "e", 60, 100),
        tx("a", "e", 50, 100),
    ]);
    let report = world.run(&batch);
    assert_eq!((report.scored, report.duplicate, report.decisions_recorded), (3, 1, 3));
    let recorded: Vec<_> = world
        .store
        .decisions()
        .iter()
        .map(|kept| kept.event.to_string())
        .collect();
    let expected = [("a", 60), ("a", 50), ("b", 60)]
        .map(|(card, age_s)| format!("event e of card {card} at {}", START_MS - age_s * 1_000));
    assert_eq!(recorded, expected);
}
