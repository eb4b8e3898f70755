//! When a head is sealed changes no outcome: not what is summed, and not what is looked at event by event.

use proptest::collection::vec;
use proptest::prelude::*;

use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, fold_label, fold_transaction};
use tidemark_domain::history::{History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::StoredOutcome;
use tidemark_domain::policy::Policy;

const START_MS: i64 = 1_780_000_000_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Sums of windows, and what needs each event: its amount, its label, its hour, its category.
const TEXT: &str = "version = 1\nwindows_minutes = [60, 1440, 10080, 43200]\n\
    features = ['count_1d', 'sum_7d', 'mean_30d', 'deviation_30d', 'distinct_merchants_30d', 'distinct_countries_7d', 'since_last', \
    'amount_z', 'new_merchant', 'new_device', 'new_country', 'amount_median_ratio', 'hour_of_day', 'new_merchant_category', \
    'card.frauds_30d']\n\
    [weights]\namount_z = 1\nhour_of_day = 1\nnew_merchant = 0.5\nnew_merchant_category = 1\n\
    [thresholds]\nreview = 400\nalert = 700\n[outcome]\nfeatures = true\n";

fn policy(head_events_max: usize, head_bytes_max: usize) -> Policy {
    let policy = Policy::parse(TEXT, "policy.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    Policy {
        head_events_max,
        head_bytes_max,
        ..policy
    }
}

/// Minutes since the event before it, minutes by which it is late, its merchant, its amount, and whether it gets a label.
type Draw = (i64, i64, u16, u64, bool);

fn draw() -> impl Strategy<Value = Draw> {
    (
        prop_oneof![8 => 1_i64..400, 1 => 0..1_i64, 1 => 400_i64..4_000],
        prop_oneof![9 => Just(0), 1 => 0_i64..3_000],
        0..60_u16,
        100_u64..90_000,
        prop::bool::weighted(0.05),
    )
}

fn transaction(number: usize, time_ms: i64, draw: Draw) -> Transaction {
    let (_, _, merchant, amount_minor, _) = draw;
    Transaction {
        event_id: EventId::new(&format!("event-{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: time_ms,
        amount_minor,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new(&format!("merchant-{merchant}")).unwrap(),
        mcc: 5_000 + merchant % 30,
        country: Country::new(if merchant == 7 { "DE" } else { "FR" }).unwrap(),
        channel: Channel::Ecommerce,
        approved: merchant % 9 != 0,
        device_id: (merchant % 2 == 0).then(|| DeviceId::new(&format!("device-{}", merchant % 5)).unwrap()),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

/// Hands a state the segments that it asks for, as a store would: out of those that were ever made.
#[derive(Default)]
struct Segments(std::collections::BTreeMap<u64, Vec<u8>>);

impl Segments {
    fn keep(&mut self, state: &mut History) {
        let made = state
            .new_segments()
            .map(|segment| (segment.key.0, segment.bytes.clone()));
        self.0.extend(made);
        state.segments_written();
    }
}

/// Folds a stream; its outcomes, and the state. A process that knows nothing takes over every so often.
fn fold(draws: &[Draw], policy: &Policy) -> (Vec<StoredOutcome>, History) {
    let (mut state, mut segments) = (History::default(), Segments::default());
    let (mut outcomes, mut now_ms) = (Vec::new(), START_MS);
    for (number, draw) in draws.iter().enumerate() {
        now_ms += draw.0 * MINUTE_MS;
        if number % 17 == 16 {
            state = History::decode(&state.encode()).unwrap();
        }
        let tx = transaction(number, now_ms - draw.1 * MINUTE_MS, *draw);
        let scored = loop {
            match fold_transaction(&mut state, &tx, ProfileInput::Absent, policy) {
                FoldAnswer::NeedsSegments(keys) => {
                    for key in keys {
                        state.supply_segment(key, &segments.0[&key.0]).unwrap();
                    }
                }
                answer => break answer,
            }
        };
        if let FoldAnswer::Scored { entry } = scored {
            outcomes.push(entry.outcome);
        }
        segments.keep(&mut state);
        if draw.4 {
            let label = Label {
                card_id: CardId::new("card").unwrap(),
                event_id: EventId::new(&format!("event-{}", number / 2)).unwrap(),
                occurred_at_ms: None,
                verdict: Verdict::Fraud,
                known_since_ms: now_ms - HOUR_MS,
                merchant_id: None,
                device_id: None,
                links: Links::NONE,
            };
            while let LabelAnswer::NeedsSegments(keys) = fold_label(&mut state, &label, policy) {
                for key in keys {
                    state.supply_segment(key, &segments.0[&key.0]).unwrap();
                }
            }
            segments.keep(&mut state);
        }
    }
    (outcomes, state)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn an_outcome_is_the_same_however_soon_the_head_is_sealed(draws in vec(draw(), 100..300), head_bytes_max in 256..1_500_usize) {
        let (whole, plain) = fold(&draws, &policy(400, STATE_BYTES_MAX));
        prop_assert_eq!(plain.sealed_refs(), 0);
        let (sealed, state) = fold(&draws, &policy(400, head_bytes_max));
        prop_assert!(state.sealed_refs() > 0, "{} bytes", state.encode().len());
        prop_assert!(whole.iter().all(|outcome| outcome.approximate.is_empty()));
        prop_assert_eq!(whole, sealed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// A state is the fold of its events, whenever their labels came (the simulation found it): labels take bytes, and seal nothing.
    #[test]
    fn a_label_does_not_move_where_a_head_is_sealed(draws in vec(draw(), 100..200), head_bytes_max in 300..900_usize) {
        let policy = Policy {
            outcome_features: false,
            ..policy(400, head_bytes_max)
        };
        let labelled: Vec<Draw> = draws.iter().map(|draw| (draw.0, draw.1, draw.2, draw.3, true)).collect();
        let plain: Vec<Draw> = draws.iter().map(|draw| (draw.0, draw.1, draw.2, draw.3, false)).collect();
        let (labelled, plain) = (fold(&labelled, &policy).1, fold(&plain, &policy).1);
        prop_assert!(plain.sealed_refs() > 0);
        let shape = |state: &History| (state.entries().len(), state.sealed_refs(), state.sealed_events());
        prop_assert_eq!(shape(&labelled), shape(&plain));
    }
}

/// A card whose head grew under another limit is sealed with its next event, in as few leaves as a write unit each.
#[test]
fn a_long_head_is_sealed_at_once_and_in_few_leaves() {
    let mut state = History::default();
    let without_features = |head_bytes_max| Policy {
        outcome_features: false,
        ..policy(400, head_bytes_max)
    };
    let (long, short) = (without_features(STATE_BYTES_MAX), without_features(900));
    let draw = |number: u16| (90, 0, number % 40, 100 + 37 * u64::from(number), false);
    for number in 0..400_u16 {
        let tx = transaction(
            usize::from(number),
            START_MS + i64::from(number) * 90 * MINUTE_MS,
            draw(number),
        );
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Absent, &long);
        assert!(matches!(applied, FoldAnswer::Scored { .. }));
    }
    let before = state.encode().len();
    assert!(state.sealed_refs() == 0 && before > 4 * 1_024, "{before} bytes");
    let tx = transaction(400, START_MS + 400 * 90 * MINUTE_MS, draw(400));
    let (mut one, mut other) = (state.clone(), state);
    let sealed = fold_transaction(&mut one, &tx, ProfileInput::Absent, &short);
    assert_eq!(sealed, fold_transaction(&mut other, &tx, ProfileInput::Absent, &long));
    let leaves: Vec<usize> = one.new_segments().map(|segment| segment.bytes.len()).collect();
    // Inner nodes are among them where there are eight leaves.
    assert!(leaves.len() <= before / 675 + 2, "{before} bytes, {leaves:?}");
    assert!(leaves.iter().all(|bytes| *bytes < 960), "{leaves:?}");
    // The references to the new leaves come on top, once.
    assert!(one.encode().len() <= 1_024, "{} bytes", one.encode().len());
}
