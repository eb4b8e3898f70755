//! What a history keeps of an event's identity, for whoever looks for many events in many histories.

use super::Entry;
use super::identity::{high, low};
use crate::id::{EventId, fingerprint64};

/// The identity of an event as its card's history keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    time_ms: i64,
    event_fp: u32,
    event_fp_high: Option<u32>,
}

impl EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn time_ms(self) -> i64 {
        self.time_ms
    }

    /// Whether this is the event of that id and time, as far as what is kept of it tells.
    #[must_use]
    pub fn is_of(self, event_id: &EventId, occurred_at_ms: i64) -> bool {
        self.time_ms == occurred_at_ms && self.has_id(event_id)
    }

    /// Whether this is an event of that id, whatever its time.
    #[must_use]
    pub fn has_id(self, event_id: &EventId) -> bool {
        let fingerprint = fingerprint64(event_id.as_str());
        self.event_fp == low(fingerprint) && self.event_fp_high.is_none_or(|kept| kept == high(fingerprint))
    }
}

impl Entry {
    /// What it keeps of its event's identity.
    #[must_use]
    pub const fn mark(&self) -> EventMark {
        EventMark {
            time_ms: self.time_ms,
            event_fp: self.event_fp,
            event_fp_high: self.event_fp_high,
        }
    }
}
