//! What makes an event of a card one event: its id and its event time. A card's history keeps a fingerprint for the id.
//!
//! Of the fingerprint's 64 bits an entry always keeps the lower half. The upper half is kept where another event may
//! have to be told apart from it: with the newest arrival, with events that share their millisecond, and with those that came
//! late into sealed history. `docs/decisions/0007-told-apart.md` has the reasons and the risk that remains.

use crate::id::fingerprint64;

use super::Entry;
use super::sealed::OrderKey;

/// An event of a card, as its history is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FingerprintKey {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// `fingerprint64(event_id)`.
    pub fingerprint: u64,
}

impl FingerprintKey {
    /// The event of an id at a time (ms since 1970-01-01T00:00:00Z).
    #[must_use]
    pub fn new(event_id: &str, time_ms: i64) -> Self {
        Self {
            time_ms,
            fingerprint: fingerprint64(event_id),
        }
    }

    /// Whether a kept event is this one, as far as its fingerprint goes.
    #[must_use]
    pub fn matches(self, entry: &Entry) -> bool {
        entry.time_ms == self.time_ms && entry.is_of(self.fingerprint)
    }

    pub(crate) const fn order(self) -> OrderKey {
        (self.time_ms, low(self.fingerprint))
    }
}

/// The half of a fingerprint that every entry keeps.
#[allow(clippy::cast_possible_truncation)] // the other half is `high`
pub(crate) const fn low(fingerprint: u64) -> u32 {
    fingerprint as u32
}

/// The other half.
pub(crate) const fn high(fingerprint: u64) -> u32 {
    (fingerprint >> 32) as u32
}

impl Entry {
    /// Whether two entries are of one event as far as what is kept of them tells: a history never holds such two.
    #[must_use]
    pub fn is_same_event(&self, other: &Self) -> bool {
        let is_other_half = matches!((self.event_fp_high, other.event_fp_high), (Some(one), Some(two)) if one != two);
        self.order() == other.order() && !is_other_half
    }

    /// Whether the entry's event may have the id of this fingerprint (`fingerprint64`): all bits that it keeps agree.
    #[must_use]
    pub fn is_of(&self, fingerprint: u64) -> bool {
        self.event_fp == low(fingerprint) && self.event_fp_high.is_none_or(|kept| kept == high(fingerprint))
    }
}
