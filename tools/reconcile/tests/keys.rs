//! What the audit says of keys: a label that a key lacks, one that nobody sent, an item that can't be read.

use reconcile::{Evidence, KeysInForce};
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::invariant::Invariant;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory, event_identity};
use tidemark_domain::policy::{KeyTerms, Policy};
use tidemark_engine::port::KeyId;

use crate::world::{NOW_MS, World, card, label, transaction};

const T_MS: i64 = NOW_MS - 2 * 86_400_000;

fn terms() -> Vec<KeyTerms> {
    let text = Policy::default_text().to_owned()
        + "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    Policy::parse(&text, "keys.toml").unwrap().keys
}

fn terminal() -> KeyId {
    KeyId {
        name: terms()[0].name,
        identity: fingerprint64("m"),
    }
}

fn kept(event: &str, time_ms: i64, known_since_ms: i64) -> LabelledEvent {
    LabelledEvent {
        time_ms,
        event: event_identity(&card("c"), &event_id(event)),
        known_since_ms,
        verdict: Verdict::Fraud,
        explained: Some(false),
    }
}

fn event_id(id: &str) -> tidemark_domain::id::EventId {
    tidemark_domain::id::EventId::new(id).unwrap()
}

/// Two events of one card at one merchant, the first of which is called fraud.
fn world(labels: &[LabelledEvent]) -> World {
    let mut world = World::new();
    world.policy.keys = terms();
    world.evidence = || Evidence {
        keys: KeysInForce::changing(terms(), Vec::new()),
        ..Evidence::default()
    };
    world.run(T_MS, transaction("c", "e1", T_MS, 100));
    world.run(T_MS + 60_000, transaction("c", "e2", T_MS + 60_000, 100));
    world.run(T_MS + 120_000, label("c", "e1", T_MS + 120_000));
    let mut history = LabelledHistory::default();
    for label in labels {
        let _ = history.add(*label);
    }
    world.keys.insert(terminal(), history.encode());
    world
}

fn right() -> LabelledEvent {
    kept("e1", T_MS, T_MS + 120_000)
}

#[test]
fn a_key_that_has_the_label_holds() {
    let found = world(&[right()]).holds();
    assert_eq!((found.keys.keys, found.keys.labels), (1, 1));
    assert_eq!((found.keys.missing, found.keys.forged, found.keys.unread), (0, 0, 0));
}

#[test]
fn a_label_that_its_key_lacks_is_named() {
    let found = world(&[]).breaks(Invariant::NothingLost, "label of event e1 of card c");
    assert_eq!(found.keys.missing, 1);
    let mut lost = world(&[right()]);
    lost.keys.clear();
    lost.breaks(Invariant::NothingLost, &terminal().to_string());
}

#[test]
fn a_label_that_nobody_sent_is_named() {
    let found = world(&[right(), kept("e2", T_MS + 60_000, T_MS + 120_000)]);
    assert_eq!(
        found.breaks(Invariant::CountsOnce, "its card has no label").keys.forged,
        1
    );
    world(&[right(), kept("e1", T_MS, T_MS + 130_000)])
        .breaks(Invariant::CountsOnce, "later than the one that its card has");
    let other_mind = LabelledEvent {
        explained: Some(true),
        ..right()
    };
    world(&[right(), other_mind]).breaks(Invariant::CountsOnce, "says otherwise than its card");
}

#[test]
fn an_item_that_can_not_be_read_does_not_hold() {
    let mut damaged = world(&[right()]);
    damaged.keys.insert(terminal(), vec![9, 9]);
    let found = damaged.breaks(Invariant::CountsOnce, "can't be read");
    assert_eq!(found.keys.unread, 1);
}

#[test]
fn a_key_that_not_every_policy_kept_is_not_missed() {
    let mut world = world(&[]);
    world.evidence = || Evidence {
        keys: KeysInForce::changing(terms(), vec![(T_MS + 130_000, Vec::new())]),
        ..Evidence::default()
    };
    world.holds();
}
