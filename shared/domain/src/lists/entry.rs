//! An entry as people see it: with who put it there, when and why.

use std::sync::Arc;

/// Who put entries there, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListNote {
    /// When, milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Who, at most [`LIST_WHO_BYTES_MAX`](super::LIST_WHO_BYTES_MAX).
    pub who: String,
    /// Why, at most [`LIST_REASON_BYTES_MAX`](super::LIST_REASON_BYTES_MAX).
    pub reason: String,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// In its one spelling.
    pub value: String,
    /// It holds for events that happened before this, ms since 1970-01-01T00:00:00Z; `None`: for all.
    pub until_ms: Option<i64>,
    /// Who put it there, when and why.
    pub note: Arc<ListNote>,
}

/// An entry that is to be in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// In its one spelling: [`ListOf::spelt`](super::ListOf::spelt).
    pub value: String,
    /// It holds for events that happened before this, ms since 1970-01-01T00:00:00Z; `None`: for all.
    pub until_ms: Option<i64>,
    /// Why, where it has a reason of its own; otherwise the change's.
    pub reason: Option<String>,
}
