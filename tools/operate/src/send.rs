//! `tidemark send`: events from a file or stdin to a Kinesis stream, each card's in their order, many in a call.

pub mod args;
mod courier;
mod pack;
mod turns;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use terminal::error::{CliError, Exit};
use terminal::lines::{Line, Lines, LinesError};
use terminal::ui;
use tidemark_aws::admin::Admin;
use tokio::sync::mpsc;

use args::SendArgs;
use courier::Courier;

/// Kinesis's limit of a record, its partition key included, bytes. Longer lines are not even read.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Characters of a partition key (Kinesis's limit).
const KEY_CHARS_MAX: usize = 256;
/// Lines that are read ahead of those that wait to be sent.
const LINES_AHEAD_MAX: usize = 1_000;
/// Refused lines that a report names; a terminal shows the first [`REFUSED_SHOWN_MAX`].
const REFUSED_NAMED_MAX: usize = 10_000;
const REFUSED_SHOWN_MAX: usize = 20;

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
struct Refused {
    /// Its number, from 1 on; blank lines are counted.
    line: u64,
    /// `too_large`, or the code by which Kinesis refused it.
    code: String,
}

/// What has become of the lines so far.
#[derive(Debug, Default)]
struct Tally {
    /// Events that Kinesis has taken.
    sent: u64,
    /// Records that they were in.
    records: u64,
    /// Their bytes, without keys.
    bytes: u64,
    /// Lines that were left out: all of them by number, and the first of them by name.
    refused_total: u64,
    refused: Vec<Refused>,
}

impl Tally {
    fn refuse(&mut self, line: u64, code: &str) {
        self.refused_total += 1;
        if self.refused.len() < REFUSED_NAMED_MAX {
            let code = code.to_owned();
            self.refused.push(Refused { line, code });
        }
    }
}

/// A line that was read.
enum Read {
    Event { line: u64, data: Vec<u8> },
    TooLarge { line: u64 },
}

/// Sends everything that can be sent; what Kinesis did not take is tried again. Lines that can't be taken are named and left out,
/// and make the command end with [`Exit::Failed`].
///
/// # Errors
/// When the input can't be read or the stream takes nothing.
pub async fn run(admin: &Admin, args: &SendArgs, json: bool) -> Result<Exit, CliError> {
    let stream = args.stream();
    let input = open(&args.input)?;
    let (sender, lines) = mpsc::channel(LINES_AHEAD_MAX);
    // A thread that nobody waits for: stdin may keep it for as long as somebody types.
    std::thread::spawn(move || read_all(input, &sender));
    let bar = ui::step(&format!("sending to {stream}"), json);
    let courier = Courier::new(admin, &stream, args.aggregate, |sent| {
        bar.set_message(format!("sending to {stream}: {} events", ui::grouped(sent)));
    });
    let mut tally = courier.run(lines).await?;
    bar.finish_and_clear();
    tally.refused.sort_unstable();
    report(&tally, &stream, json);
    Ok(if tally.refused_total == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
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
    for Refused { line, code } in tally.refused.iter().take(REFUSED_SHOWN_MAX) {
        ui::note(&format!("line {line} was left out: {code}"));
    }
    let more = tally.refused_total.saturating_sub(REFUSED_SHOWN_MAX as u64);
    if more > 0 {
        ui::note(&format!("… and {} more: --json names them", ui::grouped(more)));
    }
    let left_out = match tally.refused_total {
        0 => String::new(),
        lines => format!("; {} lines were left out", ui::grouped(lines)),
    };
    ui::out(&format!(
        "{} events ({} records, {} bytes) sent to {stream}{left_out}\n",
        ui::grouped(tally.sent),
        ui::grouped(tally.records),
        ui::grouped(tally.bytes),
    ));
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|e| {
        CliError::input(
            "input_file",
            format!("{}: {e}", path.display()),
            "Name a readable file of JSON lines, or - for stdin.",
        )
    })?;
    Ok(Box::new(BufReader::new(file)))
}

/// Reads until the end, an error, or nobody listens.
fn read_all(input: impl BufRead, sender: &mpsc::Sender<Result<Read, LinesError>>) {
    let mut lines = Lines::new(input, RECORD_BYTES_MAX);
    loop {
        let read = match lines.next() {
            Ok(None) => return,
            Ok(Some((line, Line::Whole(data)))) => {
                let data = data.to_vec();
                Ok(Read::Event { line, data })
            }
            Ok(Some((line, Line::TooLong { .. }))) => Ok(Read::TooLarge { line }),
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
        read_all(text.as_slice(), &sender);
        drop(sender);
        let mut seen = Vec::new();
        while let Ok(line) = lines.try_recv() {
            seen.push(match line.unwrap() {
                Read::Event { line, data } => (line, data.len()),
                Read::TooLarge { line } => (line, 0),
            });
        }
        assert_eq!(seen, [(2, 7), (3, 0), (4, 4)]);
    }
}
