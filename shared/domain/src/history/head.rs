//! The entries of a head: a list that takes new ones nearly always at its end, and loses one at its beginning nearly each time.

use std::ops::{Deref, DerefMut};

use super::entry::Entry;
use super::spelt::{Notes, Spelling, Spelt, link};

/// Entries in one piece of memory. What is dropped at the beginning stays where it is, out of sight, until its room is needed:
/// so the others are moved once in as many drops as there is room to spare, and not each time.
#[derive(Default)]
pub(crate) struct Head {
    all: Vec<Entry>,
    /// So many of `all` are dropped.
    dropped: usize,
    /// How those of `all` were written last, as far as that is known of all before; no part of the head's value.
    spelling: Spelling,
}

impl Head {
    /// Puts an entry before the one at this place.
    pub(crate) fn insert(&mut self, at: usize, entry: Entry) {
        if self.all.len() == self.all.capacity() {
            self.clear_dropped();
        }
        self.all.insert(self.dropped + at, entry);
        self.spelling.entries.truncate(self.dropped + at);
    }

    /// Forgets the upper half of the fingerprint of the entry at this place.
    pub(crate) fn shorten(&mut self, at: usize) {
        let at = self.dropped + at;
        if let Some(entry) = self.all.get_mut(at) {
            entry.event_fp_high = None;
        }
        if let Some(spelt) = self.spelling.entries.get_mut(at) {
            (spelt.under, spelt.format) = (0, 0);
        }
    }

    /// Writes the entries: hands over what is known of how they were written last, and takes note of how they are written now.
    pub(crate) fn write(&mut self, write: impl FnOnce(&[Entry], Notes<'_>) -> Vec<u8>) -> Vec<u8> {
        let known = self.spelling.entries.len().saturating_sub(self.dropped);
        let bytes = if known > self.len() / 2 {
            let Spelling { entries: spelt, bytes } = &mut self.spelling;
            link(&self.all, self.dropped, spelt);
            // There is one for each entry now, and `dropped` never exceeds their number.
            let entries = self.all.get(self.dropped..).unwrap_or_default();
            write(
                entries,
                Notes::Known(spelt.get_mut(self.dropped..).unwrap_or_default(), bytes),
            )
        } else {
            let spelt = &mut self.spelling.entries;
            spelt.clear();
            spelt.reserve(self.all.len());
            spelt.resize(self.dropped, Spelt::default());
            write(self.all.get(self.dropped..).unwrap_or_default(), Notes::None(spelt))
        };
        self.spelling.keep(&bytes);
        bytes
    }

    /// Takes note of how its entries, all of them, are written in these bytes.
    pub(crate) fn note(&mut self, spelt: Vec<Spelt>, bytes: &[u8]) {
        debug_assert_eq!(spelt.len(), self.all.len(), "there is a note of each entry");
        self.spelling.entries = spelt;
        self.spelling.keep(bytes);
    }

    /// What is known of how entries were written, in memory, bytes.
    pub(crate) fn spelling_bytes(&self) -> usize {
        size_of_val(&*self.spelling.entries) + self.spelling.bytes.len()
    }

    /// Drops so many of the oldest.
    pub(crate) fn drop_oldest(&mut self, count: usize) {
        self.dropped = self.all.len().min(self.dropped + count);
        if self.dropped == self.all.len() {
            self.clear_dropped();
        }
    }

    fn clear_dropped(&mut self) {
        self.all.drain(..self.dropped);
        let spelt = &mut self.spelling.entries;
        spelt.drain(..self.dropped.min(spelt.len()));
        self.dropped = 0;
    }
}

impl From<Vec<Entry>> for Head {
    fn from(all: Vec<Entry>) -> Self {
        Self {
            all,
            dropped: 0,
            spelling: Spelling::default(),
        }
    }
}

impl Clone for Head {
    fn clone(&self) -> Self {
        Self::from(self.to_vec())
    }
}

impl Deref for Head {
    type Target = [Entry];

    #[inline]
    fn deref(&self) -> &[Entry] {
        // `dropped` never exceeds the length.
        self.all.get(self.dropped..).unwrap_or_default()
    }
}

impl DerefMut for Head {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Entry] {
        // Whatever is changed is written anew.
        self.spelling.entries.clear();
        self.all.get_mut(self.dropped..).unwrap_or_default()
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Country;
    use crate::outcome::{Decision, Missing, StoredOutcome, Tier};

    fn entry(seq: u64) -> Entry {
        Entry {
            time_ms: 0,
            seq,
            event_fp: 0,
            event_fp_high: None,
            amount_base_minor: 1,
            merchant_fp: 0,
            merchant_fp_high: None,
            country: Country(*b"FR"),
            device_fp: None,
            device_fp_high: None,
            links: Vec::new(),
            category: None,
            place: None,
            approved: true,
            outcome: StoredOutcome {
                score: 0,
                decision: Decision::Pass,
                tier: Tier::Full,
                missing: Missing(0),
                reasons: Vec::new(),
                policy_version: 1,
                profile_version: None,
                features: Vec::new(),
                approximate: Vec::new(),
                explained: false,
                keys: Vec::new(),
                model: None,
                rules: Vec::new(),
                lists: crate::outcome::ListReads::NONE,
            },
            label: None,
        }
    }

    /// What happens to a list: an entry comes to a place, or so many leave at the beginning.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(prop::sample::Index),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<prop::sample::Index>().prop_map(Step::Insert),
            2 => (0..4_usize).prop_map(Step::Drop),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_head_is_the_vector_that_moves_all_each_time(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut head, mut plain) = (Head::default(), Vec::new());
            for (seq, step) in (0..).zip(steps) {
                match step {
                    Step::Insert(place) => {
                        let at = place.index(plain.len() + 1);
                        head.insert(at, entry(seq));
                        plain.insert(at, entry(seq));
                    }
                    Step::Drop(count) => {
                        head.drop_oldest(count);
                        plain.drain(..count.min(plain.len()));
                    }
                }
                prop_assert_eq!(&*head, plain.as_slice());
                prop_assert_eq!(&head, &Head::from(plain.clone()));
                // No more memory than the vector, which doubles at need.
                prop_assert!(head.all.capacity() <= plain.capacity().max(4));
            }
        }
    }
}
