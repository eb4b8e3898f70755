//! The policy: windows, features, weights, thresholds and bounds, from a TOML file.

mod compiled;
mod key_terms;
mod learned;
mod listed;
mod parse;
mod problem;
mod reader;
mod ruled;
mod terms;

pub use compiled::Compiled;
pub use key_terms::{KeyField, KeyTerms};
pub use learned::{ExpectedShares, Explained, Points, PointsTable, Population, Trees};
pub use listed::PolicyLists;
pub use parse::NamedModel;
pub use problem::PolicyProblem;
pub use ruled::Rules;
pub use terms::{CurrencyRates, LowRisk, Policy, Scoring, Thresholds, base_amount};

pub(crate) use compiled::Feature;
