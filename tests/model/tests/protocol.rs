//! Every state of the protocol, and the same search with a part of the protocol taken out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and tells how far it searched"
)]

use std::sync::atomic::Ordering;

use model::property;
use model::scenario::Scenario;
use model::world::{Protocol, Variant};
use stateright::{Checker, Model};

/// Threads of the search: as many as the smallest machine that runs the tests has cores.
const THREADS: usize = 2;

fn protocol(variant: Variant, faults_max: u8) -> Protocol {
    Protocol::new(Scenario::new().unwrap(), variant, faults_max)
}

/// Faults in one history; `TIDEMARK_MODEL_FAULTS` allows more: 5 take a minute.
const FAULTS_MAX: u8 = 3;
/// States that the search finds with so many faults, at least: fewer would mean that it looks away.
const STATES_MIN: usize = 100_000;

/// Explores every state; no depth, count or time limits it.
fn explore(protocol: Protocol) -> impl Checker<Protocol> {
    let checker = protocol.checker().threads(THREADS).spawn_bfs().join();
    assert!(checker.is_done());
    let surprises = checker.model().seen.surprises.lock().unwrap().clone();
    assert!(surprises.is_empty(), "{surprises:?}");
    checker
}

/// Names of the properties that a variant breaks; the search ends with the first.
fn broken(variant: Variant) -> Vec<&'static str> {
    let protocol = protocol(variant, 1);
    let checker = protocol.checker().threads(THREADS).spawn_bfs().join();
    let mut names: Vec<&str> = checker.discoveries().into_keys().collect();
    names.sort_unstable();
    names
}

#[test]
fn every_state_of_the_protocol_keeps_i2_i3_and_i5() {
    let faults_max = std::env::var("TIDEMARK_MODEL_FAULTS").map_or(FAULTS_MAX, |text| text.parse().unwrap());
    let checker = explore(protocol(Variant::Whole, faults_max));
    let seen = &checker.model().seen;
    let counts = [
        ("stale reads", &seen.stale_reads),
        ("conflicts", &seen.conflicts),
        ("own winners", &seen.own_winners),
        ("landed late", &seen.landed_late),
        ("late losers", &seen.late_losers),
        ("zombie writes", &seen.zombie_writes),
        ("given back", &seen.given_back),
        ("sent again", &seen.sent_again),
        ("warm starts", &seen.warm_starts),
    ]
    .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)));
    eprintln!(
        "{faults_max} faults: {} states, {} generated, depth {}, {counts:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    checker.assert_properties();
    assert!(
        checker.unique_state_count() >= STATES_MIN || faults_max < FAULTS_MAX,
        "the search looked away"
    );
    // What makes it hard was there.
    for (name, count) in counts {
        assert!(count > 0 || faults_max < FAULTS_MAX, "no {name}");
    }
}

#[test]
fn without_the_condition_on_the_version_a_write_takes_away_anothers() {
    let broken = broken(Variant::NoCondition);
    assert!(
        broken.contains(&property::NO_LOST_UPDATE) || broken.contains(&property::ONCE),
        "{broken:?}"
    );
}

/// Faults beside a restore: more would multiply the states without another kind of them.
const RESTORE_FAULTS_MAX: u8 = 1;

#[test]
fn after_a_restore_no_write_takes_away_what_was_written_since() {
    let checker = explore(protocol(Variant::Whole, RESTORE_FAULTS_MAX).with_restores(1));
    checker.assert_properties();
    let other_tags = checker.model().seen.other_tags.load(Ordering::Relaxed);
    eprintln!(
        "a restore: {} states, {other_tags} other tags",
        checker.unique_state_count()
    );
    assert!(other_tags > 0, "no number was given twice: the search looked away");
}

#[test]
fn a_condition_on_the_number_alone_takes_away_what_was_written_after_a_restore() {
    let protocol = protocol(Variant::NumberOnly, 0).with_restores(1);
    let checker = protocol.checker().threads(THREADS).spawn_bfs().join();
    let broken: Vec<&str> = checker.discoveries().into_keys().collect();
    assert_eq!(broken, [property::NO_LOST_UPDATE]);
}

#[test]
fn an_outcome_sent_before_its_commit_is_found() {
    let broken = broken(Variant::SendFirst);
    assert!(
        broken.contains(&property::COMMITTED_FIRST) || broken.contains(&property::ONE_OUTCOME),
        "{broken:?}"
    );
}

#[test]
fn a_delivery_that_is_not_repeated_is_found() {
    let broken = broken(Variant::NoRedelivery);
    assert!(
        broken.contains(&property::ENDS) || broken.contains(&property::SETTLED),
        "{broken:?}"
    );
}

#[test]
fn the_page_of_the_model_has_every_property_with_its_invariant() {
    let page = include_str!("../../../docs/concepts/protocol-model.md");
    for property in property::all() {
        let (label, words) = property.name.split_once(": ").unwrap_or(("none", property.name));
        let row = format!("| {words} | {label}");
        assert!(page.contains(&row), "docs/concepts/protocol-model.md should say: {row}");
    }
}
