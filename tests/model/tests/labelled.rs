//! Every state of how a label teaches a key, and the same search with a part of the protocol changed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells how far it searched"
)]

use model::labelled::{CARD_FIRST, Protocol, TAUGHT, Variant};
use stateright::{Checker, Model};

fn broken(variant: Variant, faults_max: u8) -> Vec<&'static str> {
    let protocol = Protocol::new(variant, faults_max).unwrap();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    checker.discoveries().into_keys().collect()
}

#[test]
fn every_state_of_a_label_s_way_keeps_i1_i2_and_i5() {
    let protocol = Protocol::new(Variant::Whole, 3).unwrap();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done());
    eprintln!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 20_000, "the search looked away");
}

#[test]
fn a_key_that_is_written_before_its_card_is_found() {
    assert!(broken(Variant::KeyFirst, 1).contains(&CARD_FIRST));
}

#[test]
fn an_end_before_the_key_has_the_label_is_found() {
    assert!(broken(Variant::EndBeforeKey, 1).contains(&TAUGHT));
}

#[test]
fn a_label_that_clears_and_is_not_handed_over_again_is_found() {
    assert!(broken(Variant::NotAgain, 1).contains(&TAUGHT));
}
