//! When a history's head is sealed, how much of it, and what that takes.

use super::codec;
use super::entry::{Entry, OrderKey};
use super::forest::covering;
use super::limits::STATE_BYTES_MAX;
use super::sealed::{FANOUT, HeadLimits, LEVEL_MAX, Lists, Node, Seal, SealedRef, SegmentKey};
use super::state::History;

/// What one write unit pays for, bytes.
const WRITE_UNIT_BYTES: usize = 1024;
/// A head of so few events is not sealed for its bytes.
const SEALED_BY_BYTES_FROM: usize = 8;
/// So many events are sealed at least, where it is for the head's bytes.
const SEALED_LEAST: usize = 4;
/// A head that is sealed for its bytes keeps one in so many of the bytes that entries have room for: enough that the windows of a day, and mostly
/// of a week, begin in it; and few enough that it is sealed seldom.
const KEPT_SHARE: usize = 3;
/// Where less than one in so many bytes is left for entries beside the references, the state may be a write unit longer.
const ROOM_SHARE: usize = 5;

impl History {
    /// How the head is sealed when the next event comes. It follows from the limits and from the state as it is before that event, so
    /// that what has to be read for it is known before.
    pub(crate) fn seal_next(&mut self, limits: HeadLimits) -> Seal {
        let usual = Seal::by_events(limits.events_max, !self.sealed.is_empty());
        match self.seal_by_bytes(limits.bytes_max) {
            Some((keep, leaf)) => {
                let keep = keep.min(usual.keep);
                let limit = keep;
                Seal {
                    limit,
                    keep,
                    leaf,
                    ..usual
                }
            }
            None => usual,
        }
    }

    /// How many events stay, and how many go into each leaf, where the state is longer than its limit.
    fn seal_by_bytes(&mut self, bytes_max: usize) -> Option<(usize, usize)> {
        let count = self.entries.len();
        if count < SEALED_BY_BYTES_FROM {
            return None;
        }
        codec::note_refs(&mut self.spelt_refs, &self.sealed);
        let of_refs = self.spelt_refs.len_bytes();
        // The length is not always known from the last write, and then it is dear to have.
        if of_refs + codec::entries_bytes_rough(&self.entries) <= bytes_max {
            return None;
        }
        let bytes = self.size_bytes();
        if bytes <= bytes_max {
            return None;
        }
        let mut most = bytes_max;
        while of_refs + bytes_max / ROOM_SHARE > most {
            most += WRITE_UNIT_BYTES;
        }
        if bytes <= most {
            return None;
        }
        let (of_entries, room) = (bytes - of_refs, most - of_refs);
        let keep = (count * room / (of_entries * KEPT_SHARE)).clamp(1, count - SEALED_LEAST);
        // With the event that comes. A leaf spells its merchants anew, so that it takes three quarters of the limit at most.
        let oldest = count + 1 - keep;
        let leaves = (4 * oldest * of_entries).div_ceil(3 * count * bytes_max);
        Some((keep, oldest.div_ceil(leaves.max(1))))
    }

    /// Seals the oldest events of a head that is over its limits, and gathers references.
    pub(crate) fn seal(&mut self, seal: Seal) {
        if self.entries.len() > seal.limit || self.is_over_bytes(0) {
            // By time and fingerprint, as leaves are: so that sealed keys never interleave with the head's.
            self.entries.sort_by_key(Entry::order);
            let mut oldest = 0;
            while self.entries.len() - oldest > seal.keep || (oldest == 0 && self.entries.len() > 1) {
                let until = (oldest + seal.leaf).min(self.entries.len() - 1);
                let leaf = self.entries[oldest..until].to_vec();
                oldest = until;
                let made = self.nodes.make(Node::Leaf(leaf));
                self.sealed.extend(made);
            }
            self.entries.drop_oldest(oldest);
            self.entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
        }
        self.gather();
    }

    /// Gathers the oldest references of a level into an inner node as soon as there are enough, from the lowest level up.
    fn gather(&mut self) {
        for level in 0..LEVEL_MAX {
            loop {
                let start = self.sealed.partition_point(|segment| segment.level > level);
                let end = self.sealed.partition_point(|segment| segment.level >= level);
                if end - start < FANOUT {
                    break;
                }
                let children: Vec<SealedRef> = self.sealed.drain(start..start + FANOUT).collect();
                let lists = Lists::of_segments(&self.nodes, &children);
                if let Some(made) = self.nodes.make_inner(children, &lists) {
                    self.sealed.insert(start, made);
                }
            }
        }
    }

    /// Whether the head, with so many bytes more, may not fit [`STATE_BYTES_MAX`].
    fn is_over_bytes(&self, coming: usize) -> bool {
        // Hardly any is near the limit.
        self.rough_bytes_max() + coming > STATE_BYTES_MAX && self.bytes_max() + coming > STATE_BYTES_MAX
    }

    /// Rougher than [`History::bytes_max`], and had much faster.
    fn rough_bytes_max(&self) -> usize {
        self.fixed_bytes_max() + codec::entries_bytes_max(&self.entries)
    }

    fn bytes_max(&self) -> usize {
        let entries: usize = self.entries.iter().map(codec::entry_bytes_max).sum();
        self.fixed_bytes_max() + entries
    }

    fn fixed_bytes_max(&self) -> usize {
        codec::HEADER_BYTES_MAX + (self.sealed.len() + FANOUT) * codec::REF_BYTES_MAX
    }

    /// Segments that are not at hand and without which a new event can't be kept: an inner node is made of its segments' lists.
    /// Rather one too many than one too few; the path of an event among the sealed ones must be at hand. The head is sealed
    /// wherever the event belongs: under another policy it may be over its limit already.
    pub(crate) fn unread_for_insert(&self, order: OrderKey, seal: Seal) -> Vec<SegmentKey> {
        let mut open = Vec::new();
        if self.sealed.is_empty() {
            return open;
        }
        let is_sealed = self.is_sealed(order);
        let count = self.entries.len() + usize::from(!is_sealed);
        let coming = if is_sealed { 0 } else { codec::ENTRY_BYTES_MAX };
        let is_over = count > seal.limit || self.is_over_bytes(coming);
        let leaves = if is_over {
            count.saturating_sub(seal.keep).div_ceil(seal.leaf).max(1)
        } else {
            0
        };
        let (mut level, mut grown) = (0, 0);
        if is_sealed {
            let segment = covering(&self.sealed, order).and_then(|at| self.sealed.get(at));
            level = segment.map_or(0, |segment| segment.level);
            grown = self.nodes.growth(&self.sealed, order, seal.leaf_usual);
        }
        if leaves > 0 && level > 0 {
            self.note_gathered(0, leaves, &mut open);
        }
        self.note_gathered(level, leaves + grown, &mut open);
        open
    }

    /// Notes the segments of every level that is gathered when one has so many references more.
    fn note_gathered(&self, from: u8, mut more: usize, open: &mut Vec<SegmentKey>) {
        for level in from..LEVEL_MAX {
            let start = self.sealed.partition_point(|segment| segment.level > level);
            let end = self.sealed.partition_point(|segment| segment.level >= level);
            let refs = &self.sealed[start..end];
            if more == 0 || refs.len() + more < FANOUT {
                return;
            }
            self.nodes.note_open(refs, open);
            more = (refs.len() + more) / FANOUT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::{FoldAnswer, fold_transaction};
    use crate::history::forest::{Cuts, Piece};
    use crate::history::sealed::Wants;
    use crate::measure::tests::transaction;
    use crate::model::ProfileInput;
    use crate::policy::Policy;

    const START_MS: i64 = 1_780_000_000_000;
    const MINUTE_MS: i64 = 60_000;

    /// A card of so many events, and a whole number of leaves before its head.
    fn sealed(events: i64) -> History {
        let (mut state, policy) = (History::default(), Policy::default_policy());
        for number in 0..events {
            let mut tx = transaction(START_MS + number * MINUTE_MS, 100 + 7 * number.unsigned_abs());
            tx.event_id = crate::id::EventId::new(&format!("e{number}")).unwrap();
            let applied = fold_transaction(&mut state, &tx, ProfileInput::Absent, &policy);
            assert!(matches!(applied, FoldAnswer::Scored { .. }), "{number}");
        }
        state
    }

    #[test]
    fn so_many_of_the_newest_events_are_had_one_by_one_and_a_leaf_more_at_most() {
        let state = sealed(600);
        let leaf = state.sealed.iter().map(|segment| segment.summary.count as usize).max();
        for each in 0..600 {
            let cuts = Cuts {
                now_ms: START_MS + 600 * MINUTE_MS,
                oldest_ms: START_MS - 1,
                starts_ms: &[START_MS - 1],
                wants: Wants::default(),
                each,
            };
            let pieces = state.sealed_pieces(&cuts);
            let ones = pieces.iter().filter(|piece| matches!(piece, Piece::One(_))).count();
            let had = state.entries.len() + ones;
            assert!(
                had >= each && (ones == 0 || had < each + leaf.unwrap()),
                "{had} of {each}"
            );
        }
    }

    #[test]
    fn references_are_written_as_they_are_noted_until_a_segment_changes() {
        let (mut state, mut seen) = (sealed(1), Vec::new());
        for events in [30, 60, 61, 90, 400] {
            state = History {
                spelt_refs: state.spelt_refs,
                ..sealed(events)
            };
            // Encoding again compares the bytes with those that are written without notes.
            assert_eq!(state.encode_again(), state.encode());
            seen.push(state.spelt_refs.len_bytes());
        }
        assert!(seen[0] == 0 && seen.is_sorted() && seen[4] > 100, "{seen:?}");
    }
}
