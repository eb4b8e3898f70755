//! What was learned, for a person to read and sign.

use serde::Serialize;

use super::FeaturePoints;
use super::edges::Count;
use super::pattern::{MISSING, Patterns};

/// How points were learned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitReport {
    /// Events learned from.
    pub events: usize,
    /// Of these, frauds.
    pub frauds: usize,
    /// Parts of the range that validation scored. 0: the range was too short or held too few frauds for validation, the most
    /// cautious of the options were taken, and of the features only those were dropped whose every bin has no bits.
    pub folds: usize,
    /// Bits a fraud that the labels surprise by on later events when no feature is looked at.
    pub loss_without: f64,
    /// Each combination of options that was validated.
    pub tried: Vec<Tried>,
    /// The one that was taken, by its place in `tried`; without validation the only one.
    pub chosen: usize,
    /// The features that count, with their bins.
    pub features: Vec<FeatureReport>,
    /// The features that don't, and why.
    pub dropped: Vec<DroppedFeature>,
}

/// One combination of options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Most bins a feature.
    pub bins_max: usize,
    /// Strength that draws a bin to its neighbours.
    pub smoothness: f64,
    /// Strength that draws a bin to zero.
    pub ridge: f64,
    /// Bits a fraud that the labels surprise by on later events; mean over folds.
    pub loss: f64,
    /// Average precision on later events; mean over folds.
    pub average_precision: f64,
}

/// A feature that counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureReport {
    /// Its name.
    pub feature: String,
    /// Bits a fraud by which validation is worse without it; `None` without validation.
    pub earns: Option<f64>,
    /// Its bins from below, the missing value last.
    pub bins: Vec<BinReport>,
}

/// One bin of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BinReport {
    /// Its least value; `None` for the lowest bin and for the missing value.
    pub from: Option<f64>,
    /// Its values lie below this; `None` for the highest bin and for the missing value.
    pub below: Option<f64>,
    /// Whether it is that of the missing value.
    pub missing: bool,
    /// Events that lay in it.
    pub events: u64,
    /// Of these, frauds.
    pub frauds: u64,
    /// What it adds to the score.
    pub bits: f64,
}

/// A feature that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DroppedFeature {
    /// Its name.
    pub feature: String,
    /// Why it does not.
    pub why: Why,
}

/// Why a feature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It has one value in all events, or none.
    Constant,
    /// Validation is no worse without it, or all its bins have the same bits.
    EarnsNothing,
}

/// What lies in each bin of a feature, the missing value last.
pub(super) fn counts(patterns: &Patterns, feature: usize, bins: usize) -> Vec<Count> {
    let mut counts = vec![Count::default(); bins + 1];
    for pattern in 0..patterns.len() {
        let bin = patterns.bin(pattern, feature);
        let count = &mut counts[if bin == MISSING { bins } else { bin }];
        count.rows += patterns.rows[pattern] as u64;
        count.frauds += patterns.frauds[pattern] as u64;
    }
    counts
}

/// A feature's bins with what lies in them.
pub(super) fn feature(points: &FeaturePoints, counts: &[Count], earns: Option<f64>) -> FeatureReport {
    let bin = |(at, count): (usize, &Count)| {
        let missing = at == points.bits.len();
        BinReport {
            from: if missing {
                None
            } else {
                at.checked_sub(1).map(|edge| points.edges[edge])
            },
            below: points.edges.get(at).copied(),
            missing,
            events: count.rows,
            frauds: count.frauds,
            bits: points.bits.get(at).copied().unwrap_or(points.missing_bits),
        }
    };
    FeatureReport {
        feature: points.name.clone(),
        earns,
        bins: counts.iter().enumerate().map(bin).collect(),
    }
}
