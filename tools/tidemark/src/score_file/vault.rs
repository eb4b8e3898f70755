//! Sealed segments of one card, as the table would hold them: their bytes, until nothing in them can matter.

use std::collections::BTreeMap;

use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::policy::Policy;
use tidemark_engine::config::SEGMENT_ITEMS_WARM_MAX;

/// Segments in their stored form: an eighth of what their events take when they are at hand.
#[derive(Default)]
pub(super) struct Vault {
    bytes: BTreeMap<SegmentKey, Vec<u8>>,
    /// What ages, the oldest first: the newest event time in a segment, ms.
    ages: BTreeMap<(i64, SegmentKey), ()>,
}

impl Vault {
    /// Takes a state's new segments, and has it forget those at hand when they are many.
    pub(super) fn keep(&mut self, state: &mut History, policy: &Policy) {
        for segment in state.new_segments() {
            self.bytes.insert(segment.key, segment.bytes.clone());
            self.ages.insert((segment.last_ms, segment.key), ());
        }
        state.segments_written();
        if state.segment_items_held() > SEGMENT_ITEMS_WARM_MAX {
            state.forget_segments();
        }
        let Some(newest_ms) = state.newest_ms() else { return };
        let aged_ms = newest_ms.saturating_sub(policy.retention_ms());
        while let Some(oldest) = self.ages.first_entry().filter(|oldest| oldest.key().0 <= aged_ms) {
            let ((_, key), ()) = oldest.remove_entry();
            self.bytes.remove(&key);
        }
    }

    /// Hands a state the segments that it asks for; `false` when one is not there.
    pub(super) fn supply(&self, state: &mut History, keys: &[SegmentKey]) -> bool {
        keys.iter().all(|key| {
            let bytes = self.bytes.get(key);
            bytes.is_some_and(|bytes| state.supply_segment(*key, bytes).is_ok())
        })
    }

    /// Bytes of all segments.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.bytes.values().map(Vec::len).sum()
    }
}
