//! What the driver does with a state's segments: hand over those that were read, take those that are to be written.

use std::sync::Arc;

use super::codec;
use super::entry::Entry;
use super::error::{CodecError, InvalidState};
use super::sealed::{NewSegment, Node, Nodes, SealedRef, SegmentKey};
use super::state::History;

impl History {
    /// Events in sealed segments.
    #[must_use]
    pub fn sealed_events(&self) -> u64 {
        self.sealed.iter().map(|segment| u64::from(segment.summary.count)).sum()
    }

    /// References to sealed segments in the head.
    #[must_use]
    pub fn sealed_refs(&self) -> usize {
        self.sealed.len()
    }

    /// Segments that are to be written before the state is, in the order of their keys.
    pub fn new_segments(&self) -> impl Iterator<Item = &NewSegment> {
        self.nodes.fresh.values()
    }

    /// Takes note that the store holds every new segment.
    pub fn segments_written(&mut self) {
        self.nodes.fresh.clear();
    }

    /// Hands over a segment that was read.
    ///
    /// # Errors
    /// When the bytes are not the segment of that name.
    pub fn supply_segment(&mut self, key: SegmentKey, bytes: &[u8]) -> Result<(), CodecError> {
        if SegmentKey::of(bytes) != key {
            return Err(InvalidState::Segment.into());
        }
        let node = codec::decode_segment(bytes)?;
        self.nodes.held.insert(key, Arc::new(node));
        Ok(())
    }

    /// Segments at hand.
    #[must_use]
    pub fn segments_held(&self) -> usize {
        self.nodes.held.len()
    }

    /// Events, references and lists in the segments at hand: what they take in memory is in proportion to it.
    #[must_use]
    pub fn segment_items_held(&self) -> usize {
        let items = |node: &Arc<Node>| match &**node {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(inner) => inner.refs.len() + inner.known.items(),
        };
        self.nodes.held.values().map(items).sum()
    }

    /// Forgets the segments at hand that a store holds.
    pub fn forget_segments(&mut self) {
        let Nodes { held, fresh } = &mut self.nodes;
        held.retain(|key, _| fresh.contains_key(key));
    }

    /// Takes over the segments that another state of the same card has at hand and that a store holds.
    pub fn adopt_segments(&mut self, other: Self) {
        let Nodes { held, fresh } = other.nodes;
        let stored = held.into_iter().filter(|(key, _)| !fresh.contains_key(key));
        self.nodes.held.extend(stored);
    }

    /// Segments of the state that are not at hand, as far as those at hand name them. When there are none,
    /// [`History::all_entries`] holds every event.
    #[must_use]
    pub fn missing_segments(&self) -> Vec<SegmentKey> {
        let mut missing = Vec::new();
        self.visit(&self.sealed, &mut |_| {}, &mut |segment| missing.push(segment.key));
        missing
    }

    /// The newest event time that lies in a segment which is not at hand, ms since 1970-01-01T00:00:00Z; `None`: all are.
    #[must_use]
    pub fn unread_until_ms(&self) -> Option<i64> {
        let mut until_ms = None;
        self.visit(&self.sealed, &mut |_| {}, &mut |segment| {
            until_ms = until_ms.max(Some(segment.summary.last_ms));
        });
        until_ms
    }

    /// Every kept event at hand, sealed ones included, ordered by event time.
    #[must_use]
    pub fn all_entries(&self) -> Vec<&Entry> {
        let mut entries = Vec::new();
        self.visit(&self.sealed, &mut |entry| entries.push(entry), &mut |_| {});
        entries.extend(self.entries.iter());
        entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
        entries
    }

    fn visit<'s>(
        &'s self,
        refs: &'s [SealedRef],
        entry: &mut dyn FnMut(&'s Entry),
        missing: &mut dyn FnMut(&SealedRef),
    ) {
        for segment in refs {
            match self.nodes.get(segment.key) {
                None => missing(segment),
                Some(Node::Inner(inner)) => self.visit(&inner.refs, entry, missing),
                Some(Node::Leaf(entries)) => entries.iter().for_each(&mut *entry),
            }
        }
    }
}
