//! An event is known by its card, its id and its time, and by nothing less.
#![allow(clippy::unwrap_used)]

use crate::world::{NOW_MS, World, card, key, transaction};
use reconcile::Account;
use tidemark_domain::invariant::Invariant;

const T_MS: i64 = NOW_MS - 3_600_000;
/// Ids as producers may write them.
const ODD_IDS: [&str; 8] = [
    "1",
    "d2#000000000000001#e",
    "#",
    "a b",
    "é\u{301}",
    "a:b/c?d",
    "\u{1F4B3}",
    "null",
];

#[test]
fn another_cards_event_of_the_same_id_that_was_never_processed_is_found() {
    for id in ODD_IDS {
        let mut world = World::new();
        world.run(T_MS, transaction("card-1", id, T_MS, 500));
        world.accept(T_MS + 10, "key", transaction("card-2", id, T_MS, 500));
        world.breaks(Invariant::NothingLost, "of card card-2");
    }
}

#[test]
fn an_event_of_the_same_id_at_another_time_that_was_never_processed_is_found() {
    let mut world = World::new();
    world.run(T_MS, transaction("card-1", "e", T_MS, 500));
    world.accept(T_MS + 10, "key", transaction("card-1", "e", T_MS - 1, 500));
    world.breaks(
        Invariant::NothingLost,
        &format!("event e of card card-1 at {}", T_MS - 1),
    );
}

#[test]
fn ids_on_two_cards_and_reused_at_other_times_hold() {
    let mut world = World::new();
    for id in ODD_IDS {
        for name in ["card-1", "card-2"] {
            for time_ms in [T_MS, T_MS + 1, T_MS + 60_000, T_MS - 86_400_000] {
                world.run(T_MS + 60_001, transaction(name, id, time_ms, 500));
                // And the producer sends it once more.
                world.run(T_MS + 60_002, transaction(name, id, time_ms, 500));
            }
        }
    }
    let events = ODD_IDS.len() as u64 * 8;
    let judgement = world.holds();
    assert_eq!(
        (judgement.account.scored, judgement.account.duplicate),
        (events, events)
    );
    assert_eq!(
        (judgement.outcomes.events, judgement.outcomes.records),
        (events, 2 * events)
    );
    assert_eq!(judgement.outcomes.compared_with_decision, events);
}

#[test]
fn labels_of_two_cards_are_two_labels() {
    let mut world = World::new();
    for name in ["card-1", "card-2"] {
        world.run(T_MS, transaction(name, "e", T_MS, 500));
        world.run(T_MS + 1, crate::world::label(name, "e", T_MS));
    }
    let account = world.holds().account;
    assert_eq!((account.applied, account.duplicate), (2, 0));
}

#[test]
fn a_decision_is_of_its_event_alone() {
    let mut world = World::new();
    world.run(T_MS, transaction("card-1", "e", T_MS, 500));
    world.run(T_MS, transaction("card-1", "e", T_MS + 1, 900));
    assert_eq!(world.holds().outcomes.compared_with_decision, 2);
    // The second was never recorded, as it was while decisions were kept by id.
    world.stored.get_mut(&card("card-1")).unwrap().decisions.pop();
    let judgement = world.breaks(Invariant::OneOutcome, "no recorded decision");
    assert_eq!(judgement.outcomes.decision_lost, 1);
}

#[test]
fn the_account_alone_tells_events_apart_too() {
    let mut world = World::new();
    world.run(T_MS, transaction("card-1", "e", T_MS, 500));
    world.run(T_MS, transaction("card-2", "e", T_MS, 500));
    world.lose_outcome(&key("card-2", "e", T_MS));
    let (records, evidence) = world.read();
    let account = Account::of(records.iter(), &evidence);
    assert_eq!((account.scored, account.unaccounted), (1, 1));
}
