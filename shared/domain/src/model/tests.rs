//! The score against its formulas, and its promises against random cards.

use proptest::prelude::*;

use super::*;
use crate::catalogue::{FeatureKey, FeatureKind};
use crate::event::{Country, Currency, Place};
use crate::history::BASE_AMOUNT_MAX;
use crate::id::{DeviceId, MerchantId};
use crate::measure::tests::{arrivals, policy_of, profile, state_of, transaction};
use crate::outcome::{Decision, REASONS_MAX};
use crate::policy::{Compiled, Feature, base_amount};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;
const NOW: i64 = 1_700_000_000_000;

/// A card with an event a day for 30 days, at one merchant, amounts 90, 100 and 110 in turn.
fn steady() -> Vec<Transaction> {
    (0..30_i64)
        .map(|i| transaction(NOW - (30 - i) * DAY + 1, 90 + 10 * (i as u64 % 3)))
        .collect()
}

fn bits(
    kind: FeatureKind,
    window_minutes: u32,
    earlier: &[Transaction],
    tx: &Transaction,
    known: Option<&Profile>,
) -> f64 {
    let policy = policy_of(&[60, 1440, 43_200]);
    let event = Observed::new(tx, &policy);
    let measured = Sweep::new(&event, &policy).measure(&state_of(earlier), known, &[]);
    let feature = Feature::new(FeatureKey::new(kind, window_minutes), policy.windows(), &[]);
    surprise::of(feature, &measured, &policy)
}

fn assert_bits(found: f64, probability: f64) {
    assert!(
        (found + probability.log2()).abs() < 1e-6,
        "{found} bits, expected those of {probability}"
    );
}

fn a_profile() -> Profile {
    Profile {
        card_id: transaction(0, 1).card_id,
        version: 9,
        usual_country: Country(*b"FR"),
        spend_mean_minor: 100.0,
        spend_deviation_minor: 50.0,
        transactions_per_day: 1.0,
        account_opened_at_ms: 0,
        updated_at_ms: None,
    }
}

#[test]
fn a_count_is_as_surprising_as_its_tail() {
    let mut earlier = steady();
    earlier.extend((1..=4).map(|i| transaction(NOW - i * 10 * MINUTE, 100)));
    let tx = transaction(NOW, 100);
    // Reference: 30 events before the hour, the first of which opens 30 days less an hour and a millisecond.
    let days = (30 * DAY - 1 - 60 * MINUTE) as f64 / DAY as f64;
    let mean = (1.0 + 29.0) / (1.0 + days) / 24.0;
    let shape = 2.0 + 2.0 / 24.0;
    // Four others: one minus the probabilities of 0 to 3.
    let odds = mean / (mean + shape);
    let (mut term, mut below) = ((1.0 - odds).powf(shape), 0.0);
    for k in 0..4 {
        below += term;
        term *= (f64::from(k) + shape) / (f64::from(k) + 1.0) * odds;
    }
    let found = bits(FeatureKind::Count, 60, &earlier, &tx, None);
    assert!((found + (1.0_f64 - below).log2()).abs() < 1e-3, "{found} {below}");
    // The longest window has no time before it to be held against.
    assert!(bits(FeatureKind::Count, 43_200, &earlier, &tx, None).abs() < f64::EPSILON);
    assert!(
        bits(FeatureKind::Count, 60, &steady(), &tx, None).abs() < f64::EPSILON,
        "one event alone is no burst"
    );
}

#[test]
fn a_first_time_follows_the_rule_of_succession() {
    let mut tx = transaction(NOW, 100);
    assert!(bits(FeatureKind::NewMerchant, 0, &steady(), &tx, None).abs() < f64::EPSILON);
    tx.merchant_id = MerchantId::new("another").unwrap();
    tx.country = Country(*b"DE");
    tx.device_id = DeviceId::new("phone");
    assert_bits(bits(FeatureKind::NewMerchant, 0, &steady(), &tx, None), 2.0 / 32.0);
    assert_bits(bits(FeatureKind::NewCountry, 0, &steady(), &tx, None), 2.0 / 32.0);
    // No event named a device: nothing is known of how often this card has a new one.
    assert_bits(bits(FeatureKind::NewDevice, 0, &steady(), &tx, None), 1.0 / 2.0);
    assert!(
        bits(FeatureKind::NewMerchant, 0, &[], &tx, None).abs() < f64::EPSILON,
        "all is new to a new card"
    );
    // Abroad: 30 events, none abroad, and a belief of one in twenty.
    assert_bits(
        bits(FeatureKind::ForeignToProfile, 0, &steady(), &tx, Some(&a_profile())),
        1.0 / 50.0,
    );
}

#[test]
fn declined_events_follow_the_binomial_tail() {
    let mut earlier = steady();
    let mut declined = transaction(NOW - MINUTE, 100);
    declined.approved = false;
    earlier.push(declined.clone());
    declined.occurred_at_ms = NOW;
    // Two of two declined, where 30 events had none.
    assert_bits(
        bits(FeatureKind::ShareDeclined, 60, &earlier, &declined, None),
        (1.0_f64 / 50.0).powi(2),
    );
}

#[test]
fn amounts_are_held_against_history_and_profile() {
    let at = |amount| transaction(NOW, amount);
    let own = |amount| bits(FeatureKind::AmountZ, 0, &steady(), &at(amount), None);
    assert!(own(100).abs() < 1e-9, "the mean itself");
    assert!(own(110) > 1.0 && own(110) < 4.0, "{}", own(110));
    assert!(own(300) > 25.0, "{}", own(300));
    assert!(bits(FeatureKind::AmountZ, 0, steady().get(..4).unwrap(), &at(300), None).abs() < f64::EPSILON);
    // The lognormal median: mean / √(1 + (s / m)²).
    let profile_bits = |amount| bits(FeatureKind::ProfileAmountZ, 0, &[], &at(amount), Some(&a_profile()));
    assert!(
        profile_bits(89).abs() < f64::EPSILON && profile_bits(90) > 1.0,
        "{} {}",
        profile_bits(89),
        profile_bits(90)
    );
    // Two deviations of the logarithm above it: 2.275 %.
    let two = 100.0 / 1.25_f64.sqrt() * (2.0 * 1.25_f64.ln().sqrt()).exp();
    assert!((profile_bits(two.round() as u64) + 0.022_75_f64.log2()).abs() < 0.05);
}

#[test]
fn speed_halves_with_each_150_kilometres_an_hour() {
    let mut earlier = transaction(NOW - 50 * MINUTE, 100);
    earlier.place = Some(Place {
        latitude_e4: 0,
        longitude_e4: 0,
    });
    let mut tx = transaction(NOW, 100);
    tx.place = Some(Place {
        latitude_e4: 0,
        longitude_e4: 100_000,
    });
    // Ten degrees of the equator, less 10 km, in 50 minutes and 10.
    let km = 10.0_f64.to_radians() * 6371.0088 - 10.0;
    let found = bits(FeatureKind::Speed, 0, &[earlier.clone()], &tx, None);
    assert!((found - km / 150.0).abs() < 1e-6, "{found}");
    tx.place = Some(Place {
        latitude_e4: 500,
        longitude_e4: 0,
    });
    tx.occurred_at_ms = earlier.occurred_at_ms;
    assert!(
        bits(FeatureKind::Speed, 0, &[earlier], &tx, None).abs() < f64::EPSILON,
        "5.6 km at once is slack"
    );
}

#[test]
fn a_score_says_what_served_it() {
    let policy = Policy::default_policy();
    let (state, mut tx, known) = (state_of(&steady()), transaction(NOW, 100), a_profile());
    let outcome = score(&state, &tx, ProfileInput::Known(&known), &policy);
    assert_eq!(
        (outcome.tier, outcome.missing, outcome.profile_version),
        (Tier::Full, Missing(0), Some(9))
    );
    assert_eq!(
        (outcome.decision, outcome.policy_version),
        (Decision::Pass, policy.version)
    );
    assert!(outcome.reasons.is_empty() && outcome.features.is_empty());
    let outcome = score(&state, &tx, ProfileInput::Absent, &policy);
    assert_eq!((outcome.tier, outcome.missing.0), (Tier::Full, Missing::PROFILE_ABSENT));
    tx.currency = Currency(*b"XAU");
    let outcome = score(&state, &tx, ProfileInput::Unavailable, &policy);
    assert_eq!((outcome.tier, outcome.profile_version), (Tier::NoProfile, None));
    assert_eq!(outcome.missing.0, Missing::PROFILE_UNAVAILABLE | Missing::CURRENCY_RATE);
}

/// The built-in policy with a part for low risk: up to 50 EUR in two merchant categories.
fn policy_with_low_risk() -> Policy {
    let section = "\n[low_risk]\namount_max_minor = 5_000\nmerchant_categories = [5412, 5814]\n\
                   features = [\"share_declined_1h\", \"count_1h\", \"mean_30d\"]\n";
    Policy::parse(&format!("{}{section}", Policy::default_text()), "low.toml").unwrap()
}

#[test]
fn an_event_of_low_risk_is_scored_by_a_part_of_the_features_and_never_by_the_profile() {
    let (policy, known) = (policy_with_low_risk(), a_profile());
    let (state, mut tx) = (state_of(&steady()), transaction(NOW, 5_000));
    tx.mcc = 5814;
    let cheap = score(&state, &tx, ProfileInput::Known(&known), &policy);
    assert_eq!((cheap.tier, cheap.profile_version), (Tier::LowRisk, None));
    assert_eq!(cheap.missing.0, Missing::PROFILE_UNAVAILABLE);
    // Whatever is known of the profile, it is the same outcome: reading it would have been for nothing.
    for profile in [ProfileInput::Absent, ProfileInput::Unavailable, ProfileInput::Skipped] {
        assert_eq!(score(&state, &tx, profile, &policy), cheap);
    }
    // What the policy leaves it, in the policy's order, weighs as it always does.
    let named: Vec<String> = policy
        .low_risk
        .as_ref()
        .unwrap()
        .policy
        .features()
        .map(|key| key.to_string())
        .collect();
    assert_eq!(named, ["count_1h", "mean_30d", "share_declined_1h"]);
    let mut only = Policy::default_policy();
    let features: Vec<FeatureKey> = only.features().collect();
    let weights: Vec<_> = only
        .weights()
        .filter(|(key, _)| named.contains(&key.to_string()))
        .collect();
    only.compiled = Compiled::new(only.windows().to_vec(), &features, &weights);
    assert_eq!(cheap.score, score(&state, &tx, ProfileInput::Absent, &only).score);
    // A card that is new is no reason for a person to look at so little money.
    assert_eq!(
        score(&History::default(), &tx, ProfileInput::Skipped, &policy).tier,
        Tier::LowRisk
    );
    // One minor unit more, another category, a currency without a rate: in full.
    let full = |tx: &Transaction| score(&state, tx, ProfileInput::Known(&known), &policy).tier;
    tx.amount_minor = 5_001;
    assert_eq!(full(&tx), Tier::Full);
    (tx.amount_minor, tx.mcc) = (1, 5813);
    assert_eq!(full(&tx), Tier::Full);
    (tx.mcc, tx.currency) = (5412, Currency(*b"XAU"));
    assert_eq!(full(&tx), Tier::Full);
    // The bound is in the base currency: 5,400 cents of a dollar are 4,968 of a euro.
    (tx.amount_minor, tx.currency) = (5_400, Currency(*b"USD"));
    assert_eq!(full(&tx), Tier::LowRisk);
}

#[test]
fn low_risk_still_raises_an_alert_when_its_features_do() {
    let policy = policy_with_low_risk();
    let mut burst: Vec<Transaction> = steady();
    for back in 1..=40 {
        let mut declined = transaction(NOW - back * 1_000, 100);
        declined.approved = false;
        burst.push(declined);
    }
    let mut tx = transaction(NOW, 100);
    (tx.mcc, tx.approved) = (5814, false);
    let outcome = score(&state_of(&burst), &tx, ProfileInput::Skipped, &policy);
    assert_eq!((outcome.tier, outcome.decision), (Tier::LowRisk, Decision::Alert));
    assert!(!outcome.reasons.is_empty());
}

#[test]
fn without_profile_and_history_an_event_is_neutral_and_goes_to_review() {
    let mut policy = Policy::default_policy();
    let tx = transaction(NOW, 100);
    let old = transaction(NOW - 31 * DAY, 100);
    for (profile, lower) in [
        (ProfileInput::Unavailable, Tier::NoProfile),
        (ProfileInput::Skipped, Tier::HistoryOnly),
    ] {
        // What is older than the longest window says nothing.
        for state in [History::default(), state_of(std::slice::from_ref(&old))] {
            let outcome = score(&state, &tx, profile, &policy);
            assert_eq!((outcome.tier, outcome.decision), (Tier::Neutral, Decision::Review));
            assert_eq!((outcome.score, outcome.reasons.len()), (policy.thresholds.review, 0));
            assert_eq!(
                (outcome.missing.0, outcome.profile_version),
                (Missing::PROFILE_UNAVAILABLE, None)
            );
        }
        let one = state_of(&[transaction(NOW - 1, 100)]);
        assert_eq!(score(&one, &tx, profile, &policy).tier, lower);
        policy.neutral_below_events = 2;
        assert_eq!(score(&one, &tx, profile, &policy).tier, Tier::Neutral);
        policy.neutral_below_events = 0;
        assert_eq!(score(&History::default(), &tx, profile, &policy).tier, lower);
        policy.neutral_below_events = 1;
    }
    // A card that is known to have no profile is judged as a new card is.
    assert_eq!(
        score(&History::default(), &tx, ProfileInput::Absent, &policy).tier,
        Tier::Full
    );
}

#[test]
fn a_profile_older_than_the_policy_allows_is_used_and_said() {
    let (mut policy, mut known) = (Policy::default_policy(), a_profile());
    let (state, tx) = (state_of(&steady()), transaction(NOW, 100));
    let missing = |policy: &Policy, known: &Profile| {
        let outcome = score(&state, &tx, ProfileInput::Known(known), policy);
        assert_eq!(
            (outcome.tier, outcome.profile_version),
            (Tier::Full, Some(known.version))
        );
        outcome.missing.0
    };
    policy.profile_max_age_ms = Some(DAY);
    assert_eq!(missing(&policy, &known), 0, "it does not say how old it is");
    known.updated_at_ms = Some(NOW - DAY);
    assert_eq!(missing(&policy, &known), 0);
    known.updated_at_ms = Some(NOW - DAY - 1);
    assert_eq!(missing(&policy, &known), Missing::PROFILE_STALE);
    policy.profile_max_age_ms = None;
    assert_eq!(missing(&policy, &known), 0);
}

#[test]
fn history_that_the_head_cut_is_said_where_a_window_reaches_it() {
    let policy = Policy::default_policy();
    let mut state = state_of(&steady());
    let missing = |state: &History| {
        score(state, &transaction(NOW, 100), ProfileInput::Absent, &policy)
            .missing
            .0
            & Missing::HISTORY_TRUNCATED
    };
    assert_eq!(missing(&state), 0);
    state.truncation = Some(crate::history::Truncation {
        events: 1,
        floor_ms: NOW - 30 * DAY,
    });
    assert_eq!(missing(&state), 0, "the window begins after that time");
    state.truncation = Some(crate::history::Truncation {
        events: 1,
        floor_ms: NOW - 30 * DAY + 1,
    });
    assert_eq!(missing(&state), Missing::HISTORY_TRUNCATED);
}

#[test]
fn amounts_are_brought_to_the_base_currency() {
    let text = Policy::default_text().replace("JPY = 0.0062", "JPY = 0.0062\nKWD = 3.0");
    let policy = Policy::parse(&text, "test").unwrap();
    let base = |code: &[u8; 3], amount_minor: u64| {
        let mut tx = transaction(NOW, amount_minor);
        tx.currency = Currency(*code);
        base_amount(&tx, &policy)
    };
    assert_eq!(base(b"EUR", 1234), Some(1234));
    assert_eq!(base(b"USD", 1000), Some(920));
    assert_eq!(
        base(b"JPY", 10_000),
        Some(6200),
        "a yen has no minor unit: 10,000 yen are 62.00 euro"
    );
    assert_eq!(
        base(b"KWD", 1000),
        Some(300),
        "a dinar has a thousand: 1.000 dinar are 3.00 euro"
    );
    assert_eq!(base(b"JPY", 1), Some(1), "at least one minor unit");
    assert_eq!(base(b"XAU", 77), None);
    assert_eq!(base(b"KWD", u64::MAX), Some(BASE_AMOUNT_MAX));
    assert_eq!(base(b"EUR", u64::MAX), Some(BASE_AMOUNT_MAX));
}

#[test]
fn each_fraud_pattern_is_seen_and_named() {
    let policy = Policy::default_policy();
    let judge =
        |earlier: &[Transaction], tx: &Transaction| score(&state_of(earlier), tx, ProfileInput::Absent, &policy);
    let first = |outcome: &StoredOutcome| outcome.reasons.first().map(|reason| reason.key.kind);

    let usual = judge(&steady(), &transaction(NOW, 100));
    assert!(usual.score < 50, "{usual:?}");
    assert_eq!(judge(&[], &transaction(NOW, 100)).score, 0, "a card's first event");

    let large = judge(&steady(), &transaction(NOW, 5000));
    assert!(
        large.decision != Decision::Pass && first(&large) == Some(FeatureKind::AmountZ),
        "{large:?}"
    );

    let mut burst = steady();
    burst.extend((1..=6).map(|i| transaction(NOW - i * 20_000, 100)));
    let burst = judge(&burst, &transaction(NOW, 100));
    assert!(
        burst.decision != Decision::Pass && first(&burst) == Some(FeatureKind::Count),
        "{burst:?}"
    );

    let mut far = steady();
    far.last_mut().unwrap().place = Some(Place {
        latitude_e4: 488_566,
        longitude_e4: 23_522,
    });
    far.last_mut().unwrap().occurred_at_ms = NOW - 60 * MINUTE;
    let mut tx = transaction(NOW, 100);
    tx.place = Some(Place {
        latitude_e4: 407_128,
        longitude_e4: -740_060,
    });
    tx.country = Country(*b"US");
    let far = judge(&far, &tx);
    assert!(
        far.decision != Decision::Pass && first(&far) == Some(FeatureKind::Speed),
        "{far:?}"
    );
}

/// The default policy, with reasons for every score over 0.
fn talkative() -> Policy {
    let mut policy = Policy::default_policy();
    policy.scoring.reasons_min_score = 1;
    policy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_score_keeps_its_promises(list in arrivals(40), profile in profile()) {
        let policy = talkative();
        let (tx, earlier) = list.split_last().unwrap();
        let known = profile.as_ref().map_or(ProfileInput::Absent, ProfileInput::Known);
        let state = state_of(earlier);
        let outcome = score(&state, tx, known, &policy);
        prop_assert!(outcome.score <= SCORE_MAX);
        prop_assert_eq!(&outcome, &score(&state, tx, known, &policy));
        let shares: Vec<u32> = outcome.reasons.iter().map(|reason| u32::from(reason.share_pct)).collect();
        prop_assert!(shares.len() <= REASONS_MAX);
        prop_assert!(shares.is_sorted_by(|a, b| a >= b), "{:?}", shares);
        // Each share is rounded by itself, by half a percent at most.
        prop_assert!(shares.iter().sum::<u32>() <= 102, "{:?}", shares);
        prop_assert!(shares.iter().all(|share| *share >= u32::from(policy.scoring.reasons_min_share_pct)));
        // Of 14 weights the greatest part is a fourteenth at least, which is over the least share.
        prop_assert_eq!(outcome.score == 0, outcome.reasons.is_empty());
        let expected = match outcome.score {
            score if score >= policy.thresholds.alert => Decision::Alert,
            score if score >= policy.thresholds.review => Decision::Review,
            _ => Decision::Pass,
        };
        prop_assert_eq!(outcome.decision, expected);
    }

    #[test]
    fn a_larger_amount_is_never_less_surprising(list in arrivals(30), profile in profile(), more in 1_u64..1_000_000) {
        let policy = Policy::default_policy();
        let (tx, earlier) = list.split_last().unwrap();
        let known = profile.as_ref().map_or(ProfileInput::Absent, ProfileInput::Known);
        let state = state_of(earlier);
        let mut larger = tx.clone();
        larger.amount_minor = (tx.amount_minor + more).min(BASE_AMOUNT_MAX);
        prop_assert!(score(&state, &larger, known, &policy).score >= score(&state, tx, known, &policy).score);
    }

    #[test]
    fn what_comes_later_does_not_change_a_score(list in arrivals(30), profile in profile()) {
        let policy = Policy::default_policy();
        let (tx, earlier) = list.split_last().unwrap();
        let known = profile.as_ref().map_or(ProfileInput::Absent, ProfileInput::Known);
        let before: Vec<Transaction> =
            earlier.iter().filter(|other| other.occurred_at_ms <= tx.occurred_at_ms).cloned().collect();
        prop_assert_eq!(
            score(&state_of(earlier), tx, known, &policy),
            score(&state_of(&before), tx, known, &policy)
        );
    }

    #[test]
    fn absurd_profiles_do_no_harm(
        list in arrivals(10),
        numbers in proptest::array::uniform3(prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0), Just(-1.0), Just(f64::MAX),
            Just(f64::MIN_POSITIVE), any::<f64>()
        ]),
    ) {
        let [mean, deviation, per_day] = numbers;
        let profile = Profile {
            spend_mean_minor: mean,
            spend_deviation_minor: deviation,
            transactions_per_day: per_day,
            ..a_profile()
        };
        let (tx, earlier) = list.split_last().unwrap();
        let state = state_of(earlier);
        let mut policy = talkative();
        policy.outcome_features = true;
        let outcome = score(&state, tx, ProfileInput::Known(&profile), &policy);
        prop_assert!(outcome.score <= SCORE_MAX);
        let values = outcome.features.iter().filter_map(|(_, value)| *value);
        prop_assert!(values.into_iter().all(f64::is_finite), "{:?}", outcome.features);
    }
}
