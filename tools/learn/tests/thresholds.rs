//! What alerts find, and the score that a budget of alerts allows.

use learn::metrics::{Case, Ranked};
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
