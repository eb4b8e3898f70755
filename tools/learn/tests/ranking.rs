//! Ranking figures against naive computations, scikit-learn and the Handbook's definition.

use std::collections::BTreeSet;

use learn::LearnError;
use learn::metrics::{Case, Ranked, utc_day};
use proptest::prelude::*;

pub fn case(score: f64, fraud: bool) -> Case {
    Case {
        score,
        fraud,
        day: 0,
        card: 0,
        amount_minor: 1,
    }
}

fn auc(cases: &[Case]) -> Option<f64> {
    Ranked::new(cases).unwrap().all().auc()
}

fn average_precision(cases: &[Case]) -> Option<f64> {
    Ranked::new(cases).unwrap().all().average_precision()
}

/// scikit-learn 1.9.1, `roc_auc_score` and `average_precision_score` of these labels and scores.
#[test]
fn ties_count_as_in_scikit_learn() {
    let scores = [0.1, 0.4, 0.4, 0.8, 0.8, 0.8, 0.9, 0.3, 0.2, 0.4];
    let labels = [0, 1, 0, 1, 1, 0, 0, 1, 0, 0];
    let cases: Vec<Case> = scores
        .iter()
        .zip(labels)
        .map(|(score, label)| case(*score, label == 1))
        .collect();
    assert!((auc(&cases).unwrap() - 0.583_333_333_333_333_4).abs() < 1e-15);
    assert!((average_precision(&cases).unwrap() - 0.482_142_857_142_857_15).abs() < 1e-15);
}

#[test]
fn a_figure_that_is_not_there_is_none() {
    assert_eq!((auc(&[]), average_precision(&[])), (None, None));
    assert_eq!(auc(&[case(1.0, true)]), None);
    assert_eq!(average_precision(&[case(1.0, true)]), Some(1.0));
    assert_eq!(
        (auc(&[case(1.0, false)]), average_precision(&[case(1.0, false)])),
        (None, None)
    );
    let error = Ranked::new(&[case(1.0, true), case(f64::NAN, true)]).unwrap_err();
    assert_eq!(error, LearnError::Score { at: 1 });
}

/// Every pair of a fraud and another event.
fn auc_naive(cases: &[Case]) -> Option<f64> {
    let (mut pairs, mut won) = (0.0, 0.0);
    for fraud in cases.iter().filter(|case| case.fraud) {
        for genuine in cases.iter().filter(|case| !case.fraud) {
            pairs += 1.0;
            won += if fraud.score > genuine.score {
                1.0
            } else if fraud.score == genuine.score {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// The mean over frauds of the precision of an alert at the fraud's own score.
fn average_precision_naive(cases: &[Case]) -> Option<f64> {
    let frauds: Vec<&Case> = cases.iter().filter(|case| case.fraud).collect();
    let precision = |fraud: &&Case| {
        let alerts = cases.iter().filter(|case| case.score >= fraud.score);
        let (found, all) = alerts.fold((0.0, 0.0), |(found, all), case| {
            (found + f64::from(u8::from(case.fraud)), all + 1.0)
        });
        found / all
    };
    let sum: f64 = frauds.iter().map(precision).sum();
    (!frauds.is_empty()).then(|| sum / frauds.len() as f64)
}

fn near(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-12,
        (one, other) => one == other,
    }
}

pub fn cases(count: usize) -> impl Strategy<Value = Vec<Case>> {
    let one = (-3..4_i8, prop::bool::weighted(0.3), -2..4_i64, 0..9_u64, 0..500_u64);
    let case = one.prop_map(|(score, fraud, day, card, amount_minor)| Case {
        score: f64::from(score) / 2.0,
        fraud,
        day,
        card,
        amount_minor,
    });
    prop::collection::vec(case, 0..count)
}

/// The Handbook's two functions `card_precision_top_k_day` and `card_precision_top_k`, step by step; where pandas leaves the
/// order of equal scores open, the lower card comes first.
fn card_precision_naive(cases: &[Case], k: usize) -> Option<f64> {
    let days: BTreeSet<i64> = cases.iter().map(|case| case.day).collect();
    let mut detected: Vec<u64> = Vec::new();
    let mut precisions = Vec::new();
    for day in days {
        let of_day: Vec<&Case> = cases
            .iter()
            .filter(|case| case.day == day && !detected.contains(&case.card))
            .collect();
        let cards: BTreeSet<u64> = of_day.iter().map(|case| case.card).collect();
        let mut rows: Vec<(u64, f64, bool)> = Vec::new();
        for card in cards {
            let own = || of_day.iter().filter(|case| case.card == card);
            let most = own().map(|case| case.score).fold(f64::NEG_INFINITY, f64::max);
            rows.push((card, most, own().any(|case| case.fraud)));
        }
        rows.sort_by(|one, other| other.1.partial_cmp(&one.1).unwrap());
        let found: Vec<u64> = rows.iter().take(k).filter(|row| row.2).map(|row| row.0).collect();
        precisions.push(found.len() as f64 / k as f64);
        detected.extend(found);
    }
    (!precisions.is_empty()).then(|| precisions.iter().sum::<f64>() / precisions.len() as f64)
}

proptest! {
    #[test]
    fn figures_equal_the_naive_ones(cases in cases(80), k in 1..6_usize) {
        prop_assert!(near(auc(&cases), auc_naive(&cases)));
        prop_assert!(near(average_precision(&cases), average_precision_naive(&cases)));
        let found = Ranked::new(&cases).unwrap().all().card_precision(k);
        prop_assert!(near(found.map(|found| found.mean), card_precision_naive(&cases, k)));
    }
}

/// Two days, two cards a day, by hand.
#[test]
fn a_card_that_was_found_is_left_out_afterwards() {
    let at = |day, card, score, fraud| Case {
        day,
        card,
        ..case(score, fraud)
    };
    let cases = [
        at(1, 7, 9.0, false),
        at(1, 7, 8.0, true), // card 7: highest score, and a fraud that day, though not the event of that score
        at(1, 8, 5.0, false),
        at(1, 9, 4.0, true), // third: not looked at
        at(2, 7, 9.0, true), // found yesterday
        at(2, 9, 3.0, true),
        at(2, 8, 2.0, false),
        at(2, 6, 1.0, true),
    ];
    let found = Ranked::new(&cases).unwrap().all().card_precision(2).unwrap();
    let days: Vec<_> = found
        .days
        .iter()
        .map(|day| (day.day, day.compromised, day.found))
        .collect();
    assert_eq!(days, [(1, 2, 1), (2, 2, 1)]);
    assert_eq!(found.mean, 0.5);
    // Three cards of which there are two, or one: the share is of three still.
    let three = Ranked::new(&cases[..3]).unwrap().all().card_precision(3).unwrap();
    assert!((three.mean - 1.0 / 3.0).abs() < 1e-15);
    assert_eq!(Ranked::new(&[]).unwrap().all().card_precision(3), None);
    assert_eq!(Ranked::new(&cases).unwrap().all().card_precision(0), None);
}

#[test]
fn days_begin_at_midnight_before_1970_too() {
    assert_eq!([-1, 0, 86_399_999, 86_400_000].map(utc_day), [-1, 0, 0, 1]);
}
