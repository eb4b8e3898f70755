//! Why nothing is learned.

/// Why a table is refused, or nothing can be learned from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// A table without features.
    #[error("the table has no feature")]
    NoFeatures,
    /// More features than a table may have.
    #[error("the table has {found} features, at most {max} are learned from")]
    TooManyFeatures {
        /// How many it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// Two features of one name.
    #[error("the feature {0} is named twice")]
    DuplicateFeature(String),
    /// A row with too few or too many values.
    #[error("row {row} has {found} values, the table has {expected} features")]
    WrongWidth {
        /// The row, counted from 0.
        row: usize,
        /// Values that it has.
        found: usize,
        /// Values that it must have.
        expected: usize,
    },
    /// A value that is not a finite number; what is missing must be said to be.
    #[error("row {row}: the value of {feature} is not a finite number (a missing value must be given as missing)")]
    NotFinite {
        /// The row, counted from 0.
        row: usize,
        /// The feature.
        feature: String,
    },
    /// More events than a table may hold.
    #[error("the table is full: it holds at most {max} events")]
    TooManyRows {
        /// How many it may hold.
        max: usize,
    },
    /// Too few events to learn from.
    #[error("{found} events are too few to learn from: at least {min} are needed")]
    TooFewRows {
        /// How many there are.
        found: usize,
        /// How many are needed.
        min: usize,
    },
    /// Too few events that a label calls fraud.
    #[error("{found} events labelled as fraud are too few to learn from: at least {min} are needed")]
    TooFewFrauds {
        /// How many there are.
        found: usize,
        /// How many are needed.
        min: usize,
    },
    /// Too few events that are no fraud.
    #[error("{found} events that are no fraud are too few to learn from: at least {min} are needed")]
    TooFewGenuine {
        /// How many there are.
        found: usize,
        /// How many are needed.
        min: usize,
    },
    /// No feature has two different values.
    #[error("every feature is constant: there is nothing to tell fraud by")]
    NothingVaries,
    /// No feature made validation better than the share of frauds alone, or none has two bins that differ.
    #[error("no feature tells fraud from the rest")]
    NothingLearned,
    /// An option that makes no sense.
    #[error("option {name}: {why}")]
    Option {
        /// The option.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The equations could not be solved; only absurd options bring that about.
    #[error("the bits did not settle after {steps} steps")]
    NotSettled {
        /// Newton's steps that were taken.
        steps: usize,
    },
    /// A score that is not a number.
    #[error("the score of case {at} is not a number")]
    Score {
        /// The case, counted from 0.
        at: usize,
    },
    /// No amount to make quantiles of.
    #[error("there is no amount to make quantiles of")]
    NoAmounts,
    /// A table that is not one of quantiles.
    #[error("knot {at} of the quantiles: {why}")]
    Knot {
        /// The knot, counted from 0.
        at: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}
