//! `tidemark compare`: a candidate's recorded outcomes beside those that were sent.

mod html;
mod measure;
mod plot;
mod read;
mod text;
mod worth;

use std::path::Path;

use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui;
use tidemark_aws::admin::Admin;

use super::args::CompareArgs;
use super::plane::Plane;

pub use measure::{Comparison, LabelledTrial, compare};
pub use read::trials;

/// Reads what was recorded, compares, and shows it.
///
/// # Errors
/// When the table can't be read, nothing was recorded, or the page can't be written.
pub async fn run(admin: &Admin, args: &CompareArgs, json: bool) -> Result<Exit, CliError> {
    let plane = Plane::new(admin, &args.plane, None);
    let stored = plane.pointer().await?;
    let running = stored.good().and_then(|pointer| pointer.rollout);
    let Some(candidate) = args.candidate.or(running.map(|rollout| rollout.candidate)) else {
        let what = "no candidate is named, and none is tried now";
        return Err(CliError::usage(
            "rollout_candidate",
            what,
            "Name the version that was tried: --candidate V.",
        ));
    };
    let bar = ui::step("reading what was recorded", json);
    let samples = read::samples(&plane, candidate).await?;
    bar.finish_and_clear();
    if samples.events.is_empty() {
        return Err(CliError::refused(
            "no_trials",
            format!("nothing was recorded of version {candidate}"),
            "Start with tidemark rollout SHARE --candidate V --reason TEXT; the first events are there within seconds.",
        ));
    }
    let comparison = compare(&samples, now_ms());
    if let Some(file) = &args.html {
        write(file, &html::render(&comparison, &samples))?;
        ui::note(&format!("{} is written", file.display()));
    }
    let value = serde_json::to_string_pretty(&comparison)
        .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?;
    ui::out(&if json { value + "\n" } else { text::render(&comparison) });
    Ok(Exit::Ok)
}

fn write(file: &Path, page: &str) -> Result<(), CliError> {
    std::fs::write(file, page).map_err(|e| {
        CliError::input(
            "output",
            format!("{}: {e}", file.display()),
            "Check the path and the room on the disk.",
        )
    })
}

#[cfg(test)]
mod tests;
