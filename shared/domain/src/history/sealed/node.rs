//! What segments hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::entry::Entry;

use super::known::Known;
use super::segment::{NewSegment, SealedRef, SegmentKey};

/// A segment's content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// In their order.
    Leaf(Vec<Entry>),
    /// What is below it.
    Inner(Inner),
}

/// References of one level, and what their sums can't name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inner {
    /// In the order of their events.
    pub(crate) refs: Vec<SealedRef>,
    pub(crate) known: Known,
}

/// Segments at hand: read, or made and not yet written. They are no part of a state's value: whatever is at hand, the
/// same events give the same state and outcomes.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    pub(in crate::history) held: BTreeMap<SegmentKey, Arc<Node>>,
    pub(in crate::history) fresh: BTreeMap<SegmentKey, NewSegment>,
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

impl Nodes {
    pub(crate) fn get(&self, key: SegmentKey) -> Option<&Node> {
        self.held.get(&key).map(Arc::as_ref)
    }
}
