//! `tidemark deploy`: makes, changes and takes away a deployment by `infra/template.yaml` and `infra/observability.yaml`.
//!
//! A [`stage`] says which stacks and parameters. What is deployed are two templates ([`templates`]) and two [`bootstrap`]s, which
//! [`building`] makes and [`artifacts`] puts where CloudFormation finds them. [`account`] looks at what must hold before, [`standing`]
//! at what is there already and [`release`] at who made it; [`changes`] has CloudFormation say what it would do, [`progress`] waits until it is done, [`smoke`]
//! sends one event through; [`emulated`] has the alarms that emulators can make. [`rollout`] is the verb, over these; [`status`] and [`destroy`] are the other two.

mod account;
pub mod args;
mod artifacts;
mod bootstrap;
mod building;
mod changes;
mod destroy;
mod emulated;
mod failure;
mod plan;
mod progress;
mod release;
mod rollout;
mod smoke;
mod stage;
mod standing;
mod status;
mod target;
mod templates;
mod view;
mod zip;

use terminal::error::{CliError, Exit};
use tidemark_aws::AwsSettings;

use crate::args::{DeployArgs, DeployVerb};

/// Carries the verb out. `settings` are those of the environment; a stage or `--endpoint` changes them.
///
/// # Errors
/// When something is not as it has to be, or a service does not do what it is asked.
pub async fn run(args: &DeployArgs, settings: AwsSettings, patience_ms: u64, json: bool) -> Result<Exit, CliError> {
    match &args.verb {
        None => Box::pin(rollout::run(args, settings, patience_ms, json)).await,
        Some(DeployVerb::Status(of)) => Box::pin(status::run(of, settings, patience_ms, json)).await,
        Some(DeployVerb::Destroy(of)) => Box::pin(destroy::run(of, settings, patience_ms, json)).await,
    }
}
