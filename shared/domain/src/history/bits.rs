//! Bits and whole numbers of any size, packed least significant bit first.

use std::ops::Range;

/// What went wrong while reading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BitError {
    /// There are no bits left.
    End,
    /// A number does not fit 64 bits.
    Range,
    /// There are bits left.
    Trailing,
}

/// The number of bits that a number needs; 0 for 0.
pub(super) const fn bits_of(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// Bits that tell `count` possibilities apart.
pub(super) const fn index_bits(count: usize) -> u32 {
    bits_of((count as u64).saturating_sub(1))
}

/// Folds the sign into the lowest bit, so that numbers near 0 are small.
pub(super) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// The typical length of a series of numbers, learned from those that went by: an exponential mean over about eight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width(u32);

impl Width {
    /// Eighths of a bit.
    const ONE: u32 = 8;

    /// A series whose numbers are expected to be so many bits long.
    pub(super) const fn new(bits: u32) -> Self {
        Self(bits * Self::ONE)
    }

    /// From 1 to 63, since what is learned is from 1 to 62.
    pub(super) const fn bits(self) -> u32 {
        (self.0 + Self::ONE / 2) / Self::ONE
    }

    #[inline(always)]
    fn learn(&mut self, number: u64) {
        self.learn_length(bits_of(number | 1));
    }

    #[inline(always)]
    pub(super) fn learn_length(&mut self, length: u32) {
        self.0 = self.0 - self.0 / Self::ONE + length.min(62);
    }
}

/// Writes bits behind some bytes. What is written often takes it by value and gives it back: then it is kept in registers.
#[derive(Debug)]
pub(super) struct BitWriter<'b> {
    bytes: &'b mut Vec<u8>,
    /// Bits not yet in `bytes`, and how many: fewer than 64.
    pending: u64,
    used: u32,
}

impl<'b> BitWriter<'b> {
    pub(super) const fn new(bytes: &'b mut Vec<u8>) -> Self {
        Self {
            bytes,
            pending: 0,
            used: 0,
        }
    }

    /// Writes the lowest `count` bits of a number, which has no others; `count` is at most 64.
    #[inline(always)]
    pub(super) fn put(&mut self, number: u64, count: u32) {
        debug_assert!(count <= 64 && bits_of(number) <= count);
        self.pending |= number << self.used;
        let total = self.used + count;
        if total < 64 {
            self.used = total;
            return;
        }
        self.bytes.extend_from_slice(&self.pending.to_le_bytes());
        // In two steps, since nothing may be left of a number of 64 bits.
        self.pending = number >> 1 >> (63 - self.used);
        self.used = total - 64;
    }

    #[inline(always)]
    pub(super) fn flag(&mut self, set: bool) {
        self.put(u64::from(set), 1);
    }

    /// Writes a number that is expected to be about `width` bits long, 1 to 63: one bit more if it is that long or
    /// shorter, two for each bit that it is longer.
    #[inline(always)]
    pub(super) fn number(&mut self, number: u64, width: u32) {
        self.number_of_length(number, bits_of(number), width);
    }

    /// Writes a number whose length is known; one of 0 may be given a length of 1.
    #[inline(always)]
    fn number_of_length(&mut self, number: u64, length: u32, width: u32) {
        let [(head, head_bits), (rest, rest_bits)] = halves(number, length, width);
        self.put(head, head_bits);
        if rest_bits > 0 {
            self.put(rest, rest_bits);
        }
    }

    /// Writes the next number of a series.
    #[inline(always)]
    pub(super) fn series(&mut self, number: u64, width: &mut Width) {
        let length = bits_of(number | 1);
        self.number_of_length(number, length, width.bits());
        width.learn_length(length);
    }

    /// Bits that are written, those of the bytes before included.
    #[inline(always)]
    pub(super) const fn position(&self) -> usize {
        self.bytes.len() * 8 + self.used as usize
    }

    /// Writes bits of other bytes: those of this range. Behind the bytes are as many more as fill up the last eight.
    pub(super) fn copy(&mut self, bytes: &[u8], range: Range<usize>) {
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        let (mut at, skipped) = (range.start / 64, (range.start % 64) as u32);
        let mut left = range.len();
        if skipped > 0 && left > 0 {
            let count = left.min(64 - skipped as usize);
            self.put_lowest(word(at) >> skipped, count as u32);
            left -= count;
            at += 1;
        }
        let whole = words.get(at..at + left / 64).unwrap_or_default();
        self.copy_words(whole);
        self.put_lowest(word(at + whole.len()), (left % 64) as u32);
    }

    #[inline(always)]
    fn copy_words(&mut self, words: &[[u8; 8]]) {
        let begin = self.bytes.len();
        self.bytes.resize(begin + words.len() * 8, 0);
        let (room, _) = self.bytes[begin..].as_chunks_mut::<8>();
        let (mut pending, used) = (self.pending, self.used);
        for (room, word) in room.iter_mut().zip(words) {
            let word = u64::from_le_bytes(*word);
            *room = (pending | word << used).to_le_bytes();
            // In two steps, since nothing may be left of a word.
            pending = word >> 1 >> (63 - used);
        }
        self.pending = pending;
    }

    /// Writes the lowest `count` bits of a number, whatever the others are.
    fn put_lowest(&mut self, number: u64, count: u32) {
        // In two steps, since nothing may be left of it for 0 bits.
        self.put(number & !(u64::MAX << count.min(63) << u32::from(count > 63)), count);
    }

    /// Ends the bytes; the last one's unused bits are 0.
    pub(super) fn finish(self) {
        let bytes = self.pending.to_le_bytes();
        self.bytes.extend_from_slice(&bytes[..self.used.div_ceil(8) as usize]);
    }
}

/// A number that is expected to be `width` bits long, as it is written: bits and how many, and as many more if they are not 64 at most.
#[inline(always)]
const fn halves(number: u64, length: u32, width: u32) -> [(u64, u32); 2] {
    if length <= width {
        return [(1 | number << 1, width + 1), (0, 0)];
    }
    let longer = length - width;
    // It is `length` bits long: without its highest one.
    let (low, below) = (number ^ (1 << (length - 1)), length - 1);
    let head = longer + 1;
    if head + below <= u64::BITS {
        [((1 << longer) | (low << head), head + below), (0, 0)]
    } else {
        [(1 << longer, head), (low, below)]
    }
}

/// Reads bits. Never beyond the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    /// Bytes not yet in `pending`.
    rest: &'a [u8],
    /// The next bits, and how many of them count; what is above them are bits of `rest`, or 0.
    pending: u64,
    have: u32,
}

impl<'a> BitReader<'a> {
    /// So many bits are at hand after a refill, unless the end is near.
    const REFILLED: u32 = 56;

    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            pending: 0,
            have: 0,
        }
    }

    /// The end: fewer than 8 bits are left, and all of them are 0.
    pub(super) fn end(&mut self) -> Result<(), BitError> {
        if self.left() >= 8 || self.get(self.left() as u32)? != 0 {
            return Err(BitError::Trailing);
        }
        Ok(())
    }

    /// Bits that are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len() * 8 + self.have as usize
    }

    #[inline(always)]
    fn refill(&mut self) {
        if let Some(chunk) = self.rest.first_chunk::<8>() {
            self.pending |= u64::from_le_bytes(*chunk) << self.have;
            let bytes = (63 - self.have) / 8;
            self.rest = &self.rest[bytes as usize..];
            self.have += bytes * 8;
        } else {
            self.refill_near_the_end();
        }
    }

    #[cold]
    fn refill_near_the_end(&mut self) {
        while let [byte, rest @ ..] = self.rest
            && self.have <= Self::REFILLED
        {
            // A bit that a full refill left above `have` is the same one.
            self.pending |= u64::from(*byte) << self.have;
            self.have += 8;
            self.rest = rest;
        }
    }

    /// Reads a number of `count` bits, at most 64.
    #[inline(always)]
    pub(super) fn get(&mut self, count: u32) -> Result<u64, BitError> {
        if count > Self::REFILLED {
            return self.get_long(count);
        }
        if self.have < count {
            self.refill();
            if self.have < count {
                return Err(BitError::End);
            }
        }
        let number = self.pending & ((1 << count) - 1);
        self.pending >>= count;
        self.have -= count;
        Ok(number)
    }

    #[cold]
    fn get_long(&mut self, count: u32) -> Result<u64, BitError> {
        let low = self.get(32)?;
        Ok(self.get(count - 32)? << 32 | low)
    }

    #[inline(always)]
    pub(super) fn flag(&mut self) -> Result<bool, BitError> {
        Ok(self.get(1)? == 1)
    }

    /// Reads what [`BitWriter::number`] wrote.
    #[inline(always)]
    pub(super) fn number(&mut self, width: u32) -> Result<u64, BitError> {
        if self.have < Self::REFILLED / 2 {
            self.refill();
        }
        let mut longer = self.pending.trailing_zeros();
        if longer < self.have {
            self.get(longer + 1)?;
        } else {
            longer = self.zeros()?;
        }
        if longer == 0 {
            return self.get(width);
        }
        let below = width + longer - 1;
        if below > 63 {
            return Err(BitError::Range);
        }
        Ok(self.get(below)? | 1 << below)
    }

    /// Counts zeros up to a one, and takes them all.
    #[cold]
    fn zeros(&mut self) -> Result<u32, BitError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 63 {
                return Err(BitError::Range);
            }
        }
        Ok(zeros)
    }

    /// Reads the next number of a series.
    #[inline(always)]
    pub(super) fn series(&mut self, width: &mut Width) -> Result<u64, BitError> {
        let number = self.number(width.bits())?;
        width.learn(number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::{BitError, BitReader, BitWriter, Width, index_bits, unzigzag, zigzag};

    const NUMBERS: [u64; 12] = [
        0,
        1,
        2,
        3,
        127,
        128,
        5_000,
        43_200_000,
        1 << 57,
        u64::MAX >> 1,
        u64::MAX - 1,
        u64::MAX,
    ];

    #[test]
    fn every_number_comes_back_at_every_width_and_offset() {
        for offset in 0..64 {
            let mut bytes = Vec::new();
            let mut writer = BitWriter::new(&mut bytes);
            writer.put(0, offset);
            for width in 1..64 {
                NUMBERS.iter().for_each(|number| writer.number(*number, width));
            }
            NUMBERS.iter().for_each(|number| writer.put(*number, 64));
            writer.finish();
            let mut reader = BitReader::new(&bytes);
            assert_eq!(reader.get(offset), Ok(0));
            for width in 1..64 {
                NUMBERS
                    .iter()
                    .for_each(|number| assert_eq!(reader.number(width), Ok(*number), "width {width}"));
            }
            NUMBERS
                .iter()
                .for_each(|number| assert_eq!(reader.get(64), Ok(*number)));
            assert!(reader.left() < 8);
            assert_eq!(reader.number(63), Err(BitError::End));
        }
    }

    #[test]
    fn a_series_learns_its_width() {
        let mut bytes = Vec::new();
        let (mut writer, mut width) = (BitWriter::new(&mut bytes), Width::new(1));
        (0..100).for_each(|_| writer.series(1_000_000, &mut width));
        writer.finish();
        assert!(
            bytes.len() < 100 * 23 / 8,
            "{} bytes for 100 numbers of 20 bits",
            bytes.len()
        );
        let (mut reader, mut width) = (BitReader::new(&bytes), Width::new(1));
        (0..100).for_each(|_| assert_eq!(reader.series(&mut width), Ok(1_000_000)));
    }

    #[test]
    fn a_number_over_64_bits_is_refused() {
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        writer.put(1 << 20, 64);
        writer.put(0, 64);
        writer.finish();
        assert_eq!(BitReader::new(&bytes).number(60), Err(BitError::Range));
        assert_eq!(BitReader::new(&[0; 16]).number(1), Err(BitError::Range));
        assert_eq!(BitReader::new(&[0; 7]).number(1), Err(BitError::End));
    }

    #[test]
    fn small_things() {
        assert_eq!((0..6).map(index_bits).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 3]);
        for number in [0, -1, 1, i64::MIN, i64::MAX, -43_200_000] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert!(zigzag(-3) < 8);
    }
}
