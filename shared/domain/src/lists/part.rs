//! A part of a list as a function holds it: 16 bytes an entry.

use super::address::Lengths;
use super::codec::{ListPartKey, read_part};
use super::entry::ListEntry;
use super::error::ListError;
use super::kind::ListOf;
use super::member::Member;

/// A part of a list: of each entry its fingerprint and its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// In the order of their fingerprints.
    members: Box<[Member]>,
    lengths: Lengths,
    sum: u64,
}

impl ListPart {
    /// The part of a name, of what is stored under it.
    ///
    /// # Errors
    /// When the bytes are not those of the name, or no part of such a list.
    pub fn decode(key: ListPartKey, of: ListOf, bytes: &[u8]) -> Result<Self, ListError> {
        let (mut members, mut lengths) = (Vec::new(), Lengths::default());
        read_part((key, of), bytes, |fingerprint, (value, until_ms, _)| {
            if of == ListOf::Addresses {
                lengths.add(value);
            }
            members.push(Member::new(fingerprint, until_ms));
        })?;
        Ok(Self::of(members, lengths))
    }

    /// The part of entries, which come in the order of their fingerprints.
    pub(super) fn of_entries<'e>(of: ListOf, entries: impl Iterator<Item = (u64, &'e ListEntry)>) -> Self {
        let mut lengths = Lengths::default();
        let members = entries.map(|(fingerprint, entry)| {
            if of == ListOf::Addresses {
                lengths.add(&entry.value);
            }
            Member::new(fingerprint, entry.until_ms)
        });
        let members = members.collect();
        Self::of(members, lengths)
    }

    fn of(members: Vec<Member>, lengths: Lengths) -> Self {
        let sum = members
            .iter()
            .fold(0, |sum: u64, member| sum.wrapping_add(member.hash()));
        Self {
            members: members.into(),
            lengths,
            sum,
        }
    }

    /// How many entries it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    pub(super) const fn lengths(&self) -> Lengths {
        self.lengths
    }

    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.members.first()?, self.members.last()?);
        Some((first.fingerprint, last.fingerprint))
    }

    /// Whether it has an entry that holds at a time.
    #[inline]
    pub(super) fn has(&self, fingerprint: u64, at_ms: i64) -> bool {
        let found = self
            .members
            .binary_search_by_key(&fingerprint, |member| member.fingerprint);
        found.is_ok_and(|at| at_ms < self.members[at].until_ms)
    }
}
