//! A key's history, as a value.

use super::entry::Entry;
use super::head::Head;
use super::sealed::{Nodes, SealedRef};
use super::spelt::SpeltRefs;

/// What the head's limit took away, before there were sealed segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Events dropped because the head was full, ever.
    pub events: u64,
    /// The newest event time among them, ms since 1970-01-01T00:00:00Z.
    pub floor_ms: i64,
}

/// The events of a key, as far as they are kept: the newest in a head, those before them by reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Ordered by (event time, arrival).
    pub(crate) entries: Head,
    /// Events accepted so far.
    pub(crate) next_seq: u64,
    /// The newest event time that was ever dropped: at or below it nothing can be told from a duplicate.
    pub(crate) floor_ms: Option<i64>,
    /// What was dropped for want of space, not for its age.
    pub(crate) truncation: Option<Truncation>,
    /// References to sealed segments, in the order of their events' keys, all below the entries'; levels never rise.
    pub(crate) sealed: Vec<SealedRef>,
    /// Segments at hand; no part of the state's value.
    pub(crate) nodes: Nodes,
    /// How long the state is in bytes, where that is known; no part of its value.
    pub(crate) size: Size,
    /// How the references are written; no part of the state's value.
    pub(crate) spelt_refs: SpeltRefs,
}

/// A state's bytes, counted once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size(Option<usize>);

impl PartialEq for Size {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Size {
    /// Takes note of it.
    pub(crate) const fn note(&mut self, bytes: usize) {
        self.0 = Some(bytes);
    }

    /// The state changes.
    pub(crate) const fn forget(&mut self) {
        self.0 = None;
    }
}

impl History {
    /// The events in the head, ordered by (event time, arrival). Those before them may be in sealed segments.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How long the state is without its labels, bytes. A label may come at any time, and what is made of the events does not depend on
    /// when it did.
    pub(crate) fn size_bytes(&mut self) -> usize {
        if self.entries.iter().any(|entry| entry.label.is_some()) {
            return self.unlabelled_bytes();
        }
        let bytes = match self.size.0 {
            Some(bytes) => bytes,
            None => self.encode_again().len(),
        };
        debug_assert_eq!(bytes, self.encode().len(), "whatever changes a state forgets its size");
        bytes
    }

    /// What is kept beside the entries for [`History::encode_again`], in memory, bytes.
    #[must_use]
    pub fn spelling_bytes(&self) -> usize {
        self.entries.spelling_bytes() + self.spelt_refs.held_bytes()
    }

    /// Events accepted so far: the `seq` of the next one.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The newest event time that was ever dropped, ms since 1970-01-01T00:00:00Z; `None` while everything is kept. An
    /// event at or before it can't be told from a duplicate.
    #[must_use]
    pub const fn floor_ms(&self) -> Option<i64> {
        self.floor_ms
    }

    /// What was dropped because the head was full; `None` when nothing was.
    #[must_use]
    pub const fn truncation(&self) -> Option<Truncation> {
        self.truncation
    }

    /// Whether an event after `start_ms` (ms since 1970-01-01T00:00:00Z) was dropped because the head was full, so that
    /// a window that begins there is not whole.
    #[must_use]
    pub fn is_truncated_after(&self, start_ms: i64) -> bool {
        self.truncation.is_some_and(|truncation| truncation.floor_ms > start_ms)
    }
}
