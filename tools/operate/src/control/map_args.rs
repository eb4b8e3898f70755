//! Arguments of the verbs of published maps.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::PlaneArgs;

/// Verbs of `map` that work on a deployment.
#[derive(Debug, Subcommand)]
pub enum PublishedMapCommand {
    /// Publish a map for records of the stream, and print its version; nothing changes until it is activated
    #[command(
        after_help = "The map reads JSON (format = \"json_lines\"), makes one event of a record, and has no [skip]. Its version is the hash of its text.\nWhere it hashes, the salt is that of TIDEMARK_SALT, here and in the functions.\n\nExample:\n  tidemark map publish map.toml --reason \"terminals of vendor X\""
    )]
    Publish {
        /// The map (TOML)
        file: PathBuf,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where to, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Put a published map in force for records that arrive in two minutes or later
    #[command(
        after_help = "A record is judged by the map that was in force when it arrived, whenever it is judged: a redrive uses the same one.\n\nExample:\n  tidemark map activate 0123456789abcdef --reason \"terminals of vendor X\""
    )]
    Activate {
        /// The version
        version: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Put the map before in force again (or none, where there was none), for records that arrive in two minutes or later
    Rollback(MapChangeArgs),
    /// Put no map in force: records that arrive in two minutes or later are judged by the contract alone
    Deactivate(MapChangeArgs),
    /// Have a map judge the records that another one refuses, those of the past too
    #[command(
        after_help = "What a map refuses has never counted, so that no event can count twice by this. After it, redrive what is in the quarantine. A mend\nstays for ever, and a map has one.\n\nExamples:\n  tidemark map mend 0123456789abcdef 89abcdef01234567 --reason \"channel 07 was not listed\"\n  tidemark map mend none 0123456789abcdef --reason \"records of the first hour\""
    )]
    Mend {
        /// The map that refuses records, or `none` for those that arrived when none was in force
        refused_by: String,
        /// The published map that judges them then
        then: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show which map is in force since when, and the changes: who, when, why
    History {
        /// How many changes, the newest first
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Print the text of a published map
    Show {
        /// The version
        version: String,
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
}

/// Arguments of a change that names no map.
#[derive(Debug, Args)]
pub struct MapChangeArgs {
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Where, and who
    #[command(flatten)]
    pub plane: PlaneArgs,
}
