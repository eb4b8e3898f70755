//! The outcome: its score by the formulas of docs/concepts/scoring.md, a sum of surprises, or by what was learned.

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::event::{Profile, Transaction};
use tidemark_domain::outcome::Missing;
use tidemark_domain::policy::Policy;

use super::amount::base_amount;
use super::differences::RAW_SCORE_TOLERANCE;
use super::features;
use super::history::NaiveCard;
use super::learned;
use super::lessons::{Lessons, Reading};
use super::lists::PlainLists;
use super::measure::View;
use super::rules::{End, Listed, ReadRules, Seen};
use super::{ExpectedOutcome, Named, NamedProfile, Said};

const HIGHEST_SCORE: f64 = 1000.0;

/// An event and its inputs.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// The card, which has not accepted it yet.
    pub(super) card: &'a NaiveCard,
    pub(super) tx: &'a Transaction,
    pub(super) profile: Option<&'a Profile>,
    pub(super) named: &'a Named,
    pub(super) lists: &'a PlainLists,
    pub(super) lessons: &'a Lessons,
}

/// The outcome of a transaction.
pub(super) fn score(given: &Given<'_>, policy: &Policy, rules: &ReadRules) -> ExpectedOutcome {
    let Given { card, tx, .. } = *given;
    let cheap = low_risk(tx, policy);
    let (profile, named) = match cheap {
        Some(_) => (None, NamedProfile::Unavailable),
        None => (given.profile, given.named.profile),
    };
    let in_use = |key: &FeatureKey| cheap.is_none_or(|part| part.features().any(|other| other == *key));
    let mut view = View::new(card, tx, profile, policy);
    // Of low risk, an event is scored without keys.
    let keys = match cheap {
        Some(_) => Reading::without_keys(),
        None => given.lessons.reading(tx, &given.named.keys, policy),
    };
    let is_blind = named == NamedProfile::Unavailable && view.earlier.len() < policy.neutral_below_events as usize;
    let is_neutral = is_blind && cheap.is_none();
    let tiers: &[&str] = match (cheap, named) {
        (Some(_), _) => &["low_risk"],
        (None, _) if is_neutral => &["neutral"],
        (None, NamedProfile::Unavailable) => &["no_profile", "history_only"],
        (None, _) if !keys.unread.is_empty() => &["no_keys"],
        (None, _) if given.named.lists.values().any(Option::is_none) => &["no_lists"],
        (None, _) => &["full"],
    };
    // What happens at the event's own time decides.
    let listed = |name: &str, text: &str| given.lists.holds(given.named, name, text, tx.occurred_at_ms);
    let mut said = Vec::with_capacity(keys.choices.len());
    for choice in keys.choices {
        view.keys = choice;
        said.push(say(&view, policy, (rules, &listed), in_use, is_neutral));
    }
    let mut missing = missing(&view, named, policy);
    missing.extend(
        keys.unread
            .iter()
            .map(|name| format!("{}{name}", Missing::KEY_UNAVAILABLE)),
    );
    let terms = policy.lists.terms().iter();
    let unread = terms.filter(|terms| given.named.lists.get(terms.name.as_str()) == Some(&None));
    missing.extend(unread.map(|terms| format!("{}{}", Missing::LIST_UNAVAILABLE, terms.name)));
    ExpectedOutcome {
        state_version: card.accepted,
        tiers,
        said,
        missing,
        profile_unknown: matches!(named, NamedProfile::Version(_)) && profile.is_none(),
        keys_wrong: keys.wrong,
        lists_wrong: given.lists.wrong(given.named, policy),
        labels: keys.named,
        is_before_label: keys.is_before_label,
        model: policy.trees.as_ref().map(|trees| trees.key.to_string()),
    }
}

fn say(
    view: &View<'_>,
    policy: &Policy,
    (rules, listed): (&ReadRules, Listed<'_>),
    in_use: impl Fn(&FeatureKey) -> bool + Copy,
    is_neutral: bool,
) -> Said {
    let (of_all, mut parts) = match learned::score(view, policy, in_use) {
        Some(found) => found,
        None => by_weights(view, policy, in_use),
    };
    parts.retain(|(_, part)| *part > 0.0 && !is_neutral);
    parts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    // Where outcomes carry them.
    let features = policy.features().filter(|key| policy.outcome_features && in_use(key));
    let raw_score = if is_neutral {
        f64::from(policy.thresholds.review)
    } else {
        of_all
    };
    Said {
        raw_score,
        rules: ends(view, policy, (rules, listed), in_use, raw_score),
        parts,
        features: features.map(|key| (key, learned::worth(key, view, policy))).collect(),
    }
}

/// How the rules end, by each whole score that the raw one may be rounded to.
fn ends(
    view: &View<'_>,
    policy: &Policy,
    (rules, listed): (&ReadRules, Listed<'_>),
    in_use: impl Fn(&FeatureKey) -> bool,
    raw_score: f64,
) -> Vec<(u16, Vec<End>)> {
    if rules.is_empty() {
        return Vec::new();
    }
    let feature = |key: FeatureKey| learned::worth(key, view, policy).filter(|_| in_use(&key));
    let mut scores = [-RAW_SCORE_TOLERANCE, RAW_SCORE_TOLERANCE]
        .map(|off| (raw_score + off).round() as u16)
        .to_vec();
    scores.dedup();
    let ends = |score| {
        let seen = Seen {
            tx: view.tx,
            amount_base_minor: view.amount,
            profile: view.profile,
            score,
            feature: &feature,
            listed,
        };
        (score, rules.ends(&seen))
    };
    scores.into_iter().map(ends).collect()
}

/// Whether the card's own features alone make an event improbable.
pub(super) fn is_explained(given: &Given<'_>, policy: &Policy) -> bool {
    let cheap = low_risk(given.tx, policy);
    let profile = given.profile.filter(|_| cheap.is_none());
    let view = View::new(given.card, given.tx, profile, policy);
    learned::is_explained(&view, cheap.unwrap_or(policy))
}

/// The score of a policy of weights, and the parts of its surprise.
fn by_weights(view: &View<'_>, policy: &Policy, in_use: impl Fn(&FeatureKey) -> bool) -> (f64, Vec<(FeatureKey, f64)>) {
    let scoring = &policy.scoring;
    let weights = policy.weights().filter(|(key, _)| in_use(key));
    let parts: Vec<(FeatureKey, f64)> = weights
        .map(|(key, weight)| {
            let bits = features::surprise(key, view, policy);
            let bits = if bits.is_nan() {
                0.0
            } else {
                bits.clamp(0.0, scoring.feature_bits_max)
            };
            (key, weight * (bits - scoring.quiet_bits).max(0.0))
        })
        .collect();
    let whole: f64 = parts.iter().map(|(_, part)| part).sum();
    (surprising(whole, scoring.half_bits), parts)
}

fn surprising(whole_bits: f64, half_bits: f64) -> f64 {
    HIGHEST_SCORE * (1.0 - libm::exp2(-whole_bits / half_bits))
}

/// The part of the policy with the features of an event of low risk; `None` for any other event.
fn low_risk<'p>(tx: &Transaction, policy: &'p Policy) -> Option<&'p Policy> {
    let rules = policy.low_risk.as_ref()?;
    let of_category = rules.merchant_categories.is_empty() || rules.merchant_categories.contains(&tx.mcc);
    let is_little = base_amount(tx, policy).is_some_and(|amount| amount <= rules.amount_max_minor);
    let is_low = of_category && is_little;
    is_low.then_some(&*rules.policy)
}

fn missing(view: &View<'_>, named: NamedProfile, policy: &Policy) -> Vec<String> {
    let is_unpriced = view.amount.is_none() || view.earlier.iter().any(|past| past.amount.is_none());
    let bits = [
        (named == NamedProfile::Absent, Missing::PROFILE_ABSENT),
        (named == NamedProfile::Unavailable, Missing::PROFILE_UNAVAILABLE),
        (is_unpriced, Missing::CURRENCY_RATE),
        (is_stale(view, policy), Missing::PROFILE_STALE),
    ];
    let set = bits.iter().filter(|(is, _)| *is).fold(0, |set, (_, bit)| set | bit);
    Missing::NAMES
        .iter()
        .filter(|(bit, _)| set & bit != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

fn is_stale(view: &View<'_>, policy: &Policy) -> bool {
    let updated_ms = view.profile.and_then(|profile| profile.updated_at_ms);
    let (Some(updated_ms), Some(max_ms)) = (updated_ms, policy.profile_max_age_ms) else {
        return false;
    };
    view.tx.occurred_at_ms - updated_ms > max_ms
}
