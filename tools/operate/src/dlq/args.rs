//! Arguments of `dlq`.

use clap::Args;

use crate::places::PlaceArgs;

/// What its help says at the end.
pub const HELP: &str = "\
Messages are received and made visible again at once: they stay where they are, only their receive count grows.

Examples:
  tidemark dlq --check && echo empty
  tidemark dlq --json | jq '.dead_letter.rows[] | select(.gone_in_ms < 43200000)'";

/// Arguments of `dlq`.
#[derive(Debug, Args)]
pub struct DlqArgs {
    /// Which deployment
    #[command(flatten)]
    pub places: PlaceArgs,
    /// End with exit code 1 when a dead letter waits
    #[arg(long)]
    pub check: bool,
}
