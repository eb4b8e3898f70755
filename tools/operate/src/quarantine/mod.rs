//! `tidemark quarantine`: what was refused, by whom it was sent, one record whole, records as a file, and records taken out.

pub mod args;
mod drops;
pub mod record;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::operator;
use terminal::ui;
use tidemark_aws::admin::Admin;

use crate::account::dropped::{self, Name};
use crate::account::evidence::failed;
use crate::account::queue::{self, Unseen};
use crate::places::{PlaceArgs, Places};
use args::{FilterArgs, QuarantineCommand};
use record::{Gathered, RefusedRecord};

/// What is in quarantine. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listing {
    /// Records that fit the filter.
    pub records: u64,
    /// Messages of the queue, all of them.
    pub messages: u64,
    /// Messages that are none of ours, by error code.
    pub malformed: BTreeMap<String, u64>,
    /// Records by reason, the most frequent first.
    pub reasons: Vec<RecordGroup>,
    /// Records by partition key, likewise: whoever sends it.
    pub keys: Vec<RecordGroup>,
    /// Records by the card that the payload names, likewise.
    pub cards: Vec<RecordGroup>,
    /// Records by shard, likewise.
    pub shards: Vec<RecordGroup>,
    /// Records whose card numbers were masked: no redrive can use them.
    pub masked: u64,
    /// Partition keys, cards and shards beyond the rows.
    pub rows_more: u64,
    /// The newest records.
    pub newest: Vec<RefusedRecord>,
    /// Messages that somebody else has received.
    pub hidden_messages: u64,
    /// Further messages that the queue counts and that did not come.
    pub unseen_messages: u64,
    /// Whether there are more messages than are read.
    pub more_messages: bool,
    /// When it was looked at, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// How long the queue keeps a message, in milliseconds.
    pub kept_ms: i64,
}

/// Records that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordGroup {
    /// What they have in common.
    pub value: String,
    /// How many.
    pub records: u64,
    /// When the first of them went into the queue, ms since 1970-01-01T00:00:00Z.
    pub oldest_ms: i64,
    /// When the last of them did.
    pub newest_ms: i64,
}

/// Carries out a verb.
///
/// # Errors
/// When the queue or the table can't be used, or no record has such an id.
pub async fn run(
    admin: &Admin,
    command: &QuarantineCommand,
    login: Option<&str>,
    json: bool,
) -> Result<Exit, CliError> {
    match command {
        QuarantineCommand::List { places, filter, limit } => list(admin, places, filter, *limit, json).await,
        QuarantineCommand::Show { id, places } => show(admin, places, id, json).await,
        QuarantineCommand::Export { file, places, filter } => export(admin, places, filter, file, json).await,
        QuarantineCommand::Drop {
            places,
            filter,
            all,
            why,
            who,
            yes,
        } => {
            let who = operator::who(admin, who.as_deref(), login).await;
            let who = who.as_deref().unwrap_or("unknown");
            let order = Order { who, why, yes: *yes };
            discard(admin, places, (filter, *all), order, json).await
        }
        QuarantineCommand::History { places } => history(admin, places, json).await,
    }
}

/// Messages, and those that are none of ours by error code.
type Counts = (u64, BTreeMap<String, u64>);

/// All records that fit; everything stays where it is.
async fn look(
    admin: &Admin,
    places: &Places,
    filter: &FilterArgs,
    keep_payload: bool,
) -> Result<(Vec<RefusedRecord>, Counts, Unseen), CliError> {
    let url = &places.quarantine_url;
    let mut gathered = Gathered::default();
    let mut receipts = Vec::new();
    let seen = queue::receive_all(admin, url, &mut receipts, |message| {
        gathered.take(message);
        true
    });
    let seen = seen.await;
    let released = queue::release(admin, url, &receipts).await;
    let seen = seen.map_err(failed("reading a queue"))?;
    released.map_err(failed("reading a queue"))?;
    let counts = (gathered.messages, std::mem::take(&mut gathered.malformed));
    Ok((gathered.records(filter, keep_payload), counts, seen))
}

async fn list(
    admin: &Admin,
    places: &PlaceArgs,
    filter: &FilterArgs,
    limit: u16,
    json: bool,
) -> Result<Exit, CliError> {
    let places = places.resolve(admin).await?;
    let bar = ui::step("reading the quarantine", json);
    let kept_s = admin.queue_retention_s(&places.quarantine_url).await;
    let kept_ms = 1_000 * i64::from(kept_s.map_err(failed("reading a queue"))?);
    let (records, (messages, malformed), seen) = look(admin, &places, filter, false).await?;
    bar.finish_and_clear();
    let listing = Listing {
        messages,
        malformed,
        hidden_messages: seen.hidden,
        unseen_messages: seen.unseen,
        more_messages: seen.more,
        at_ms: now_ms(),
        kept_ms,
        ..listing(records, usize::from(limit))
    };
    ui::out(&ui::json_or(json, &listing, view::listing)?);
    Ok(if seen.unseen > 0 || seen.more {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

fn listing(mut records: Vec<RefusedRecord>, limit: usize) -> Listing {
    let mut more = 0;
    let mut rows = |of: &dyn Fn(&RefusedRecord) -> Option<&str>| {
        let mut rows: BTreeMap<&str, RecordGroup> = BTreeMap::new();
        for record in &records {
            let Some(value) = of(record) else { continue };
            let row = rows.entry(value).or_insert_with(|| RecordGroup {
                value: value.to_owned(),
                records: 0,
                oldest_ms: record.sent_ms,
                newest_ms: record.sent_ms,
            });
            row.records += 1;
            row.oldest_ms = row.oldest_ms.min(record.sent_ms);
            row.newest_ms = row.newest_ms.max(record.sent_ms);
        }
        let mut rows: Vec<RecordGroup> = rows.into_values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.records));
        more += rows.len().saturating_sub(limit) as u64;
        rows.truncate(limit);
        rows
    };
    let keys = rows(&|record| record.name.partition_key.as_deref());
    let cards = rows(&|record| record.card_id.as_deref());
    let shards = rows(&|record| Some(&record.name.shard_id));
    let reasons = rows(&|record| Some(&record.code));
    let (total, masked) = (
        records.len() as u64,
        records.iter().filter(|record| record.masked).count() as u64,
    );
    records.truncate(limit);
    Listing {
        records: total,
        reasons,
        keys,
        cards,
        shards,
        masked,
        rows_more: more,
        newest: records,
        ..Listing::default()
    }
}

async fn show(admin: &Admin, places: &PlaceArgs, id: &str, json: bool) -> Result<Exit, CliError> {
    let places = places.resolve(admin).await?;
    let filter = FilterArgs {
        id: vec![id.to_owned()],
        ..FilterArgs::default()
    };
    let (records, ..) = look(admin, &places, &filter, true).await?;
    if records.is_empty() {
        return Err(CliError::input(
            "no_such_record",
            format!("there is no record {id:?} in quarantine"),
            "`tidemark quarantine list` names the newest; --limit names more. Records leave by a redrive, a drop, or after 14 days.",
        ));
    }
    if json {
        let documents: Vec<Value> = records.iter().map(document).collect();
        ui::out(&ui::json_or(true, &documents, |_| String::new())?);
    } else {
        for record in &records {
            ui::out(&view::record(record, now_ms()));
        }
    }
    Ok(Exit::Ok)
}

/// A record with its payload: as text where it is text, else in base64.
fn document(record: &RefusedRecord) -> Value {
    let mut document = json!(record);
    match String::from_utf8(record.payload()) {
        Ok(text) => document["payload"] = text.into(),
        Err(error) => document["payload_base64"] = STANDARD.encode(error.as_bytes()).into(),
    }
    document
}

async fn export(
    admin: &Admin,
    places: &PlaceArgs,
    filter: &FilterArgs,
    file: &Path,
    json: bool,
) -> Result<Exit, CliError> {
    let places = places.resolve(admin).await?;
    let bar = ui::step("reading the quarantine", json);
    let (records, _, seen) = look(admin, &places, filter, true).await?;
    bar.finish_and_clear();
    let to_stdout = file == Path::new("-");
    let lines = records.iter().map(|record| document(record).to_string() + "\n");
    if to_stdout {
        lines.for_each(|line| ui::out(&line));
    } else {
        let written = std::fs::File::create(file).and_then(|file| {
            let mut file = std::io::BufWriter::new(file);
            for line in lines {
                file.write_all(line.as_bytes())?;
            }
            file.flush()
        });
        written.map_err(|e| {
            let what = format!("{} can't be written: {e}", file.display());
            CliError::input("output", what, "Check the path and the room on the disk.")
        })?;
    }
    let report = json!({ "records": records.len(), "complete": seen.unseen == 0 && !seen.more });
    let text = ui::json_or(json, &report, |_| {
        format!(
            "{} written to {}\n",
            view::counted(records.len() as u64),
            file.display()
        )
    })?;
    if to_stdout {
        ui::note(text.trim_end());
    } else {
        ui::out(&text);
    }
    Ok(if seen.unseen > 0 || seen.more {
        Exit::Failed
    } else {
        Exit::Ok
    })
}

/// Who wants records gone, and why.
#[derive(Clone, Copy, Debug)]
struct Order<'a> {
    who: &'a str,
    why: &'a str,
    yes: bool,
}

async fn discard(
    admin: &Admin,
    places: &PlaceArgs,
    (filter, all): (&FilterArgs, bool),
    order: Order<'_>,
    json: bool,
) -> Result<Exit, CliError> {
    if filter.is_open() != all {
        return Err(CliError::usage(
            "drop_what",
            "what to drop is not said, or said twice",
            "Name records with --reason, --key, --shard, --masked or --id, or take everything with --all.",
        ));
    }
    if order.why.trim().is_empty() {
        return Err(CliError::usage(
            "drop_what",
            "--why is empty",
            "Say why, for whoever asks later.",
        ));
    }
    let places = places.resolve(admin).await?;
    let (meant, _, seen) = look(admin, &places, filter, false).await?;
    if !meant.is_empty() && !order.yes {
        confirm(&meant)?;
    }
    let names: BTreeSet<_> = meant.iter().map(|record| record.name.clone()).collect();
    let gone = take_out(admin, &places, &names, order).await?;
    let left = names.len() as u64 - gone.min(names.len() as u64);
    let complete = left == 0 && seen.unseen == 0 && !seen.more;
    let report = json!({ "dropped": gone, "left": left, "who": order.who, "why": order.why, "complete": complete });
    let text = ui::json_or(json, &report, |_| view::gone(gone, left, complete))?;
    ui::out(&text);
    Ok(if complete { Exit::Ok } else { Exit::Failed })
}

/// Asks at the terminal.
fn confirm(meant: &[RefusedRecord]) -> Result<(), CliError> {
    let refused = |what: &str| {
        let advice =
            "Nothing was dropped. `tidemark quarantine export FILE` keeps a copy; --yes goes without the question.";
        CliError::refused("not_confirmed", what, advice)
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("nobody is there to be asked"));
    }
    ui::note(&format!(
        "{} will be gone for good. Type yes to drop them.",
        view::counted(meant.len() as u64)
    ));
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    Err(refused("it was not confirmed"))
}

/// Takes exactly these records out: first it is written that they are dropped, then they are deleted.
async fn take_out(admin: &Admin, places: &Places, names: &BTreeSet<Name>, order: Order<'_>) -> Result<u64, CliError> {
    if names.is_empty() {
        return Ok(0);
    }
    let url = &places.quarantine_url;
    let mut gathered = Gathered::default();
    let mut receipts = Vec::new();
    let received = queue::receive_all(admin, url, &mut receipts, |message| {
        gathered.take(message);
        true
    });
    let received = received.await;
    let mut records = gathered.records(&FilterArgs::default(), false);
    records.retain(|record| names.contains(&record.name));
    let dropped = match received {
        Ok(_) => write_and_delete(admin, places, &records, order).await,
        Err(error) => Err(failed("reading a queue")(error)),
    };
    // What was deleted is gone whatever becomes of its receipt; all else is visible again.
    let released = queue::release(admin, url, &receipts).await;
    let dropped = dropped?;
    released.map_err(failed("reading a queue"))?;
    Ok(dropped)
}

async fn write_and_delete(
    admin: &Admin,
    places: &Places,
    records: &[RefusedRecord],
    order: Order<'_>,
) -> Result<u64, CliError> {
    let mut dropped = 0;
    for (item, chunk) in drops::plan(records, order.who, order.why, now_ms()) {
        drops::write(admin, &places.table, &item).await?;
        let receipts: Vec<String> = chunk.iter().flat_map(|record| record.receipts.clone()).collect();
        let deleted = admin.delete_all(&places.quarantine_url, &receipts).await;
        deleted.map_err(failed("deleting from a queue"))?;
        dropped += chunk.len() as u64;
    }
    Ok(dropped)
}

async fn history(admin: &Admin, places: &PlaceArgs, json: bool) -> Result<Exit, CliError> {
    let drops = dropped::read(admin, &places.table()).await;
    let drops = drops.map_err(failed("reading the table"))?;
    ui::out(&ui::json_or(json, &drops, |drops| view::history(drops))?);
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
