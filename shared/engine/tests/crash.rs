//! A process that dies, or a call that fails, at every single call of a stream's life: afterwards the world is what the
//! plain fold says (I1 to I5).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::policy::{Policy, Thresholds};
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::PortError;
use tidemark_engine::{End, EngineConfig};

/// Sixty records: five cards with a usual and an outrageous event each, profiles in between, labels, duplicates, poison.
fn scenario() -> Vec<Record> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for round in 0..6 {
        for card in ["a", "b", "c", "d", "e"] {
            let amount = if round == 4 { 4_000_000 } else { 1_000 + round * 10 };
            payloads.push(tx(
                card,
                &format!("{card}{round}"),
                5_000 - i64::try_from(round).unwrap() * 300,
                amount,
            ));
        }
        payloads.push(profile(
            "a",
            round + 1,
            900.0 + f64::from(u32::try_from(round).unwrap()),
        ));
        payloads.push(tx(
            "b",
            &format!("b{}", round / 2),
            5_000 - i64::try_from(round / 2).unwrap() * 300,
            1_000,
        ));
        payloads.push(label("c", &format!("c{}", round / 2)));
        payloads.push(if round % 2 == 0 {
            b"poison".to_vec()
        } else {
            label("d", "never-seen")
        });
        payloads.push(tx(
            "e",
            &format!("late{round}"),
            90_000 - i64::try_from(round).unwrap(),
            1_000,
        ));
    }
    assert_eq!(payloads.len(), 60);
    records(payloads)
}

/// Alerts come easily, so that decisions are part of what may fail.
fn policy() -> Policy {
    Policy {
        thresholds: Thresholds { review: 1, alert: 300 },
        ..Policy::default_policy()
    }
}

fn check(name: &str, script: impl Fn(&World)) -> World {
    let records = scenario();
    let world = World::with(
        policy(),
        EngineConfig {
            cache_cards_max: 3,
            ..EngineConfig::default()
        },
    );
    script(&world);
    let ends = deliver(&world, &records);
    assert_eq!(ends.len(), records.len(), "{name}: I1");
    assert!(!ends.iter().any(|end| matches!(end, End::Returned(_))), "{name}: I1");
    let expected = expect(&records, &world.policy);
    assert!(
        expected.alerts.len() >= 5 && expected.quarantined.len() == 6,
        "{name}: the scenario says something"
    );
    assert_as_expected(&world, &expected);
    world
}

/// Calls of the scenario without faults.
fn calls() -> Vec<Op> {
    check("fair weather", |_| ()).faults.calls()
}

#[test]
fn the_scenario_makes_every_kind_of_call() {
    let calls = calls();
    for op in [
        Op::LoadStates,
        Op::LoadProfiles,
        Op::WriteCall,
        Op::Commit,
        Op::PutProfile,
        Op::PutDecision,
        Op::Send,
        Op::Quarantine,
    ] {
        assert!(calls.contains(&op), "{op:?} is missing");
    }
    assert!(
        calls
            .windows(4)
            .any(|four| four[1..] == [Op::Commit; 3] && four[0] == Op::WriteCall),
        "no call holds the writes of several cards"
    );
}

#[test]
fn a_crash_at_any_call_changes_nothing_in_the_end() {
    for call in 0..calls().len() as u64 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let world = check(&format!("{fault:?} at {call}"), |world| {
                world.faults.at_call(call, fault.clone());
            });
            assert!(world.faults.calls().len() as u64 > call, "the fault was played");
        }
    }
}

#[test]
fn two_crashes_at_any_distance_change_nothing_either() {
    let count = calls().len() as u64;
    for first in (0..count).step_by(3) {
        for distance in [1, 2, 5, 11] {
            check(&format!("crashes at {first} and {distance} later"), |world| {
                world.faults.at_call(first, Fault::CrashAfter);
                world.faults.at_call(first + distance, Fault::CrashBefore);
            });
        }
    }
}

#[test]
fn an_error_at_any_call_changes_nothing_in_the_end() {
    let errors: [fn(String) -> PortError; 4] = [
        PortError::Throttled,
        PortError::Timeout,
        PortError::Unavailable,
        PortError::Permanent,
    ];
    for (call, op) in calls().into_iter().enumerate() {
        for error in errors {
            // An answer that is lost after a failed profile read is a score without profile: right, and said (I8), but
            // another outcome than the fold's.
            if op == Op::LoadProfiles && matches!(error(String::new()), PortError::Permanent(_)) {
                continue;
            }
            let call = call as u64;
            check(&format!("before {call} ({op:?})"), |world| {
                world.faults.at_call(call, Fault::Before(error("test".to_owned())));
            });
            check(&format!("after {call} ({op:?})"), |world| {
                world.faults.at_call(call, Fault::After(error("test".to_owned())));
            });
        }
    }
}

#[test]
fn conflicts_stale_reads_and_partial_answers_at_any_call_change_nothing_in_the_end() {
    for (call, op) in calls().into_iter().enumerate() {
        let fault = match op {
            Op::LoadStates => Fault::StaleRead,
            Op::Commit if call % 2 == 0 => Fault::Conflict,
            Op::Commit => Fault::ConflictWithoutItem,
            // The writes of the call before the place happen, those behind it do not, and nobody is told.
            Op::WriteCall => Fault::Amid(call % 4, PortError::Timeout("test".to_owned())),
            Op::Send | Op::Quarantine => Fault::Partial(vec![0, 2, 3]),
            Op::LoadProfiles | Op::PutProfile | Op::PutTrials | Op::PutDecision => continue,
            Op::LoadSegments | Op::PutSegments => continue,
            // Keys have a scenario of their own: `keys.rs`.
            Op::LoadKeys | Op::CommitKey => continue,
        };
        check(&format!("{fault:?} at {call}"), |world| {
            world.faults.at_call(call as u64, fault.clone());
        });
    }
}
