//! The show in words: what happens while it happens, and what came out.

use super::show::{DeadLetters, ShowReport};
use crate::ui::{self, grouped, paint};

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
pub(super) fn dead_letters_wait(waiting: DeadLetters) -> String {
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
pub(super) fn render(report: &ShowReport) -> String {
    let mut text = String::new();
    let injected = &report.injected;
    text += &format!("\n{}\n", paint(ui::HEADING, "What went wrong"));
    for (kind, words) in KINDS {
        let count = injected.by_kind.get(kind).copied().unwrap_or_default();
        if count > 0 {
            text += &row(count, words);
        }
    }
    text += &row(injected.kills, "times the function's process was killed");
    text += &row(
        injected.invocations_failed,
        "batches that died with it, or failed as a whole",
    );
    text += &row(
        injected.producer_resent,
        "records that the producer sent again after a lost answer",
    );

    text += &format!("\n{}\n", paint(ui::HEADING, "Dead letters"));
    text += &row(report.dead_letters.messages, "messages waited in the queue");
    text += &row(report.dead_letters.records, "records of theirs had no end");
    let oldest_ms = report.dead_letters.oldest_ms.unwrap_or_default();
    text += &row(
        u64::try_from(oldest_ms).unwrap_or_default(),
        "ms was the oldest message old",
    );
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
    text + &report.report.render()
}

fn row(count: u64, words: &str) -> String {
    format!("  {:>8}  {words}\n", grouped(count))
}
