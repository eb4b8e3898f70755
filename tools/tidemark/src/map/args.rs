//! Arguments of `map`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use operate::control::map_args::PublishedMapCommand;

/// What stands below the arguments in the help.
pub const HELP: &str = "A map says how rows of your own shape, CSV or JSON lines, become events: docs/reference/map.md has its keys.\n\nExample:\n  tidemark map suggest rows.csv.gz -o map.toml      a draft; look at its lines with STATE\n  tidemark map check map.toml rows.csv.gz           ten rows, theirs and ours, and every refusal\n  tidemark score --map map.toml -i rows.csv.gz -o outcomes.jsonl\n  zcat rows.csv.gz | tidemark map apply map.toml - | tidemark send\n  tidemark map publish map.toml --reason TEXT       and map activate: for producers that put JSON of their own on the stream";

/// The verbs of maps.
#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Those of files
    #[command(flatten)]
    File(FileMapCommand),
    /// Those of a deployment
    #[command(flatten)]
    Published(PublishedMapCommand),
}

/// The verbs of maps of files.
#[derive(Debug, Subcommand)]
pub enum FileMapCommand {
    /// Look at a file and draft a map of it
    Suggest(SuggestArgs),
    /// Show what a map makes of a file: rows side by side, and every refusal
    #[command(
        after_help = "The exit code is 1 when rows were refused, and 6 when the file has none.\n\nExample:\n  tidemark --json map check map.toml rows.csv | jq .account.refused_by_code"
    )]
    Check(CheckArgs),
    /// Write the events that a map makes of a file, as JSON lines
    #[command(
        after_help = "Rows that are refused are counted and left out, and the exit code is 1. A file that breaks off leaves no output file; on stdout\nwhat came before are whole events.\n\nExample:\n  tidemark map apply map.toml rows.csv -o events.jsonl --sort"
    )]
    Apply(ApplyArgs),
}

/// Arguments of `map suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// CSV or JSON lines, packed by gzip or zstd or not; - is stdin
    pub file: PathBuf,
    /// How many of its first rows are looked at
    #[arg(long, value_name = "NUMBER", default_value_t = translate::limits::SUGGEST_ROWS,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rows: u64,
    /// Leave examples of values out of the comments
    #[arg(long)]
    pub no_examples: bool,
    /// Where the draft goes; - is stdout
    #[arg(long, short, default_value = "-")]
    pub output: PathBuf,
}

/// Arguments of `map check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The map (TOML)
    pub map: PathBuf,
    /// The file that it is of; - is stdin
    pub file: PathBuf,
    /// How many rows are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub rows: u64,
}

/// Arguments of `map apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The map (TOML)
    pub map: PathBuf,
    /// The file that it is of; - is stdin
    pub file: PathBuf,
    /// Where the events go, one a line; - is stdout
    #[arg(long, short, default_value = "-")]
    pub output: PathBuf,
    /// Where refused rows go, with line and code [default: they are counted only]
    #[arg(long)]
    pub refused: Option<PathBuf>,
    /// Write the events in the order of their times, all of them held in memory
    #[arg(long)]
    pub sort: bool,
}
