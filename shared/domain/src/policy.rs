//! The policy: windows, features, weights, thresholds and bounds, from a TOML file.

mod parse;
mod problem;
mod reader;
mod terms;

pub use problem::PolicyProblem;
pub use terms::{CurrencyRates, LowRisk, Policy, Scoring, Thresholds, base_amount};
