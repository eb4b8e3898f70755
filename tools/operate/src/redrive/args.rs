//! Arguments of `redrive`.

use clap::Args;

use crate::places::PlaceArgs;

/// What its help says at the end.
pub const HELP: &str = "\
It invokes the redrive function again and again until its source is empty. It is safe beside live traffic, beside another
redrive, and to repeat: what has counted is found done. A message leaves its queue only when each of its records has an end.

Examples:
  tidemark redrive --dry-run
  tidemark redrive --note 'table was throttled, ticket 1207'
  tidemark redrive --source quarantine --reason unknown_version
  tidemark redrive --source range --since 3h --until 2h --rate 200
  tidemark redrive --source range --since 3h --until 2h --parallel 16";

/// Arguments of `redrive`.
#[derive(Debug, Args)]
pub struct RedriveArgs {
    /// Which deployment
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Where the records come from: dead-letter, quarantine or range
    #[arg(long, default_value = "dead-letter")]
    pub source: String,
    /// Read and count, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Stop after so many records
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
    /// Records a second at most [default: the function's own bound]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// In parts, so many side by side: each shard of a range, or shares of the dead letters
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub parallel: Option<u32>,
    /// Only what was refused for this reason, or given up under this condition; may be repeated
    #[arg(long)]
    pub reason: Vec<String>,
    /// Range: records that arrived then or later: 2h (ago), 2026-11-23T02:00:00Z, or ms since 1970
    #[arg(long)]
    pub since: Option<String>,
    /// Range: records that arrived then or earlier
    #[arg(long)]
    pub until: Option<String>,
    /// Range: only this shard
    #[arg(long)]
    pub shard: Option<String>,
    /// Range: the first sequence number of the shard
    #[arg(long)]
    pub from: Option<String>,
    /// Range: the last sequence number of the shard
    #[arg(long)]
    pub to: Option<String>,
    /// The redrive function, when it is not PREFIX-redrive
    #[arg(long)]
    pub function: Option<String>,
    /// Why, for the audit record
    #[arg(long)]
    pub note: Option<String>,
    /// Who, for the audit record [default: who is logged in]
    #[arg(long)]
    pub who: Option<String>,
}
