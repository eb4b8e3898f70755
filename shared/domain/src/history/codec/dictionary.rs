//! Fingerprints by the order in which they came.

/// So few are looked through one by one.
const FEW: usize = 8;

/// Fingerprints in the order in which they came, each once, and where each of them is.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    known: Vec<u32>,
    /// A table with open addressing, at most half full: places in `known` and 1 more, 0 where there is none. Its length is a
    /// power of two; it is empty while there are few.
    slots: Vec<u32>,
}

impl Dictionary {
    /// An empty one, with room for so many.
    pub(super) fn with_room(count: usize) -> Self {
        let slots = if count > FEW { slots_of(count) } else { 0 };
        Self {
            known: Vec::with_capacity(count.min(32)),
            slots: vec![0; slots],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    #[inline(always)]
    pub(super) fn get(&self, place: usize) -> Option<u32> {
        self.known.get(place).copied()
    }

    /// Where a fingerprint is.
    #[inline(always)]
    pub(super) fn find(&self, fingerprint: u32) -> Option<usize> {
        if self.slots.is_empty() {
            return self.known.iter().position(|known| *known == fingerprint);
        }
        self.find_slot(fingerprint).err()
    }

    /// The slot that a fingerprint would take, or where it is.
    #[inline(always)]
    fn find_slot(&self, fingerprint: u32) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        // Fingerprints are hashes: their lowest bits are as good as any.
        let mut slot = fingerprint as usize & mask;
        // Ends: half of the slots are free.
        loop {
            let Some(place) = (self.slots[slot] as usize).checked_sub(1) else {
                return Ok(slot);
            };
            if self.known[place] == fingerprint {
                return Err(place);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a fingerprint that is not there yet.
    #[inline(always)]
    pub(super) fn push(&mut self, fingerprint: u32) {
        self.known.push(fingerprint);
        if self.slots.is_empty() && self.known.len() <= FEW {
            return;
        }
        if 2 * self.known.len() > self.slots.len() {
            self.grow();
        } else {
            self.take_slot(self.known.len());
        }
    }

    /// Notes the fingerprint of this number, counted from 1.
    #[inline(always)]
    fn take_slot(&mut self, number: usize) {
        if let Ok(slot) = self.find_slot(self.known[number - 1]) {
            // Fewer than 2³²: memory ends before.
            self.slots[slot] = number as u32;
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; slots_of(self.known.len())];
        (1..=self.known.len()).for_each(|number| self.take_slot(number));
    }
}

/// Slots for so many fingerprints: more than twice as many.
const fn slots_of(count: usize) -> usize {
    (2 * count + 1).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_dictionary_finds_what_a_look_at_all_of_them_finds(
            // Of few values, many of which share their lowest bits.
            fingerprints in proptest::collection::vec((0..40_u32, 0..4_u32).prop_map(|(low, high)| low | high << 16), 0..300),
            room in 0..200_usize,
        ) {
            let (mut dictionary, mut plain) = (Dictionary::with_room(room), Vec::new());
            for fingerprint in fingerprints {
                let place = plain.iter().position(|known| *known == fingerprint);
                prop_assert_eq!(dictionary.find(fingerprint), place);
                if place.is_none() {
                    dictionary.push(fingerprint);
                    plain.push(fingerprint);
                }
                prop_assert_eq!(dictionary.len(), plain.len());
                prop_assert_eq!(dictionary.get(plain.len() - 1), plain.last().copied());
            }
            prop_assert_eq!(dictionary.get(plain.len()), None);
        }
    }
}
