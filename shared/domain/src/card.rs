//! A card's state: its recent events in event-time order, which are windows, dedupe record and outcome record at once,
//! and references to the sealed segments that hold the events before them.

mod bits;
mod check;
pub mod codec;
pub(crate) mod identity;
mod reading;
pub mod sealed;
pub(crate) mod sketch;

use crate::event::{Country, Place, Verdict};
use crate::outcome::StoredOutcome;

pub use codec::CodecError;
pub use identity::{EventMark, HistoryKey};

use sealed::{Nodes, Seal, SealedRef};

/// A state never takes more than this, bytes: three quarters of what a DynamoDB item can hold. Only states that carry
/// feature values can come near; they seal their oldest events earlier.
pub const STATE_BYTES_MAX: usize = 300 * 1024;

/// What stands for an amount that is not known, since the policy had no rate for its currency: no event has an amount of 0.
pub const UNPRICED: u64 = 0;

/// One event in a card's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Event time, milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Arrival order on this card: the number of events accepted before it. It is also the state version that scored it.
    pub seq: u64,
    /// The lower half of `fingerprint64(event_id)`, which is `fingerprint32` of it.
    pub event_fp: u32,
    /// The upper half, where it is kept: [`HistoryKey`] says when.
    pub event_fp_high: Option<u32>,
    /// The amount in minor units of the policy's base currency; [`UNPRICED`] when the policy had no rate for its own.
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

/// What the head's limit took away, before there were sealed segments.
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
    /// References to sealed segments, in the order of their events' keys, all below the entries'; levels never rise.
    pub(crate) sealed: Vec<SealedRef>,
    /// Segments at hand; no part of the state's value.
    pub(crate) nodes: Nodes,
}

impl CardState {
    /// The events in the head, ordered by (event time, arrival). Those before them may be in sealed segments.
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

    /// Puts an entry where it belongs, drops what is not after `aged_ms`, and seals what is over the limits. The entry as
    /// it is kept; `None` when the segment that it belongs to is not at hand, and then nothing is changed.
    pub(crate) fn insert(&mut self, mut entry: Entry, aged_ms: i64, events_max: usize) -> Option<Box<Entry>> {
        let seal = Seal::new(events_max);
        normalise(&mut entry.outcome);
        let kept = Box::new(entry.clone());
        let (before, time_ms) = (self.newest_arrival(), entry.time_ms);
        if self.is_sealed(entry.order()) {
            self.add_sealed(entry, seal.leaf)?;
            self.shorten(before, time_ms);
        } else {
            self.shorten(before, time_ms);
            let at = self.entries.partition_point(|kept| kept.time_ms <= entry.time_ms);
            self.entries.insert(at, entry);
        }
        self.next_seq = self.next_seq.saturating_add(1);
        self.floor_ms = self.floor_ms.max(self.drop_aged(aged_ms));
        if self.sealed.is_empty() {
            let aged = self.entries.partition_point(|kept| kept.time_ms <= aged_ms);
            let dropped = self.entries.drain(..aged).next_back();
            self.floor_ms = self.floor_ms.max(dropped.map(|entry| entry.time_ms));
        }
        self.seal(seal);
        Some(kept)
    }

    /// Where the newest arrival is in the head.
    fn newest_arrival(&self) -> Option<usize> {
        let seq = self.next_seq.checked_sub(1)?;
        self.entries.iter().rposition(|entry| entry.seq == seq)
    }

    /// Forgets the upper half of what was the newest arrival's fingerprint until now, unless another event shares its
    /// millisecond: then they stay told apart.
    fn shorten(&mut self, newest: Option<usize>, coming_ms: i64) {
        let Some(at) = newest else { return };
        let time_ms = self.entries[at].time_ms;
        let is_there = |at: Option<usize>| {
            let entry = at.and_then(|at| self.entries.get(at));
            entry.is_some_and(|entry| entry.time_ms == time_ms)
        };
        let is_sealed_too = self.sealed.last().is_some_and(|segment| segment.last().0 == time_ms);
        let is_shared = coming_ms == time_ms || is_sealed_too || is_there(at.checked_sub(1)) || is_there(Some(at + 1));
        if !is_shared {
            self.entries[at].event_fp_high = None;
        }
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
    outcome.approximate.truncate(codec::FEATURES_MAX);
    outcome
        .approximate
        .retain(|(_, error)| error.is_finite() && *error > 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{FeatureKey, FeatureKind};
    use crate::outcome::{Decision, Missing, REASONS_MAX, Reason, Tier};

    #[test]
    fn an_outcome_is_kept_as_the_bytes_can_hold_it() {
        let key = FeatureKey {
            kind: FeatureKind::Count,
            window_minutes: 60,
        };
        let reason = Reason { key, share_pct: 20 };
        let mut outcome = StoredOutcome {
            score: 12,
            decision: Decision::Pass,
            tier: Tier::Full,
            missing: Missing(0),
            reasons: vec![reason; REASONS_MAX + 1],
            policy_version: 1,
            profile_version: None,
            features: [Some(1.5), Some(f64::NAN), Some(f64::INFINITY), None]
                .map(|value| (key, value))
                .to_vec(),
            approximate: [0.25, 0.0, -1.0, f64::INFINITY].map(|error| (key, error)).to_vec(),
        };
        normalise(&mut outcome);
        assert_eq!(outcome.reasons.len(), REASONS_MAX);
        let values: Vec<Option<f64>> = outcome.features.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [Some(1.5), None, None, None]);
        assert_eq!(outcome.approximate, [(key, 0.25)]);
        outcome.features = vec![(key, None); codec::FEATURES_MAX + 1];
        normalise(&mut outcome);
        assert_eq!(outcome.features.len(), codec::FEATURES_MAX);
    }
}
