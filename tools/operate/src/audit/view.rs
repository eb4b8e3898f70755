//! The audit for a person.

use terminal::ui::{self, grouped, paint, shown};
use terminal::when;

use super::{AuditReport, Conclusion};

/// Breaks that are shown; `--json` has more.
const BREAKS_SHOWN_MAX: usize = 20;

/// The report as text.
pub(super) fn render(report: &AuditReport) -> String {
    let mut text = String::new();
    range(&mut text, report);
    account(&mut text, report);
    outcomes(&mut text, report);
    keys(&mut text, report);
    remarks(&mut text, report);
    conclusion(&mut text, report);
    text
}

fn range(text: &mut String, report: &AuditReport) {
    let since = report
        .since_ms
        .map_or_else(|| "its oldest record".to_owned(), when::instant);
    let shard = report
        .shard
        .as_ref()
        .map_or_else(String::new, |shard| format!(", {} only", shown(shard)));
    *text += &format!(
        "\n{}  {} from {since} to {}{shard}\n",
        paint(ui::HEADING, "Audit"),
        shown(&report.stream),
        when::instant(report.until_ms)
    );
}

fn row(name: &str, count: u64, remark: &str) -> String {
    format!("  {name:<18}{:>12}  {}\n", grouped(count), paint(ui::DIM, remark))
}

fn account(text: &mut String, report: &AuditReport) {
    let account = &report.found.account;
    *text += &format!("\n{}\n", paint(ui::HEADING, "I1: every record has an end"));
    *text += &row("accepted", account.accepted, "by the transactions stream");
    *text += &row(
        "  scored",
        account.scored,
        "the first record of a transaction, with its outcome",
    );
    if account.by_history > 0 {
        *text += &row(
            "    by history",
            account.by_history,
            "of these: outcome withheld, or no longer kept",
        );
    }
    *text += &row("  duplicate", account.duplicate, "a further record of the same event");
    *text += &row("  applied", account.applied, "profiles and labels in the table");
    if account.no_longer_shown > 0 {
        let why = "labels and withheld events that their cards no longer keep: nothing shows them";
        *text += &row("  no longer shown", account.no_longer_shown, why);
    }
    *text += &row("  quarantined", account.quarantined_total(), "whole, with a reason");
    reasons(text, &account.quarantined);
    *text += &row("  dead-lettered", account.dead_lettered, "can be redriven");
    *text += &row(
        "  unrecoverable",
        account.unrecoverable_total(),
        "lost, for a stated reason",
    );
    reasons(text, &account.unrecoverable);
    let young = format!("no evidence yet, and younger than {} s", report.pending_s);
    *text += &row("  pending", account.pending, &young);
    *text += &row("  unaccounted", account.unaccounted, "no evidence anywhere");
}

fn reasons(text: &mut String, reasons: &std::collections::BTreeMap<String, u64>) {
    for (code, count) in reasons {
        *text += &paint(ui::DIM, format!("      {:<20}{:>12}", shown(code), grouped(*count)));
        *text += "\n";
    }
}

fn outcomes(text: &mut String, report: &AuditReport) {
    let found = &report.found.outcomes;
    *text += &format!("\n{}\n", paint(ui::HEADING, "I3: one outcome for one event"));
    *text += &row("events", found.events, "with an outcome in the scores stream");
    *text += &row("  copies", found.records, "outcome records of theirs");
    *text += &row("  conflicting", found.conflicting, "events whose copies differ");
    let state = format!(
        "differ, of {} that the table still keeps",
        grouped(found.compared_with_state)
    );
    *text += &row("  from history", found.different_from_state, &state);
    *text += &row(
        "  not in history",
        found.without_history,
        "outcomes of events that the table should hold and does not (I2)",
    );
    *text += &row(
        "  counted again",
        found.counted_again,
        "an event that is in its card's history twice (I2)",
    );
    let decisions = format!("differ, of {} recorded alerts", grouped(found.compared_with_decision));
    *text += &row("  from decision", found.different_from_decision, &decisions);
    *text += &row(
        "  not recorded",
        found.decision_lost,
        "alerts without the decision that should be there",
    );
}

fn keys(text: &mut String, report: &AuditReport) {
    let found = &report.found.keys;
    if found.keys == 0 {
        return;
    }
    *text += &format!("\n{}\n", paint(ui::HEADING, "I2: each label in each of its keys once"));
    *text += &row("keys", found.keys, "of the cards' events and labels");
    *text += &row("  labels", found.labels, "that were held against them");
    *text += &row("  missing", found.missing, "labels that a key should have and has not");
    *text += &row("  forged", found.forged, "labels that no card and no record knows");
    *text += &row(
        "  not read",
        found.unread,
        "keys whose items can't be read: nothing is shown of them",
    );
}

fn remarks(text: &mut String, report: &AuditReport) {
    let queues = &report.queues;
    let mut lines = Vec::new();
    if queues.unrecoverable_messages > 0 {
        lines.push(format!(
            "{} messages in the unrecoverable queue name {} records; those that the stream no longer holds are not in the account above",
            grouped(queues.unrecoverable_messages),
            grouped(queues.unrecoverable_records)
        ));
    }
    if queues.hidden_messages > 0 {
        lines.push(format!(
            "{} messages were received by somebody else meanwhile: what they hold may look unaccounted for; run it again",
            grouped(queues.hidden_messages)
        ));
    }
    if queues.unseen_messages > 0 {
        lines.push(format!(
            "{} messages that a queue counts did not come: what they hold may look unaccounted for; run it again",
            grouped(queues.unseen_messages)
        ));
    }
    if queues.malformed_messages > 0 {
        lines.push(format!(
            "{} messages in the queues are none of ours; `tidemark dlq` tells which kind",
            grouped(queues.malformed_messages)
        ));
    }
    if queues.more_messages {
        lines.push("a queue holds more messages than are read".to_owned());
    }
    if report.found.outcomes.without_decision > 0 {
        lines.push(format!(
            "{} alerts have no recorded decision any more: they are old enough for it to have expired",
            grouped(report.found.outcomes.without_decision)
        ));
    }
    if !lines.is_empty() {
        *text += "\n";
    }
    for line in lines {
        *text += &format!("{} {line}\n", paint(ui::WARN, "!"));
    }
}

fn conclusion(text: &mut String, report: &AuditReport) {
    *text += "\n";
    if report.verdict == Conclusion::Nothing {
        *text += &format!(
            "{} Nothing was looked at: no record arrived in this range, so nothing is shown. --since oldest looks at all that the stream holds\n",
            paint(ui::WARN, "!")
        );
    } else if report.verdict == Conclusion::Unsettled {
        *text += &format!(
            "{} {} records are still on their way, after {} of waiting: run it again\n",
            paint(ui::BAD, "✗"),
            grouped(report.found.account.pending),
            when::span(report.waited_ms)
        );
    } else if report.verdict == Conclusion::Holds {
        let pending = match report.found.account.pending {
            0 => String::new(),
            pending => format!(" ({} are still on their way)", grouped(pending)),
        };
        let no_longer_shown = match report.found.account.no_longer_shown {
            0 => String::new(),
            records => format!(
                " ({} labels and withheld events are past retention: nothing can show them)",
                grouped(records)
            ),
        };
        let claim = format!(
            "✓ I1 and I3 hold: each of {} records has one end{pending}{no_longer_shown}, each of {} events one outcome.",
            grouped(report.found.account.accepted),
            grouped(report.found.outcomes.events)
        );
        *text += &paint(ui::GOOD, claim);
        *text += "\n";
        if let Some(checkpoint_ms) = report.checkpoint_ms {
            *text += &format!("  the next audit begins at {}\n", when::instant(checkpoint_ms));
        }
    }
    for found in report.found.breaks.iter().take(BREAKS_SHOWN_MAX) {
        *text += &format!("{} {}: {}\n", paint(ui::BAD, "✗"), found.invariant, shown(&found.what));
    }
    if report.found.breaks.len() > BREAKS_SHOWN_MAX {
        *text += &format!(
            "  and {} more: --json names them\n",
            report.found.breaks.len() - BREAKS_SHOWN_MAX
        );
    }
}
