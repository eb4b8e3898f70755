//! What a history keeps of an event's identity: enough to say whether an event is the one of an entry.

use super::Entry;
use crate::id::{EventId, fingerprint32};

/// The identity of an event as its card's history keeps it. Two entries of equal marks are one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    time_ms: i64,
    event_fp: u32,
}

impl EventMark {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn time_ms(self) -> i64 {
        self.time_ms
    }

    /// Whether this is the event of that id and time.
    #[must_use]
    pub fn is_of(self, event_id: &EventId, occurred_at_ms: i64) -> bool {
        self.time_ms == occurred_at_ms && self.has_id(event_id)
    }

    /// Whether this is an event of that id, whatever its time.
    #[must_use]
    pub fn has_id(self, event_id: &EventId) -> bool {
        self.event_fp == fingerprint32(event_id.as_str())
    }
}

impl Entry {
    /// What it keeps of its event's identity.
    #[must_use]
    pub const fn mark(&self) -> EventMark {
        EventMark {
            time_ms: self.time_ms,
            event_fp: self.event_fp,
        }
    }
}
