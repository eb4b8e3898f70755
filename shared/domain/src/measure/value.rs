//! What each feature is worth, and how far off that may be.

use crate::catalogue::{FeatureKey, FeatureKind, FeatureValue, KeyName, Need};
use crate::policy::{Feature, Policy};

use super::measured::{Measured, PAST_EVENTS_MIN};

const MS_PER_SECOND: f64 = 1000.0;
const MS_PER_HOUR: f64 = 3_600_000.0;
const MS_PER_DAY: f64 = 86_400_000.0;
const MS_PER_MINUTE: i64 = 60_000;

impl Measured<'_> {
    /// The features of the policy of which the value, or what it weighs in the score, rests on an estimate: how far the
    /// value may be off, 1 at least. In the policy's order.
    pub(crate) fn errors(&self, policy: &Policy) -> Vec<(FeatureKey, f64)> {
        if !self.summed && !self.category_unsure {
            return Vec::new();
        }
        let features = policy.compiled.features().iter();
        let errors = features.map(|feature| match feature.key.kind {
            FeatureKind::AmountMedianRatio => (feature.key, self.median_error()),
            // The hour itself is never an estimate, only how rare it is.
            FeatureKind::HourOfDay if !is_surprise_of(*feature, policy) => (feature.key, 0.0),
            _ => (feature.key, f64::from(self.error(*feature))),
        });
        errors.filter(|(_, error)| *error > 0.0).collect()
    }

    /// What is new is as surprising as new ones were seldom before, and so are many different ones.
    fn error(&self, feature: Feature) -> u32 {
        let has_past = self.past_count() > 0;
        let pane = || self.pane(feature).copied().unwrap_or_default();
        let merchants_before = u32::from(has_past && self.longest.merchants_error > 0);
        let countries_before = u32::from(has_past && self.longest.countries_error > 0);
        let of_new = |is_unsure: bool, is_new: Option<bool>, before: u32| {
            u32::from(has_past && is_unsure) | if is_new == Some(true) { before } else { 0 }
        };
        match feature.key.kind {
            FeatureKind::DistinctMerchants => pane().merchants_error.max(merchants_before),
            FeatureKind::DistinctCountries => pane().countries_error.max(countries_before),
            FeatureKind::NewMerchant => of_new(self.merchant_unsure, self.new_merchant(), merchants_before),
            FeatureKind::NewCountry => of_new(self.country_unsure, self.new_country(), countries_before),
            FeatureKind::NewDevice => of_new(
                self.has_device && self.device_unsure,
                self.new_device(),
                u32::from(self.devices_error > 0),
            ),
            FeatureKind::ForeignToProfile => {
                u32::from(self.profile.is_some() && self.foreign && self.foreign_unsure && has_past)
            }
            FeatureKind::HourOfDay => u32::from(self.unlisted > 0),
            FeatureKind::NewMerchantCategory => u32::from(has_past && self.category_unsure),
            FeatureKind::Frauds if feature.key.of == Some(KeyName::CARD) => self.unlisted_within(feature),
            FeatureKind::Count
            | FeatureKind::Frauds
            | FeatureKind::FraudRun
            | FeatureKind::FraudRunAge
            | FeatureKind::SinceFraud
            | FeatureKind::AmountMedianRatio
            | FeatureKind::AmountBeforeRatio
            | FeatureKind::MaxRatio
            | FeatureKind::AmountPopulation
            | FeatureKind::Sum
            | FeatureKind::Mean
            | FeatureKind::Deviation
            | FeatureKind::Min
            | FeatureKind::Max
            | FeatureKind::ShareDeclined
            | FeatureKind::SinceLast
            | FeatureKind::AmountZ
            | FeatureKind::AmountRatio
            | FeatureKind::ProfileAmountZ
            | FeatureKind::ProfileCountRatio
            | FeatureKind::CardAge
            | FeatureKind::Weekend
            | FeatureKind::Speed => 0,
        }
    }

    /// The values of the policy's features.
    pub(crate) fn values(&self, policy: &Policy) -> Vec<FeatureValue> {
        let features = policy.compiled.features().iter();
        features
            .map(|feature| (feature.key, self.value(*feature, policy)))
            .collect()
    }

    /// One value; `None` where its inputs are missing, or so absurd (a profile's) that no finite number comes out. One that
    /// needs this event's amount is `None` without it: a window's would be that of the other events.
    pub(crate) fn value(&self, feature: Feature, policy: &Policy) -> Option<f64> {
        if feature.key.is_surprise() {
            return None;
        }
        if self.amount.is_none() && feature.key.kind.needs().has(Need::Amount) {
            return None;
        }
        self.raw(feature, policy).filter(|value| value.is_finite())
    }

    fn raw(&self, feature: Feature, policy: &Policy) -> Option<f64> {
        let pane = || self.pane(feature);
        match feature.key.kind {
            FeatureKind::Count => pane().map(|pane| f64::from(pane.count)),
            FeatureKind::Sum => pane().map(|pane| pane.sum as f64),
            FeatureKind::Mean => pane().map(|pane| pane.amounts().mean()),
            FeatureKind::Deviation => pane().map(|pane| pane.amounts().deviation()),
            FeatureKind::Min => pane().map(|pane| pane.min as f64),
            FeatureKind::Max => pane().map(|pane| pane.max as f64),
            FeatureKind::ShareDeclined => pane().map(|pane| f64::from(pane.declined) / f64::from(pane.count)),
            FeatureKind::DistinctMerchants => pane().map(|pane| f64::from(pane.merchants)),
            FeatureKind::DistinctCountries => pane().map(|pane| f64::from(pane.countries)),
            FeatureKind::SinceLast => self.since_last_ms().map(|elapsed| elapsed as f64 / MS_PER_SECOND),
            FeatureKind::AmountZ => self.amount_z(),
            FeatureKind::AmountRatio => self.amount_ratio(),
            FeatureKind::ProfileAmountZ => self.profile_amount_z(),
            FeatureKind::ProfileCountRatio => self.usual_per_day().map(|usual| f64::from(self.count_day) / usual),
            FeatureKind::NewMerchant => self.new_merchant().map(flag),
            FeatureKind::NewCountry => self.new_country().map(flag),
            FeatureKind::NewDevice => self.new_device().map(flag),
            FeatureKind::Speed => self
                .travel
                .map(|travel| travel.km / (travel.elapsed_ms as f64 / MS_PER_HOUR)),
            FeatureKind::ForeignToProfile => self.profile.map(|_| flag(self.foreign)),
            FeatureKind::FraudRun => {
                let known = self.key(feature)?;
                let run = known.run(policy.run_gap_ms);
                Some(run.map_or(0.0, |run| f64::from(run.frauds)))
            }
            FeatureKind::FraudRunAge => {
                let run = self.key(feature)?.run(policy.run_gap_ms)?;
                Some(self.seconds_since(run.first_ms))
            }
            FeatureKind::Frauds => self.frauds(feature),
            FeatureKind::SinceFraud => {
                let latest_ms = self.key(feature)?.latest_unexplained_ms()?;
                Some(self.seconds_since(latest_ms))
            }
            FeatureKind::AmountMedianRatio => self.amount_median_ratio(),
            FeatureKind::AmountBeforeRatio => self.ratio_before(feature, self.amount?),
            FeatureKind::MaxRatio => self.ratio_before(feature, pane()?.max),
            FeatureKind::CardAge => {
                let age_ms = self.time_ms.saturating_sub(self.opened_ms?);
                // Clocks may differ a little: nothing is older than its account.
                Some(age_ms.max(0) as f64 / MS_PER_DAY)
            }
            FeatureKind::HourOfDay => Some(self.hour as f64),
            FeatureKind::Weekend => Some(flag(self.weekend)),
            FeatureKind::NewMerchantCategory => self.new_category().map(flag),
            FeatureKind::AmountPopulation => {
                let population = policy.population.as_ref()?;
                Some(population.bits_of(self.amount? as f64))
            }
        }
    }

    fn seconds_since(&self, time_ms: i64) -> f64 {
        self.time_ms.saturating_sub(time_ms) as f64 / MS_PER_SECOND
    }

    /// Known frauds of a window, of a key or of the card's own events.
    fn frauds(&self, feature: Feature) -> Option<f64> {
        let window_ms = i64::from(feature.key.window_minutes) * MS_PER_MINUTE;
        let frauds = if feature.key.of == Some(KeyName::CARD) {
            let start_ms = self.time_ms.saturating_sub(window_ms);
            let within = self.frauds_ms.iter().filter(|time_ms| **time_ms > start_ms).count();
            u32::try_from(within).unwrap_or(u32::MAX)
        } else {
            self.key(feature)?.frauds_within(window_ms)
        };
        Some(f64::from(frauds))
    }

    /// Sealed events whose labels were not looked at, as far as the window may hold them.
    fn unlisted_within(&self, feature: Feature) -> u32 {
        let window_ms = i64::from(feature.key.window_minutes) * MS_PER_MINUTE;
        if self.unlisted_last_ms > self.time_ms.saturating_sub(window_ms) {
            self.unlisted
        } else {
            0
        }
    }

    fn amount_median_ratio(&self) -> Option<f64> {
        let (amount, past) = (self.amount? as f64, self.past());
        // Where all earlier events are sealed, their mean stands for their median: both lie between the least and the greatest.
        (past.count >= PAST_EVENTS_MIN).then(|| amount / self.median.unwrap_or_else(|| past.mean()))
    }

    /// The median of all lies between the least and the greatest of all.
    fn median_error(&self) -> f64 {
        let (Some(value), Some(amount)) = (self.amount_median_ratio(), self.amount) else {
            return 0.0;
        };
        if self.unlisted == 0 {
            return 0.0;
        }
        let of = |other: u64| (amount as f64 / other.max(1) as f64 - value).abs();
        of(self.longest.min).max(of(self.longest.max))
    }

    /// An amount over the mean of the amounts before the feature's window.
    fn ratio_before(&self, feature: Feature, amount: u64) -> Option<f64> {
        let before = self.before(self.pane(feature)?);
        (before.count >= PAST_EVENTS_MIN && before.sum > 0).then(|| amount as f64 / before.mean())
    }

    fn amount_z(&self) -> Option<f64> {
        let past = self.past();
        let deviation = past.deviation();
        let amount = self.amount? as f64;
        (past.count >= PAST_EVENTS_MIN && deviation > 0.0).then(|| (amount - past.mean()) / deviation)
    }

    fn amount_ratio(&self) -> Option<f64> {
        let past = self.past();
        let amount = self.amount? as f64;
        (past.count >= PAST_EVENTS_MIN && past.sum > 0).then(|| amount / past.mean())
    }

    fn profile_amount_z(&self) -> Option<f64> {
        let profile = self.profile?;
        let deviation = profile.spend_deviation_minor;
        let amount = self.amount? as f64;
        (deviation > 0.0).then(|| (amount - profile.spend_mean_minor) / deviation)
    }
}

/// Whether a policy asks how surprising a feature is.
fn is_surprise_of(feature: Feature, policy: &Policy) -> bool {
    let mut weights = policy.compiled.weights().iter();
    feature.key.is_surprise() || weights.any(|weight| weight.feature.key == feature.key)
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
