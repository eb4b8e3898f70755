//! Why bytes are not a card's state, and why a state can't be.

use crate::event::MCC_MAX;
use crate::outcome::{KEYS_MAX, POLICY_LISTS_MAX, REASONS_MAX, RULES_MAX, SCORE_MAX};

use super::limits::{DECODE_BYTES_MAX, ENTRIES_MAX, FEATURES_MAX};

/// Why bytes are not a card's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is not even a version.
    #[error("no bytes")]
    Empty,
    /// A format that this build does not know.
    #[error("format version {0} is not known")]
    UnknownVersion(u8),
    /// More than a state can ever take.
    #[error("more than {DECODE_BYTES_MAX} bytes")]
    TooLong,
    /// The bytes end within a field.
    #[error("the bytes end too early")]
    Truncated,
    /// Something follows the last entry.
    #[error("bytes follow the last entry")]
    Trailing,
    /// A number does not fit its type.
    #[error("a number is out of its type's range")]
    NumberRange,
    /// A numbered value that this build does not know.
    #[error("{what} has no number {number}")]
    UnknownNumber {
        /// Which type.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// The fields are readable, but no card can be in this state.
    #[error(transparent)]
    Invalid(#[from] InvalidState),
}

/// Why a state can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidState {
    /// More than [`ENTRIES_MAX`].
    #[error("more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// Entries are not in strict order of (event time, arrival).
    #[error("entries are not in the order of event time and arrival")]
    Order,
    /// An entry's `seq` is not below the state's `next_seq`.
    #[error("an entry's number is not below the number of accepted events")]
    Seq,
    /// The floor is above the first entry, or the truncation's above the floor.
    #[error("a floor is above what it is the floor of")]
    Floor,
    /// A score over [`SCORE_MAX`].
    #[error("a score is over {SCORE_MAX}")]
    Score,
    /// A place that is not on the globe.
    #[error("a place is not on the globe")]
    Place,
    /// More than [`REASONS_MAX`] reasons, or a share over 100 %.
    #[error("more than {REASONS_MAX} reasons, or a share over 100 %")]
    Reasons,
    /// More than [`FEATURES_MAX`] features, or a value that is not a finite number.
    #[error("more than {FEATURES_MAX} features, or a value that is not finite")]
    Features,
    /// A reference or a segment that no events add up to.
    #[error("a sealed segment can't be what it is said to be")]
    Segment,
    /// The format is not the one that such a state is written in.
    #[error("the format is not that of such a state")]
    Version,
    /// The state can be, but is never written like this.
    #[error("the bytes are not those that such a state is written in")]
    Spelling,
    /// More than [`KEYS_MAX`] keys, a version of one that knows nothing, or half an identity.
    #[error("more than {KEYS_MAX} keys, one of version 0, or half of one's identity")]
    Keys,
    /// More than [`KEYS_MAX`] links, or not in the order of their names.
    #[error("more than {KEYS_MAX} links, or out of the order of their names")]
    Links,
    /// More than [`RULES_MAX`] rules, one twice, or words that are none of a rule.
    #[error("more than {RULES_MAX} rules, one twice, or words that are none of a rule")]
    Rules,
    /// More than [`POLICY_LISTS_MAX`] lists, or one twice.
    #[error("more than {POLICY_LISTS_MAX} lists, or one twice")]
    Lists,
    /// A merchant category that none has.
    #[error("a merchant category is over {MCC_MAX}")]
    Category,
    /// A bit in `missing` that has no name.
    #[error("an unknown input is missing")]
    Missing,
}
