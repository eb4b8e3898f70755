//! Arguments of the verbs that operators need: audit, dlq, redrive.

use std::path::PathBuf;

use clap::Args;

use crate::places::PlaceArgs;

pub(super) const AUDIT_HELP: &str = "\
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

pub(super) const DLQ_HELP: &str = "\
Messages are received and made visible again at once: they stay where they are, only their receive count grows.

Examples:
  tidemark dlq --check && echo empty
  tidemark dlq --json | jq '.dead_letter.rows[] | select(.gone_in_ms < 43200000)'";

pub(super) const REDRIVE_HELP: &str = "\
It invokes the redrive function again and again until its source is empty. It is safe beside live traffic, beside another
redrive, and to repeat: what has counted is found done. A message leaves its queue only when each of its records has an end.

Examples:
  tidemark redrive --dry-run
  tidemark redrive --note 'table was throttled, ticket 1207'
  tidemark redrive --source quarantine --reason unknown_version
  tidemark redrive --source range --since 3h --until 2h --rate 200";

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
    /// A policy (TOML) whose bounds say what is refused, at every time [default: the control plane's history, and the built-in
    /// policy before its first activation]
    #[arg(long)]
    pub policy: Option<PathBuf>,
}

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
