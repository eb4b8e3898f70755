//! Events of one card in one millisecond whose ids share half of their fingerprint: each counts, each is known again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, HashMap};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::segments::Segments;
use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_transaction};
use tidemark_domain::history::{History, HistoryKey};
use tidemark_domain::id::{CardId, EventId, MerchantId, fingerprint32};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;

const START_MS: i64 = 1_780_000_000_000;
/// Ids among which so many pairs share the lower half of their fingerprint that a test finds some: 400,000² / 2 / 2³².
const IDS: u32 = 400_000;

/// Pairs of ids of which the lower halves are equal.
fn pairs() -> Vec<[String; 2]> {
    let mut seen = HashMap::new();
    let mut pairs = Vec::new();
    for number in 0..IDS {
        let id = format!("tx-{number}");
        if let Some(other) = seen.insert(fingerprint32(&id), id.clone()) {
            pairs.push([other, id]);
        }
    }
    assert!(pairs.len() > 4, "{pairs:?}");
    pairs
}

fn policy(head_events_max: usize) -> Policy {
    Policy {
        head_events_max,
        ..Policy::default_policy()
    }
}

fn transaction(id: &str, time_ms: i64) -> Transaction {
    Transaction {
        event_id: EventId::new(id).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: time_ms,
        amount_minor: 100 + u64::try_from(id.len()).unwrap(),
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

/// Applies an event on a state that was written and read before: whether it counts now, and its outcome's bytes.
fn apply(state: &mut History, tx: &Transaction, policy: &Policy) -> (bool, Vec<u8>) {
    *state = History::decode(&state.encode()).unwrap();
    match fold_transaction(state, tx, ProfileInput::Absent, policy) {
        FoldAnswer::Scored { entry } => (true, render_json(&tx.card_id, &tx.event_id, &entry)),
        FoldAnswer::Duplicate { entry } => (false, render_json(&tx.card_id, &tx.event_id, &entry)),
        applied => panic!("{applied:?}"),
    }
}

#[test]
fn the_second_event_of_a_millisecond_counts_though_half_of_its_fingerprint_is_the_first_ones() {
    let policy = policy(400);
    for [first, second] in pairs() {
        let mut state = History::default();
        let at = |id: &str| transaction(id, START_MS);
        let (is_new, first_bytes) = apply(&mut state, &at(&first), &policy);
        let (is_new_too, second_bytes) = apply(&mut state, &at(&second), &policy);
        assert!(is_new && is_new_too, "{first} and {second}");
        // Other events come; both stay known, each with its own outcome.
        for step in 1..4 {
            assert!(apply(&mut state, &transaction("other", START_MS + step), &policy).0);
        }
        let before = state.encode();
        assert_eq!(apply(&mut state, &at(&first), &policy), (false, first_bytes));
        assert_eq!(apply(&mut state, &at(&second), &policy), (false, second_bytes));
        assert_eq!(state.encode(), before);
        let is_kept = |id: &str| {
            let key = HistoryKey::new(id, START_MS);
            state.entries().iter().filter(|entry| key.matches(entry)).count()
        };
        assert_eq!((is_kept(&first), is_kept(&second), is_kept("other")), (1, 1, 0));
    }
}

#[test]
fn a_label_finds_the_event_that_it_names_and_not_the_other() {
    let policy = policy(400);
    let [first, second] = pairs().remove(0);
    let (mut state, mut stored) = (History::default(), Segments::default());
    for id in [&first, &second] {
        apply(&mut state, &transaction(id, START_MS), &policy);
    }
    let label = Label {
        event_id: EventId::new(&first).unwrap(),
        card_id: CardId::new("card").unwrap(),
        verdict: Verdict::Fraud,
        known_since_ms: START_MS + 1,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    };
    assert!(matches!(
        stored.label(&mut state, &label, &policy),
        LabelAnswer::Recorded(_)
    ));
    let labelled: Vec<u64> = state
        .entries()
        .iter()
        .filter(|entry| entry.label.is_some())
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(labelled, [0]);
}

/// What is left: an event that comes when the first one of its millisecond is neither the newest arrival nor one of several.
/// Half of the fingerprint is all that is known of that one. `docs/concepts/exactly-once.md` has the figure.
#[test]
fn of_an_event_alone_in_its_millisecond_half_is_kept_once_another_came() {
    let policy = policy(400);
    let [first, second] = pairs().remove(0);
    let mut state = History::default();
    for number in 0..20 {
        apply(&mut state, &transaction("other", START_MS + number), &policy);
        let whole: Vec<u64> = state
            .entries()
            .iter()
            .filter(|entry| entry.event_fp_high.is_some())
            .map(|entry| entry.seq)
            .collect();
        assert_eq!(whole, [u64::try_from(number).unwrap()]);
    }
    assert!(apply(&mut state, &transaction(&first, START_MS + 100), &policy).0);
    assert!(apply(&mut state, &transaction("other", START_MS + 200), &policy).0);
    assert!(!apply(&mut state, &transaction(&second, START_MS + 100), &policy).0);
}

/// A millisecond's events, one after the other; between such bursts time goes on, or back.
fn bursts() -> impl Strategy<Value = Vec<(i64, Vec<(usize, usize)>)>> {
    let step_ms = prop_oneof![3 => 0_i64..100_000, 1 => -3_600_000_i64..0];
    vec((step_ms, vec((0_usize..5, 0_usize..2), 1..8)), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In the head, in segments, and where the border between them runs through a millisecond.
    #[test]
    fn what_comes_one_after_the_other_in_a_millisecond_is_told_apart_for_ever(
        bursts in bursts(),
        head_events_max in prop_oneof![Just(400_usize), 1_usize..24],
        restart in vec(0_u8..4, 60),
    ) {
        let (policy, pairs) = (policy(head_events_max), pairs_once());
        let (mut state, mut apart, mut stored) = (History::default(), History::default(), Segments::default());
        let (mut sent, mut newest_ms) = (BTreeMap::new(), START_MS);
        for ((step_ms, ids), restart) in bursts.iter().zip(restart) {
            // A millisecond of its own.
            let mut time_ms = newest_ms + step_ms;
            while sent.keys().any(|(_, at)| *at == time_ms) {
                time_ms += 1;
            }
            newest_ms = newest_ms.max(time_ms);
            for (pair, which) in ids {
                let tx = transaction(&pairs[*pair][*which], time_ms);
                let applied = stored.apply(&mut state, &tx, ProfileInput::Absent, &policy);
                let other = fold_transaction(&mut apart, &tx, ProfileInput::Absent, &policy);
                prop_assert_eq!(&applied, &other);
                let key = (tx.event_id.as_str().to_owned(), time_ms);
                match (applied, sent.get(&key)) {
                    (FoldAnswer::Scored { entry }, None) => {
                        sent.insert(key, render_json(&tx.card_id, &tx.event_id, &entry));
                    }
                    (FoldAnswer::Duplicate { entry }, Some(bytes)) => {
                        prop_assert_eq!(&render_json(&tx.card_id, &tx.event_id, &entry), bytes);
                    }
                    (applied, known) => prop_assert!(false, "{:?}, and it was sent: {}", applied, known.is_some()),
                }
            }
            if restart == 0 {
                stored.restart(&mut state);
            }
            prop_assert_eq!(state.encode(), apart.encode());
        }
        stored.restart(&mut state);
        for ((id, time_ms), bytes) in &sent {
            let tx = transaction(id, *time_ms);
            match stored.apply(&mut state, &tx, ProfileInput::Absent, &policy) {
                FoldAnswer::Duplicate { entry } => prop_assert_eq!(&render_json(&tx.card_id, &tx.event_id, &entry), bytes),
                applied => prop_assert!(false, "{applied:?}"),
            }
        }
    }
}

fn pairs_once() -> &'static [[String; 2]] {
    static PAIRS: std::sync::OnceLock<Vec<[String; 2]>> = std::sync::OnceLock::new();
    PAIRS.get_or_init(pairs)
}
