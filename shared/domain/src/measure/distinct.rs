//! Small sets for counting distinct things while walking over a history.

use crate::event::Country;

/// A set of fingerprints: open addressing, at most half full, so that an insert looks at one or two slots.
pub(super) struct Fingerprints {
    /// 0 is an empty slot; the fingerprint 0 itself is kept apart.
    slots: Vec<u32>,
    has_zero: bool,
}

impl Fingerprints {
    /// Room for so many distinct fingerprints; no room at all for 0.
    pub(super) fn new(distinct_max: usize) -> Self {
        let slots = if distinct_max == 0 {
            0
        } else {
            (2 * distinct_max).next_power_of_two()
        };
        Self {
            slots: vec![0; slots],
            has_zero: false,
        }
    }

    /// Adds one; whether it was not there before.
    pub(super) fn insert(&mut self, fingerprint: u32) -> bool {
        if fingerprint == 0 {
            return !std::mem::replace(&mut self.has_zero, true);
        }
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = fingerprint as usize & mask;
        // Ends: more than half of the slots stay empty.
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == fingerprint {
                return false;
            }
            if *slot == 0 {
                *slot = fingerprint;
                return true;
            }
            at = (at + 1) & mask;
        }
        false
    }

    /// Every fingerprint, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let zero = self.has_zero.then_some(0);
        self.slots.iter().copied().filter(|slot| *slot != 0).chain(zero)
    }
}

const LETTERS: usize = 26;
const WORDS: usize = (LETTERS * LETTERS).div_ceil(64);

/// A set of countries: one bit for each pair of letters.
#[derive(Default)]
pub(super) struct Countries([u64; WORDS]);

impl Countries {
    /// Adds one; whether it was not there before.
    pub(super) fn insert(&mut self, country: Country) -> bool {
        let [first, second] = country
            .0
            .map(|letter| usize::from(letter.wrapping_sub(b'A')).min(LETTERS - 1));
        let bit = first * LETTERS + second;
        let Some(word) = self.0.get_mut(bit / 64) else {
            return false;
        };
        let mask = 1 << (bit % 64);
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }

    /// Every country.
    pub(super) fn iter(&self) -> impl Iterator<Item = Country> {
        // Numbers below 26 fit.
        let letter = |number: usize| b'A' + number as u8;
        let bits = (0..LETTERS * LETTERS).filter(|bit| self.0[bit / 64] & 1 << (bit % 64) != 0);
        bits.map(move |bit| Country([letter(bit / LETTERS), letter(bit % LETTERS)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_that_share_a_slot_are_told_apart() {
        let mut set = Fingerprints::new(4);
        let colliding = [0, 8, 16, 24];
        assert!(colliding.iter().all(|fp| set.insert(*fp)));
        assert!(!colliding.iter().any(|fp| set.insert(*fp)));
    }

    #[test]
    fn every_pair_of_letters_is_a_country_of_its_own() {
        let mut set = Countries::default();
        let pairs = || (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| Country([a, b])));
        assert!(pairs().all(|country| set.insert(country)));
        assert!(!pairs().any(|country| set.insert(country)));
    }
}
