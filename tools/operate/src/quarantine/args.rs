//! Arguments of `quarantine`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::places::PlaceArgs;

/// Help of the verb.
pub const HELP: &str = "\
Messages are received and made visible again at once; only `drop` takes any away. What is shown is masked, and nothing in it can
reach the terminal's controls.

Examples:
  tidemark quarantine list                                  by reason, key, card and shard: which producer it is
  tidemark quarantine show 5f1c09a2b3d4                     one record, with its payload
  tidemark quarantine export refused.jsonl --reason not_json
  tidemark quarantine drop --reason not_json --why 'test traffic, ticket 1207'
  tidemark quarantine drop --masked --why 'sent again by the producer' --yes
  tidemark quarantine history                               who dropped what, and why";

/// Verbs of `quarantine`.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Count what waits, by reason, partition key, card and shard, and name the newest records
    List {
        /// Which deployment
        #[command(flatten)]
        places: PlaceArgs,
        /// Which records
        #[command(flatten)]
        filter: FilterArgs,
        /// Records that are named, and rows of each count
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
    },
    /// Show one record: why it was refused, where it came from, its payload
    Show {
        /// The record's id, as `list` names it, or its sequence number
        id: String,
        /// Which deployment
        #[command(flatten)]
        places: PlaceArgs,
    },
    /// Write records to a file as JSON lines, payloads included
    Export {
        /// The file; - is stdout
        file: PathBuf,
        /// Which deployment
        #[command(flatten)]
        places: PlaceArgs,
        /// Which records
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Take records out for good; who dropped which, when and why is kept in the table, and audits count them as quarantined
    Drop {
        /// Which deployment
        #[command(flatten)]
        places: PlaceArgs,
        /// Which records
        #[command(flatten)]
        filter: FilterArgs,
        /// Everything that is in the queue now
        #[arg(long)]
        all: bool,
        /// Why
        #[arg(long)]
        why: String,
        /// Who [default: the name you are logged in under]
        #[arg(long)]
        who: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show what was dropped: when, by whom, why, how many
    History {
        /// Which deployment
        #[command(flatten)]
        places: PlaceArgs,
    },
}

/// Which records of the quarantine. All that are given have to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct FilterArgs {
    /// Only what was refused for this reason; may be repeated
    #[arg(long)]
    pub reason: Vec<String>,
    /// Only this partition key
    #[arg(long)]
    pub key: Option<String>,
    /// Only this shard
    #[arg(long)]
    pub shard: Option<String>,
    /// Only payloads in which card numbers were masked: no redrive can use them
    #[arg(long)]
    pub masked: bool,
    /// Only this record; may be repeated
    #[arg(long)]
    pub id: Vec<String>,
}

impl FilterArgs {
    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }
}
