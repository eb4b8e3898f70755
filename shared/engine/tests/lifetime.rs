//! What is stored lives as long as a record can come that asks for it: under other policies than the one that wrote it, on the
//! last day of streams and queues, and after an item was put back from a backup.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use crate::common::{MemoryEngine, Record, START_MS, World, card, run};
use serde_json::json;
use tidemark_domain::history::History;
use tidemark_domain::id::fingerprint32;
use tidemark_domain::lifetime::{HORIZON_MS_MAX, RECORD_MS_MAX};
use tidemark_domain::policy::Policy;
use tidemark_engine::config::EngineConfig;

const DAY_MS: i64 = 86_400_000;

/// Windows up to `window_minutes`, events up to `lateness_ms` late, and the least horizon that this allows.
fn policy(window_minutes: u32, lateness_ms: i64) -> Policy {
    let horizon_ms = (lateness_ms + 300_000).min(HORIZON_MS_MAX);
    let skew_ms = horizon_ms - lateness_ms;
    let text = format!(
        "version = 1\nwindows_minutes = [{window_minutes}]\nfeatures = [\"amount_z\"]\ndedupe_horizon_ms = {horizon_ms}\n\
         [weights]\namount_z = 1\n[thresholds]\nreview = 400\nalert = 700\n\
         [bounds]\nlateness_ms = {lateness_ms}\nskew_ms = {skew_ms}\n"
    );
    Policy::parse(&text, "test.toml").unwrap()
}

fn record(number: u64, id: &str, event: &str, at_ms: i64, arrival_ms: i64) -> Record {
    let data = serde_json::to_vec(&json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": id,
        "occurred_at_ms": at_ms, "amount_minor": 1_000 + number % 50, "currency": "EUR",
        "merchant_id": "m1", "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    }));
    Record {
        sequence_number: (100_000 + number).to_string(),
        data: data.unwrap(),
        arrival_ms,
    }
}

/// A process that judges by this policy.
fn engine_by(world: &World, policy: &Arc<Policy>) -> MemoryEngine {
    let world = World {
        policy: Arc::clone(policy),
        ..world.clone()
    };
    world.engine()
}

/// Time goes on, and what may be deleted by then is deleted.
fn pass(world: &World, to_ms: i64) {
    world.clock.set(to_ms);
    world.store.expire(to_ms / 1_000);
}

/// It was found with windows of a day that became windows of 30: from the 23rd day on every hot card gave `state_corrupt`.
#[test]
fn a_hot_card_is_scored_on_when_its_windows_are_lengthened() {
    let (short, long) = (
        Arc::new(policy(1_440, 172_800_000)),
        Arc::new(policy(43_200, 172_800_000)),
    );
    let world = World::with((*short).clone(), EngineConfig::default());
    let mut number = 0;
    for day in 0..45 {
        let engine = engine_by(&world, if day < 3 { &short } else { &long });
        let begin_ms = START_MS + day * DAY_MS;
        let records: Vec<Record> = (0..240)
            .map(|at| {
                number += 1;
                let at_ms = begin_ms + at * 360_000;
                record(number, "hot", &format!("e{number}"), at_ms, at_ms)
            })
            .collect();
        for batch in records.chunks(60) {
            let report = run(&engine, batch, i64::MAX).unwrap();
            assert_eq!(report.scored, 60, "day {day}: {:?}", report.returned);
        }
        pass(&world, begin_ms + DAY_MS);
    }
}

/// An event that comes as late as its policy allows, and whose record is refused on the last day of a stream and redriven on the
/// last day of a queue.
#[test]
fn a_record_on_its_last_day_finds_what_it_repeats() {
    for (window_minutes, lateness_ms) in [(60, 60_000), (60, 172_800_000), (43_200, HORIZON_MS_MAX)] {
        let policy = policy(window_minutes, lateness_ms);
        let world = World::with(policy, EngineConfig::default());
        let at_ms = START_MS - lateness_ms;
        let batch = [record(1, "a", "e1", at_ms, START_MS)];
        assert_eq!(world.run(&batch).scored, 1);
        pass(&world, START_MS + RECORD_MS_MAX);
        let again = run(&world.engine(), &batch, i64::MAX).unwrap();
        assert_eq!((again.scored, again.duplicate), (0, 1), "{lateness_ms} ms of lateness");
        assert_eq!(world.outcomes().len(), 1);
    }
}

/// A state was written by a policy that allows a minute, and its event comes again a year later by one that allows a year.
#[test]
fn a_state_outlives_the_policy_that_wrote_it() {
    let (narrow, wide) = (Arc::new(policy(60, 60_000)), Arc::new(policy(60, HORIZON_MS_MAX)));
    let world = World::with((*narrow).clone(), EngineConfig::default());
    assert_eq!(world.run(&[record(1, "a", "e1", START_MS, START_MS)]).scored, 1);
    let late_ms = START_MS + HORIZON_MS_MAX;
    pass(&world, late_ms + RECORD_MS_MAX);
    let again = [record(2, "a", "e1", START_MS, late_ms)];
    let report = run(&engine_by(&world, &wide), &again, i64::MAX).unwrap();
    assert_eq!((report.scored, report.duplicate), (0, 1));
}

/// What docs/errors/state_corrupt.md advises, while a process holds the card warm: the same number is given again, to another
/// state, and the warm process must see that it is not the one that it knows (I5).
#[test]
fn a_warm_process_does_not_overwrite_what_was_written_after_a_restore() {
    let world = World::new();
    let one = |number: u64| {
        let at_ms = START_MS - 100_000 + i64::try_from(number).unwrap();
        [record(number, "a", &format!("e{number}"), at_ms, START_MS)]
    };
    let warm = world.engine();
    run(&warm, &one(1), i64::MAX).unwrap();
    let backup = world.store.state(&card("a")).unwrap();
    run(&warm, &one(2), i64::MAX).unwrap();
    let known = world.store.state(&card("a")).unwrap();
    world.store.set_state(&card("a"), backup);
    let other = world.engine();
    run(&other, &one(3), i64::MAX).unwrap();
    let winner = world.store.state(&card("a")).unwrap();
    assert_eq!(winner.version.number, known.version.number, "the number is the same");
    let report = run(&warm, &one(4), i64::MAX).unwrap();
    assert_eq!((report.scored, report.conflicts), (1, 1));
    let state = History::decode(&world.store.state(&card("a")).unwrap().bytes).unwrap();
    let kept: Vec<u32> = state.entries().iter().map(|entry| entry.event_fp).collect();
    assert_eq!(kept, ["e1", "e3", "e4"].map(fingerprint32));
    let again = run(&other, &one(3), i64::MAX).unwrap();
    assert_eq!((again.scored, again.duplicate), (0, 1));
}
