//! What can be wrong with a list, and with what is stored of one.

use super::kind::ListOf;
use super::limits::{LIST_ENTRIES_MAX, LIST_PART_BYTES_MAX};

/// What is wrong with a list, or with what is stored of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The bytes end too early, or go on where they should end.
    #[error("its bytes are too few or too many")]
    Length,
    /// A format that this build does not know.
    #[error("its format {0} is unknown to this build")]
    Format(u8),
    /// Something that no list has.
    #[error("{0}")]
    Content(&'static str),
    /// The bytes are not those that they are named by.
    #[error("its bytes are not those of its name")]
    Name,
    /// It is of something else than it should be.
    #[error("it is of {}, not of {}", .found.as_str(), .expected.as_str())]
    OtherKind {
        /// What it is of.
        found: ListOf,
        /// What it should be of.
        expected: ListOf,
    },
    /// The parts don't add up to the list that the manifest names.
    #[error("its parts don't add up to what its manifest says")]
    Sum,
    /// Over [`LIST_ENTRIES_MAX`].
    #[error("a list has at most {LIST_ENTRIES_MAX} entries")]
    TooMany,
    /// A part over [`LIST_PART_BYTES_MAX`].
    #[error("a part of the list would have more than {LIST_PART_BYTES_MAX} bytes")]
    PartTooLong,
    /// Two entries have one fingerprint, which hardly ever happens.
    #[error("two entries of it can't be told apart: {0} and {1}")]
    Alike(String, String),
    /// A part that a change needs was not read.
    #[error("a part of the list is not at hand")]
    Unread,
}
