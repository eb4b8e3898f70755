//! `tidemark watch`: what the pipeline does now, on a terminal.

pub mod args;
pub mod sample;
mod screen;
mod text;
pub mod view;
pub mod watcher;
mod words;

use terminal::clock::{now_ms, pause};
use terminal::error::{CliError, Exit};
use terminal::files;
use terminal::ui;
use tidemark_aws::admin::Admin;

use args::WatchArgs;
use sample::{Sampler, Targets};
use watcher::Picture;

/// How long a look of the terminal's waits for a failing read, in milliseconds.
const LOOK_BUDGET_MS: u64 = 2_000;

/// Watches until it is told to stop; with `--json` or `--once` it prints pictures instead.
///
/// # Errors
/// When the terminal can't be used, or an option does not fit.
pub async fn run(admin: Admin, args: &WatchArgs, json: bool) -> Result<Exit, CliError> {
    let policy = files::policy(args.policy.as_deref())?;
    let mut targets = Targets::with_prefix(&args.deployment.prefix);
    targets.log.clone_from(&args.log);
    if json || args.once {
        let mut sampler = Sampler::new(admin, targets, policy);
        return looks(&mut sampler, args, json).await;
    }
    // On a terminal the next look comes soon, and the picture has the word: no long waits, and no lines across it.
    let admin = admin.patient(LOOK_BUDGET_MS, |_| {});
    let sampler = Sampler::new(admin.clone(), targets, policy.clone());
    let table = args.deployment.name(None, "cards");
    screen::watch(&admin, sampler, &table, &policy, args.interval_ms).await
}

/// A picture a look: a JSON document, or a few lines for a person. The last one that could not see everything ends the command with an
/// error's code.
async fn looks(sampler: &mut Sampler, args: &WatchArgs, json: bool) -> Result<Exit, CliError> {
    let looks = if args.once { 1 } else { args.looks.unwrap_or(u64::MAX) };
    let mut blind = false;
    for look in 0..looks {
        if look > 0 {
            pause(args.interval_ms).await;
        }
        let picture = sampler.look(now_ms()).await;
        blind = !picture.problems.is_empty();
        if json {
            ui::out(&document(&picture)?);
        } else {
            ui::out(&text::told(&picture));
        }
    }
    Ok(if blind { Exit::Service } else { Exit::Ok })
}

/// The picture with the pipeline's health.
fn document(picture: &Picture) -> Result<String, CliError> {
    let failed = |e| CliError::machine("report", e, "This is a bug in tidemark: please report it.");
    let mut document = serde_json::to_value(picture).map_err(failed)?;
    let (health, _, why) = view::health(picture);
    document["verdict"] = health.into();
    document["why"] = why.into();
    Ok(format!("{document}\n"))
}
