//! Recovery: how long a redrive takes to empty a full dead-letter queue, and what it does to live traffic meanwhile.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use lab::simulate::{self, SimConfig, SimRecord};
use localcloud::{EsmOptions, FaultPlan, Service};
use operate::account::{Account, BoundsInForce, Evidence, Record};
use operate::redrive::{self, RedriveReport};
use serde::Serialize;
use terminal::clock::now_ms;
use terminal::error::CliError;
use terminal::ui;
use tidemark_domain::id::EventKey;
use tidemark_domain::policy::Policy;
use tidemark_redrive::{Request, Source};

use super::layer;
use crate::demo::report::Percentiles;
use crate::demo::{self, Pace};
use crate::stack::{Stack, StackOptions, mapping_options};

/// Live records a second, before the redrive and beside it.
pub const LIVE_PER_SECOND: u64 = 300;
/// Live records that are sent before the redrive, to compare with.
const BEFORE_RECORDS: u64 = 6_000;
/// Live records beside the redrive at most: for five minutes.
const BESIDE_RECORDS_MAX: u64 = 90_000;
/// Live records at a time: the redrive's end is looked for between two.
const SLICE_RECORDS: u64 = 300;
/// Cards of each of the three streams.
const CARDS: u32 = 400;
/// Shards of each stream.
const SHARDS: u16 = 4;
/// Retries of a batch: one, so that an outage of seconds gives batches up as one of hours would with the template's twenty.
const RETRIES_MAX: u32 = 1;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// Records in the dead letters' ranges, before the redrive.
    pub dead_letter_records: u64,
    /// Messages in the dead-letter queue, before the redrive.
    pub dead_letter_messages: u64,
    /// The redrive; its `elapsed_ms` is the time to drain.
    pub redrive: RedriveReport,
    /// Arrival to outcome of live records before the redrive, ms.
    pub live_before_ms: Percentiles,
    /// The same beside the redrive, ms.
    pub live_beside_ms: Percentiles,
    /// Live records beside the redrive.
    pub live_beside_records: u64,
    /// Where every record ended.
    pub account: Account,
}

/// Fills the dead-letter queue with so many records while the table is down, then redrives them beside live traffic.
///
/// # Errors
/// When something on this machine or in the local AWS fails.
pub async fn measure(records: u32, seed: u64, data_dir: &Path, score_binary: &Path) -> Result<Recovery, CliError> {
    let options = StackOptions {
        fault_seed: Some(seed),
        mapping: EsmOptions {
            retries_max: Some(RETRIES_MAX),
            ..mapping_options()
        },
        ..StackOptions::new(data_dir, SHARDS, Some(score_binary), true)
    };
    let stack = Stack::start_with(options).await?;
    let result = measure_on(&stack, records, seed).await;
    stack.stop().await;
    result
}

async fn measure_on(stack: &Stack, records: u32, seed: u64) -> Result<Recovery, CliError> {
    let policy = Policy::default_policy();
    let waiting = fill(stack, stream(&policy, seed, records)).await?;
    let before_ms = now_ms();
    let quiet = stream(&policy, seed + 1, records_of(BEFORE_RECORDS));
    live(stack, quiet, &AtomicBool::new(false)).await?;
    demo::drain(stack, &|_| {}).await?;

    let beside_ms = now_ms();
    let ended = AtomicBool::new(false);
    let redrive = async {
        let bar = ui::bar(0, "redriving", true);
        let request = Request::new(Source::DeadLetter);
        let report = redrive::drive(stack.cloud.admin(), &stack.names.redrive_function, &request, &bar).await;
        ended.store(true, Ordering::Relaxed);
        report
    };
    let busy = stream(&policy, seed + 2, records_of(BESIDE_RECORDS_MAX));
    let (live_beside_records, redrive) = futures_util::future::join(live(stack, busy, &ended), redrive).await;
    let (live_beside_records, redrive) = (live_beside_records?, redrive?);
    demo::drain(stack, &|_| {}).await?;

    let accepted = demo::read_transactions(stack).await?;
    let found = demo::read_evidence(stack).await?.evidence;
    let bounds = BoundsInForce::always(policy.bounds);
    let claimed: Vec<Record> = accepted.iter().map(|record| Record::of(record, &bounds)).collect();
    let given_up = |record: &&Record| waiting.dead.iter().any(|range| range.holds(record));
    Ok(Recovery {
        dead_letter_records: claimed.iter().filter(given_up).count() as u64,
        dead_letter_messages: waiting.dead.len() as u64,
        redrive,
        live_before_ms: latencies(&claimed, &found, before_ms..beside_ms),
        live_beside_ms: latencies(&claimed, &found, beside_ms..i64::MAX),
        live_beside_records,
        account: Account::of(claimed.iter(), &found),
    })
}

fn records_of(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A stream without records that the contract refuses.
fn stream(policy: &Policy, seed: u64, events: u32) -> impl Iterator<Item = SimRecord> + Send + use<> {
    let mut config = SimConfig::new(seed, events, CARDS, now_ms(), policy);
    config.broken_share = 0.0;
    simulate::generate(&config)
}

/// Sends records while the table is down; what is in the dead-letter queue then.
async fn fill(stack: &Stack, mut records: impl Iterator<Item = SimRecord> + Send) -> Result<Evidence, CliError> {
    let faults = layer(stack)?;
    faults.add(FaultPlan::down(Service::DynamoDb));
    demo::send(stack, &mut records, (0, u64::MAX), Pace::Backlog(u64::MAX), &|_| {}).await?;
    demo::drain(stack, &|_| {}).await?;
    faults.clear();
    Ok(demo::read_evidence(stack).await?.evidence)
}

/// Live traffic until there is no more of it, or something has ended; answers how many records were sent.
async fn live(
    stack: &Stack,
    mut records: impl Iterator<Item = SimRecord> + Send,
    ended: &AtomicBool,
) -> Result<u64, CliError> {
    let mut sent = 0;
    while !ended.load(Ordering::Relaxed) {
        let bounds = (sent, SLICE_RECORDS);
        let slice = demo::send(stack, &mut records, bounds, Pace::Rate(LIVE_PER_SECOND), &|_| {}).await?;
        if slice == 0 {
            break;
        }
        sent += slice;
    }
    Ok(sent)
}

/// Arrival to outcome of the transactions that arrived in this time, each by its first record.
fn latencies(records: &[Record], found: &Evidence, arrival_ms: Range<i64>) -> Percentiles {
    let mut first: HashMap<&EventKey, i64> = HashMap::new();
    for record in records.iter().filter(|record| arrival_ms.contains(&record.arrival_ms)) {
        if let Some(event) = record.event() {
            first.entry(event).or_insert(record.arrival_ms);
        }
    }
    let took = first
        .into_iter()
        .filter_map(|(event, at_ms)| Some(found.outcomes.get(event)?.arrival_ms - at_ms));
    Percentiles::of(took.collect())
}
