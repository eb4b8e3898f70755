//! One drill: the trouble is made, the page's commands are run as a person would, and the recovery is timed.

use std::path::Path;

use serde::Serialize;
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;

use super::broken;
use super::page::{RunbookPage, Section};
use super::pipeline::{Child, Pipeline, PipelineOptions, Ran};
use super::trouble::{Trouble, second_policy, traffic};

/// How long it may take until it is over, from the end of the trouble on, ms.
const OVER_MS_MAX: i64 = 120_000;
/// How long after a look that it is not over yet the next one comes, ms.
const LOOK_AGAIN_MS: u64 = 1_000;
/// How long ordinary traffic may take before the trouble begins, ms.
const SETTLE_MS_MAX: u64 = 60_000;

/// What a drill gave.
#[derive(Clone, Debug, Serialize)]
pub struct DrillReport {
    /// The page.
    pub page: String,
    /// What was done.
    pub trouble: &'static str,
    /// Whether every command ended with a code that the page expects, and the page's last section held.
    pub passed: bool,
    /// From the end of the trouble until the last section's commands all succeeded, ms.
    pub recovery_ms: Option<i64>,
    /// The commands, in order.
    pub commands: Vec<Ran>,
}

/// Runs a page's drill.
///
/// # Errors
/// When the local AWS does not start, or the trouble can't be made. A page that does not work is no error but a report.
pub async fn drill(
    page: &RunbookPage,
    trouble: Trouble,
    options: PipelineOptions<'_>,
) -> Result<DrillReport, CliError> {
    let pipeline = Pipeline::start(trouble.mapping(), options).await?;
    let result = drill_on(&pipeline, page, trouble, options.data_dir).await;
    // One that broke off did not end its trouble: nobody may kill the processes of a stack that stops.
    broken::crash_no_more(&pipeline).await;
    pipeline.stop().await;
    result
}

async fn drill_on(
    pipeline: &Pipeline,
    page: &RunbookPage,
    trouble: Trouble,
    data_dir: &Path,
) -> Result<DrillReport, CliError> {
    prepare(pipeline, data_dir).await?;
    trouble.begin(pipeline).await?;
    let mut commands = Vec::new();
    for section in [Section::FirstLook, Section::FirstMitigation] {
        for command in page.of(section) {
            commands.push(pipeline.run(Child::of(command)).await?);
        }
    }
    trouble.end(pipeline).await?;
    let ended_ms = now_ms();
    for command in page.of(Section::WayBack) {
        commands.push(pipeline.run(Child::of(command)).await?);
    }
    let (over, last) = wait_until_over(pipeline, page, ended_ms).await?;
    commands.extend(last);
    Ok(DrillReport {
        page: page.name.clone(),
        trouble: trouble.words(),
        passed: over && commands.iter().all(Ran::is_as_expected),
        recovery_ms: over.then(|| now_ms() - ended_ms),
        commands,
    })
}

/// Two policies, so that there is one to go back to, and traffic that is through before the trouble begins.
async fn prepare(pipeline: &Pipeline, data_dir: &Path) -> Result<(), CliError> {
    let path = second_policy(data_dir)
        .map_err(|e| CliError::machine("local_aws", e, "Name a folder that can be written: --data-dir."))?;
    // Commands run in the data directory itself.
    let path = std::path::absolute(&path).unwrap_or(path);
    let path = path.to_string_lossy();
    for words in [
        ["policy", "publish", &path, "--reason", "drill"].as_slice(),
        &["policy", "activate", "2", "--reason", "drill"],
    ] {
        pipeline.run(Child::own(words)).await?.must_succeed()?;
    }
    pipeline.put(&traffic(pipeline.seed)).await?;
    let drained = pipeline.stack().mapping.drained(SETTLE_MS_MAX).await;
    drained.map_err(|e| CliError::service("drill_trouble", e, "Look at the logs in the data directory."))
}

/// Runs the page's last section until all of it succeeds, or it takes too long; the last run's commands.
async fn wait_until_over(pipeline: &Pipeline, page: &RunbookPage, ended_ms: i64) -> Result<(bool, Vec<Ran>), CliError> {
    loop {
        let mut last = Vec::new();
        for command in page.of(Section::OverWhen) {
            last.push(pipeline.run(Child::of(command)).await?);
        }
        let over = last.iter().all(Ran::is_as_expected);
        if over || now_ms() - ended_ms > OVER_MS_MAX {
            return Ok((over, last));
        }
        pause(LOOK_AGAIN_MS).await;
    }
}
