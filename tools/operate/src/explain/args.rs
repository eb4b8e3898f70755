//! Arguments of `explain`.

use std::path::PathBuf;

use clap::Args;

use crate::places::PrefixArg;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The card's token; with --key, the id of the key, as in a transaction
    #[arg(allow_hyphen_values = true)]
    pub card: String,
    /// Only this event
    #[arg(allow_hyphen_values = true)]
    pub event: Option<String>,
    /// Of several events of that id, the one of this time (occurred_at_ms) [default: the newest]
    #[arg(long, value_name = "MS", requires = "event")]
    pub at: Option<i64>,
    /// What labels say of a key beyond the card: its name in the policy's [[keys]], as in --key terminal ID. In place of the id a
    /// log's name of it may stand, as in --key terminal 'terminal#0123456789abcdef'
    #[arg(long, value_name = "NAME", conflicts_with = "event")]
    pub key: Option<String>,
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The table, when it is not PREFIX-cards
    #[arg(long)]
    pub table: Option<String>,
    /// The stream of outcomes, in which the events' ids are, when it is not PREFIX-scores
    #[arg(long)]
    pub scores: Option<String>,
    /// A policy file (TOML), for the windows to show [default: the built-in policy]
    #[arg(long)]
    pub policy: Option<PathBuf>,
}

impl ExplainArgs {
    /// The table's name.
    #[must_use]
    pub fn table(&self) -> String {
        self.deployment.name(self.table.as_ref(), "cards")
    }

    /// The stream of outcomes' name.
    #[must_use]
    pub fn scores(&self) -> String {
        self.deployment.name(self.scores.as_ref(), "scores")
    }
}
