//! Points without labels: how rare the values of features are among all events of a table, in bits.
//!
//! A bin has the bits of the least rare value in it, `−log2` of the share of events whose value is at least as great, beyond what is
//! ordinary ([`ORDINARY_BITS`]), times the feature's weight. So each feature is held against what it does in this stream: one that often
//! is high says little. The sum is no odds; more is rarer.

use serde::Serialize;

use crate::points::edges::bin_of;
use crate::points::{FeaturePoints, LearnedPoints, ROWS_MIN};
use crate::refusal::LearnError;
use crate::round::roundest;
use crate::table::Table;

/// What one event in sixteen reaches is ordinary, and has no bits.
pub const ORDINARY_BITS: f64 = 4.0;
/// The highest bin has at least so many events: a table tells of no single one.
const TAIL_MIN: f64 = 10.0;
/// Edges of a feature, at most.
const EDGES_MAX: usize = 32;
/// Bits are whole multiples of one in so many.
const BITS_STEPS: f64 = 100.0;

/// A feature and what its bits are multiplied by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighed {
    /// The feature.
    pub name: String,
    /// Its weight.
    pub weight: f64,
}

/// What was found of all features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rarity {
    /// For the policy.
    pub points: LearnedPoints,
    /// Events that were looked at.
    pub events: usize,
    /// Events in each bin, by the features of the points: from below, missing last.
    pub counts: Vec<Vec<u64>>,
    /// Features that are never rare, or too seldom there.
    pub dropped: Vec<String>,
}

/// The tables of these features of a table; the prior is 0.
///
/// # Errors
/// With too few events, or when no feature has a value that is rare.
pub fn fit(table: &Table, features: &[Weighed]) -> Result<Rarity, LearnError> {
    if table.len() < ROWS_MIN {
        return Err(LearnError::TooFewRows {
            found: table.len(),
            min: ROWS_MIN,
        });
    }
    let mut rarity = Rarity {
        points: LearnedPoints {
            prior_bits: 0.0,
            features: Vec::with_capacity(features.len()),
        },
        events: table.len(),
        counts: Vec::with_capacity(features.len()),
        dropped: Vec::new(),
    };
    for feature in features {
        let column = table.names().iter().position(|name| *name == feature.name);
        let mut known: Vec<f64> = column.map_or_else(Vec::new, |column| known(table.column(column)));
        known.sort_unstable_by(f64::total_cmp);
        let edges = edges(&known);
        let points = of_feature(feature, &known, &edges);
        if points.bits.iter().all(|bits| *bits == 0.0) {
            rarity.dropped.push(feature.name.clone());
            continue;
        }
        rarity.counts.push(counts(&known, &edges, table.len()));
        rarity.points.features.push(points);
    }
    if rarity.points.features.is_empty() {
        return Err(LearnError::NothingVaries);
    }
    Ok(rarity)
}

/// The values that are there; adding zero makes −0 and 0 one number.
fn known(column: &[f64]) -> Vec<f64> {
    let known = column.iter().filter(|value| !value.is_nan());
    known.map(|value| value + 0.0).collect()
}

/// Round numbers between quantiles at equal steps of bits, from what is ordinary on.
fn edges(sorted: &[f64]) -> Vec<f64> {
    let count = sorted.len() as f64;
    let bits_max = libm::log2((count / TAIL_MIN).max(1.0));
    if sorted.len() < ROWS_MIN || bits_max <= ORDINARY_BITS {
        return Vec::new();
    }
    let value_at = |bits: f64| {
        let above = (libm::round(count * libm::exp2(-bits)) as usize).clamp(1, sorted.len());
        sorted[sorted.len() - above]
    };
    let step = (bits_max - ORDINARY_BITS) / EDGES_MAX as f64;
    let mut edges: Vec<f64> = Vec::with_capacity(EDGES_MAX);
    let mut below = value_at(ORDINARY_BITS);
    for number in 1..=EDGES_MAX {
        let value = value_at(ORDINARY_BITS + step * number as f64);
        if value > below {
            edges.push(roundest(below, value));
            below = value;
        }
    }
    edges
}

fn of_feature(feature: &Weighed, sorted: &[f64], edges: &[f64]) -> FeaturePoints {
    let bits = |edge: &f64| {
        let above = sorted.len() - sorted.partition_point(|value| value < edge);
        let rare = libm::log2(sorted.len() as f64 / above.max(1) as f64) - ORDINARY_BITS;
        libm::round(rare.max(0.0) * feature.weight * BITS_STEPS) / BITS_STEPS
    };
    FeaturePoints {
        name: feature.name.clone(),
        edges: edges.to_vec(),
        bits: [0.0].into_iter().chain(edges.iter().map(bits)).collect(),
        missing_bits: 0.0,
    }
}

fn counts(sorted: &[f64], edges: &[f64], events: usize) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 2];
    for value in sorted {
        counts[bin_of(edges, *value)] += 1;
    }
    counts[edges.len() + 1] = (events - sorted.len()) as u64;
    counts
}
