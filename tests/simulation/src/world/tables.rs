//! The table: states, profiles, segments, decisions; their time to live, and what a backup holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemark_domain::event::Profile;
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_engine::port::{DecisionItem, KeyId, StateItem};

use super::known::Life;

/// An item with what was there before, for stale reads.
#[derive(Clone, Debug)]
pub struct Versions<T> {
    /// What is there.
    pub now: T,
    /// What was there before the last write.
    pub before: Option<T>,
    /// When it was written, ms since 1970-01-01T00:00:00Z.
    pub written_ms: i64,
    /// When the store may drop it, s since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

/// A sealed segment's item.
#[derive(Clone, Debug)]
pub struct SegmentValue {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// When it was written, ms since 1970-01-01T00:00:00Z.
    pub written_ms: i64,
    /// When the store may drop it, s since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

/// What decisions are told apart by, as the store has it.
pub type DecisionKey = (String, String, i64);

/// The items of the table, and what the simulator knows of them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// States by card.
    pub states: BTreeMap<String, Versions<StateItem>>,
    /// Profiles by card.
    pub profiles: BTreeMap<String, Versions<Profile>>,
    /// Sealed segments by card and key.
    pub segments: BTreeMap<(String, SegmentKey), SegmentValue>,
    /// Labelled histories by key.
    pub keys: BTreeMap<KeyId, Versions<StateItem>>,
    /// Recorded decisions by event.
    pub decisions: BTreeMap<DecisionKey, DecisionItem>,
    /// What every card's items have accepted: the simulator's knowledge, not the store's.
    pub lives: BTreeMap<String, Vec<Life>>,
}

impl Tables {
    /// The state that bytes stand for, with every sealed segment at hand; `None` when something of it is missing or can't be
    /// decoded. Segments that `known` has are not decoded again.
    pub(super) fn whole(&self, card: &str, bytes: &[u8], known: Option<&History>) -> Option<History> {
        let mut state = History::decode(bytes).ok()?;
        if let Some(known) = known.filter(|known| known.segments_held() > 0) {
            state.adopt_segments(known.clone());
        }
        self.supply(card, &mut state).then_some(state)
    }

    /// Gives a state every segment that it names; whether all are there.
    pub fn supply(&self, card: &str, state: &mut History) -> bool {
        loop {
            let missing = state.missing_segments();
            if missing.is_empty() {
                return true;
            }
            for key in missing {
                let Some(segment) = self.segments.get(&(card.to_owned(), key)) else {
                    return false;
                };
                if state.supply_segment(key, &segment.bytes).is_err() {
                    return false;
                }
            }
        }
    }

    /// A card's state with every sealed segment at hand.
    #[must_use]
    pub fn whole_state(&self, card: &str) -> Option<History> {
        self.whole(card, &self.states.get(card)?.now.bytes, None)
    }
}

/// How the store drops what is past its time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ttl {
    /// An item is dropped so long after its time at most, ms.
    pub delay_ms_max: u64,
    /// An ablation: an item is dropped so long after it was written, whatever its time, ms.
    pub forgets_after_ms: Option<i64>,
}

impl Ttl {
    /// Whether an item that was written then, and may be dropped at a time, has been dropped.
    #[must_use]
    pub fn is_dropped(&self, key: &str, written_ms: i64, expires_at_s: i64, now_ms: i64) -> bool {
        if let Some(after_ms) = self.forgets_after_ms {
            return now_ms > written_ms + after_ms;
        }
        let delay_ms = xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % self.delay_ms_max.max(1);
        let due_ms = expires_at_s.saturating_mul(1_000);
        now_ms > due_ms.saturating_add(i64::try_from(delay_ms).unwrap_or(0))
    }
}
