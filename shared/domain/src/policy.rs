//! The policy: windows, features, weights, thresholds and bounds, from a TOML file.

/// A checked policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Named in every outcome.
    pub version: u32,
}
