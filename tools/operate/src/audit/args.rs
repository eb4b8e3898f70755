//! Arguments of `audit`.

use std::path::PathBuf;

use clap::Args;

use crate::places::PlaceArgs;

/// What its help says at the end.
pub const HELP: &str = "\
Records are read first, evidence after them: outcomes, messages of the three queues, items of the table. Nothing is taken
from a function's own report. Messages stay in their queues. Every card of the range costs one read of the table.

The range is read in slices, so that any number of records will do. With --checkpoint an audit goes on where the last one with
the same file ended: what holds is not read again; what was open, dead-lettered or broken is.

A record without evidence is pending while it is younger than --pending, and unaccounted for afterwards. With --settle the audit
looks again until every record has its end, for so long at most; a record that is still pending then makes it fail.

Examples:
  tidemark audit
  tidemark audit --settle 30
  tidemark audit --since 2h --until 1h --json | jq .breaks
  tidemark audit --checkpoint audit.json --since oldest --settle 30

Exit codes: 0 it holds · 1 something is named that breaks an invariant, or records are pending after --settle · 6 the range has
no record: nothing was looked at, and nothing is shown";

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Which deployment
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Only records that arrived then or later: 2h (ago), 2026-11-23T02:00:00Z, ms since 1970, or oldest for all that the stream
    /// holds [default: 24h, or where the checkpoint ends]
    #[arg(long)]
    pub since: Option<String>,
    /// Only records that arrived before [default: now]
    #[arg(long)]
    pub until: Option<String>,
    /// Begin where the last audit with this file ended, and note in it how far everything holds
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Only this shard of the transactions
    #[arg(long)]
    pub shard: Option<String>,
    /// Wait until every record has its end, in seconds at most; a record that has none then fails the audit
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60",
        value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub settle: Option<u64>,
    /// A record without evidence is on its way while it is younger, in seconds; beyond that it is lost. Where the mapping is
    /// behind (IteratorAge), give that age or more
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=31_536_000))]
    pub pending: u64,
    /// Records, and events with outcomes, that are held in memory at a time; the range may have any number
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub records_max: u64,
    /// A policy (TOML) whose bounds say what is refused, at every time [default: the control plane's changes, and the built-in
    /// policy before its first activation]
    #[arg(long)]
    pub policy: Option<PathBuf>,
}
