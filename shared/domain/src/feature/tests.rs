//! Every feature against a naive recomputation from the list of arrivals.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{FeatureKey, FeatureKind, compute};
use crate::card::{CardState, Entry};
use crate::event::{Channel, Country, Currency, Place, Profile, Transaction};
use crate::id::{CardId, DeviceId, EventId, MerchantId, fingerprint32};
use crate::outcome::{Decision, Missing, StoredOutcome, Tier};
use crate::policy::Policy;

const MINUTE: i64 = 60_000;

pub(crate) fn arrivals(len_max: usize) -> impl Strategy<Value = Vec<Transaction>> {
    let amount = prop_oneof![1_u64..200, 1_u64..1_000_000, Just(1 << 50)];
    let time = prop_oneof![0_i64..40, 0_i64..3_000, 0_i64..50_000].prop_map(|minutes| minutes * MINUTE);
    let nudge = prop_oneof![8 => Just(0_i64), 1 => Just(1_i64), 1 => Just(-1_i64)];
    let place = proptest::option::of((-900_000..=900_000_i32, -1_800_000..=1_800_000_i32));
    let device = proptest::option::of(0_u8..3);
    let one = (time, nudge, amount, 0_u8..6, 0_u8..4, device, place, any::<bool>());
    proptest::collection::vec(one, 1..len_max).prop_map(|list| {
        let mut built = Vec::new();
        for (time, nudge, amount_minor, merchant, country, device, place, approved) in list {
            built.push(Transaction {
                event_id: EventId::new(&format!("e{}", built.len())).unwrap(),
                merchant_id: MerchantId::new(&format!("m{merchant}")).unwrap(),
                country: Country([b'A', b'A' + country]),
                approved,
                device_id: device.map(|device: u8| DeviceId::new(&format!("d{device}")).unwrap()),
                place: place.map(|(latitude_e4, longitude_e4)| Place {
                    latitude_e4,
                    longitude_e4,
                }),
                ..transaction(time + nudge + 1_700_000_000_000, amount_minor)
            });
        }
        built
    })
}

pub(crate) fn profile() -> impl Strategy<Value = Option<Profile>> {
    let fields = (
        0_u8..4,
        1.0..1e5_f64,
        prop_oneof![Just(0.0), 1.0..1e4_f64],
        prop_oneof![Just(0.0), 0.1..20.0_f64],
    );
    proptest::option::of(fields).prop_map(|fields| {
        fields.map(|(country, mean, deviation, per_day)| Profile {
            card_id: CardId::new("card").unwrap(),
            version: 3,
            usual_country: Country([b'A', b'A' + country]),
            spend_mean_minor: mean,
            spend_deviation_minor: deviation,
            transactions_per_day: per_day,
            account_opened_at_ms: 0,
        })
    })
}

/// An approved event at one merchant in France, without device and place.
pub(crate) fn transaction(occurred_at_ms: i64, amount_minor: u64) -> Transaction {
    Transaction {
        event_id: EventId::new("e").unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms,
        amount_minor,
        currency: Currency(*b"EUR"),
        merchant_id: MerchantId::new("m").unwrap(),
        mcc: 5411,
        country: Country(*b"FR"),
        channel: Channel::PointOfSale,
        approved: true,
        device_id: None,
        place: None,
    }
}

/// Every feature over every window.
pub(crate) fn policy_of(windows: &[u16]) -> Policy {
    let mut names = Vec::new();
    for kind in FeatureKind::ALL {
        let windows = if kind.is_windowed() { windows } else { &[0] };
        names.extend(
            windows
                .iter()
                .map(|minutes| format!("\"{}\"", FeatureKey::new(kind, *minutes))),
        );
    }
    let text = format!(
        "version = 1\nwindows_minutes = {windows:?}\nfeatures = [{}]\n[weights]\n[thresholds]\nreview = 1\nalert = 2\n",
        names.join(", ")
    );
    Policy::parse(&text, "test").unwrap()
}

pub(crate) fn entry_of(tx: &Transaction, seq: u64) -> Entry {
    Entry {
        time_ms: tx.occurred_at_ms,
        seq,
        event_fp: fingerprint32(tx.event_id.as_str()),
        amount_base_minor: tx.amount_minor,
        merchant_fp: fingerprint32(tx.merchant_id.as_str()),
        country: tx.country,
        device_fp: tx.device_id.as_ref().map(|id| fingerprint32(id.as_str())),
        place: tx.place,
        approved: tx.approved,
        outcome: StoredOutcome {
            score: 0,
            decision: Decision::Pass,
            tier: Tier::Full,
            missing: Missing(0),
            reasons: Vec::new(),
            policy_version: 1,
            profile_version: None,
            features: Vec::new(),
        },
        label: None,
    }
}

/// The state after these arrivals, in (time, arrival) order.
pub(crate) fn state_of(arrivals: &[Transaction]) -> CardState {
    let mut entries: Vec<Entry> = arrivals
        .iter()
        .enumerate()
        .map(|(i, tx)| entry_of(tx, i as u64))
        .collect();
    entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
    CardState {
        entries,
        next_seq: arrivals.len() as u64,
        ..CardState::default()
    }
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
    longest: u16,
) -> Option<f64> {
    let within = |minutes: u16| -> Vec<&Transaction> {
        let from = tx.occurred_at_ms - i64::from(minutes) * MINUTE;
        earlier
            .iter()
            .filter(|e| e.occurred_at_ms > from && e.occurred_at_ms <= tx.occurred_at_ms)
            .collect()
    };
    let mut window = within(key.window_minutes);
    window.push(tx);
    let amounts: Vec<f64> = window.iter().map(|e| e.amount_minor as f64).collect();
    let history = within(longest);
    let past: Vec<f64> = history.iter().map(|e| e.amount_minor as f64).collect();
    let amount = tx.amount_minor as f64;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_feature_equals_its_naive_value(
        list in arrivals(40),
        profile in profile(),
        windows in proptest::collection::btree_set(prop_oneof![1_u16..60, 1_u16..=43_200], 1..6),
    ) {
        // A day's window or more, for profile_count_ratio.
        let windows: Vec<u16> = windows.into_iter().chain([43_200]).collect::<BTreeSet<_>>().into_iter().collect();
        let policy = policy_of(&windows);
        for (i, tx) in list.iter().enumerate() {
            let (earlier, _) = list.split_at(i);
            let state = state_of(earlier);
            let found = compute(&state, tx, profile.as_ref(), &policy);
            prop_assert_eq!(found.values().len(), policy.features.len());
            for (key, value) in found.values() {
                let expected = naive(*key, earlier, tx, profile.as_ref(), 43_200);
                // A card of equal amounts: the oracle's floats may leave a deviation of a rounding error.
                let tiny = key.kind == FeatureKind::AmountZ && value.is_none() && expected.is_some_and(|z| z.abs() > 1e9);
                if !tiny {
                    assert_close(*key, *value, expected, scale_of(*key, &list));
                }
            }
        }
    }

    #[test]
    fn a_late_event_sees_what_is_at_or_before_its_time(mut list in arrivals(30), at in any::<prop::sample::Index>()) {
        let policy = policy_of(&[5, 1440, 20_000]);
        let late = list.remove(at.index(list.len()));
        let before: Vec<Transaction> =
            list.iter().filter(|tx| tx.occurred_at_ms <= late.occurred_at_ms).cloned().collect();
        let all = compute(&state_of(&list), &late, None, &policy);
        prop_assert_eq!(all, compute(&state_of(&before), &late, None, &policy));
    }

    #[test]
    fn the_order_of_arrival_matters_only_between_equal_times(list in arrivals(30)) {
        let policy = policy_of(&[5, 1440, 20_000]);
        let (last, earlier) = list.split_last().unwrap();
        let mut sorted = earlier.to_vec();
        sorted.sort_by_key(|tx| tx.occurred_at_ms);
        prop_assert_eq!(
            compute(&state_of(earlier), last, None, &policy),
            compute(&state_of(&sorted), last, None, &policy)
        );
    }
}

#[test]
fn a_window_holds_its_end_and_not_its_start() {
    let policy = policy_of(&[5, 1440]);
    let tx = |ms: i64| transaction(ms, 1);
    let earlier = [tx(0), tx(1), tx(5 * MINUTE)];
    let found = compute(&state_of(&earlier), &tx(5 * MINUTE), None, &policy);
    // The one exactly 5 minutes old is out, the one at the same time is in.
    assert_eq!(found.get(FeatureKey::new(FeatureKind::Count, 5)), Some(3.0));
    assert_eq!(found.get(FeatureKey::new(FeatureKind::Count, 1440)), Some(4.0));
    assert_eq!(found.get(FeatureKey::new(FeatureKind::SinceLast, 0)), Some(0.0));
    assert_eq!(
        found.get(FeatureKey::new(FeatureKind::Count, 7)),
        None,
        "no feature of this policy"
    );
}
