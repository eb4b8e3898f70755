//! What the contract accepts: schemas, versions and ranges.

use crate::event::Event;

pub use crate::event::MCC_MAX;

/// The largest mean or deviation in a profile, minor units of the base currency.
pub const SPEND_MINOR_MAX: f64 = 1e15;
/// The largest usual number of transactions a day in a profile.
pub const TRANSACTIONS_PER_DAY_MAX: f64 = 1e6;
/// The first time that is taken for milliseconds: 1973-03-03. The same moment in seconds is the year 5138, so that no
/// seconds of our time reach it.
pub const TIME_MS_START: i64 = 100_000_000_000;
/// The first time that is too far for milliseconds: the year 5138. In microseconds it is 1973-03-03, so that all
/// microseconds of our time lie beyond it.
pub const TIME_MS_END: i64 = 100_000_000_000_000;
/// Steps of the grid of places in a degree.
pub(super) const PLACE_SCALE: f64 = 10_000.0;

/// Names and versions of transactions.
pub(super) mod transaction_v {
    pub(in crate::contract) const NAME: &str = "transaction";
    pub(in crate::contract) const V1: u32 = 1;
    pub(in crate::contract) const V2: u32 = 2;
    pub(in crate::contract) const V3: u32 = 3;
}

/// Name and version of profiles.
pub(super) mod profile_v {
    pub(in crate::contract) const NAME: &str = "profile";
    pub(in crate::contract) const V1: u32 = 1;
}

/// Name and version of labels.
pub(super) mod label_v {
    pub(in crate::contract) const NAME: &str = "label";
    pub(in crate::contract) const V1: u32 = 1;
    pub(in crate::contract) const V2: u32 = 2;
}

/// What the contract accepts, where a policy may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest payload, bytes.
    pub payload_bytes_max: usize,
    /// The deepest nesting of arrays and objects; the event itself is the first level. Beyond 127 no text can be read,
    /// whatever is set here.
    pub nesting_max: usize,
    /// How far event time may be ahead of arrival, ms; that far is accepted.
    pub skew_ms: i64,
    /// How far a transaction's event time may be behind arrival, ms; that far is accepted.
    pub lateness_ms: i64,
    /// The largest amount, minor units of its currency.
    pub amount_minor_max: u64,
}

impl Bounds {
    /// The bounds of the built-in policy.
    pub const BUILT_IN: Self = Self {
        payload_bytes_max: 64 * 1024,
        nesting_max: 16,
        skew_ms: 5 * 60 * 1000,
        lateness_ms: 2 * 24 * 60 * 60 * 1000,
        amount_minor_max: 1_000_000_000_000,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::BUILT_IN
    }
}

/// An accepted payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What it says.
    pub event: Event,
    /// Members of its top level that its schema and version do not know; tolerated.
    pub unknown_fields: u32,
}
