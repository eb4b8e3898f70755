//! What a policy's alerts and reviews find and cost, by the events that have a label.

use lab::dice::Dice;
use learn::metrics::{AlertIntervals, Case, Interval, REPLICATES, Ranked, Resample, alert_intervals};
use serde::Serialize;
use tidemark_domain::outcome::Decision;

/// The intervals are the same whenever the same is compared.
const SEED: u64 = 1;

/// What flagging finds. Shares are percent; nothing of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Worth {
    /// Labelled events that it flags.
    pub labelled: u64,
    /// Of these, fraud.
    pub found: u64,
    /// Frauds that labels know of, flagged or not.
    pub frauds: u64,
    /// Fraud among what it flags.
    pub precision_pct: Option<f64>,
    /// From where to where with 95 % confidence, by drawing cards anew: one of one is not 100 %.
    pub precision_interval_pct: Option<[f64; 2]>,
    /// Frauds that it flags.
    pub recall_pct: Option<f64>,
    /// From where to where.
    pub recall_interval_pct: Option<[f64; 2]>,
    /// Amounts of the frauds that it flags, minor units.
    pub found_minor: u64,
    /// Amounts of all frauds that labels know of.
    pub frauds_minor: u64,
    /// Share of the frauds' money that it flags.
    pub money_pct: Option<f64>,
    /// From where to where; nothing of fewer than ten frauds.
    pub money_interval_pct: Option<[f64; 2]>,
    /// Amounts of what it flags that a label cleared.
    pub false_minor: u64,
}

/// What a policy is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// By its alerts.
    pub alerts: Worth,
    /// By its alerts and reviews.
    pub flagged: Worth,
}

/// What a policy finds of labelled events; their scores are its decisions as numbers.
pub(super) fn found(cases: &[Case]) -> Found {
    // Decisions are numbers.
    let Ok(ranked) = Ranked::new(cases) else {
        return Found::default();
    };
    Found {
        alerts: worth(&ranked, Decision::Alert),
        flagged: worth(&ranked, Decision::Review),
    }
}

/// What flagging from a decision on is worth.
fn worth(ranked: &Ranked<'_>, from: Decision) -> Worth {
    let threshold = f64::from(from as u8);
    let at = ranked.all().at(threshold);
    if at.alerts + at.frauds == 0 {
        return Worth::default();
    }
    let mut dice = Dice::new(SEED, 0);
    let AlertIntervals {
        precision,
        recall,
        money,
    } = alert_intervals(ranked, threshold, Resample::Card, REPLICATES, &mut || dice.any());
    let pct = |share: Option<f64>| share.map(|share| 100.0 * share);
    let span = |interval: Option<Interval>| interval.map(|interval| [100.0 * interval.low, 100.0 * interval.high]);
    Worth {
        labelled: at.alerts,
        found: at.found,
        frauds: at.frauds,
        precision_pct: pct(at.precision),
        precision_interval_pct: span(precision),
        recall_pct: pct(at.recall),
        recall_interval_pct: span(recall),
        found_minor: at.found_minor,
        frauds_minor: at.frauds_minor,
        money_pct: pct((at.frauds_minor > 0).then(|| at.found_minor as f64 / at.frauds_minor as f64)),
        money_interval_pct: span(money),
        false_minor: at.false_minor,
    }
}

/// ` (20.7 to 100.0 %)`, or nothing.
pub(super) fn between(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |[low, high]| format!(" ({low:.1} to {high:.1} %)"))
}
