//! The fold against a naive one: a plain list of distinct accepted events, sorted and cut anew for every event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use tidemark_domain::catalogue::{FeatureKind, Subject};
use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Place, Profile, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_label, fold_transaction};
use tidemark_domain::history::codec::DECODE_BYTES_MAX;
use tidemark_domain::history::{Entry, History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId, fingerprint32, fingerprint64};
use tidemark_domain::model::{ProfileInput, score};
use tidemark_domain::policy::{Compiled, Policy, base_amount};
use tidemark_domain::refusal::RefusalCode;
use tidemark_domain::render::render_json;

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_780_000_000_000;

fn policy() -> Policy {
    Policy {
        outcome_features: true,
        ..Policy::default_policy()
    }
}

fn transaction(number: u32, time_ms: i64) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: time_ms,
        amount_minor: u64::from(number) * 100 + 1,
        currency: Currency::new(if number.is_multiple_of(3) { "USD" } else { "EUR" }).unwrap(),
        merchant_id: MerchantId::new(&format!("merchant-{}", number % 4)).unwrap(),
        mcc: 5411,
        country: Country::new(if number.is_multiple_of(7) { "DE" } else { "FR" }).unwrap(),
        channel: Channel::Ecommerce,
        approved: !number.is_multiple_of(5),
        device_id: number.is_multiple_of(2).then(|| DeviceId::new("device").unwrap()),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: number.is_multiple_of(3).then_some(Place {
            latitude_e4: number as i32,
            longitude_e4: 0,
        }),
    }
}

fn profile() -> Profile {
    Profile {
        card_id: CardId::new("card").unwrap(),
        version: 9,
        usual_country: Country::new("FR").unwrap(),
        spend_mean_minor: 2_000.0,
        spend_deviation_minor: 900.0,
        transactions_per_day: 2.0,
        account_opened_at_ms: 0,
        updated_at_ms: None,
    }
}

/// What a card should be, kept as plainly as can be.
#[derive(Default)]
struct Naive {
    /// Everything ever accepted, in the order of arrival; whether it is still kept.
    accepted: Vec<(Entry, bool)>,
}

impl Naive {
    fn kept(&self) -> Vec<Entry> {
        let mut kept: Vec<Entry> = self
            .accepted
            .iter()
            .filter(|(_, kept)| *kept)
            .map(|(entry, _)| entry.clone())
            .collect();
        kept.sort_by_key(|entry| (entry.time_ms, entry.seq));
        kept
    }

    fn floor_ms(&self) -> Option<i64> {
        self.accepted
            .iter()
            .filter(|(_, kept)| !kept)
            .map(|(entry, _)| entry.time_ms)
            .max()
    }

    /// Whether it is accepted.
    fn apply(&mut self, state_before: &History, tx: &Transaction, input: ProfileInput<'_>, policy: &Policy) -> bool {
        let (time_ms, event_fp) = (tx.occurred_at_ms, fingerprint32(tx.event_id.as_str()));
        let kept = self.kept();
        let newest_ms = kept
            .iter()
            .map(|entry| entry.time_ms)
            .max()
            .unwrap_or(time_ms)
            .max(time_ms);
        if kept
            .iter()
            .any(|entry| entry.event_fp == event_fp && entry.time_ms == time_ms)
            || self.floor_ms().is_some_and(|floor_ms| time_ms <= floor_ms)
            || time_ms <= newest_ms - policy.dedupe_horizon_ms
        {
            return false;
        }
        let entry = Entry {
            time_ms,
            seq: self.accepted.len() as u64,
            event_fp,
            event_fp_high: None,
            amount_base_minor: base_amount(tx, policy).unwrap_or(0),
            merchant_fp: fingerprint32(tx.merchant_id.as_str()),
            country: tx.country,
            device_fp: tx.device_id.as_ref().map(|device| fingerprint32(device.as_str())),
            device_fp_high: None,
            merchant_fp_high: None,
            links: Vec::new(),
            category: None,
            place: tx.place,
            approved: tx.approved,
            outcome: score(state_before, tx, input, policy),
            label: None,
        };
        self.accepted.push((entry, true));
        for (entry, kept) in &mut self.accepted {
            *kept &= entry.time_ms > newest_ms - policy.retention_ms();
        }
        true
    }
}

/// A stream with repeated ids, equal times, late and far too late events.
fn stream() -> impl Strategy<Value = Vec<(u32, i64)>> {
    let late_ms = prop_oneof![
        4 => Just(0),
        2 => 0_i64..2 * DAY_MS,
        1 => 6 * DAY_MS..9 * DAY_MS,
        1 => 40 * DAY_MS..80 * DAY_MS,
    ];
    let step_ms = prop_oneof![3 => 0_i64..DAY_MS, 2 => Just(0), 1 => 0_i64..20 * DAY_MS];
    vec((0_u32..60, step_ms, late_ms), 1..120).prop_map(|events| {
        let mut now_ms = START_MS;
        let time = |(number, step_ms, late_ms): (u32, i64, i64)| {
            now_ms += step_ms;
            (number, now_ms - late_ms)
        };
        events.into_iter().map(time).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_state_is_the_fold_of_its_distinct_events(stream in stream(), head_events_max in prop_oneof![Just(400_usize), 1_usize..12]) {
        let policy = Policy { head_events_max, ..policy() };
        let (profile, mut naive, mut state) = (profile(), Naive::default(), History::default());
        let mut fingerprints = HashMap::new();
        for (number, time_ms) in &stream {
            let tx = transaction(*number, *time_ms);
            fingerprints.insert(fingerprint32(tx.event_id.as_str()), fingerprint64(tx.event_id.as_str()));
            let input = if number.is_multiple_of(2) { ProfileInput::Known(&profile) } else { ProfileInput::Absent };
            let before = state.clone();
            let applied = fold_transaction(&mut state, &tx, input, &policy);
            let accepted = naive.apply(&before, &tx, input, &policy);
            prop_assert_eq!(matches!(applied, FoldAnswer::Scored { .. }), accepted, "{:?}", applied);
            match applied {
                FoldAnswer::Scored { entry } => {
                    prop_assert_eq!(entry.event_fp, fingerprint32(tx.event_id.as_str()));
                    prop_assert_eq!(entry.time_ms, *time_ms);
                }
                FoldAnswer::Duplicate { entry } => {
                    prop_assert_eq!(entry.event_fp, fingerprint32(tx.event_id.as_str()));
                    prop_assert_eq!(&state, &before);
                }
                FoldAnswer::NeedsSegments(keys) => prop_assert!(false, "everything is at hand, but not {keys:?}"),
                FoldAnswer::Refused(refusal) => {
                    prop_assert_eq!(refusal.code, RefusalCode::BeyondHorizon);
                    prop_assert_eq!(&state, &before);
                }
            }
            // A segment is dropped whole, once all of it is beyond the retention: what a state keeps longer, it does not use.
            let aged_ms = naive.floor_ms().unwrap_or(i64::MIN);
            let kept: Vec<Entry> = state.all_entries().into_iter().filter(|entry| entry.time_ms > aged_ms).cloned().collect();
            // Where the whole fingerprint is kept is another test's; where it is, it is the event's.
            for entry in &kept {
                prop_assert!(entry.is_of(fingerprints[&entry.event_fp]));
            }
            let kept: Vec<Entry> = kept.into_iter().map(|entry| Entry { event_fp_high: None, ..entry }).collect();
            prop_assert_eq!(&kept, &naive.kept());
            if state.sealed_refs() == 0 {
                prop_assert_eq!(state.entries().len(), kept.len());
            }
            prop_assert!(state.floor_ms() <= naive.floor_ms());
            prop_assert_eq!(state.next_seq(), naive.accepted.len() as u64);
            prop_assert!(state.entries().len() <= head_events_max);
        }
    }

    #[test]
    fn a_duplicate_gets_the_first_outcome_byte_for_byte(stream in stream(), head_events_max in prop_oneof![Just(400_usize), 1_usize..20]) {
        let policy = Policy { head_events_max, ..policy() };
        let (profile, mut state, mut segments) = (profile(), History::default(), crate::segments::Segments::default());
        let mut sent: Vec<(Transaction, Vec<u8>)> = Vec::new();
        for (number, time_ms) in &stream {
            let tx = transaction(*number, *time_ms);
            if let FoldAnswer::Scored { entry } = segments.apply(&mut state, &tx, ProfileInput::Known(&profile), &policy) {
                let bytes = render_json(&tx.card_id, &tx.event_id, &entry);
                sent.push((tx, bytes));
            }
            let verdict = if number.is_multiple_of(2) { Verdict::Fraud } else { Verdict::Cleared };
            let label = Label {
                event_id: EventId::new(&format!("event-{}", number / 2)).unwrap(),
                card_id: CardId::new("card").unwrap(),
                verdict,
                known_since_ms: *time_ms,
                occurred_at_ms: None,
                merchant_id: None,
                device_id: None,
                links: Links::NONE,
            };
            segments.label(&mut state, &label, &policy);
            // As if the function had been started anew.
            segments.restart(&mut state);
            let bytes = state.encode();
            let newest_ms = state.newest_ms().unwrap_or(i64::MIN);
            for (tx, first) in &sent {
                // Without a profile now: the outcome is the stored one, not a new one.
                match segments.apply(&mut state, tx, ProfileInput::Absent, &policy) {
                    FoldAnswer::Duplicate { entry } => {
                        prop_assert_eq!(&render_json(&tx.card_id, &tx.event_id, &entry), first);
                    }
                    // However full the head is: only what is beyond the retention is forgotten.
                    FoldAnswer::Refused(_) => prop_assert!(tx.occurred_at_ms <= newest_ms - policy.retention_ms()),
                    applied => prop_assert!(false, "a duplicate was scored: {applied:?}"),
                }
            }
            prop_assert_eq!(state.encode(), bytes);
        }
    }

    #[test]
    fn labels_commute(order in Just((0..6_u8).collect::<Vec<_>>()).prop_shuffle()) {
        let mut state = History::default();
        fold_transaction(&mut state, &transaction(1, START_MS), ProfileInput::Absent, &policy());
        for kind in order {
            let verdict = if kind % 2 == 0 { Verdict::Fraud } else { Verdict::Cleared };
            fold_label(&mut state, &label(1, verdict, START_MS + i64::from(kind / 2)), &policy());
        }
        prop_assert_eq!(state.entries()[0].label, Some((Verdict::Cleared, START_MS + 2)));
    }
}

fn label(number: u32, verdict: Verdict, known_since_ms: i64) -> Label {
    let tx = transaction(number, 0);
    Label {
        event_id: tx.event_id,
        card_id: tx.card_id,
        verdict,
        known_since_ms,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    }
}

#[test]
fn a_label_is_kept_with_its_event_and_leaves_the_outcome_alone() {
    let mut state = History::default();
    let tx = transaction(1, START_MS);
    fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy());
    let before = render_json(&tx.card_id, &tx.event_id, &state.entries()[0]);
    assert!(matches!(
        fold_label(&mut state, &label(2, Verdict::Fraud, 5), &policy()),
        LabelAnswer::UnknownEvent
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Fraud, 5), &policy()),
        LabelAnswer::Recorded(_)
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Fraud, 5), &policy()),
        LabelAnswer::Already(_)
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Cleared, 4), &policy()),
        LabelAnswer::Already(_)
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Cleared, 5), &policy()),
        LabelAnswer::Recorded(_)
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Fraud, 5), &policy()),
        LabelAnswer::Already(_)
    ));
    assert!(matches!(
        fold_label(&mut state, &label(1, Verdict::Fraud, 6), &policy()),
        LabelAnswer::Recorded(_)
    ));
    assert_eq!(state.entries()[0].label, Some((Verdict::Fraud, 6)));
    assert_eq!(render_json(&tx.card_id, &tx.event_id, &state.entries()[0]), before);
}

#[test]
fn of_two_events_with_one_id_a_label_means_the_later_one() {
    let mut state = History::default();
    for time_ms in [START_MS, START_MS - 10] {
        fold_transaction(&mut state, &transaction(1, time_ms), ProfileInput::Absent, &policy());
    }
    assert_eq!(state.entries().len(), 2);
    fold_label(&mut state, &label(1, Verdict::Fraud, 5), &policy());
    assert_eq!(state.entries()[0].label, None);
    assert_eq!(state.entries()[1].label, Some((Verdict::Fraud, 5)));
}

#[test]
fn a_full_head_seals_its_oldest_and_takes_late_events_among_them() {
    let policy = Policy {
        head_events_max: 3,
        ..policy()
    };
    let mut state = History::default();
    let mut apply = |number, time_ms| {
        let tx = transaction(number, time_ms);
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
        (applied, state.entries().len(), state.sealed_events(), state.next_seq())
    };
    for number in 0..5_u32 {
        let (applied, head, sealed, next) = apply(number, START_MS + i64::from(number) * 10);
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
        let expected = if number < 3 {
            (u64::from(number) + 1, 0)
        } else {
            (1, u64::from(number))
        };
        assert_eq!(
            (head as u64, sealed, next),
            (expected.0, expected.1, u64::from(number) + 1)
        );
    }
    // Between two sealed events, and older than all of them.
    for (number, time_ms) in [(9, START_MS + 15), (10, START_MS - 5)] {
        let (applied, head, ..) = apply(number, time_ms);
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
        assert_eq!(head, 1);
        let (applied, ..) = apply(number, time_ms);
        assert!(matches!(applied, FoldAnswer::Duplicate { entry } if entry.time_ms == time_ms));
    }
    assert_eq!((state.truncation(), state.floor_ms()), (None, None));
}

#[test]
fn a_smaller_limit_takes_effect_with_the_next_event() {
    let mut state = History::default();
    for number in 0..50 {
        fold_transaction(
            &mut state,
            &transaction(number, START_MS + i64::from(number)),
            ProfileInput::Absent,
            &policy(),
        );
    }
    let policy = Policy {
        head_events_max: 10,
        ..policy()
    };
    let applied = fold_transaction(
        &mut state,
        &transaction(50, START_MS + 50),
        ProfileInput::Absent,
        &policy,
    );
    assert!(matches!(applied, FoldAnswer::Scored { .. }));
    // A quarter of the limit stays at most: whole leaves go, of four events each.
    assert_eq!((state.entries().len(), state.sealed_events()), (1, 50));
}

#[test]
fn a_hot_card_with_every_feature_stays_within_its_bytes() {
    let windows: Vec<u32> = (1..=16).map(|index| index * 45).collect();
    let kinds = FeatureKind::ALL;
    let of_card = |kind: &&FeatureKind| kind.subject() == Subject::Card;
    let features = kinds.iter().filter(of_card).flat_map(|kind| {
        let windows = if kind.is_windowed() { windows.clone() } else { vec![0] };
        windows
            .into_iter()
            .map(|window| tidemark_domain::catalogue::FeatureKey::new(*kind, window))
    });
    let (features, weights): (Vec<_>, Vec<_>) = (features.collect(), policy().weights().collect());
    let policy = Policy {
        compiled: Compiled::new(windows.clone(), &features, &weights),
        ..policy()
    };
    let (profile, mut state) = (profile(), History::default());
    for number in 0..500 {
        let tx = transaction(number, START_MS + i64::from(number) * 1_234_567);
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Known(&profile), &policy);
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
        if number % 50 == 49 {
            let bytes = state.encode();
            assert!(
                bytes.len() <= STATE_BYTES_MAX,
                "{} bytes after {number} events",
                bytes.len()
            );
            assert_eq!(History::decode(&bytes).unwrap(), state);
        }
    }
    assert_eq!(state.truncation(), None);
    assert_eq!(state.sealed_events() + state.entries().len() as u64, 500);
    let largest = state.new_segments().map(|segment| segment.bytes.len()).max();
    assert!(
        largest.is_some_and(|bytes| bytes <= DECODE_BYTES_MAX),
        "{largest:?} bytes"
    );
}

#[test]
fn times_at_the_ends_of_the_calendar_do_not_panic() {
    for time_ms in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let mut state = History::default();
        for time_ms in [time_ms, 0, i64::MAX, i64::MIN] {
            fold_transaction(&mut state, &transaction(1, time_ms), ProfileInput::Absent, &policy());
            assert_eq!(History::decode(&state.encode()).unwrap(), state);
        }
    }
}

#[test]
fn what_was_dropped_by_age_is_known_by_its_newest_time() {
    let (policy, profile, mut state) = (policy(), profile(), History::default());
    let newest_ms = START_MS + policy.retention_ms() + 15;
    for (number, time_ms) in [(0, START_MS), (1, START_MS + 10), (2, START_MS + 20), (3, newest_ms)] {
        assert_eq!(state.floor_ms(), None);
        let tx = transaction(number, time_ms);
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Known(&profile), &policy);
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
    }
    assert_eq!((state.floor_ms(), state.entries().len()), (Some(START_MS + 10), 2));
    // At the floor nobody can tell any more.
    let late = |time_ms: i64| {
        let tx = transaction(4, time_ms);
        fold_transaction(&mut state.clone(), &tx, ProfileInput::Known(&profile), &policy)
    };
    assert!(matches!(late(START_MS + 10), FoldAnswer::Refused { .. }));
}
