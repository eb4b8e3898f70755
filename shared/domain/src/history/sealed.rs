//! Sealed segments: what a history's head no longer holds, in immutable items of their own.
//!
//! A segment is a leaf (events in the order of time and fingerprint) or an inner node (references to segments one level
//! below, and lists of what their sums can't name). Its key is the hash of its bytes, so that whoever makes the same segment writes the same item. The head keeps
//! references to the topmost ones: which events they span, and what the events add up to.

mod known;
mod node;
mod segment;
mod summary;
mod whole;

pub use known::KNOWN_MAX;
pub use segment::{CHILDREN_MAX, FANOUT, LABEL_LEAVES_MAX, LEVEL_MAX, NewSegment, REFS_MAX, SegmentKey};

pub(in crate::history) use known::Lists;
pub(crate) use known::{Known, Listed, ListedCountries, Wants};
pub(crate) use node::{Inner, Node, Nodes};
pub(crate) use segment::{HeadLimits, Seal, SealedRef};
pub(crate) use summary::{Countries, Placed, Summary, country_fp};
pub(crate) use whole::{Lister, Whole};
