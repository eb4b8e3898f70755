//! Sealed segments: what a card's head no longer holds, in immutable items of their own.
//!
//! A segment is a leaf (events in the order of time and fingerprint) or an index (references to segments one level
//! below, and lists of what their sums can't name). Its key is the hash of its bytes, so that whoever makes the same segment writes the same item. The head keeps
//! references to the topmost ones: which events they span, and what the events add up to.

mod forest;
mod known;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::policy::Policy;

use super::Entry;

pub(crate) use forest::{Cuts, Found, Piece};
use known::Lists;
pub(crate) use known::{Known, Listed, ListedCountries, Lister, Wants, Whole};
pub(crate) use summary::{Countries, Placed, Summary, country_fp};

pub use known::KNOWN_MAX;

/// References of one level that are gathered into an index one level up.
pub const FANOUT: usize = 8;
/// The highest level: it is reached after more events than a card can have.
pub const LEVEL_MAX: u8 = 15;
/// A head keeps so many references at most, in every version; the fold stays far below.
pub const REFS_MAX: usize = 200;
/// An index holds so many references at most: one more is split.
pub const CHILDREN_MAX: usize = 2 * FANOUT;
/// A label looks for its event in so many leaves at most, the newest.
pub const LABEL_LEAVES_MAX: usize = 256;
/// Events of a new leaf at least, where the head has as many to give.
const LEAF_EVENTS_MIN: usize = 4;

/// A segment's name: the hash of its bytes (XXH3-64, seed 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentKey(pub u64);

impl SegmentKey {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(bytes))
    }
}

impl std::fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A segment that no store holds yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSegment {
    /// Its name.
    pub key: SegmentKey,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The newest event time in it, ms since 1970-01-01T00:00:00Z.
    pub last_ms: i64,
}

/// What orders sealed events: event time (ms) and the lower half of the id's fingerprint. Two events may share it.
pub(crate) type OrderKey = (i64, u32);

impl Entry {
    pub(crate) const fn order(&self) -> OrderKey {
        (self.time_ms, self.event_fp)
    }
}

/// A reference to a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SealedRef {
    pub(crate) key: SegmentKey,
    /// 0: a leaf.
    pub(crate) level: u8,
    /// The fingerprint of the last event.
    pub(crate) last_fp: u32,
    pub(crate) summary: Summary,
}

impl SealedRef {
    pub(crate) const fn last(&self) -> OrderKey {
        (self.summary.last_ms, self.last_fp)
    }
}

/// A segment's content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// In their order.
    Leaf(Vec<Entry>),
    /// What is below it.
    Index(Index),
}

/// References of one level, and what their sums can't name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Index {
    /// In the order of their events.
    pub(crate) refs: Vec<SealedRef>,
    pub(crate) known: Known,
}

/// Segments at hand: read, or made and not yet written. They are no part of a state's value: whatever is at hand, the
/// same events give the same state and outcomes.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    pub(super) held: BTreeMap<SegmentKey, Arc<Node>>,
    pub(super) fresh: BTreeMap<SegmentKey, NewSegment>,
}

impl PartialEq for Nodes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} segments at hand, {} new", self.held.len(), self.fresh.len())
    }
}

/// How a head of so many events at most (the policy's limit) is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// A card without sealed segments keeps so many events in its head.
    pub(crate) events_max: usize,
    /// A card with some keeps so many: its head is written with every event, a segment once.
    pub(crate) hot_max: usize,
    /// Events of a new leaf; one of more than twice as many is split.
    pub(crate) leaf: usize,
}

impl Seal {
    /// A quarter of the limit stays in a hot card's head, and an eighth goes into a leaf.
    pub(crate) fn new(events_max: usize) -> Self {
        let events_max = events_max.min(Policy::HEAD_EVENTS_LIMIT);
        Self {
            events_max: events_max.max(1),
            hot_max: (events_max / 4).max(1),
            leaf: (events_max / 8).max(LEAF_EVENTS_MIN),
        }
    }
}
