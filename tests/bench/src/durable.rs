//! `durable [EVENTS CARDS [--jsonl FILE | --profile DIR]]`: what the score function's processes take on the processor for a stream through the
//! local AWS, with every state in its table. The local AWS itself runs in this process and is not counted.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lab::simulate::{Expect, SimConfig, generate};
use rehearse::player::Player;
use rehearse::stack::StackOptions;
use serde::Serialize;
use terminal::clock::now_ms;
use tidemark_aws::admin::PutRecord;
use tidemark_domain::policy::Policy;
use tidemark_telemetry::Metric;

use crate::redrive::beside_this;

/// Events, unless another number is asked for.
pub const EVENTS: u32 = 1_020_000;
/// Cards, unless another number is asked for.
pub const CARDS: u32 = 10_000;
const SHARDS: u16 = 2;
const SEED: u64 = 1;
/// The kernel tells times of processes in these parts of a second (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// The place of `cutime` behind the command's name in `/proc/self/stat`; `cstime` follows.
const CHILDREN_TIMES_AT: usize = 13;

/// What was measured. Field names are stable: scripts read them.
#[derive(Debug, Serialize)]
struct Measured {
    /// Records: transactions, profiles and labels.
    events: u32,
    transactions: u64,
    cards: u32,
    shards: u16,
    /// Outcomes that came back, each event's once.
    outcomes: u64,
    /// On the processor, of the functions' processes alone, s.
    function_cpu_s: f64,
    /// Per event, µs.
    function_cpu_us_per_event: f64,
    /// Events for each write of a card.
    events_per_write: f64,
    write_units_per_event: f64,
    read_units_per_event: f64,
    wall_s: f64,
}

/// What else is to be had of a run.
#[derive(Clone, Copy)]
pub enum Also<'a> {
    Nothing,
    /// What is sent is written there, too, for others to count.
    Jsonl(&'a Path),
    /// The functions run by callgrind, and each process's profile is put into this folder. Times say nothing then.
    Profile(&'a Path),
}

/// Measures.
///
/// # Errors
/// When something fails, or an outcome is missing.
pub fn run(events: u32, cards: u32, also: Also<'_>) -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("tidemark-durable-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = runtime.map_err(words)?.block_on(measure(events, cards, also, &folder));
    // What was written is of no use to anybody else.
    let _ = std::fs::remove_dir_all(&folder);
    let measured = measured?;
    if measured.outcomes != measured.transactions {
        return Err(format!(
            "{} outcomes of {} transactions",
            measured.outcomes, measured.transactions
        ));
    }
    Ok(serde_json::to_string(&measured).map_err(words)? + "\n")
}

#[allow(clippy::disallowed_methods, reason = "a measurement")]
async fn measure(events: u32, cards: u32, also: Also<'_>, folder: &Path) -> Result<Measured, String> {
    let config = SimConfig::new(SEED, events, cards, now_ms(), &Policy::default_policy()).clean();
    let mut transactions = 0;
    let records: Vec<PutRecord> = generate(&config)
        .map(|record| {
            transactions += u64::from(matches!(record.expect, Expect::Transaction { .. }));
            PutRecord {
                partition_key: record.partition_key,
                data: record.payload,
            }
        })
        .collect();
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut score = beside_this("score")?;
    match also {
        Also::Nothing => {}
        Also::Jsonl(path) => write(path, &records).map_err(|error| told(path, error))?,
        Also::Profile(into) => score = by_callgrind(&score, folder, into).map_err(|error| told(into, error))?,
    }
    let mut options = StackOptions::new(folder, SHARDS, Some(&score), true);
    // Processor time is measured, not how long a shard takes.
    options.aws_limits = false;
    let (before_s, began) = (children_cpu_s()?, Instant::now());
    let mut player = Box::pin(Player::start(options)).await.map_err(words)?;
    let played = Box::pin(async {
        player.play(records.into_iter()).await?;
        player.rest().await?;
        if let Also::Profile(_) = also {
            dump();
        }
        let wall_s = began.elapsed().as_secs_f64();
        player.played().await.map(|played| (played, wall_s))
    });
    let played = played.await;
    // The processes' times are told once they have ended.
    player.stop().await;
    let (played, wall_s) = played.map_err(words)?;
    let function_cpu_s = children_cpu_s()? - before_s;
    let signal = |metric| played.signals.sum(metric);
    Ok(Measured {
        events,
        transactions,
        cards,
        shards: SHARDS,
        outcomes: played.outcomes.len() as u64 - played.conflicting,
        function_cpu_s,
        function_cpu_us_per_event: function_cpu_s * 1e6 / f64::from(events),
        events_per_write: f64::from(events) / signal(Metric::Commits).max(1.0),
        write_units_per_event: signal(Metric::WriteUnits) / f64::from(events),
        read_units_per_event: signal(Metric::ReadUnits) / f64::from(events),
        wall_s,
    })
}

/// A program that runs this one by callgrind, whose profiles lie in a folder of their own.
fn by_callgrind(score: &Path, folder: &Path, into: &Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    if into.exists() {
        std::fs::remove_dir_all(into)?;
    }
    std::fs::create_dir_all(into)?;
    let (program, into) = (folder.join("score"), std::path::absolute(into)?);
    let script = format!(
        "#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file='{}/process.%p' '{}'\n",
        into.display(),
        score.display()
    );
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// Asks each process for what it counted: one that is killed would not write it. Without the tool the folder stays empty, which whoever reads
/// it tells.
fn dump() {
    let _ = Command::new("callgrind_control").arg("--dump").output();
}

fn write(path: &Path, records: &[PutRecord]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for record in records {
        file.write_all(&record.data)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// What the processes that this one started, and that have ended, took on the processor, s.
fn children_cpu_s() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/self/stat").map_err(words)?;
    let (_, fields) = text.rsplit_once(')').ok_or("/proc/self/stat is not as it should be")?;
    let ticks = fields.split_whitespace().skip(CHILDREN_TIMES_AT).take(2);
    let ticks: Result<Vec<f64>, _> = ticks.map(str::parse::<f64>).collect();
    Ok(ticks.map_err(words)?.iter().sum::<f64>() / TICKS_PER_SECOND)
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
