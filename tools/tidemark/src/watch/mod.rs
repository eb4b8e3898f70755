//! `tidemark watch`: what the pipeline does now, on a terminal.

pub mod model;
pub mod sample;
mod terminal;
pub mod view;
mod words;

use tidemark_aws::admin::Admin;

use crate::cli::WatchArgs;
use crate::clock::{now_ms, pause};
use crate::error::{CliError, Exit};
use crate::files;
use crate::ui;
use sample::{Sampler, Targets};

/// Watches until it is told to stop; with `--json` or `--once` it prints pictures instead.
///
/// # Errors
/// When the terminal can't be used, or an option does not fit.
pub async fn run(admin: Admin, args: &WatchArgs, json: bool) -> Result<Exit, CliError> {
    let policy = files::policy(args.policy.as_deref())?;
    let mut targets = Targets::with_prefix(&args.deployment.prefix);
    targets.log.clone_from(&args.log);
    let mut sampler = Sampler::new(admin.clone(), targets, policy.clone());
    if json {
        return as_json(&mut sampler, args).await;
    }
    let table = args.deployment.name(None, "cards");
    terminal::watch(&admin, sampler, &table, &policy, args.interval_ms).await
}

/// One JSON document a look.
async fn as_json(sampler: &mut Sampler, args: &WatchArgs) -> Result<Exit, CliError> {
    let looks = args.looks.unwrap_or(u64::MAX);
    for look in 0..looks {
        if look > 0 {
            pause(args.interval_ms).await;
        }
        let snapshot = sampler.look(now_ms()).await;
        let text = serde_json::to_string(&snapshot)
            .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?;
        ui::out(&format!("{text}\n"));
    }
    Ok(Exit::Ok)
}
