//! What alerts find, and the score that a budget of alerts allows.

use learn::metrics::{Case, Ranked, Resample, alert_intervals};
use proptest::prelude::*;

use crate::ranking::{case, cases};

#[test]
fn alerts_by_hand() {
    let at = |score, fraud, day, amount_minor| Case {
        day,
        amount_minor,
        ..case(score, fraud)
    };
    let cases = [
        at(9.0, true, 0, 500),
        at(8.0, false, 0, 70),
        at(8.0, true, 1, 30),
        at(1.0, true, 3, 1_000),
        at(0.0, false, 3, 9),
    ];
    let ranked = Ranked::new(&cases).unwrap();
    let found = ranked.all().at(8.0);
    assert_eq!((found.alerts, found.found, found.frauds), (3, 2, 3));
    assert_eq!(found.alerts_a_day, 1.0);
    assert_eq!((found.precision, found.recall), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
    assert_eq!(
        (found.found_minor, found.frauds_minor, found.false_minor),
        (530, 1_530, 70)
    );
    let none = ranked.all().at(9.5);
    assert_eq!((none.alerts, none.precision, none.precision_interval), (0, None, None));
    assert_eq!(none.recall, Some(0.0));

    // One alert, and it is fraud: that is not said to be sure.
    let one = ranked.all().at(9.0);
    assert_eq!(one.precision, Some(1.0));
    assert!(one.precision_interval.unwrap().low < 0.21);
}

#[test]
fn a_budget_takes_equal_scores_together() {
    let cases = [case(9.0, true), case(8.0, false), case(8.0, true), case(1.0, false)];
    let ranked = Ranked::new(&cases).unwrap();
    let budgets = [0.9, 1.0, 2.0, 3.0, 100.0, f64::NAN, -1.0];
    let thresholds = budgets.map(|budget| ranked.all().threshold_for(budget));
    assert_eq!(
        thresholds,
        [None, Some(9.0), Some(9.0), Some(8.0), Some(1.0), None, None]
    );
}

proptest! {
    #[test]
    fn a_threshold_keeps_the_budget_and_no_lower_one_does(cases in cases(60), budget in 0.0..12.0_f64) {
        let ranked = Ranked::new(&cases).unwrap();
        let sample = ranked.all();
        let found = sample.threshold_for(budget);
        if let Some(threshold) = found {
            prop_assert!(sample.at(threshold).alerts_a_day <= budget);
        }
        let is_lower = |score: f64| found.is_none_or(|threshold| score < threshold);
        for case in cases.iter().filter(|case| is_lower(case.score)) {
            prop_assert!(sample.at(case.score).alerts_a_day > budget);
        }
    }

    #[test]
    fn figures_add_up(cases in cases(60), threshold in -2.0..2.0_f64) {
        let ranked = Ranked::new(&cases).unwrap();
        let found = ranked.all().at(threshold);
        let alerts: Vec<&Case> = cases.iter().filter(|case| case.score >= threshold).collect();
        prop_assert_eq!(found.alerts as usize, alerts.len());
        prop_assert_eq!(found.found_minor + found.false_minor, alerts.iter().map(|case| case.amount_minor).sum::<u64>());
        for (share, interval) in [(found.precision, found.precision_interval), (found.recall, found.recall_interval)] {
            prop_assert_eq!(share.is_some(), interval.is_some());
            if let (Some(share), Some(interval)) = (share, interval) {
                prop_assert!(0.0 <= interval.low && interval.low <= share && share <= interval.high && interval.high <= 1.0);
            }
        }
    }
}

#[test]
fn a_curve_is_what_alerts_find_at_each_score() {
    let cases: Vec<Case> = (0..200_u64)
        .map(|number| Case {
            amount_minor: 10 + number,
            ..case((number * 37 % 23) as f64, number % 7 == 0)
        })
        .collect();
    let ranked = Ranked::new(&cases).unwrap();
    let sample = ranked.all();
    let curve = sample.curve();
    assert_eq!(curve.len(), 23);
    for point in &curve {
        let at = sample.at(point.threshold);
        assert_eq!(
            (point.alerts, point.found, point.found_minor),
            (at.alerts, at.found, at.found_minor)
        );
    }
    assert!(curve.windows(2).all(|pair| pair[0].threshold > pair[1].threshold));
}

#[test]
fn one_of_one_is_not_sure_and_cards_with_many_events_are_less_sure_than_these() {
    let mut state = 1_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ (state >> 31)
    };
    let one = [case(9.0, true), case(1.0, false)];
    let ranked = Ranked::new(&one).unwrap();
    let found = alert_intervals(&ranked, 5.0, Resample::Card, 200, &mut draw);
    assert!(
        found.recall.unwrap().low < 0.21 && found.precision.unwrap().low < 0.21,
        "{found:?}"
    );
    assert_eq!(found.money, None);
    // Four cards with 25 events each: all of a card's are found, or none.
    let bouts: Vec<Case> = (0..100_u64)
        .map(|number| Case {
            card: number / 25,
            ..case(if number < 50 { 9.0 } else { 1.0 }, true)
        })
        .collect();
    let ranked = Ranked::new(&bouts).unwrap();
    let recall = alert_intervals(&ranked, 5.0, Resample::Card, 200, &mut draw)
        .recall
        .unwrap();
    assert!(recall.low < 0.1 && recall.high > 0.9, "{recall:?}");
}
