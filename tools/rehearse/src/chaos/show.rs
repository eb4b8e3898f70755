//! `tidemark demo --chaos`: the whole path while everything goes wrong, told to somebody who sees it for the first time.

use lab::simulate::{self, SimConfig};
use localcloud::{EsmOptions, FaultPlan, Service};
use operate::account::{Accepted, Account, BoundsInForce, Record};
use operate::redrive::{self, RedriveReport};
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui;
use tidemark_domain::policy::Policy;
use tidemark_redrive::{Request, Source};

use super::report::{LettersBefore, ShowReport};
use super::{BACKLOG_RECORDS, Injected, Killer, Produced, as_applied, errors_and_lost_answers, layer, view};
use crate::demo::args::DemoArgs;
use crate::demo::{self, Found, Pace, Run, usage};
use crate::stack::{Stack, StackOptions, mapping_options};

/// Records of one invocation: small batches have more moments at which things go wrong.
const BATCH_RECORDS: u32 = 100;
/// Retries of a batch: one, so that an outage of seconds gives batches up as one of hours would with the template's twenty.
const RETRIES_MAX: u32 = 1;
/// A process of the function is killed so often, while the first part of the records is under way.
const KILLS: u64 = 25;
/// Share of the records that the contract refuses, spread over the stream.
const BROKEN_SHARE: f64 = 0.05;
/// Of ten records, so many are sent before the store goes away.
const BEFORE_OUTAGE_IN_TEN: u64 = 6;
/// Of ten records, so many are sent while it is away. All of them are given up: were the store back before, some of a batch
/// could be applied and others not, and nobody could tell afterwards in which order copies of an event were tried.
const WHILE_AWAY_IN_TEN: u64 = 2;
/// Redrives at most: a message whose records are still held by an invocation that gave up is tried again.
const REDRIVES_MAX: u32 = 3;

/// Runs the show.
///
/// # Errors
/// When something on this machine or in the local AWS fails; a wrong account is no error but [`Exit::Failed`].
pub async fn run(args: &DemoArgs, json: bool) -> Result<Exit, CliError> {
    let mut options = StackOptions::new(&args.data_dir, args.shards, args.score_binary.as_deref(), json);
    options.fault_seed = Some(args.seed);
    options.aws_limits = !args.no_aws_limits;
    options.mapping = EsmOptions {
        batching_window_ms: 0,
        batch_size: BATCH_RECORDS,
        retries_max: Some(RETRIES_MAX),
        ..mapping_options()
    };
    let stack = Stack::start_with(options).await?;
    let result = play(&stack, args, json).await;
    stack.stop().await;
    let report = result?;
    ui::out(&ui::json_or(json, &report, |report| view::render(report, args.full))?);
    Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
}

async fn play(stack: &Stack, args: &DemoArgs, quiet: bool) -> Result<ShowReport, CliError> {
    let policy = Policy::default_policy();
    let log_from_bytes = usage::log_bytes(stack.function.log_path());
    let redrive_log = stack.redrive.as_ref().map(localcloud::Function::log_path);
    let redrive_from_bytes = redrive_log.map_or(0, usage::log_bytes);
    let started_ms = now_ms();
    let mut stream = demo::stream_of(args, &policy, started_ms);
    stream.broken_share = BROKEN_SHARE;
    let kills = send_through_trouble(stack, &stream, args, quiet).await?;
    let elapsed_ms = u64::try_from(now_ms() - started_ms).unwrap_or_default().max(1);
    let records = demo::read_transactions(stack).await?;
    let before = demo::read_evidence(stack).await?;
    let dead_letters = waiting(&records, &before, &policy);
    let redrives = redrive_all(stack, dead_letters, quiet).await?;

    let bar = ui::step("reading everything back, recomputing it independently", quiet);
    let produced = Produced::of(simulate::generate(&stream).map(|record| record.payload), &records);
    let mut injected = Injected::of(&layer(stack)?.counts());
    injected.kills = kills;
    injected.invocations_failed = stack.function.stats().errors;
    injected.producer_resent = produced.resent;
    let run = Run {
        seed: args.seed,
        sent: (produced.meant + produced.resent).saturating_sub(produced.foreign),
        elapsed_ms,
    };
    let found = demo::read_evidence(stack).await?;
    let mut usage = usage::read(stack.function.log_path(), log_from_bytes)?;
    if let Some(log) = redrive_log.filter(|_| !redrives.is_empty()) {
        usage.signals.redrive = usage::read(log, redrive_from_bytes)?.signals.metrics;
    }
    let records = as_applied(records, &before.evidence, &found.evidence, &policy.bounds.into());
    let report = demo::judge(run, &records, &found, usage, &policy)?;
    bar.finish_and_clear();
    Ok(ShowReport {
        report,
        injected,
        dead_letters,
        redrives,
    })
}

/// The two troubles, with traffic under way; answers how many processes were killed.
async fn send_through_trouble(
    stack: &Stack,
    stream: &SimConfig,
    args: &DemoArgs,
    quiet: bool,
) -> Result<u64, CliError> {
    let faults = layer(stack)?;
    let tell = |words: &str| {
        if !quiet {
            ui::note(words);
        }
    };
    let mut records = simulate::generate(stream);

    tell(view::ALL_AT_ONCE);
    let first = args.events * BEFORE_OUTAGE_IN_TEN / 10;
    for plan in errors_and_lost_answers(&stack.names.transactions_stream, &stack.names.scores_stream) {
        faults.add(plan);
    }
    let killer = Killer::start(stack.function.clone(), args.seed, KILLS);
    let bar = ui::bar(first, "sending through faults", quiet);
    let progress = |sent| bar.set_position(sent);
    let sent = demo::send(
        stack,
        &mut records,
        (0, first),
        Pace::Backlog(BACKLOG_RECORDS),
        &progress,
    )
    .await?;
    demo::drain(stack, &|_| {}).await?;
    let kills = killer.stop().await;
    faults.clear();
    bar.finish_and_clear();

    tell(view::STORE_GONE);
    faults.add(FaultPlan::down(Service::DynamoDb));
    let away = args.events * WHILE_AWAY_IN_TEN / 10;
    let bar = ui::bar(away, "sending without a store", quiet);
    let progress = |sent| bar.set_position(sent);
    let meanwhile = demo::send(stack, &mut records, (sent, away), Pace::Backlog(u64::MAX), &progress).await?;
    bar.set_message("until all is given up");
    demo::drain(stack, &|_| {}).await?;
    faults.clear();
    bar.finish_and_clear();

    tell(view::STORE_BACK);
    let before = sent + meanwhile;
    let bar = ui::bar(args.events.saturating_sub(before), "sending what comes next", quiet);
    let progress = |sent| bar.set_position(sent);
    demo::send(
        stack,
        &mut records,
        (before, u64::MAX),
        Pace::Backlog(BACKLOG_RECORDS),
        &progress,
    )
    .await?;
    demo::drain(stack, &|_| {}).await?;
    bar.finish_and_clear();
    Ok(kills)
}

/// What waits in the dead-letter queue.
fn waiting(records: &[Accepted], found: &Found, policy: &Policy) -> LettersBefore {
    let bounds = BoundsInForce::always(policy.bounds);
    let account = Account::of(
        records.iter().map(|record| Record::of(record, &bounds)),
        &found.evidence,
    );
    LettersBefore {
        messages: found.evidence.dead.len() as u64,
        records: account.dead_lettered,
        oldest_ms: found.queues.get("dead_letter").and_then(|queue| queue.oldest_ms),
    }
}

/// Redrives until the queue is empty.
async fn redrive_all(stack: &Stack, waiting: LettersBefore, quiet: bool) -> Result<Vec<RedriveReport>, CliError> {
    let mut redrives = Vec::new();
    if waiting.messages == 0 {
        return Ok(redrives);
    }
    if !quiet {
        ui::note(&view::dead_letters_wait(waiting));
    }
    let function = &stack.names.redrive_function;
    for _ in 0..REDRIVES_MAX {
        let bar = ui::bar(waiting.messages, "redriving messages", quiet);
        let request = Request::new(Source::DeadLetter);
        let report = redrive::drive(stack.cloud.admin(), function, &request, &bar).await?;
        bar.finish_and_clear();
        let complete = report.complete;
        redrives.push(report);
        if complete {
            break;
        }
    }
    Ok(redrives)
}
