//! Hot cards through the engine: segments are written before the state that names them, read when the fold asks for them,
//! and nothing is lost or counted twice wherever a process dies.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::history::History;
use tidemark_domain::lifetime::{HISTORY_MS, RETENTION_MS_MAX};
use tidemark_domain::policy::{Policy, Thresholds};
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::PortError;
use tidemark_engine::report::Returned;
use tidemark_engine::{End, EngineConfig};

/// A head of six events: leaves of four, two levels after a hundred events.
fn policy() -> Policy {
    Policy {
        head_events_max: 6,
        thresholds: Thresholds { review: 1, alert: 300 },
        ..Policy::default_policy()
    }
}

fn world() -> World {
    World::with(policy(), EngineConfig::default())
}

/// A hundred and twenty records: a hot card in order, late, twice, with labels and profiles, and a cool card beside it.
fn scenario() -> Vec<Record> {
    let hot = |number: i64, age_s: i64| {
        let amount = if number == 50 {
            9_000_000
        } else {
            1_000 + 7 * number.unsigned_abs()
        };
        tx("hot", &format!("h{number}"), age_s, amount)
    };
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for number in 0..80 {
        payloads.push(hot(number, 80_000 - 900 * number));
        match number % 10 {
            3 => payloads.push(hot(number / 2, 80_000 - 900 * (number / 2))),
            5 => payloads.push(hot(1_000 + number, 80_000 - 900 * (number / 3) + 17)),
            7 => payloads.push(label("hot", &format!("h{}", number / 3))),
            8 => payloads.push(tx("cool", &format!("c{number}"), 80_000 - 900 * number, 1_500)),
            9 => payloads.push(profile("hot", number.unsigned_abs(), 2_000.0)),
            _ => {}
        }
    }
    assert_eq!(payloads.len(), 120);
    records(payloads)
}

/// The state of the hot card as the store has it, with every segment.
fn whole_state(world: &World) -> History {
    let mut state = History::decode(&world.store.state(&card("hot")).unwrap().bytes).unwrap();
    loop {
        let missing = state.missing_segments();
        if missing.is_empty() {
            return state;
        }
        for key in missing {
            let segment = world.store.segment(&card("hot"), key).unwrap();
            state.supply_segment(key, &segment.bytes).unwrap();
        }
    }
}

/// Nothing is warm: each batch reads the state again, and the segments that it needs.
fn cold() -> EngineConfig {
    EngineConfig {
        cache_cards_max: 0,
        ..EngineConfig::default()
    }
}

fn check(name: &str, config: EngineConfig, script: impl Fn(&World)) -> World {
    let (world, records) = (World::with(policy(), config), scenario());
    script(&world);
    let ends = deliver(&world, &records);
    assert!(!ends.iter().any(|end| matches!(end, End::Returned(_))), "{name}: I1");
    let expected = expect(&records, &world.policy);
    assert_as_expected(&world, &expected);
    assert_eq!(expected.quarantined.len(), 0, "{name}");
    let state = whole_state(&world);
    assert_eq!(state.all_entries().len(), 88, "{name}");
    assert!(state.sealed_refs() > 2, "{name}: the scenario says something");
    world
}

#[test]
fn every_call_of_a_hot_card_may_fail_or_be_the_last_of_its_process() {
    // A warm process has the segments at hand that it made; one that was just started reads them.
    let calls = check("fair weather", EngineConfig::default(), |_| ()).faults.calls();
    assert!(!calls.contains(&Op::LoadSegments));
    let calls = check("fair weather", cold(), |_| ()).faults.calls();
    for op in [Op::LoadSegments, Op::PutSegments, Op::PutDecision] {
        assert!(calls.contains(&op), "{op:?} is missing");
    }
    let timeout = || PortError::Timeout("test".to_owned());
    for call in 0..calls.len() as u64 {
        for fault in [
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::Before(timeout()),
            Fault::After(timeout()),
        ] {
            check(&format!("{fault:?} at {call}"), cold(), |world| {
                world.faults.at_call(call, fault.clone());
            });
        }
    }
}

#[test]
fn conflicts_of_a_hot_card_change_nothing_in_the_end() {
    let commits = check("fair weather", EngineConfig::default(), |_| ())
        .faults
        .count(Op::Commit);
    for commit in 0..commits {
        for fault in [Fault::Conflict, Fault::ConflictWithoutItem] {
            check(&format!("{fault:?} at {commit}"), EngineConfig::default(), |world| {
                world.faults.at(Op::Commit, commit..commit + 1, fault.clone());
            });
        }
    }
    for read in 0..6 {
        check(&format!("stale read {read}"), cold(), |world| {
            world.faults.at(Op::LoadStates, read..read + 1, Fault::StaleRead);
        });
    }
}

#[test]
fn a_segment_that_a_read_does_not_show_yet_is_asked_for_again() {
    let reads = check("fair weather", cold(), |_| ()).faults.count(Op::LoadSegments);
    assert!(reads > 20, "{reads} reads say little");
    for read in 0..reads {
        let world = check(&format!("stale segments {read}"), cold(), |world| {
            world.faults.at(Op::LoadSegments, read..read + 1, Fault::StaleRead);
        });
        assert_eq!(world.faults.count(Op::LoadSegments), reads + 1, "read {read}");
    }
}

/// Cards that are cold ask for their segments together: a call costs a process more than the segments do.
#[test]
fn cards_that_need_segments_share_a_read() {
    let world = World::with(policy(), cold());
    let names = ["a", "b", "c"];
    let events = |from: i64, until: i64| {
        let each = (from..until).flat_map(|number| names.map(|name| (number, name)));
        records(each.map(|(number, name)| tx(name, &format!("h{number}"), 80_000 - 100 * number, 1_000)))
    };
    let report = world.run(&events(0, 40));
    assert_eq!(report.scored, 120);
    // A duplicate of each, from a leaf below an inner node: two reads, one after the other.
    let (before, cost) = (world.faults.count(Op::LoadSegments), world.run(&events(3, 4)));
    assert_eq!((cost.duplicate, cost.segments_read), (3, 6));
    assert_eq!(world.faults.count(Op::LoadSegments) - before, 2);
    // Half a unit each, as the states and the profiles do.
    assert!((cost.units.read - 0.5 * 12.0).abs() < 1e-9, "{:?}", cost.units);
}

/// The simulation found it: one batch with more events of a card than its head holds. Its state was committed, its
/// outcomes were not sent, and when it came again the first events had left the head: they were quarantined.
#[test]
fn an_event_that_left_the_head_finds_its_outcome() {
    let world = world();
    let batch = records((0..40).map(|number| tx("hot", &format!("h{number}"), 80_000 - 100 * number, 1_000)));
    world.faults.at(
        Op::Send,
        0..100,
        Fault::Before(PortError::Unavailable("test".to_owned())),
    );
    let report = world.run(&batch);
    assert_eq!(report.returned[&Returned::SinkFailed], 40);
    assert_eq!(whole_state(&world).all_entries().len(), 40, "the state is committed");
    world.faults.clear();
    let report = world.run(&batch);
    assert_eq!((report.duplicate, report.quarantined_total()), (40, 0));
    assert_as_expected(&world, &expect(&batch, &world.policy));
    assert_eq!(world.outcomes().len(), 40, "every outcome was sent");
}

#[test]
fn segments_come_before_the_state_and_cost_what_they_weigh() {
    let world = world();
    let batch = records((0..40).map(|number| tx("hot", &format!("h{number}"), 80_000 - 100 * number, 1_000)));
    let report = world.run(&batch);
    let calls = world.faults.calls();
    let at = |op: Op| calls.iter().position(|call| *call == op).unwrap();
    assert!(at(Op::PutSegments) < at(Op::Commit));
    assert_eq!(report.segments_written, world.store.segments().len() as u64);
    // Segments of four events take a unit each; the state takes one, and each alert.
    let alerts = world.store.decisions().len() as f64;
    assert!((report.units.write - alerts - 1.0 - report.segments_written as f64).abs() < 1e-9);
    // A state whose newest event is a retention later asks for them still, by whatever policy, and itself lives on after that: a
    // redrive may meet a card that got nothing for weeks.
    let last_ms = START_MS - 80_000_000;
    let asked_until_ms = last_ms + RETENTION_MS_MAX + HISTORY_MS;
    for segment in world.store.segments() {
        assert!(segment.expires_at_s >= asked_until_ms / 1_000);
    }
}

#[test]
fn a_segment_that_is_gone_or_damaged_gives_the_records_back_and_overwrites_nothing() {
    let world = world();
    let batch = records((0..40).map(|number| tx("hot", &format!("h{number}"), 80_000 - 100 * number, 1_000)));
    world.run(&batch);
    let bytes = world.store.state(&card("hot"));
    world.store.damage_segments(&card("hot"));
    let again = records([tx("hot", "h3", 79_700, 1_000)]);
    let report = world.run(&again);
    assert_eq!(report.returned[&Returned::StateCorrupt], 1);
    assert_eq!(world.store.state(&card("hot")), bytes);

    // Gone, by a read that shows everything: only then is it said.
    world.store.expire(i64::MAX);
    world.store.set_state(&card("hot"), bytes.clone().unwrap());
    let before = world.faults.count(Op::LoadSegments);
    let report = world.run(&again);
    assert_eq!(report.returned[&Returned::StateCorrupt], 1);
    assert_eq!(world.faults.count(Op::LoadSegments) - before, 2);
    assert_eq!(world.store.state(&card("hot")), bytes);
}
