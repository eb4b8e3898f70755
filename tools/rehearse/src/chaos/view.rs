//! The show in words: what happens while it happens, and what came out.

use terminal::ui::{self, grouped, paint};

use super::report::{LettersBefore, ShowReport};

/// Told before the first part.
pub(super) const ALL_AT_ONCE: &str = "\
1  Everything goes wrong at once.
   Card transactions are sent, some twice, some late, one in twenty not readable. Meanwhile the table, the streams and the queues answer with
   errors and throttles, too late, in part, or take a call and lose the answer; and the function's process is killed again and again.";
/// Told before the second part.
pub(super) const STORE_GONE: &str = "\
2  The table is gone.
   Nothing can be committed. Batches are tried again, then given up: a message in the dead-letter queue names each one's records.";
/// Told when the table is there again.
pub(super) const STORE_BACK: &str = "\
3  The table is back.
   What comes next is scored as ever. What was given up does not come back by itself.";

/// Told before the redrive.
pub(super) fn dead_letters_wait(waiting: LettersBefore) -> String {
    format!(
        "4  {} messages wait in the dead-letter queue; {} of their records have no end yet.\n   \
         `tidemark redrive` reads their records from the stream again, through the same conditional writes.",
        grouped(waiting.messages),
        grouped(waiting.records)
    )
}

/// How each kind of fault is called.
const KINDS: [(&str, &str); 7] = [
    ("error", "answers \"internal error\""),
    ("throttle", "answers \"slow down\""),
    ("delay", "answers that came late"),
    ("partial", "batches of which a part was refused"),
    ("drop_before", "calls cut off before they took effect"),
    ("drop_after_apply", "calls that took effect and whose answer was lost"),
    ("down", "calls to a table that was gone"),
];

/// The report as text.
pub(super) fn render(report: &ShowReport, full: bool) -> String {
    let mut text = String::new();
    let injected = &report.injected;
    text += &format!("\n{}\n", paint(ui::HEADING, "What went wrong"));
    for (kind, words) in KINDS {
        let count = injected.by_kind.get(kind).copied().unwrap_or_default();
        if count > 0 {
            text += &row(count, words);
        }
    }
    let failed = grouped(injected.invocations_failed);
    let words = format!("kills of the function's process; {failed} batches died so, or failed as a whole");
    text += &row(injected.kills, &words);
    text += &row(
        injected.producer_resent,
        "records that the producer sent again after a lost answer",
    );

    text += &format!("\n{}\n", paint(ui::HEADING, "Dead letters"));
    let (records, oldest_ms) = (report.dead_letters.records, report.dead_letters.oldest_ms);
    let words = format!(
        "messages waited, {} ms at most, for {} records without an end",
        grouped(u64::try_from(oldest_ms.unwrap_or_default()).unwrap_or_default()),
        grouped(records)
    );
    text += &row(report.dead_letters.messages, &words);
    for redrive in &report.redrives {
        let account = &redrive.account;
        text += &row(account.found, "records were read again by the redrive, of which");
        text += &row(account.scored, "  were scored now");
        text += &row(account.already_done, "  had counted before: nothing changed");
        text += &row(account.applied, "  were profiles and labels");
        text += &row(account.quarantined, "  are in quarantine, with a reason");
        if account.returned + account.trimmed > 0 {
            text += &row(account.returned + account.trimmed, "  have no end yet");
        }
    }
    text += &why_numbers_differ(report);
    if full {
        return text + &report.report.render(true);
    }
    text += &report.report.render_short();
    text + &paint(ui::DIM, "  --full shows every signal and reason, --json all of it.\n")
}

/// Numbers of the report that somebody may hold side by side and find different, and why they are.
fn why_numbers_differ(report: &ShowReport) -> String {
    let (injected, dead) = (&report.injected, &report.dead_letters);
    let read: u64 = report.redrives.iter().map(|redrive| redrive.account.found).sum();
    let mut lines = Vec::new();
    if injected.kills != injected.invocations_failed {
        lines.push(format!(
            "{} kills, {} batches: a kill between batches fails none, and while the table was\n  gone batches failed by themselves.",
            grouped(injected.kills),
            grouped(injected.invocations_failed)
        ));
    }
    if read > dead.records {
        lines.push(format!(
            "{} records read again, {} without an end: a message names a range, and\n  {} of its records had counted, or are in a range that was read twice.",
            grouped(read),
            grouped(dead.records),
            grouped(read - dead.records)
        ));
    }
    if injected.producer_resent > 0 {
        lines.push(format!(
            "{} records sent: {} were meant, {} more followed a lost answer.",
            grouped(report.report.sent),
            grouped(report.report.sent.saturating_sub(injected.producer_resent)),
            grouped(injected.producer_resent)
        ));
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "\n{}\n  {}\n",
        paint(ui::HEADING, "Why two numbers differ"),
        lines.join("\n  ")
    )
}

fn row(count: u64, words: &str) -> String {
    format!("  {:>8}  {words}\n", grouped(count))
}
