//! What a policy says, once it is checked.

use std::sync::Arc;

use crate::catalogue::{FeatureKey, KeyName};
use crate::contract::Bounds;
use crate::event::{Currency, Profile, Transaction};
use crate::history::{self, BASE_AMOUNT_MAX};
use crate::lists::List;
use crate::outcome::Decision;

use super::compiled::Compiled;
use super::key_terms::KeyTerms;
use super::learned::{ExpectedShares, Explained, Points, Population, Trees};
use super::listed::PolicyLists;
use super::ruled::Rules;

const MS_PER_MINUTE: i64 = 60_000;

/// A checked policy. Its fields are read by everybody and written only by [`Policy::parse`].
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Named in every outcome.
    pub version: u32,
    /// What the contract accepts.
    pub bounds: Bounds,
    /// Windows, features and weights, ready for an event.
    pub compiled: Compiled,
    /// From which score on an event is reviewed or raises an alert.
    pub thresholds: Thresholds,
    /// How surprise becomes a score.
    pub scoring: Scoring,
    /// How far behind a card's newest event time an event may lie and still be told from a duplicate, ms.
    pub dedupe_horizon_ms: i64,
    /// Whether events are taken for their card's history alone, as an import does: see [`Policy::for_import`].
    pub takes_history: bool,
    /// The base currency and the rates to it.
    pub currency: CurrencyRates,
    /// Whether outcomes carry the feature values.
    pub outcome_features: bool,
    /// How many events a card's head keeps, 1 to [`Policy::HEAD_EVENTS_LIMIT`].
    pub head_events_max: usize,
    /// How many bytes a card's state has before its oldest events are sealed, where they may be had in fewer write units.
    pub head_bytes_max: usize,
    /// Which events are scored cheaply; `None`: none is.
    pub low_risk: Option<LowRisk>,
    /// An event whose card's profile was not read is neutral when the longest window holds fewer earlier events than this.
    pub neutral_below_events: u32,
    /// How old a profile may be as of an event's time before its outcome says so, ms; `None`: any age.
    pub profile_max_age_ms: Option<i64>,
    /// Keys beyond the card whose labelled histories are kept and read, at most [`KEYS_MAX`](crate::outcome::KEYS_MAX).
    pub keys: Vec<KeyTerms>,
    /// A row of frauds ends when so long passes without one, ms.
    pub run_gap_ms: i64,
    /// How rare amounts are among all cards.
    pub population: Option<Population>,
    /// Points, which score instead of surprise and weights.
    pub points: Option<Points>,
    /// Trees, which score instead of all of these.
    pub trees: Option<Trees>,
    /// Which events their card's own features explain; `None`: none is.
    pub explained: Option<Explained>,
    /// How often it is to alert and to review; `None`: it does not say. No score depends on it.
    pub expected: Option<ExpectedShares>,
    /// How far the zone in which hours and days are told is ahead of UTC, ms.
    pub zone_offset_ms: i64,
    /// Rules, which decide beside the score.
    pub rules: Rules,
    /// Lists that rules ask: those declared, and those at hand ([`Policy::with_lists`]).
    pub lists: PolicyLists,
}

/// Which events a policy holds for low risk, and what they are scored with: their history, never a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRisk {
    /// The highest amount, base minor units. An amount whose currency has no rate is never one of low risk.
    pub amount_max_minor: u64,
    /// Merchant category codes, ascending, each once; empty: all.
    pub merchant_categories: Vec<u16>,
    /// The policy that scores them: all as in the one around it, with a part of its features and their weights.
    pub policy: Arc<Policy>,
}

impl LowRisk {
    /// Whether an event of this merchant category and of this amount in the base currency is one of low risk.
    pub(crate) fn holds(&self, category: u16, amount: Option<u64>) -> bool {
        let categories = &self.merchant_categories;
        (categories.is_empty() || categories.binary_search(&category).is_ok())
            && amount.is_some_and(|amount| amount <= self.amount_max_minor)
    }
}

/// Decision thresholds, 1 to 1000, `review` below `alert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// From this score on a person should look.
    pub review: u16,
    /// From this score on somebody should act at once.
    pub alert: u16,
}

impl Thresholds {
    /// The decision that a score comes to.
    #[must_use]
    pub const fn decide(self, score: u16) -> Decision {
        if score >= self.alert {
            Decision::Alert
        } else if score >= self.review {
            Decision::Review
        } else {
            Decision::Pass
        }
    }
}

/// How surprise becomes a score, and which part of it is told as reasons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// Surprise that halves the distance to the highest score, bits.
    pub half_bits: f64,
    /// Surprise of one feature that counts as ordinary and is taken off, bits.
    pub quiet_bits: f64,
    /// The most that one feature can surprise, before it is weighed, bits.
    pub feature_bits_max: f64,
    /// Outcomes below this score keep no reasons.
    pub reasons_min_score: u16,
    /// Reasons below this share of the surprise are left out, percent.
    pub reasons_min_share_pct: u8,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            half_bits: 10.0,
            quiet_bits: 3.0,
            feature_bits_max: 30.0,
            reasons_min_score: 300,
            reasons_min_share_pct: 5,
        }
    }
}

/// The base currency, and what a unit of the others is worth in it.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrencyRates {
    /// The currency of every amount in state, features and profiles.
    pub base: Currency,
    /// Base units for one unit (not minor unit) of the currency, ascending by currency; the base itself is not listed.
    pub rates: Vec<(Currency, f64)>,
}

impl CurrencyRates {
    /// Base units for one unit of a currency other than the base.
    #[must_use]
    pub fn rate(&self, currency: Currency) -> Option<f64> {
        let at = self.rates.binary_search_by_key(&currency, |(other, _)| *other).ok()?;
        self.rates.get(at).map(|(_, rate)| *rate)
    }
}

impl Policy {
    /// The most events that a card's head may keep.
    pub const HEAD_EVENTS_LIMIT: usize = history::HEAD_EVENTS_LIMIT;
    /// Minutes in a day, the window of `profile_count_ratio`.
    pub const MINUTES_PER_DAY: u32 = 1440;
    /// The most windows that a policy may name.
    pub const WINDOWS_LIMIT: usize = 16;

    /// The most merchant categories that a policy may name.
    pub const MERCHANT_CATEGORIES_LIMIT: usize = 1000;

    /// Window lengths in minutes, ascending, each once.
    #[must_use]
    pub fn windows(&self) -> &[u32] {
        self.compiled.windows()
    }

    /// What is computed, in the order of the file.
    pub fn features(&self) -> impl ExactSizeIterator<Item = FeatureKey> + DoubleEndedIterator {
        self.compiled.features().iter().map(|feature| feature.key)
    }

    /// What is scored: each one of the features, in their order, with a weight over 0.
    pub fn weights(&self) -> impl ExactSizeIterator<Item = (FeatureKey, f64)> {
        let weights = self.compiled.weights().iter();
        weights.map(|weight| (weight.feature.key, weight.weight))
    }

    /// What scores an event of low risk; `None` for any other. A function of the event and the policy alone, so that a replay
    /// finds the same (I6).
    #[must_use]
    pub fn low_risk_for(&self, tx: &Transaction) -> Option<&Self> {
        let low_risk = self.low_risk.as_ref()?;
        low_risk
            .holds(tx.mcc, base_amount(tx, self))
            .then_some(&*low_risk.policy)
    }

    /// Whether a profile is too old for an event at a time (ms since 1970-01-01T00:00:00Z). One that does not say its age never is.
    #[must_use]
    pub fn is_stale(&self, profile: &Profile, time_ms: i64) -> bool {
        let age_ms = profile
            .updated_at_ms
            .map(|updated_ms| time_ms.saturating_sub(updated_ms));
        matches!((age_ms, self.profile_max_age_ms), (Some(age_ms), Some(max_ms)) if age_ms > max_ms)
    }

    /// The longest window, ms.
    #[must_use]
    pub fn window_max_ms(&self) -> i64 {
        i64::from(self.windows().last().copied().unwrap_or(0)) * MS_PER_MINUTE
    }

    /// The same policy with lists: `find` has them by their names. One of another kind than the policy declares is none.
    #[must_use]
    pub fn with_lists(&self, find: impl Fn(KeyName) -> Option<Arc<List>>) -> Self {
        let lists = self.lists.found(find);
        let low_risk = self.low_risk.clone().map(|low_risk| {
            let policy = Self {
                lists: lists.clone(),
                ..Self::clone(&low_risk.policy)
            };
            LowRisk {
                policy: Arc::new(policy),
                ..low_risk
            }
        });
        Self {
            low_risk,
            lists,
            ..self.clone()
        }
    }

    /// The same policy for an import of history: nobody acts on the outcomes, so an event may be as late as it likes, and lie as far
    /// behind its card's newest event as anything is kept. Behind the dedupe horizon it may miss a part of its own longest window; it
    /// is told from a duplicate all the same, since all that is newer than the retention is kept.
    #[must_use]
    pub fn for_import(&self) -> Self {
        let mut policy = self.clone();
        policy.takes_history = true;
        policy.bounds.lateness_ms = i64::MAX / 4; // no time that the contract can read is outside
        policy
    }

    /// How far behind its card's newest event time an event is taken, ms.
    #[must_use]
    pub fn reach_ms(&self) -> i64 {
        if self.takes_history {
            self.retention_ms()
        } else {
            self.dedupe_horizon_ms
        }
    }

    /// How long an event is kept behind its card's newest event time, ms: any event that is still accepted finds its
    /// whole longest window.
    #[must_use]
    pub fn retention_ms(&self) -> i64 {
        self.window_max_ms() + self.dedupe_horizon_ms
    }
}

/// The amount in minor units of the policy's base currency, 1 to [`BASE_AMOUNT_MAX`]; `None` when the policy has no rate for
/// its currency: then nobody can say.
#[must_use]
pub fn base_amount(tx: &Transaction, policy: &Policy) -> Option<u64> {
    let base = policy.currency.base;
    if tx.currency == base {
        return Some(tx.amount_minor.clamp(1, BASE_AMOUNT_MAX));
    }
    let rate = policy.currency.rate(tx.currency)?;
    let scale = |currency: Currency| (0..currency.minor_digits()).fold(1.0, |scale, _| scale * 10.0);
    let amount = libm::round(tx.amount_minor as f64 * rate * scale(base) / scale(tx.currency));
    // A float beyond the integer's range saturates.
    Some((amount as u64).clamp(1, BASE_AMOUNT_MAX))
}
