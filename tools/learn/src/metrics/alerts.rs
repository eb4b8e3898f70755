//! How sure what alerts find is.

use serde::Serialize;

use super::bootstrap::intervals;
use super::interval::{Interval, wilson};
use super::rank::{Ranked, Resample};

/// Of fewer frauds the share of their money has no interval: samples of a few amounts say nothing of those that were never met.
const MONEY_FRAUDS_MIN: u64 = 10;

/// 95 % intervals of what alerts from a score on find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AlertIntervals {
    /// Of the share of alerts that are fraud.
    pub precision: Option<Interval>,
    /// Of the share of frauds that are alerts.
    pub recall: Option<Interval>,
    /// Of the share of the frauds' money that alerts find; `None` of fewer than ten frauds.
    pub money: Option<Interval>,
}

/// The intervals, by drawing cards or days. A share's is never narrower than E. B. Wilson's, which takes events for independent: samples of
/// nothing but hits would say that one of one is sure.
pub fn alert_intervals(
    ranked: &Ranked<'_>,
    threshold: f64,
    by: Resample,
    replicates: usize,
    draw: &mut dyn FnMut() -> u64,
) -> AlertIntervals {
    let found = ranked.all().at(threshold);
    let [precision, recall, money] = intervals(ranked, by, replicates, draw, |sample| {
        let at = sample.at(threshold);
        let money = (at.frauds_minor > 0).then(|| at.found_minor as f64 / at.frauds_minor as f64);
        [at.precision, at.recall, money]
    });
    AlertIntervals {
        precision: both(precision, wilson(found.found, found.alerts)),
        recall: both(recall, wilson(found.found, found.frauds)),
        money: money.filter(|_| found.frauds >= MONEY_FRAUDS_MIN),
    }
}

/// What holds both.
fn both(one: Option<Interval>, other: Option<Interval>) -> Option<Interval> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Interval {
            low: one.low.min(other.low),
            high: one.high.max(other.high),
        }),
        (one, other) => one.or(other),
    }
}
