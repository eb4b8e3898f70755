//! Holds what came out against what should have.

use std::collections::{BTreeSet, HashMap};

use tidemark_domain::control::trial::Trial;
use tidemark_domain::history::History;
use tidemark_domain::policy::Policy;

use super::differences::{ActualOutcome, decided, differences, is_score};
use super::lists::PlainLists;
use super::rules::{End, ReadRules};
use super::{EventKey, Expected, ExpectedEvent, ExpectedOutcome, Said, Sent, TriedOn, recompute};

/// Mismatches that are kept with their words; more are only counted.
const MISMATCHES_KEPT_MAX: usize = 100;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// The card, if it is known.
    pub card_id: String,
    /// The event, if it is about one.
    pub event_id: Option<String>,
    /// What differs: a field, or `outcome`, `state`, `bytes`.
    pub field: String,
    /// What the oracle holds.
    pub expected: String,
    /// What came out.
    pub actual: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "card {}", self.card_id)?;
        if let Some(event) = &self.event_id {
            write!(f, ", event {event}")?;
        }
        write!(
            f,
            ": {} is {}, the oracle has {}",
            self.field, self.actual, self.expected
        )
    }
}

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Report {
    /// What should have been.
    pub expected: Expected,
    /// How many things differ.
    pub mismatch_count: u64,
    /// The first of them.
    pub mismatches: Vec<Mismatch>,
    /// Distinct outcomes that were compared.
    pub outcomes_unique: u64,
    /// Outcomes that came more than once (a retry or a duplicate sends them again).
    pub outcomes_repeated: u64,
    /// Cards whose state was compared.
    pub cards_compared: u64,
    /// How far the outcomes say what they were made of.
    pub outcomes: Covered,
    /// The same of trials.
    pub trials: Covered,
}

/// How far what came out could be held against the recomputation, where labels of keys count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Those that were looked at.
    pub compared: u64,
    /// Of these, those that name labels of keys and whose score was compared.
    pub with_labels: u64,
    /// Those that name fewer labels of a key than were sent: their score follows from some so many.
    pub before_label: u64,
    /// Those whose score was not compared: it may follow from too many choices of labels, or rest on the estimates that a trial has of a
    /// card with sealed segments.
    pub untold: u64,
}

impl Covered {
    fn add(&mut self, expected: &ExpectedOutcome, is_told: bool) {
        self.compared += 1;
        self.with_labels += u64::from(expected.labels > 0 && is_told);
        self.before_label += u64::from(expected.is_before_label);
        self.untold += u64::from(!is_told);
    }
}

/// What a policy made of events that was tried beside the one that decides.
#[derive(Clone, Copy, Debug)]
pub struct TriedPolicy<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What was recorded of it.
    pub trials: &'a [Trial],
}

impl Report {
    fn note(
        &mut self,
        key: (&str, Option<&str>),
        field: &str,
        expected: impl std::fmt::Display,
        actual: impl std::fmt::Display,
    ) {
        self.mismatch_count += 1;
        if self.mismatches.len() < MISMATCHES_KEPT_MAX {
            self.mismatches.push(Mismatch {
                card_id: key.0.to_owned(),
                event_id: key.1.map(str::to_owned),
                field: field.to_owned(),
                expected: format!("{expected}"),
                actual: format!("{actual}"),
            });
        }
    }
}

/// Recomputes a run from what was sent, and holds every outcome and every card's state against it.
///
/// `outcomes` are the bytes from the scores stream, in any order, repeated or not (the same event must have the same bytes
/// each time, I3). `states` gives a card's decoded state; `None` where it has none.
pub fn check<'a>(
    policy: &Policy,
    sent: &[Sent<'_>],
    outcomes: impl IntoIterator<Item = &'a [u8]>,
    states: &dyn Fn(&str) -> Option<History>,
) -> Report {
    check_tried(policy, sent, outcomes, states, None)
}

/// The same for a policy that declares lists; `lists` has what they were.
pub fn check_listed<'a>(
    policy: &Policy,
    sent: &[Sent<'_>],
    outcomes: impl IntoIterator<Item = &'a [u8]>,
    states: &dyn Fn(&str) -> Option<History>,
    lists: &PlainLists,
) -> Report {
    check_all(policy, sent, outcomes, states, (None, lists))
}

/// The same, and holds against it what a policy made of the events that was tried beside. A trial names no inputs: they are those of the
/// event's outcome, which came of the same reads.
pub fn check_tried<'a>(
    policy: &Policy,
    sent: &[Sent<'_>],
    outcomes: impl IntoIterator<Item = &'a [u8]>,
    states: &dyn Fn(&str) -> Option<History>,
    tried: Option<TriedPolicy<'_>>,
) -> Report {
    check_all(policy, sent, outcomes, states, (tried, &PlainLists::default()))
}

fn check_all<'a>(
    policy: &Policy,
    sent: &[Sent<'_>],
    outcomes: impl IntoIterator<Item = &'a [u8]>,
    states: &dyn Fn(&str) -> Option<History>,
    (tried, lists): (Option<TriedPolicy<'_>>, &PlainLists),
) -> Report {
    let mut report = Report::default();
    let mut actual: HashMap<EventKey, (&[u8], ActualOutcome)> = HashMap::new();
    for bytes in outcomes {
        let outcome: ActualOutcome = match serde_json::from_slice(bytes) {
            Ok(outcome) => outcome,
            Err(error) => {
                report.note(("?", None), "bytes", "an outcome", error);
                continue;
            }
        };
        let Some(key) = outcome.key() else {
            report.note(("?", None), "bytes", "an outcome", "ids that are none");
            continue;
        };
        match actual.get(&key) {
            None => _ = actual.insert(key, (bytes, outcome)),
            Some((first, _)) => {
                report.outcomes_repeated += 1;
                if *first != bytes {
                    let (first, again) = (String::from_utf8_lossy(first), String::from_utf8_lossy(bytes));
                    report.note(named(&key), "bytes", first, again);
                }
            }
        }
    }
    report.outcomes_unique = actual.len() as u64;
    let trials: HashMap<EventKey, &Trial> = tried
        .iter()
        .flat_map(|tried| tried.trials)
        .filter_map(by_event)
        .collect();
    let events = trials.keys().cloned().collect();
    let tried_on = tried.map(|tried| TriedOn {
        policy: tried.policy,
        events: &events,
    });
    let rules = ReadRules::of(policy);
    let expected = recompute(policy, sent, tried_on, lists, &|key| {
        actual.get(key).map(|(_, outcome)| outcome.named())
    });
    for (key, outcome) in &expected.outcomes {
        match actual.get(key) {
            Some((_, found)) => compare_outcome(&mut report, key, outcome, found, (policy, &rules)),
            None => report.note(named(key), "outcome", "one", "missing"),
        }
    }
    for key in actual.keys().filter(|key| !expected.outcomes.contains_key(*key)) {
        report.note(named(key), "outcome", "none", "there");
    }
    for (card, events) in &expected.cards {
        report.cards_compared += 1;
        match states(card) {
            Some(state) => compare_state(&mut report, card, events, &state, policy),
            None => report.note((card, None), "state", format!("{} events", events.len()), "missing"),
        }
    }
    if let Some(tried) = tried {
        let tried_rules = ReadRules::of(tried.policy);
        for (key, trial) in &trials {
            match expected.tried.get(key) {
                Some(outcome) => {
                    // What a trial has of a card with sealed segments may be an estimate, and nothing says so of it.
                    let state = states(key.card_id.as_str());
                    let is_exact = state.is_some_and(|state| state.sealed_events() == 0);
                    compare_trial(
                        &mut report,
                        key,
                        outcome,
                        (trial, is_exact),
                        (tried.policy, &tried_rules),
                    );
                }
                None => report.note(named(key), "trial", "none", "there"),
            }
            let active = (trial.active.score, trial.active.tier.as_str());
            let sent = actual
                .get(key)
                .map(|(_, outcome)| (outcome.score, outcome.tier.as_str()));
            if sent != Some(active) {
                report.note(named(key), "trial", format!("{sent:?}"), format!("{active:?}"));
            }
        }
    }
    report.expected = expected;
    report
}

/// A trial by its event; `None` where its ids are none.
fn by_event(trial: &Trial) -> Option<(EventKey, &Trial)> {
    let key = EventKey::new(&trial.card_id, &trial.event_id, trial.occurred_at_ms)?;
    Some((key, trial))
}

/// An event as mismatches name it.
fn named(key: &EventKey) -> (&str, Option<&str>) {
    (key.card_id.as_str(), Some(key.event_id.as_str()))
}

fn compare_outcome(
    report: &mut Report,
    key: &EventKey,
    expected: &ExpectedOutcome,
    actual: &ActualOutcome,
    (policy, rules): (&Policy, &ReadRules),
) {
    let at = named(key);
    if expected.profile_unknown {
        report.note(
            at,
            "profile_version",
            "one that was sent",
            format!("{:?}", actual.profile_version),
        );
        return;
    }
    compare_keys(report, at, expected);
    report.outcomes.add(expected, !expected.said.is_empty());
    // Any of the choices of labels may be the one; where none is, the last one's differences are told.
    let mut found = Vec::new();
    for said in &expected.said {
        found = differences(said, actual, policy, rules);
        if found.is_empty() {
            break;
        }
    }
    for (field, expected, actual) in found {
        report.note(at, &field, expected, actual);
    }
    let decision = rules.decide(decided(actual.score, policy), |_, name| actual.names_rule("held", name));
    if decision != actual.decision {
        report.note(at, "decision", decision, &actual.decision);
    }
    if !expected.tiers.contains(&actual.tier.as_str()) {
        report.note(at, "tier", expected.tiers.join(" or "), &actual.tier);
    }
    if expected.missing != actual.missing {
        report.note(
            at,
            "missing",
            format!("{:?}", expected.missing),
            format!("{:?}", actual.missing),
        );
    }
    if expected.model != actual.model {
        report.note(
            at,
            "model",
            format!("{:?}", expected.model),
            format!("{:?}", actual.model),
        );
    }
    let numbers = [
        ("state_version", expected.state_version, actual.state_version),
        (
            "policy_version",
            u64::from(policy.version),
            u64::from(actual.policy_version),
        ),
    ];
    for (field, expected, actual) in numbers {
        if expected != actual {
            report.note(at, field, expected, actual);
        }
    }
}

/// The labels that an outcome names.
fn compare_keys(report: &mut Report, at: (&str, Option<&str>), expected: &ExpectedOutcome) {
    if !expected.keys_wrong.is_empty() {
        let wrong = format!("{:?}", expected.keys_wrong);
        report.note(at, "key_versions", "labels that were sent", wrong);
    }
    if !expected.lists_wrong.is_empty() {
        let wrong = format!("{:?}", expected.lists_wrong);
        report.note(at, "list_versions", "the policy's lists, as they were", wrong);
    }
}

fn compare_trial(
    report: &mut Report,
    key: &EventKey,
    expected: &ExpectedOutcome,
    (trial, is_exact): (&Trial, bool),
    (policy, rules): (&Policy, &ReadRules),
) {
    let (at, verdict) = (named(key), &trial.candidate);
    compare_keys(report, at, expected);
    let is_said = expected.said.is_empty() || expected.said.iter().any(|said| is_score(said, verdict.score));
    report
        .trials
        .add(expected, !expected.said.is_empty() && (is_said || is_exact));
    if !is_said && is_exact {
        let raw: BTreeSet<String> = expected
            .said
            .iter()
            .map(|said| format!("{:.4}", said.raw_score))
            .collect();
        let raw: Vec<String> = raw.into_iter().collect();
        report.note(at, "trial's score", raw.join(" or "), verdict.score);
    }
    let is_held = |at: usize, _: &str| trial.candidate_rules >> at & 1 == 1;
    if is_exact && !expected.said.is_empty() && !expected.said.iter().any(|said| is_held_as_said(said, trial, rules)) {
        report.note(at, "trial's rules", "others", format!("{:b}", trial.candidate_rules));
    }
    let decision = rules.decide(decided(verdict.score, policy), is_held);
    if decision != verdict.decision.as_str() {
        report.note(at, "trial's decision", decision, verdict.decision.as_str());
    }
    if !expected.tiers.contains(&verdict.tier.as_str()) {
        report.note(at, "trial's tier", expected.tiers.join(" or "), verdict.tier.as_str());
    }
}

/// Whether the rules of a trial's candidate are those that one choice of labels makes hold.
fn is_held_as_said(said: &Said, trial: &Trial, rules: &ReadRules) -> bool {
    let ends = said.rules.iter().find(|(score, _)| *score == trial.candidate.score);
    let is_same = |(at, end): (usize, &End)| {
        let is_held = trial.candidate_rules >> at & 1 == 1;
        *end == End::Unsure || is_held == matches!(end, End::Held | End::Observed)
    };
    rules.is_empty() || ends.is_none_or(|(_, ends)| ends.iter().enumerate().all(is_same))
}

fn compare_state(report: &mut Report, card: &str, expected: &[ExpectedEvent], state: &History, policy: &Policy) {
    let missing = state.missing_segments();
    if !missing.is_empty() {
        report.note(
            (card, None),
            "state",
            "every segment",
            format!("{} missing", missing.len()),
        );
        return;
    }
    // A sealed segment is dropped whole: what it keeps beyond the retention is not used.
    let aged_ms = state
        .newest_ms()
        .map_or(i64::MIN, |newest| newest.saturating_sub(policy.retention_ms()));
    let mut actual = state.all_entries();
    actual.retain(|entry| entry.time_ms > aged_ms);
    if expected.len() != actual.len() {
        report.note(
            (card, None),
            "state",
            format!("{} events", expected.len()),
            format!("{} events", actual.len()),
        );
        return;
    }
    for (event, entry) in expected.iter().zip(actual) {
        let found = ExpectedEvent {
            event_id: event.event_id.clone(),
            time_ms: entry.time_ms,
            seq: entry.seq,
            event_fp: entry.event_fp,
            amount_base_minor: entry.amount_base_minor,
            merchant_fp: entry.merchant_fp,
            country: entry.country,
            device_fp: entry.device_fp,
            place: entry.place,
            approved: entry.approved,
            label: entry.label,
        };
        if found != *event {
            report.note(
                (card, Some(&event.event_id)),
                "state",
                format!("{event:?}"),
                format!("{found:?}"),
            );
        }
    }
}
