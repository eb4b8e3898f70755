//! Segments by name, the references to them, and how many there may be.

use crate::history::entry::OrderKey;
use crate::history::limits::HEAD_EVENTS_LIMIT;

use super::summary::Summary;

/// References of one level that are gathered into an inner node one level up.
pub const FANOUT: usize = 8;
/// The highest level: it is reached after more events than a history can have.
pub const LEVEL_MAX: u8 = 15;
/// A head keeps so many references at most, in every version; the fold stays far below.
pub const REFS_MAX: usize = 200;
/// An inner node holds so many references at most: one more is split.
pub const CHILDREN_MAX: usize = 2 * FANOUT;
/// A label looks for its event in so many leaves at most, the newest.
pub const LABEL_LEAVES_MAX: usize = 512;
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

/// What a policy says of how long a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Events of a history without sealed segments.
    pub(crate) events_max: usize,
    /// Bytes of a state.
    pub(crate) bytes_max: usize,
}

/// How a head is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The head holds so many events at most.
    pub(crate) limit: usize,
    /// When it has more, so many stay.
    pub(crate) keep: usize,
    /// Events of a new leaf.
    pub(crate) leaf: usize,
    /// A leaf that late events fill is split when it has more than twice as many.
    pub(crate) leaf_usual: usize,
}

impl Seal {
    /// By the limit of events: a quarter of it stays in the head of a history with sealed segments, which is written with every
    /// event while a segment is written once, and an eighth goes into a leaf.
    pub(crate) fn by_events(events_max: usize, has_sealed: bool) -> Self {
        let events_max = events_max.min(HEAD_EVENTS_LIMIT);
        let keep = (events_max / 4).max(1);
        let leaf = (events_max / 8).max(LEAF_EVENTS_MIN);
        Self {
            limit: if has_sealed { keep } else { events_max.max(1) },
            keep,
            leaf,
            leaf_usual: leaf,
        }
    }
}
