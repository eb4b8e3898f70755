//! What was measured, as docs/reference/benchmarks.json keeps it: the page's figures come from nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file from the repository's root.
pub const FILE: &str = "docs/reference/benchmarks.json";

/// Every measurement by its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    pub measurements: BTreeMap<String, Measurement>,
}

/// What one command gave, run so many times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Commands that made its input, from the repository's root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// From the repository's root.
    pub command: String,
    /// `release` or `dev`.
    pub profile: String,
    /// Of the first run, as 2026-12-01.
    pub date: String,
    pub rustc: String,
    pub machine: Machine,
    pub runs: u32,
    pub figures: BTreeMap<String, Spread>,
}

/// Where it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    pub cpu: String,
    pub cores: u32,
    /// The load of the minute before the first run.
    pub load: f64,
}

/// A figure of all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Spread {
    /// Of values in any order; of an even number of values the lower of the two in the middle.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: *values.get(values.len().checked_sub(1)? / 2)?,
            least: *values.first()?,
            greatest: *values.last()?,
        })
    }
}

impl Results {
    /// The file's.
    pub fn read(root: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(root.join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{FILE}: {error}"))
    }

    /// Writes the file anew.
    pub fn write(&self, root: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())? + "\n";
        std::fs::write(root.join(FILE), text).map_err(|error| format!("{FILE}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_value_in_the_middle_and_both_ends() {
        let spread = Spread::of(vec![3.0, 1.0, 10.0]);
        let expected = Spread {
            median: 3.0,
            least: 1.0,
            greatest: 10.0,
        };
        assert_eq!(spread, Some(expected));
        assert_eq!(Spread::of(vec![2.0, 1.0]).map(|spread| spread.median), Some(1.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
