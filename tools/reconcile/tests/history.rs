//! Outcomes and histories are both looked at: what one of them lacks is named, unless it is as it should be.
#![allow(clippy::unwrap_used)]

use crate::world::{DAY_MS, NOW_MS, World, card, key, label, transaction};
use reconcile::{Evidence, Horizon, StoredCard, judge};
use tidemark_domain::invariant::Invariant;

const T_MS: i64 = NOW_MS - 3_600_000;

fn busy(events: i64) -> World {
    let mut world = World::new();
    for at in 0..events {
        let time_ms = T_MS + at * 100;
        world.run(time_ms, transaction("card-1", &format!("e{at}"), time_ms, 500));
    }
    world
}

#[test]
fn cards_of_few_and_of_many_events_hold() {
    for events in [1, 5, 60, 5_000] {
        let judgement = busy(events).holds();
        assert_eq!(judgement.outcomes.compared_with_state, events.unsigned_abs());
    }
}

#[test]
fn a_lost_state_is_named() {
    let mut world = busy(5);
    let stored = world.stored.get_mut(&card("card-1")).unwrap();
    stored.state = None;
    let judgement = world.judge();
    assert!(!judgement.holds);
    assert_eq!(judgement.outcomes.without_history, 5);
    assert!(
        judgement
            .breaks
            .iter()
            .all(|found| found.invariant == Invariant::CountsOnce),
        "{judgement:#?}"
    );
}

#[test]
fn a_state_that_was_put_back_is_named_whatever_its_size() {
    for events in [5, 5_000] {
        let mut world = busy(events);
        let before = world.stored[&card("card-1")].clone();
        world.run(NOW_MS - 2, transaction("card-1", "last", NOW_MS - 2, 500));
        let decisions = world.stored[&card("card-1")].decisions.clone();
        world.stored.insert(card("card-1"), StoredCard { decisions, ..before });
        world.breaks(Invariant::CountsOnce, "event last of card card-1");
    }
}

#[test]
fn a_card_that_is_gone_is_named_only_while_it_can_not_have_expired() {
    let mut world = busy(5);
    world.stored.clear();
    let (records, evidence) = world.read();
    let later = Horizon {
        now_ms: NOW_MS + 7 * DAY_MS,
        kept_ms: 7 * DAY_MS,
    };
    let judgement = judge(records, evidence, &world.stored, &world.keys, later).unwrap();
    assert!(judgement.holds, "{judgement:#?}");
    assert_eq!(judgement.outcomes.without_decision, 5);
}

#[test]
fn what_has_aged_out_of_a_history_is_not_missed() {
    let mut world = World::new();
    let old_ms = NOW_MS - world.policy.retention_ms() - 2 * DAY_MS;
    world.run(old_ms, transaction("card-1", "old", old_ms, 500));
    world.run(old_ms, label("card-1", "old", old_ms));
    world.run(NOW_MS, transaction("card-1", "new", NOW_MS, 500));
    let judgement = world.holds();
    assert_eq!(
        judgement.outcomes.compared_with_state, 1,
        "the old one has left the history"
    );
    assert_eq!((judgement.account.no_longer_shown, judgement.account.applied), (1, 0));
}

#[test]
fn a_lost_label_is_named_while_its_event_is_there() {
    let mut world = busy(5);
    world.accept(NOW_MS, "key", label("card-1", "e3", T_MS));
    world.breaks(Invariant::NothingLost, "label of event e3 of card card-1");
}

#[test]
fn an_event_that_counts_and_has_no_outcome_is_named() {
    let mut world = busy(5);
    world.lose_outcome(&key("card-1", "e3", T_MS + 300));
    world.breaks(
        Invariant::NothingLost,
        "counts in its card's stored history, but its outcome is not in the scores stream",
    );
}

#[test]
fn in_shadow_the_history_is_the_evidence() {
    let mut world = busy(3);
    world.sends = false;
    world.run(NOW_MS - 1_000, transaction("card-1", "in shadow", NOW_MS - 1_000, 500));
    world.evidence = || Evidence {
        withheld: vec![(NOW_MS - 2_000, NOW_MS - 500)],
        ..Evidence::default()
    };
    let judgement = world.holds();
    assert_eq!((judgement.account.scored, judgement.account.by_history), (4, 1));
    // A record that came after it has nothing to do with it.
    world.run(NOW_MS - 400, transaction("card-1", "after", NOW_MS - 400, 500));
    world.breaks(Invariant::NothingLost, "event after of card card-1");
}

#[test]
fn the_history_is_the_evidence_where_the_scores_stream_no_longer_is() {
    let mut world = World::new();
    world.sends = false;
    world.run(NOW_MS - 1_000, transaction("card-1", "e", NOW_MS - 1_000, 500));
    world.evidence = || Evidence {
        outcomes_since_ms: NOW_MS - 999,
        ..Evidence::default()
    };
    assert_eq!(world.holds().account.by_history, 1);
}

#[test]
fn an_outcome_that_nothing_stands_behind_is_named() {
    let mut world = busy(3);
    let forged = world.outcomes[0].1.clone();
    let forged = String::from_utf8(forged).unwrap().replace("\"e0\"", "\"forged\"");
    world.outcomes.push((NOW_MS, forged.into_bytes()));
    let judgement = world.judge();
    assert!(!judgement.holds);
    assert_eq!(
        (judgement.outcomes.without_history, judgement.outcomes.decision_lost),
        (1, 1),
        "{judgement:#?}"
    );
}

#[test]
fn an_outcome_that_was_changed_is_named() {
    for events in [3, 5_000] {
        let mut world = busy(events);
        let changed = String::from_utf8(world.outcomes[1].1.clone())
            .unwrap()
            .replace("\"score\":", "\"score\":1");
        world.outcomes[1].1 = changed.into_bytes();
        let judgement = world.judge();
        assert!(!judgement.holds);
        assert_eq!(judgement.outcomes.different_from_state, 1, "{judgement:#?}");
        assert_eq!(judgement.outcomes.different_from_decision, 1);
    }
}

/// As a writer would leave it that applied an event over a version which had it already: at its place, as a later arrival.
#[test]
fn an_event_that_counts_twice_is_named() {
    use tidemark_domain::history::History;
    let mut world = busy(5);
    let state = world.cards[&card("card-1")].clone();
    let mut entries = state.entries().to_vec();
    let mut again = entries[1].clone();
    again.seq = state.next_seq();
    entries.insert(2, again);
    let twice = History::from_parts(entries, state.next_seq() + 1, None, None).unwrap();
    world.stored.get_mut(&card("card-1")).unwrap().state = Some(twice.encode());
    let judgement = world.breaks(Invariant::CountsOnce, "event e1 of card card-1");
    assert!(judgement.breaks[0].what.contains("counts 2 times"));
    assert_eq!(judgement.outcomes.counted_again, 1);
}
