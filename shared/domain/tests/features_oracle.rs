//! Every window and feature against a naive recomputation from the list of what was sent: in random order, with equal
//! times, late events and duplicates, through the fold that the live path uses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use tidemark_domain::catalogue::{FeatureKey, FeatureKind, Subject};
use tidemark_domain::event::{Channel, Country, Currency, Links, Place, Profile, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::History;
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::measure::compute;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;

const MINUTE: i64 = 60_000;
/// The zone is so far ahead of UTC: half an hour beside all hours.
const ZONE_MINUTES: i64 = 330;
/// Where the times of the generated events begin, ms.
const START: i64 = 1_700_000_000_000;

/// One of four countries.
fn country(which: u8) -> Country {
    Country::new(["DE", "FR", "IT", "US"][usize::from(which)]).unwrap()
}

fn arrivals(len_max: usize) -> impl Strategy<Value = Vec<Transaction>> {
    let amount = prop_oneof![1_u64..200, 1_u64..1_000_000, Just(1 << 50)];
    // Some exactly a few days apart, for the windows of whole days.
    let days = (0_i64..4).prop_map(|day| day * 1440);
    let time = prop_oneof![0_i64..40, 0_i64..3_000, 0_i64..50_000, days].prop_map(|minutes| minutes * MINUTE);
    let nudge = prop_oneof![8 => Just(0_i64), 1 => Just(1_i64), 1 => Just(-1_i64)];
    let place = proptest::option::of((-900_000..=900_000_i32, -1_800_000..=1_800_000_i32));
    let device = proptest::option::of(0_u8..3);
    // One in nine in a currency that the policy has no rate for.
    let merchant_and_currency = (0_u8..6, prop_oneof![8 => Just("EUR"), 1 => Just("THB")]);
    let one = (
        time,
        nudge,
        amount,
        merchant_and_currency,
        0_u8..4,
        device,
        place,
        any::<bool>(),
    );
    proptest::collection::vec(one, 1..len_max).prop_map(|list| {
        let mut built = Vec::new();
        for (time, nudge, amount_minor, (merchant, currency), which_country, device, place, approved) in list {
            built.push(Transaction {
                event_id: EventId::new(&format!("e{}", built.len())).unwrap(),
                merchant_id: MerchantId::new(&format!("m{merchant}")).unwrap(),
                country: country(which_country),
                currency: Currency::new(currency).unwrap(),
                approved,
                // Few categories, of which a merchant has more than one now and then.
                mcc: 5411 + u16::from(merchant) + u16::from(amount_minor % 7 == 0),
                account_opened_at_ms: device.map(|device: u8| START - i64::from(device) * 10_000 * MINUTE),
                device_id: device.map(|device: u8| DeviceId::new(&format!("d{device}")).unwrap()),
                place: place.map(|(latitude_e4, longitude_e4)| Place {
                    latitude_e4,
                    longitude_e4,
                }),
                ..transaction(time + nudge + START, amount_minor)
            });
        }
        built
    })
}

fn profile() -> impl Strategy<Value = Option<Profile>> {
    let fields = (
        0_u8..4,
        1.0..1e5_f64,
        prop_oneof![Just(0.0), 1.0..1e4_f64],
        prop_oneof![Just(0.0), 0.1..20.0_f64],
    );
    proptest::option::of(fields).prop_map(|fields| {
        fields.map(|(which, mean, deviation, per_day)| Profile {
            card_id: CardId::new("card").unwrap(),
            version: 3,
            usual_country: country(which),
            spend_mean_minor: mean,
            spend_deviation_minor: deviation,
            transactions_per_day: per_day,
            account_opened_at_ms: 0,
            updated_at_ms: None,
        })
    })
}

/// An approved event at one merchant in France, without device and place.
fn transaction(occurred_at_ms: i64, amount_minor: u64) -> Transaction {
    Transaction {
        event_id: EventId::new("e").unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms,
        amount_minor,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("m").unwrap(),
        mcc: 5411,
        country: country(1),
        channel: Channel::PointOfSale,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

/// Every feature over every window, with that dedupe horizon and feature values in outcomes.
fn policy_of(windows: &[u32], dedupe_horizon_ms: i64) -> Policy {
    let mut names = Vec::new();
    // What labels say has an oracle of its own: tests/labels.rs.
    for kind in FeatureKind::ALL
        .into_iter()
        .filter(|kind| kind.subject() == Subject::Card)
    {
        let windows = if kind.is_windowed() { windows } else { &[0] };
        names.extend(
            windows
                .iter()
                .map(|minutes| format!("\"{}\"", FeatureKey::new(kind, *minutes))),
        );
    }
    let text = format!(
        "version = 1\nwindows_minutes = {windows:?}\nfeatures = [{}]\ndedupe_horizon_ms = {dedupe_horizon_ms}\n\
         zone_offset_minutes = {ZONE_MINUTES}\n\
         [bounds]\nskew_ms = 0\nlateness_ms = 0\n[weights]\n[thresholds]\nreview = 1\nalert = 2\n\
         [outcome]\nfeatures = true\n\
         [population]\namounts_minor = [100, 1000, 50000]\nbits = [0.0, 2.0, 9.0]\n",
        names.join(", ")
    );
    Policy::parse(&text, "test").unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn kilometres(a: Place, b: Place) -> f64 {
    // By the angle between two vectors, not by the haversine.
    let vector = |place: Place| {
        let (lat, lon) = (f64::from(place.latitude_e4) / 1e4, f64::from(place.longitude_e4) / 1e4);
        let (lat, lon) = (lat.to_radians(), lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    };
    let (a, b) = (vector(a), vector(b));
    let dot: f64 = (0..3).map(|i| a[i] * b[i]).sum();
    let cross = [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ];
    6371.0088 * cross.iter().map(|c| c * c).sum::<f64>().sqrt().atan2(dot)
}

/// One feature, from the earlier arrivals and the event, with no regard to cost.
fn naive(
    key: FeatureKey,
    earlier: &[Transaction],
    tx: &Transaction,
    profile: Option<&Profile>,
    longest: u32,
) -> Option<f64> {
    let within = |minutes: u32| -> Vec<&Transaction> {
        let from = tx.occurred_at_ms - i64::from(minutes) * MINUTE;
        earlier
            .iter()
            .filter(|e| e.occurred_at_ms > from && e.occurred_at_ms <= tx.occurred_at_ms)
            .collect()
    };
    let mut window = within(key.window_minutes);
    window.push(tx);
    // An amount without a rate is known to nobody: it counts nowhere, and such an event has no feature of amounts.
    let known = |e: &Transaction| (e.currency.as_str() == "EUR").then_some(e.amount_minor as f64);
    let amounts: Vec<f64> = window.iter().filter_map(|e| known(e)).collect();
    let history = within(longest);
    let past: Vec<f64> = history.iter().filter_map(|e| known(e)).collect();
    let amount = match (known(tx), key.kind) {
        (Some(amount), _) => amount,
        (
            None,
            FeatureKind::Sum
            | FeatureKind::Mean
            | FeatureKind::Deviation
            | FeatureKind::Min
            | FeatureKind::Max
            | FeatureKind::AmountZ
            | FeatureKind::AmountRatio
            | FeatureKind::AmountMedianRatio
            | FeatureKind::AmountBeforeRatio
            | FeatureKind::MaxRatio
            | FeatureKind::AmountPopulation
            | FeatureKind::ProfileAmountZ,
        ) => return None,
        (None, _) => 0.0,
    };
    // The last of the latest: `max_by_key` takes the last of equals, which is the later arrival.
    let previous = history.iter().max_by_key(|e| e.occurred_at_ms);
    let unless_seen = |seen: bool| (!history.is_empty()).then_some(if seen { 0.0 } else { 1.0 });
    match key.kind {
        FeatureKind::Count => Some(window.len() as f64),
        FeatureKind::Sum => Some(amounts.iter().sum()),
        FeatureKind::Mean => Some(mean(&amounts)),
        FeatureKind::Deviation => Some(deviation(&amounts)),
        FeatureKind::Min => Some(amounts.iter().copied().fold(f64::INFINITY, f64::min)),
        FeatureKind::Max => Some(amounts.iter().copied().fold(0.0, f64::max)),
        FeatureKind::ShareDeclined => Some(window.iter().filter(|e| !e.approved).count() as f64 / window.len() as f64),
        FeatureKind::DistinctMerchants => {
            Some(window.iter().map(|e| &e.merchant_id).collect::<BTreeSet<_>>().len() as f64)
        }
        FeatureKind::DistinctCountries => Some(window.iter().map(|e| e.country).collect::<BTreeSet<_>>().len() as f64),
        FeatureKind::SinceLast => previous.map(|e| (tx.occurred_at_ms - e.occurred_at_ms) as f64 / 1000.0),
        FeatureKind::AmountZ => {
            let spread = deviation(&past);
            (past.len() >= 5 && spread > 0.0).then(|| (amount - mean(&past)) / spread)
        }
        FeatureKind::AmountRatio => (past.len() >= 5).then(|| amount / mean(&past)),
        FeatureKind::ProfileAmountZ => {
            let known = profile.filter(|p| p.spend_deviation_minor > 0.0);
            known.map(|p| (amount - p.spend_mean_minor) / p.spend_deviation_minor)
        }
        FeatureKind::ProfileCountRatio => {
            let known = profile.filter(|p| p.transactions_per_day > 0.0);
            known.map(|p| (within(1440).len() + 1) as f64 / p.transactions_per_day)
        }
        FeatureKind::NewMerchant => unless_seen(history.iter().any(|e| e.merchant_id == tx.merchant_id)),
        FeatureKind::NewCountry => unless_seen(history.iter().any(|e| e.country == tx.country)),
        FeatureKind::NewDevice => {
            let device = tx.device_id.as_ref()?;
            unless_seen(history.iter().any(|e| e.device_id.as_ref() == Some(device)))
        }
        FeatureKind::Speed => {
            let here = tx.place?;
            let last = history
                .iter()
                .filter(|e| e.place.is_some())
                .max_by_key(|e| e.occurred_at_ms)?;
            let elapsed_ms = (tx.occurred_at_ms - last.occurred_at_ms).max(1);
            Some(kilometres(here, last.place?) / (elapsed_ms as f64 / 3_600_000.0))
        }
        FeatureKind::AmountMedianRatio => {
            let mut sorted = past.clone();
            sorted.sort_by(f64::total_cmp);
            let middle = sorted.len() / 2;
            let median = || match sorted.len() % 2 {
                0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
                _ => sorted[middle],
            };
            (past.len() >= 5).then(|| amount / median())
        }
        FeatureKind::AmountBeforeRatio | FeatureKind::MaxRatio => {
            let inside = within(key.window_minutes);
            let is_before = |e: &&&Transaction| !inside.iter().any(|other| std::ptr::eq(**e, *other));
            let before: Vec<f64> = history.iter().filter(is_before).filter_map(|e| known(e)).collect();
            let of = match key.kind {
                FeatureKind::MaxRatio => amounts.iter().copied().fold(0.0, f64::max),
                _ => amount,
            };
            (before.len() >= 5).then(|| of / mean(&before))
        }
        FeatureKind::AmountPopulation => Some(match amount {
            a if a < 100.0 => 0.0,
            a if a < 1000.0 => (a - 100.0) / 900.0 * 2.0,
            a if a < 50_000.0 => 2.0 + (a - 1000.0) / 49_000.0 * 7.0,
            _ => 9.0,
        }),
        FeatureKind::CardAge => {
            let opened_ms = tx.account_opened_at_ms.or(profile.map(|p| p.account_opened_at_ms))?;
            Some(((tx.occurred_at_ms - opened_ms) as f64 / 86_400_000.0).max(0.0))
        }
        FeatureKind::HourOfDay => Some(((tx.occurred_at_ms / MINUTE + ZONE_MINUTES) / 60 % 24) as f64),
        FeatureKind::Weekend => {
            // 1970-01-01 was a Thursday: day 2 was the first Saturday.
            let day = (tx.occurred_at_ms / MINUTE + ZONE_MINUTES) / 1440;
            Some(if [2, 3].contains(&(day % 7)) { 1.0 } else { 0.0 })
        }
        FeatureKind::NewMerchantCategory => unless_seen(history.iter().any(|e| e.mcc == tx.mcc)),
        FeatureKind::FraudRun | FeatureKind::FraudRunAge | FeatureKind::Frauds | FeatureKind::SinceFraud => {
            unreachable!("{key} is made of labels")
        }
        FeatureKind::ForeignToProfile => profile.map(|p| if p.usual_country == tx.country { 0.0 } else { 1.0 }),
    }
}

fn assert_close(key: FeatureKey, found: Option<f64>, expected: Option<f64>, scale: f64) {
    let close = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected.abs().max(scale),
        (None, None) => true,
        _ => false,
    };
    assert!(close, "{key}: {found:?}, expected {expected:?}");
}

/// What a value is compared against besides itself: the oracle's own floats lose digits where large numbers cancel.
fn scale_of(key: FeatureKey, arrivals: &[Transaction]) -> f64 {
    let greatest = arrivals.iter().map(|tx| tx.amount_minor).max().unwrap_or(1) as f64;
    match key.kind {
        FeatureKind::Deviation => greatest,
        // Two places within a few metres, a millisecond apart: km/h of the angle's last digit.
        FeatureKind::Speed => 1e4,
        _ => 1.0,
    }
}

/// Compares every feature of a policy with its naive value.
fn assert_all(
    found: &[(FeatureKey, Option<f64>)],
    policy: &Policy,
    earlier: &[Transaction],
    tx: &Transaction,
    profile: Option<&Profile>,
) {
    assert_eq!(found.len(), policy.features().len());
    let longest = policy.windows().last().copied().unwrap();
    for (key, value) in found {
        let expected = naive(*key, earlier, tx, profile, longest);
        // A card of equal amounts: the oracle's floats may leave a deviation of a rounding error.
        let tiny = key.kind == FeatureKind::AmountZ && value.is_none() && expected.is_some_and(|z| z.abs() > 1e9);
        if !tiny {
            assert_close(*key, *value, expected, scale_of(*key, earlier));
        }
    }
}

const YEAR: i64 = 365 * 1440 * MINUTE;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_feature_equals_its_naive_value(
        list in arrivals(40),
        profile in profile(),
        windows in proptest::collection::btree_set(prop_oneof![1_u32..60, 1_u32..=43_200], 1..6),
        longest in prop_oneof![Just(1440_u32), Just(43_200)],
    ) {
        let mut windows: Vec<u32> = windows.into_iter().filter(|minutes| *minutes < longest).collect();
        windows.push(longest);
        let policy = policy_of(&windows, YEAR);
        let mut state = History::default();
        for (i, tx) in list.iter().enumerate() {
            let (earlier, _) = list.split_at(i);
            let found = compute(&state, tx, profile.as_ref(), &policy);
            assert_all(found.values(), &policy, earlier, tx, profile.as_ref());
            let input = profile.as_ref().map_or(ProfileInput::Absent, ProfileInput::Known);
            let applied = fold_transaction(&mut state, tx, input, &policy);
            prop_assert!(matches!(applied, FoldAnswer::Scored { .. }), "{:?}", applied);
        }
    }

    /// A short horizon drops old events all the time, and events come twice: what is accepted has whole windows still.
    #[test]
    fn retention_and_duplicates_change_no_value(
        list in arrivals(60),
        windows in proptest::collection::btree_set(1_u32..3000, 1..4),
        horizon_minutes in 1_i64..5000,
        again in proptest::collection::vec(any::<bool>(), 60),
        head_events_max in prop_oneof![Just(400_usize), 1_usize..16],
    ) {
        let mut windows: Vec<u32> = windows.into_iter().collect();
        windows.push(3000);
        let policy = Policy { head_events_max, ..policy_of(&windows, horizon_minutes * MINUTE) };
        let mut state = History::default();
        let mut accepted: Vec<Transaction> = Vec::new();
        for (tx, again) in list.iter().zip(again) {
            match fold_transaction(&mut state, tx, ProfileInput::Absent, &policy) {
                FoldAnswer::Scored { entry } => {
                    let outcome = &entry.outcome;
                    // So few merchants, countries and devices are known in every segment. Medians and categories are not.
                    let is_of_each = |(key, _): &(FeatureKey, f64)| {
                        [FeatureKind::AmountMedianRatio, FeatureKind::NewMerchantCategory].contains(&key.kind)
                    };
                    prop_assert!(outcome.approximate.iter().all(is_of_each));
                    let mut found = outcome.features.clone();
                    for (key, error) in &outcome.approximate {
                        let value = found.iter_mut().find(|(other, _)| other == key).unwrap();
                        let exact = naive(*key, &accepted, tx, None, 3000);
                        let off = (value.1.unwrap() - exact.unwrap()).abs();
                        prop_assert!(off <= error * (1.0 + 1e-9), "{} beyond {}", off, error);
                        value.1 = exact;
                    }
                    assert_all(&found, &policy, &accepted, tx, None);
                    accepted.push(tx.clone());
                    if again {
                        let before = state.clone();
                        let second = fold_transaction(&mut state, tx, ProfileInput::Absent, &policy);
                        prop_assert_eq!(second, FoldAnswer::Duplicate { entry });
                        prop_assert_eq!(&before, &state);
                    }
                }
                FoldAnswer::Refused(refusal) => prop_assert_eq!(refusal.code, RefusalCode::BeyondHorizon),
                applied => panic!("a new event with everything at hand: {applied:?}"),
            }
        }
    }
}
