//! Holds what came out against what should have.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::history::History;
use tidemark_domain::outcome::REASONS_MAX;
use tidemark_domain::policy::Policy;

use super::{EventKey, Expected, ExpectedEvent, ExpectedOutcome, NamedProfile, Sent, recompute};

/// The oracle sums tails to their end and in another order than the score does: raw scores agree to this, of 1000.
/// A rounded score may therefore be one off when the raw one lies this close to a half.
const RAW_SCORE_TOLERANCE: f64 = 1e-4;
/// The same for a reason's share, in percent.
const SHARE_TOLERANCE: f64 = 1e-4;
/// The same for a feature's value, as a share of it.
const FEATURE_TOLERANCE: f64 = 1e-9;
/// Mismatches that are kept with their words; more are only counted.
const MISMATCHES_KEPT_MAX: usize = 100;

/// An outcome as it came out of the scores stream.
#[derive(Clone, Debug, Deserialize)]
struct ActualOutcome {
    /// The event.
    event_id: String,
    /// Its card.
    card_id: String,
    /// Event time, ms.
    occurred_at_ms: i64,
    /// 0 to 1000.
    score: u16,
    /// `pass`, `review` or `alert`.
    decision: String,
    /// The reasons that the outcome gives for its score.
    reasons: Vec<ActualReason>,
    /// The policy that scored it.
    policy_version: u32,
    /// The profile that was used.
    profile_version: Option<u64>,
    /// Which inputs served.
    tier: String,
    /// Events of the card accepted before it.
    state_version: u64,
    /// The model of trees that scored it.
    #[serde(default)]
    model: Option<String>,
    /// Missing inputs.
    missing: Vec<String>,
    /// Feature values by name, where the policy asks for them.
    #[serde(default)]
    features: Option<BTreeMap<String, Option<f64>>>,
    /// Features by name whose value is an estimate, and how far off it may be.
    #[serde(default)]
    approximate: BTreeMap<String, f64>,
}

/// A reason of an outcome.
#[derive(Clone, Debug, Deserialize)]
struct ActualReason {
    /// What is unusual.
    code: String,
    /// Within which window.
    #[serde(default)]
    window: Option<String>,
    /// Its share of the surprise, percent.
    share_pct: u8,
}

impl ActualOutcome {
    /// What makes its event one event; `None` where its ids are none.
    fn key(&self) -> Option<EventKey> {
        EventKey::new(&self.card_id, &self.event_id, self.occurred_at_ms)
    }

    fn named_profile(&self) -> NamedProfile {
        match self.profile_version {
            Some(version) => NamedProfile::Version(version),
            None if self.missing.iter().any(|name| name == "profile_unavailable") => NamedProfile::Unavailable,
            None => NamedProfile::Absent,
        }
    }
}

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
    let expected = recompute(policy, sent, &|key| {
        actual.get(key).map(|(_, outcome)| outcome.named_profile())
    });
    for (key, outcome) in &expected.outcomes {
        match actual.get(key) {
            Some((_, found)) => compare_outcome(&mut report, key, outcome, found, policy),
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
    report.expected = expected;
    report
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
    policy: &Policy,
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
    // A score that is made of estimates can't be had from exact values: its features are held against their errors.
    let is_exact = actual.approximate.is_empty();
    if is_exact && (f64::from(actual.score) - expected.raw_score).abs() > 0.5 + RAW_SCORE_TOLERANCE {
        report.note(at, "score", format!("{:.4}", expected.raw_score), actual.score);
    }
    let decision = match actual.score {
        score if score >= policy.thresholds.alert => "alert",
        score if score >= policy.thresholds.review => "review",
        _ => "pass",
    };
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
    if is_exact && let Err((expected, found)) = reasons(expected, actual, policy) {
        report.note(at, "reasons", expected, found);
    }
    if let Some(features) = &actual.features {
        compare_features(report, at, &expected.features, features, &actual.approximate);
    }
}

/// Reasons agree when each is one of the oracle's parts with the share that it says, in falling order, and no greater part
/// was left out.
fn reasons(expected: &ExpectedOutcome, actual: &ActualOutcome, policy: &Policy) -> Result<(), (String, String)> {
    let whole: f64 = expected.parts.iter().map(|(_, part)| part).sum();
    let shares: Vec<(FeatureKey, f64)> = expected
        .parts
        .iter()
        .map(|(key, part)| (*key, 100.0 * part / whole))
        .collect();
    let wanted: Vec<&(FeatureKey, f64)> = if actual.score < policy.scoring.reasons_min_score {
        Vec::new()
    } else {
        let least = f64::from(policy.scoring.reasons_min_share_pct);
        shares
            .iter()
            .filter(|(_, share)| share.round() >= least)
            .take(REASONS_MAX)
            .collect()
    };
    let words = || {
        let expected: Vec<String> = wanted.iter().map(|(key, share)| format!("{key} {share:.4}")).collect();
        (format!("{expected:?}"), format!("{:?}", actual.reasons))
    };
    // A share on the border of being told may be told or not.
    let border = |share: f64| (share - (f64::from(policy.scoring.reasons_min_share_pct) - 0.5)).abs() < SHARE_TOLERANCE;
    let missing = wanted.len().saturating_sub(actual.reasons.len());
    if actual.reasons.len() > wanted.len() || wanted.iter().rev().take(missing).any(|(_, share)| !border(*share)) {
        return Err(words());
    }
    let mut told = HashSet::new();
    for (reason, (_, least)) in actual.reasons.iter().zip(&wanted) {
        // A value and how surprising it is have one code.
        let is_told = |key: &FeatureKey| key.kind.reason_code() == reason.code && key.window_label() == reason.window;
        let part = shares.iter().find(|(key, _)| is_told(key) && !told.contains(key));
        let Some((key, share)) = part else { return Err(words()) };
        let close = (f64::from(reason.share_pct) - share).abs() <= 0.5 + SHARE_TOLERANCE;
        // Equal parts may come in either order: a reason must be as great as the oracle's at its place.
        if !close || (share - least).abs() > SHARE_TOLERANCE || !told.insert(*key) {
            return Err(words());
        }
    }
    Ok(())
}

fn compare_features(
    report: &mut Report,
    at: (&str, Option<&str>),
    expected: &[(FeatureKey, Option<f64>)],
    actual: &BTreeMap<String, Option<f64>>,
    errors: &BTreeMap<String, f64>,
) {
    if expected.len() != actual.len() {
        report.note(at, "features", expected.len(), actual.len());
    }
    for (key, value) in expected {
        let name = key.to_string();
        let found = actual.get(&name).copied().flatten();
        let same = match (value, found) {
            (Some(a), Some(b)) => {
                (a - b).abs() <= errors.get(&name).copied().unwrap_or(0.0) + FEATURE_TOLERANCE * a.abs().max(1.0)
            }
            (None, None) => true,
            _ => false,
        };
        if !same {
            report.note(at, &name, format!("{value:?}"), format!("{found:?}"));
        }
    }
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
