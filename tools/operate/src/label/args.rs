//! Arguments of `label`.

use std::path::PathBuf;

use clap::Args;

use crate::places::ToStreamArgs;

/// What stands below the arguments in the help.
pub const HELP: &str = "Lines are labels as docs/reference/contract.md has them, version 1 or 2, or a CSV table whose first line names the columns:\nevent_id, card_id, verdict (fraud or cleared), known_since_ms, and occurred_at_ms, merchant_id, device_id where they are known.\n\nA card's labels keep their order, and go at half of what the stream's shards take, so that transactions have room beside them.\nLines that are no label, or that the contract refuses, are named and left out; all others are sent, and the exit code is 1.\nSending a file again is safe: a label that is known changes nothing. So after a break send the whole file again.\n\nExamples:\n  tidemark label chargebacks.csv --dry-run        every line checked, nothing sent\n  tidemark label labels.jsonl\n  zcat labels.jsonl.gz | tidemark --json label - | jq .fraud";

/// Arguments of `label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Labels: JSON lines, or CSV with a header; - is stdin
    pub file: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not whose labels are sent (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// Check every line and count, but send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Labels sent a second at most [default: 500 for each of the stream's shards]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rate: Option<u64>,
    /// The policy file (TOML) whose bounds the lines are held to [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// Where to
    #[command(flatten)]
    pub to: ToStreamArgs,
}
