//! A card that another worker writes too: how often it is tried, how long it waits between, what is counted, and which
//! profile counts afterwards.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use serde_json::Value;
use tidemark_domain::outcome::Tier;
use tidemark_engine::memory::{Fault, ManualClock, Op};
use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::{BatchReport, End, Returned};

const ALWAYS: std::ops::Range<u64> = 0..u64::MAX;

fn outcome(world: &World, event: &str) -> Value {
    serde_json::from_slice(&world.outcomes()[event]).unwrap()
}

#[test]
fn a_lone_card_that_always_loses_is_tried_up_to_its_limit_with_full_jitter_between() {
    let world = World::new();
    world.faults.at(Op::Commit, ALWAYS, Fault::Conflict);
    let report = world.run(&records([tx("a", "e1", 60, 100)]));
    let limit = world.config.conflicts_per_card_max;
    assert_eq!(report.ends, [End::Returned(Returned::ConflictLimit)]);
    assert_eq!(
        (report.conflicts, world.faults.count(Op::Commit)),
        (u64::from(limit) + 1, u64::from(limit) + 1)
    );
    // The first conflict only says that our copy was stale: it is met at once. The pauses' range doubles from there.
    let clock = ManualClock::default();
    let (base_ms, cap_ms) = (world.config.backoff_base_ms, world.config.backoff_cap_ms);
    let pauses_ms: Vec<u64> = (1..limit)
        .map(|failed| clock.random() % ((base_ms << (failed - 1)).min(cap_ms) + 1))
        .collect();
    assert_eq!(world.clock.sleeps_ms(), pauses_ms);
    assert_eq!(
        (report.retries, report.commits, report.commit_failures),
        (u64::from(limit) - 1, 0, 1)
    );
}

#[test]
fn what_fails_beside_the_write_is_no_failed_commit() {
    let loading = Fault::Before(PortError::Timeout("test".to_owned()));
    let world = World::new();
    world.faults.at(Op::Commit, 0..1, Fault::ConflictWithoutItem);
    world.faults.at(Op::LoadStates, 1..u64::MAX, loading);
    let report = world.run(&records([tx("a", "e1", 60, 100)]));
    assert_eq!(report.ends, [End::Returned(Returned::LoadFailed)]);
    assert_eq!((report.conflicts, report.commits, report.commit_failures), (1, 0, 0));
}

#[test]
fn a_write_that_landed_twice_over_counts_as_one_commit() {
    let world = World::new();
    let timeout = PortError::Timeout("test".to_owned());
    world.faults.at(Op::Commit, 0..1, Fault::After(timeout));
    let report = world.run(&records([tx("a", "e1", 60, 100)]));
    assert_eq!(
        (report.scored, report.commits, report.conflicts, report.commit_failures),
        (1, 1, 0, 0)
    );
}

/// The second of two workers learns in a conflict that the first was there; before it scores again, it reads the profile
/// again. `before` is what happens in the store meanwhile.
fn after_a_conflict(world: &World, warm: &[Record], before: impl FnOnce()) -> BatchReport {
    let (other, ours) = (world.engine(), world.engine());
    run(&ours, warm, FAR_MS).unwrap();
    run(&other, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    before();
    let report = run(&ours, &records([tx("a", "e3", 40, 100)]), FAR_MS).unwrap();
    assert_eq!((report.scored, report.conflicts), (1, 1), "{report:?}");
    report
}

#[test]
fn a_conflict_reads_the_profile_again() {
    let world = World::new();
    let warm = records([profile("a", 1, 500.0), tx("a", "e1", 60, 100)]);
    after_a_conflict(&world, &warm, || {
        world.run(&records([profile("a", 2, 900.0)]));
    });
    assert_eq!(outcome(&world, "e1")["profile_version"], 1);
    assert_eq!(outcome(&world, "e3")["profile_version"], 2);
}

#[test]
fn a_profile_that_is_known_stays_when_a_read_does_not_find_it() {
    let world = World::new();
    let warm = records([profile("a", 1, 500.0), tx("a", "e1", 60, 100)]);
    after_a_conflict(&world, &warm, || {
        let reads = world.faults.count(Op::LoadProfiles);
        world.faults.at(Op::LoadProfiles, reads..u64::MAX, Fault::StaleRead);
    });
    assert_eq!(outcome(&world, "e3")["profile_version"], 1);
}

#[test]
fn a_profile_that_could_not_be_read_is_known_to_be_absent_after_a_conflict() {
    let world = World::new();
    let config = world.config;
    let report = after_a_conflict(&world, &records([tx("a", "e1", 60, 100)]), || {
        // What is warm is too old; reading it again fails as often as it is tried, but for the conflict's.
        world.clock.advance(config.profile_max_age_ms + 1);
        let reads = world.faults.count(Op::LoadProfiles);
        let timeout = PortError::Timeout("test".to_owned());
        let tries = u64::from(config.profile_attempts_max);
        world
            .faults
            .at(Op::LoadProfiles, reads..reads + tries, Fault::Before(timeout));
    });
    assert_eq!(report.tiers.get(&Tier::Full), Some(&1), "{:?}", report.tiers);
}

/// Two records of one event come to two processes at once: both make the same bytes of the same state, and one of them is first.
#[test]
fn a_duplicate_that_comes_at_the_same_time_is_no_second_first_one() {
    let world = World::new();
    let (first, second) = (world.engine(), world.engine());
    let (one, two) = (records([tx("a", "e1", 60, 100)]), records([tx("a", "e2", 50, 100)]));
    run(&first, &one, FAR_MS).unwrap();
    run(&second, &one, FAR_MS).unwrap();
    let won = run(&first, &two, FAR_MS).unwrap();
    let lost = run(&second, &two, FAR_MS).unwrap();
    assert_eq!((won.scored, won.duplicate), (1, 0));
    assert_eq!((lost.scored, lost.duplicate, lost.conflicts), (0, 1, 1));
}
