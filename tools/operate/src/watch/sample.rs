//! Reads what a watcher looks at: the tails of both streams, the queues, a function's log.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tidemark_aws::admin::{Admin, AdminError, ReadFrom, ShardIterator};
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::policy::Policy;

use super::watcher::{LOOK_BACK_MS, Picture, QueueView, SeenRecord, Watcher};
use crate::outcome::SentOutcome;

/// Records asked for in one read of a shard.
const PAGE_RECORDS: u32 = 2_000;
/// Reads of one shard in one look: a watcher that falls behind catches up over several looks, and leaves the shard's five
/// reads a second to the function.
const PAGES_MAX: u32 = 2;
/// How far back from its end a log is begun, bytes: enough for the last minute's metrics.
const LOG_BACK_BYTES: u64 = 1 << 20;
/// A log's new bytes that are read in one look.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// What to watch.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Stream of events in.
    pub transactions: String,
    /// Stream of outcomes out.
    pub scores: String,
    /// Queues by what they are for, and their names.
    pub queues: Vec<(String, String)>,
    /// The score function's log, where it can be read: the units are in it.
    pub log: Option<PathBuf>,
}

impl Targets {
    /// The names as in the template: `<prefix>-transactions` and so on.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        let queue = |kind: &str| (kind.to_owned(), format!("{prefix}-{kind}"));
        Self {
            transactions: format!("{prefix}-transactions"),
            scores: format!("{prefix}-scores"),
            queues: vec![queue("quarantine"), queue("dead-letter"), queue("unrecoverable")],
            log: None,
        }
    }
}

/// Follows the targets; each look adds what came since the one before.
#[derive(Debug)]
pub struct Sampler {
    admin: Admin,
    targets: Targets,
    policy: Policy,
    watcher: Watcher,
    transactions: Tail,
    scores: Tail,
    queue_urls: Vec<Option<String>>,
    log_at: u64,
}

/// The tail of a stream: where to read on in each shard.
#[derive(Debug, Default)]
struct Tail {
    shards: Vec<(String, Option<ShardIterator>)>,
    /// Every shard that was ever read: a finished one is not begun again.
    known: BTreeSet<String>,
}

/// A record as a tail gives it.
struct TailRecord {
    shard_id: String,
    arrival_ms: i64,
    data: Vec<u8>,
}

impl Sampler {
    /// Begins a minute ago in the streams, and near the log's end.
    #[must_use]
    pub fn new(admin: Admin, targets: Targets, policy: Policy) -> Self {
        let log_at = targets
            .log
            .as_deref()
            .map_or(0, log_bytes)
            .saturating_sub(LOG_BACK_BYTES);
        Self {
            admin,
            queue_urls: vec![None; targets.queues.len()],
            targets,
            policy,
            watcher: Watcher::default(),
            transactions: Tail::default(),
            scores: Tail::default(),
            log_at,
        }
    }

    /// Reads what is new, and gives the picture as of `now_ms` (ms since 1970-01-01T00:00:00Z). What can't be read is said
    /// in the picture, and tried again at the next look.
    pub async fn look(&mut self, now_ms: i64) -> Picture {
        let mut problems = Vec::new();
        let from = ReadFrom::Time(now_ms - LOOK_BACK_MS);
        let stream = &self.targets.transactions;
        let (records, failed) = self.transactions.read(&self.admin, stream, &from).await;
        problems.extend(failed.map(|error| format!("stream {stream}: {error}")));
        for (shard, _) in &self.transactions.shards {
            self.watcher.shard(shard);
        }
        for record in &records {
            self.take_record(record);
        }
        let stream = &self.targets.scores;
        let (records, failed) = self.scores.read(&self.admin, stream, &from).await;
        problems.extend(failed.map(|error| format!("stream {stream}: {error}")));
        for record in records {
            if let Ok(outcome) = serde_json::from_slice::<SentOutcome>(&record.data) {
                self.watcher.outcome(record.arrival_ms, outcome);
            }
        }
        if let Some(log) = self.targets.log.clone() {
            self.take_log(&log);
        }
        let queues = self.queues().await;
        let mut picture = self.watcher.picture(now_ms);
        picture.queues = queues;
        picture.problems = problems;
        picture
    }

    fn take_record(&mut self, record: &TailRecord) {
        // What the contract refuses, profiles and labels get no outcome: nothing is waited for.
        let decoded = contract::decode(&record.data, record.arrival_ms, &self.policy.bounds);
        let event = match &decoded {
            Ok(decoded) => match &decoded.event {
                Event::Transaction(tx) => Some(tx.key()),
                _ => None,
            },
            Err(_) => None,
        };
        self.watcher.record(&SeenRecord {
            shard_id: &record.shard_id,
            event,
            arrival_ms: record.arrival_ms,
        });
    }

    fn take_log(&mut self, log: &Path) {
        let Ok(text) = read_log(log, self.log_at) else { return };
        // A line that is still being written is read the next time.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        self.log_at += whole as u64;
        for line in text[..whole].lines() {
            let json = line.find('{').and_then(|at| line.get(at..)).unwrap_or_default();
            if let Ok(units) = serde_json::from_str::<UnitsLine>(json) {
                self.watcher.units(units.aws.timestamp, units.write, units.read);
            }
        }
    }

    async fn queues(&mut self) -> Vec<QueueView> {
        let mut views = Vec::with_capacity(self.targets.queues.len());
        for (at, (kind, name)) in self.targets.queues.iter().enumerate() {
            if self.queue_urls[at].is_none() {
                self.queue_urls[at] = self.admin.queue_url(name).await.ok();
            }
            let depth = match &self.queue_urls[at] {
                Some(url) => self.admin.queue_depth(url).await.ok(),
                None => None,
            };
            views.push(QueueView {
                name: kind.clone(),
                messages: depth.map(|depth| depth.visible + depth.in_flight),
            });
        }
        views
    }
}

impl Tail {
    /// What came since the last look, and what kept it from being all. What was read is never read again: a shard that failed goes
    /// on with the next look where it was.
    async fn read(&mut self, admin: &Admin, stream: &str, from: &ReadFrom) -> (Vec<TailRecord>, Option<AdminError>) {
        let mut read = Vec::new();
        let mut failed = None;
        if self.shards.is_empty()
            && let Err(error) = self.find(admin, stream, from).await
        {
            return (read, Some(error));
        }
        for (shard_id, place) in &mut self.shards {
            if let Err(error) = read_shard(admin, shard_id, place, &mut read).await {
                failed = Some(error);
            }
        }
        // A closed shard's end: its children are found with the next look.
        if self.shards.iter().any(|(_, iterator)| iterator.is_none())
            && let Err(error) = self.find_children(admin, stream).await
        {
            failed = Some(error);
        }
        (read, failed)
    }

    async fn find(&mut self, admin: &Admin, stream: &str, from: &ReadFrom) -> Result<(), AdminError> {
        let mut shards = Vec::new();
        for shard in admin.list_shards(stream).await? {
            let iterator = admin.iterator(stream, &shard.id, from).await?;
            shards.push((shard.id, Some(iterator)));
        }
        self.known.extend(shards.iter().map(|(shard_id, _)| shard_id.clone()));
        self.shards = shards;
        Ok(())
    }

    /// After a reshard: what is finished goes, what is new is read from its beginning.
    async fn find_children(&mut self, admin: &Admin, stream: &str) -> Result<(), AdminError> {
        for shard in admin.list_shards(stream).await? {
            if !self.known.contains(&shard.id) {
                let iterator = admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await?;
                self.known.insert(shard.id.clone());
                self.shards.push((shard.id, Some(iterator)));
            }
        }
        // Last: with a finished one still there, the next look tries again what failed in this one.
        self.shards.retain(|(_, iterator)| iterator.is_some());
        self.shards.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(())
    }
}

/// Reads on in a shard, a few pages at most.
async fn read_shard(
    admin: &Admin,
    shard_id: &str,
    place: &mut Option<ShardIterator>,
    read: &mut Vec<TailRecord>,
) -> Result<(), AdminError> {
    for _ in 0..PAGES_MAX {
        let Some(iterator) = place.as_ref() else { break };
        let page = admin.records(iterator, PAGE_RECORDS).await?;
        let done = page.records.is_empty();
        read.extend(page.records.into_iter().map(|record| TailRecord {
            shard_id: shard_id.to_owned(),
            arrival_ms: record.arrival_ms,
            data: record.data,
        }));
        *place = page.next;
        if done {
            break;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct UnitsLine {
    #[serde(rename = "_aws")]
    aws: AwsPart,
    #[serde(rename = "WriteUnits")]
    write: f64,
    #[serde(rename = "ReadUnits")]
    read: f64,
}

#[derive(Deserialize)]
struct AwsPart {
    #[serde(rename = "Timestamp")]
    timestamp: i64,
}

fn log_bytes(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |data| data.len())
}

fn read_log(log: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
