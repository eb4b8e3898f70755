//! `tidemark label`: labels from a file to the stream, in bulk: checked before they are sent, each card's in their order, beside the
//! transactions and not in their place.
//!
//! The stream is the same that transactions come by, and so is the courier ([`crate::send`]). Sending a file again changes nothing: a card
//! that knows a label says so, and a key's history is a set.

pub mod args;
mod read;

use std::sync::{Arc, Mutex, PoisonError};

use terminal::clock::now_ms;
use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::{files, ui};
use tidemark_aws::admin::Admin;
use tidemark_domain::event::Verdict;
use tokio::sync::mpsc;

use crate::send::{self, Read, Tally};
use args::LabelArgs;
use read::{Input, Judge, LabelFileError, sort_of};

/// Labels that are sent to one shard in a second, unless `--rate` says otherwise: half of what a shard takes.
const SHARD_LABELS_PER_SECOND: u64 = 500;
/// Labels that are read ahead of those that are counted.
const LINES_AHEAD_MAX: usize = 1_000;

/// Sends the labels of a file; lines that are none are named and left out, and make the command end with [`Exit::Failed`].
///
/// # Errors
/// When the file can't be read or is no file of labels, or the stream takes nothing.
pub async fn run(admin: &Admin, args: &LabelArgs, json: bool) -> Result<Exit, CliError> {
    let stream = args.to.stream();
    let file = EventFile::new(&args.file, args.map.as_deref())?;
    let judge = Judge {
        now_ms: now_ms(),
        bounds: files::policy(args.policy.as_deref())?.bounds,
    };
    let failed: Arc<Mutex<Option<LabelFileError>>> = Arc::default();
    let told = Arc::clone(&failed);
    let input = Input::open(&file, judge)?;
    let read = move |sender: &send::ReadSender| {
        if let Err(error) = judge.read_all(input, sender) {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    };
    let tally = if args.dry_run {
        count(read).await
    } else {
        let rate = match args.rate {
            Some(rate) => rate,
            None => usual_rate(admin, &stream).await?,
        };
        send::carry(admin, &stream, (args.to.aggregate, Some(rate)), read, json).await?
    };
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(error) = failed {
        return Err(unreadable(error, tally.sent));
    }
    report(&tally, args, &stream, json);
    Ok(tally.exit())
}

/// As many labels a second as leave the stream's shards half of what they take.
async fn usual_rate(admin: &Admin, stream: &str) -> Result<u64, CliError> {
    let shards = admin.list_shards(stream).await.map_err(|e| {
        let what = format!("stream {stream}: {e}");
        CliError::service(
            "look_up",
            what,
            "Check the stream's name, AWS_ENDPOINT_URL and credentials.",
        )
    })?;
    let open = shards.iter().filter(|shard| !shard.closed).count().max(1);
    Ok(SHARD_LABELS_PER_SECOND.saturating_mul(open as u64))
}

/// Counts what would be sent.
async fn count(read: impl FnOnce(&send::ReadSender) + Send + 'static) -> Tally {
    let (sender, mut lines) = mpsc::channel(LINES_AHEAD_MAX);
    std::thread::spawn(move || read(&sender));
    let mut tally = Tally::default();
    while let Some(Ok(line)) = lines.recv().await {
        match line {
            Read::Refused(refused) => tally.refuse(refused.line, &refused.code, refused.why),
            Read::Event { data, sort, .. } => {
                tally.sent += 1;
                tally.bytes += data.len() as u64;
                if let Some(count) = tally.sent_by_sort.get_mut(sort) {
                    *count += 1;
                }
            }
        }
    }
    tally
}

fn unreadable(error: LabelFileError, sent: u64) -> CliError {
    let so_far = format!("; {sent} labels before it were sent, and sending them again is safe");
    match error {
        LabelFileError::Lines(error) => error.into_cli(if sent == 0 { "" } else { &so_far }),
        LabelFileError::Columns(what) => CliError::input(
            "label_columns",
            what,
            "A table of labels has the columns event_id, card_id, verdict, known_since_ms, and may have occurred_at_ms, merchant_id, device_id.",
        ),
    }
}

fn report(tally: &Tally, args: &LabelArgs, stream: &str, json: bool) {
    let of = |verdict: Verdict| tally.sent_by_sort.get(sort_of(verdict)).copied().unwrap_or_default();
    let (fraud, cleared) = (of(Verdict::Fraud), of(Verdict::Cleared));
    if json {
        let value = serde_json::json!({
            "stream": stream, "dry_run": args.dry_run, "sent": if args.dry_run { 0 } else { tally.sent }, "labels": tally.sent,
            "fraud": fraud, "cleared": cleared, "records": tally.records, "bytes": tally.bytes,
            "refused_total": tally.refused_total, "refused_by_code": tally.refused_by_code, "refused": tally.refused,
        });
        ui::out(&format!("{value}\n"));
        return;
    }
    tally.note_refused();
    let done = if args.dry_run {
        format!("would be sent to {stream}")
    } else {
        format!("sent to {stream} in {} records", ui::grouped(tally.records))
    };
    let codes: Vec<String> = tally
        .refused_by_code
        .iter()
        .map(|(code, count)| format!("{} {code}", ui::grouped(*count)))
        .collect();
    let codes = if codes.is_empty() {
        String::new()
    } else {
        format!(" ({})", codes.join(", "))
    };
    ui::out(&format!(
        "{} labels {done}: {} fraud, {} cleared{}{codes}\n",
        ui::grouped(tally.sent),
        ui::grouped(fraud),
        ui::grouped(cleared),
        tally.left_out(),
    ));
}
