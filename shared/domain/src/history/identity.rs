//! What makes an event of a card one event: its id and its event time. A history keeps a fingerprint for the id.
//!
//! Of the fingerprint's 64 bits an entry always keeps the lower half. The upper half is kept where another event may
//! have to be told apart from it: with the newest arrival, with events that share their millisecond, and with those that came
//! late into sealed history. `docs/decisions/0007-told-apart.md` has the reasons and the risk that remains.

use crate::id::{EventId, fingerprint64};

use super::entry::{Entry, OrderKey};

/// An event of a card, as its history is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HistoryKey {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// `fingerprint64(event_id)`.
    pub fingerprint: u64,
}

impl HistoryKey {
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

/// What a history keeps of an event's identity: enough to say whether an event is the one of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    time_ms: i64,
    low: u32,
    high: Option<u32>,
}

impl EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn time_ms(self) -> i64 {
        self.time_ms
    }

    /// Whether this is the event of that id and time, as far as its fingerprint goes.
    #[must_use]
    pub fn is_of(self, event_id: &EventId, occurred_at_ms: i64) -> bool {
        self.time_ms == occurred_at_ms && self.has_id(event_id)
    }

    /// Whether this is an event of that id, whatever its time.
    #[must_use]
    pub fn has_id(self, event_id: &EventId) -> bool {
        let fingerprint = fingerprint64(event_id.as_str());
        self.low == low(fingerprint) && self.high.is_none_or(|kept| kept == high(fingerprint))
    }

    /// Whether both are of one event, as far as what is kept of them tells.
    #[must_use]
    pub fn is_same_event(self, other: Self) -> bool {
        let is_other_half = matches!((self.high, other.high), (Some(one), Some(two)) if one != two);
        (self.time_ms, self.low) == (other.time_ms, other.low) && !is_other_half
    }
}

impl Entry {
    /// What it keeps of its event's identity.
    #[must_use]
    pub const fn mark(&self) -> EventMark {
        EventMark {
            time_ms: self.time_ms,
            low: self.event_fp,
            high: self.event_fp_high,
        }
    }

    /// Whether two entries are of one event as far as what is kept of them tells: a history never holds such two.
    #[must_use]
    pub fn is_same_event(&self, other: &Self) -> bool {
        self.mark().is_same_event(other.mark())
    }

    /// Whether the entry's event may have the id of this fingerprint (`fingerprint64`): all bits that it keeps agree.
    #[must_use]
    pub fn is_of(&self, fingerprint: u64) -> bool {
        self.event_fp == low(fingerprint) && self.event_fp_high.is_none_or(|kept| kept == high(fingerprint))
    }
}
