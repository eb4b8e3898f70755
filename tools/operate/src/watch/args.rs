//! Arguments of `watch`.

use std::path::PathBuf;

use clap::Args;

use crate::places::PrefixArg;

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// Time between two looks, ms
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(200..=60_000))]
    pub interval_ms: u64,
    /// Look once and print a few lines, the health first
    #[arg(long, conflicts_with = "looks")]
    pub once: bool,
    /// With --json: stop after so many looks [default: go on]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub looks: Option<u64>,
    /// The score function's log, for the units it consumed
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// A policy file (TOML), for what the contract accepts [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
}
