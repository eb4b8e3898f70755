//! One drill: the trouble is made, the page's commands are run as a person would, and the recovery is timed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tidemark_aws::admin::PutRecord;

use super::page::{Command, Page, Section};
use super::trouble::{Trouble, second_policy, traffic};
use crate::clock::{now_ms, pause};
use crate::error::CliError;
use crate::places::PREFIX_VARIABLE;
use crate::stack::{Stack, StackOptions};

/// How long one command of a page may take, ms.
const COMMAND_MS_MAX: u64 = 120_000;
/// How long it may take until it is over, from the end of the trouble on, ms.
const OVER_MS_MAX: i64 = 120_000;
/// How long after a look that it is not over yet the next one comes, ms.
const LOOK_AGAIN_MS: u64 = 1_000;
/// How long ordinary traffic may take before the trouble begins, ms.
const SETTLE_MS_MAX: u64 = 60_000;
/// Records of one PutRecords call.
const BATCH_RECORDS: usize = 500;
/// Shards of a drill's stream.
const SHARDS: u16 = 2;
/// How long the commands of a drill wait for a failing read, in seconds: its troubles last longer than any patience.
const PATIENCE_S: &str = "5";
/// Bytes of a command's output that a report keeps.
const OUTPUT_BYTES_MAX: usize = 4_000;

/// A command that was run.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// Under which heading it stands; empty for the drill's own.
    pub section: &'static str,
    /// The command as the page has it.
    pub command: String,
    /// Its exit code; `None` when it was stopped for taking too long.
    pub exit: Option<i32>,
    /// The codes that the page expects of it.
    pub expected: Vec<i32>,
    /// The end of what it said.
    pub output: String,
}

/// What a drill gave.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
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

/// How to run a drill.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Where the local AWS keeps its logs.
    pub data_dir: &'a Path,
    /// The score function's binary; the one beside this command when absent.
    pub score_binary: Option<&'a Path>,
    /// Seed of the traffic and the faults.
    pub seed: u64,
    /// Whether progress is kept to itself.
    pub quiet: bool,
}

/// The pipeline of a drill.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub stack: Stack,
    pub seed: u64,
    command: PathBuf,
    /// Where commands run, so that files that a page writes are the drill's own.
    folder: PathBuf,
}

/// A command to run: the page's words, or the drill's own.
pub(super) struct Child<'a> {
    section: &'static str,
    words: Vec<&'a str>,
    exits: &'a [i32],
}

impl<'a> Child<'a> {
    /// One that stands on no page.
    pub fn own(words: &[&'a str]) -> Self {
        Self {
            section: "",
            words: words.to_vec(),
            exits: &[0],
        }
    }

    fn of(command: &'a Command) -> Self {
        Self {
            section: command.section.heading(),
            words: command.words.iter().map(String::as_str).collect(),
            exits: &command.exits,
        }
    }
}

impl Ran {
    /// Whether it ended as the page says.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.exit.is_some_and(|exit| self.expected.contains(&exit))
    }

    /// An error unless it did.
    pub fn must_succeed(&self) -> Result<(), CliError> {
        if self.exit == Some(0) {
            return Ok(());
        }
        Err(CliError::service(
            "drill_command",
            format!(
                "`tidemark {}` ended with {:?}:\n{}",
                self.command, self.exit, self.output
            ),
            "This is the drill's own preparation: look at the logs in the data directory.",
        ))
    }
}

impl Pipeline {
    async fn start(trouble: Trouble, options: Options<'_>) -> Result<Self, CliError> {
        let Options {
            data_dir,
            score_binary,
            seed,
            quiet,
        } = options;
        let command = std::env::current_exe()
            .map_err(|e| CliError::machine("own_path", e, "Run the command through `cargo tidemark`."))?;
        let stack = Stack::start_with(StackOptions {
            mapping: trouble.mapping(),
            fault_seed: Some(seed),
            ..StackOptions::new(data_dir, SHARDS, score_binary, quiet)
        })
        .await?;
        Ok(Self {
            stack,
            seed,
            command,
            folder: data_dir.to_path_buf(),
        })
    }

    /// Puts records into the stream.
    pub async fn put(&self, records: &[PutRecord]) -> Result<(), CliError> {
        for batch in records.chunks(BATCH_RECORDS) {
            let put = self
                .stack
                .cloud
                .admin()
                .put_records(&self.stack.names.transactions_stream, batch)
                .await;
            put.map_err(|e| {
                CliError::service("send", e, "Look at the logs in the data directory, then run it again.")
            })?;
        }
        Ok(())
    }

    /// Puts a message into the dead-letter queue.
    pub async fn send_dead_letter(&self, body: &str) -> Result<(), CliError> {
        let url = &self.stack.provisioned.dead_letter_queue_url;
        let sent = self.stack.cloud.admin().send(url, body).await;
        sent.map(drop)
            .map_err(|e| CliError::service("send", e, "Look at the logs in the data directory, then run it again."))
    }

    /// Runs a command of this program against the pipeline.
    pub async fn run(&self, child: Child<'_>) -> Result<Ran, CliError> {
        let mut process = tokio::process::Command::new(&self.command);
        process
            .args(&child.words)
            .args(["--patience", PATIENCE_S])
            .current_dir(&self.folder)
            .env("AWS_ENDPOINT_URL", self.stack.cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.stack.cloud.dynamodb_endpoint())
            .env("AWS_REGION", self.stack.cloud.region())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("USER", "drill")
            .env_remove(PREFIX_VARIABLE)
            .env_remove("AWS_PROFILE")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_millis(COMMAND_MS_MAX), process.output()).await;
        let (exit, output) = match output {
            Err(_) => (None, format!("stopped after {COMMAND_MS_MAX} ms")),
            Ok(Err(e)) => {
                return Err(CliError::machine(
                    "own_path",
                    e,
                    "Run the command through `cargo tidemark`.",
                ));
            }
            Ok(Ok(output)) => {
                let text = [output.stdout, output.stderr].concat();
                (output.status.code(), String::from_utf8_lossy(&text).into_owned())
            }
        };
        Ok(Ran {
            section: child.section,
            command: child.words.join(" "),
            exit,
            expected: child.exits.to_vec(),
            output: tail(&output, OUTPUT_BYTES_MAX).to_owned(),
        })
    }
}

/// Runs a page's drill.
///
/// # Errors
/// When the local AWS does not start, or the trouble can't be made. A page that does not work is no error but a report.
pub async fn drill(page: &Page, trouble: Trouble, options: Options<'_>) -> Result<Report, CliError> {
    let pipeline = Pipeline::start(trouble, options).await?;
    let result = drill_on(&pipeline, page, trouble, options.data_dir).await;
    pipeline.stack.stop().await;
    result
}

async fn drill_on(pipeline: &Pipeline, page: &Page, trouble: Trouble, data_dir: &Path) -> Result<Report, CliError> {
    prepare(pipeline, data_dir).await?;
    trouble.begin(pipeline).await?;
    let mut commands = Vec::new();
    for section in [Section::FirstLook, Section::FirstMitigation] {
        for command in page.of(section) {
            commands.push(pipeline.run(Child::of(command)).await?);
        }
    }
    trouble.end(pipeline);
    let ended_ms = now_ms();
    for command in page.of(Section::WayBack) {
        commands.push(pipeline.run(Child::of(command)).await?);
    }
    let (over, last) = wait_until_over(pipeline, page, ended_ms).await?;
    commands.extend(last);
    Ok(Report {
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
    let drained = pipeline.stack.mapping.drained(SETTLE_MS_MAX).await;
    drained.map_err(|e| CliError::service("drill_trouble", e, "Look at the logs in the data directory."))
}

/// Runs the page's last section until all of it succeeds, or it takes too long; the last run's commands.
async fn wait_until_over(pipeline: &Pipeline, page: &Page, ended_ms: i64) -> Result<(bool, Vec<Ran>), CliError> {
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

fn tail(text: &str, bytes_max: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}
