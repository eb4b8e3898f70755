//! `tidemark dlq`: what waits in the queues, how old it is, and how long until it is gone. Everything stays where it is.

pub mod args;
mod view;

use std::collections::BTreeMap;

use serde::Serialize;
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::ui;
use tidemark_aws::admin::{Admin, QueueMessage};
use tidemark_domain::lifetime::RECORD_MS_MAX;

use crate::account::evidence::failed;
use crate::account::message::{self, DeadLetter};
use crate::account::objects;
use crate::account::queue::{self, QueueContent};
use crate::dlq::args::DlqArgs;
use crate::places::Places;

const HOUR_MS: i64 = 3_600_000;

/// What waits. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DlqReport {
    /// The stream that the records are in.
    pub stream: String,
    /// How long it keeps a record, in hours.
    pub retention_h: u32,
    /// Batches that the mapping gave up.
    pub dead_letter: DeadLetters,
    /// Refused records.
    pub quarantine: Refusals,
    /// Messages that no redrive can use.
    pub unrecoverable: Unrecoverables,
    /// In a word what to look at first: `LOST`, `DEAD LETTERS`, `QUARANTINE`, `NOT ALL SEEN` or `EMPTY`.
    pub verdict: &'static str,
    /// Whether every message was seen that nobody else has in hand; `false`: the numbers are lower bounds.
    pub complete: bool,
}

/// Batches that the mapping gave up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeadLetters {
    /// Messages and objects, malformed ones included.
    pub messages: u64,
    /// Of these, objects of the bucket, which have their payload.
    pub objects: u64,
    /// Records that they name.
    pub records: u64,
    /// Of these, records that the stream no longer holds, or not all of them.
    pub past_retention_records: u64,
    /// Messages that somebody else has received: not listed.
    pub hidden_messages: u64,
    /// Further messages that the queue counts and that did not come: not listed.
    pub unseen_messages: u64,
    /// Whether there are more messages than are read.
    pub more_messages: bool,
    /// By shard and condition, the most urgent first.
    pub rows: Vec<DeadLetterRow>,
    /// Messages that no redrive can use, by error code.
    pub malformed: BTreeMap<String, u64>,
}

/// Batches of one shard, given up for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetterRow {
    /// The shard.
    pub shard_id: String,
    /// Why the mapping gave them up.
    pub condition: String,
    /// How many messages.
    pub messages: u64,
    /// How many records they name.
    pub records: u64,
    /// When the stream took the oldest record, ms since 1970-01-01T00:00:00Z.
    pub oldest_ms: i64,
    /// How long ago that was, in milliseconds.
    pub age_ms: i64,
    /// How long until the stream's or the queue's retention takes the first of them, in milliseconds; negative: since when. What is in
    /// the bucket has as long as a record may be judged.
    pub gone_in_ms: i64,
}

/// Refused records.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Refusals {
    /// How many messages; a large record has several.
    pub messages: u64,
    /// How many records.
    pub records: u64,
    /// Messages that somebody else has received: not listed.
    pub hidden_messages: u64,
    /// Further messages that the queue counts and that did not come: not listed.
    pub unseen_messages: u64,
    /// Whether there are more messages than are read.
    pub more_messages: bool,
    /// By reason, the most frequent first.
    pub rows: Vec<RefusalRow>,
    /// Messages that are none of ours, by error code.
    pub malformed: BTreeMap<String, u64>,
}

/// Records that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalRow {
    /// The reason's code.
    pub code: String,
    /// How many records were refused for it.
    pub records: u64,
    /// How long the oldest has been in the queue, in milliseconds.
    pub age_ms: i64,
    /// How long until the queue's retention takes the oldest, in milliseconds.
    pub gone_in_ms: i64,
}

/// Messages that no redrive can use.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Unrecoverables {
    /// How many messages.
    pub messages: u64,
    /// How many records they name.
    pub records: u64,
    /// Messages that somebody else has received: not listed.
    pub hidden_messages: u64,
    /// Further messages that the queue counts and that did not come: not listed.
    pub unseen_messages: u64,
    /// Whether there are more messages than are read.
    pub more_messages: bool,
    /// By reason: messages.
    pub reasons: BTreeMap<String, u64>,
}

/// Reads the queues and shows what waits.
///
/// # Errors
/// When a stream or queue is not there or can't be read.
pub async fn run(admin: &Admin, args: &DlqArgs, json: bool) -> Result<Exit, CliError> {
    let places = args.places.resolve(admin).await?;
    let bar = ui::step("reading the queues", json);
    let report = Box::pin(report(admin, &places, now_ms())).await?;
    bar.finish_and_clear();
    ui::out(&ui::json_or(json, &report, view::render)?);
    let waits = args.check && !report.dead_letter.is_empty();
    // A list that may lack something says so by its code, whatever was asked for.
    Ok(if waits || !report.complete {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

impl DeadLetters {
    /// Whether nothing waits: neither to be seen nor in somebody's hands.
    fn is_empty(&self) -> bool {
        self.messages == 0 && self.hidden_messages == 0
    }
}

async fn report(admin: &Admin, places: &Places, now_ms: i64) -> Result<DlqReport, CliError> {
    let reading = || failed("reading a queue");
    let read = |url| queue::read(admin, url);
    let (dead, refused, lost, kept_objects) = tokio::try_join!(
        read(&places.dead_letter_url),
        read(&places.quarantine_url),
        read(&places.unrecoverable_url),
        objects::read(admin, &places.prefix)
    )
    .map_err(reading())?;
    let dead_kept_s = admin
        .queue_retention_s(&places.dead_letter_url)
        .await
        .map_err(reading())?;
    let refused_kept_s = admin
        .queue_retention_s(&places.quarantine_url)
        .await
        .map_err(reading())?;
    let kept = Kept {
        now_ms,
        stream_ms: i64::from(places.retention_h) * HOUR_MS,
        queue_ms: i64::from(dead_kept_s) * 1_000,
    };
    let kept_refused = Kept {
        queue_ms: i64::from(refused_kept_s) * 1_000,
        ..kept
    };
    let report = DlqReport {
        stream: places.stream.clone(),
        retention_h: places.retention_h,
        dead_letter: dead_letters(&dead, &kept_objects, &places.stream, kept),
        quarantine: refusals(&refused, kept_refused),
        unrecoverable: unrecoverables(&lost),
        verdict: "",
        complete: ![&dead, &refused, &lost, &kept_objects]
            .into_iter()
            .any(QueueContent::is_partial),
    };
    Ok(DlqReport {
        verdict: report.verdict(),
        ..report
    })
}

impl DlqReport {
    /// What a person has to look at first.
    fn verdict(&self) -> &'static str {
        let lost = self.unrecoverable.messages + self.dead_letter.past_retention_records;
        match () {
            () if lost > 0 => "LOST",
            () if !self.dead_letter.is_empty() => "DEAD LETTERS",
            () if self.quarantine.messages + self.quarantine.hidden_messages > 0 => "QUARANTINE",
            () if !self.complete || self.unrecoverable.hidden_messages > 0 => "NOT ALL SEEN",
            () => "EMPTY",
        }
    }
}

/// The time, and how long stream and queue keep what they hold, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Kept {
    now_ms: i64,
    stream_ms: i64,
    queue_ms: i64,
}

fn dead_letters(content: &QueueContent, bucket: &QueueContent, stream: &str, kept: Kept) -> DeadLetters {
    let objects = bucket.messages.len() as u64;
    let mut found = DeadLetters {
        messages: content.messages.len() as u64 + objects,
        objects,
        hidden_messages: content.hidden,
        unseen_messages: content.unseen,
        more_messages: content.more || bucket.more,
        ..DeadLetters::default()
    };
    let mut rows: BTreeMap<(String, String), DeadLetterRow> = BTreeMap::new();
    let of_queue = content.messages.iter().map(|queued| (queued, false));
    let of_bucket = bucket.messages.iter().map(|object| (object, true));
    for (queued, has_payload) in of_queue.chain(of_bucket) {
        let letter = match message::dead_letter(&queued.body, stream) {
            Ok(letter) => letter,
            Err(malformed) => {
                *found.malformed.entry(malformed.code().to_owned()).or_default() += 1;
                continue;
            }
        };
        found.records += letter.records;
        let row = dead_letter_row(letter, queued, has_payload, kept);
        if row.age_ms >= kept.stream_ms && !has_payload {
            found.past_retention_records += row.records;
        }
        rows.entry((row.shard_id.clone(), row.condition.clone()))
            .and_modify(|all| {
                all.messages += 1;
                all.records += row.records;
                all.oldest_ms = all.oldest_ms.min(row.oldest_ms);
                all.age_ms = all.age_ms.max(row.age_ms);
                all.gone_in_ms = all.gone_in_ms.min(row.gone_in_ms);
            })
            .or_insert(row);
    }
    found.rows = rows.into_values().collect();
    found.rows.sort_by_key(|row| row.gone_in_ms);
    found
}

/// The row of one message. Without an arrival time in it, its records are taken to be as old as the message.
fn dead_letter_row(letter: DeadLetter, queued: &QueueMessage, has_payload: bool, kept: Kept) -> DeadLetterRow {
    let oldest_ms = letter.first_arrival_ms.unwrap_or(queued.sent_ms);
    let gone_ms = if has_payload {
        oldest_ms + RECORD_MS_MAX
    } else {
        (oldest_ms + kept.stream_ms).min(queued.sent_ms + kept.queue_ms)
    };
    DeadLetterRow {
        shard_id: letter.range.shard_id,
        condition: letter.condition,
        messages: 1,
        records: letter.records,
        oldest_ms,
        age_ms: kept.now_ms - oldest_ms,
        gone_in_ms: gone_ms - kept.now_ms,
    }
}

fn refusals(content: &QueueContent, kept: Kept) -> Refusals {
    let mut found = Refusals {
        messages: content.messages.len() as u64,
        hidden_messages: content.hidden,
        unseen_messages: content.unseen,
        more_messages: content.more,
        ..Refusals::default()
    };
    let mut rows: BTreeMap<String, RefusalRow> = BTreeMap::new();
    for queued in &content.messages {
        let refused = match message::refused(&queued.body) {
            Ok(refused) => refused,
            Err(malformed) => {
                *found.malformed.entry(malformed.code().to_owned()).or_default() += 1;
                continue;
            }
        };
        let records = u64::from(refused.first_part);
        found.records += records;
        let (age_ms, gone_in_ms) = (
            kept.now_ms - queued.sent_ms,
            queued.sent_ms + kept.queue_ms - kept.now_ms,
        );
        let row = rows.entry(refused.code.clone()).or_insert(RefusalRow {
            code: refused.code,
            records: 0,
            age_ms,
            gone_in_ms,
        });
        row.records += records;
        row.age_ms = row.age_ms.max(age_ms);
        row.gone_in_ms = row.gone_in_ms.min(gone_in_ms);
    }
    found.rows = rows.into_values().collect();
    found.rows.sort_by_key(|row| std::cmp::Reverse(row.records));
    found
}

fn unrecoverables(content: &QueueContent) -> Unrecoverables {
    let mut found = Unrecoverables {
        hidden_messages: content.hidden,
        unseen_messages: content.unseen,
        more_messages: content.more,
        ..Unrecoverables::default()
    };
    for queued in &content.messages {
        let moved = message::unrecoverable(&queued.body);
        found.messages += 1;
        found.records += moved.records;
        *found.reasons.entry(moved.reason).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests;
