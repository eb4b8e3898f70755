//! Amounts in a currency that the policy has no rate for: nobody knows what they are worth, so they count in no amount.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use tidemark_domain::event::{Channel, Country, Currency, Links, Profile, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::{History, UNPRICED};
use tidemark_domain::id::{CardId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::{Missing, StoredOutcome};
use tidemark_domain::policy::Policy;

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_790_000_000_000;

const OF_AMOUNTS: [&str; 7] = [
    "sum_1d",
    "sum_7d",
    "mean_30d",
    "deviation_30d",
    "max_30d",
    "amount_z",
    "amount_ratio",
];

fn transaction(occurred_at_ms: i64, amount_minor: u64, currency: &str) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("e{occurred_at_ms}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms,
        amount_minor,
        currency: Currency::new(currency).unwrap(),
        merchant_id: MerchantId::new("m").unwrap(),
        mcc: 5411,
        country: Country::new("FR").unwrap(),
        channel: Channel::PointOfSale,
        approved: true,
        device_id: None,
        links: Links::NONE,
        account_opened_at_ms: None,
        place: None,
    }
}

fn profile() -> Profile {
    Profile {
        card_id: CardId::new("card").unwrap(),
        version: 9,
        usual_country: Country::new("FR").unwrap(),
        spend_mean_minor: 1_000.0,
        spend_deviation_minor: 500.0,
        transactions_per_day: 1.0,
        account_opened_at_ms: 0,
        updated_at_ms: None,
    }
}

/// The built-in policy with feature values in outcomes and heads of so many events.
fn policy(head_events_max: usize) -> Policy {
    Policy {
        outcome_features: true,
        head_events_max,
        ..Policy::default_policy()
    }
}

fn apply(state: &mut History, tx: &Transaction, policy: &Policy) -> StoredOutcome {
    match fold_transaction(state, tx, ProfileInput::Known(&profile()), policy) {
        FoldAnswer::Scored { entry } => entry.outcome,
        other => panic!("{other:?}"),
    }
}

/// A card with an event a day for 30 days, amounts 900, 1,000 and 1,100 in turn.
fn steady(policy: &Policy) -> History {
    let mut state = History::default();
    for day in 0..30 {
        let amount = 900 + 100 * (day as u64 % 3);
        apply(
            &mut state,
            &transaction(NOW_MS - (30 - day) * DAY_MS + 1, amount, "EUR"),
            policy,
        );
    }
    state
}

fn value(outcome: &StoredOutcome, name: &str) -> Option<f64> {
    let mut features = outcome.features.iter();
    features.find(|(key, _)| key.to_string() == name).unwrap().1
}

#[test]
fn an_amount_without_a_rate_is_no_amount_and_surprises_nobody() {
    let policy = policy(400);
    // A hundred times what the card ever spent, were it euro.
    let outcome = apply(&mut steady(&policy), &transaction(NOW_MS, 247_798, "VND"), &policy);
    let usual = apply(&mut steady(&policy), &transaction(NOW_MS, 1_000, "EUR"), &policy);
    assert_eq!(outcome.missing.0, Missing::CURRENCY_RATE);
    assert_eq!(
        (outcome.score, usual.missing.0),
        (usual.score, 0),
        "{:?}",
        outcome.reasons
    );
    for name in OF_AMOUNTS.into_iter().chain(["profile_amount_z"]) {
        assert_eq!(value(&outcome, name), None, "{name}");
        assert!(value(&usual, name).is_some(), "{name}");
    }
    assert_eq!(value(&outcome, "count_30d"), Some(31.0));
}

/// What comes after it: amounts are those of the others, the count is of all, and the gap is named. Whether it lies in the head or in a
/// sealed segment is the same.
#[test]
fn later_amounts_are_held_against_those_that_are_known() {
    for head_events_max in [400, 8] {
        let policy = policy(head_events_max);
        let (mut with_gap, mut without) = (History::default(), History::default());
        for day in 0..30 {
            let at_ms = NOW_MS - (30 - day) * DAY_MS + 1;
            let tx = transaction(at_ms, 900 + 100 * (day as u64 % 3), "EUR");
            apply(&mut with_gap, &tx, &policy);
            apply(&mut without, &tx, &policy);
            if day == 3 {
                apply(&mut with_gap, &transaction(at_ms + 10, 247_798, "VND"), &policy);
            }
        }
        let dong = with_gap.all_entries()[4].clone();
        assert_eq!(dong.amount_base_minor, UNPRICED);
        let tx = transaction(NOW_MS, 5_000, "EUR");
        let after = apply(&mut with_gap, &tx, &policy);
        let usual = apply(&mut without, &tx, &policy);
        assert_eq!((after.missing.0, usual.missing.0), (Missing::CURRENCY_RATE, 0));
        for name in OF_AMOUNTS {
            assert_eq!(value(&after, name), value(&usual, name), "{name} {head_events_max}");
        }
        assert_eq!(value(&after, "count_30d"), Some(32.0));
        assert_eq!(value(&usual, "count_30d"), Some(31.0));
    }
}

#[test]
fn a_card_of_unknown_amounts_only_has_no_reason_by_amounts() {
    let policy = policy(8);
    let mut state = History::default();
    for day in 0..20 {
        apply(
            &mut state,
            &transaction(NOW_MS - (20 - day) * DAY_MS, 100_000, "VND"),
            &policy,
        );
    }
    let outcome = apply(&mut state, &transaction(NOW_MS, 1_000, "EUR"), &policy);
    assert_eq!(value(&outcome, "sum_7d"), Some(1_000.0));
    assert_eq!(value(&outcome, "mean_30d"), Some(1_000.0));
    assert_eq!(
        (value(&outcome, "amount_z"), value(&outcome, "amount_ratio")),
        (None, None)
    );
}
