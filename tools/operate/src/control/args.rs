//! Arguments of the verbs that steer the pipeline.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::places::PrefixArg;

/// Where the control plane is, and who changes it.
#[derive(Clone, Debug, Args)]
pub struct PlaneArgs {
    /// The deployment
    #[command(flatten)]
    pub deployment: PrefixArg,
    /// The table, when it is not PREFIX-cards
    #[arg(long)]
    pub table: Option<String>,
    /// Who makes the change [default: the caller that AWS knows, or the name you are logged in under]
    #[arg(long)]
    pub who: Option<String>,
}

impl PlaneArgs {
    /// The table's name.
    #[must_use]
    pub fn table(&self) -> String {
        self.deployment.name(self.table.as_ref(), "cards")
    }
}

/// Which stream a policy is for.
#[derive(Clone, Debug, Args)]
pub struct StreamArgs {
    /// The stream of transactions, when it is not PREFIX-transactions: how long it keeps a record must fit how late the policy lets
    /// events come
    #[arg(long)]
    pub stream: Option<String>,
}

/// Verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Check a policy file: every problem with its line
    Validate {
        /// The file (TOML)
        file: PathBuf,
    },
    /// Show what differs between two policies, and what each difference does to stored histories
    #[command(
        after_help = "A policy is a file, the number of a published version, `active`, or `built-in`.\n\nExample:\n  tidemark policy diff active policy.toml"
    )]
    Diff {
        /// The one before
        before: String,
        /// The one after
        after: String,
        /// Where published versions are
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Publish a policy file under the version it names; nothing changes until it is activated or tried
    Publish {
        /// The file (TOML)
        file: PathBuf,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where to, and who
        #[command(flatten)]
        plane: PlaneArgs,
        /// For which stream
        #[command(flatten)]
        stream: StreamArgs,
    },
    /// Put a published version in force, within 15 seconds
    #[command(
        after_help = "One conditional write: of two operators at once, one wins and the other is told. A batch is judged by one policy from its\nfirst record to its last; no event is lost or scored twice by the change, and events scored before keep their outcomes.\nVersion 0 is the policy that the functions were started with.\n\nExample:\n  tidemark policy activate 7 --reason \"candidate 7 agreed in 99.8 %\""
    )]
    Activate {
        /// The version
        version: u32,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
        /// For which stream
        #[command(flatten)]
        stream: StreamArgs,
    },
    /// Put the version before in force again, within 15 seconds
    Rollback {
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show what is in force, and every change of policy, mode, rollout and overrides: who, when, why
    History {
        /// How many changes, the newest first
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
}

/// Verbs of `model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Put a model that XGBoost saved as JSON into the control plane's table, and print its name
    #[command(
        after_help = "What is read: booster gbtree, objective binary:logistic, features with the names that policies have, splits by numbers. The model\nis named by the hash of its content: importing it again changes nothing, and mends what was damaged. Nothing scores by it until\na policy that names it is active or tried.\n\nExample:\n  tidemark model import model.json\n  tidemark model import model.json --json | jq -r .model"
    )]
    Import {
        /// The file: what `booster.save_model(\"model.json\")` wrote
        file: PathBuf,
        /// Why [default: the file's name]
        #[arg(long)]
        reason: Option<String>,
        /// Where to, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show a model: its name, trees, depth, bytes, and how often each feature splits
    #[command(
        after_help = "A file is looked at on this machine alone; a name is looked up in the table.\n\nExamples:\n  tidemark model show model.json\n  tidemark model show 0123456789abcdef"
    )]
    Show {
        /// A file, or a model's name
        model: String,
        /// Where the model is, if it is named
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// List the models in the table
    List {
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
}

/// A mode's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Score and send
    Live,
    /// Score and keep, send nothing
    Shadow,
    /// Leave records in the stream
    Paused,
    /// Score on histories only
    Degraded,
}

/// Arguments of `mode`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(["mode", "restore_record_age"]))]
#[command(
    after_help = "`paused` turns the mapping off, which keeps its place: records wait in the stream. Coming back turns it on, and lifts the age at\nwhich it gives records up, so that the backlog runs in order. Once it has caught up, `--restore-record-age` gives the mapping\nits own age back.\n\nExamples:\n  tidemark mode paused --reason \"issuer outage\"\n  tidemark mode live --reason \"the issuer is back\"\n  tidemark mode --restore-record-age --reason \"caught up\""
)]
pub struct ModeArgs {
    /// The mode to set [default: show the mode]
    #[arg(value_enum, requires = "reason")]
    pub mode: Option<ModeName>,
    /// Give the mapping its own record age back, which coming back from a pause has lifted
    #[arg(long, requires = "reason")]
    pub restore_record_age: bool,
    /// Why
    #[arg(long, requires = "change")]
    pub reason: Option<String>,
    /// The score function, whose mapping is turned off while paused, when it is not PREFIX-score
    #[arg(long)]
    pub function: Option<String>,
    /// Leave the mapping as it is
    #[arg(long)]
    pub keep_mapping: bool,
    /// Where, and who
    #[command(flatten)]
    pub plane: PlaneArgs,
}

impl ModeArgs {
    /// The score function's name.
    #[must_use]
    pub fn function(&self) -> String {
        self.plane.deployment.name(self.function.as_ref(), "score")
    }
}

/// Verbs of `override`.
#[derive(Debug, Subcommand)]
pub enum OverrideCommand {
    /// Decide for one card until a time, whatever the score says
    #[command(
        after_help = "allow makes every outcome `pass`, block every outcome `alert`; the score stays in the outcome, and so do its reasons,\nafter `override_allow` or `override_block`. It counts for events that arrive before its end, and then ends by itself.\n\nExamples:\n  tidemark override card card-123 block --until 2h --reason \"reported stolen, case 4711\"\n  tidemark override card card-123 allow --until 2026-12-24T18:00:00Z --reason \"customer confirmed the trip\"\n  tidemark override card card-123 clear --reason \"case 4711 closed\""
    )]
    Card {
        /// The card's token
        #[arg(allow_hyphen_values = true)]
        card: String,
        /// What to decide
        #[arg(value_enum)]
        action: OverrideName,
        /// When it ends: a time (2026-12-24T18:00:00Z) or from now on (30m, 2h, 7d); needed for allow and block
        #[arg(long)]
        until: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Where, and who
        #[command(flatten)]
        plane: PlaneArgs,
    },
    /// Show the overrides in force
    List {
        /// Where
        #[command(flatten)]
        plane: PlaneArgs,
    },
}

/// What to decide for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OverrideName {
    /// Every outcome is `pass`
    Allow,
    /// Every outcome is `alert`
    Block,
    /// End the override now
    Clear,
}

/// Arguments of `rollout`.
#[derive(Debug, Args)]
pub struct RolloutArgs {
    /// For so many of the cards, percent; 0 ends the rollout
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    pub share: u8,
    /// The published version to try [default: the one that is tried now]
    #[arg(long)]
    pub candidate: Option<u32>,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Where, and who
    #[command(flatten)]
    pub plane: PlaneArgs,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The candidate [default: the one that is tried now]
    #[arg(long)]
    pub candidate: Option<u32>,
    /// Write a page with plots to this file, too
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Where
    #[command(flatten)]
    pub plane: PlaneArgs,
}
