//! A list as a function holds it.

use std::sync::Arc;

use crate::id::fingerprint64;

use super::address::Lengths;
use super::codec::ListManifest;
use super::error::ListError;
use super::kind::ListOf;
use super::member::ListVersion;
use super::part::ListPart;

/// A list that rules can ask. Two lists share the parts that are the same in both.
#[derive(Clone, Debug)]
pub struct List {
    of: ListOf,
    version: ListVersion,
    entries: usize,
    bits: u8,
    /// 2^`bits`, in the order of the fingerprints' upper bits.
    parts: Box<[Arc<ListPart>]>,
    /// Lengths of prefixes that occur.
    lengths: Lengths,
}

/// A version names a content.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        (self.of, self.version) == (other.of, other.version)
    }
}

/// The part that holds a fingerprint, of 2^`bits`.
#[inline]
pub(super) fn place_of(fingerprint: u64, bits: u8) -> usize {
    // The upper bits, as a number: at most 11.
    fingerprint.checked_shr(64 - u32::from(bits)).unwrap_or(0) as usize
}

impl List {
    /// The list of a manifest, from its parts: one for each that is not empty, in their order.
    ///
    /// # Errors
    /// When they are not what the manifest says.
    pub fn of_parts(
        manifest: &ListManifest,
        parts: impl IntoIterator<Item = Arc<ListPart>>,
    ) -> Result<Self, ListError> {
        let empty = Arc::new(ListPart::default());
        let mut parts = parts.into_iter();
        let all = manifest.parts.iter().map(|key| match key {
            None => Some(Arc::clone(&empty)),
            Some(_) => parts.next(),
        });
        let all = all.collect::<Option<Vec<_>>>().ok_or(ListError::Unread)?;
        Self::new((manifest.of, manifest.bits), all)
            .filter(|list| (list.entries, list.version) == (manifest.entries, manifest.version()))
            .ok_or(ListError::Sum)
    }

    /// A list of 2^`bits` parts; `None` where an entry is not in its part.
    pub(super) fn new((of, bits): (ListOf, u8), parts: Vec<Arc<ListPart>>) -> Option<Self> {
        let (mut lengths, mut entries, mut sum) = (Lengths::default(), 0, 0_u64);
        for (at, part) in parts.iter().enumerate() {
            lengths.join(part.lengths());
            entries += part.len();
            sum = sum.wrapping_add(part.sum());
            let (first, last) = part
                .ends()
                .map_or((at, at), |(first, last)| (place_of(first, bits), place_of(last, bits)));
            if (first, last) != (at, at) {
                return None;
            }
        }
        Some(Self {
            of,
            version: ListVersion::of(of, entries, sum),
            entries,
            bits,
            parts: parts.into(),
            lengths,
        })
    }

    /// What it is of.
    #[must_use]
    pub const fn of(&self) -> ListOf {
        self.of
    }

    /// What names its content.
    #[must_use]
    pub const fn version(&self) -> ListVersion {
        self.version
    }

    /// How many entries it has, those that have ended included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Whether an entry of it holds for a text of an event that happened at this time (ms since 1970-01-01T00:00:00Z). A text that is no
    /// address is in no list of addresses.
    #[must_use]
    pub fn holds(&self, text: &str, at_ms: i64) -> bool {
        match self.of {
            ListOf::Ids | ListOf::Countries => self.has(fingerprint64(text), at_ms),
            ListOf::Addresses => self.lengths.prefixes_of(text).any(|prefix| self.has(prefix, at_ms)),
        }
    }

    #[inline]
    fn has(&self, fingerprint: u64, at_ms: i64) -> bool {
        let part = self.parts.get(place_of(fingerprint, self.bits));
        part.is_some_and(|part| part.has(fingerprint, at_ms))
    }
}
