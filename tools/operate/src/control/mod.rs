//! Steering the pipeline: policies, mode, overrides, rollout, and the comparison of a candidate with what is in force.

pub mod args;
pub mod compare;
pub mod list;
pub mod map_args;
mod mapping;
pub mod maps;
mod mode;
mod model;
mod overrides;
mod plane;
mod policy;
mod rollout;
mod until;

pub use compare::run as compare;
pub use list::run as list;
pub use maps::run as maps;
pub use mode::run as mode;
pub use model::run as model;
pub use overrides::run as overrides;
pub use policy::run as policy;
pub use rollout::run as rollout;

use args::{PlaneArgs, StreamArgs};
use serde_json::Value;
use terminal::error::{CliError, Exit};
use terminal::{files, ui};
use tidemark_aws::admin::Admin;
use tidemark_domain::policy::Policy;

use crate::places::PrefixArg;

/// Publishes a policy's text and has it tried on all cards, as `policy publish` and `rollout` do; answers with its version.
///
/// # Errors
/// When the text is no policy, the table can't be changed, or somebody else was first.
pub async fn try_on_all(
    admin: &Admin,
    (plane, stream): (&PlaneArgs, &StreamArgs),
    (name, text): (&str, String),
    reason: &str,
) -> Result<u32, CliError> {
    let policy = files::parsed(&text, name, None)?;
    let plane = plane::Plane::new(admin, plane, None);
    policy::publish_text(&plane, stream, (name, text), &policy, reason).await?;
    rollout::set(&plane, (100, Some(policy.version)), reason).await?;
    Ok(policy.version)
}

/// The policy in force on a deployment's table.
///
/// # Errors
/// When the table can't be read, or what it names can't be had.
pub(crate) async fn in_force(
    admin: &Admin,
    deployment: &PrefixArg,
    table: Option<&String>,
) -> Result<Policy, CliError> {
    let args = PlaneArgs {
        deployment: deployment.clone(),
        table: table.cloned(),
        who: None,
    };
    plane::Plane::new(admin, &args, None).in_force().await
}

/// Prints a document, or the same for a person.
fn print(json: bool, value: &Value, text: &str) -> Exit {
    ui::out(&if json { format!("{value}\n") } else { text.to_owned() });
    Exit::Ok
}
