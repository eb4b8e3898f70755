//! A card's state: its recent events in event-time order, which are windows, dedupe record and outcome record at once.

use crate::event::{Country, Place, Verdict};
use crate::outcome::StoredOutcome;

/// One event in a card's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Arrival order on this card: the number of events accepted before it. It is also the state version that scored it.
    pub seq: u64,
    /// `fingerprint32(event_id)`.
    pub event_fp: u32,
    /// The amount in minor units of the policy's base currency.
    pub amount_base_minor: u64,
    /// `fingerprint32(merchant_id)`.
    pub merchant_fp: u32,
    /// The merchant's country.
    pub country: Country,
    /// `fingerprint32(device_id)`.
    pub device_fp: Option<u32>,
    /// Where it was.
    pub place: Option<Place>,
    /// Whether the issuer approved it.
    pub approved: bool,
    /// What came out.
    pub outcome: StoredOutcome,
    /// What was learned later: the verdict, and since when it is known (ms).
    pub label: Option<(Verdict, i64)>,
}

/// A card's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardState {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next_seq: u64,
}

impl CardState {
    /// The kept events, ordered by (event time, arrival).
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
