//! Arguments of `list`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use tidemark_domain::lists::ListOf;

use crate::control::args::PlaneArgs;

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListKind {
    /// Ids as the producer writes them
    Ids,
    /// Countries, such as DE
    Countries,
    /// Addresses and prefixes, such as 192.0.2.0/24
    Addresses,
}

impl From<ListKind> for ListOf {
    fn from(kind: ListKind) -> Self {
        match kind {
            ListKind::Ids => Self::Ids,
            ListKind::Countries => Self::Countries,
            ListKind::Addresses => Self::Addresses,
        }
    }
}

/// Verbs of `list`.
#[derive(Debug, Subcommand)]
pub enum ListCommand {
    /// Put entries into a list; a list that there is not yet is made
    #[command(
        after_help = "An entry that is there with the same end stays as it is, with who put it there first. With --until it holds for events that\nhappened before that time. Before an entry that begins with a hyphen write --.\n\nExamples:\n  tidemark list add mules acct-7f3a acct-90bc --of ids --until 30d --reason \"case 4711\"\n  tidemark list add networks 192.0.2.0/24 2001:db8::/32 --of addresses --reason \"scanners\""
    )]
    Add {
        /// The list's name, as policies declare it
        name: String,
        /// The entries
        #[arg(required = true)]
        values: Vec<String>,
        /// What the list is of; needed for a new one
        #[arg(long)]
        of: Option<ListKind>,
        /// When they end: a time (2026-12-24T18:00:00Z) or from now on (30m, 2h, 7d) [default: never]
        #[arg(long)]
        until: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Take entries out of a list
    Remove {
        /// The list's name
        name: String,
        /// The entries
        #[arg(required = true)]
        values: Vec<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show all lists; the entries of one, as a file that `list import` takes; or entries with who, when and why
    #[command(
        after_help = "Examples:\n  tidemark list show\n  tidemark list show mules > mules.csv\n  tidemark list show mules acct-7f3a"
    )]
    Show {
        /// The list's name [default: all lists]
        name: Option<String>,
        /// Entries to look up [default: all]
        values: Vec<String>,
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Make a list what a file says: what the file does not have is taken out
    #[command(
        after_help = "The file has an entry a line: VALUE, or VALUE,UNTIL,REASON as CSV. A byte order mark, a first line `value,until,reason`, blank\nlines and lines that say the same twice are fine. Anything else that is wrong is told with its line and column, and nothing is\nchanged. Only parts of the list that changed are written, and loaded by the functions.\n\nExample:\n  tidemark list import mules mules.csv --of ids --reason \"the feed of today\""
    )]
    Import {
        /// The list's name
        name: String,
        /// The file
        file: PathBuf,
        /// What the list is of; needed for a new one
        #[arg(long)]
        of: Option<ListKind>,
        /// Write the list anew, without reading what is stored of it: for one that is damaged
        #[arg(long)]
        replace_damaged: bool,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show every change of a list: who, when, why, and what it was afterwards
    History {
        /// The list's name [default: all lists]
        name: Option<String>,
        /// How many changes of the control plane are looked through, the newest first
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
}
