//! Arguments of `send`.

use std::path::PathBuf;

use clap::Args;

use crate::places::PrefixArg;

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// JSON lines, one event a line; - is stdin
    #[arg(long, short, default_value = "-")]
    pub input: PathBuf,
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The stream, when it is not PREFIX-transactions
    #[arg(long)]
    pub stream: Option<String>,
    /// Pack many events into one record, as the Kinesis Producer Library does
    #[arg(long)]
    pub aggregate: bool,
}

impl SendArgs {
    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> String {
        self.deployment.name(self.stream.as_ref(), "transactions")
    }
}
