//! What the caller chooses of learning, and what validation chooses among.

use serde::Serialize;

use crate::refusal::LearnError;

use super::pattern::BINS_LIMIT;

/// At most so many folds.
const FOLDS_MAX: usize = 20;
/// At most so many combinations of options are validated.
const TRIED_MAX: usize = 100;

/// What validation is to prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The labels' surprise (log loss): odds that are right everywhere.
    Loss,
    /// Average precision: the order of the most suspicious events.
    AveragePrecision,
}

/// How to learn.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// How late labels are, ms: validation learns only from events that lie so long before what it scores.
    pub label_delay_ms: i64,
    /// Parts of the range's end that validation scores, one after the other; at most 20, and 0 for no validation.
    pub folds: usize,
    /// The share of the range's time that these parts are, together.
    pub validation_share: f64,
    /// Numbers of bins a feature to choose among, each at most 15.
    pub bins_max: Vec<usize>,
    /// Strengths to choose among that draw a bin's weight to its neighbours'.
    pub smoothness: Vec<f64>,
    /// Strengths to choose among that draw a weight to zero.
    pub ridge: Vec<f64>,
    /// What the choice goes by.
    pub criterion: Criterion,
    /// Keeps features that earn nothing, too.
    pub keep_all: bool,
    /// Features that are tried after the choice among the others was made: each is taken only when validation gains by it. When none is
    /// taken, what is learned is bit for bit what would be learned without them.
    pub late: Vec<String>,
}

impl FitOptions {
    /// The usual options for labels so late.
    #[must_use]
    pub fn new(label_delay_ms: i64) -> Self {
        Self {
            label_delay_ms,
            folds: 4,
            validation_share: 0.5,
            bins_max: vec![6, 12],
            smoothness: vec![0.1, 0.3, 1.0, 3.0, 10.0],
            ridge: vec![0.1],
            criterion: Criterion::Loss,
            keep_all: false,
            late: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), LearnError> {
        let refuse = |name, why| Err(LearnError::Option { name, why });
        let is_strength = |strength: &f64| strength.is_finite() && *strength > 0.0;
        if self.label_delay_ms < 0 {
            return refuse("label_delay_ms", "is negative");
        }
        if !(self.validation_share > 0.0 && self.validation_share < 1.0) {
            return refuse("validation_share", "is not between 0 and 1");
        }
        if self.bins_max.is_empty() || self.bins_max.iter().any(|bins| !(2..=BINS_LIMIT).contains(bins)) {
            return refuse("bins_max", "has a number that is not from 2 to 15, or none");
        }
        if self.smoothness.is_empty() || !self.smoothness.iter().all(is_strength) {
            return refuse("smoothness", "has a number that is not above 0, or none");
        }
        if self.ridge.is_empty() || !self.ridge.iter().all(is_strength) {
            return refuse("ridge", "has a number that is not above 0, or none");
        }
        if self.folds > FOLDS_MAX {
            return refuse("folds", "are more than 20");
        }
        let tried = self.bins_max.len().saturating_mul(self.smoothness.len());
        if tried.saturating_mul(self.ridge.len()) > TRIED_MAX {
            return refuse("bins_max × smoothness × ridge", "are more than 100 combinations");
        }
        Ok(())
    }
}
