//! A hasher without a random seed: the same batch takes the same steps on every machine.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map that iterates in the same order in every run.
pub(crate) type FixedMap<K, V> = HashMap<K, V, BuildHasherDefault<FixedHasher>>;

/// Odd, with well-mixed bits: 2⁶⁴ divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiply and fold, eight bytes at a time. Not for persisted values and not against an adversary: a batch has at most
/// 10,000 keys, and whoever may write to the stream can do worse than slow it down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FixedHasher(u64);

impl FixedHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        #[allow(clippy::cast_possible_truncation)]
        {
            self.0 = (product as u64) ^ ((product >> 64) as u64) ^ MULTIPLIER.rotate_left(17);
        }
    }
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0_u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    fn hash(text: &str) -> u64 {
        BuildHasherDefault::<FixedHasher>::default().hash_one(text)
    }

    #[test]
    fn the_same_text_hashes_the_same_and_near_texts_spread() {
        let mut buckets = [0_u32; 128];
        for number in 0..12_800 {
            let text = format!("card-{number:08}");
            assert_eq!(hash(&text), hash(&text));
            buckets[(hash(&text) % 128) as usize] += 1;
        }
        let (low, high) = (buckets.iter().min().unwrap(), buckets.iter().max().unwrap());
        assert!(
            *low > 50 && *high < 160,
            "100 expected in a bucket, got {low} to {high}"
        );
    }
}
