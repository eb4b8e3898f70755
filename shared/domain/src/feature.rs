//! Features of a card as of an event's own time.

use crate::card::CardState;
use crate::event::{Profile, Transaction};
use crate::policy::Policy;

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
#[allow(unused_imports)]
use {CardState as _, Policy as _, Profile as _, Transaction as _};
