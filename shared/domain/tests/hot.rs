//! Hot cards: sealed segments against a naive list of events. Duplicates are found exactly, windows are exact or off by no
//! more than they say, and what is at hand changes nothing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::segments::{Segments, fraud};
use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::{Channel, Country, Currency, Links, Place, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_transaction, segments_of_windows};
use tidemark_domain::history::sealed::KNOWN_MAX;
use tidemark_domain::history::{History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::model::{ProfileInput, score};
use tidemark_domain::outcome::StoredOutcome;
use tidemark_domain::policy::{Compiled, Policy};
use tidemark_domain::render::render_json;

const START_MS: i64 = 1_780_000_000_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;

const COUNTRIES: [&str; 20] = [
    "FR", "DE", "IT", "ES", "PT", "BE", "NL", "LU", "CH", "AT", "PL", "CZ", "SK", "HU", "RO", "BG", "GR", "SE", "FI",
    "DK",
];

fn policy(head_events_max: usize) -> Policy {
    Policy {
        head_events_max,
        // Beside the limit of events that of bytes, in every second policy.
        head_bytes_max: if head_events_max.is_multiple_of(2) { 256 } else { 900 },
        outcome_features: true,
        ..Policy::default_policy()
    }
}

/// An event at one of so many merchants, countries and devices.
fn transaction(number: u32, time_ms: i64, variety: u32) -> Transaction {
    let spread = number.wrapping_mul(0x9E37_79B9) >> 8;
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: time_ms,
        amount_minor: u64::from(spread % 9_000) + 1,
        // One in seven in a currency that the policy has no rate for.
        currency: Currency::new(if spread % 7 == 3 { "VND" } else { "EUR" }).unwrap(),
        merchant_id: MerchantId::new(&format!("merchant-{}", spread % variety)).unwrap(),
        mcc: 5411,
        country: Country::new(COUNTRIES[(spread % variety.min(20)) as usize]).unwrap(),
        channel: Channel::Ecommerce,
        approved: !spread.is_multiple_of(9),
        device_id: DeviceId::new(&format!("device-{}", spread % variety)),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: spread.is_multiple_of(3).then_some(Place {
            latitude_e4: 480_000 + (spread % 1_000) as i32,
            longitude_e4: 20_000,
        }),
    }
}

/// The windowed features of an event, from all accepted ones.
fn naive(accepted: &[Transaction], tx: &Transaction, key: FeatureKey) -> Option<f64> {
    let start_ms = tx.occurred_at_ms - i64::from(key.window_minutes) * MINUTE_MS;
    let in_window = |other: &&Transaction| other.occurred_at_ms > start_ms && other.occurred_at_ms <= tx.occurred_at_ms;
    let held: Vec<&Transaction> = accepted.iter().filter(in_window).chain([tx]).collect();
    let is_known = |tx: &&&Transaction| tx.currency.as_str() == "EUR";
    let amounts = || held.iter().filter(is_known).map(|tx| tx.amount_minor);
    let distinct =
        |name: &dyn Fn(&Transaction) -> String| held.iter().map(|tx| name(tx)).collect::<BTreeSet<_>>().len();
    let (n, known, sum) = (
        held.len() as f64,
        amounts().count() as f64,
        amounts().sum::<u64>() as f64,
    );
    let squares: f64 = amounts().map(|amount| (amount * amount) as f64).sum();
    let is_of_amounts = matches!(
        key.kind,
        FeatureKind::Sum | FeatureKind::Mean | FeatureKind::Deviation | FeatureKind::Min | FeatureKind::Max
    );
    if is_of_amounts && !is_known(&&tx) {
        return None;
    }
    Some(match key.kind {
        FeatureKind::Count => n,
        FeatureKind::Sum => sum,
        FeatureKind::Mean => sum / known,
        FeatureKind::Deviation => ((known * squares - sum * sum).max(0.0)).sqrt() / known,
        FeatureKind::Min => amounts().min()? as f64,
        FeatureKind::Max => amounts().max()? as f64,
        FeatureKind::ShareDeclined => held.iter().filter(|tx| !tx.approved).count() as f64 / n,
        FeatureKind::DistinctMerchants => distinct(&|tx| tx.merchant_id.to_string()) as f64,
        FeatureKind::DistinctCountries => distinct(&|tx| tx.country.as_str().to_owned()) as f64,
        _ => return None,
    })
}

/// Whether the history holds what an event brings.
fn naive_new(accepted: &[Transaction], tx: &Transaction, kind: FeatureKind, longest_ms: i64) -> Option<f64> {
    let start_ms = tx.occurred_at_ms - longest_ms;
    let prior = |other: &&Transaction| other.occurred_at_ms > start_ms && other.occurred_at_ms <= tx.occurred_at_ms;
    let same = |other: &Transaction| match kind {
        FeatureKind::NewMerchant => other.merchant_id == tx.merchant_id,
        FeatureKind::NewCountry => other.country == tx.country,
        _ => other.device_id == tx.device_id,
    };
    let mut history = accepted.iter().filter(prior).peekable();
    history.peek()?;
    Some(if history.any(same) { 0.0 } else { 1.0 })
}

/// Features that are off by more than so many times what is stated.
fn compare(
    accepted: &[Transaction],
    tx: &Transaction,
    outcome: &StoredOutcome,
    policy: &Policy,
    times: f64,
) -> Vec<String> {
    let errors: BTreeMap<FeatureKey, f64> = outcome.approximate.iter().copied().collect();
    let mut off = Vec::new();
    for (key, value) in &outcome.features {
        let expected = match key.kind {
            FeatureKind::NewMerchant | FeatureKind::NewCountry | FeatureKind::NewDevice => {
                naive_new(accepted, tx, key.kind, policy.window_max_ms())
            }
            _ if key.kind.is_windowed() => naive(accepted, tx, *key),
            _ => continue,
        };
        let error = times * errors.get(key).copied().unwrap_or(0.0);
        let same = match (expected, value) {
            (Some(expected), Some(value)) => (expected - value).abs() <= error + 1e-9 * expected.abs().max(1.0),
            (None, None) => true,
            _ => false,
        };
        if !same {
            off.push(format!("{key}: {value:?} ± {error}, should be {expected:?}"));
        }
    }
    off
}

/// Steps between events and how late some of them are: seconds to days.
fn stream() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let step_ms = prop_oneof![3 => 0_i64..MINUTE_MS, 1 => Just(0), 1 => 0_i64..DAY_MS / 2];
    let late_ms = prop_oneof![5 => Just(0), 1 => 0_i64..60 * MINUTE_MS, 1 => 0_i64..6 * DAY_MS];
    vec((step_ms, late_ms), 1..220)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many merchants, countries and devices there are, nothing is off; whatever is forgotten in between.
    #[test]
    fn every_window_is_exact_and_every_duplicate_known(
        stream in stream(),
        head_events_max in 1_usize..40,
        variety in prop_oneof![Just(12_u32), 1_u32..400],
        restart in vec(0_u8..6, 220),
    ) {
        let policy = policy(head_events_max);
        let (mut state, mut apart, mut stored) = (History::default(), History::default(), Segments::default());
        let (mut accepted, mut sent, mut now_ms) = (Vec::new(), Vec::new(), START_MS);
        for (number, ((step_ms, late_ms), restart)) in (0..).zip(stream.iter().zip(restart)) {
            now_ms += step_ms;
            let tx = transaction(number, now_ms - late_ms, variety);
            let applied = stored.apply(&mut state, &tx, ProfileInput::Absent, &policy);
            // The same event where everything is at hand.
            let other = fold_transaction(&mut apart, &tx, ProfileInput::Absent, &policy);
            prop_assert_eq!(&applied, &other);
            if let FoldAnswer::Scored { entry } = applied {
                prop_assert_eq!(compare(&accepted, &tx, &entry.outcome, &policy, 1.0), Vec::<String>::new());
                prop_assert_eq!(&entry.outcome.approximate, &Vec::new());
                sent.push((tx.clone(), render_json(&tx.card_id, &tx.event_id, &entry)));
                accepted.push(tx);
            }
            if restart == 0 {
                stored.restart(&mut state);
            } else if restart == 1 {
                stored.write(&mut state);
                state.forget_segments();
            }
            prop_assert_eq!(state.encode(), apart.encode());
        }
        for (tx, bytes) in &sent {
            match stored.apply(&mut state, tx, ProfileInput::Absent, &policy) {
                FoldAnswer::Duplicate { entry } => prop_assert_eq!(&render_json(&tx.card_id, &tx.event_id, &entry), bytes),
                FoldAnswer::Refused(_) => prop_assert!(
                    tx.occurred_at_ms <= state.newest_ms().unwrap() - policy.retention_ms()
                ),
                applied => prop_assert!(false, "{applied:?}"),
            }
        }
        prop_assert_eq!(state.encode(), apart.encode());
        stored.read_all(&mut state);
        prop_assert_eq!(state.all_entries(), apart.all_entries());
    }

    /// Where lists are not at hand, what is off says so in the outcome, and is off by no more than six standard errors;
    /// everything else is exact.
    #[test]
    fn an_outcome_states_the_error_of_every_feature_that_is_off(
        stream in stream(),
        head_events_max in 8_usize..40,
        variety in 1_u32..400,
    ) {
        let policy = policy(head_events_max);
        let (mut state, mut stored, mut accepted, mut now_ms) =
            (History::default(), Segments::default(), Vec::new(), START_MS);
        for (number, (step_ms, late_ms)) in (0..).zip(&stream) {
            now_ms += step_ms;
            let tx = transaction(number, now_ms - late_ms, variety);
            let estimated = estimated(&state, &mut stored, &tx, &policy);
            if let FoldAnswer::Scored { entry } = stored.apply(&mut state, &tx, ProfileInput::Absent, &policy) {
                prop_assert_eq!(compare(&accepted, &tx, &estimated, &policy, 2.0), Vec::<String>::new());
                let entry = tidemark_domain::history::Entry { outcome: estimated, ..*entry };
                let json: serde_json::Value =
                    serde_json::from_slice(&render_json(&tx.card_id, &tx.event_id, &entry)).unwrap();
                let stated = json.get("approximate").map_or(0, |errors| errors.as_object().unwrap().len());
                prop_assert_eq!(stated, entry.outcome.approximate.len());
                accepted.push(tx);
            }
        }
    }

    /// Labels find their events in the head and in segments, and change nothing but themselves.
    #[test]
    fn a_label_finds_a_sealed_event(stream in stream(), head_events_max in 4_usize..40, picks in vec(any::<prop::sample::Index>(), 1..8)) {
        let policy = policy(head_events_max);
        let (mut state, mut stored, mut now_ms) = (History::default(), Segments::default(), START_MS);
        for (number, (step_ms, _)) in (0..).zip(&stream) {
            now_ms += step_ms;
            stored.apply(&mut state, &transaction(number, now_ms, 5), ProfileInput::Absent, &policy);
        }
        stored.restart(&mut state);
        for pick in picks {
            let label = fraud(&format!("event-{}", pick.index(stream.len())), now_ms);
            let first = stored.label(&mut state, &label, &policy);
            let known = state.clone().encode();
            stored.restart(&mut state);
            prop_assert!(matches!(first, LabelAnswer::Recorded(_) | LabelAnswer::Already(_) | LabelAnswer::UnknownEvent));
            if first != LabelAnswer::UnknownEvent {
                prop_assert!(matches!(stored.label(&mut state, &label, &policy), LabelAnswer::Already(_)));
            }
            prop_assert_eq!(state.encode(), known);
        }
        stored.read_all(&mut state);
        prop_assert!(state.all_entries().iter().all(|entry| entry.label.is_none_or(|(verdict, _)| verdict == Verdict::Fraud)));
    }
}

/// The outcome of an event on a card of which only those segments are at hand that an edge of a window divides: what a
/// score was made of before inner nodes had lists.
fn estimated(state: &History, stored: &mut Segments, tx: &Transaction, policy: &Policy) -> StoredOutcome {
    let counts = FeatureKey::new(FeatureKind::Count, 5);
    let plain = Policy {
        compiled: Compiled::new(policy.windows().to_vec(), &[counts], &[]),
        ..policy.clone()
    };
    let mut cold = state.clone();
    stored.write(&mut cold);
    cold.forget_segments();
    stored.supply_all(&mut cold, &|state| segments_of_windows(state, tx, &plain));
    score(&cold, tx, ProfileInput::Absent, policy)
}

#[test]
fn many_merchants_are_exact_and_without_lists_estimated_within_the_error_that_is_stated() {
    let policy = policy(80);
    let (mut checked, mut wrong, mut stated) = (0, Vec::new(), 0);
    for variety in [17, 40, 300] {
        let (mut state, mut stored, mut accepted) = (History::default(), Segments::default(), Vec::new());
        for number in 0..1_500 {
            let late_ms = if number % 10 == 0 { 40 * MINUTE_MS } else { 0 };
            let tx = transaction(number, START_MS + i64::from(number) * 7 * MINUTE_MS - late_ms, variety);
            let is_checked = number % 7 == 0;
            if is_checked {
                let estimated = estimated(&state, &mut stored, &tx, &policy);
                wrong.extend(compare(&accepted, &tx, &estimated, &policy, 1.0));
                checked += estimated.approximate.len();
                stated += usize::from(!estimated.approximate.is_empty());
            }
            let FoldAnswer::Scored { entry } = fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy) else {
                panic!("event {number} was not accepted");
            };
            assert_eq!(entry.outcome.approximate, []);
            if is_checked {
                assert_eq!(
                    compare(&accepted, &tx, &entry.outcome, &policy, 0.0),
                    Vec::<String>::new()
                );
            }
            accepted.push(tx);
        }
    }
    assert!(
        stated > 100,
        "only {stated} outcomes state an error: nothing was tested"
    );
    // Three standard errors: once in three hundred and seventy.
    assert!(
        wrong.len() * 200 <= checked,
        "{} of {checked}: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

/// More merchants than an inner node lists: from then on they are an estimate, and everything that rests on it says so.
#[test]
fn what_rests_on_more_merchants_than_are_listed_says_so() {
    let merchant = FeatureKey::new;
    let of_merchants = [
        merchant(FeatureKind::DistinctMerchants, 60),
        merchant(FeatureKind::NewMerchant, 0),
    ];
    let weights = of_merchants.map(|key| (key, 1.0));
    let policy = Policy {
        compiled: Compiled::new(vec![60, 43_200], &of_merchants, &weights),
        // Leaves of ten: an inner node of the third level has more events than it lists.
        head_bytes_max: STATE_BYTES_MAX,
        ..policy(80)
    };
    let (mut state, mut exact, mut estimated) = (History::default(), 0, 0);
    let events = u32::try_from(KNOWN_MAX).unwrap() * 3 / 2;
    for number in 0..events {
        let tx = transaction(number, START_MS + i64::from(number) * 5 * MINUTE_MS, 1 << 23);
        let FoldAnswer::Scored { entry } = fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy) else {
            panic!("event {number} was not accepted");
        };
        let stated: Vec<FeatureKey> = entry.outcome.approximate.iter().map(|(key, _)| *key).collect();
        if stated.is_empty() {
            exact += 1;
        } else {
            // A new merchant's surprise, and that of an hour's merchants, rest on how many there were before.
            assert_eq!(stated, of_merchants, "event {number}");
            estimated += 1;
        }
    }
    assert!(exact > events / 2 && estimated > 500, "{exact} exact, {estimated} not");
}

/// An inner node is kept until its last event is aged, while the oldest leaves below it have long expired in the table.
#[test]
fn nothing_asks_for_a_segment_that_is_older_than_the_retention() {
    let policy = policy(40);
    let (mut state, mut stored) = (History::default(), Segments::default());
    let mut expired = 0;
    for number in 0..160 {
        let time_ms = START_MS + i64::from(number) * 20 * 3_600_000;
        stored.apply(
            &mut state,
            &transaction(number, time_ms, 5),
            ProfileInput::Absent,
            &policy,
        );
        stored.restart(&mut state);
        // Sooner than the engine has them expire.
        expired += stored.expire(time_ms - policy.retention_ms());
        let label = fraud("never sent", time_ms);
        assert_eq!(stored.label(&mut state, &label, &policy), LabelAnswer::UnknownEvent);
        // As old as the horizon allows, and beyond it.
        for days in [6, 8, 36, 60] {
            let late = transaction(10_000 + number, time_ms - days * DAY_MS, 5);
            let mut state = History::decode(&state.encode()).unwrap();
            let applied = stored.apply(&mut state, &late, ProfileInput::Absent, &policy);
            assert_eq!(
                matches!(applied, FoldAnswer::Scored { .. }),
                days < 7,
                "{days} days: {applied:?}"
            );
        }
    }
    assert!(expired > 10, "{expired}");
}

/// DynamoDB's units of a write, an item's names and keys included.
fn write_units(bytes: usize) -> usize {
    (bytes + 80).div_ceil(1024)
}

#[test]
fn a_hundred_thousand_events_in_a_week_cost_bounded_units_each() {
    let policy = Policy {
        outcome_features: false,
        head_bytes_max: 900,
        ..policy(400)
    };
    for (name, variety, late_share) in [
        ("few merchants", 3, 0),
        ("many merchants", 400, 0),
        ("one in 50 late by hours", 40, 50),
    ] {
        let time_ms = |number: u32| {
            let is_late = late_share > 0 && number.is_multiple_of(late_share);
            let late_ms = if is_late { i64::from(number % 7) * 3_600_000 } else { 0 };
            START_MS + WEEK_MS * i64::from(number) / 100_000 - late_ms
        };
        let (mut state, mut stored) = (History::default(), Segments::default());
        let (mut head_units, mut segment_units, mut head_max, mut refs_max, mut reads_max) = (0, 0, 0, 0, 0);
        for number in 0..100_000_u32 {
            let tx = transaction(number, time_ms(number), variety);
            let read = stored.read;
            let applied = stored.apply(&mut state, &tx, ProfileInput::Absent, &policy);
            assert!(matches!(applied, FoldAnswer::Scored { .. }), "{number}: {applied:?}");
            reads_max = reads_max.max(stored.read - read);
            segment_units += state
                .new_segments()
                .map(|segment| write_units(segment.bytes.len()))
                .sum::<usize>();
            stored.write(&mut state);
            // One event a commit: the dearest way.
            let bytes = state.encode().len();
            head_units += write_units(bytes);
            if state.sealed_refs() > 0 {
                head_max = head_max.max(bytes);
            }
            refs_max = refs_max.max(state.sealed_refs());
            if state.segment_items_held() > 4_000 {
                state.forget_segments();
            }
        }
        println!(
            "{name}: head {head_max} bytes at most, {refs_max} references; {:.2} write units an event ({:.3} for segments), \
             {:.3} segments read an event (a unit each), {reads_max} for one at most; segments of {} bytes at most",
            (head_units + segment_units) as f64 / 1e5,
            segment_units as f64 / 1e5,
            stored.read as f64 / 1e5,
            stored.written_bytes_max,
        );
        assert_eq!(state.next_seq(), 100_000);
        assert!(
            head_max < 8 * 1_024 && refs_max <= 48,
            "{head_max} bytes, {refs_max} references"
        );
        assert!(head_units + segment_units < 700_000 && stored.read < 30_000);
        // The paths of five edges, and of each reference the list of its merchants.
        assert!(reads_max <= 56, "{reads_max} segments for one event");
        // A duplicate of any of them is known, six days later.
        stored.restart(&mut state);
        for number in (15_000..100_000).step_by(997) {
            let before = stored.read;
            let tx = transaction(number, time_ms(number), variety);
            let applied = stored.apply(&mut state, &tx, ProfileInput::Absent, &policy);
            assert!(matches!(applied, FoldAnswer::Duplicate { .. }), "{number}: {applied:?}");
            let read = stored.read - before;
            assert!(read <= 6, "{read} segments for a duplicate");
        }
    }
}

#[test]
fn every_kind_of_value_that_may_be_off_states_by_how_much() {
    let longest = *policy(80).windows().last().unwrap();
    let key = FeatureKey::new;
    let features = vec![
        key(FeatureKind::DistinctMerchants, longest),
        key(FeatureKind::DistinctCountries, longest),
        key(FeatureKind::NewMerchant, 0),
        key(FeatureKind::NewCountry, 0),
        key(FeatureKind::NewDevice, 0),
    ];
    let weights: Vec<_> = policy(80).weights().collect();
    let policy = Policy {
        compiled: Compiled::new(policy(80).windows().to_vec(), &features, &weights),
        ..policy(80)
    };
    let (mut state, mut stored, mut accepted) = (History::default(), Segments::default(), Vec::new());
    let (mut stated, mut wrong) = (BTreeSet::new(), Vec::new());
    // Many of everything; then one merchant for so long that all of that is sealed; then what was long ago again.
    for number in 0..1_000 {
        let variety = if (300..900).contains(&number) { 1 } else { 200 };
        let tx = transaction(number, START_MS + i64::from(number) * 7 * MINUTE_MS, variety);
        let estimated = estimated(&state, &mut stored, &tx, &policy);
        stated.extend(estimated.approximate.iter().map(|(key, _)| *key));
        wrong.extend(compare(&accepted, &tx, &estimated, &policy, 1.0));
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
        assert!(
            matches!(applied, FoldAnswer::Scored { .. }),
            "event {number}: {applied:?}"
        );
        accepted.push(tx);
    }
    assert_eq!(stated, features.into_iter().collect());
    assert!(wrong.len() <= 5, "{} of 5,000: {:?}", wrong.len(), &wrong[..5]);
}
