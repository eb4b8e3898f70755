//! Points: each feature has a table of bins, each bin its bits; their sum with the prior is the log2 odds of fraud.
//!
//! [`fit`] learns them from a [`Table`]: bins with round edges (`edges.rs`), bits by regularised logistic regression
//! (`solve.rs`), strength and number of bins by validation in time order inside the table (`validate.rs`). What earns nothing
//! there is dropped.

mod choose;
pub(crate) mod edges;
mod late;
mod options;
mod pattern;
mod report;
mod solve;
mod validate;

use serde::Serialize;

use crate::refusal::LearnError;
use crate::table::Table;

use edges::Fine;
use pattern::Patterns;

pub use options::{Criterion, FitOptions};
pub use report::{BinReport, DroppedFeature, FeatureReport, FitReport, Tried, Why};

/// Fewer events are refused.
pub const ROWS_MIN: usize = 500;
/// Fewer frauds are refused, and fewer events that are not fraud.
pub const FRAUDS_MIN: usize = 50;
/// Bits are whole multiples of one in so many: what is published is what was measured, and a person can add it up.
const BITS_STEPS: f64 = 100.0;

/// The bits of one feature's bins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeaturePoints {
    /// The feature.
    pub name: String,
    /// Where bins begin, ascending: a value at an edge lies above it.
    pub edges: Vec<f64>,
    /// Bits of each bin: below the first edge, from each edge on. One more than edges.
    pub bits: Vec<f64>,
    /// Bits of a missing value.
    pub missing_bits: f64,
}

impl FeaturePoints {
    /// The bits of a value. One that is no number counts as missing.
    #[must_use]
    pub fn bits_of(&self, value: Option<f64>) -> f64 {
        match value.filter(|value| !value.is_nan()) {
            Some(value) => self.bits[edges::bin_of(&self.edges, value)],
            None => self.missing_bits,
        }
    }
}

/// What a policy holds: a prior, and the points of some features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearnedPoints {
    /// Log2 odds of fraud of an event whose every feature lies in its fullest bin.
    pub prior_bits: f64,
    /// The features that count.
    pub features: Vec<FeaturePoints>,
}

impl LearnedPoints {
    /// Log2 odds of fraud. The values are those of [`LearnedPoints::features`], in that order.
    #[must_use]
    pub fn score(&self, values: &[Option<f64>]) -> f64 {
        self.parts(values).fold(self.prior_bits, |sum, part| sum + part)
    }

    /// The bits of each feature, in the order of [`LearnedPoints::features`]; a value that is not given is missing.
    pub fn parts(&self, values: &[Option<f64>]) -> impl Iterator<Item = f64> {
        let given = values.iter().copied().chain(std::iter::repeat(None));
        self.features
            .iter()
            .zip(given)
            .map(|(feature, value)| feature.bits_of(value))
    }

    /// Log2 odds of fraud of each event of a table. Features that the table lacks are missing.
    #[must_use]
    pub fn scores(&self, table: &Table) -> Vec<f64> {
        let mut scores = vec![self.prior_bits; table.len()];
        for feature in &self.features {
            let at = table.names().iter().position(|name| *name == feature.name);
            match at {
                Some(at) => {
                    for (score, value) in scores.iter_mut().zip(table.column(at)) {
                        *score += feature.bits_of(Some(*value));
                    }
                }
                None => scores.iter_mut().for_each(|score| *score += feature.missing_bits),
            }
        }
        scores
    }
}

/// What was learned, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// For the policy.
    pub points: LearnedPoints,
    /// For the person who signs it.
    pub report: FitReport,
}

/// Learns points from a table. The same table and options give the same bits on every machine.
///
/// # Errors
/// With too few events or frauds, when no feature varies or none earns anything, or with options that make no sense.
pub fn fit(table: &Table, options: &FitOptions) -> Result<Fitted, LearnError> {
    options.check()?;
    check_enough(table)?;
    let is_late = |name: &str| options.late.iter().any(|late| late == name);
    let main = table.only(|name| !is_late(name));
    let choice = choose::choose(&main, options)?;
    if main.names().len() == table.names().len() {
        return fit_chosen(&main, choice, options);
    }
    let (with, choice) = late::added(table, main, choice, options)?;
    fit_chosen(&with, choice, options)
}

/// The bits of the features that were chosen.
fn fit_chosen(table: &Table, choice: choose::Choice, options: &FitOptions) -> Result<Fitted, LearnError> {
    let rows: Vec<u32> = (0..table.len() as u32).collect();
    let edges_of = |feature: usize| {
        if choice.active.contains(&feature) {
            Fine::new(table.column(feature), table.frauds(), &rows).merged(choice.bins_max)
        } else {
            Vec::new()
        }
    };
    let edges: Vec<Vec<f64>> = (0..table.names().len()).map(edges_of).collect();
    let patterns = Patterns::new(table, &rows, &edges);
    let layout = solve::Layout::new(&choice.active, &edges);
    let weights = solve::solve(&patterns, &layout, choice.penalty)?;
    let all = Learned {
        table,
        edges: &edges,
        patterns: &patterns,
        layout: &layout,
        weights: &weights,
    };
    let fitted = all.fitted(choice, options.keep_all);
    if fitted.points.features.is_empty() {
        return Err(LearnError::NothingLearned);
    }
    Ok(fitted)
}

/// Weights with what they belong to.
struct Learned<'a> {
    table: &'a Table,
    edges: &'a [Vec<f64>],
    patterns: &'a Patterns,
    layout: &'a solve::Layout,
    weights: &'a [f64],
}

impl Learned<'_> {
    /// Points and report. A feature whose every bin has no bits is taken off, unless all are to be kept.
    fn fitted(&self, choice: choose::Choice, keep_all: bool) -> Fitted {
        let mut points = LearnedPoints {
            prior_bits: self.weights[0] / std::f64::consts::LN_2,
            features: Vec::with_capacity(choice.active.len()),
        };
        let (mut features, mut dropped) = (Vec::with_capacity(choice.active.len()), choice.dropped);
        for (place, feature) in choice.active.iter().enumerate() {
            let (name, edges) = (&self.table.names()[*feature], &self.edges[*feature]);
            let counts = report::counts(self.patterns, *feature, edges.len() + 1);
            let (base, bits) = centred(self.layout.of(place, self.weights), &counts);
            points.prior_bits += base;
            if !keep_all && bits.iter().all(|bits| *bits == 0.0) {
                dropped.push(DroppedFeature {
                    feature: name.clone(),
                    why: Why::EarnsNothing,
                });
                continue;
            }
            let own = feature_points(name, edges, &bits);
            features.push(report::feature(&own, &counts, choice.earned[place]));
            points.features.push(own);
        }
        points.prior_bits = rounded(points.prior_bits);
        let report = FitReport {
            events: self.table.len(),
            frauds: self.table.frauds().iter().filter(|fraud| **fraud).count(),
            folds: choice.folds,
            loss_without: choice.loss_without,
            tried: choice.tried,
            chosen: choice.chosen,
            features,
            dropped,
        };
        Fitted { points, report }
    }
}

fn check_enough(table: &Table) -> Result<(), LearnError> {
    let found = table.frauds().iter().filter(|fraud| **fraud).count();
    let genuine = table.len() - found;
    if table.len() < ROWS_MIN {
        return Err(LearnError::TooFewRows {
            found: table.len(),
            min: ROWS_MIN,
        });
    }
    if found < FRAUDS_MIN {
        return Err(LearnError::TooFewFrauds { found, min: FRAUDS_MIN });
    }
    if genuine < FRAUDS_MIN {
        return Err(LearnError::TooFewGenuine {
            found: genuine,
            min: FRAUDS_MIN,
        });
    }
    Ok(())
}

/// Bits of bins and of a missing value, less those of the fullest of them, which are given first: what is usual has none.
/// A missing value that was never seen gets the mean.
fn centred(weights: &[f64], counts: &[edges::Count]) -> (f64, Vec<f64>) {
    let bits = |weight: &f64| weight / std::f64::consts::LN_2;
    let mut bits: Vec<f64> = weights.iter().map(bits).collect();
    let missing = bits.len() - 1;
    if counts[missing].rows == 0 {
        let total: u64 = counts.iter().map(|count| count.rows).sum();
        let parts = bits.iter().zip(counts).map(|(bits, count)| bits * count.rows as f64);
        bits[missing] = parts.sum::<f64>() / total as f64;
    }
    let fullest = |best: usize, at: usize| if counts[at].rows > counts[best].rows { at } else { best };
    let base = bits[(0..counts.len()).fold(0, fullest)];
    (base, bits.iter().map(|bits| rounded(bits - base)).collect())
}

fn feature_points(name: &str, edges: &[f64], bits: &[f64]) -> FeaturePoints {
    FeaturePoints {
        name: name.to_owned(),
        edges: edges.to_vec(),
        bits: bits[..=edges.len()].to_vec(),
        missing_bits: bits[edges.len() + 1],
    }
}

/// To the nearest step; adding zero makes −0 and 0 one number.
fn rounded(bits: f64) -> f64 {
    libm::round(bits * BITS_STEPS) / BITS_STEPS + 0.0
}
