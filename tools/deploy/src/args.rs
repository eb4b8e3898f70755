//! Arguments of `deploy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What stands at the end of its help.
pub const HELP: &str = "What it does: looks whether everything is there (credentials, quotas, what stands already), builds both functions once,\n\
puts them and the templates into a bucket, shows what CloudFormation would change and asks, deploys the alarms and then the\n\
pipeline, waits, and sends one event through, of a card that begins with tidemark-smoke-test.\n\n\
Stages are sections of samconfig.toml in this folder; without that file, of the one that the command has.\n\n\
Examples:\n  tidemark deploy --dry-run                              what it would change; nothing is deployed\n  \
tidemark deploy --stage prod\n  tidemark deploy --stage prod --yes --bootstraps target/lambda   in a pipeline of your own\n  \
tidemark deploy --stage local --endpoint http://127.0.0.1:4566\n  tidemark deploy status --stage prod\n  tidemark deploy destroy --stage dev";

/// Which deployment.
#[derive(Clone, Debug, Args)]
pub struct StageArgs {
    /// A section of samconfig.toml: dev, stage, prod and local are there from the start
    #[arg(long, default_value = "dev")]
    pub stage: String,
    /// Where the stages are [default: samconfig.toml, or what the command has]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The endpoint of every service, for an emulator on this machine [default: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// Arguments of `deploy`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeployArgs {
    /// Which deployment
    #[command(flatten)]
    pub of: StageArgs,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
    /// Functions that are built already: FOLDER/score/bootstrap or FOLDER/score, and redrive likewise
    #[arg(long, value_name = "FOLDER")]
    pub bootstraps: Option<PathBuf>,
    /// A parameter of the template, in place of the stage's; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Deploy over a stack that a newer release made
    #[arg(long)]
    pub allow_older: bool,
    /// Send no event at the end
    #[arg(long)]
    pub no_smoke_test: bool,
    /// Another thing to do with the deployment
    #[command(subcommand)]
    pub verb: Option<DeployVerb>,
}

/// The other verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum DeployVerb {
    /// Say how the stacks, the mapping and the alarms stand
    Status(StageArgs),
    /// Delete the stacks, and say what is kept and how to take it back
    Destroy(DestroyArgs),
}

/// Arguments of `deploy destroy`.
#[derive(Clone, Debug, Args)]
pub struct DestroyArgs {
    /// Which deployment
    #[command(flatten)]
    pub of: StageArgs,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
}
