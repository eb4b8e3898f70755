//! The front of an entry: its time, fingerprint, amount and score.

use crate::history::bits::{BitWriter, bits_of, zigzag};
use crate::history::entry::Entry;
use crate::history::spelt::{Series, Spelt};

use super::format::INSTANT_WIDTH;

/// Where the series have their bits.
const TIME: u32 = 0;
const AMOUNT: u32 = 16;
const SCORE: u32 = 32;
/// The bits of one.
const ONE: u64 = 0xFFFF;

impl Series {
    pub(super) const START: Self = Self((25 << TIME | 13 << AMOUNT | 6 << SCORE) * 8);
    const HALVES: u64 = (1 << TIME | 1 << AMOUNT | 1 << SCORE) * 4;
    const EIGHTHS: u64 = (1 << TIME | 1 << AMOUNT | 1 << SCORE) * 0x1FFF;

    /// The lengths that are expected, 16 bits each.
    #[inline(always)]
    pub(super) const fn expected(self) -> u64 {
        (self.0 + Self::HALVES) >> 3 & Self::EIGHTHS
    }

    #[inline(always)]
    pub(super) const fn learn(&mut self, lengths: u64) {
        self.0 = self.0 - (self.0 >> 3 & Self::EIGHTHS) + lengths;
    }
}

/// Writes the front of an entry, and takes note of it. The first entry's time alone stands against nothing.
#[inline]
pub(super) fn put_front<'b>(
    mut bits: BitWriter<'b>,
    before_ms: Option<i64>,
    entry: &Entry,
    one: &mut Spelt,
    series: &mut Series,
) -> BitWriter<'b> {
    let expected = series.expected();
    let width = |of: u32| (expected >> of & ONE) as u32;
    let score = u64::from(entry.outcome.score);
    let mut lengths = learnt(entry.amount_base_minor) << AMOUNT | learnt(score) << SCORE;
    match before_ms {
        Some(before_ms) => {
            let elapsed_ms = entry.time_ms.wrapping_sub(before_ms).cast_unsigned();
            lengths |= learnt(elapsed_ms) << TIME;
            bits.number(elapsed_ms, width(TIME));
        }
        None => {
            bits.number(zigzag(entry.time_ms), INSTANT_WIDTH);
            // Nothing is learnt of elapsed times: what is taken off is added again.
            lengths |= ((series.0 >> TIME & ONE) / 8) << TIME;
        }
    }
    bits.put(u64::from(entry.event_fp), 32);
    bits.number(entry.amount_base_minor, width(AMOUNT));
    bits.number(score, width(SCORE));
    (one.series, one.lengths) = (*series, lengths);
    series.learn(lengths);
    bits
}

/// What a series learns of a number.
#[inline(always)]
fn learnt(number: u64) -> u64 {
    u64::from(bits_of(number | 1).min(62))
}
