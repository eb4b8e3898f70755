//! `tidemark send`: events from a file or stdin to a Kinesis stream, each card's in their order, many in a call.

pub mod args;
mod courier;
mod pack;
mod turns;

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};
use terminal::clock::{now_ms, pause};
use terminal::error::{CliError, Exit};
use terminal::input::EventFile;
use terminal::lines::{Lines, LinesError, Unread};
use terminal::ui;
use tidemark_aws::admin::Admin;
use tokio::sync::mpsc::{self, Receiver, Sender};

use args::SendArgs;
use courier::Courier;

/// Kinesis's limit of a record, its partition key included, bytes. Longer lines are not even read.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;
/// Characters of a partition key (Kinesis's limit).
const KEY_CHARS_MAX: usize = 256;
/// Lines that are read ahead of those that wait to be sent.
const LINES_AHEAD_MAX: usize = 1_000;
/// Sorts of events that are counted apart.
pub(crate) const SORTS: usize = 2;
/// Refused lines that a report names; a terminal shows the first [`REFUSED_SHOWN_MAX`].
const REFUSED_NAMED_MAX: usize = 10_000;
const REFUSED_SHOWN_MAX: usize = 20;
/// Waits shorter than this are not worth it: the next line waits with it, ms.
const PAUSE_MS_MIN: u64 = 5;
/// The code of a line that no record can hold.
pub(crate) const TOO_LARGE: &str = "too_large";

#[derive(Deserialize)]
struct HasCard {
    card_id: String,
}

/// The card of an event, as far as one can be read and be a partition key.
fn card_of(payload: &[u8]) -> Option<String> {
    let card = serde_json::from_slice::<HasCard>(payload).ok()?.card_id;
    (!card.is_empty() && card.chars().count() <= KEY_CHARS_MAX).then_some(card)
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Refused {
    /// Its number, from 1 on; blank lines are counted.
    pub(crate) line: u64,
    /// `too_large`, the code by which Kinesis refused it, or that by which the verb did.
    pub(crate) code: String,
    /// What is wrong with it, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// What has become of the lines so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Events that Kinesis has taken.
    pub(crate) sent: u64,
    /// The same by their sorts.
    pub(crate) sent_by_sort: [u64; SORTS],
    /// Records that they were in.
    pub(crate) records: u64,
    /// Their bytes, without keys.
    pub(crate) bytes: u64,
    /// Lines that were left out: all of them by number, by code, and the first of them by name.
    pub(crate) refused_total: u64,
    pub(crate) refused_by_code: BTreeMap<String, u64>,
    pub(crate) refused: Vec<Refused>,
}

impl Tally {
    pub(crate) fn refuse(&mut self, line: u64, code: &str, why: Option<String>) {
        self.refused_total += 1;
        *self.refused_by_code.entry(code.to_owned()).or_default() += 1;
        if self.refused.len() < REFUSED_NAMED_MAX {
            let code = code.to_owned();
            self.refused.push(Refused { line, code, why });
        }
    }

    /// Says which lines were left out, and by which codes, on stderr.
    pub(crate) fn note_refused(&self) {
        for Refused { line, code, why } in self.refused.iter().take(REFUSED_SHOWN_MAX) {
            let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            ui::note(&format!("line {line} was left out: {code}{why}"));
        }
        let more = self.refused_total.saturating_sub(REFUSED_SHOWN_MAX as u64);
        if more > 0 {
            ui::note(&format!("… and {} more: --json names them", ui::grouped(more)));
        }
    }

    /// `; 3 lines were left out`, or nothing.
    pub(crate) fn left_out(&self) -> String {
        match self.refused_total {
            0 => String::new(),
            1 => "; 1 line was left out".to_owned(),
            lines => format!("; {} lines were left out", ui::grouped(lines)),
        }
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        if self.refused_total == 0 {
            Exit::Ok
        } else {
            Exit::Failed
        }
    }
}

/// A line that was read.
pub(crate) enum Read {
    Event {
        line: u64,
        data: Vec<u8>,
        /// Which of the [`SORTS`] it is.
        sort: usize,
    },
    Refused(Refused),
}

impl Read {
    /// A line without a text.
    pub(crate) fn unread(line: u64, unread: Unread) -> Self {
        let (code, why) = (unread.code.to_owned(), Some(unread.why));
        Self::Refused(Refused { line, code, why })
    }
}

/// What a verb reads its lines into.
pub(crate) type ReadSender = Sender<Result<Read, LinesError>>;

/// Takes what a thread of its own reads to a stream, each card's events in their order: the one way in of every verb that sends.
///
/// # Errors
/// When the input can't be read or the stream takes nothing.
pub(crate) async fn carry(
    admin: &Admin,
    stream: &str,
    (aggregate, rate): (bool, Option<u64>),
    read: impl FnOnce(&ReadSender) + Send + 'static,
    json: bool,
) -> Result<Tally, CliError> {
    let (sender, lines) = mpsc::channel(LINES_AHEAD_MAX);
    // A thread that nobody waits for: stdin may keep it for as long as somebody types.
    std::thread::spawn(move || read(&sender));
    let bar = ui::step(&format!("sending to {stream}"), json);
    let courier = Courier::new(admin, stream, aggregate, |sent| {
        bar.set_message(format!("sending to {stream}: {} events", ui::grouped(sent)));
    });
    let tally = match rate {
        None => courier.run(lines).await,
        Some(rate) => {
            let (paced, lines_in_time) = mpsc::channel(LINES_AHEAD_MAX);
            let (tally, ()) = tokio::join!(courier.run(lines_in_time), pace(lines, paced, rate));
            tally
        }
    };
    bar.finish_and_clear();
    let mut tally = tally?;
    tally.refused.sort_unstable();
    Ok(tally)
}

/// Hands lines on, so many a second at most.
async fn pace(mut lines: Receiver<Result<Read, LinesError>>, paced: ReadSender, rate: u64) {
    let (started_ms, mut count) = (now_ms(), 0_u64);
    while let Some(line) = lines.recv().await {
        count += 1;
        let due_ms = i64::try_from(count.saturating_mul(1_000) / rate.max(1)).unwrap_or(i64::MAX);
        if let Ok(wait_ms @ PAUSE_MS_MIN..) = u64::try_from(due_ms - (now_ms() - started_ms)) {
            pause(wait_ms).await;
        }
        if paced.send(line).await.is_err() {
            return;
        }
    }
}

/// Sends everything that can be sent; what Kinesis did not take is tried again. Lines that can't be taken are named and left out,
/// and make the command end with [`Exit::Failed`].
///
/// # Errors
/// When the input can't be read or the stream takes nothing.
pub async fn run(admin: &Admin, args: &SendArgs, json: bool) -> Result<Exit, CliError> {
    let stream = args.to.stream();
    let file = EventFile::new(&args.input, args.map.as_deref())?;
    let lines = open(&file, RECORD_BYTES_MAX)?;
    let tally = carry(
        admin,
        &stream,
        (args.to.aggregate, None),
        |sender| read_all(lines, sender),
        json,
    )
    .await?;
    file.note_rows(false);
    report(&tally, &stream, json);
    Ok(tally.exit())
}

fn report(tally: &Tally, stream: &str, json: bool) {
    if json {
        let value = serde_json::json!({
            "stream": stream, "sent": tally.sent, "records": tally.records, "bytes": tally.bytes,
            "refused_total": tally.refused_total, "refused": tally.refused,
        });
        ui::out(&format!("{value}\n"));
        return;
    }
    tally.note_refused();
    ui::out(&format!(
        "{} events ({} records, {} bytes) sent to {stream}{}\n",
        ui::grouped(tally.sent),
        ui::grouped(tally.records),
        ui::grouped(tally.bytes),
        tally.left_out(),
    ));
}

/// The events of a file, at most so many bytes each.
///
/// # Errors
/// When the file can't be opened, or its map is not of it.
pub(crate) fn open(file: &EventFile, bytes_max: usize) -> Result<Lines<Box<dyn BufRead + Send>>, CliError> {
    let (input, _) = file.open().map_err(|e| unopened(file, &e))?;
    file.events(input, bytes_max).map_err(|error| error.into_cli(""))
}

/// A file that can't be opened.
pub(crate) fn unopened(file: &EventFile, error: &std::io::Error) -> CliError {
    let what = format!("{}: {error}", file.path().display());
    CliError::input(
        "input_file",
        what,
        "Name a readable file of JSON lines, or - for stdin.",
    )
}

/// Reads until the end, an error, or nobody listens.
fn read_all(mut lines: Lines<impl BufRead>, sender: &ReadSender) {
    loop {
        let read = match lines.next() {
            Ok(None) => return,
            Ok(Some((line, Ok(data)))) => {
                let data = data.to_vec();
                Ok(Read::Event { line, data, sort: 0 })
            }
            Ok(Some((line, Err(unread)))) => Ok(Read::unread(line, unread)),
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if sender.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_card() {
        assert_eq!(card_of(br#"{"card_id":"card-1","x":2}"#).as_deref(), Some("card-1"));
        assert_eq!(card_of(b"not json"), None);
        assert_eq!(card_of(br#"{"card_id":""}"#), None);
        let long = format!(r#"{{"card_id":"{}"}}"#, "x".repeat(257));
        assert_eq!(card_of(long.as_bytes()), None, "no partition key");
    }

    #[test]
    fn lines_are_read_with_their_numbers_and_one_over_the_limit_is_told() {
        let mut text = b"\n{\"a\":1}\n".to_vec();
        text.extend(vec![b'x'; RECORD_BYTES_MAX + 5]);
        text.extend(b"\nlast");
        let (sender, mut lines) = mpsc::channel(10);
        read_all(Lines::new(text.as_slice(), RECORD_BYTES_MAX), &sender);
        drop(sender);
        let mut seen = Vec::new();
        while let Ok(line) = lines.try_recv() {
            seen.push(match line.unwrap() {
                Read::Event { line, data, .. } => (line, data.len()),
                Read::Refused(Refused { line, .. }) => (line, 0),
            });
        }
        assert_eq!(seen, [(2, 7), (3, 0), (4, 4)]);
    }
}
