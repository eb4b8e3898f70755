//! What one batch is reported as: metrics, and log lines. Counts, codes and sequence numbers only (I9).

use tidemark_domain::control::Mode;
use tidemark_domain::outcome::{Decision, Tier};
use tidemark_domain::policy::Policy;
use tidemark_engine::control::{ControlProblem, ControlStatus};
use tidemark_engine::{BatchReport, Returned, RuleCounts, causes};
use tidemark_settings::process;
use tidemark_telemetry::emf::{Dimension, ascending, float, milliseconds};
use tidemark_telemetry::price::Consumed;
use tidemark_telemetry::{EmfLine, ErrorCode, Metric, Tariff};

/// What is known of a batch beside the engine's report.
pub(crate) struct BatchFacts<'a> {
    pub function: &'a str,
    pub request_id: &'a str,
    pub shard_id: &'a str,
    pub records: usize,
    pub malformed: usize,
    /// The oldest and the newest.
    pub arrivals_ms: Option<(i64, i64)>,
    pub started_ms: i64,
    pub finished_ms: i64,
    pub cold: bool,
    pub control: &'a ControlStatus,
    pub mode: Option<Mode>,
    /// The policy in force.
    pub policy: Option<&'a Policy>,
    pub tariff: &'a Tariff,
    /// X-Ray's, where Lambda names one.
    pub trace_id: Option<&'a str>,
}

impl BatchFacts<'_> {
    fn duration_ms(&self) -> i64 {
        self.finished_ms - self.started_ms
    }
}

/// An outcome is to follow its transaction's arrival within so many milliseconds.
pub const OUTCOME_OBJECTIVE_MS: f64 = 5_000.0;

/// One line for the batch, and one for each refusal code and each tier below the full one in it.
#[inline(never)] // so that a profile tells it apart
pub(crate) fn metrics(facts: &BatchFacts<'_>, report: &BatchReport) -> Vec<EmfLine> {
    let decision = |decision| report.decisions.get(&decision).copied().unwrap_or_default();
    let degraded: u64 = report
        .tiers
        .iter()
        .filter(|(tier, _)| tier.is_degraded())
        .map(|(_, count)| count)
        .sum();
    let stopped = u64::from(report.returned.contains_key(&Returned::Deadline));
    let mut line = EmfLine::new(facts.finished_ms, facts.function)
        .property("request_id", facts.request_id)
        .property("shard_id", facts.shard_id)
        .metric(Metric::RecordsReceived, float(facts.records as u64))
        .metric(Metric::Scored, float(report.scored))
        .metric(Metric::Duplicate, float(report.duplicate))
        .metric(Metric::Applied, float(report.applied))
        .metric(Metric::Quarantined, float(report.quarantined_total()))
        .metric(Metric::Returned, float(report.returned_total()))
        .metric(Metric::Passes, float(decision(Decision::Pass)))
        .metric(Metric::Reviews, float(decision(Decision::Review)))
        .metric(Metric::Alerts, float(decision(Decision::Alert)))
        .metric(Metric::Degraded, float(degraded))
        .metric(Metric::UnknownFields, float(report.unknown_fields))
        .metric(Metric::SegmentsRead, float(report.segments_read))
        .metric(Metric::SegmentsWritten, float(report.segments_written))
        .metric(Metric::Conflicts, float(report.conflicts))
        .metric(Metric::Retries, float(report.retries))
        .metric(Metric::Throttles, float(report.throttles))
        .metric(Metric::CacheHits, float(report.cache.state_hits))
        .metric(Metric::CacheMisses, float(report.cache.state_misses))
        .metric(Metric::WriteUnits, report.units.write)
        .metric(Metric::ReadUnits, report.units.read)
        .metric(Metric::BatchDuration, milliseconds(facts.duration_ms()))
        .metric(Metric::DeadlineStops, float(stopped))
        .metric(Metric::ColdStarts, float(u64::from(facts.cold)));
    line = outcome_metrics(line, facts, report);
    line = learning_metrics(line, facts, report);
    line = control_metrics(line, facts, report);
    line = all_rule_metrics(line, facts, report);
    if let Some((oldest, newest)) = facts.arrivals_ms {
        line = line
            .metric(Metric::OldestRecordAge, milliseconds(facts.finished_ms - oldest))
            .metric(Metric::Freshness, milliseconds(facts.finished_ms - newest));
    }
    if let Some(trace_id) = facts.trace_id {
        line = line.property("trace_id", trace_id);
    }
    let part = |dimension, value, metric, count| {
        EmfLine::new(facts.finished_ms, facts.function)
            .dimension(dimension, value)
            .metric(metric, float(count))
    };
    let reasons = report.quarantined.iter();
    let by_reason = reasons.map(|(code, count)| part(Dimension::Reason, code.as_str(), Metric::Quarantined, *count));
    let tiers = report.tiers.iter().filter(|(tier, _)| **tier != Tier::Full);
    let by_tier = tiers.map(|(tier, count)| part(Dimension::Tier, tier.as_str(), Metric::Degraded, *count));
    let by_rule = report.rules.iter().map(|(name, counts)| {
        let line = EmfLine::new(facts.finished_ms, facts.function).dimension(Dimension::Rule, name);
        let counts = rule_metrics(counts).into_iter().filter(|(_, count)| *count > 0);
        counts.fold(line, |line, (metric, count)| line.metric(metric, float(count)))
    });
    let lines = std::iter::once(line).chain(by_reason).chain(by_tier);
    lines.chain(by_rule).collect()
}

/// What is counted of a rule, or of all of them.
const fn rule_metrics(counts: &RuleCounts) -> [(Metric, u64); 3] {
    [
        (Metric::RulesHeld, counts.held),
        (Metric::RulesObserved, counts.observed),
        (Metric::RulesUndefined, counts.undefined),
    ]
}

/// What the rules of the policy said; nothing of a policy without rules.
fn all_rule_metrics(line: EmfLine, facts: &BatchFacts<'_>, report: &BatchReport) -> EmfLine {
    if facts.policy.is_none_or(|policy| policy.rules.all().is_empty()) {
        return line;
    }
    let all = report
        .rules
        .values()
        .fold(RuleCounts::default(), |all, one| RuleCounts {
            held: all.held + one.held,
            observed: all.observed + one.observed,
            undefined: all.undefined + one.undefined,
        });
    let counts = rule_metrics(&all).into_iter();
    counts.fold(line, |line, (metric, count)| line.metric(metric, float(count)))
}

/// Writes, what they cost, and the outcomes: what they are, and when they came.
fn outcome_metrics(line: EmfLine, facts: &BatchFacts<'_>, report: &BatchReport) -> EmfLine {
    let age_ms = |since_ms: &i64| milliseconds(facts.finished_ms - since_ms);
    let latencies = ascending(report.arrivals_ms.iter().map(age_ms));
    let scores = ascending(report.scores.iter().copied().map(f64::from));
    let late = latencies.len() - latencies.partition_point(|latency| *latency <= OUTCOME_OBJECTIVE_MS);
    let cost = facts.tariff.cost_microusd(Consumed {
        write_units: report.units.write,
        read_units: report.units.read + facts.control.units.read,
        duration_ms: milliseconds(facts.duration_ms()),
        put_kib: float(report.outcome_kib),
        ..Consumed::default()
    });
    let corrupt = report
        .returned
        .get(&Returned::StateCorrupt)
        .copied()
        .unwrap_or_default();
    let line = line
        .metric(Metric::StateCorrupt, float(corrupt))
        .metric(Metric::Commits, float(report.commits))
        .metric(Metric::CommitFailures, float(report.commit_failures))
        .metric(Metric::CostMicrodollars, cost)
        .metric(Metric::LateOutcomes, float(late as u64 + report.unsent))
        .metric(Metric::Unsent, float(report.unsent))
        .distribution(Metric::Score, &scores)
        .distribution(Metric::OutcomeLatency, &latencies);
    match &report.newest_event_ms {
        Some(newest) => line.metric(Metric::EventTimeLag, age_ms(newest)),
        None => line,
    }
}

/// What a policy that learned lives on: labels, the keys that they teach, and whether it decides as often as it was set to.
fn learning_metrics(line: EmfLine, facts: &BatchFacts<'_>, report: &BatchReport) -> EmfLine {
    let untaught = report.labels_without_key + report.labels_forgotten;
    let expected = facts.policy.and_then(|policy| policy.expected);
    let of_scored = |share: f64| float(report.scored) * share;
    let line = line
        .metric(Metric::KeyWrites, float(report.key_commits))
        .metric(Metric::KeysUnread, float(report.keys_unread))
        .metric(Metric::LabelsUntaught, float(untaught))
        .metric(
            Metric::AlertsExpected,
            of_scored(expected.map_or(0.0, |expected| expected.alert_share)),
        )
        .metric(
            Metric::ReviewsExpected,
            of_scored(expected.map_or(0.0, |expected| expected.review_share)),
        );
    // Where nothing learns from labels, none that come are no news.
    match facts.policy.filter(|policy| !policy.keys.is_empty()) {
        Some(_) => line.metric(Metric::Labels, float(report.labels)),
        None => line,
    }
}

/// What the control plane had to say in the batch.
fn control_metrics(line: EmfLine, facts: &BatchFacts<'_>, report: &BatchReport) -> EmfLine {
    let problems =
        |is: fn(&ControlProblem) -> bool| float(facts.control.problems.iter().filter(|one| is(one)).count() as u64);
    let mut line = line
        .metric(Metric::ControlProblems, float(facts.control.problems.len() as u64))
        .metric(Metric::ModelProblems, problems(ControlProblem::is_of_model))
        .metric(Metric::ListProblems, problems(ControlProblem::is_of_list))
        .metric(Metric::MapProblems, problems(ControlProblem::is_of_map))
        .metric(Metric::ControlReadUnits, facts.control.units.read)
        .metric(Metric::Withheld, float(report.outcomes_withheld))
        .metric(Metric::Overridden, float(report.overridden))
        .metric(Metric::Trials, float(report.trials.scored))
        .metric(Metric::TrialFlips, float(report.trials.flips))
        .metric(Metric::TrialsLost, float(report.trials.lost));
    if let Some(age_ms) = facts.control.age_ms {
        line = line.metric(Metric::ControlAge, milliseconds(age_ms));
    }
    if let Some(mode) = facts.mode {
        line = line.property("mode", mode.as_str());
    }
    match facts.policy {
        Some(policy) => line.property("policy_version", policy.version),
        None => line,
    }
}

/// The line of an invocation whose payload could not be read.
pub(crate) fn unreadable(function: &str, now_ms: i64) -> EmfLine {
    EmfLine::new(now_ms, function).metric(Metric::UnreadableEvents, 1.0)
}

/// One line for the batch, and one for each thing that somebody should look at.
#[inline(never)] // so that a profile tells it apart
pub(crate) fn log(facts: &BatchFacts<'_>, report: &BatchReport) {
    let request_id = facts.request_id;
    tracing::info!(
        request_id,
        shard_id = facts.shard_id,
        records = facts.records,
        scored = report.scored,
        duplicate = report.duplicate,
        applied = report.applied,
        quarantined = report.quarantined_total(),
        returned = report.returned_total(),
        retry_from = report.retry_from,
        malformed = facts.malformed,
        duration_ms = facts.duration_ms(),
        "batch done"
    );
    for problem in &facts.control.problems {
        let code = process::code_of(problem);
        let age_ms = facts.control.age_ms;
        let problem = causes(problem);
        tracing::warn!(
            code = code.as_str(),
            request_id,
            age_ms,
            "the last good copy stays in force: {problem}"
        );
    }
    for (cause, records) in &report.returned {
        let code = code_of(*cause).as_str();
        tracing::warn!(
            code,
            request_id,
            cause = cause.as_str(),
            records,
            "records go back to the stream"
        );
    }
    let without_profile = report.tiers.get(&Tier::NoProfile).copied().unwrap_or_default();
    if without_profile > 0 {
        let code = ErrorCode::ProfilesUnavailable.as_str();
        tracing::warn!(
            code,
            request_id,
            outcomes = without_profile,
            "scored without profiles: they could not be read"
        );
    }
    log_keys(request_id, report);
}

fn log_keys(request_id: &str, report: &BatchReport) {
    let code = ErrorCode::KeysUnavailable.as_str();
    if report.keys_unread > 0 {
        tracing::warn!(
            code,
            request_id,
            keys = report.keys_unread,
            "scored without the labelled histories of keys: they could not be read"
        );
    }
    for key in &report.keys_damaged {
        // The name of its item, without `k#`: a fingerprint, nothing that anybody sent.
        tracing::warn!(
            code,
            request_id,
            key = %key,
            "the stored history of a key can't be understood: its labels come again until it is restored"
        );
    }
}

/// The page that explains why records come again.
fn code_of(cause: Returned) -> ErrorCode {
    match cause {
        Returned::Deadline => ErrorCode::DeadlineNear,
        Returned::StateCorrupt => ErrorCode::StateUnreadable,
        Returned::StoreRefused => ErrorCode::ServiceRefused,
        Returned::Paused => ErrorCode::Paused,
        Returned::ControlUnread => ErrorCode::ControlUnread,
        Returned::MapUnready => ErrorCode::MapUnusable,
        _ => ErrorCode::RecordsReturned,
    }
}
