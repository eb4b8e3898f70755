//! A list that is being changed, as far as it was read: a change of one entry reads and writes one part.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codec::{ListManifest, ListPartKey, encode_part, read_part};
use super::entry::{ListEntry, ListNote, NewEntry};
use super::error::ListError;
use super::kind::ListOf;
use super::limits::{LIST_ENTRIES_MAX, bits_for};
use super::list::{List, place_of};
use super::member::Member;
use super::part::ListPart;

/// A list that is being changed.
#[derive(Clone, Debug)]
pub struct ListDraft {
    of: ListOf,
    bits: u8,
    entries: usize,
    sum: u64,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    /// As it is stored; not read.
    Stored(ListPartKey),
    Read {
        was: Option<ListPartKey>,
        /// By fingerprint.
        entries: BTreeMap<u64, ListEntry>,
    },
}

/// What putting an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPut {
    /// It is new.
    New,
    /// It was there with another end, or another reason of its own.
    Changed,
    /// It was there: who put it there first stays.
    Same,
}

/// A change that is ready to be written: the parts first, then the manifest, then what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// What the list consists of now.
    pub manifest: ListManifest,
    /// The parts that were not there before, by their names.
    pub parts: Vec<(ListPartKey, Vec<u8>)>,
}

impl ListDraft {
    /// A list without entries.
    #[must_use]
    pub fn new(of: ListOf) -> Self {
        Self {
            of,
            bits: 0,
            entries: 0,
            sum: 0,
            parts: vec![Part::read(None)],
        }
    }

    /// A list as it is stored, of which nothing is read yet.
    #[must_use]
    pub fn stored(manifest: &ListManifest) -> Self {
        let part = |key: &Option<ListPartKey>| key.map_or_else(|| Part::read(None), Part::Stored);
        Self {
            of: manifest.of,
            bits: manifest.bits,
            entries: manifest.entries,
            sum: manifest.sum,
            parts: manifest.parts.iter().map(part).collect(),
        }
    }

    /// What the list is of.
    #[must_use]
    pub const fn of(&self) -> ListOf {
        self.of
    }

    /// How many entries it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The parts that are to be read before these entries (each in its one spelling) can be put in or taken out.
    #[must_use]
    pub fn wanted<'v>(&self, values: impl IntoIterator<Item = &'v str>) -> Vec<ListPartKey> {
        let mut keys: Vec<ListPartKey> = Vec::new();
        for fingerprint in values.into_iter().filter_map(|value| self.of.fingerprint(value)) {
            if let Some(Part::Stored(key)) = self.parts.get(place_of(fingerprint, self.bits)) {
                keys.push(*key);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// All parts that were not read.
    #[must_use]
    pub fn unread(&self) -> Vec<ListPartKey> {
        let key = |part: &Part| match part {
            Part::Stored(key) => Some(*key),
            Part::Read { .. } => None,
        };
        self.parts.iter().filter_map(key).collect()
    }

    /// Takes a part that was read.
    ///
    /// # Errors
    /// When the bytes are not those of the name, or no part of this list.
    pub fn take(&mut self, key: ListPartKey, bytes: &[u8]) -> Result<(), ListError> {
        let mut found: Vec<(u64, &str, Option<i64>, usize)> = Vec::new();
        let notes = read_part((key, self.of), bytes, |fingerprint, (value, until_ms, note)| {
            found.push((fingerprint, value, until_ms, note));
        })?;
        let entries = found.into_iter().map(|(fingerprint, value, until_ms, note)| {
            let (value, note) = (value.to_owned(), Arc::clone(&notes[note]));
            (fingerprint, ListEntry { value, until_ms, note })
        });
        let entries: BTreeMap<u64, ListEntry> = entries.collect();
        let bits = self.bits;
        for (at, part) in self.parts.iter_mut().enumerate() {
            if matches!(part, Part::Stored(stored) if *stored == key) {
                if entries.keys().any(|fingerprint| place_of(*fingerprint, bits) != at) {
                    return Err(ListError::Sum);
                }
                let was = Some(key);
                *part = Part::Read { was, entries };
                return Ok(());
            }
        }
        Ok(())
    }

    /// The entry of a value in its one spelling; `None`: there is none, or its part is not read.
    #[must_use]
    pub fn find(&self, value: &str) -> Option<&ListEntry> {
        let fingerprint = self.of.fingerprint(value)?;
        match self.parts.get(place_of(fingerprint, self.bits))? {
            Part::Read { entries, .. } => entries.get(&fingerprint).filter(|entry| entry.value == value),
            Part::Stored(_) => None,
        }
    }

    /// All entries of parts that were read, in the order of their fingerprints.
    pub fn entries(&self) -> impl Iterator<Item = &ListEntry> {
        self.parts.iter().flat_map(|part| match part {
            Part::Read { entries, .. } => Some(entries.values()).into_iter().flatten(),
            Part::Stored(_) => None.into_iter().flatten(),
        })
    }

    fn part_of(&mut self, fingerprint: u64) -> Result<&mut BTreeMap<u64, ListEntry>, ListError> {
        match self.parts.get_mut(place_of(fingerprint, self.bits)) {
            Some(Part::Read { entries, .. }) => Ok(entries),
            Some(Part::Stored(_)) | None => Err(ListError::Unread),
        }
    }

    /// Puts an entry in. One that is there with the same end, and without another reason of its own, stays as it is.
    ///
    /// # Errors
    /// When its part was not read, or the list is full.
    pub fn put(&mut self, new: NewEntry, note: &Arc<ListNote>) -> Result<ListPut, ListError> {
        let fingerprint = self
            .of
            .fingerprint(&new.value)
            .ok_or(ListError::Content("an entry can't be one"))?;
        let part = self.part_of(fingerprint)?;
        let before = part.get(&fingerprint);
        if let Some(before) = before {
            if before.value != new.value {
                return Err(ListError::Alike(before.value.clone(), new.value));
            }
            let is_reason = new.reason.as_ref().is_none_or(|reason| *reason == before.note.reason);
            if before.until_ms == new.until_ms && is_reason {
                return Ok(ListPut::Same);
            }
        }
        let before = before.map(|before| Member::new(fingerprint, before.until_ms));
        let own = |reason| {
            let note = ListNote {
                reason,
                ..ListNote::clone(note)
            };
            Arc::new(note)
        };
        let reason = new.reason.filter(|reason| *reason != note.reason);
        let entry = ListEntry {
            value: new.value,
            until_ms: new.until_ms,
            note: reason.map_or_else(|| Arc::clone(note), own),
        };
        let member = Member::new(fingerprint, entry.until_ms);
        part.insert(fingerprint, entry);
        self.sum = self.sum.wrapping_add(member.hash());
        match before {
            Some(before) => self.sum = self.sum.wrapping_sub(before.hash()),
            None => self.entries += 1,
        }
        if self.entries > LIST_ENTRIES_MAX {
            return Err(ListError::TooMany);
        }
        Ok(if before.is_some() {
            ListPut::Changed
        } else {
            ListPut::New
        })
    }

    /// Takes the entry of a value (in its one spelling) out; `None`: there was none.
    ///
    /// # Errors
    /// When its part was not read.
    pub fn remove(&mut self, value: &str) -> Result<Option<ListEntry>, ListError> {
        let Some(fingerprint) = self.of.fingerprint(value) else {
            return Ok(None);
        };
        let part = self.part_of(fingerprint)?;
        let removed = part.remove(&fingerprint);
        if let Some(removed) = &removed {
            let member = Member::new(fingerprint, removed.until_ms);
            self.sum = self.sum.wrapping_sub(member.hash());
            self.entries -= 1;
        }
        Ok(removed)
    }

    /// Takes out all entries that `keeps` does not hold for; answers how many. Every part has to be read.
    pub fn retain(&mut self, keeps: impl Fn(&ListEntry) -> bool) -> usize {
        let mut gone = 0;
        for part in &mut self.parts {
            let Part::Read { entries, .. } = part else { continue };
            entries.retain(|fingerprint, entry| {
                let is_kept = keeps(entry);
                if !is_kept {
                    self.sum = self.sum.wrapping_sub(Member::new(*fingerprint, entry.until_ms).hash());
                    gone += 1;
                }
                is_kept
            });
        }
        self.entries -= gone;
        gone
    }

    /// Whether every part has to be read before the change can be finished: the list has outgrown its parts, or shrunk.
    #[must_use]
    pub fn needs_all(&self) -> bool {
        bits_for(self.entries, self.bits) != self.bits
    }

    /// What is to be written.
    ///
    /// # Errors
    /// When a part would be too long, or the parts that were not read are needed.
    pub fn finish(mut self) -> Result<ListChange, ListError> {
        self.divide()?;
        let (mut keys, mut parts) = (Vec::with_capacity(self.parts.len()), Vec::new());
        for part in &self.parts {
            match part {
                Part::Stored(key) => keys.push(Some(*key)),
                Part::Read { entries, .. } if entries.is_empty() => keys.push(None),
                Part::Read { was, entries } => {
                    let bytes = encode_part(self.of, entries.values())?;
                    let key = ListPartKey::of(&bytes);
                    keys.push(Some(key));
                    if *was != Some(key) {
                        parts.push((key, bytes));
                    }
                }
            }
        }
        let manifest = ListManifest {
            of: self.of,
            bits: self.bits,
            entries: self.entries,
            sum: self.sum,
            parts: keys,
        };
        Ok(ListChange { manifest, parts })
    }

    /// The list as rules ask it. Every part has to be read.
    ///
    /// # Errors
    /// When a part was not read.
    pub fn list(mut self) -> Result<List, ListError> {
        self.divide()?;
        let of = self.of;
        let parts = self.parts.iter().map(|part| match part {
            Part::Read { entries, .. } => {
                let entries = entries.iter().map(|(fingerprint, entry)| (*fingerprint, entry));
                Ok(Arc::new(ListPart::of_entries(of, entries)))
            }
            Part::Stored(_) => Err(ListError::Unread),
        });
        let parts = parts.collect::<Result<_, _>>()?;
        List::new((of, self.bits), parts).ok_or(ListError::Sum)
    }

    /// Divides the list into as many parts as its entries want.
    fn divide(&mut self) -> Result<(), ListError> {
        let bits = bits_for(self.entries, self.bits);
        if bits == self.bits {
            return Ok(());
        }
        let mut parts: Vec<BTreeMap<u64, ListEntry>> = vec![BTreeMap::new(); 1 << bits];
        for part in std::mem::take(&mut self.parts) {
            let Part::Read { entries, .. } = part else {
                return Err(ListError::Unread);
            };
            for (fingerprint, entry) in entries {
                parts[place_of(fingerprint, bits)].insert(fingerprint, entry);
            }
        }
        self.bits = bits;
        self.parts = parts
            .into_iter()
            .map(|entries| Part::Read { was: None, entries })
            .collect();
        Ok(())
    }
}

impl Part {
    const fn read(was: Option<ListPartKey>) -> Self {
        let entries = BTreeMap::new();
        Self::Read { was, entries }
    }
}
