//! One event, as a history keeps it.

use crate::catalogue::KeyName;
use crate::event::{Country, Place, Verdict};
use crate::outcome::StoredOutcome;

/// What stands for an amount that is not known, since the policy had no rate for its currency: no event has an amount of 0.
pub const UNPRICED: u64 = 0;
/// The highest amount in base minor units that is told apart from higher ones: squares and sums of a full head stay exact.
pub const BASE_AMOUNT_MAX: u64 = 1 << 50;

/// One event in a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Arrival order in this history: the number of events accepted before it. It is also the state version that scored it.
    pub seq: u64,
    /// The lower half of `fingerprint64(event_id)`, which is `fingerprint32` of it.
    pub event_fp: u32,
    /// The upper half, where it is kept: [`HistoryKey`] says when.
    pub event_fp_high: Option<u32>,
    /// The amount in minor units of the policy's base currency; [`UNPRICED`] when the policy had no rate for its own.
    pub amount_base_minor: u64,
    /// `fingerprint32(merchant_id)`: the lower half of `fingerprint64` of it.
    pub merchant_fp: u32,
    /// The upper half, where the policy keeps a labelled history of merchants: with the lower one it is the key's identity.
    pub merchant_fp_high: Option<u32>,
    /// The merchant's country.
    pub country: Country,
    /// `fingerprint32(device_id)`: the lower half of `fingerprint64` of it.
    pub device_fp: Option<u32>,
    /// The upper half, where the policy keeps a labelled history of devices.
    pub device_fp_high: Option<u32>,
    /// Names of links that the policy keeps labelled histories by, and `fingerprint64` of their ids, by name.
    pub links: Vec<(KeyName, u64)>,
    /// The merchant category code, where the policy has a feature of it.
    pub category: Option<u16>,
    /// Where it was.
    pub place: Option<Place>,
    /// Whether the issuer approved it.
    pub approved: bool,
    /// What came out.
    pub outcome: StoredOutcome,
    /// What was learned later: the verdict, and since when it is known (ms).
    pub label: Option<(Verdict, i64)>,
}

/// What orders sealed events: event time (ms) and the lower half of the id's fingerprint. Two events may share it.
pub(crate) type OrderKey = (i64, u32);

impl Entry {
    /// `fingerprint64(merchant_id)`, where both halves are kept.
    #[must_use]
    pub fn merchant_identity(&self) -> Option<u64> {
        self.merchant_fp_high.map(|high| whole(high, self.merchant_fp))
    }

    /// `fingerprint64(device_id)`, where both halves are kept.
    #[must_use]
    pub fn device_identity(&self) -> Option<u64> {
        self.device_fp_high
            .zip(self.device_fp)
            .map(|(high, low)| whole(high, low))
    }

    /// `fingerprint64` of the id under a link's name, where it is kept.
    #[must_use]
    pub fn link_identity(&self, name: KeyName) -> Option<u64> {
        let found = self.links.iter().find(|(other, _)| *other == name);
        found.map(|(_, identity)| *identity)
    }

    pub(crate) const fn order(&self) -> OrderKey {
        (self.time_ms, self.event_fp)
    }
}

/// A fingerprint from its halves.
const fn whole(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}
