//! The front of an entry, as it is written and read: its time, fingerprint, amount and score.

use crate::history::bits::{BitReader, BitWriter, bits_of, unzigzag, zigzag};
use crate::history::entry::Entry;
use crate::history::error::{CodecError, InvalidState};
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

    /// What is learnt where no time has elapsed: what is taken off is added again.
    const fn no_time(self) -> u64 {
        ((self.0 >> TIME & ONE) / 8) << TIME
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
            lengths |= series.no_time();
        }
    }
    bits.put(u64::from(entry.event_fp), 32);
    bits.number(entry.amount_base_minor, width(AMOUNT));
    bits.number(score, width(SCORE));
    (one.series, one.lengths) = (*series, lengths);
    series.learn(lengths);
    bits
}

/// What a front says.
pub(super) struct Front {
    pub(super) time_ms: i64,
    pub(super) event_fp: u32,
    pub(super) amount_base_minor: u64,
    pub(super) score: u16,
    /// What the series learn of it.
    pub(super) lengths: u64,
}

/// Takes the front of an entry, without a look at the end.
#[inline(always)]
pub(super) fn take_front(
    bits: &mut BitReader<'_>,
    before_ms: Option<i64>,
    series: &mut Series,
) -> Result<Front, CodecError> {
    let expected = series.expected();
    let width = |of: u32| (expected >> of & ONE) as u32;
    let (time_ms, time_length) = match before_ms {
        Some(before_ms) => {
            let elapsed_ms = bits.take_number(width(TIME))?;
            let time_ms = before_ms.checked_add_unsigned(elapsed_ms);
            (time_ms.ok_or(CodecError::NumberRange)?, learnt(elapsed_ms) << TIME)
        }
        None => (unzigzag(bits.take_number(INSTANT_WIDTH)?), series.no_time()),
    };
    // 32 bits fit.
    let event_fp = bits.take(32) as u32;
    let amount_base_minor = bits.take_number(width(AMOUNT))?;
    let score = bits.take_number(width(SCORE))?;
    let lengths = time_length | learnt(amount_base_minor) << AMOUNT | learnt(score) << SCORE;
    series.learn(lengths);
    Ok(Front {
        time_ms,
        event_fp,
        amount_base_minor,
        score: u16::try_from(score).map_err(|_| InvalidState::Score)?,
        lengths,
    })
}

/// What a series learns of a number.
#[inline(always)]
fn learnt(number: u64) -> u64 {
    u64::from(bits_of(number | 1).min(62))
}
