//! The score: an additive model of surprise. Formulas and sources are in `docs/concepts/scoring.md`.

mod surprise;
mod tail;
#[cfg(test)]
mod tests;

use crate::catalogue::FeatureKey;
use crate::event::{Profile, Transaction};
use crate::history::History;
use crate::measure::{Measured, Observed, Walk};
use crate::outcome::{Missing, REASONS_MAX, Reason, SCORE_MAX, StoredOutcome, Tier};
use crate::policy::{Policy, Scoring};

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

    /// What is used of it for an event: nothing for one of low risk.
    pub(crate) const fn used_for(self, event: &Observed<'_>) -> Self {
        if event.is_low_risk { Self::Skipped } else { self }
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
pub fn score(state: &History, tx: &Transaction, profile: ProfileInput<'_>, policy: &Policy) -> StoredOutcome {
    let event = Observed::new(tx, policy);
    let profile = profile.used_for(&event);
    let measured = Walk::new(&event, event.judge).measure(state, profile.known());
    judge(&event, profile, &measured)
}

/// The outcome of what was measured for an event, with the profile that is used for it.
pub(crate) fn judge(event: &Observed<'_>, profile: ProfileInput<'_>, measured: &Measured<'_>) -> StoredOutcome {
    let (policy, known) = (event.judge, profile.known());
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
    let (tier, score, reasons) = if tier.is_degraded() && measured.prior_count() < policy.neutral_below_events {
        // Neither the profile nor the history says anything: a person should look.
        (Tier::Neutral, policy.thresholds.review, Vec::new())
    } else {
        let (score, reasons) = scored(measured, policy);
        (tier, score, reasons)
    };
    StoredOutcome {
        score,
        decision: policy.thresholds.decide(score),
        tier,
        missing: Missing(missing),
        reasons,
        policy_version: policy.version,
        profile_version: known.map(|profile| profile.version),
        features: if policy.outcome_features {
            measured.values(&policy.compiled)
        } else {
            Vec::new()
        },
        approximate: measured.errors(&policy.compiled),
    }
}

/// The score, and the reasons that are told with it.
fn scored(measured: &Measured<'_>, policy: &Policy) -> (u16, Vec<Reason>) {
    let surprises = Surprises::new(measured, policy);
    let score = score_of(surprises.total, &policy.scoring);
    let reasons = if score >= policy.scoring.reasons_min_score {
        surprises.reasons(&policy.scoring)
    } else {
        Vec::new()
    };
    (score, reasons)
}

/// `1000 · (1 − 2^(−S / half))`: each further `half` bits of surprise halve the distance to the top.
fn score_of(total_bits: f64, scoring: &Scoring) -> u16 {
    let share = 1.0 - libm::exp2(-total_bits / scoring.half_bits);
    // The share is from 0 to 1, so that the number fits.
    libm::round(f64::from(SCORE_MAX) * share) as u16
}

/// The greatest parts of an event's surprise, and their total.
struct Surprises {
    total: f64,
    /// The greatest first; equal ones in the policy's order. Unused places have 0 bits.
    top: [(Option<FeatureKey>, f64); REASONS_MAX],
}

impl Surprises {
    fn new(measured: &Measured<'_>, policy: &Policy) -> Self {
        let mut surprises = Self {
            total: 0.0,
            top: [(None, 0.0); REASONS_MAX],
        };
        for weight in policy.compiled.weights() {
            let bits = surprise::of(weight.feature, measured, policy);
            let part = weight.weight * (bits - policy.scoring.quiet_bits).max(0.0);
            if part > 0.0 {
                surprises.add(weight.feature.key, part);
            }
        }
        surprises
    }

    fn add(&mut self, key: FeatureKey, part: f64) {
        self.total += part;
        if let Some(at) = self.top.iter().position(|(_, other)| part > *other) {
            self.top[at..].rotate_right(1);
            self.top[at] = (Some(key), part);
        }
    }

    fn reasons(&self, scoring: &Scoring) -> Vec<Reason> {
        let share = |part: f64| libm::round(100.0 * part / self.total) as u8;
        self.top
            .iter()
            .filter_map(|(key, part)| {
                key.map(|key| Reason {
                    key,
                    share_pct: share(*part),
                })
            })
            .filter(|reason| reason.share_pct >= scoring.reasons_min_share_pct)
            .collect()
    }
}
