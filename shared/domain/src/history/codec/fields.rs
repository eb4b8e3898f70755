//! Fields that entries and references have in common, as they are written and read.

use crate::event::Country;
use crate::history::bits::{BitError, BitReader, BitWriter, index_bits};
use crate::history::error::{CodecError, InvalidState};

use super::dictionary::Dictionary;
use super::format::CATEGORY_BITS;

impl From<BitError> for CodecError {
    fn from(error: BitError) -> Self {
        match error {
            BitError::End => Self::Truncated,
            BitError::Range => Self::NumberRange,
            BitError::Trailing => Self::Trailing,
        }
    }
}

/// Writes where a fingerprint is among those so far, and says so; a new one gets their number, and is spelt.
#[inline(always)]
pub(super) fn put_index(bits: &mut BitWriter<'_>, known: &Dictionary, fingerprint: u32) -> usize {
    let width = index_bits(known.len() + 1);
    match known.find(fingerprint) {
        Some(index) => {
            bits.put(index as u64, width);
            index
        }
        None => {
            bits.put(known.len() as u64 | u64::from(fingerprint) << width, width + 32);
            known.len()
        }
    }
}

pub(super) fn get_u32(bits: &mut BitReader<'_>) -> Result<u32, CodecError> {
    // 32 bits fit.
    Ok(bits.get(32)? as u32)
}

/// Reads an index among `known` items; `known` itself stands for a new one.
pub(super) fn get_index(bits: &mut BitReader<'_>, known: usize) -> Result<usize, CodecError> {
    let index = bits.get(index_bits(known + 1))?;
    if index > known as u64 {
        return Err(unknown_index(index));
    }
    Ok(index as usize)
}

/// The same as [`get_fingerprint`], without a look at the end.
#[inline(always)]
pub(super) fn take_fingerprint(bits: &mut BitReader<'_>, known: &Dictionary) -> Result<(usize, u32), CodecError> {
    let index = bits.take(index_bits(known.len() + 1)) as usize;
    match known.get(index) {
        Some(fingerprint) => Ok((index, fingerprint)),
        None => take_new(bits, known, index),
    }
}

/// A fingerprint behind an index that stands for none.
fn take_new(bits: &mut BitReader<'_>, known: &Dictionary, index: usize) -> Result<(usize, u32), CodecError> {
    if index > known.len() {
        return Err(unknown_index(index as u64));
    }
    // 32 bits fit.
    let fingerprint = bits.take(32) as u32;
    if known.find(fingerprint).is_some() {
        return Err(InvalidState::Spelling.into());
    }
    Ok((index, fingerprint))
}

const fn unknown_index(number: u64) -> CodecError {
    CodecError::UnknownNumber {
        what: "a dictionary",
        number,
    }
}

/// Reads a fingerprint and where it is among those so far; a new one stands behind them.
#[inline(always)]
pub(super) fn get_fingerprint(bits: &mut BitReader<'_>, known: &Dictionary) -> Result<(usize, u32), CodecError> {
    let index = get_index(bits, known.len())?;
    if let Some(fingerprint) = known.get(index) {
        return Ok((index, fingerprint));
    }
    let fingerprint = get_u32(bits)?;
    if known.find(fingerprint).is_some() {
        return Err(InvalidState::Spelling.into());
    }
    Ok((index, fingerprint))
}

pub(super) fn put_country(bits: &mut BitWriter<'_>, country: Country) {
    for letter in country.0 {
        bits.put(u64::from(letter.saturating_sub(b'A') & 31), 5);
    }
}

pub(super) fn get_country(bits: &mut BitReader<'_>) -> Result<Country, CodecError> {
    let mut letters = [b'A'; 2];
    for letter in &mut letters {
        let number = bits.get(5)?;
        if number >= 26 {
            return Err(CodecError::UnknownNumber {
                what: "a country's letter",
                number,
            });
        }
        *letter += number as u8;
    }
    // Not held against today's list of countries: what was accepted once is read for ever.
    Ok(Country(letters))
}

pub(super) fn get_high(bits: &mut BitReader<'_>) -> Result<Option<u32>, CodecError> {
    Ok(if bits.flag()? { Some(get_u32(bits)?) } else { None })
}

pub(super) fn get_category(bits: &mut BitReader<'_>) -> Result<Option<u16>, CodecError> {
    // 14 bits fit.
    Ok(if bits.flag()? {
        Some(bits.get(CATEGORY_BITS)? as u16)
    } else {
        None
    })
}
