//! Arguments of `local up`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `local up`.
#[derive(Debug, Args)]
pub struct LocalUpArgs {
    /// Shards of the transactions stream
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub shards: u16,
    /// Port of the local AWS on 127.0.0.1: its endpoint is the same after each start [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Port of the page on 127.0.0.1 [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub page_port: u16,
    /// Streams, table and queues are on this emulator (LocalStack, ministack, moto); functions and mapping are ours
    #[arg(long, value_name = "URL", conflicts_with = "no_aws_limits")]
    pub on: Option<String>,
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
