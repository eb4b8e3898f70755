//! Every state of the protocol, and the same search with a part of the protocol taken out.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::Ordering;

use model::property;
use model::scenario::Scenario;
use model::world::{Protocol, Variant};
use stateright::{Checker, HasDiscoveries, Model};

/// Threads of the search: as many as the smallest machine that runs the tests has cores.
const THREADS: usize = 2;

fn protocol(variant: Variant, faults_max: u8) -> Protocol {
    Protocol::new(Scenario::new().unwrap(), variant, faults_max)
}

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
    let checker = explore(protocol(Variant::Whole, std::env::var("F").map_or(2, |f| f.parse().unwrap())));
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
    println!(
        "{} states, {} generated, depth {}, {} lives, {counts:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        checker.model().lives().count(),
    );
    checker.assert_properties();
}
