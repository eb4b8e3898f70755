//! The outcome: its score by the formulas of docs/concepts/scoring.md, a sum of surprises, or by what was learned.

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::event::{Profile, Transaction};
use tidemark_domain::outcome::Missing;
use tidemark_domain::policy::Policy;

use super::amount::base_amount;
use super::features;
use super::history::NaiveCard;
use super::learned;
use super::measure::View;
use super::{ExpectedOutcome, NamedProfile};

const HIGHEST_SCORE: f64 = 1000.0;

/// The outcome of a transaction on a card that has not accepted it yet.
pub(super) fn score(
    card: &NaiveCard,
    tx: &Transaction,
    profile: Option<&Profile>,
    named: NamedProfile,
    policy: &Policy,
) -> ExpectedOutcome {
    let cheap = low_risk(tx, policy);
    let (profile, named) = if cheap.is_some() {
        (None, NamedProfile::Unavailable)
    } else {
        (profile, named)
    };
    let in_use = |key: &FeatureKey| cheap.is_none_or(|part| part.features().any(|other| other == *key));
    let view = View::new(card, tx, profile, policy);
    let (of_all, mut parts) = match learned::score(&view, policy, in_use) {
        Some(found) => found,
        None => by_weights(&view, policy, in_use),
    };
    parts.retain(|(_, part)| *part > 0.0);
    parts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let blind = named == NamedProfile::Unavailable && view.earlier.len() < policy.neutral_below_events as usize;
    let (tiers, raw_score): (&[&str], f64) = match (cheap, named) {
        (Some(_), _) => (&["low_risk"], of_all),
        (None, _) if blind => {
            parts.clear();
            (&["neutral"], f64::from(policy.thresholds.review))
        }
        (None, NamedProfile::Unavailable) => (&["no_profile", "history_only"], of_all),
        (None, _) => (&["full"], of_all),
    };
    ExpectedOutcome {
        state_version: card.accepted,
        tiers,
        raw_score,
        parts,
        missing: missing(&view, named, policy),
        profile_unknown: matches!(named, NamedProfile::Version(_)) && profile.is_none(),
        model: policy.trees.as_ref().map(|trees| trees.key.to_string()),
        // Where outcomes carry them.
        features: policy
            .features()
            .filter(|key| policy.outcome_features && in_use(key))
            .map(|key| (key, learned::worth(key, &view, policy)))
            .collect(),
    }
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

fn missing(view: &View<'_>, named: NamedProfile, policy: &Policy) -> Vec<&'static str> {
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
        .map(|(_, name)| *name)
        .collect()
}

fn is_stale(view: &View<'_>, policy: &Policy) -> bool {
    let updated_ms = view.profile.and_then(|profile| profile.updated_at_ms);
    let (Some(updated_ms), Some(max_ms)) = (updated_ms, policy.profile_max_age_ms) else {
        return false;
    };
    view.tx.occurred_at_ms - updated_ms > max_ms
}
