//! `tidemark demo`: the whole path on this machine, and the account of it.

pub mod args;
pub mod fraud;
pub mod learning;
pub mod report;
pub(crate) mod sending;
pub mod signals;
pub(crate) mod usage;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lab::oracle::{self, TriedPolicy};
use lab::simulate::{self, Scenario, SimConfig, SimRecord};
use operate::account::evidence::{self, EvidencePlaces, StreamRange};
use operate::account::{Accepted, Account, BoundsInForce, Evidence, Record};
use operate::explain_outcome;
use operate::outcome::SentOutcome;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui;
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::history::History;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_engine::record::compare_sequence_numbers;

use crate::demo::args::DemoArgs;
use crate::demo::learning::{Learn, Learning, Recomputed};
use crate::demo::report::{Decisions, DemoReport, Percentiles, TopScore};
pub(crate) use crate::demo::sending::{Pace, STALLED_MS_MAX, send, send_records};
use crate::stack::{Stack, StackOptions};

const MS_PER_DAY: i64 = 86_400_000;
/// Without a rate, so many records at most wait to be scored while more are sent: the latency is the path's then, and not
/// that of a queue which only the speed of sending makes.
const BACKLOG_RECORDS_MAX: u64 = 4_000;
/// Events of one card, on average, when the number of cards is not given.
const EVENTS_A_CARD: u64 = 30;
/// How often the progress is looked at, in milliseconds.
const WATCH_MS: u64 = 250;
/// How many of the highest scores are shown.
const TOP_SCORES: usize = 10;
/// How many differences are told in words.
const EXAMPLES_MAX: usize = 10;

/// Runs the demo.
///
/// # Errors
/// When something on this machine or in the local AWS fails; a wrong account is no error but [`Exit::Failed`].
pub async fn run(args: &DemoArgs, learn: &Learn<'_>, json: bool) -> Result<Exit, CliError> {
    let (text, policy) = learning::policy()?;
    let mut options = StackOptions::new(&args.data_dir, args.shards, args.score_binary.as_deref(), json);
    options.aws_limits = !args.no_aws_limits;
    options.reads = args.reads.into();
    options.env = learning::settings(&args.data_dir, &text)?;
    let stack = Stack::start_with(options).await?;
    let result = run_on(&stack, args, (&text, &policy, learn), json).await;
    stack.stop().await;
    let report = result?;
    let text = if json {
        serde_json::to_string_pretty(&report)
            .map(|text| text + "\n")
            .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))?
    } else {
        report.render(args.full)
    };
    ui::out(&text);
    Ok(if report.holds() { Exit::Ok } else { Exit::Failed })
}

async fn run_on(
    stack: &Stack,
    args: &DemoArgs,
    (text, policy, learn): (&str, &Policy, &Learn<'_>),
    quiet: bool,
) -> Result<DemoReport, CliError> {
    let log_from_bytes = usage::log_bytes(stack.function.log_path());
    let started_ms = now_ms();
    let span_ms = learning::STREAM_DAYS * MS_PER_DAY;
    // Up to the last midnight: hours of the day count, and a seed gives the same stream at every hour.
    let midnight_ms = started_ms - started_ms.rem_euclid(MS_PER_DAY);
    let mut config = stream_of(args, policy, midnight_ms).with_scenarios(&Scenario::ALL, span_ms);
    config = config.with_more_fraud(learning::FRAUD_FACTOR).with_links();
    config.sent_by_ms = started_ms;
    let pace = args.rate.map_or(Pace::Backlog(BACKLOG_RECORDS_MAX), Pace::Rate);
    let split_ms = learning::split_ms(&config);
    let before_split = simulate::generate(&config).take_while(|record| record.sent_at_ms < split_ms);
    let before_split = before_split.count() as u64;
    let mut stream = simulate::generate(&config);
    let sent = through(stack, &mut stream, (0, before_split), pace, quiet).await?;
    let learning_began_ms = now_ms();
    let bar = ui::step("learning from the first part", quiet);
    let from = (args.data_dir.as_path(), log_from_bytes);
    let learned = learning::learn(stack, &config, (text, learn), from).await?;
    learning::in_force(learning_began_ms).await;
    bar.finish_and_clear();
    let learning_ms = now_ms() - learning_began_ms;
    let sent = sent + through(stack, &mut stream, (sent, u64::MAX), pace, quiet).await?;
    let run = Run {
        seed: args.seed,
        sent,
        // While it was learned, nothing was sent.
        elapsed_ms: u64::try_from(now_ms() - started_ms - learning_ms)
            .unwrap_or_default()
            .max(1),
    };
    let bar = ui::step("reading everything back", quiet);
    let records = read_transactions(stack).await?;
    let found = read_evidence(stack).await?;
    let usage = usage::read(stack.function.log_path(), log_from_bytes)?;
    let trials = match &learned {
        Ok((_, version)) => learning::recorded(stack, *version).await?,
        Err(_) => Vec::new(),
    };
    bar.set_message("recomputing everything independently");
    let tried = learned.as_ref().ok().map(|(learned, _)| TriedPolicy {
        policy: &learned.policy,
        trials: &trials,
    });
    let (mut report, recomputed) = judge_tried(run, &records, &found, usage, policy, tried)?;
    let outcomes = parse_outcomes(&found.evidence)?;
    report.fraud = Some(fraud::Fraud::of(simulate::generate(&config), outcomes.iter(), policy));
    match learned {
        Ok(learned) => report.learning = Some(Learning::of(&config, policy, learned, &trials, recomputed)),
        Err(why) => report.nothing_learned = Some(why),
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Sends some records of a stream, and waits until they are through; answers how many. `before` records were sent already.
async fn through(
    stack: &Stack,
    stream: &mut (impl Iterator<Item = SimRecord> + Send),
    (before, records_max): (u64, u64),
    pace: Pace,
    quiet: bool,
) -> Result<u64, CliError> {
    let bar = ui::step("sending", quiet);
    let sent = send(stack, stream, (before, records_max), pace, &|sent| {
        bar.set_message(format!("sending: {} events", ui::grouped(before + sent)));
    })
    .await?;
    bar.finish_and_clear();
    let bar = ui::bar(before + sent, "scoring", quiet);
    drain(stack, &|done| bar.set_position(done.min(before + sent))).await?;
    bar.finish_and_clear();
    Ok(sent)
}

/// The simulated stream of a day that the arguments ask for.
pub(crate) fn stream_of(args: &DemoArgs, policy: &Policy, now_ms: i64) -> SimConfig {
    let cards = args.cards.unwrap_or(args.events.div_ceil(EVENTS_A_CARD));
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    SimConfig::new(args.seed, narrow(args.events), narrow(cards), now_ms, policy)
}

/// All records of the transactions stream, in one order for account and oracle: the stream's own, shard by shard.
pub(crate) async fn read_transactions(stack: &Stack) -> Result<Vec<Accepted>, CliError> {
    let mut records = evidence::read_stream(stack.cloud.admin(), &stack.names.transactions_stream).await?;
    records.sort_by(|a, b| {
        let by_number = || compare_sequence_numbers(&a.sequence_number, &b.sequence_number);
        a.shard_id.cmp(&b.shard_id).then_with(by_number)
    });
    Ok(records)
}

/// Everything durable but the records themselves.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where records ended.
    pub evidence: Evidence,
    /// The states of all cards.
    pub states: HashMap<String, History>,
    /// What the queues hold.
    pub queues: BTreeMap<&'static str, signals::Queue>,
}

/// Reads everything durable that shows where the records ended.
pub(crate) async fn read_evidence(stack: &Stack) -> Result<Found, CliError> {
    let admin = stack.cloud.admin();
    let names = EvidencePlaces {
        prefix: &stack.names.prefix,
        transactions: &stack.names.transactions_stream,
        scores: &stack.names.scores_stream,
        table: &stack.names.table,
        quarantine_url: &stack.provisioned.quarantine_queue_url,
        dead_letter_url: &stack.provisioned.dead_letter_queue_url,
        unrecoverable_url: &stack.provisioned.unrecoverable_queue_url,
    };
    let mut evidence = Evidence::default();
    evidence::walk(admin, names.scores, &StreamRange::default(), |_, record| {
        let taken = evidence.take_outcome(record.arrival_ms, record.data);
        taken.map_err(evidence::not_ours)
    })
    .await?;
    let remarks = evidence::read_queues(admin, &names, &mut evidence).await?;
    let states = evidence::read_table(admin, names.table, &mut evidence).await?;
    let read_ms = now_ms();
    let queue = |depth: &evidence::QueueBacklog| signals::Queue {
        messages: depth.messages,
        oldest_ms: depth.oldest_sent_ms.map(|sent_ms| (read_ms - sent_ms).max(0)),
    };
    let depths = &remarks.depths;
    let queues = BTreeMap::from([
        ("quarantine", queue(&depths.quarantine)),
        ("dead_letter", queue(&depths.dead_letter)),
        ("unrecoverable", queue(&depths.unrecoverable)),
    ]);
    Ok(Found {
        evidence,
        states,
        queues,
    })
}

/// Waits until the mapping has nothing left, as long as it gets on.
pub(crate) async fn drain(stack: &Stack, progress: &(dyn Fn(u64) + Sync)) -> Result<(), CliError> {
    let mut last_progress = (stack.mapping.stats().esm, now_ms());
    loop {
        // The mapping answers at once when it is done, and this watch sees whether it gets on until then.
        if stack.mapping.drained(WATCH_MS).await.is_ok() {
            return Ok(());
        }
        let stats = stack.mapping.stats().esm;
        progress(stats.records_done);
        if stats != last_progress.0 {
            last_progress = (stats, now_ms());
        } else if now_ms() - last_progress.1 > i64::try_from(STALLED_MS_MAX).unwrap_or(i64::MAX) {
            return Err(CliError::service(
                "stalled",
                format!("nothing has moved for {STALLED_MS_MAX} ms: {stats:?}"),
                format!("Look at {}.", stack.function.log_path().display()),
            ));
        }
    }
}

/// What a run was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// The seed of its stream.
    pub seed: u64,
    /// Records sent.
    pub sent: u64,
    /// From the first record sent to the last one done, in milliseconds.
    pub elapsed_ms: u64,
}

/// Puts the report together: account, recomputation, measures. The records are in the order in which they were applied.
pub(crate) fn judge(
    run: Run,
    records: &[Accepted],
    found: &Found,
    usage: usage::Usage,
    policy: &Policy,
) -> Result<DemoReport, CliError> {
    judge_tried(run, records, found, usage, policy, None).map(|(report, _)| report)
}

/// The same with a policy that was tried, and how far that was recomputed.
fn judge_tried(
    run: Run,
    records: &[Accepted],
    Found {
        evidence,
        states,
        queues,
    }: &Found,
    usage: usage::Usage,
    policy: &Policy,
    tried: Option<TriedPolicy<'_>>,
) -> Result<(DemoReport, Recomputed), CliError> {
    let Run { seed, sent, elapsed_ms } = run;
    let bounds = BoundsInForce::always(policy.bounds);
    let account = Account::of(
        records.iter().flat_map(|record| Record::all_of(record, &bounds)),
        evidence,
    );
    let input: Vec<oracle::Sent<'_>> = records
        .iter()
        .map(|record| oracle::Sent {
            arrival_ms: record.arrival_ms,
            payload: &record.payload,
        })
        .collect();
    let bytes = evidence.outcomes.values().map(|outcome| outcome.bytes.as_slice());
    let check = oracle::check_tried(policy, &input, bytes, &|card| states.get(card).cloned(), tried);
    let recomputed = Recomputed::of(&check);
    let outcomes = parse_outcomes(evidence)?;
    let scored = account.scored.max(1) as f64;
    let report = DemoReport {
        seed,
        cards: states.len() as u64,
        sent,
        outcomes_unique: evidence.outcomes.len() as u64,
        outcomes_total: evidence.outcomes.values().map(|outcome| outcome.copies).sum(),
        outcomes_conflicting: evidence.outcomes.values().filter(|outcome| !outcome.identical).count() as u64,
        oracle_mismatches: check.mismatch_count,
        oracle_examples: check
            .mismatches
            .iter()
            .take(EXAMPLES_MAX)
            .map(ToString::to_string)
            .collect(),
        decisions: decisions(&outcomes),
        write_units: usage.write_units,
        read_units: usage.read_units,
        write_units_per_scored: usage.write_units / scored,
        read_units_per_scored: usage.read_units / scored,
        arrival_to_outcome_ms: Percentiles::of(latencies(records, evidence)),
        events_per_second: account.accepted as f64 / Duration::from_millis(elapsed_ms).as_secs_f64(),
        elapsed_ms,
        top: top(outcomes, records, policy),
        fraud: None,
        learning: None,
        nothing_learned: None,
        signals: signals::Signals {
            queues: queues.clone(),
            ..usage.signals
        },
        account,
    };
    Ok((report, recomputed))
}

fn parse_outcomes(evidence: &Evidence) -> Result<Vec<SentOutcome>, CliError> {
    let parse = |bytes: &[u8]| serde_json::from_slice(bytes);
    let outcomes: Result<Vec<_>, _> = evidence
        .outcomes
        .values()
        .map(|outcome| parse(&outcome.bytes))
        .collect();
    outcomes.map_err(|e| CliError::service("broken_outcome", e, "This is a bug in tidemark: please report it."))
}

fn decisions(outcomes: &[SentOutcome]) -> Decisions {
    let count = |decision| outcomes.iter().filter(|outcome| outcome.decision == decision).count() as u64;
    Decisions {
        pass: count(Decision::Pass),
        review: count(Decision::Review),
        alert: count(Decision::Alert),
    }
}

/// From the arrival of an event's first record to the arrival of its first outcome, in milliseconds.
fn latencies(records: &[Accepted], evidence: &Evidence) -> Vec<i64> {
    let mut seen = std::collections::HashSet::new();
    let mut latencies = Vec::with_capacity(evidence.outcomes.len());
    for record in records {
        let Some(event) = usage::event(&record.payload) else {
            continue;
        };
        let Some(outcome) = evidence.outcomes.get(&event) else {
            continue;
        };
        if seen.insert(event) {
            latencies.push((outcome.arrival_ms - record.arrival_ms).max(0));
        }
    }
    latencies
}

fn top(mut outcomes: Vec<SentOutcome>, records: &[Accepted], policy: &Policy) -> Vec<TopScore> {
    outcomes.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.event_id.cmp(&b.event_id)));
    outcomes.truncate(TOP_SCORES);
    let words = |outcome: &SentOutcome| outcome.reasons.iter().map(explain_outcome::reason_in_words).collect();
    let amounts = amounts(&outcomes, records, policy);
    outcomes
        .into_iter()
        .zip(amounts)
        .map(|(outcome, amount)| TopScore {
            amount,
            reasons: words(&outcome),
            card_id: outcome.card_id,
            event_id: outcome.event_id,
            score: u64::from(outcome.score),
            decision: outcome.decision.as_str().to_owned(),
        })
        .collect()
}

/// The amounts of a few events as they were sent, each in its own currency.
fn amounts(outcomes: &[SentOutcome], records: &[Accepted], policy: &Policy) -> Vec<String> {
    let mut amounts = vec![String::new(); outcomes.len()];
    for record in records {
        let Ok(decoded) = contract::decode(&record.payload, record.arrival_ms, &policy.bounds) else {
            continue;
        };
        let Event::Transaction(tx) = decoded.event else {
            continue;
        };
        let is_it = |outcome: &SentOutcome| {
            (
                outcome.occurred_at_ms,
                outcome.event_id.as_str(),
                outcome.card_id.as_str(),
            ) == (tx.occurred_at_ms, tx.event_id.as_str(), tx.card_id.as_str())
        };
        if let Some(at) = outcomes.iter().position(is_it) {
            amounts[at] = ui::money(tx.amount_minor, tx.currency);
        }
    }
    amounts
}
