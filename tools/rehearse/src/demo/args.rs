//! Arguments of `demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use localcloud::Reads;

/// How the mapping comes by new records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReadsArg {
    /// A look at each shard every 20 ms: sooner than on AWS
    #[default]
    Eager,
    /// A look at each shard once a second, as Lambda does
    Polling,
    /// As fast as enhanced fan-out pushes records
    FanOut,
}

impl From<ReadsArg> for Reads {
    fn from(arg: ReadsArg) -> Self {
        match arg {
            ReadsArg::Eager => Self::Eager,
            ReadsArg::Polling => Self::Polling,
            ReadsArg::FanOut => Self::FanOut,
        }
    }
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many events to send, producer duplicates and broken ones included
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub events: u64,
    /// How many cards they belong to [default: one for 30 events]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub cards: Option<u64>,
    /// The same seed gives the same events
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Let everything go wrong on the way: failing services, a function that dies, a store that is gone; then redrive
    #[arg(long)]
    pub chaos: bool,
    /// Show the whole report: every signal, every reason code, ten scores with all their reasons
    #[arg(long)]
    pub full: bool,
    /// Shards of the transactions stream
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub shards: u16,
    /// Events sent a second, evenly [default: as fast as they are scored]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rate: Option<u64>,
    /// How the mapping comes by new records
    #[arg(long, value_enum, default_value_t)]
    pub reads: ReadsArg,
    /// Let shards and partitions take and give more in a second than on AWS
    #[arg(long)]
    pub no_aws_limits: bool,
    /// Where the local AWS keeps its logs
    #[arg(long, default_value = ".tidemark")]
    pub data_dir: PathBuf,
    /// The score function's binary [default: the one beside this command, built when needed]
    #[arg(long)]
    pub score_binary: Option<PathBuf>,
}
