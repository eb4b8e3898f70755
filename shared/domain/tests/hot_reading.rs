//! Sealed segments as a driver handles them, and labels of sealed events, step by step.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::segments::Segments;
use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer};
use tidemark_domain::history::{History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

const START_MS: i64 = 1_780_000_000_000;
/// Segments that the head names.
const SEALED_REFS: usize = 3;
const EVENTS_MAX: u32 = 1_000;

fn policy() -> Policy {
    Policy {
        head_events_max: 400,
        head_bytes_max: STATE_BYTES_MAX,
        ..Policy::default_policy()
    }
}

fn transaction(number: u32) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: START_MS + i64::from(number) * 1_000,
        amount_minor: 100,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("merchant").unwrap(),
        mcc: 5411,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

/// A card of which some events are sealed, in segments that are not written yet.
fn hot_card(stored: &mut Segments) -> History {
    let mut state = History::default();
    for number in 0..EVENTS_MAX {
        if state.sealed_refs() == SEALED_REFS {
            break;
        }
        let applied = stored.apply(&mut state, &transaction(number), ProfileInput::Absent, &policy());
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
    }
    assert_eq!(state.sealed_refs(), SEALED_REFS);
    state
}

#[test]
fn what_is_at_hand_is_counted_and_only_what_is_stored_is_forgotten() {
    let mut state = hot_card(&mut Segments::default());
    let (refs, sealed) = (state.sealed_refs(), state.sealed_events());
    assert_eq!(sealed + state.entries().len() as u64, state.next_seq());
    // A tree below each of them: every event is in one leaf, every other segment is named by one inner node.
    let nodes = state.new_segments().count();
    assert!(nodes > refs, "{nodes}");
    assert_eq!(
        (state.segments_held(), state.segment_items_held()),
        (nodes, usize::try_from(sealed).unwrap() + nodes - refs)
    );
    // Not written: it would be lost.
    state.forget_segments();
    assert_eq!((state.segments_held(), state.missing_segments()), (nodes, Vec::new()));
    let unwritten = state.clone();
    state.segments_written();
    assert_eq!((state.new_segments().count(), state.segments_held()), (0, nodes));
    let written = state.clone();
    state.forget_segments();
    assert_eq!((state.segments_held(), state.segment_items_held()), (0, 0));
    assert_eq!(state.missing_segments().len(), refs);
    // What another state holds is taken over, once a store has it.
    let mut cold = state.clone();
    cold.adopt_segments(unwritten);
    assert_eq!(cold.segments_held(), 0);
    cold.adopt_segments(written);
    assert_eq!((cold.segments_held(), cold.missing_segments()), (nodes, Vec::new()));
}

#[test]
fn of_two_labels_of_a_sealed_event_the_one_known_since_later_stays() {
    let (mut stored, policy) = (Segments::default(), policy());
    let mut state = hot_card(&mut stored);
    let mut label = |state: &mut History, verdict, known_since_ms| {
        let label = Label {
            event_id: EventId::new("event-0").unwrap(),
            card_id: CardId::new("card").unwrap(),
            verdict,
            known_since_ms,
            occurred_at_ms: None,
            merchant_id: None,
            device_id: None,
            links: Links::NONE,
        };
        stored.restart(state);
        let applied = stored.label(state, &label, &policy);
        stored.read_all(state);
        let is_recorded = match applied {
            LabelAnswer::Recorded(_) => Some(true),
            LabelAnswer::Already(_) => Some(false),
            _ => None,
        };
        (is_recorded, state.all_entries()[0].label)
    };
    let (fraud, cleared) = (Verdict::Fraud, Verdict::Cleared);
    assert_eq!(label(&mut state, fraud, 10), (Some(true), Some((fraud, 10))));
    for (verdict, known_since_ms) in [(fraud, 10), (cleared, 9)] {
        let kept = (Some(false), Some((fraud, 10)));
        assert_eq!(label(&mut state, verdict, known_since_ms), kept);
    }
    assert_eq!(label(&mut state, cleared, 11), (Some(true), Some((cleared, 11))));
}

/// A policy with a smaller head seals at the next event, wherever that event belongs, and an inner node is made of its segments' lists:
/// whatever was at hand, the same state comes of it.
#[test]
fn a_late_event_under_a_smaller_head_makes_the_same_state_whatever_is_at_hand() {
    let small = Policy {
        head_events_max: 12,
        ..policy()
    };
    let of_many_merchants = |number: u32, time_ms: i64| Transaction {
        merchant_id: MerchantId::new(&format!("merchant-{}", number % 97)).unwrap(),
        occurred_at_ms: time_ms,
        ..transaction(number)
    };
    let mut sealed_more = 0;
    for events in (420..900).step_by(7) {
        let (mut state, mut stored) = (History::default(), Segments::default());
        for number in 0..events {
            let tx = of_many_merchants(number, START_MS + i64::from(number) * 1_000);
            stored.apply(&mut state, &tx, ProfileInput::Absent, &policy());
        }
        stored.restart(&mut state);
        let mut whole = state.clone();
        stored.read_all(&mut whole);
        let before = state.sealed_events();
        let late = of_many_merchants(events, START_MS + 100_500);
        for state in [&mut state, &mut whole] {
            let applied = stored.apply(state, &late, ProfileInput::Absent, &small);
            assert!(matches!(applied, FoldAnswer::Scored { .. }), "{applied:?}");
        }
        sealed_more += u32::from(state.sealed_events() > before + 1);
        assert_eq!(state.encode(), whole.encode(), "after {events} events");
        stored.write(&mut state);
        stored.write(&mut whole);
    }
    assert!(sealed_more > 10, "{sealed_more}");
}
