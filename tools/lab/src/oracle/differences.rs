//! How an outcome differs from what the oracle makes of its event.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::outcome::{Missing, REASONS_MAX};
use tidemark_domain::policy::Policy;

use super::rules::{End, ReadRules};
use super::{EventKey, Named, NamedProfile, Said};

/// The oracle sums tails to their end and in another order than the score does: raw scores agree to this, of 1000.
/// A rounded score may therefore be one off when the raw one lies this close to a half.
pub(super) const RAW_SCORE_TOLERANCE: f64 = 1e-4;
/// The same for a reason's share, in percent.
const SHARE_TOLERANCE: f64 = 1e-4;
/// The same for a feature's value, as a share of it.
const FEATURE_TOLERANCE: f64 = 1e-9;
/// An outcome as it came out of the scores stream.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ActualOutcome {
    /// The event.
    event_id: String,
    /// Its card.
    card_id: String,
    /// Event time, ms.
    occurred_at_ms: i64,
    /// 0 to 1000.
    pub(super) score: u16,
    /// `pass`, `review` or `alert`.
    pub(super) decision: String,
    /// The reasons that the outcome gives for its score.
    reasons: Vec<ActualReason>,
    /// The policy that scored it.
    pub(super) policy_version: u32,
    /// The profile that was used.
    pub(super) profile_version: Option<u64>,
    /// Which inputs served.
    pub(super) tier: String,
    /// Events of the card accepted before it.
    pub(super) state_version: u64,
    /// The model of trees that scored it.
    #[serde(default)]
    pub(super) model: Option<String>,
    /// How many labels of each key were known.
    #[serde(default)]
    key_versions: BTreeMap<String, u64>,
    /// What the content of each list was.
    #[serde(default)]
    list_versions: BTreeMap<String, String>,
    /// Missing inputs.
    pub(super) missing: Vec<String>,
    /// Rules by how they ended.
    #[serde(default)]
    rules: BTreeMap<String, Vec<String>>,
    /// Feature values by name, where the policy asks for them.
    #[serde(default)]
    features: Option<BTreeMap<String, Option<f64>>>,
    /// Features by name whose value is an estimate, and how far off it may be.
    #[serde(default)]
    pub(super) approximate: BTreeMap<String, f64>,
}

/// A reason of an outcome.
#[derive(Clone, Debug, Deserialize)]
struct ActualReason {
    /// What is unusual.
    code: String,
    /// The rule, where the reason is one.
    #[serde(default)]
    rule: Option<String>,
    /// The rule's own reason.
    #[serde(default)]
    reason: Option<String>,
    /// Within which window.
    #[serde(default)]
    window: Option<String>,
    /// Its share of the surprise, percent.
    share_pct: u8,
}

impl ActualOutcome {
    /// What makes its event one event; `None` where its ids are none.
    pub(super) fn key(&self) -> Option<EventKey> {
        EventKey::new(&self.card_id, &self.event_id, self.occurred_at_ms)
    }

    /// The reasons that are rules: the first ones.
    fn rule_reasons(&self) -> impl Iterator<Item = &ActualReason> {
        self.reasons.iter().take_while(|reason| reason.code == "rule")
    }

    /// Whether it says that a rule ended so.
    pub(super) fn names_rule(&self, list: &str, name: &str) -> bool {
        self.rules
            .get(list)
            .is_some_and(|names| names.iter().any(|other| other == name))
    }

    pub(super) fn named(&self) -> Named {
        let profile = match self.profile_version {
            Some(version) => NamedProfile::Version(version),
            None if self.missing.iter().any(|name| name == "profile_unavailable") => NamedProfile::Unavailable,
            None => NamedProfile::Absent,
        };
        let read = self
            .key_versions
            .iter()
            .map(|(key, version)| (key.clone(), Some(*version)));
        let unread = self
            .missing
            .iter()
            .filter_map(|name| name.strip_prefix(Missing::KEY_UNAVAILABLE));
        let keys = read.chain(unread.map(|key| (key.to_owned(), None))).collect();
        let read = self.list_versions.iter();
        let read = read.map(|(list, version)| (list.clone(), Some(version.clone())));
        let unread = self.missing.iter();
        let unread = unread.filter_map(|name| name.strip_prefix(Missing::LIST_UNAVAILABLE));
        let lists = read.chain(unread.map(|list| (list.to_owned(), None))).collect();
        Named { profile, keys, lists }
    }
}

/// A field, what the oracle holds, and what came out.
pub(super) type Difference = (String, String, String);

/// How what an outcome says differs from what one choice of labels makes.
pub(super) fn differences(said: &Said, actual: &ActualOutcome, policy: &Policy, rules: &ReadRules) -> Vec<Difference> {
    let mut found = Vec::new();
    // A score that is made of estimates can't be had from exact values: its features are held against their errors.
    let is_exact = actual.approximate.is_empty();
    if is_exact && !is_score(said, actual.score) {
        let (expected, score) = (format!("{:.4}", said.raw_score), actual.score.to_string());
        found.push(("score".to_owned(), expected, score));
    }
    if is_exact && let Err((expected, reasons)) = reasons(said, actual, policy) {
        found.push(("reasons".to_owned(), expected, reasons));
    }
    compare_rules(&mut found, said, actual, rules, is_exact);
    if let Some(features) = &actual.features {
        compare_features(&mut found, &said.features, features, &actual.approximate);
    }
    found
}

pub(super) fn is_score(said: &Said, score: u16) -> bool {
    (f64::from(score) - said.raw_score).abs() <= 0.5 + RAW_SCORE_TOLERANCE
}

pub(super) fn decided(score: u16, policy: &Policy) -> &'static str {
    match score {
        score if score >= policy.thresholds.alert => "alert",
        score if score >= policy.thresholds.review => "review",
        _ => "pass",
    }
}

/// Reasons agree when each is one of the oracle's parts with the share that it says, in falling order, and no greater part
/// was left out.
fn reasons(expected: &Said, actual: &ActualOutcome, policy: &Policy) -> Result<(), (String, String)> {
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
            .take(REASONS_MAX - actual.rule_reasons().count().min(REASONS_MAX))
            .collect()
    };
    // Those of rules come first, and are looked at by themselves.
    let told_reasons = &actual.reasons[actual.rule_reasons().count()..];
    let words = || {
        let expected: Vec<String> = wanted.iter().map(|(key, share)| format!("{key} {share:.4}")).collect();
        (format!("{expected:?}"), format!("{:?}", actual.reasons))
    };
    // A share on the border of being told may be told or not.
    let border = |share: f64| (share - (f64::from(policy.scoring.reasons_min_share_pct) - 0.5)).abs() < SHARE_TOLERANCE;
    let missing = wanted.len().saturating_sub(told_reasons.len());
    if told_reasons.len() > wanted.len() || wanted.iter().rev().take(missing).any(|(_, share)| !border(*share)) {
        return Err(words());
    }
    let mut told = HashSet::new();
    for (reason, (_, least)) in told_reasons.iter().zip(&wanted) {
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

/// Each rule by itself, the order of the lists, and the reasons that rules give.
fn compare_rules(found: &mut Vec<Difference>, said: &Said, actual: &ActualOutcome, rules: &ReadRules, is_exact: bool) {
    const LISTS: [(&str, End); 3] = [
        ("held", End::Held),
        ("observed", End::Observed),
        ("undefined", End::Undefined),
    ];
    let mut note = |field: &str, expected: String, actual: String| found.push((field.to_owned(), expected, actual));
    let ends = said.rules.iter().find(|(score, _)| *score == actual.score);
    if let Some((_, ends)) = ends.filter(|_| is_exact) {
        for ((name, _), end) in rules.words().zip(ends).filter(|(_, end)| **end != End::Unsure) {
            let named = LISTS.iter().filter(|(list, _)| actual.names_rule(list, name));
            let named: Vec<End> = named.map(|(_, end)| *end).collect();
            let is_same = match named.as_slice() {
                [] => *end == End::Not,
                [one] => one == end,
                _ => false,
            };
            if !is_same {
                note(&format!("rule {name}"), format!("{end:?}"), format!("{named:?}"));
            }
        }
    }
    for (list, names) in &actual.rules {
        let in_order: Vec<&str> = rules
            .words()
            .map(|(name, _)| name)
            .filter(|name| names.iter().any(|other| other == name))
            .collect();
        let is_known = LISTS.iter().any(|(known, _)| known == list);
        if !is_known || names.is_empty() || in_order != *names {
            note(
                &format!("rules that are {list}"),
                format!("{in_order:?}"),
                format!("{names:?}"),
            );
        }
    }
    let told: Vec<_> = actual
        .rule_reasons()
        .map(|reason| (reason.rule.as_deref(), reason.reason.as_deref(), reason.share_pct))
        .collect();
    let held = rules.words().filter(|(name, _)| actual.names_rule("held", name));
    let wanted: Vec<_> = held
        .map(|(name, reason)| (Some(name), Some(reason), 100))
        .take(REASONS_MAX)
        .collect();
    if told != wanted {
        note("reasons of rules", format!("{wanted:?}"), format!("{told:?}"));
    }
}

fn compare_features(
    found: &mut Vec<Difference>,
    expected: &[(FeatureKey, Option<f64>)],
    actual: &BTreeMap<String, Option<f64>>,
    errors: &BTreeMap<String, f64>,
) {
    if expected.len() != actual.len() {
        let (expected, actual) = (expected.len().to_string(), actual.len().to_string());
        found.push(("features".to_owned(), expected, actual));
    }
    for (key, value) in expected {
        let name = key.to_string();
        let read = actual.get(&name).copied().flatten();
        let same = match (value, read) {
            (Some(a), Some(b)) => {
                (a - b).abs() <= errors.get(&name).copied().unwrap_or(0.0) + FEATURE_TOLERANCE * a.abs().max(1.0)
            }
            (None, None) => true,
            _ => false,
        };
        if !same {
            found.push((name, format!("{value:?}"), format!("{read:?}")));
        }
    }
}
