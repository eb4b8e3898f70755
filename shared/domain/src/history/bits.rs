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
    pub(super) fn learn_length(&mut self, length: u32) {
        self.0 = self.0 - self.0 / Self::ONE + length.min(62);
    }
}

/// More bits than these are copied eight bytes at a time.
const COPIED_IN_WORDS: usize = 160;

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

    /// Writes bits of other bytes: those of this range.
    pub(super) fn copy(&mut self, bytes: &[u8], range: Range<usize>) {
        let mut from = BitReader::from_bit(bytes, range.start);
        let mut left = range.len();
        if left > COPIED_IN_WORDS {
            // Up to where a byte begins.
            let skipped = range.start.wrapping_neg() % 8;
            self.put(from.take(skipped as u32), skipped as u32);
            let begin = range.start + skipped;
            let (words, _) = bytes.get(begin / 8..).unwrap_or_default().as_chunks::<8>();
            let whole = words.get(..(left - skipped) / 64).unwrap_or_default();
            self.copy_words(whole);
            from = BitReader::from_bit(bytes, begin + whole.len() * 64);
            left -= skipped + whole.len() * 64;
        }
        while left > BitReader::SEEN as usize {
            self.put(from.take(BitReader::SEEN), BitReader::SEEN);
            left -= BitReader::SEEN as usize;
        }
        self.put(from.take(left as u32), left as u32);
    }

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

/// Reads bits. Beyond the end all of them are 0: what is taken without a look at the end says nothing if it [is beyond](BitReader::is_beyond).
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bits: as many of them as are seen.
    word: u64,
    seen: u32,
    /// Where the bits behind these are.
    behind: usize,
}

impl<'a> BitReader<'a> {
    /// So many bits are seen at least after a look at the bytes, wherever they begin.
    const SEEN: u32 = 57;

    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self::from_bit(bytes, 0)
    }

    /// Begins at this bit.
    const fn from_bit(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            word: 0,
            seen: 0,
            behind: at,
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
        (self.bytes.len() * 8).saturating_sub(self.position())
    }

    /// Bits that are read.
    #[inline(always)]
    pub(super) const fn position(&self) -> usize {
        self.behind - self.seen as usize
    }

    /// Whether more bits were taken than there are.
    #[inline(always)]
    pub(super) const fn is_beyond(&self) -> bool {
        self.position() > self.bytes.len() * 8
    }

    /// Looks at the bytes.
    #[inline(always)]
    fn look(&mut self) {
        let at = self.position();
        let byte = at / 8;
        let word = match self.bytes.get(byte..byte + 8).and_then(<[u8]>::first_chunk::<8>) {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.word_near_the_end(byte),
        };
        let skipped = (at % 8) as u32;
        (self.word, self.seen) = (word >> skipped, 64 - skipped);
        self.behind = at + self.seen as usize;
    }

    #[cold]
    fn word_near_the_end(&self, byte: usize) -> u64 {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// Takes a number of `count` bits, at most [`Self::SEEN`], without a look at the end.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u64 {
        debug_assert!(count <= Self::SEEN, "no more bits are seen at a time");
        if self.seen < count {
            self.look();
        }
        let number = self.word & ((1 << count) - 1);
        self.word >>= count;
        self.seen -= count;
        number
    }

    /// Reads a number of `count` bits, at most 64.
    #[inline(always)]
    pub(super) fn get(&mut self, count: u32) -> Result<u64, BitError> {
        if count > Self::SEEN {
            return self.get_long(count);
        }
        let number = self.take(count);
        if self.is_beyond() {
            return Err(BitError::End);
        }
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
        let number = self.take_number(width)?;
        if self.is_beyond() {
            return Err(BitError::End);
        }
        Ok(number)
    }

    /// Takes what [`BitWriter::number`] wrote, without a look at the end.
    #[inline(always)]
    pub(super) fn take_number(&mut self, width: u32) -> Result<u64, BitError> {
        // Some bits longer than expected are not rare.
        if self.seen < width + 9 {
            self.look();
        }
        match self.take_seen(width) {
            Some(number) => Ok(number),
            None => self.get_far(width),
        }
    }

    /// The same for a number of which all bits are seen.
    #[inline(always)]
    fn take_seen(&mut self, width: u32) -> Option<u64> {
        let longer = self.word.trailing_zeros();
        // A number that is longer than expected has its highest bit left out.
        let highest = u32::from(longer > 0);
        let below = width + longer - highest;
        let count = longer + 1 + below;
        if count > self.seen {
            return None;
        }
        let number = (self.word >> (longer + 1)) & ((1 << below) - 1) | u64::from(highest) << below;
        self.word = self.word >> (count - 1) >> 1;
        self.seen -= count;
        Some(number)
    }

    /// The same for any other.
    #[cold]
    fn get_far(&mut self, width: u32) -> Result<u64, BitError> {
        self.look();
        if let Some(number) = self.take_seen(width) {
            return Ok(number);
        }
        let mut longer = 0;
        while !self.flag()? {
            longer += 1;
            if longer > 63 {
                return Err(BitError::Range);
            }
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

    /// Takes the next number of a series, without a look at the end.
    #[inline(always)]
    pub(super) fn take_series(&mut self, width: &mut Width) -> Result<u64, BitError> {
        let number = self.take_number(width.bits())?;
        width.learn_length(bits_of(number | 1));
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
        (0..100).for_each(|_| assert_eq!(reader.take_series(&mut width), Ok(1_000_000)));
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
