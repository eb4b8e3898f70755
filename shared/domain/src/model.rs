//! The score: an additive model, of surprise by weights or of points that were learned, or boosted trees. Formulas and sources are
//! in `docs/concepts/scoring.md`.

mod parts;
mod points;
mod ruled;
mod surprise;
mod tail;
#[cfg(test)]
mod tests;
mod trees;

use crate::catalogue::FeatureValue;
use crate::event::{Profile, Transaction};
use crate::history::History;
use crate::labelled::KeyInput;
use crate::measure::{Measured, Observed, Sweep};
use crate::outcome::{KeyRead, Missing, Reason, SCORE_MAX, StoredOutcome, Tier, ruled};
use crate::policy::{Feature, KeyTerms, Policy, Scoring};

use parts::Parts;

/// What is known for an event besides its card's history.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The card's profile.
    pub profile: ProfileInput<'a>,
    /// The labelled histories of the policy's keys, in its order; none for a policy without keys.
    pub keys: &'a [KeyInput<'a>],
}

impl<'a> From<ProfileInput<'a>> for Inputs<'a> {
    fn from(profile: ProfileInput<'a>) -> Self {
        Self { profile, keys: &[] }
    }
}

impl Inputs<'_> {
    /// What is used for an event: nothing for one of low risk.
    pub(crate) const fn used_for(self, event: &Observed<'_>) -> Self {
        if event.is_low_risk {
            Self {
                profile: ProfileInput::Skipped,
                keys: &[],
            }
        } else {
            self
        }
    }

    /// What an outcome says of the keys, as of its event's time (ms since 1970-01-01T00:00:00Z).
    fn key_reads(self, policy: &Policy, time_ms: i64) -> Vec<KeyRead> {
        let read = |(terms, input): (&KeyTerms, &KeyInput<'_>)| match input {
            KeyInput::Unnamed | KeyInput::Absent => None,
            KeyInput::Known(history) => Some(history.as_of(time_ms).version())
                .filter(|version| *version > 0)
                .map(|version| (terms.name, Some(version))),
            KeyInput::Unavailable => Some((terms.name, None)),
        };
        let reads = policy.keys.iter().zip(self.keys).filter_map(read);
        reads.map(|(name, version)| KeyRead { name, version }).collect()
    }
}

/// What is known of the card besides its history.
#[derive(Clone, Copy, Debug)]
pub enum ProfileInput<'a> {
    /// The card's profile.
    Known(&'a Profile),
    /// The card has none.
    Absent,
    /// It could not be read.
    Unavailable,
    /// It was not read on purpose.
    Skipped,
}

impl<'a> ProfileInput<'a> {
    pub(crate) const fn known(self) -> Option<&'a Profile> {
        match self {
            Self::Known(profile) => Some(profile),
            Self::Absent | Self::Unavailable | Self::Skipped => None,
        }
    }

    const fn missing(self) -> u8 {
        match self {
            Self::Known(_) => 0,
            Self::Absent => Missing::PROFILE_ABSENT,
            Self::Unavailable | Self::Skipped => Missing::PROFILE_UNAVAILABLE,
        }
    }

    const fn tier(self) -> Tier {
        match self {
            Self::Known(_) | Self::Absent => Tier::Full,
            Self::Unavailable => Tier::NoProfile,
            Self::Skipped => Tier::HistoryOnly,
        }
    }
}

/// The outcome of an event, given the card before it: a pure function of its arguments (I6).
///
/// Entries of `state` at or before the event's time count, later ones do not. Whatever is at hand, an event that the policy
/// holds for low risk is scored without the profile and with the features that the policy leaves it.
#[must_use]
pub fn score<'a>(state: &History, tx: &Transaction, inputs: impl Into<Inputs<'a>>, policy: &Policy) -> StoredOutcome {
    let event = Observed::new(tx, policy);
    let inputs = inputs.into().used_for(&event);
    let measured = Sweep::new(&event, event.judge).measure(state, inputs.profile.known(), inputs.keys);
    judge(&event, inputs, &measured)
}

/// The outcome of what was measured for an event, with the inputs that are used for it.
pub(crate) fn judge(event: &Observed<'_>, inputs: Inputs<'_>, measured: &Measured<'_>) -> StoredOutcome {
    let (policy, profile) = (event.judge, inputs.profile);
    let known = profile.known();
    let keys = inputs.key_reads(policy, event.key.time_ms);
    let mut missing = profile.missing();
    if known.is_some_and(|profile| policy.is_stale(profile, event.key.time_ms)) {
        missing |= Missing::PROFILE_STALE;
    }
    if measured.has_unpriced() {
        missing |= Missing::CURRENCY_RATE;
    }
    if measured.blurred || measured.truncated {
        missing |= Missing::HISTORY_TRUNCATED;
    }
    let tier = if event.is_low_risk {
        Tier::LowRisk
    } else {
        profile.tier()
    };
    let (tier, score, reasons) = if tier.is_degraded() && measured.past_count() < policy.neutral_below_events {
        // Neither the profile nor the history says anything: a person should look.
        (Tier::Neutral, policy.thresholds.review, Vec::new())
    } else {
        let is_key_lost = keys.iter().any(|key| key.version.is_none());
        let tier = if is_key_lost && tier == Tier::Full {
            Tier::NoKeys
        } else {
            tier
        };
        let tier = if policy.lists.reads().is_one_unread() && tier == Tier::Full {
            Tier::NoLists
        } else {
            tier
        };
        let (score, reasons) = scored(measured, policy);
        (tier, score, reasons)
    };
    let rules = ruled::hits(event, measured, policy, score);
    StoredOutcome {
        score,
        decision: ruled(policy.thresholds.decide(score), &rules),
        tier,
        missing: Missing(missing),
        reasons,
        policy_version: policy.version,
        profile_version: known.map(|profile| profile.version),
        features: if policy.outcome_features {
            values(measured, policy)
        } else {
            Vec::new()
        },
        approximate: measured.errors(policy),
        explained: points::is_explained(measured, policy),
        keys,
        model: policy.trees.as_ref().map(|trees| trees.key),
        rules,
        lists: policy.lists.reads().clone(),
    }
}

/// A feature's value, or how surprising that is, bits.
fn value(feature: Feature, measured: &Measured<'_>, policy: &Policy) -> Option<f64> {
    if feature.key.is_surprise() {
        Some(surprise::of(feature, measured, policy))
    } else {
        measured.value(feature, policy)
    }
}

/// The values of the policy's features, in its order.
fn values(measured: &Measured<'_>, policy: &Policy) -> Vec<FeatureValue> {
    let features = policy.compiled.features().iter();
    let values = features.map(|feature| (feature.key, value(*feature, measured, policy)));
    values.collect()
}

/// The score of points: 500 at even odds, 1000 / (1 + 2^(−bits / 4)) for the log2 of the odds in general.
#[must_use]
pub fn points_score(bits: f64) -> u16 {
    points::score_of(bits)
}

/// The score, and the reasons that are told with it.
fn scored(measured: &Measured<'_>, policy: &Policy) -> (u16, Vec<Reason>) {
    if let Some(trees) = &policy.trees {
        return trees::scored(trees, measured, policy);
    }
    let (score, parts) = match &policy.points {
        Some(points) => {
            let (bits, parts) = points::sum(points, measured, policy);
            (points::score_of(bits), parts)
        }
        None => {
            let parts = surprises(measured, policy);
            (score_of(parts.total, &policy.scoring), parts)
        }
    };
    (score, told(score, &policy.scoring, || parts))
}

/// The reasons of a score: none below the policy's least score.
fn told(score: u16, scoring: &Scoring, parts: impl FnOnce() -> Parts) -> Vec<Reason> {
    if score >= scoring.reasons_min_score {
        parts().reasons(scoring)
    } else {
        Vec::new()
    }
}

/// `1000 · (1 − 2^(−S / half))`: each further `half` bits of surprise halve the distance to the top.
fn score_of(total_bits: f64, scoring: &Scoring) -> u16 {
    let share = 1.0 - libm::exp2(-total_bits / scoring.half_bits);
    // The share is from 0 to 1, so that the number fits.
    libm::round(f64::from(SCORE_MAX) * share) as u16
}

/// The surprise of each weighed feature beyond what counts as ordinary.
fn surprises(measured: &Measured<'_>, policy: &Policy) -> Parts {
    let mut parts = Parts::default();
    for weight in policy.compiled.weights() {
        let bits = surprise::of(weight.feature, measured, policy);
        parts.add(
            weight.feature.key,
            weight.weight * (bits - policy.scoring.quiet_bits).max(0.0),
        );
    }
    parts
}
