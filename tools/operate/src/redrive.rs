//! `tidemark redrive`: invokes the redrive function until nothing is left, shows how it gets on, and accounts for every record.

pub mod args;
mod machine;
mod parallel;
mod record;
mod request;
mod view;

use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;
use serde::de::DeserializeOwned;
use terminal::clock::{now_ms, pause};
use terminal::error::{CliError, Exit};
use terminal::operator;
use terminal::ui;
use tidemark_aws::admin::{Admin, AdminError};
use tidemark_redrive::{Chain, Problem, Request, Response, Source, Stopped, Tally};

use crate::places::Places;
use crate::redrive::args::RedriveArgs;
use crate::redrive::parallel::{Parts, PartsReport};
use crate::redrive::record::AuditRecord;

/// Calls of one run at most: each works until its deadline, so this is more than a week.
const CALLS_MAX: u32 = 10_000;
/// Calls in a row that may bring nothing before the run gives up.
const IDLE_CALLS_MAX: u32 = 5;
/// Attempts of one call, the first included. Calling again is safe: what is done is found done.
const ATTEMPTS_MAX: u32 = 5;
/// Wait before the second attempt, and after a throttled call, in milliseconds; it doubles with each attempt.
const BACKOFF_MS: u64 = 1_000;
/// How long an answer may take: Lambda's longest timeout, and the start of a function.
const ANSWER_WAIT: Duration = Duration::from_secs(930);
/// Problems that are kept and told.
const PROBLEMS_MAX: usize = 1_000;

/// What a run came to. Field names are stable: scripts read them.
#[derive(Clone, Debug, Serialize)]
pub struct RedriveReport {
    /// Where the records came from.
    pub source: Source,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Where each record ended, all calls together.
    #[serde(flatten)]
    pub account: Tally,
    /// Why the last call ended.
    pub stopped: Stopped,
    /// Calls of the function.
    pub calls: u32,
    /// How long it took, in milliseconds.
    pub elapsed_ms: i64,
    /// What somebody should know of.
    pub problems: Vec<Problem>,
    /// Problems beyond those that are named.
    pub problems_more: u64,
    /// The key of the run's audit record in the table; a dry run leaves none.
    pub audit_record: Option<String>,
    /// Whether every record of the source has its end now, and none was lost.
    pub complete: bool,
    /// With `--parallel`: its parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsReport>,
}

/// Invokes the redrive function until its source is empty, and tells what came of it.
///
/// # Errors
/// When the command line is wrong, or the function or a service can't be used. Records that are lost, refused or not done are no
/// error but [`Exit::Failed`].
pub async fn run(admin: &Admin, args: &RedriveArgs, login: Option<&str>, json: bool) -> Result<Exit, CliError> {
    let started_ms = now_ms();
    let request = request::build(args, started_ms)?;
    let places = args.places.resolve(admin).await?;
    let function = args
        .function
        .clone()
        .unwrap_or_else(|| format!("{}-redrive", args.places.deployment.prefix));
    let parts = Parts::cut(admin, args, &function, &places.stream, &request, started_ms).await?;
    let mut audit = None;
    if !request.dry_run {
        let who = operator::who(admin, args.who.as_deref(), login).await;
        let record = AuditRecord::new(args, who, &request, &function, started_ms);
        record.begin(admin, &places.table).await?;
        audit = Some(record);
    }
    let bar = progress(admin, &places, &request, json).await;
    let mut run = Run::new(started_ms);
    let result = match parts {
        Some(parts) => parts.take(&mut run, &request, &bar).await.map(Some),
        None => run.calls(admin, &function, request.clone(), &bar).await.map(|()| None),
    };
    bar.finish_and_clear();
    if let Some(record) = &audit {
        record.end(admin, &places.table, &run, result.as_ref().err()).await?;
    }
    let parts = result?;
    let mut report = run.report(&request, audit.as_ref().map(AuditRecord::key));
    report.parts = parts;
    ui::out(&ui::json_or(json, &report, view::render)?);
    Ok(if report.complete { Exit::Ok } else { Exit::Failed })
}

/// Invokes the redrive function until its source is empty, without an audit record: for a pipeline of one's own.
///
/// # Errors
/// When the function can't be used.
pub async fn drive(
    admin: &Admin,
    function: &str,
    request: &Request,
    bar: &ProgressBar,
) -> Result<RedriveReport, CliError> {
    let mut run = Run::new(now_ms());
    run.calls(admin, function, request.clone(), bar).await?;
    Ok(run.report(request, None))
}

/// A bar over the messages that wait; a range has no known length.
async fn progress(admin: &Admin, places: &Places, request: &Request, quiet: bool) -> ProgressBar {
    let url = match request.source {
        Source::DeadLetter => &places.dead_letter_url,
        Source::Quarantine => &places.quarantine_url,
        Source::Range => return ui::step("redriving the range", quiet),
    };
    let waiting = admin.queue_depth(url).await.map_or(0, |depth| depth.visible);
    ui::bar(waiting, "redriving messages", quiet)
}

/// A run so far.
struct Run {
    started_ms: i64,
    account: Tally,
    calls: u32,
    stopped: Stopped,
    problems: Vec<Problem>,
    problems_more: u64,
}

impl Run {
    fn new(started_ms: i64) -> Self {
        Self {
            started_ms,
            account: Tally::default(),
            calls: 0,
            stopped: Stopped::Done,
            problems: Vec::new(),
            problems_more: 0,
        }
    }

    /// Calls the function until it has nothing left, or may not go on.
    async fn calls(
        &mut self,
        admin: &Admin,
        function: &str,
        mut request: Request,
        bar: &ProgressBar,
    ) -> Result<(), CliError> {
        let records_max = request.records_max;
        let mut idle_calls = 0;
        while self.calls < CALLS_MAX {
            request.records_max = records_max.map(|most| most.saturating_sub(self.account.found));
            let response: Response = call_with(admin, function, &request).await?;
            let idle = response.account == Tally::default();
            idle_calls = if idle { idle_calls + 1 } else { 0 };
            request.cursor.clone_from(&response.cursor);
            self.take(response);
            bar.set_position(self.account.messages);
            bar.set_message(format!("{} records", ui::grouped(self.account.found)));
            let reached = records_max.is_some_and(|most| self.account.found >= most);
            if request.cursor.is_none() || reached || matches!(self.stopped, Stopped::Done | Stopped::Error) {
                return Ok(());
            }
            if idle_calls >= IDLE_CALLS_MAX {
                return Err(CliError::service(
                    "redrive_stalled",
                    format!(
                        "the last {IDLE_CALLS_MAX} calls of {function} brought nothing; {}",
                        self.so_far()
                    ),
                    "Look at the function's log. What was done is done: run it again when the cause is mended.",
                ));
            }
            if self.stopped == Stopped::Throttled {
                pause(BACKOFF_MS).await;
            }
        }
        Ok(())
    }

    fn take(&mut self, response: Response) {
        self.calls += 1;
        self.account += response.account;
        self.stopped = response.stopped;
        self.note(response.problems);
    }

    /// Adds what a chain of the run came to.
    fn add(&mut self, chain: &Chain) {
        self.calls += chain.calls;
        self.account += chain.account;
        self.note(chain.problems.clone());
        self.problems_more += chain.problems_more;
    }

    fn note(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            if self.problems.len() < PROBLEMS_MAX {
                self.problems.push(problem);
            } else {
                self.problems_more += 1;
            }
        }
    }

    fn so_far(&self) -> String {
        format!("so far {} records were found", ui::grouped(self.account.found))
    }

    fn report(self, request: &Request, audit_record: Option<String>) -> RedriveReport {
        RedriveReport {
            source: request.source,
            dry_run: request.dry_run,
            complete: is_complete(&self.account, self.stopped, &self.problems),
            account: self.account,
            stopped: self.stopped,
            calls: self.calls,
            elapsed_ms: now_ms() - self.started_ms,
            problems: self.problems,
            problems_more: self.problems_more,
            audit_record,
            parts: None,
        }
    }
}

/// Whether a run did all that was asked for, and no record was lost, left behind or refused as a message.
fn is_complete(account: &Tally, stopped: Stopped, problems: &[Problem]) -> bool {
    let left = account.returned
        + account.trimmed
        + account.missing
        + account.unrecoverable_messages
        + account.rejected_messages;
    left == 0 && problems.is_empty() && matches!(stopped, Stopped::Done | Stopped::RecordsMax)
}

/// One call of the function, repeated when the way to it fails.
async fn call_with<Q: Serialize, A: DeserializeOwned>(admin: &Admin, function: &str, asked: &Q) -> Result<A, CliError> {
    let payload = serde_json::to_vec(asked)
        .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?;
    let mut wait_ms = BACKOFF_MS;
    for attempt in 1.. {
        match admin.invoke(function, &payload, ANSWER_WAIT).await {
            Ok(answer) => {
                return serde_json::from_slice(&answer).map_err(|e| {
                    CliError::service(
                        "redrive_answer",
                        format!("function {function} answered what is no answer of a redrive: {e}"),
                        "Check --function; deploy function and command from the same release.",
                    )
                });
            }
            Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => {
                pause(wait_ms).await;
                wait_ms *= 2;
            }
            Err(error) => return Err(invoke_error(function, &error)),
        }
    }
    Err(invoke_error(
        function,
        &AdminError::NotReady {
            operation: format!("Invoke {function}"),
            waited_ms: wait_ms,
        },
    ))
}

fn invoke_error(function: &str, error: &AdminError) -> CliError {
    match error {
        AdminError::NotFound { .. } => CliError::usage(
            "unknown_function",
            format!("there is no function {function}"),
            "Check --prefix, or name it with --function; check AWS_ENDPOINT_URL and AWS_REGION.",
        ),
        AdminError::FunctionFailed { .. } => CliError::service(
            "redrive_failed",
            error,
            "See docs/errors for the code it names, and the function's log. Nothing is lost: run it again.",
        ),
        _ => CliError::service(
            "invoke",
            error,
            "Check AWS_ENDPOINT_URL, credentials and the right to invoke the function. Nothing is lost: run it again.",
        ),
    }
}

#[cfg(test)]
mod tests;
