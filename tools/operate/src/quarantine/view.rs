//! The quarantine for a person. Whatever comes out of a payload is a stranger's text: it reaches the terminal as characters only.

use std::fmt::Write as _;

use terminal::ui::{self, grouped, paint, shown};
use terminal::when;

use super::record::RefusedRecord;
use super::{Listing, RecordGroup};
use crate::account::dropped::Drop;

/// Bytes of a payload that are shown; an export has them all.
const PAYLOAD_BYTES_SHOWN_MAX: usize = 8 * 1024;
/// Characters of a stranger's word in a column.
const WORD_CHARS_MAX: usize = 40;
/// Bytes of one line of a payload that is no text.
const HEX_BYTES: usize = 16;

/// A number of records in words.
pub(super) fn counted(records: u64) -> String {
    let plural = if records == 1 { "" } else { "s" };
    format!("{} record{plural}", grouped(records))
}

/// What waits.
pub(super) fn listing(listing: &Listing) -> String {
    let mut text = match listing.records {
        0 => "nothing waits\n".to_owned(),
        records => format!("{} in quarantine\n", paint(ui::HEADING, counted(records))),
    };
    for (name, rows) in [
        ("by reason", &listing.reasons),
        ("by partition key: who sends it", &listing.keys),
        ("by card, where the payload names one", &listing.cards),
        ("by shard", &listing.shards),
    ] {
        table(&mut text, name, rows, listing);
    }
    if listing.rows_more > 0 {
        let _ = writeln!(
            text,
            "  and {} rows more: --limit shows more",
            grouped(listing.rows_more)
        );
    }
    if listing.masked > 0 {
        let _ = writeln!(
            text,
            "\n{} had card numbers in it, which were masked: no redrive can use them (`drop --masked`)",
            counted(listing.masked)
        );
    }
    if !listing.newest.is_empty() {
        let _ = writeln!(text, "\n{}", paint(ui::HEADING, "newest"));
    }
    for record in &listing.newest {
        let _ = writeln!(
            text,
            "  {}  {:>8} ago  {}  key {}  {}",
            record.id,
            when::span(listing.at_ms - record.sent_ms),
            word(&record.code),
            word(record.name.partition_key.as_deref().unwrap_or("not known")),
            paint(ui::DIM, word(&record.detail)),
        );
    }
    for (code, messages) in &listing.malformed {
        let _ = writeln!(text, "  {} messages of another kind: {code}", grouped(*messages));
    }
    unseen(&mut text, listing);
    text
}

fn table(text: &mut String, name: &str, rows: &[RecordGroup], listing: &Listing) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint(ui::HEADING, name));
    for row in rows {
        let _ = writeln!(
            text,
            "  {:<WORD_CHARS_MAX$} {:>9}  last {} ago, oldest {} ago, gone in {}",
            word(&row.value),
            grouped(row.records),
            when::span(listing.at_ms - row.newest_ms),
            when::span(listing.at_ms - row.oldest_ms),
            when::span(row.oldest_ms + listing.kept_ms - listing.at_ms),
        );
    }
}

fn unseen(text: &mut String, listing: &Listing) {
    for (messages, what) in [
        (listing.hidden_messages, "somebody else has received just now"),
        (
            listing.unseen_messages,
            "the queue counts and did not give: look again in a minute",
        ),
    ] {
        if messages > 0 {
            let line = format!("  {} messages more that {what}", grouped(messages));
            let _ = writeln!(text, "{}", paint(ui::BAD, line));
        }
    }
    if listing.more_messages {
        let _ = writeln!(
            text,
            "  more messages than are read: the numbers above are lower bounds"
        );
    }
}

/// One record.
pub(super) fn record(record: &RefusedRecord, now_ms: i64) -> String {
    let name = &record.name;
    let mut text = format!("{}\n", paint(ui::HEADING, format!("record {}", record.id)));
    let sub = name
        .sub_sequence_number
        .map_or_else(String::new, |sub| format!(" (user record {sub})"));
    let arrived = record.arrival_ms.map_or_else(|| "not known".to_owned(), when::instant);
    for (label, value) in [
        (
            "refused as",
            format!("{}: {}", plain(&record.code), plain(&record.detail)),
        ),
        (
            "partition key",
            plain(name.partition_key.as_deref().unwrap_or("not known")),
        ),
        (
            "card",
            record
                .card_id
                .as_deref()
                .map_or_else(|| "none that can be read".to_owned(), plain),
        ),
        ("shard", plain(&name.shard_id)),
        ("sequence number", format!("{}{sub}", plain(&name.sequence_number))),
        ("arrived", arrived),
        (
            "in quarantine since",
            format!(
                "{} ({} ago)",
                when::instant(record.sent_ms),
                when::span(now_ms - record.sent_ms)
            ),
        ),
    ] {
        let _ = writeln!(text, "  {label:<20} {value}");
    }
    if record.masked {
        let _ = writeln!(text, "  card numbers in it were masked: no redrive can use it");
    }
    if !record.whole {
        let _ = writeln!(text, "  not all of its messages are there");
    }
    let payload = record.payload();
    let shown = &payload[..payload.len().min(PAYLOAD_BYTES_SHOWN_MAX)];
    let _ = writeln!(
        text,
        "\n{}",
        paint(ui::HEADING, format!("payload, {} bytes", grouped(record.payload_bytes)))
    );
    match std::str::from_utf8(shown) {
        Ok(payload) => payload.lines().for_each(|line| {
            let _ = writeln!(text, "  {}", plain(line));
        }),
        // A character that was cut in two at the end is no reason to show the rest as numbers.
        Err(error) if error.error_len().is_none() => {
            let whole = std::str::from_utf8(&shown[..error.valid_up_to()]).unwrap_or_default();
            let _ = writeln!(text, "  {}", plain(whole));
        }
        Err(_) => hex(&mut text, shown),
    }
    if payload.len() > shown.len() {
        let _ = writeln!(
            text,
            "  and more: `tidemark quarantine export FILE --id {}` has it all",
            record.id
        );
    }
    text + "\n"
}

fn hex(text: &mut String, bytes: &[u8]) {
    for (at, line) in bytes.chunks(HEX_BYTES).enumerate() {
        let numbers: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let letters: String = line
            .iter()
            .map(|byte| {
                if (b' '..=b'~').contains(byte) {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(text, "  {:06x}  {numbers:<48} {letters}", at * HEX_BYTES);
    }
}

/// What a drop did.
pub(super) fn gone(dropped: u64, left: u64, complete: bool) -> String {
    let mut text = format!(
        "{} dropped; `tidemark quarantine history` says by whom and why\n",
        counted(dropped)
    );
    if left > 0 {
        text += &paint(
            ui::BAD,
            format!(
                "  {} could not be had, and are still there: run it again\n",
                counted(left)
            ),
        );
    } else if !complete {
        text += &paint(ui::BAD, "  there may be more that could not be seen: run it again\n");
    }
    text
}

/// Who dropped what.
pub(super) fn history(drops: &[Drop]) -> String {
    if drops.is_empty() {
        return "nothing was ever dropped\n".to_owned();
    }
    let mut text = String::new();
    for drop in drops {
        let mut codes: Vec<&str> = drop.records.iter().map(|record| record.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let _ = writeln!(
            text,
            "{}  {}  {} ({})  {}",
            when::instant(drop.at_ms),
            plain(&drop.who),
            counted(drop.records.len() as u64),
            plain(&codes.join(", ")),
            plain(&drop.why),
        );
    }
    text
}

/// A stranger's word for a column: plain, and no longer than it.
fn word(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= WORD_CHARS_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(WORD_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

/// A stranger's text without anything that a terminal would obey.
fn plain(text: &str) -> String {
    shown(text).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let evil = "a\u{1b}[2J\r\n✓ I1\u{202e}z\u{9b}31m\u{7}";
        let shown = plain(evil);
        assert_eq!(shown, "a\\u001b[2J\\r\\n✓ I1\\u202ez\\u009b31m\\u0007");
        assert_eq!(word(&"x".repeat(100)).chars().count(), WORD_CHARS_MAX);
        let mut text = String::new();
        hex(&mut text, b"\x1b[2J\xff");
        assert_eq!(
            text.trim_end(),
            "  000000  1b 5b 32 4a ff                                   .[2J."
        );
    }
}
