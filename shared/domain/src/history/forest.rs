//! The trees below a head's references: finding, adding and changing events. Everything is copied on write, and follows
//! from the head and the segments on the event's own path.

use std::sync::Arc;

use super::codec;
use super::entry::{Entry, OrderKey};
use super::identity::HistoryKey;
use super::sealed::{
    CHILDREN_MAX, Inner, Known, LABEL_LEAVES_MAX, Lister, Lists, NewSegment, Node, Nodes, SealedRef, SegmentKey,
    Summary, Wants, Whole,
};
use super::state::History;

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

/// A part of a sealed history, as a window sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'s> {
    /// An event.
    One(&'s Entry),
    /// Events that no edge divides.
    Whole(Whole<'s>),
    /// Events that an edge divides, and whose segment is not at hand.
    Unread(&'s Summary),
}

impl Piece<'_> {
    /// Times of the first and the last event, ms since 1970-01-01T00:00:00Z.
    pub(crate) const fn span_ms(&self) -> (i64, i64) {
        match self {
            Self::One(entry) => (entry.time_ms, entry.time_ms),
            Self::Whole(Whole { summary, .. }) | Self::Unread(summary) => (summary.first_ms, summary.last_ms),
        }
    }
}

/// Room for the pieces of a typical card.
const PIECES_TYPICAL: usize = 64;

/// Where a window's walk begins and ends, what divides it (ms since 1970-01-01T00:00:00Z), and what it is for.
#[derive(Clone, Copy)]
pub(crate) struct Cuts<'e> {
    pub(crate) now_ms: i64,
    /// Nothing at or before it matters.
    pub(crate) oldest_ms: i64,
    pub(crate) starts_ms: &'e [i64],
    pub(crate) wants: Wants,
    /// So many of the newest events are to be had one by one, those of the head included.
    pub(crate) each: usize,
}

impl Cuts<'_> {
    /// Whether some of the events count, and some do not or in other windows.
    fn divide(&self, summary: &Summary) -> bool {
        let divides = |edge_ms: i64| summary.first_ms <= edge_ms && edge_ms < summary.last_ms;
        divides(self.now_ms) || self.starts_ms.iter().copied().any(divides)
    }
}

/// The first reference that does not end before an event.
pub(super) fn covering(refs: &[SealedRef], order: OrderKey) -> Option<usize> {
    let at = refs.partition_point(|segment| segment.last() < order);
    (at < refs.len()).then_some(at)
}

impl Nodes {
    /// Makes a segment, and what a head keeps of it; `None` for nothing.
    pub(super) fn make(&mut self, node: Node) -> Option<SealedRef> {
        let (level, summary, (_, last_fp)) = match &node {
            Node::Leaf(entries) => (
                0,
                Summary::of_all(entries.iter().map(Summary::of_entry))?,
                entries.last()?.order(),
            ),
            Node::Inner(Inner { refs, .. }) => {
                let last = refs.last()?;
                (last.level + 1, sums(refs)?, last.last())
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
        if let Some(Node::Inner(inner)) = self.take(key) {
            inner.refs.iter().for_each(|segment| self.forget(segment.key));
        }
    }

    /// Makes an inner node over references, of which what they hold is given.
    pub(super) fn make_inner(&mut self, refs: Vec<SealedRef>, lists: &[Lists]) -> Option<SealedRef> {
        let known = Known::of(&refs, lists, &sums(&refs)?);
        self.make(Node::Inner(Inner { refs, known }))
    }

    /// The entry of an event, and on the way to it: which reference of each level leads there. Events of equal time and lower
    /// half may be in two leaves.
    fn find(&self, refs: &[SealedRef], key: HistoryKey, path: &mut Vec<usize>) -> Found<&Entry> {
        let mut next = covering(refs, key.order());
        while let Some((at, segment)) = next.and_then(|at| Some((at, refs.get(at)?))) {
            path.push(at);
            let found = match self.get(segment.key) {
                None => Found::Needs(vec![segment.key]),
                Some(Node::Inner(inner)) => self.find(&inner.refs, key, path),
                Some(Node::Leaf(entries)) => {
                    let from = entries.partition_point(|entry| entry.order() < key.order());
                    let mut equal = (from..).zip(&entries[from..]);
                    let equal = equal.find(|(_, entry)| entry.order() != key.order() || key.matches(entry));
                    match equal.filter(|(_, entry)| key.matches(entry)) {
                        Some((at, entry)) => {
                            path.push(at);
                            Found::Here(entry)
                        }
                        None => Found::Nowhere,
                    }
                }
            };
            if !matches!(found, Found::Nowhere) {
                return found;
            }
            path.pop();
            next = (segment.last() == key.order()).then_some(at + 1);
        }
        Found::Nowhere
    }

    /// Adds an event where it belongs; the references that stand for the old one then. The path must be at hand.
    fn add(&mut self, segment: &SealedRef, entry: Entry, leaf: usize) -> Option<Vec<SealedRef>> {
        match self.take(segment.key)? {
            Node::Leaf(mut entries) => {
                let at = entries.partition_point(|kept| kept.order() <= entry.order());
                entries.insert(at, entry);
                let half = split_at(entries.len(), 2 * leaf);
                let upper = entries.split_off(half);
                let halves = [entries, upper].map(Node::Leaf);
                Some(halves.into_iter().filter_map(|half| self.make(half)).collect())
            }
            Node::Inner(inner) => {
                let mut lists = Lists::of_inner(&inner);
                let mut refs = inner.refs;
                let at = covering(&refs, entry.order())?;
                let replaced = self.add(refs.get(at)?, entry, leaf)?;
                // What was just made is at hand.
                lists.splice(at..=at, Lists::of_segments(self, &replaced));
                refs.splice(at..=at, replaced);
                let half = split_at(refs.len(), CHILDREN_MAX);
                let upper = (refs.split_off(half), lists.split_off(half));
                let halves = [(refs, lists), upper].into_iter().filter(|(refs, _)| !refs.is_empty());
                halves.map(|(refs, lists)| self.make_inner(refs, &lists)).collect()
            }
        }
    }

    /// By how many references a level grows when an event is added below it.
    pub(super) fn growth(&self, refs: &[SealedRef], order: OrderKey, leaf: usize) -> usize {
        let segment = covering(refs, order).and_then(|at| refs.get(at));
        match segment.and_then(|segment| self.get(segment.key)) {
            Some(Node::Leaf(entries)) => usize::from(entries.len() + 1 > 2 * leaf),
            Some(Node::Inner(inner)) => {
                let more = self.growth(&inner.refs, order, leaf);
                usize::from(inner.refs.len() + more > CHILDREN_MAX)
            }
            None => 0,
        }
    }

    /// Notes segments that are not at hand and whose sums leave something open.
    pub(super) fn note_open(&self, refs: &[SealedRef], open: &mut Vec<SegmentKey>) {
        let open_ones = refs
            .iter()
            .filter(|segment| Wants::ALL.left_open_by(&segment.summary) != Wants::default());
        let keys = open_ones.map(|segment| segment.key);
        open.extend(keys.filter(|key| self.get(*key).is_none()));
    }

    /// Changes the event at the end of a path; the reference that stands for the old one then. The path must be at hand.
    fn change(&mut self, segment: &SealedRef, path: &[usize], change: &dyn Fn(&mut Entry)) -> Option<SealedRef> {
        let (at, rest) = path.split_first()?;
        let node = match self.take(segment.key)? {
            Node::Leaf(mut entries) => {
                change(entries.get_mut(*at)?);
                Node::Leaf(entries)
            }
            Node::Inner(mut inner) => {
                let changed = self.change(inner.refs.get(*at)?, rest, change)?;
                inner.refs[*at] = changed;
                Node::Inner(inner)
            }
        };
        self.make(node)
    }
}

/// What all of these add up to; `None` for none.
fn sums(refs: &[SealedRef]) -> Option<Summary> {
    Summary::of_all(refs.iter().map(|segment| segment.summary.clone()))
}

/// Where to split what is over its limit; at the end otherwise.
const fn split_at(count: usize, max: usize) -> usize {
    if count > max { count / 2 } else { count }
}

impl History {
    /// The newest event time that is kept, ms since 1970-01-01T00:00:00Z; `None` without events.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        let sealed = || self.sealed.last().map(|segment| segment.summary.last_ms);
        self.entries.last().map(|entry| entry.time_ms).or_else(sealed)
    }

    /// Whether an event belongs among the sealed ones.
    pub(crate) fn is_sealed(&self, order: OrderKey) -> bool {
        self.sealed.last().is_some_and(|segment| order <= segment.last())
    }

    /// The sealed entry of an event.
    pub(crate) fn find_sealed(&self, key: HistoryKey) -> Found<&Entry> {
        self.nodes.find(&self.sealed, key, &mut Vec::new())
    }

    /// Adds an event among the sealed ones. Its path must be at hand.
    pub(crate) fn add_sealed(&mut self, entry: Entry, leaf: usize) -> Option<()> {
        let at = covering(&self.sealed, entry.order())?;
        let replaced = self.nodes.add(self.sealed.get(at)?, entry, leaf)?;
        self.sealed.splice(at..=at, replaced);
        Some(())
    }

    /// Changes a sealed event without moving it. Its path must be at hand.
    pub(crate) fn change_sealed(&mut self, key: HistoryKey, change: &dyn Fn(&mut Entry)) -> Option<()> {
        let mut path = Vec::new();
        if !matches!(self.nodes.find(&self.sealed, key, &mut path), Found::Here(_)) {
            return None;
        }
        let (at, rest) = path.split_first()?;
        self.size.forget();
        self.sealed[*at] = self.nodes.change(self.sealed.get(*at)?, rest, change)?;
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

    /// The sealed history in (`starts_ms`' least, `now_ms`], the newest first: as events where one of the edges divides
    /// a segment or so many events are to be had one by one, as sums elsewhere, with the segment where the sums leave open what is wanted. Which is which follows from
    /// the state and the cuts alone.
    pub(crate) fn sealed_pieces(&self, cuts: &Cuts<'_>) -> Vec<Piece<'_>> {
        let (mut pieces, mut each) = (Vec::with_capacity(PIECES_TYPICAL), self.each_sealed(cuts));
        self.walk((&self.sealed, None), cuts, &mut each, &mut |piece, _| {
            pieces.push(piece);
        });
        pieces
    }

    /// Segments that [`History::sealed_pieces`] needs and that are not at hand.
    pub(crate) fn unread(&self, cuts: &Cuts<'_>) -> Vec<SegmentKey> {
        let (mut keys, mut each) = (Vec::new(), self.each_sealed(cuts));
        self.walk((&self.sealed, None), cuts, &mut each, &mut |_, unread| {
            keys.extend(unread);
        });
        keys
    }

    /// How many sealed events are to be had one by one.
    fn each_sealed(&self, cuts: &Cuts<'_>) -> usize {
        let counts = |entry: &&Entry| entry.time_ms <= cuts.now_ms && entry.time_ms > cuts.oldest_ms;
        cuts.each.saturating_sub(self.entries.iter().filter(counts).count())
    }

    /// `each` is how many events more are to be had one by one. Leaves are opened for it from the newest on, as long as it is not 0: so
    /// those that are listed are the newest, and a leaf's worth more at most.
    fn walk<'s>(
        &'s self,
        (refs, above): (&'s [SealedRef], Option<&'s Inner>),
        cuts: &Cuts<'_>,
        each: &mut usize,
        visit: &mut dyn FnMut(Piece<'s>, Option<SegmentKey>),
    ) {
        for (at, segment) in refs.iter().enumerate().rev() {
            let summary = &segment.summary;
            if summary.first_ms > cuts.now_ms {
                continue;
            }
            if summary.last_ms <= cuts.oldest_ms {
                return;
            }
            let node = self.nodes.get(segment.key);
            let missing = node.is_none().then_some(segment.key);
            let (count, is_divided) = (summary.count as usize, cuts.divide(summary));
            match node {
                _ if !is_divided && *each == 0 => {
                    let open = cuts.wants.left_open_by(summary);
                    let (lister, missing) = match above {
                        _ if open == Wants::default() => (Lister::None, None),
                        Some(inner) if inner.known.has(open) => (Lister::Above(inner, at), None),
                        _ => (node.map_or(Lister::None, Lister::Node), missing),
                    };
                    visit(Piece::Whole(Whole { summary, lister }), missing);
                }
                None => {
                    // What it turns out to hold, another walk sees.
                    *each = each.saturating_sub(count);
                    visit(Piece::Unread(summary), missing);
                }
                Some(Node::Inner(inner)) => self.walk((&inner.refs, Some(inner)), cuts, each, visit),
                Some(Node::Leaf(entries)) => {
                    let counts = |entry: &&Entry| entry.time_ms <= cuts.now_ms && entry.time_ms > cuts.oldest_ms;
                    let counting = entries.iter().rev().filter(counts);
                    for entry in counting {
                        *each = each.saturating_sub(1);
                        visit(Piece::One(entry), None);
                    }
                }
            }
        }
    }

    /// The latest event of an id among the newest [`LABEL_LEAVES_MAX`] leaves. What is at or before `aged_ms` counts as
    /// dropped: an inner node may outlive segments below it in the store.
    pub(crate) fn find_id(&self, fingerprint: u64, aged_ms: i64) -> Found<HistoryKey> {
        let mut search = Search {
            fingerprint,
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
    /// `fingerprint64` of the id.
    fingerprint: u64,
    /// Nothing at or before it is searched.
    aged_ms: i64,
    /// Leaves so far, unread segments included.
    leaves: usize,
    needs: Vec<SegmentKey>,
    found: Option<HistoryKey>,
}

impl Search {
    fn walk(&mut self, nodes: &Nodes, refs: &[SealedRef]) {
        for segment in refs.iter().rev() {
            let aged = segment.summary.last_ms <= self.aged_ms;
            if aged || self.found.is_some() || self.leaves >= LABEL_LEAVES_MAX {
                return;
            }
            match nodes.get(segment.key) {
                Some(Node::Inner(inner)) => self.walk(nodes, &inner.refs),
                None => {
                    self.leaves += 1;
                    self.needs.push(segment.key);
                }
                Some(Node::Leaf(entries)) => {
                    self.leaves += 1;
                    let kept = entries.iter().rev().filter(|entry| entry.time_ms > self.aged_ms);
                    let of_id = kept.into_iter().find(|entry| entry.is_of(self.fingerprint));
                    self.found = of_id.map(|entry| HistoryKey {
                        time_ms: entry.time_ms,
                        fingerprint: self.fingerprint,
                    });
                }
            }
        }
    }
}
