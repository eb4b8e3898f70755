//! A card's state: its recent events in event-time order, which are windows, dedupe record and outcome record at once.

mod bits;
mod check;
pub mod codec;

use crate::event::{Country, Place, Verdict};
use crate::outcome::StoredOutcome;
use crate::policy::Policy;

pub use codec::CodecError;

/// A state never takes more than this, bytes: three quarters of what a DynamoDB item can hold. Only states that carry
/// feature values can come near; they drop their oldest events first.
pub const STATE_BYTES_MAX: usize = 300 * 1024;

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

/// What the head's limit took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Events dropped because the head was full, ever.
    pub events: u64,
    /// The newest event time among them, ms since 1970-01-01T00:00:00Z.
    pub floor_ms: i64,
}

/// A card's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardState {
    /// Ordered by (event time, arrival).
    pub(crate) entries: Vec<Entry>,
    /// Events accepted so far.
    pub(crate) next_seq: u64,
    /// The newest event time that was ever dropped: at or below it nothing can be told from a duplicate.
    pub(crate) floor_ms: Option<i64>,
    /// What was dropped for want of space, not for its age.
    pub(crate) truncation: Option<Truncation>,
}

impl CardState {
    /// The kept events, ordered by (event time, arrival).
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Events accepted so far: the `seq` of the next one.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The newest event time that was ever dropped, ms since 1970-01-01T00:00:00Z; `None` while everything is kept. An
    /// event at or before it can't be told from a duplicate.
    #[must_use]
    pub const fn floor_ms(&self) -> Option<i64> {
        self.floor_ms
    }

    /// What was dropped because the head was full; `None` when nothing was.
    #[must_use]
    pub const fn truncation(&self) -> Option<Truncation> {
        self.truncation
    }

    /// Whether an event after `start_ms` (ms since 1970-01-01T00:00:00Z) was dropped because the head was full, so that
    /// a window that begins there is not whole.
    #[must_use]
    pub fn is_truncated_after(&self, start_ms: i64) -> bool {
        self.truncation.is_some_and(|truncation| truncation.floor_ms > start_ms)
    }

    /// Puts an entry at `at`, drops what is not after `aged_ms` and what is over the limits, and says where the entry is
    /// then. When the entry itself would be dropped, nothing is changed and there is no answer.
    pub(crate) fn insert(&mut self, at: usize, mut entry: Entry, aged_ms: i64, events_max: usize) -> Option<usize> {
        normalise(&mut entry.outcome);
        let aged = self.entries.partition_point(|kept| kept.time_ms <= aged_ms);
        let full = (self.entries.len() + 1).saturating_sub(events_max.clamp(1, Policy::HEAD_EVENTS_LIMIT));
        let drop = aged.max(full).max(self.over_bytes(&entry));
        let index = at.checked_sub(drop)?;
        if let Some(last) = drop.checked_sub(1) {
            let floor_ms = self.entries[last].time_ms;
            if drop > aged {
                let before = self.truncation.map_or(0, |truncation| truncation.events);
                let events = before.saturating_add((drop - aged) as u64);
                self.truncation = Some(Truncation { events, floor_ms });
            }
            self.floor_ms = self.floor_ms.max(Some(floor_ms));
            self.entries.drain(..drop);
        }
        self.entries.insert(index, entry);
        self.next_seq = self.next_seq.saturating_add(1);
        Some(index)
    }

    /// How many of the oldest entries must go so that the rest and the new one surely fit [`STATE_BYTES_MAX`].
    fn over_bytes(&self, new: &Entry) -> usize {
        let mut left = STATE_BYTES_MAX.saturating_sub(codec::HEADER_BYTES_MAX + codec::entry_bytes_max(new));
        for (index, entry) in self.entries.iter().enumerate().rev() {
            match left.checked_sub(codec::entry_bytes_max(entry)) {
                Some(rest) => left = rest,
                None => return index + 1,
            }
        }
        0
    }
}

/// Brings an outcome into the form that the state's bytes can hold, so that what is sent now is what is read later: at
/// most so many reasons and features, no feature that is not a finite number.
fn normalise(outcome: &mut StoredOutcome) {
    outcome.reasons.truncate(crate::outcome::REASONS_MAX);
    outcome.features.truncate(codec::FEATURES_MAX);
    for (_, value) in &mut outcome.features {
        *value = value.filter(|number| number.is_finite());
    }
}
