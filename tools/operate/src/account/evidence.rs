//! Reading back everything durable: streams, queues, table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use reconcile::{Broken, QuarantineNote, StoredCard, supply};
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, Item, ItemValue, QueueMessage, ReadFrom, ShardRecord};
use tidemark_aws::item;
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::causes;

use crate::account::queue::QueueContent;
use crate::account::{Accepted, Evidence, dropped, message, objects, queue};

/// Records asked for in one read.
const PAGE_RECORDS: u32 = 10_000;
/// Pages of one shard at most: a stream of ten million records.
const PAGES_MAX: u32 = 100_000;
/// Empty pages in a row after which a shard that says it has no more is believed.
const EMPTY_PAGES_MAX: u32 = 3;
/// Pages of the table at most.
const SCAN_PAGES_MAX: u32 = 100_000;

/// An error of reading back.
pub fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> CliError {
    move |e| {
        CliError::service(
            "read_back",
            format!("{what}: {e}"),
            "Check endpoint, region and credentials; for a local AWS, the logs in its data directory. Then run it again.",
        )
    }
}

/// Which records of a stream are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRange {
    /// Only this shard.
    pub shard_id: Option<String>,
    /// Only records that arrived then or later, ms since 1970-01-01T00:00:00Z.
    pub since_ms: Option<i64>,
    /// Only records that arrived before, ms since 1970-01-01T00:00:00Z.
    pub until_ms: Option<i64>,
}

/// Reads a stream, shard by shard, each shard in order, and gives every record of the range to `take`.
///
/// # Errors
/// When the stream can't be read, and what `take` says.
pub async fn walk(
    admin: &Admin,
    stream: &str,
    range: &StreamRange,
    mut take: impl FnMut(&Arc<str>, ShardRecord) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for shard in admin.list_shards(stream).await.map_err(failed("listing shards"))? {
        if range.shard_id.as_ref().is_some_and(|only| *only != shard.id) {
            continue;
        }
        let from = range.since_ms.map_or(ReadFrom::Oldest, ReadFrom::Time);
        let first = admin.iterator(stream, &shard.id, &from).await;
        let mut next = Some(first.map_err(failed("reading a shard"))?);
        let shard_id: Arc<str> = shard.id.as_str().into();
        let mut empty = 0;
        for _ in 0..PAGES_MAX {
            let Some(iterator) = next else { break };
            let page = admin.records(&iterator, PAGE_RECORDS).await;
            let page = page.map_err(failed("reading a shard"))?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            let mut done = page.behind_ms == 0 && empty >= EMPTY_PAGES_MAX;
            for record in page.records {
                if range.until_ms.is_some_and(|until_ms| record.arrival_ms >= until_ms) {
                    // Arrival grows along a shard.
                    done = true;
                    break;
                }
                take(&shard_id, record)?;
            }
            next = if done { None } else { page.next };
        }
    }
    Ok(())
}

/// All records of a stream, shard by shard, each shard in order.
///
/// # Errors
/// When the stream can't be read.
pub async fn read_stream(admin: &Admin, stream: &str) -> Result<Vec<Accepted>, CliError> {
    let mut records = Vec::new();
    walk(admin, stream, &StreamRange::default(), |shard_id, record| {
        records.push(accepted(shard_id, record));
        Ok(())
    })
    .await?;
    Ok(records)
}

/// A record with its shard.
#[must_use]
pub fn accepted(shard_id: &Arc<str>, record: ShardRecord) -> Accepted {
    Accepted {
        shard_id: Arc::clone(shard_id),
        sequence_number: record.sequence_number,
        partition_key: record.partition_key,
        arrival_ms: record.arrival_ms,
        payload: record.data,
    }
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct EvidencePlaces<'a> {
    /// What the deployment's names begin with.
    pub prefix: &'a str,
    /// The stream of transactions.
    pub transactions: &'a str,
    /// The scores stream.
    pub scores: &'a str,
    /// The table of cards.
    pub table: &'a str,
    /// URL of the quarantine queue.
    pub quarantine_url: &'a str,
    /// URL of the dead-letter queue.
    pub dead_letter_url: &'a str,
    /// URL of the unrecoverable queue.
    pub unrecoverable_url: &'a str,
}

/// What the queues hold besides evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueRemarks {
    /// Messages that somebody else had received: they could not be read.
    pub hidden_messages: u64,
    /// Further messages that a queue counts and that did not come.
    pub unseen_messages: u64,
    /// Messages that Tidemark did not write.
    pub malformed_messages: u64,
    /// Whether a queue holds more messages than are read.
    pub more_messages: bool,
    /// Messages in the unrecoverable queue.
    pub unrecoverable_messages: u64,
    /// Records that those messages name.
    pub unrecoverable_records: u64,
    /// How much each queue holds, and since when.
    pub depths: QueueBacklogs,
}

/// How much each queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueBacklogs {
    /// Refused payloads.
    pub quarantine: QueueBacklog,
    /// Batches that were given up.
    pub dead_letter: QueueBacklog,
    /// What can't be redriven.
    pub unrecoverable: QueueBacklog,
}

/// How much a queue holds, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueBacklog {
    /// Messages that could be read.
    pub messages: u64,
    /// When the oldest of them was sent, milliseconds since 1970-01-01T00:00:00Z.
    pub oldest_sent_ms: Option<i64>,
}

impl QueueBacklog {
    fn of(messages: &[QueueMessage]) -> Self {
        Self {
            messages: messages.len() as u64,
            oldest_sent_ms: messages.iter().map(|message| message.sent_ms).min(),
        }
    }
}

/// Reads the queues into the evidence; every message stays.
///
/// # Errors
/// When a queue can't be read.
pub async fn read_queues(
    admin: &Admin,
    names: &EvidencePlaces<'_>,
    evidence: &mut Evidence,
) -> Result<QueueRemarks, CliError> {
    let mut remarks = QueueRemarks::default();
    let (refused, letters, lost, kept) = tokio::try_join!(
        Box::pin(queue::read(admin, names.quarantine_url)),
        Box::pin(queue::read(admin, names.dead_letter_url)),
        Box::pin(queue::read(admin, names.unrecoverable_url)),
        Box::pin(objects::read(admin, names.prefix))
    )
    .map_err(failed("reading a queue"))?;
    let mut noted = |content: QueueContent| {
        remarks.hidden_messages += content.hidden;
        remarks.unseen_messages += content.unseen;
        remarks.more_messages |= content.more;
        content.messages
    };
    let (refused, mut letters, lost) = (noted(refused), noted(letters), noted(lost));
    // What waits in the bucket waits as what does in the queue.
    letters.extend(noted(kept));
    take_drops(admin, names.table, evidence).await?;
    remarks.depths.quarantine = QueueBacklog::of(&refused);
    for queued in refused {
        match message::refused(&queued.body) {
            Ok(refused) => evidence.quarantined.take(note(refused)),
            Err(_) => remarks.malformed_messages += 1,
        }
    }
    remarks.depths.dead_letter = QueueBacklog::of(&letters);
    for queued in letters {
        match message::dead_letter(&queued.body, names.transactions) {
            Ok(letter) => evidence.dead.push(letter.range),
            Err(_) => remarks.malformed_messages += 1,
        }
    }
    let mut copies = HashSet::new();
    remarks.depths.unrecoverable = QueueBacklog::of(&lost);
    for queued in lost {
        let moved = message::unrecoverable(&queued.body);
        if !moved.message_id.is_empty() && !copies.insert(moved.message_id) {
            continue;
        }
        remarks.unrecoverable_messages += 1;
        remarks.unrecoverable_records += moved.records;
        evidence
            .unrecoverable
            .extend(moved.range.map(|range| (range, moved.reason)));
    }
    Ok(remarks)
}

/// Records that an operator took out of the quarantine ended there all the same: the table says which.
async fn take_drops(admin: &Admin, table: &str, evidence: &mut Evidence) -> Result<(), CliError> {
    let drops = dropped::read(admin, table).await.map_err(failed("reading the table"))?;
    for record in drops.into_iter().flat_map(|drop| drop.records) {
        evidence.quarantined.take(QuarantineNote {
            shard_id: record.name.shard_id,
            sequence_number: record.name.sequence_number,
            sub_sequence_number: record.name.sub_sequence_number,
            partition_key: record.name.partition_key,
            record_partition_key: record.name.record_partition_key,
            code: record.code,
            // Whole: every message of it was dropped.
            part: 1,
            parts: 1,
        });
    }
    Ok(())
}

fn note(refused: message::RefusedMessage) -> QuarantineNote {
    QuarantineNote {
        shard_id: refused.shard_id,
        sequence_number: refused.sequence_number,
        sub_sequence_number: refused.sub_sequence_number,
        partition_key: refused.partition_key,
        record_partition_key: refused.record_partition_key,
        code: refused.code,
        part: refused.part,
        parts: refused.parts,
    }
}

/// Hands over every item of the table.
///
/// # Errors
/// When the table can't be read to its end, or what `take` says.
pub async fn each_item(
    admin: &Admin,
    table: &str,
    mut take: impl FnMut(&Item) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut start: Option<Item> = None;
    for _ in 0..SCAN_PAGES_MAX {
        let page = admin.scan(table, start.as_ref()).await;
        let page = page.map_err(failed("reading the table"))?;
        page.items.iter().try_for_each(&mut take)?;
        start = page.next;
        if start.is_none() {
            return Ok(());
        }
    }
    let what = format!("it has more than {SCAN_PAGES_MAX} pages");
    Err(failed("reading the table")(what))
}

/// All states of the table; what else it shows goes into the evidence.
///
/// # Errors
/// When the table can't be read, or holds what it should not.
pub async fn read_table(
    admin: &Admin,
    table: &str,
    evidence: &mut Evidence,
) -> Result<HashMap<String, History>, CliError> {
    let mut states: HashMap<CardId, History> = HashMap::new();
    let mut segments: HashMap<CardId, Segments> = HashMap::new();
    each_item(admin, table, |item| {
        let Some((card, facts_of)) = read_item(item)? else {
            return Ok(());
        };
        let facts = evidence.cards.entry(card.clone()).or_default();
        match facts_of {
            CardItem::State(bytes) => _ = states.insert(card.clone(), decode(&card, &bytes)?),
            CardItem::Segment(key, bytes) => {
                segments.entry(card).or_default().insert(key, bytes);
            }
            CardItem::Profile(version) => facts.profile_version = Some(version),
            CardItem::Decision(_) => {}
        }
        Ok(())
    })
    .await?;
    for (card, state) in &mut states {
        let supplied = supply(state, &segments.remove(card).unwrap_or_default());
        supplied.map_err(|error| not_ours(error.of_card(card)))?;
        evidence.cards.entry(card.clone()).or_default().take_state(state);
    }
    let by_name = |(card, state): (CardId, History)| (card.as_str().to_owned(), state);
    Ok(states.into_iter().map(by_name).collect())
}

fn decode(card: &CardId, bytes: &[u8]) -> Result<History, CliError> {
    History::decode(bytes).map_err(|e| broken(&format!("can't read back the state of card {card}: {e}")))
}

/// A card's sealed segments, as they are stored.
pub type Segments = HashMap<SegmentKey, Vec<u8>>;

/// What an item of a card is.
pub enum CardItem {
    /// Its encoded state.
    State(Vec<u8>),
    /// A sealed segment of its history.
    Segment(SegmentKey, Vec<u8>),
    /// Its profile, by version.
    Profile(u64),
    /// The recorded decision on an event: the outcome, which says of which.
    Decision(Vec<u8>),
}

/// Reads an item: its card, and what it is; `None` for one that is no card's, or of another kind.
///
/// # Errors
/// When it can't be read.
pub fn read_item(item: &Item) -> Result<Option<(CardId, CardItem)>, CliError> {
    let (Some(ItemValue::Text(pk)), Some(ItemValue::Text(sk))) =
        (item.get(item::PARTITION_KEY), item.get(item::SORT_KEY))
    else {
        return Ok(None);
    };
    let Some(card) = pk.strip_prefix("c#").and_then(CardId::new) else {
        return Ok(None);
    };
    let found = match (
        sk.as_str(),
        item.get(item::BYTES),
        item.get(item::VERSION),
        item.get(item::OUTCOME),
    ) {
        (item::STATE, Some(ItemValue::Binary(bytes)), ..) => CardItem::State(bytes.clone()),
        (sk, Some(ItemValue::Binary(bytes)), ..) if sk.starts_with(item::SEGMENT_PREFIX) => {
            let key = u64::from_str_radix(&sk[item::SEGMENT_PREFIX.len()..], 16);
            let key =
                key.map_err(|_| broken(&format!("can't read back the key of a sealed segment of card {card}")))?;
            CardItem::Segment(SegmentKey(key), bytes.clone())
        }
        (item::PROFILE, _, Some(ItemValue::Number(version)), _) => {
            let version = version.parse();
            CardItem::Profile(
                version.map_err(|_| broken(&format!("can't read back the profile version of card {card}")))?,
            )
        }
        (sk, _, _, Some(ItemValue::Text(outcome))) if item::is_decision(sk) => {
            CardItem::Decision(outcome.clone().into_bytes())
        }
        _ => return Ok(None),
    };
    Ok(Some((card, found)))
}

/// A card's items, put together.
///
/// # Errors
/// When one can't be read.
pub fn stored_card(items: &[Item]) -> Result<StoredCard, CliError> {
    let mut stored = StoredCard::default();
    for item in items {
        match read_item(item)?.map(|(_, found)| found) {
            Some(CardItem::State(bytes)) => stored.state = Some(bytes),
            Some(CardItem::Segment(key, bytes)) => _ = stored.segments.insert(key, bytes),
            Some(CardItem::Profile(version)) => stored.profile_version = Some(version),
            Some(CardItem::Decision(outcome)) => stored.decisions.push(outcome),
            None => {}
        }
    }
    Ok(stored)
}

/// Something that was read back was not written by Tidemark.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
pub fn not_ours(what: Broken) -> CliError {
    broken(&causes(&what))
}

fn broken(what: &str) -> CliError {
    CliError::service(
        "broken_evidence",
        what,
        "Something else writes to this stream or table, or this is a bug in tidemark: see the code's page.",
    )
}
