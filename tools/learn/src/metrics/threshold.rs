//! What alerts from a score on find, and what they cost.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{Interval, wilson};
use super::rank::{Resample, Sample};

/// What happens when every event with at least this score is an alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtThreshold {
    /// The score.
    pub threshold: f64,
    /// Alerts.
    pub alerts: u64,
    /// Alerts a day, over days that have an event.
    pub alerts_a_day: f64,
    /// Alerts that are fraud.
    pub found: u64,
    /// Frauds.
    pub frauds: u64,
    /// Share of alerts that are fraud; `None` without an alert.
    pub precision: Option<f64>,
    /// Its interval.
    pub precision_interval: Option<Interval>,
    /// Share of frauds that are alerts; `None` without a fraud.
    pub recall: Option<f64>,
    /// Its interval.
    pub recall_interval: Option<Interval>,
    /// Amounts of the frauds that are alerts, base minor units.
    pub found_minor: u64,
    /// Amounts of all frauds.
    pub frauds_minor: u64,
    /// Amounts of alerts that are no fraud.
    pub false_minor: u64,
}

impl Sample<'_> {
    /// What alerts from this score on find.
    #[must_use]
    pub fn at(&self, threshold: f64) -> AtThreshold {
        let (mut alerts, mut found, mut frauds) = (0, 0, 0);
        let (mut found_minor, mut frauds_minor, mut false_minor) = (0_u64, 0_u64, 0_u64);
        for (at, case) in self.ranked.cases.iter().enumerate() {
            let copies = self.copies(at as u32);
            let minor = case.amount_minor.saturating_mul(copies);
            let is_alert = case.score >= threshold;
            alerts += if is_alert { copies } else { 0 };
            if case.fraud {
                frauds += copies;
                frauds_minor = frauds_minor.saturating_add(minor);
            }
            match (is_alert, case.fraud) {
                (true, true) => {
                    found += copies;
                    found_minor = found_minor.saturating_add(minor);
                }
                (true, false) => false_minor = false_minor.saturating_add(minor),
                (false, _) => {}
            }
        }
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        AtThreshold {
            threshold,
            alerts,
            alerts_a_day: alerts as f64 / self.days().max(1) as f64,
            found,
            frauds,
            precision: share(found, alerts),
            precision_interval: wilson(found, alerts),
            recall: share(found, frauds),
            recall_interval: wilson(found, frauds),
            found_minor,
            frauds_minor,
            false_minor,
        }
    }

    /// The lowest score from which on there are at most so many alerts a day, in the mean; events of one score are alerts together
    /// or not at all. `None` when even the highest score has more.
    #[must_use]
    pub fn threshold_for(&self, alerts_a_day: f64) -> Option<f64> {
        if alerts_a_day.is_nan() {
            return None;
        }
        let most = alerts_a_day * self.days() as f64;
        let (mut alerts, mut threshold) = (0, None);
        for tie in self.ties() {
            alerts += tie.frauds + tie.genuine;
            if (alerts as f64) > most {
                break;
            }
            threshold = Some(tie.score);
        }
        threshold
    }

    /// Days that have an event, each as often as it was drawn.
    #[must_use]
    pub fn days(&self) -> u64 {
        let mut days = BTreeMap::new();
        for (at, case) in self.ranked.cases.iter().enumerate() {
            let copies = self.copies(at as u32);
            if copies > 0 {
                days.insert(case.day, copies);
            }
        }
        match &self.drawn {
            Some((Resample::Day, _)) => days.values().sum(),
            _ => days.len() as u64,
        }
    }
}
