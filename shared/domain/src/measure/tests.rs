//! Cards for unit tests, and what does not need the fold. Every value is held against a naive one in
//! `tests/features_oracle.rs`.

use proptest::prelude::*;

use super::{Observed, Sweep, compute};
use crate::catalogue::{FeatureKey, FeatureKind, Subject};
use crate::event::{Channel, Country, Currency, Links, Place, Profile, Transaction};
use crate::history::{Entry, History};
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
            updated_at_ms: None,
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
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

/// Every feature over every window.
pub(crate) fn policy_of(windows: &[u32]) -> Policy {
    let mut names = Vec::new();
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
        "version = 1\nwindows_minutes = {windows:?}\nfeatures = [{}]\n[weights]\n[thresholds]\nreview = 1\nalert = 2\n\
         [population]\namounts_minor = [100, 1000]\nbits = [0.0, 3.0]\n",
        names.join(", ")
    );
    Policy::parse(&text, "test").unwrap()
}

pub(crate) fn entry_of(tx: &Transaction, seq: u64) -> Entry {
    Entry {
        time_ms: tx.occurred_at_ms,
        seq,
        event_fp: fingerprint32(tx.event_id.as_str()),
        event_fp_high: None,
        amount_base_minor: tx.amount_minor,
        merchant_fp: fingerprint32(tx.merchant_id.as_str()),
        country: tx.country,
        device_fp: tx.device_id.as_ref().map(|id| fingerprint32(id.as_str())),
        device_fp_high: None,
        merchant_fp_high: None,
        links: Vec::new(),
        category: None,
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
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: crate::outcome::ListReads::NONE,
        },
        label: None,
    }
}

/// The state after these arrivals, in (time, arrival) order.
pub(crate) fn state_of(arrivals: &[Transaction]) -> History {
    let mut entries: Vec<Entry> = arrivals
        .iter()
        .enumerate()
        .map(|(i, tx)| entry_of(tx, i as u64))
        .collect();
    entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
    History {
        entries: entries.into(),
        next_seq: arrivals.len() as u64,
        ..History::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

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

#[test]
fn a_profile_without_a_usual_count_a_day_has_none_to_compare_with() {
    let usual = |transactions_per_day: f64| {
        let profile = Profile {
            card_id: CardId::new("card").unwrap(),
            version: 1,
            usual_country: Country(*b"FR"),
            spend_mean_minor: 1.0,
            spend_deviation_minor: 1.0,
            transactions_per_day,
            account_opened_at_ms: 0,
            updated_at_ms: None,
        };
        let policy = policy_of(&[5, 1440]);
        let tx = transaction(0, 1);
        let event = Observed::new(&tx, &policy);
        let measured = Sweep::new(&event, &policy).measure(&History::default(), Some(&profile), &[]);
        measured.usual_per_day()
    };
    assert_eq!(usual(2.5), Some(2.5));
    for none in [0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        assert_eq!(usual(none), None, "{none}");
    }
}
