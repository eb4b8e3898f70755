//! What a redrive came to, for a person.

use terminal::ui::{self, grouped, paint, shown};
use terminal::when;
use tidemark_redrive::{Source, Stopped};

use super::RedriveReport;
use super::parallel::PartsBy;

/// Problems that are shown; `--json` has more.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// The report as text.
pub(super) fn render(report: &RedriveReport) -> String {
    let mut text = String::new();
    let from = match report.source {
        Source::DeadLetter => "from the dead-letter queue",
        Source::Quarantine => "from the quarantine",
        Source::Range => "of a range of the stream",
    };
    let name = if report.dry_run { "Redrive, dry run" } else { "Redrive" };
    text += &format!("\n{}  {from}\n", paint(ui::HEADING, name));
    if let Some(parts) = &report.parts {
        let by = match parts.by {
            PartsBy::StateMachine => "the state machine",
            PartsBy::Command => "this command",
        };
        let (chains, parallel) = (parts.chains, parts.parallel);
        let line = format!("in {chains} parts, up to {parallel} side by side, by {by}");
        text += &format!("  {}\n", paint(ui::DIM, line));
    }
    account(&mut text, report);
    problems(&mut text, report);
    conclusion(&mut text, report);
    text
}

fn row(name: &str, count: u64, remark: &str) -> String {
    format!("  {name:<18}{:>12}  {}\n", grouped(count), paint(ui::DIM, remark))
}

fn account(text: &mut String, report: &RedriveReport) {
    let account = &report.account;
    if report.source != Source::Range {
        *text += &row("messages", account.messages, "looked at");
    }
    *text += &row("expected", account.expected, "records that were spoken of");
    *text += &row("found", account.found, "records that were read");
    *text += &row("  scored", account.scored, "transactions that count now");
    *text += &row(
        "  already done",
        account.already_done,
        "counted before; nothing changed",
    );
    *text += &row("  applied", account.applied, "profiles and labels that took effect now");
    *text += &row("  quarantined", account.quarantined, "refused, and in the quarantine");
    *text += &row(
        "  returned",
        account.returned,
        "without an end: their message stays where it is",
    );
    // What is seldom is shown only where it is.
    let seldom = [
        (
            "beyond count",
            account.filtered_out,
            "in the range, but not counted by its message",
        ),
        ("trimmed", account.trimmed, "past the stream's retention: lost"),
        ("missing", account.missing, "not in the range that their message names"),
        (
            "lost messages",
            account.unrecoverable_messages,
            "moved to the unrecoverable queue",
        ),
        (
            "rejected",
            account.rejected_messages,
            "messages of another kind, moved there too",
        ),
    ];
    for (name, count, remark) in seldom.into_iter().filter(|(_, count, _)| *count > 0) {
        *text += &row(name, count, remark);
    }
}

fn problems(text: &mut String, report: &RedriveReport) {
    if report.problems.is_empty() {
        return;
    }
    *text += "\n";
    for problem in report.problems.iter().take(PROBLEMS_SHOWN_MAX) {
        let message = problem.message_id.as_ref();
        let message = message.map_or_else(String::new, |id| format!(" (message {})", shown(id)));
        *text += &format!(
            "{} {} {}{message}\n",
            paint(ui::WARN, "!"),
            shown(&problem.code),
            shown(&problem.detail)
        );
    }
    let more = report.problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) as u64 + report.problems_more;
    if more > 0 {
        *text += &format!("  and {} more\n", grouped(more));
    }
}

fn conclusion(text: &mut String, report: &RedriveReport) {
    let took = when::span(report.elapsed_ms);
    let account = &report.account;
    *text += "\n";
    if report.complete {
        let done = match (report.dry_run, report.stopped, account.found) {
            (true, ..) => "Nothing was changed".to_owned(),
            (false, _, 0) => "Nothing waits".to_owned(),
            (false, Stopped::RecordsMax, found) => {
                format!("{} records have their end; there may be more", grouped(found))
            }
            (false, _, found) => format!("All {} records have their end", grouped(found)),
        };
        *text += &paint(ui::GOOD, format!("✓ {done} ({took})."));
        *text += "\n";
        return;
    }
    let lost = account.trimmed + account.missing;
    if lost > 0 {
        *text += &format!(
            "{} {} records are lost: they were past retention or never there\n",
            paint(ui::BAD, "✗"),
            grouped(lost)
        );
    }
    if account.unrecoverable_messages + account.rejected_messages > 0 {
        let moved = account.unrecoverable_messages + account.rejected_messages;
        *text += &format!(
            "{} {} messages are in the unrecoverable queue now, whole\n",
            paint(ui::BAD, "✗"),
            grouped(moved)
        );
    }
    if account.returned > 0 {
        let returned = grouped(account.returned);
        *text += &format!(
            "{} {returned} records have no end yet: run it again\n",
            paint(ui::BAD, "✗")
        );
    }
    for slice in report.parts.iter().flat_map(|parts| &parts.unfinished) {
        let shard = shown(&slice.shard_id);
        let slice = format!(
            "{shard}: a slice is not done, and those behind it wait: tidemark redrive --source range --shard {shard} --since {} --until {}",
            slice.since_ms, slice.until_ms
        );
        *text += &format!("{} {slice}\n", paint(ui::BAD, "✗"));
    }
    let why = match report.stopped {
        Stopped::Done | Stopped::RecordsMax => "",
        Stopped::Deadline => "it ended before it was done: run it again",
        Stopped::Throttled => "the stream throttled it: run it again later, or with a lower --rate",
        Stopped::Error => "a service failed, or records have no end yet: see the problems above, then run it again",
    };
    if !why.is_empty() {
        *text += &format!("{} {why}\n", paint(ui::BAD, "✗"));
    }
    *text += &paint(ui::DIM, format!("  {took}, {} calls\n", report.calls));
}
