//! The pipeline of a drill, and the commands that are run against it as a person would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use localcloud::EsmOptions;
use operate::places::PREFIX_VARIABLE;
use serde::Serialize;
use terminal::error::CliError;
use tidemark_aws::admin::PutRecord;
use tidemark_domain::id::EventKey;
use tidemark_engine::port::StateItem;

use super::page::PageCommand;
use crate::chaos::Killer;
use crate::stack::{Stack, StackOptions};

/// How long one command of a page may take, ms.
const COMMAND_MS_MAX: u64 = 120_000;
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

/// How to run a drill.
#[derive(Clone, Copy, Debug)]
pub struct PipelineOptions<'a> {
    /// Where the local AWS keeps its logs.
    pub data_dir: &'a Path,
    /// The score function's binary; the one beside this command when absent.
    pub score_binary: Option<&'a Path>,
    /// Seed of the traffic and the faults.
    pub seed: u64,
    /// Whether progress is kept to itself.
    pub quiet: bool,
}

/// What a region that is lost had said when its table was copied, and of which events.
#[derive(Debug)]
pub(super) struct Said {
    pub outcomes: HashMap<EventKey, Vec<u8>>,
    /// Events of that region that the copy does not have.
    pub later: usize,
}

/// What a trouble leaves behind for its end.
#[derive(Debug)]
pub(super) enum Left {
    /// What kills the function's processes.
    Killer(Killer),
    /// The state as it was.
    State(StateItem),
    /// What the region that is lost had said.
    Said(Said),
}

/// The pipeline of a drill.
#[derive(Debug)]
pub(super) struct Pipeline {
    first: Stack,
    /// The one of the region that took over, once there is one.
    second: OnceLock<Stack>,
    score_binary: Option<PathBuf>,
    quiet: bool,
    pub seed: u64,
    command: PathBuf,
    /// Where commands run, so that files that a page writes are the drill's own.
    pub(super) folder: PathBuf,
    left: Mutex<Option<Left>>,
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

    /// One of a page.
    pub fn of(command: &'a PageCommand) -> Self {
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
    /// Starts it in a folder of its own, with the mapping that the trouble needs.
    pub async fn start(mapping: EsmOptions, options: PipelineOptions<'_>) -> Result<Self, CliError> {
        let PipelineOptions {
            data_dir,
            score_binary,
            seed,
            quiet,
        } = options;
        let command = std::env::current_exe()
            .map_err(|e| CliError::machine("own_path", e, "Run the command through `cargo tidemark`."))?;
        let stack = Stack::start_with(StackOptions {
            mapping,
            fault_seed: Some(seed),
            ..StackOptions::new(data_dir, SHARDS, score_binary, quiet)
        })
        .await?;
        Ok(Self {
            first: stack,
            second: OnceLock::new(),
            score_binary: score_binary.map(Path::to_path_buf),
            quiet,
            seed,
            command,
            folder: data_dir.to_path_buf(),
            left: Mutex::new(None),
        })
    }

    /// What is in charge: records and commands go there.
    pub fn stack(&self) -> &Stack {
        self.second.get().unwrap_or(&self.first)
    }

    /// Starts the same in another region, empty; it takes over by [`Pipeline::take_over`].
    pub(super) async fn start_elsewhere(&self, region: &str) -> Result<Stack, CliError> {
        let folder = self.folder.join(region);
        std::fs::create_dir_all(&folder)
            .map_err(|e| CliError::machine("local_aws", e, "Name a folder that can be written: --data-dir."))?;
        let binary = self.score_binary.as_deref();
        Stack::start_with(StackOptions {
            fault_seed: Some(self.seed),
            region: Some(region),
            ..StackOptions::new(&folder, SHARDS, binary, self.quiet)
        })
        .await
    }

    /// From now on this one is in charge; `false`: another one took over already.
    pub(super) fn take_over(&self, second: Stack) -> bool {
        self.second.set(second).is_ok()
    }

    /// Stops everything.
    pub async fn stop(self) {
        if let Some(second) = self.second.into_inner() {
            second.stop().await;
        }
        self.first.stop().await;
    }

    /// Keeps what a trouble needs at its end.
    pub(super) fn leave(&self, left: Left) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    }

    /// What a trouble left.
    pub(super) fn left(&self) -> Option<Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts records into the stream.
    pub async fn put(&self, records: &[PutRecord]) -> Result<(), CliError> {
        for batch in records.chunks(BATCH_RECORDS) {
            let put = self
                .stack()
                .cloud
                .admin()
                .put_records(&self.stack().names.transactions_stream, batch)
                .await;
            put.map_err(|e| {
                CliError::service("send", e, "Look at the logs in the data directory, then run it again.")
            })?;
        }
        Ok(())
    }

    /// Puts a message into the dead-letter queue.
    pub async fn send_dead_letter(&self, body: &str) -> Result<(), CliError> {
        let url = &self.stack().provisioned.dead_letter_queue_url;
        let sent = self.stack().cloud.admin().send(url, body).await;
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
            .env("AWS_ENDPOINT_URL", self.stack().cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.stack().cloud.dynamodb_endpoint())
            .env("AWS_REGION", self.stack().cloud.region())
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

fn tail(text: &str, bytes_max: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}
