//! `tidemark send`: events from a file or stdin to a Kinesis stream, in order, batched.

mod pack;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use tidemark_aws::admin::{Admin, PutRecord};

use crate::cli::SendArgs;
use crate::error::{CliError, Exit};
use crate::ui;

use pack::Packer;

/// Records in one batch; Kinesis takes 500 in a call.
const BATCH_RECORDS: usize = 500;
/// The longest line that is read: Kinesis's limit of a record, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Partition key of a line without a card: such lines keep their order among themselves.
const NO_CARD: &str = "no-card";

#[derive(Deserialize)]
struct HasCard {
    card_id: String,
}

/// The partition key of an event: its card, as far as one can be read.
#[must_use]
pub fn partition_key(payload: &[u8]) -> String {
    let card = serde_json::from_slice::<HasCard>(payload)
        .ok()
        .map(|event| event.card_id);
    card.filter(|card| !card.is_empty() && card.chars().count() <= 256)
        .unwrap_or_else(|| NO_CARD.to_owned())
}

/// Sends everything; what Kinesis did not take is tried again.
///
/// # Errors
/// When the input can't be read or the stream does not take it.
pub async fn run(admin: &Admin, args: &SendArgs, json: bool) -> Result<Exit, CliError> {
    let mut input = open(&args.input)?;
    let bar = ui::step(&format!("sending to {}", args.stream), json);
    let (mut read, mut sent, mut records, mut bytes) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut packer = Packer::new(args.aggregate);
    let mut batch: Vec<PutRecord> = Vec::with_capacity(BATCH_RECORDS);
    loop {
        let line = read_line(&mut input, read + 1)?;
        let last = line.is_none();
        match line {
            Some(data) => {
                read += 1;
                batch.extend(packer.push(data));
            }
            None => batch.extend(packer.finish()),
        }
        if batch.len() >= BATCH_RECORDS || (last && !batch.is_empty()) {
            admin.put_records(&args.stream, &batch).await.map_err(|e| {
                CliError::service(
                    "send",
                    format!("stream {}: {e} ({sent} events were sent before)", args.stream),
                    "Check the stream's name, AWS_ENDPOINT_URL and credentials. Sending the whole file again is safe: events count once.",
                )
            })?;
            sent = read - packer.pending();
            records += batch.len() as u64;
            bytes += batch.iter().map(|record| record.data.len() as u64).sum::<u64>();
            bar.set_message(format!("sending to {}: {} events", args.stream, ui::grouped(sent)));
            batch.clear();
        }
        if last {
            break;
        }
    }
    bar.finish_and_clear();
    let text = if json {
        format!(
            "{}\n",
            serde_json::json!({ "stream": args.stream, "sent": sent, "records": records, "bytes": bytes })
        )
    } else {
        format!(
            "{} events ({} records, {} bytes) sent to {}\n",
            ui::grouped(sent),
            ui::grouped(records),
            ui::grouped(bytes),
            args.stream
        )
    };
    ui::out(&text);
    Ok(Exit::Ok)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
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

/// The next line that is not empty, without its end.
fn read_line(input: &mut dyn BufRead, number: u64) -> Result<Option<Vec<u8>>, CliError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut *input, LINE_BYTES_MAX + 1)
            .read_until(b'\n', &mut line)
            .map_err(|e| CliError::input("input_read", e, "Check the file."))?;
        if read == 0 {
            return Ok(None);
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if line.len() as u64 > LINE_BYTES_MAX {
            return Err(CliError::input(
                "line_too_long",
                format!("event {number} is longer than {LINE_BYTES_MAX} bytes, which no Kinesis record may be"),
                "Take that line out; everything before it was sent.",
            ));
        }
        if !line.is_empty() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_card() {
        assert_eq!(partition_key(br#"{"card_id":"card-1","x":2}"#), "card-1");
        assert_eq!(partition_key(b"not json"), NO_CARD);
        assert_eq!(partition_key(br#"{"card_id":""}"#), NO_CARD);
    }

    #[test]
    fn lines_come_without_ends_and_empty_ones_are_left_out() {
        let mut input: &[u8] = b"a\r\n\n\nb";
        assert_eq!(read_line(&mut input, 1).unwrap(), Some(b"a".to_vec()));
        assert_eq!(read_line(&mut input, 2).unwrap(), Some(b"b".to_vec()));
        assert_eq!(read_line(&mut input, 3).unwrap(), None);
    }

    #[test]
    fn a_line_beyond_the_limit_is_an_error() {
        let long = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap() + 5];
        let error = read_line(&mut long.as_slice(), 7).unwrap_err();
        assert_eq!(error.code, "line_too_long");
        assert!(error.what.contains("event 7"));
    }
}
