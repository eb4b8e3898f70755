//! What one call is reported as: metrics, and log lines. Counts, codes and ids of messages only (I9).

use tidemark_redrive::{CallOutcome, Request, Stopped};
use tidemark_telemetry::emf::{Dimension, float, milliseconds};
use tidemark_telemetry::{EmfLine, Metric};

/// What is known of a call beside its outcome.
pub(crate) struct CallFacts<'a> {
    pub function: &'a str,
    pub request_id: &'a str,
    pub request: &'a Request,
    pub started_ms: i64,
    pub finished_ms: i64,
}

/// One line for the call, and one for each refusal code in it. A dry run gives no record an end, so it counts its calls alone.
pub(crate) fn metrics(facts: &CallFacts<'_>, outcome: &CallOutcome) -> Vec<EmfLine> {
    let stats = &outcome.stats;
    let line = EmfLine::new(facts.finished_ms, facts.function)
        .property("request_id", facts.request_id)
        .property("source", facts.request.source.as_str())
        .property("dry_run", facts.request.dry_run)
        .metric(Metric::RedriveReads, float(stats.reads))
        .metric(Metric::Retries, float(stats.retries))
        .metric(Metric::Throttles, float(stats.throttles))
        .metric(
            Metric::RedriveDuration,
            milliseconds(facts.finished_ms - facts.started_ms),
        );
    let line = count_metric(age_metric(line, facts, outcome), facts, outcome);
    if facts.request.dry_run || facts.request.look {
        return vec![line];
    }
    let by_reason = stats.refused.iter().map(|(code, count)| {
        EmfLine::new(facts.finished_ms, facts.function)
            .dimension(Dimension::Reason, code.as_str())
            .metric(Metric::Quarantined, float(*count))
    });
    std::iter::once(account_metrics(line, facts, outcome))
        .chain(by_reason)
        .collect()
}

/// How long the oldest record waits of which a letter was looked at. A look that found nothing to its end says so with 0; a
/// redrive knows only of the letters it took.
fn age_metric(line: EmfLine, facts: &CallFacts<'_>, outcome: &CallOutcome) -> EmfLine {
    let oldest_ms = outcome.stats.oldest_letter_ms;
    let is_empty = facts.request.look && outcome.response.stopped == Stopped::Done;
    match oldest_ms.or(is_empty.then_some(facts.finished_ms)) {
        Some(oldest_ms) => line.metric(Metric::OldestDeadLetterAge, milliseconds(facts.finished_ms - oldest_ms)),
        None => line,
    }
}

/// How many letters wait, of those that a look saw. One that could not look to the end and saw none tells nothing: none seen is not none.
fn count_metric(line: EmfLine, facts: &CallFacts<'_>, outcome: &CallOutcome) -> EmfLine {
    let (waiting, is_whole) = (
        outcome.response.account.messages,
        outcome.response.stopped == Stopped::Done,
    );
    if facts.request.look && (is_whole || waiting > 0) {
        return line.metric(Metric::DeadLetters, float(waiting));
    }
    line
}

/// Where the records ended.
fn account_metrics(line: EmfLine, facts: &CallFacts<'_>, outcome: &CallOutcome) -> EmfLine {
    let (account, stats) = (&outcome.response.account, &outcome.stats);
    let unrecoverable = account.unrecoverable_messages + account.rejected_messages;
    let line = line
        .metric(Metric::RedriveMessages, float(account.messages))
        .metric(Metric::RedriveRecords, float(account.found))
        .metric(Metric::Scored, float(account.scored))
        .metric(Metric::Duplicate, float(account.already_done))
        .metric(Metric::Applied, float(account.applied))
        .metric(Metric::Quarantined, float(account.quarantined))
        .metric(Metric::Returned, float(account.returned))
        .metric(Metric::RedriveTrimmed, float(account.trimmed))
        .metric(Metric::RedriveMissing, float(account.missing))
        .metric(Metric::RedriveUnrecoverable, float(unrecoverable))
        .metric(Metric::WriteUnits, stats.units.write)
        .metric(Metric::ReadUnits, stats.units.read);
    match stats.oldest_arrival_ms {
        Some(oldest) => line.metric(Metric::RedriveTimeToRecover, milliseconds(facts.finished_ms - oldest)),
        None => line,
    }
}

/// One line for the call, and one for each thing that somebody should look at.
pub(crate) fn log(facts: &CallFacts<'_>, outcome: &CallOutcome) {
    let (response, request_id) = (&outcome.response, facts.request_id);
    let account = &response.account;
    tracing::info!(
        request_id,
        source = facts.request.source.as_str(),
        dry_run = facts.request.dry_run,
        messages = account.messages,
        expected = account.expected,
        found = account.found,
        scored = account.scored,
        already_done = account.already_done,
        applied = account.applied,
        quarantined = account.quarantined,
        trimmed = account.trimmed,
        missing = account.missing,
        returned = account.returned,
        unrecoverable = account.unrecoverable_messages,
        rejected = account.rejected_messages,
        stopped = ?response.stopped,
        duration_ms = facts.finished_ms - facts.started_ms,
        "redrive call done"
    );
    for problem in &response.problems {
        let (code, message_id) = (&problem.code, problem.message_id.as_deref());
        tracing::warn!(code, request_id, message_id, "{}", problem.detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tidemark_domain::refusal::RefusalCode;
    use tidemark_engine::port::Units;
    use tidemark_redrive::{Response, Source, Stats, Tally};

    use super::*;

    const NOW_MS: i64 = 1_760_000_000_000;

    fn lines(dry_run: bool) -> Vec<Value> {
        lines_of(
            &Request {
                dry_run,
                ..Request::new(Source::DeadLetter)
            },
            Some(NOW_MS - 90_000),
        )
    }

    fn lines_of(request: &Request, oldest_letter_ms: Option<i64>) -> Vec<Value> {
        let outcome = CallOutcome {
            response: Response {
                account: Tally {
                    messages: 3,
                    expected: 17,
                    found: 11,
                    scored: 5,
                    already_done: 2,
                    applied: 1,
                    quarantined: 3,
                    trimmed: 4,
                    missing: 2,
                    filtered_out: 0,
                    unpacked: 0,
                    returned: 0,
                    unrecoverable_messages: 1,
                    rejected_messages: 1,
                },
                cursor: None,
                stopped: Stopped::Done,
                problems: Vec::new(),
            },
            stats: Stats {
                oldest_arrival_ms: Some(NOW_MS - 60_000),
                oldest_letter_ms,
                reads: 6,
                throttles: 2,
                retries: 1,
                refused: [(RefusalCode::NotJson, 3)].into(),
                units: Units { write: 7.0, read: 0.5 },
            },
        };
        let facts = CallFacts {
            function: "tidemark-redrive",
            request_id: "request-1",
            request,
            started_ms: NOW_MS - 250,
            finished_ms: NOW_MS,
        };
        let lines = metrics(&facts, &outcome);
        lines
            .iter()
            .map(|line| serde_json::from_str(&line.to_json()).unwrap())
            .collect()
    }

    #[test]
    fn a_call_tells_its_volume_its_losses_and_its_time_to_recover() {
        let lines = lines(false);
        let expected = [
            ("RedriveMessages", 3.0),
            ("RedriveRecords", 11.0),
            ("RedriveTrimmed", 4.0),
            ("RedriveMissing", 2.0),
            ("RedriveUnrecoverable", 2.0),
            ("RedriveReads", 6.0),
            ("RedriveDuration", 250.0),
            ("RedriveTimeToRecover", 60_000.0),
            ("OldestDeadLetterAge", 90_000.0),
            ("Quarantined", 3.0),
            ("WriteUnits", 7.0),
        ];
        for (name, value) in expected {
            assert_eq!(lines[0][name], value, "{name} in {}", lines[0]);
        }
        assert_eq!(
            (&lines[1]["reason"], &lines[1]["Quarantined"]),
            (&"not_json".into(), &3.0.into())
        );
    }

    #[test]
    fn a_dry_run_gives_no_record_an_end() {
        let lines = lines(true);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["RedriveReads"], 6.0);
        assert!(lines[0].get("Scored").is_none() && lines[0].get("RedriveTimeToRecover").is_none());
    }

    #[test]
    fn a_look_tells_the_age_of_the_oldest_letter_and_nothing_else() {
        let look = Request {
            look: true,
            ..Request::new(Source::DeadLetter)
        };
        let waits = lines_of(&look, Some(NOW_MS - 5_000));
        assert_eq!(waits.len(), 1);
        assert_eq!(waits[0]["OldestDeadLetterAge"], 5_000.0);
        assert_eq!(waits[0]["DeadLetters"], 3.0, "of the queue and of the bucket");
        assert!(waits[0].get("Scored").is_none() && waits[0].get("RedriveMessages").is_none());
        let empty = lines_of(&look, None);
        assert_eq!(
            empty[0]["OldestDeadLetterAge"], 0.0,
            "nothing waits, and the alarm is to know"
        );
        let redrive = lines_of(&Request::new(Source::DeadLetter), None);
        assert!(redrive[0].get("DeadLetters").is_none(), "a redrive counts what it took");
        assert!(
            redrive[0].get("OldestDeadLetterAge").is_none(),
            "one that took no letter knows nothing of their age"
        );
    }
}
