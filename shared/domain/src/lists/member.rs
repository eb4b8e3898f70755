//! What of an entry a rule can see: its fingerprint and its end. A list's version is made of nothing else.

use std::fmt;

use crate::id::hash_of_name;

use super::kind::ListOf;

/// An entry as a rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) fingerprint: u64,
    /// It holds for events before this; `i64::MAX`: for all.
    pub(super) until_ms: i64,
}

impl Member {
    pub(super) fn new(fingerprint: u64, until_ms: Option<i64>) -> Self {
        Self {
            fingerprint,
            until_ms: until_ms.unwrap_or(i64::MAX),
        }
    }

    /// Its part in the sum of a list.
    pub(super) fn hash(self) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.fingerprint.to_le_bytes());
        bytes[8..].copy_from_slice(&self.until_ms.to_le_bytes());
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }
}

/// What names a list's content, as far as a rule can see it: lists with the same entries and ends have the same version, wherever they
/// came from and however they are divided. It finds damage, not forgery. Persisted: never change how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListVersion(pub u64);

impl ListVersion {
    /// The version of a list of so many entries, whose hashes add up to `sum`.
    pub(super) fn of(of: ListOf, entries: usize, sum: u64) -> Self {
        let mut bytes = [of as u8; 17];
        bytes[1..9].copy_from_slice(&(entries as u64).to_le_bytes());
        bytes[9..].copy_from_slice(&sum.to_le_bytes());
        Self(xxhash_rust::xxh3::xxh3_64(&bytes))
    }

    /// Reads a version as it is written: 16 hexadecimal digits, small letters.
    #[must_use]
    pub fn from_name(text: &str) -> Option<Self> {
        hash_of_name(text).map(Self)
    }
}

impl fmt::Display for ListVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
