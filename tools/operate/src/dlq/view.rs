//! What waits, for a person.

use terminal::ui::{self, grouped, paint, shown};
use terminal::when;

use super::{DeadLetters, DlqReport, Refusals, Unrecoverables};

/// Rows of a table that are shown.
const ROWS_MAX: usize = 40;
/// Below this time to live a row is marked, in milliseconds: a working day's sleep.
const URGENT_MS: i64 = 12 * 3_600_000;

/// The report as text.
pub(super) fn render(report: &DlqReport) -> String {
    let style = match report.verdict {
        "EMPTY" => ui::GOOD,
        "LOST" => ui::BAD,
        _ => ui::WARN,
    };
    let mut text = format!("{}\n", paint(style, report.verdict));
    dead_letters(&mut text, &report.dead_letter, report.retention_h);
    refusals(&mut text, &report.quarantine);
    unrecoverables(&mut text, &report.unrecoverable);
    if report.dead_letter.records > 0 {
        text += &paint(
            ui::DIM,
            "\nNext: `tidemark redrive --dry-run`, then `tidemark redrive`.\n",
        );
    }
    if report.quarantine.messages > 0 {
        text += &paint(ui::DIM, "\nWho sends what is refused: `tidemark quarantine list`.\n");
    }
    text
}

fn heading(text: &mut String, name: &str, what: &str) {
    *text += &format!("\n{}  {what}\n", paint(ui::HEADING, name));
}

fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

fn dead_letters(text: &mut String, found: &DeadLetters, retention_h: u32) {
    let what = match found.messages {
        0 => "nothing waits".to_owned(),
        messages => format!(
            "{} in {}",
            counted(found.records, "record"),
            counted(messages, "message")
        ),
    };
    heading(text, "Dead letters", &what);
    if found.objects > 0 {
        *text += &format!(
            "  {} in the bucket, with the payload\n",
            counted(found.objects, "object")
        );
    }
    if !found.rows.is_empty() {
        let head = format!(
            "  {:<22} {:<24} {:>9} {:>9}  {:<12} {}\n",
            "shard", "given up because", "messages", "records", "oldest", "gone in"
        );
        *text += &paint(ui::DIM, head);
    }
    for row in found.rows.iter().take(ROWS_MAX) {
        let gone = if row.gone_in_ms <= 0 {
            paint(ui::BAD, "past retention")
        } else if row.gone_in_ms < URGENT_MS {
            paint(ui::WARN, when::span(row.gone_in_ms))
        } else {
            when::span(row.gone_in_ms)
        };
        *text += &format!(
            "  {:<22} {:<24} {:>9} {:>9}  {:<12} {gone}\n",
            shown(&row.shard_id),
            shown(&row.condition),
            grouped(row.messages),
            grouped(row.records),
            when::span(row.age_ms),
        );
    }
    more(text, found.rows.len());
    if found.past_retention_records > 0 {
        let lost = format!(
            "  {} are older than the stream's retention of {retention_h} h: a redrive accounts for them as lost\n",
            counted(found.past_retention_records, "record")
        );
        *text += &paint(ui::BAD, lost);
    }
    for (code, messages) in &found.malformed {
        *text += &format!("  {} no redrive can use: {code}\n", counted(*messages, "message"));
    }
    unseen(text, found.hidden_messages, found.unseen_messages, found.more_messages);
}

fn refusals(text: &mut String, found: &Refusals) {
    let what = match found.messages {
        0 => "nothing waits".to_owned(),
        messages => format!(
            "{} in {}",
            counted(found.records, "record"),
            counted(messages, "message")
        ),
    };
    heading(text, "Quarantine", &what);
    for row in found.rows.iter().take(ROWS_MAX) {
        *text += &format!(
            "  {:<24} {:>9}  oldest {}, gone in {}\n",
            shown(&row.code),
            grouped(row.records),
            when::span(row.age_ms),
            when::span(row.gone_in_ms)
        );
    }
    more(text, found.rows.len());
    for (code, messages) in &found.malformed {
        *text += &format!("  {} of another kind: {code}\n", counted(*messages, "message"));
    }
    unseen(text, found.hidden_messages, found.unseen_messages, found.more_messages);
}

fn unrecoverables(text: &mut String, found: &Unrecoverables) {
    let what = match found.messages {
        0 => "nothing".to_owned(),
        messages => format!(
            "{} in {}",
            counted(found.records, "record"),
            counted(messages, "message")
        ),
    };
    heading(text, "Unrecoverable", &what);
    for (reason, messages) in &found.reasons {
        *text += &format!("  {:<24} {:>9}\n", shown(reason), grouped(*messages));
    }
    unseen(text, found.hidden_messages, found.unseen_messages, found.more_messages);
}

fn more(text: &mut String, rows: usize) {
    if rows > ROWS_MAX {
        *text += &format!("  and {} rows more: --json has them all\n", rows - ROWS_MAX);
    }
}

fn unseen(text: &mut String, hidden: u64, unseen: u64, more: bool) {
    if hidden > 0 {
        *text += &format!(
            "  {} not listed: somebody else has received them just now\n",
            counted(hidden, "message")
        );
    }
    if unseen > 0 {
        let line = format!(
            "  {} more that the queue counts did not come: look again in a minute\n",
            counted(unseen, "message")
        );
        *text += &paint(ui::BAD, line);
    }
    if more {
        *text += "  more messages than are read: the numbers above are lower bounds\n";
    }
}
