//! Parts and manifests as bytes, format version 1 of both.
//!
//! ```text
//! part      version:1 = 1   of:1   notes: V   each:  at: Z   who: T   reason: T
//!           entries: V   each, in the order of fingerprints:  value: T   until: V (0: none; else 1 + zigzag of it)   note: V (its index)
//!
//! manifest  version:1 = 1   of:1   bits:1   entries: V   sum:8 (of the entries' hashes)
//!           for each of the 2^bits parts, in the order of the fingerprints' upper bits:  name:8 (0: it is empty)
//!
//! x:n  n bytes, the lowest first.   V  a number, 7 bits a byte, the lowest first; the highest bit says that another byte follows.
//! Z    V of the zigzag of a signed number.   T  V bytes of UTF-8 follow.
//! ```
//!
//! Both are named by the hash of their bytes (XXH3-64, seed 0), and never changed: another content has another name.

use std::fmt;
use std::sync::Arc;

use crate::id::hash_of_name;

use super::entry::{ListEntry, ListNote};
use super::error::ListError;
use super::kind::ListOf;
use super::limits::{
    LIST_ENTRIES_MAX, LIST_PART_BYTES_MAX, LIST_PART_ENTRIES_MAX, LIST_REASON_BYTES_MAX, LIST_WHO_BYTES_MAX, is_bits,
};
use super::member::ListVersion;

const VERSION: u8 = 1;

/// The name of a part or of a manifest: the hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListPartKey(pub u64);

impl ListPartKey {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(bytes))
    }

    /// Reads a name as it is written: 16 hexadecimal digits, small letters.
    #[must_use]
    pub fn from_name(text: &str) -> Option<Self> {
        hash_of_name(text).map(Self)
    }

    /// The bytes, if they are those of this name.
    pub(super) fn held_against(self, bytes: &[u8]) -> Result<&[u8], ListError> {
        if Self::of(bytes) == self {
            Ok(bytes)
        } else {
            Err(ListError::Name)
        }
    }
}

impl fmt::Display for ListPartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a list consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListManifest {
    /// What it is of.
    pub of: ListOf,
    pub(super) bits: u8,
    pub(super) entries: usize,
    pub(super) sum: u64,
    /// `None`: the part is empty.
    pub(super) parts: Vec<Option<ListPartKey>>,
}

impl ListManifest {
    /// How many entries the list has.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// The list's version.
    #[must_use]
    pub fn version(&self) -> ListVersion {
        ListVersion::of(self.of, self.entries, self.sum)
    }

    /// The parts that are not empty.
    pub fn parts(&self) -> impl Iterator<Item = ListPartKey> {
        self.parts.iter().copied().flatten()
    }

    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.of as u8, self.bits];
        put_number(&mut bytes, self.entries as u64);
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        for part in &self.parts {
            bytes.extend_from_slice(&part.map_or(0, |key| key.0).to_le_bytes());
        }
        bytes
    }

    /// Reads what is stored under a name.
    ///
    /// # Errors
    /// When the bytes are not those of the name, or no manifest.
    pub fn decode(key: ListPartKey, bytes: &[u8]) -> Result<Self, ListError> {
        let mut reader = Reader(key.held_against(bytes)?);
        let of = reader.head()?;
        let bits = reader.byte()?;
        if !is_bits(bits) {
            return Err(ListError::Content("it has more parts than a list may have"));
        }
        let entries = usize::try_from(reader.number()?).map_err(|_| ListError::TooMany)?;
        if entries > LIST_ENTRIES_MAX {
            return Err(ListError::TooMany);
        }
        let sum = reader.word()?;
        let parts = (0..1_usize << bits).map(|_| reader.word().map(|key| (key != 0).then_some(ListPartKey(key))));
        let parts = parts.collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self {
            of,
            bits,
            entries,
            sum,
            parts,
        })
    }
}

/// A part's bytes. The entries come in the order of their fingerprints.
pub(super) fn encode_part<'e>(
    of: ListOf,
    entries: impl ExactSizeIterator<Item = &'e ListEntry>,
) -> Result<Vec<u8>, ListError> {
    let (mut notes, mut own): (Vec<&Arc<ListNote>>, Vec<u8>) = (Vec::new(), Vec::new());
    put_number(&mut own, entries.len() as u64);
    for entry in entries {
        put_text(&mut own, &entry.value);
        put_number(
            &mut own,
            entry.until_ms.map_or(0, |until_ms| zigzag(until_ms).saturating_add(1)),
        );
        // Hardly ever many: a change gives all its entries one.
        let known = notes
            .iter()
            .rposition(|note| Arc::ptr_eq(note, &entry.note) || **note == entry.note);
        let note = known.unwrap_or_else(|| {
            notes.push(&entry.note);
            notes.len() - 1
        });
        put_number(&mut own, note as u64);
    }
    let mut bytes = vec![VERSION, of as u8];
    put_number(&mut bytes, notes.len() as u64);
    for note in notes {
        put_number(&mut bytes, zigzag(note.at_ms));
        put_text(&mut bytes, &note.who);
        put_text(&mut bytes, &note.reason);
    }
    bytes.extend_from_slice(&own);
    if bytes.len() > LIST_PART_BYTES_MAX {
        return Err(ListError::PartTooLong);
    }
    Ok(bytes)
}

/// What is read of an entry: its value, its end and the index of its note.
pub(super) type Spelt<'b> = (&'b str, Option<i64>, usize);

/// Reads the part of a name: hands over each entry with its fingerprint, in their order, and answers with the notes.
pub(super) fn read_part<'b>(
    (key, of): (ListPartKey, ListOf),
    bytes: &'b [u8],
    mut each: impl FnMut(u64, Spelt<'b>),
) -> Result<Vec<Arc<ListNote>>, ListError> {
    if bytes.len() > LIST_PART_BYTES_MAX {
        return Err(ListError::PartTooLong);
    }
    let mut reader = Reader(key.held_against(bytes)?);
    let found = reader.head()?;
    if found != of {
        return Err(ListError::OtherKind { found, expected: of });
    }
    let notes = reader.count()?;
    let notes = (0..notes).map(|_| reader.note()).collect::<Result<Vec<_>, _>>()?;
    let entries = reader.count()?;
    let mut last = None;
    for _ in 0..entries {
        let value = reader.text()?;
        let until_ms = match reader.number()? {
            0 => None,
            until => Some(unzigzag(until - 1)),
        };
        let note = reader.count()?;
        if note >= notes.len() {
            return Err(ListError::Content("an entry of it has a note that is not there"));
        }
        let fingerprint = of.fingerprint(value);
        let fingerprint = fingerprint.ok_or(ListError::Content("an entry of it is not in its one spelling"))?;
        if last.is_some_and(|last| last >= fingerprint) {
            return Err(ListError::Content("its entries are not in their order"));
        }
        last = Some(fingerprint);
        each(fingerprint, (value, until_ms, note));
    }
    reader.end()?;
    Ok(notes)
}

const fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The lowest bits fit.
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], ListError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ListError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ListError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Result<u64, ListError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    fn number(&mut self) -> Result<u64, ListError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ListError::Length)
    }

    /// A number of things of a part.
    fn count(&mut self) -> Result<usize, ListError> {
        let count = usize::try_from(self.number()?).ok();
        count
            .filter(|count| *count <= LIST_PART_ENTRIES_MAX)
            .ok_or(ListError::TooMany)
    }

    fn text(&mut self) -> Result<&'b str, ListError> {
        let length = usize::try_from(self.number()?).map_err(|_| ListError::Length)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| ListError::Content("a text of it is not UTF-8"))
    }

    fn note(&mut self) -> Result<Arc<ListNote>, ListError> {
        let at_ms = unzigzag(self.number()?);
        let (who, reason) = (self.text()?.to_owned(), self.text()?.to_owned());
        if who.len() > LIST_WHO_BYTES_MAX || reason.len() > LIST_REASON_BYTES_MAX {
            return Err(ListError::Content("a note of it is longer than one may be"));
        }
        Ok(Arc::new(ListNote { at_ms, who, reason }))
    }

    fn head(&mut self) -> Result<ListOf, ListError> {
        match self.byte()? {
            VERSION => {
                ListOf::from_number(self.byte()?).ok_or(ListError::Content("it is of nothing that lists are of"))
            }
            other => Err(ListError::Format(other)),
        }
    }

    const fn end(&self) -> Result<(), ListError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ListError::Length)
        }
    }
}
