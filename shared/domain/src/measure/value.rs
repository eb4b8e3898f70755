//! What each feature is worth, and how far off that may be.

use crate::catalogue::{FeatureKey, FeatureKind, FeatureValue, Need};
use crate::policy::{Compiled, Feature};

use super::measured::{HISTORY_EVENTS_MIN, Measured};

const MS_PER_SECOND: f64 = 1000.0;
const MS_PER_HOUR: f64 = 3_600_000.0;

impl Measured<'_> {
    /// The features of the policy of which the value, or what it weighs in the score, rests on an estimate: how far the
    /// value may be off, 1 at least. In the policy's order.
    pub(crate) fn errors(&self, policy: &Compiled) -> Vec<(FeatureKey, f64)> {
        let errors = policy
            .features()
            .iter()
            .map(|feature| (feature.key, self.error(*feature)));
        errors
            .filter(|(_, error)| *error > 0)
            .map(|(key, error)| (key, f64::from(error)))
            .collect()
    }

    /// What is new is as surprising as new ones were seldom before, and so are many different ones.
    fn error(&self, feature: Feature) -> u32 {
        let is_prior = self.prior_count() > 0;
        let window = || self.window(feature).copied().unwrap_or_default();
        let merchants_before = u32::from(is_prior && self.longest.merchants_error > 0);
        let countries_before = u32::from(is_prior && self.longest.countries_error > 0);
        let of_new = |is_unsure: bool, is_new: Option<bool>, before: u32| {
            u32::from(is_prior && is_unsure) | if is_new == Some(true) { before } else { 0 }
        };
        match feature.key.kind {
            FeatureKind::DistinctMerchants => window().merchants_error.max(merchants_before),
            FeatureKind::DistinctCountries => window().countries_error.max(countries_before),
            FeatureKind::NewMerchant => of_new(self.merchant_unsure, self.new_merchant(), merchants_before),
            FeatureKind::NewCountry => of_new(self.country_unsure, self.new_country(), countries_before),
            FeatureKind::NewDevice => of_new(
                self.has_device && self.device_unsure,
                self.new_device(),
                u32::from(self.devices_error > 0),
            ),
            FeatureKind::ForeignToProfile => {
                u32::from(self.profile.is_some() && self.foreign && self.foreign_unsure && is_prior)
            }
            FeatureKind::Count
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
            | FeatureKind::Speed => 0,
        }
    }

    /// The values of the policy's features.
    pub(crate) fn values(&self, policy: &Compiled) -> Vec<FeatureValue> {
        let features = policy.features().iter();
        features.map(|feature| (feature.key, self.value(*feature))).collect()
    }

    /// One value; `None` where its inputs are missing, or so absurd (a profile's) that no finite number comes out. One that
    /// needs this event's amount is `None` without it: a window's would be that of the other events.
    fn value(&self, feature: Feature) -> Option<f64> {
        if self.amount.is_none() && feature.key.kind.needs().has(Need::Amount) {
            return None;
        }
        self.raw(feature).filter(|value| value.is_finite())
    }

    fn raw(&self, feature: Feature) -> Option<f64> {
        let window = || self.window(feature);
        match feature.key.kind {
            FeatureKind::Count => window().map(|window| f64::from(window.count)),
            FeatureKind::Sum => window().map(|window| window.sum as f64),
            FeatureKind::Mean => window().map(|window| window.amounts().mean()),
            FeatureKind::Deviation => window().map(|window| window.amounts().deviation()),
            FeatureKind::Min => window().map(|window| window.min as f64),
            FeatureKind::Max => window().map(|window| window.max as f64),
            FeatureKind::ShareDeclined => window().map(|window| f64::from(window.declined) / f64::from(window.count)),
            FeatureKind::DistinctMerchants => window().map(|window| f64::from(window.merchants)),
            FeatureKind::DistinctCountries => window().map(|window| f64::from(window.countries)),
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
        }
    }

    fn amount_z(&self) -> Option<f64> {
        let prior = self.prior();
        let deviation = prior.deviation();
        let amount = self.amount? as f64;
        (prior.count >= HISTORY_EVENTS_MIN && deviation > 0.0).then(|| (amount - prior.mean()) / deviation)
    }

    fn amount_ratio(&self) -> Option<f64> {
        let prior = self.prior();
        let amount = self.amount? as f64;
        (prior.count >= HISTORY_EVENTS_MIN && prior.sum > 0).then(|| amount / prior.mean())
    }

    fn profile_amount_z(&self) -> Option<f64> {
        let profile = self.profile?;
        let deviation = profile.spend_deviation_minor;
        let amount = self.amount? as f64;
        (deviation > 0.0).then(|| (amount - profile.spend_mean_minor) / deviation)
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
