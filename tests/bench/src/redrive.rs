//! `redrive EVENTS PARTS`: a backlog that no mapping ever scored is redriven as a range in so many parts, beside live traffic at a steady
//! rate through a mapping that begins behind it.
//!
//! The command itself does it, and afterwards the audit must hold. Live records go alone for a while before, to compare with. All of it,
//! the local AWS and every function's process, shares this machine.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use lab::simulate::{SimConfig, SimRecord, generate};
use localcloud::{EsmOptions, MappingSpec, StartingPosition};
use operate::account::evidence::{StreamRange, walk};
use rehearse::demo::report::Percentiles;
use rehearse::stack::{Stack, StackOptions, mapping_options};
use serde::Serialize;
use serde_json::Value;
use terminal::clock::{now_ms, pause};
use tidemark_aws::admin::{PutRecord, ShardRecord};
use tidemark_domain::id::EventKey;
use tidemark_domain::policy::Policy;

/// Shards of the stream: as many as the most parts that are measured.
const SHARDS: u16 = 16;
/// Live records a second, before the redrive and beside it.
const LIVE_PER_SECOND: u64 = 200;
/// How long live records go alone, ms.
const ALONE_MS: i64 = 20_000;
/// How often live records are sent, ms.
const TICK_MS: u64 = 10;
/// Records of one PutRecords call.
const BATCH_RECORDS: usize = 500;
/// Live records that are made at a time.
const LIVE_RECORDS: u32 = 20_000;
/// How long everything may take to come to rest, ms.
const REST_MS_MAX: u64 = 120_000;
/// The seed of the backlog, and the first of the live records.
const SEED: u64 = 1;
const LIVE_SEED: u64 = 2;

/// What was measured. Field names are stable: scripts read them.
#[derive(Debug, Serialize)]
struct Measured {
    /// Records that waited.
    records: u64,
    /// What the redrive found of them, and what of that it brought to an end.
    found: u64,
    ended: u64,
    elapsed_s: f64,
    records_a_second: f64,
    live_a_second: u64,
    /// Arrival to outcome of live events before the redrive and beside it, ms.
    before: Percentiles,
    beside: Percentiles,
    live_beside_records: u64,
    /// What the command told.
    redrive: Value,
}

/// Measures.
///
/// # Errors
/// When something fails, a record has no end, or the audit does not hold.
pub fn run(events: u32, parts: u32) -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("tidemark-redrive-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = runtime.map_err(words)?.block_on(start(events, parts, &folder));
    // What was written is of no use to anybody else.
    let _ = std::fs::remove_dir_all(&folder);
    let measured = measured?;
    if (measured.found, measured.ended) != (measured.records, measured.records) {
        return Err(format!(
            "of {} records not each has one end: {measured:?}",
            measured.records
        ));
    }
    Ok(serde_json::to_string(&measured).map_err(words)? + "\n")
}

/// A program that stands beside this one.
pub fn beside_this(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(words)?;
    Ok(here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

async fn start(events: u32, parts: u32, folder: &Path) -> Result<Measured, String> {
    let score = beside_this("score")?;
    let mut stack = Stack::start_with(StackOptions::new(folder, SHARDS, Some(&score), true))
        .await
        .map_err(words)?;
    // Nothing scores what is sent now.
    stack.mapping.enable(false);
    let result = Box::pin(measure(&mut stack, events, parts)).await;
    stack.stop().await;
    result
}

async fn measure(stack: &mut Stack, events: u32, parts: u32) -> Result<Measured, String> {
    // An outage would be known from when to when it was; every slice beyond it would be a wait for nothing.
    let since_ms = now_ms();
    let sent = send(stack, &mut stream(SEED, events)).await?;
    let until_ms = now_ms();
    let mut live = (LIVE_SEED..).flat_map(|seed| stream(seed, LIVE_RECORDS));
    let spec = MappingSpec {
        options: EsmOptions {
            starting_position: StartingPosition::Latest,
            ..mapping_options()
        },
        on_failure_queue_url: Some(stack.provisioned.dead_letter_queue_url.clone()),
        ..MappingSpec::new(stack.names.transactions_stream.clone(), stack.function.clone())
    };
    // The old one ends, so that the backlog is the redrive's alone.
    let mapping = stack.cloud.start_mapping(spec).await.map_err(words)?;
    std::mem::replace(&mut stack.mapping, mapping).stop().await;
    let stack = &*stack;
    // The first records find processes that start: they are not part of what is compared.
    steadily(stack, &mut live, &|began_ms| now_ms() - began_ms >= ALONE_MS / 4).await?;
    let before_ms = now_ms();
    steadily(stack, &mut live, &|began_ms| now_ms() - began_ms >= ALONE_MS).await?;
    let (beside_ms, ended) = (now_ms(), AtomicBool::new(false));
    let (since, until) = (since_ms.to_string(), until_ms.to_string());
    let redrive = async {
        let line = [
            "--source",
            "range",
            "--since",
            &since,
            "--until",
            &until,
            "--parallel",
            &parts.to_string(),
        ]
        .map(str::to_owned);
        let told = command(stack, "redrive", &line).await;
        ended.store(true, Ordering::Relaxed);
        told
    };
    let is_ended = |_| ended.load(Ordering::Relaxed);
    let busy = steadily(stack, &mut live, &is_ended);
    let (live_beside_records, redrive) = futures_util::future::join(busy, redrive).await;
    let (live_beside_records, redrive) = (live_beside_records?, redrive?);
    let after_ms = now_ms();
    stack.mapping.drained(REST_MS_MAX).await.map_err(words)?;
    command(
        stack,
        "audit",
        &["--since", "oldest", "--settle", "120"].map(str::to_owned),
    )
    .await?;

    let latencies = Latencies::read(stack, until_ms).await?;
    let number = |name: &str| redrive.get(name).and_then(Value::as_u64).unwrap_or_default();
    let elapsed_s = number("elapsed_ms") as f64 / 1e3;
    Ok(Measured {
        records: sent,
        found: number("found"),
        ended: ["scored", "already_done", "applied", "quarantined"]
            .map(number)
            .iter()
            .sum(),
        elapsed_s,
        records_a_second: sent as f64 / elapsed_s,
        live_a_second: LIVE_PER_SECOND,
        before: latencies.of(before_ms..beside_ms)?,
        beside: latencies.of(beside_ms..after_ms)?,
        live_beside_records,
        redrive,
    })
}

fn stream(seed: u64, events: u32) -> impl Iterator<Item = PutRecord> + Send {
    let cards = (events / 30).clamp(1, 1_000_000);
    let config = SimConfig::new(seed, events, cards, now_ms(), &Policy::default_policy()).clean();
    generate(&config).map(|record: SimRecord| PutRecord {
        partition_key: record.partition_key,
        data: record.payload,
    })
}

/// Sends all of them, as fast as the shards take them.
async fn send(stack: &Stack, records: &mut (impl Iterator<Item = PutRecord> + Send)) -> Result<u64, String> {
    let mut sent = 0;
    loop {
        let batch: Vec<PutRecord> = records.take(BATCH_RECORDS).collect();
        if batch.is_empty() {
            return Ok(sent);
        }
        let put = stack
            .cloud
            .admin()
            .put_records(&stack.names.transactions_stream, &batch)
            .await;
        sent += put.map_err(words)?.len() as u64;
    }
}

/// Sends live records evenly until it is over; answers how many.
async fn steadily(
    stack: &Stack,
    records: &mut (impl Iterator<Item = PutRecord> + Send),
    is_over: &(dyn Fn(i64) -> bool + Sync),
) -> Result<u64, String> {
    let (began_ms, mut sent) = (now_ms(), 0);
    while !is_over(began_ms) {
        let due = u64::try_from(now_ms() - began_ms).unwrap_or_default() * LIVE_PER_SECOND / 1_000;
        let late = usize::try_from(due.saturating_sub(sent))
            .unwrap_or(BATCH_RECORDS)
            .min(BATCH_RECORDS);
        sent += send(stack, &mut records.take(late)).await?;
        pause(TICK_MS).await;
    }
    Ok(sent)
}

/// Runs the command against the local AWS; what it printed.
async fn command(stack: &Stack, verb: &str, line: &[String]) -> Result<Value, String> {
    let output = tokio::process::Command::new(beside_this("tidemark")?)
        .args(["--json", verb])
        .args(line)
        .env("AWS_ENDPOINT_URL", stack.cloud.endpoint())
        .env("AWS_ENDPOINT_URL_DYNAMODB", stack.cloud.dynamodb_endpoint())
        .env("AWS_REGION", stack.cloud.region())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(words)?;
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if !output.status.success() {
        return Err(format!("tidemark {verb}: {}\n{said}\n{errors}", output.status));
    }
    serde_json::from_str(&said).map_err(words)
}

/// When live events arrived, and how long their outcomes took, ms.
struct Latencies(Vec<(i64, i64)>);

impl Latencies {
    /// Of the events that arrived since then, each by its first record.
    async fn read(stack: &Stack, since_ms: i64) -> Result<Self, String> {
        let admin = stack.cloud.admin();
        let range = StreamRange {
            since_ms: Some(since_ms),
            ..StreamRange::default()
        };
        let mut arrived: HashMap<EventKey, i64> = HashMap::new();
        let take = |_: &_, record: ShardRecord| {
            if let Some(key) = event_of(&record.data) {
                arrived.entry(key).or_insert(record.arrival_ms);
            }
            Ok(())
        };
        walk(admin, &stack.names.transactions_stream, &range, take)
            .await
            .map_err(words)?;
        let mut took = Vec::with_capacity(arrived.len());
        let take = |_: &_, record: ShardRecord| {
            if let Some(at_ms) = event_of(&record.data).and_then(|key| arrived.remove(&key)) {
                took.push((at_ms, record.arrival_ms - at_ms));
            }
            Ok(())
        };
        walk(admin, &stack.names.scores_stream, &range, take)
            .await
            .map_err(words)?;
        Ok(Self(took))
    }

    fn of(&self, arrival_ms: Range<i64>) -> Result<Percentiles, String> {
        let of_time = self.0.iter().filter(|(at_ms, _)| arrival_ms.contains(at_ms));
        let took_ms: Vec<i64> = of_time.map(|(_, took_ms)| *took_ms).collect();
        if took_ms.is_empty() {
            return Err("no live event was scored meanwhile".to_owned());
        }
        Ok(Percentiles::of(took_ms))
    }
}

/// Which event a transaction or an outcome is of.
fn event_of(payload: &[u8]) -> Option<EventKey> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    EventKey::new(
        text("card_id")?,
        text("event_id")?,
        value.get("occurred_at_ms")?.as_i64()?,
    )
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
