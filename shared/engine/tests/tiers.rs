//! Each tier: when it is chosen, what is read for it, what its outcome says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;
use std::sync::Arc;

use crate::common::*;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_domain::control::{Mode, Rollout};
use tidemark_domain::outcome::Tier;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::PortError;
use tidemark_engine::{BatchReport, Candidate, Directives, EngineConfig, InRecord};

const ALWAYS: Range<u64> = 0..u64::MAX;

/// The built-in policy; amounts up to 50 EUR are of low risk.
fn low_risk_policy(version: u32) -> Policy {
    let text = Policy::default_text().replace("version = 1\n", &format!("version = {version}\n"));
    let section = "\n[low_risk]\namount_max_minor = 5_000\nfeatures = [\"count_5m\", \"count_1h\", \"amount_z\"]\n";
    Policy::parse(&format!("{text}{section}"), "low.toml").unwrap()
}

fn timeout() -> Fault {
    Fault::Before(PortError::Timeout("test".to_owned()))
}

fn in_mode(world: &World, mode: Mode) -> Directives {
    Directives {
        mode,
        ..Directives::standing(Arc::clone(&world.policy))
    }
}

/// A batch by a new process.
fn run_by(world: &World, records: &[Record], directives: &Directives) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let engine = world.engine();
    let report = engine.process_by(&batch, FAR_MS, directives.clone()).now_or_never();
    let report = report.unwrap();
    assert_adds_up(&report, &batch);
    assert_eq!(report.tiers.values().sum::<u64>(), report.scored);
    report
}

fn outcome(world: &World, event: &str) -> Value {
    serde_json::from_slice(&world.outcomes()[event]).unwrap()
}

fn says(world: &World, event: &str) -> (String, Value, Value) {
    let outcome = outcome(world, event);
    let tier = outcome["tier"].as_str().unwrap().to_owned();
    (tier, outcome["missing"].clone(), outcome["profile_version"].clone())
}

fn unavailable() -> Value {
    json!(["profile_unavailable"])
}

/// Card a has a history and a profile.
fn world_with_card_a(policy: Policy) -> World {
    let world = World::with(policy, EngineConfig::default());
    world.run(&records([profile("a", 1, 5_000.0), tx("a", "a0", 900, 100)]));
    world
}

#[test]
fn full_reads_history_and_profile() {
    let world = world_with_card_a(Policy::default_policy());
    let report = run_by(
        &world,
        &records([tx("a", "a1", 60, 100), tx("b", "b1", 60, 100)]),
        &in_mode(&world, Mode::Live),
    );
    assert_eq!(report.tiers, [(Tier::Full, 2)].into());
    assert_eq!((report.cache.profile_misses, report.cache.profiles_spared), (2, 0));
    assert_eq!(says(&world, "a1"), ("full".to_owned(), json!([]), json!(1)));
    assert_eq!(
        says(&world, "b1"),
        ("full".to_owned(), json!(["profile_absent"]), Value::Null)
    );
}

#[test]
fn no_profile_serves_cards_with_a_history_and_neutral_those_without_while_profiles_cannot_be_read() {
    let world = world_with_card_a(Policy::default_policy());
    world.faults.at(Op::LoadProfiles, ALWAYS, timeout());
    let batch = records([tx("a", "a1", 60, 100), tx("b", "b1", 60, 100), tx("b", "b2", 50, 100)]);
    let report = run_by(&world, &batch, &in_mode(&world, Mode::Live));
    // The second event of the new card has the first one for its history.
    assert_eq!(report.tiers, [(Tier::NoProfile, 2), (Tier::Neutral, 1)].into());
    assert_eq!(
        says(&world, "a1"),
        ("no_profile".to_owned(), unavailable(), Value::Null)
    );
    assert_eq!(says(&world, "b1"), ("neutral".to_owned(), unavailable(), Value::Null));
    let neutral = outcome(&world, "b1");
    assert_eq!(
        (&neutral["decision"], &neutral["reasons"]),
        (&json!("review"), &json!([]))
    );
    assert_eq!(neutral["score"], world.policy.thresholds.review);
    // It counts once, and its outcome is for ever: after the profiles are back it comes again as it was (I2, I3).
    let states = world.states();
    world.faults.clear();
    let again = run_by(&world, &batch, &in_mode(&world, Mode::Live));
    assert_eq!((again.duplicate, again.scored), (3, 0));
    assert_eq!(world.states(), states);
}

#[test]
fn history_only_is_the_mode_degraded_and_reads_no_profile() {
    let world = world_with_card_a(Policy::default_policy());
    let before = world.faults.count(Op::LoadProfiles);
    let degraded = in_mode(&world, Mode::Degraded);
    let batch = records([
        tx("a", "a1", 60, 100),
        profile("a", 2, 100.0),
        tx("a", "a2", 50, 100),
        tx("b", "b1", 60, 100),
    ]);
    let report = run_by(&world, &batch, &degraded);
    assert_eq!(report.tiers, [(Tier::HistoryOnly, 2), (Tier::Neutral, 1)].into());
    assert_eq!((report.cache.profiles_spared, report.cache.profile_misses), (2, 0));
    assert_eq!(world.faults.count(Op::LoadProfiles), before);
    for event in ["a1", "a2"] {
        assert_eq!(
            says(&world, event),
            ("history_only".to_owned(), unavailable(), Value::Null)
        );
    }
    assert_eq!(says(&world, "b1").0, "neutral");
    // The profile was stored all the same, and serves once the mode is live again.
    run_by(&world, &records([tx("a", "a3", 40, 100)]), &in_mode(&world, Mode::Live));
    assert_eq!(says(&world, "a3"), ("full".to_owned(), json!([]), json!(2)));
}

#[test]
fn a_warm_profile_is_not_used_in_the_mode_degraded() {
    let world = world_with_card_a(Policy::default_policy());
    let engine = world.engine();
    run(&engine, &records([tx("a", "a1", 60, 100)]), FAR_MS).unwrap();
    let next = records([tx("a", "a2", 50, 100)]);
    let batch: Vec<InRecord<'_>> = next.iter().map(Record::as_in).collect();
    let report = engine
        .process_by(&batch, FAR_MS, in_mode(&world, Mode::Degraded))
        .now_or_never();
    assert_eq!(report.unwrap().tiers, [(Tier::HistoryOnly, 1)].into());
}

#[test]
fn a_conflict_does_not_bring_a_spared_profile_back() {
    let world = world_with_card_a(Policy::default_policy());
    let before = world.faults.count(Op::LoadProfiles);
    let next = world.faults.count(Op::Commit);
    world.faults.at(Op::Commit, next..next + 1, Fault::ConflictWithoutItem);
    let report = run_by(
        &world,
        &records([tx("a", "a1", 60, 100)]),
        &in_mode(&world, Mode::Degraded),
    );
    assert_eq!((report.conflicts, report.tiers), (1, [(Tier::HistoryOnly, 1)].into()));
    assert_eq!(world.faults.count(Op::LoadProfiles), before);
}

#[test]
fn low_risk_reads_no_profile_and_a_card_that_also_has_a_large_amount_is_read_once() {
    let world = world_with_card_a(low_risk_policy(1));
    let before = world.faults.count(Op::LoadProfiles);
    // Amounts of 50 EUR and less on both cards: nothing is read but the states.
    let small = records([tx("a", "a1", 60, 5_000), tx("b", "b1", 60, 1)]);
    let report = run_by(&world, &small, &in_mode(&world, Mode::Live));
    assert_eq!(
        (report.tiers, report.cache.profiles_spared),
        ([(Tier::LowRisk, 2)].into(), 2)
    );
    assert_eq!(world.faults.count(Op::LoadProfiles), before);
    for event in ["a1", "b1"] {
        assert_eq!(says(&world, event), ("low_risk".to_owned(), unavailable(), Value::Null));
    }
    // One over the bound in the run: the profile is read, and serves that event alone.
    let mixed = records([tx("a", "a2", 50, 100), tx("a", "a3", 40, 5_001)]);
    let report = run_by(&world, &mixed, &in_mode(&world, Mode::Live));
    assert_eq!(report.tiers, [(Tier::Full, 1), (Tier::LowRisk, 1)].into());
    assert_eq!(world.faults.count(Op::LoadProfiles), before + 1);
    assert_eq!(says(&world, "a2").0, "low_risk");
    assert_eq!(says(&world, "a3"), ("full".to_owned(), json!([]), json!(1)));
    let all = records([
        profile("a", 1, 5_000.0),
        tx("a", "a0", 900, 100),
        tx("a", "a1", 60, 5_000),
        tx("b", "b1", 60, 1),
        tx("a", "a2", 50, 100),
        tx("a", "a3", 40, 5_001),
    ]);
    assert_as_expected(&world, &expect(&all, &world.policy));
}

#[test]
fn low_risk_stays_low_risk_in_foul_weather_and_in_the_mode_degraded() {
    let world = world_with_card_a(low_risk_policy(1));
    world.faults.at(Op::LoadProfiles, ALWAYS, timeout());
    let report = run_by(
        &world,
        &records([tx("a", "a1", 60, 100), tx("c", "c1", 60, 9_000)]),
        &in_mode(&world, Mode::Live),
    );
    assert_eq!(report.tiers, [(Tier::Neutral, 1), (Tier::LowRisk, 1)].into());
    let report = run_by(
        &world,
        &records([tx("a", "a2", 50, 100)]),
        &in_mode(&world, Mode::Degraded),
    );
    assert_eq!(report.tiers, [(Tier::LowRisk, 1)].into());
}

#[test]
fn a_candidate_that_wants_the_profile_gets_it_and_the_outcome_stays_cheap() {
    let world = world_with_card_a(low_risk_policy(1));
    let before = world.faults.count(Op::LoadProfiles);
    let candidate = |policy: Policy| Directives {
        candidate: Some(Candidate {
            policy: Arc::new(policy),
            rollout: Rollout {
                candidate: 2,
                share_pct: 100,
            },
        }),
        ..in_mode(&world, Mode::Live)
    };
    let mut full = Policy::default_policy();
    full.version = 2;
    run_by(&world, &records([tx("a", "a1", 60, 100)]), &candidate(full));
    assert_eq!(world.faults.count(Op::LoadProfiles), before + 1);
    assert_eq!(says(&world, "a1"), ("low_risk".to_owned(), unavailable(), Value::Null));
    assert_eq!(tiers(&world), [(Tier::LowRisk, Tier::Full)]);
    // The same record number again: the item is written over.
    let again = records([tx("a", "a2", 50, 100)]);
    run_by(&world, &again, &candidate(low_risk_policy(2)));
    assert_eq!(world.faults.count(Op::LoadProfiles), before + 1);
    assert_eq!(tiers(&world), [(Tier::LowRisk, Tier::LowRisk)]);
}

/// What active policy and candidate were served by.
fn tiers(world: &World) -> Vec<(Tier, Tier)> {
    let trials = world.store.trials();
    let trials = trials.iter().flat_map(|(_, batch)| &batch.trials);
    trials.map(|trial| (trial.active.tier, trial.candidate.tier)).collect()
}
