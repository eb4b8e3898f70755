//! Features of a card as of an event's own time: what they are called, and what they are worth.
//!
//! The formulas are in `docs/concepts/windows.md`; [`compute`] is the whole interface.

mod distinct;
mod geo;
mod key;
pub(crate) mod measure;
pub(crate) mod needs;
mod pass;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use crate::card::CardState;
use crate::event::{Profile, Transaction};
use crate::policy::Policy;

use measure::Measured;

pub use key::UnknownFeature;
pub use measure::HISTORY_EVENTS_MIN;

/// What a feature measures. Numbers are persisted in outcomes: keep them stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FeatureKind {
    /// Events in the window, the scored one included.
    Count = 1,
    /// Sum of amounts in the window, base minor units.
    Sum = 2,
    /// Mean amount in the window, base minor units.
    Mean = 3,
    /// Standard deviation (population) of amounts in the window, base minor units.
    Deviation = 4,
    /// Smallest amount in the window, base minor units.
    Min = 5,
    /// Largest amount in the window, base minor units.
    Max = 6,
    /// Declined share of the events in the window, 0 to 1.
    ShareDeclined = 7,
    /// Distinct merchants in the window.
    DistinctMerchants = 8,
    /// Distinct countries in the window.
    DistinctCountries = 9,
    /// Seconds since the card's previous transaction.
    SinceLast = 10,
    /// Amount against the card's own history: z-score.
    AmountZ = 11,
    /// Amount against the card's own history: ratio to the mean.
    AmountRatio = 12,
    /// Amount against the profile: z-score.
    ProfileAmountZ = 13,
    /// Count in a day against the profile's usual count: ratio.
    ProfileCountRatio = 14,
    /// 1 when the card's history does not hold this merchant.
    NewMerchant = 15,
    /// 1 when the card's history does not hold this country.
    NewCountry = 16,
    /// 1 when the card's history does not hold this device.
    NewDevice = 17,
    /// Great-circle speed from the previous placed transaction, km/h.
    Speed = 18,
    /// 1 when the country is not the profile's usual one.
    ForeignToProfile = 19,
}

/// A feature's full name: what, and over which window (0: not windowed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey {
    /// What is measured.
    pub kind: FeatureKind,
    /// Over how many minutes up to the event, 1 to 43,200; 0 for a feature without a window.
    pub window_minutes: u16,
}

/// A feature's value; `None` where its inputs are missing (no history, no profile, no place).
pub type FeatureValue = (FeatureKey, Option<f64>);

/// The values of the features that a policy names, in the policy's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureSet {
    values: Vec<FeatureValue>,
}

impl FeatureSet {
    /// The features and their values, in the policy's order.
    #[must_use]
    pub fn values(&self) -> &[FeatureValue] {
        &self.values
    }

    /// The features and their values, taken out.
    #[must_use]
    pub fn into_values(self) -> Vec<FeatureValue> {
        self.values
    }

    /// One feature's value; `None` when the policy does not name it or its inputs are missing.
    #[must_use]
    pub fn get(&self, key: FeatureKey) -> Option<f64> {
        self.values
            .iter()
            .find(|(k, _)| *k == key)
            .and_then(|(_, value)| *value)
    }
}

/// The features that the policy names, as of the event's own time.
///
/// `state` is the card before the event; its entries at or before the event's time count, later ones do not.
#[must_use]
pub fn compute(state: &CardState, tx: &Transaction, profile: Option<&Profile>, policy: &Policy) -> FeatureSet {
    let measured = Measured::new(state, tx, profile, policy);
    FeatureSet {
        values: measured.values(policy),
    }
}
