//! What can be wrong with an entry.

use crate::id::ID_BYTES_MAX;

/// Why a text can't be an entry. Never the text itself (I9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// Nothing.
    #[error("it is empty, expected an entry")]
    Empty,
    /// Over the limit of ids.
    #[error("it has {0} bytes, expected at most {ID_BYTES_MAX}, as an id of an event has")]
    TooLong(usize),
    /// A character that no id has.
    #[error("expected an id as events have it, without control characters, and without a space at either end")]
    Character,
    /// No country.
    #[error("expected a country by ISO 3166-1, such as DE")]
    Country,
    /// No address.
    #[error(
        "expected an address or a prefix, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32; a range from one address to another is written \
         as the prefixes that make it up"
    )]
    Address,
    /// Too many bits, or something else than a number of them.
    #[error("expected 0 to {0} bits behind the `/`")]
    PrefixBits(u8),
    /// It has bits set behind the prefix.
    #[error("the address has bits set behind the prefix, expected {0}, or the address alone")]
    PrefixTail(String),
}
