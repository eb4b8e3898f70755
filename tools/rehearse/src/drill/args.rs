//! Arguments of `drill`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// The page's name [default: list them]
    pub page: Option<String>,
    /// Every page
    #[arg(long, conflicts_with = "page")]
    pub all: bool,
    /// Seed of the traffic and the faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the local AWS keeps its logs
    #[arg(long, default_value = ".tidemark")]
    pub data_dir: PathBuf,
    /// The score function's binary [default: the one beside this command, built when needed]
    #[arg(long)]
    pub score_binary: Option<PathBuf>,
}
