//! The trees below a head's references: finding, adding and sealing events. Everything is copied on write, and follows
//! from the head and the segments on the event's own path.

use std::sync::Arc;

use crate::card::codec;
use crate::card::{CardState, Entry, STATE_BYTES_MAX};

use super::{
    CHILDREN_MAX, EventKey, FANOUT, LABEL_LEAVES_MAX, LEVEL_MAX, NewSegment, Node, Nodes, Seal, SealedRef, SegmentKey,
    Summary,
};

/// The answer to a search.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// It is there.
    Here(T),
    /// It is nowhere.
    Nowhere,
    /// Not without these segments.
    Needs(Vec<SegmentKey>),
}

/// A part of a card's sealed history, as a window sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'s> {
    /// An event.
    One(&'s Entry),
    /// Events that no edge divides.
    Whole(&'s Summary),
    /// Events that an edge divides, and whose segment is not at hand.
    Unread(&'s Summary),
}

impl Piece<'_> {
    /// Times of the first and the last event, ms since 1970-01-01T00:00:00Z.
    pub(crate) const fn span_ms(&self) -> (i64, i64) {
        match self {
            Self::One(entry) => (entry.time_ms, entry.time_ms),
            Self::Whole(summary) | Self::Unread(summary) => (summary.first_ms, summary.last_ms),
        }
    }
}

/// Where a window's walk begins and ends, and what divides it, ms since 1970-01-01T00:00:00Z.
struct Edges<'e> {
    now_ms: i64,
    /// Nothing at or before it matters.
    oldest_ms: i64,
    starts_ms: &'e [i64],
}

impl Edges<'_> {
    /// Whether some of the events count, and some do not or in other windows.
    fn divide(&self, summary: &Summary) -> bool {
        let divides = |edge_ms: i64| summary.first_ms <= edge_ms && edge_ms < summary.last_ms;
        divides(self.now_ms) || self.starts_ms.iter().copied().any(divides)
    }
}

/// The first reference that does not end before the key.
fn covering(refs: &[SealedRef], key: EventKey) -> Option<usize> {
    let at = refs.partition_point(|segment| segment.last() < key);
    (at < refs.len()).then_some(at)
}

impl Nodes {
    pub(crate) fn get(&self, key: SegmentKey) -> Option<&Node> {
        self.held.get(&key).map(Arc::as_ref)
    }

    /// Makes a segment, and what a head keeps of it; `None` for nothing.
    fn make(&mut self, node: Node) -> Option<SealedRef> {
        let (level, summary, (_, last_fp)) = match &node {
            Node::Leaf(entries) => (
                0,
                Summary::of_all(entries.iter().map(Summary::of_entry))?,
                entries.last()?.key(),
            ),
            Node::Index(refs) => {
                let last = refs.last()?;
                let summary = Summary::of_all(refs.iter().map(|segment| segment.summary.clone()))?;
                (last.level + 1, summary, last.last())
            }
        };
        let bytes = codec::encode_segment(&node);
        let key = SegmentKey::of(&bytes);
        let last_ms = summary.last_ms;
        self.held.insert(key, Arc::new(node));
        self.fresh.insert(key, NewSegment { key, bytes, last_ms });
        Some(SealedRef {
            key,
            level,
            last_fp,
            summary,
        })
    }

    /// Takes a segment out that its state no longer needs.
    fn take(&mut self, key: SegmentKey) -> Option<Node> {
        self.fresh.remove(&key);
        self.held.remove(&key).map(Arc::unwrap_or_clone)
    }

    /// Forgets a segment and what is below it.
    fn forget(&mut self, key: SegmentKey) {
        if let Some(Node::Index(refs)) = self.take(key) {
            refs.iter().for_each(|segment| self.forget(segment.key));
        }
    }

    /// The event of a key.
    fn find(&self, refs: &[SealedRef], key: EventKey) -> Found<&Entry> {
        let mut level = refs;
        loop {
            let Some(segment) = covering(level, key).and_then(|at| level.get(at)) else {
                return Found::Nowhere;
            };
            match self.get(segment.key) {
                None => return Found::Needs(vec![segment.key]),
                Some(Node::Index(refs)) => level = refs,
                Some(Node::Leaf(entries)) => {
                    let at = entries.partition_point(|entry| entry.key() < key);
                    let found = entries.get(at).filter(|entry| entry.key() == key);
                    return found.map_or(Found::Nowhere, Found::Here);
                }
            }
        }
    }

    /// Adds an event where its key belongs; the references that stand for the old one then. The path must be at hand.
    fn add(&mut self, segment: &SealedRef, entry: Entry, leaf: usize) -> Option<Vec<SealedRef>> {
        match self.take(segment.key)? {
            Node::Leaf(mut entries) => {
                let at = entries.partition_point(|kept| kept.key() <= entry.key());
                entries.insert(at, entry);
                let half = split_at(entries.len(), 2 * leaf);
                let upper = entries.split_off(half);
                let halves = [Node::Leaf(entries), Node::Leaf(upper)];
                Some(halves.into_iter().filter_map(|half| self.make(half)).collect())
            }
            Node::Index(mut refs) => {
                let at = covering(&refs, entry.key())?;
                let replaced = self.add(refs.get(at)?, entry, leaf)?;
                refs.splice(at..=at, replaced);
                let half = split_at(refs.len(), CHILDREN_MAX);
                let upper = refs.split_off(half);
                let halves = [Node::Index(refs), Node::Index(upper)];
                Some(halves.into_iter().filter_map(|half| self.make(half)).collect())
            }
        }
    }

    /// Changes an event; the reference that stands for the old one then. The path must be at hand.
    fn change(&mut self, segment: &SealedRef, key: EventKey, change: &dyn Fn(&mut Entry)) -> Option<SealedRef> {
        let node = match self.take(segment.key)? {
            Node::Leaf(mut entries) => {
                let at = entries.partition_point(|entry| entry.key() < key);
                change(entries.get_mut(at)?);
                Node::Leaf(entries)
            }
            Node::Index(mut refs) => {
                let at = covering(&refs, key)?;
                let changed = self.change(refs.get(at)?, key, change)?;
                refs[at] = changed;
                Node::Index(refs)
            }
        };
        self.make(node)
    }
}

/// Where to split what is over its limit; at the end otherwise.
const fn split_at(count: usize, max: usize) -> usize {
    if count > max { count / 2 } else { count }
}

impl CardState {
    /// The newest event time that the card keeps, ms since 1970-01-01T00:00:00Z; `None` for a card without events.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        let sealed = || self.sealed.last().map(|segment| segment.summary.last_ms);
        self.entries.last().map(|entry| entry.time_ms).or_else(sealed)
    }

    /// Whether an event of that key belongs among the sealed ones.
    pub(crate) fn is_sealed(&self, key: EventKey) -> bool {
        self.sealed.last().is_some_and(|segment| key <= segment.last())
    }

    /// The sealed event of a key.
    pub(crate) fn find_sealed(&self, key: EventKey) -> Found<&Entry> {
        self.nodes.find(&self.sealed, key)
    }

    /// Adds an event among the sealed ones. Its path must be at hand.
    pub(crate) fn add_sealed(&mut self, entry: Entry, leaf: usize) -> Option<()> {
        let at = covering(&self.sealed, entry.key())?;
        let replaced = self.nodes.add(self.sealed.get(at)?, entry, leaf)?;
        self.sealed.splice(at..=at, replaced);
        Some(())
    }

    /// Changes a sealed event without moving it. Its path must be at hand.
    pub(crate) fn change_sealed(&mut self, key: EventKey, change: &dyn Fn(&mut Entry)) -> Option<()> {
        let at = covering(&self.sealed, key)?;
        self.sealed[at] = self.nodes.change(self.sealed.get(at)?, key, change)?;
        Some(())
    }

    /// Drops sealed segments of which nothing is after `aged_ms`; the newest event time dropped.
    pub(crate) fn drop_aged(&mut self, aged_ms: i64) -> Option<i64> {
        let aged = self
            .sealed
            .iter()
            .take_while(|segment| segment.summary.last_ms <= aged_ms);
        let aged = aged.count();
        let dropped: Vec<SealedRef> = self.sealed.drain(..aged).collect();
        dropped.iter().for_each(|segment| self.nodes.forget(segment.key));
        dropped.last().map(|segment| segment.summary.last_ms)
    }

    /// Seals the oldest events of a head that is over its limits, and gathers references.
    pub(crate) fn seal(&mut self, seal: Seal) {
        let limit = if self.sealed.is_empty() {
            seal.events_max
        } else {
            seal.hot_max
        };
        if self.entries.len() > limit || self.is_over_bytes() {
            // By time and fingerprint, as leaves are: so that sealed keys never interleave with the head's.
            self.entries.sort_by_key(Entry::key);
            let mut oldest = 0;
            while self.entries.len() - oldest > seal.hot_max || (oldest == 0 && self.entries.len() > 1) {
                let until = (oldest + seal.leaf).min(self.entries.len() - 1);
                let leaf = self.entries[oldest..until].to_vec();
                oldest = until;
                let made = self.nodes.make(Node::Leaf(leaf));
                self.sealed.extend(made);
            }
            self.entries.drain(..oldest);
            self.entries.sort_by_key(|entry| (entry.time_ms, entry.seq));
        }
        self.gather();
    }

    /// Gathers the oldest references of a level into an index as soon as there are enough, from the lowest level up.
    fn gather(&mut self) {
        for level in 0..LEVEL_MAX {
            loop {
                let start = self.sealed.partition_point(|segment| segment.level > level);
                let end = self.sealed.partition_point(|segment| segment.level >= level);
                if end - start < FANOUT {
                    break;
                }
                let children = self.sealed.drain(start..start + FANOUT).collect();
                if let Some(made) = self.nodes.make(Node::Index(children)) {
                    self.sealed.insert(start, made);
                }
            }
        }
    }

    /// Whether the head may not fit [`STATE_BYTES_MAX`].
    fn is_over_bytes(&self) -> bool {
        let fixed = codec::HEADER_BYTES_MAX + (self.sealed.len() + FANOUT) * codec::REF_BYTES_MAX;
        let entries: usize = self.entries.iter().map(codec::entry_bytes_max).sum();
        fixed + entries > STATE_BYTES_MAX
    }

    /// The sealed history in (`starts_ms`' least, `now_ms`], the newest first: as events where one of the edges divides
    /// a segment, as sums elsewhere. Which is which follows from the state and the edges alone.
    pub(crate) fn sealed_pieces(&self, now_ms: i64, oldest_ms: i64, starts_ms: &[i64]) -> Vec<Piece<'_>> {
        let edges = Edges {
            now_ms,
            oldest_ms,
            starts_ms,
        };
        let mut pieces = Vec::new();
        self.walk(&self.sealed, &edges, &mut |piece, _| pieces.push(piece));
        pieces
    }

    /// Segments that [`CardState::sealed_pieces`] needs and that are not at hand.
    pub(crate) fn unread(&self, now_ms: i64, oldest_ms: i64, starts_ms: &[i64]) -> Vec<SegmentKey> {
        let edges = Edges {
            now_ms,
            oldest_ms,
            starts_ms,
        };
        let mut keys = Vec::new();
        self.walk(&self.sealed, &edges, &mut |_, unread| keys.extend(unread));
        keys
    }

    fn walk<'s>(
        &'s self,
        refs: &'s [SealedRef],
        edges: &Edges<'_>,
        visit: &mut dyn FnMut(Piece<'s>, Option<SegmentKey>),
    ) {
        for segment in refs.iter().rev() {
            let summary = &segment.summary;
            if summary.first_ms > edges.now_ms {
                continue;
            }
            if summary.last_ms <= edges.oldest_ms {
                return;
            }
            if !edges.divide(summary) {
                visit(Piece::Whole(summary), None);
                continue;
            }
            match self.nodes.get(segment.key) {
                None => visit(Piece::Unread(summary), Some(segment.key)),
                Some(Node::Index(refs)) => self.walk(refs, edges, visit),
                Some(Node::Leaf(entries)) => {
                    let counts = |entry: &&Entry| entry.time_ms <= edges.now_ms && entry.time_ms > edges.oldest_ms;
                    let counting = entries.iter().rev().filter(counts);
                    counting.for_each(|entry| visit(Piece::One(entry), None));
                }
            }
        }
    }

    /// The latest event of an id among the newest [`LABEL_LEAVES_MAX`] leaves. What is at or before `aged_ms` counts as
    /// dropped: an index may outlive segments below it in the store.
    pub(crate) fn find_id(&self, event_fp: u32, aged_ms: i64) -> Found<EventKey> {
        let mut search = Search {
            event_fp,
            aged_ms,
            leaves: 0,
            needs: Vec::new(),
            found: None,
        };
        search.walk(&self.nodes, &self.sealed);
        match search {
            Search { needs, .. } if !needs.is_empty() => Found::Needs(needs),
            Search { found: Some(key), .. } => Found::Here(key),
            _ => Found::Nowhere,
        }
    }
}

/// A search for an id, from the newest leaf backwards.
struct Search {
    event_fp: u32,
    /// Nothing at or before it is searched.
    aged_ms: i64,
    /// Leaves so far, unread segments included.
    leaves: usize,
    needs: Vec<SegmentKey>,
    found: Option<EventKey>,
}

impl Search {
    fn walk(&mut self, nodes: &Nodes, refs: &[SealedRef]) {
        for segment in refs.iter().rev() {
            let aged = segment.summary.last_ms <= self.aged_ms;
            if aged || self.found.is_some() || self.leaves >= LABEL_LEAVES_MAX {
                return;
            }
            match nodes.get(segment.key) {
                Some(Node::Index(refs)) => self.walk(nodes, refs),
                None => {
                    self.leaves += 1;
                    self.needs.push(segment.key);
                }
                Some(Node::Leaf(entries)) => {
                    self.leaves += 1;
                    let kept = entries.iter().rev().filter(|entry| entry.time_ms > self.aged_ms);
                    let of_id = kept.into_iter().find(|entry| entry.event_fp == self.event_fp);
                    self.found = of_id.map(Entry::key);
                }
            }
        }
    }
}
