//! Every limit of a redrive, with its unit. docs/reference/limits.md lists them.

/// Problems of one answer; further ones are counted in one line.
pub const PROBLEMS_MAX: usize = 100;
