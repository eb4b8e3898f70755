//! Arguments of `import`.

use std::path::PathBuf;

use clap::Args;

use crate::places::PrefixArg;

/// What stands below the arguments in the help.
pub const HELP: &str = "The history of cards goes straight into the table, by the fold and the conditional writes of the score function, beside live traffic.\nNothing is sent and nobody is alerted: the windows of the first live event are whole, that is what it is for. An event may be as old\nas it likes; what lies further behind its card's newest event than the policy keeps is counted and left out. An event that is there\nalready, from the stream or from an import before, counts once: so after a break import the whole file again.\nLabels and profiles in the file are taken, too. A file should be in the order of its times, at least for each card.\n\nExamples:\n  tidemark import history.jsonl --dry-run                   every line folded in memory: rows, refusals, units, dollars, time\n  tidemark import history.csv.gz --map map.toml\n  tidemark import history.csv.gz --map map.toml --check     each row is in its card; nothing is written\n  tidemark import history.jsonl --write-units 200 --json | jq .imported";

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Events: JSON lines, or rows under a map; - is stdin
    pub file: PathBuf,
    /// A map of the file: it is rows of another shape, CSV or JSON lines, packed or not (docs/reference/map.md)
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// Fold every line in memory and say what the import would write, cost and refuse; the table is not touched
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
    /// Look whether each event of the file is in its card; nothing is written
    #[arg(long)]
    pub check: bool,
    /// Write units a second at most, so that live traffic has its own
    #[arg(long, value_name = "NUMBER", default_value_t = super::WRITE_UNITS_PER_SECOND, value_parser = clap::value_parser!(u64).range(1..=40_000))]
    pub write_units: u64,
    /// The policy file (TOML) that the functions were deployed with [default: the published policy in force, or the built-in one]
    #[arg(long)]
    pub policy: Option<PathBuf>,
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The table, when it is not PREFIX-cards
    #[arg(long)]
    pub table: Option<String>,
}
