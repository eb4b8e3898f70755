//! Reading back everything durable: streams, queues, table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;
use tidemark_aws::admin::{Admin, Item, ItemValue, ReadFrom};
use tidemark_domain::card::CardState;

use crate::account::{Accepted, DeadRange, Evidence, OutcomeCopies};
use crate::error::CliError;

/// Records asked for in one read.
const PAGE_RECORDS: u32 = 10_000;
/// Pages of one shard at most: a stream of ten million records.
const PAGES_MAX: u32 = 100_000;
/// Empty pages in a row after which a shard that says it has no more is believed.
const EMPTY_PAGES_MAX: u32 = 3;
/// Messages in one receive.
const MESSAGES: usize = 10;
/// While a queue is read, its messages stay hidden so long, in seconds.
const HIDDEN_S: u32 = 600;
/// Receives without a message after which a queue is read through.
const EMPTY_RECEIVES_MAX: u32 = 2;
/// Receives of one queue at most.
const RECEIVES_MAX: u32 = 1_000_000;
/// Pages of the table at most.
const SCAN_PAGES_MAX: u32 = 100_000;

fn failed(what: &'static str) -> impl Fn(tidemark_aws::admin::AdminError) -> CliError {
    move |e| {
        CliError::service(
            "read_back",
            format!("{what}: {e}"),
            "Look at the logs in the data directory, then run it again.",
        )
    }
}

/// All records of a stream, shard by shard, each shard in order.
///
/// # Errors
/// When the stream can't be read.
pub async fn read_stream(admin: &Admin, stream: &str) -> Result<Vec<Accepted>, CliError> {
    let mut records = Vec::new();
    for shard in admin.list_shards(stream).await.map_err(failed("listing shards"))? {
        let first = admin
            .iterator(stream, &shard.id, &ReadFrom::Oldest)
            .await
            .map_err(failed("reading a shard"))?;
        let mut next = Some(first);
        let mut empty = 0;
        for _ in 0..PAGES_MAX {
            let Some(iterator) = next else { break };
            let page = admin
                .records(&iterator, PAGE_RECORDS)
                .await
                .map_err(failed("reading a shard"))?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            let done = page.behind_ms == 0 && empty >= EMPTY_PAGES_MAX;
            records.extend(page.records.into_iter().map(|record| Accepted {
                shard_id: shard.id.clone(),
                sequence_number: record.sequence_number,
                arrival_ms: record.arrival_ms,
                payload: record.data,
            }));
            next = if done { None } else { page.next };
        }
    }
    Ok(records)
}

/// Everything that shows where records ended.
///
/// # Errors
/// When something can't be read, or holds what it should not.
pub async fn gather(admin: &Admin, names: &Names<'_>) -> Result<Evidence, CliError> {
    let mut evidence = Evidence {
        outcomes: outcomes(admin, names.scores).await?,
        ..Evidence::default()
    };
    for body in read_queue(admin, names.quarantine_url).await? {
        let message: Value = parse("a quarantine message", body.as_bytes())?;
        evidence
            .quarantined
            .insert(text(&message, "sequence_number"), text(&message, "code"));
    }
    for body in read_queue(admin, names.dead_letter_url).await? {
        let message: Value = parse("a dead-letter message", body.as_bytes())?;
        let range = &message["KinesisBatchInfo"];
        evidence.dead.push(DeadRange {
            shard_id: text(range, "shardId"),
            start: text(range, "startSequenceNumber"),
            end: text(range, "endSequenceNumber"),
        });
    }
    read_table(admin, names.table, &mut evidence).await?;
    Ok(evidence)
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The scores stream.
    pub scores: &'a str,
    /// The table of cards.
    pub table: &'a str,
    /// URL of the quarantine queue.
    pub quarantine_url: &'a str,
    /// URL of the dead-letter queue.
    pub dead_letter_url: &'a str,
}

async fn outcomes(admin: &Admin, stream: &str) -> Result<HashMap<String, OutcomeCopies>, CliError> {
    let mut outcomes: HashMap<String, OutcomeCopies> = HashMap::new();
    for record in read_stream(admin, stream).await? {
        let outcome: Value = parse("an outcome", &record.payload)?;
        match outcomes.entry(text(&outcome, "event_id")) {
            Entry::Vacant(place) => {
                place.insert(OutcomeCopies {
                    bytes: record.payload,
                    arrival_ms: record.arrival_ms,
                    copies: 1,
                    identical: true,
                });
            }
            Entry::Occupied(mut first) => {
                let first = first.get_mut();
                first.copies += 1;
                first.identical &= first.bytes == record.payload;
                first.arrival_ms = first.arrival_ms.min(record.arrival_ms);
            }
        }
    }
    Ok(outcomes)
}

/// All messages of a queue; they stay in it, and are visible again afterwards.
async fn read_queue(admin: &Admin, url: &str) -> Result<Vec<String>, CliError> {
    let (mut bodies, mut receipts) = (Vec::new(), Vec::new());
    let mut empty = 0;
    for _ in 0..RECEIVES_MAX {
        let messages = admin
            .receive(url, MESSAGES, 0, HIDDEN_S)
            .await
            .map_err(failed("reading a queue"))?;
        empty = if messages.is_empty() { empty + 1 } else { 0 };
        if empty >= EMPTY_RECEIVES_MAX {
            break;
        }
        for message in messages {
            bodies.push(message.body);
            receipts.push(message.receipt);
        }
    }
    admin
        .release(url, &receipts)
        .await
        .map_err(failed("releasing a queue's messages"))?;
    Ok(bodies)
}

async fn read_table(admin: &Admin, table: &str, evidence: &mut Evidence) -> Result<(), CliError> {
    let mut start: Option<Item> = None;
    for _ in 0..SCAN_PAGES_MAX {
        let page = admin
            .scan(table, start.as_ref())
            .await
            .map_err(failed("reading the table"))?;
        for item in &page.items {
            read_item(item, evidence)?;
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    Ok(())
}

fn read_item(item: &Item, evidence: &mut Evidence) -> Result<(), CliError> {
    let (Some(ItemValue::Text(pk)), Some(ItemValue::Text(sk))) = (item.get("pk"), item.get("sk")) else {
        return Ok(());
    };
    let Some(card) = pk.strip_prefix("c#") else {
        return Ok(());
    };
    match (sk.as_str(), item.get("b"), item.get("v")) {
        ("s", Some(ItemValue::Binary(bytes)), _) => {
            let state = CardState::decode(bytes).map_err(|e| broken(&format!("the state of card {card}: {e}")))?;
            evidence.states.insert(card.to_owned(), state);
        }
        ("p", _, Some(ItemValue::Number(version))) => {
            let version = version
                .parse()
                .map_err(|_| broken(&format!("the profile version of card {card}")))?;
            evidence.profile_versions.insert(card.to_owned(), version);
        }
        _ => {}
    }
    Ok(())
}

fn parse(what: &str, bytes: &[u8]) -> Result<Value, CliError> {
    serde_json::from_slice(bytes).map_err(|e| broken(&format!("{what}: {e}")))
}

fn broken(what: &str) -> CliError {
    CliError::service(
        "broken_evidence",
        format!("can't read back {what}"),
        "This is a bug in tidemark: please report it.",
    )
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
