//! References to sealed segments, and the segments themselves, as bytes.
//!
//! ```text
//! reference  key:64  level:4  first_ms:Z25 since the last_ms before (the first one's: since 0, Z42)  last_ms − first_ms:N25
//!            last_fp:32  count:N6  declined:N2  sum:N20  squares: high N1, low N32
//!            min:N13 (0: of some events the amount is not known: unpriced:N4  min:N13)  max − min:N13
//!            merchants:D  countries:C  devices:D  device_events:N1
//!            has_place:1  [last_ms − time:N20  seq:N16  latitude:Z20  longitude:Z20]
//! D          0 count:5, each an index among the fingerprints so far (of all references, merchants and devices alike), like
//!            an entry's merchant │ 1 sketch
//! C          count:5, each 2 letters of 5 bits and events:N4  has_more:1  [events:N4  sketch]
//! sketch     64 registers of 4 bits
//!
//! segment    byte 0: version = 1, then bits: is_index:1  count:9, then as many references, or entries: seq of the first:N16,
//!            then entries like a state's of version 2 without a floor
//! ```

use crate::card::UNPRICED;
use crate::card::bits::{BitReader, BitWriter, unzigzag, zigzag};
use crate::card::sealed::{CHILDREN_MAX, Countries, Node, Placed, SealedRef, SegmentKey, Summary};
use crate::card::sketch::{Distinct, EXACT_MAX, REGISTERS, Sketch};
use crate::event::Place;

use super::decode::{get_country, get_entries, get_fingerprint, get_u32};
use super::encode::{put_country, put_entries, put_index};
use super::{COUNT_BITS, CodecError, Context, DECODE_BYTES_MAX, ENTRIES_MAX, Format, INSTANT_WIDTH, InvalidState};

/// The format of segments that is written.
const SEGMENT_VERSION: u8 = 1;
const LEVEL_BITS: u32 = 4;
const SPAN_WIDTH: u32 = 25;
const SET_BITS: u32 = 5;
const REGISTER_BITS: u32 = 4;
const FIRST_SEQ_WIDTH: u32 = 16;
const PLACE_WIDTH: u32 = 20;
const MIN_WIDTH: u32 = 13;
const UNPRICED_WIDTH: u32 = 4;

/// Writes references.
pub(super) fn put_refs(bits: &mut BitWriter, refs: &[SealedRef]) {
    let (mut known, mut before_ms) = (Vec::new(), None);
    for segment in refs {
        put_ref(bits, &mut known, before_ms, segment);
        before_ms = Some(segment.summary.last_ms);
    }
}

fn put_ref(bits: &mut BitWriter, known: &mut Vec<u32>, before_ms: Option<i64>, segment: &SealedRef) {
    let summary = &segment.summary;
    bits.put(segment.key.0, 64);
    bits.put(u64::from(segment.level), LEVEL_BITS);
    let since = summary.first_ms.wrapping_sub(before_ms.unwrap_or(0));
    let width = if before_ms.is_none() { INSTANT_WIDTH } else { SPAN_WIDTH };
    bits.number(zigzag(since), width);
    bits.number(
        summary.last_ms.wrapping_sub(summary.first_ms).cast_unsigned(),
        SPAN_WIDTH,
    );
    bits.put(u64::from(segment.last_fp), 32);
    bits.number(u64::from(summary.count), 6);
    bits.number(u64::from(summary.declined), 2);
    bits.number(summary.sum, 20);
    // Both halves fit.
    bits.number((summary.squares >> 64) as u64, 1);
    bits.number(summary.squares as u64, 32);
    if summary.unpriced > 0 {
        bits.number(UNPRICED, MIN_WIDTH);
        bits.number(u64::from(summary.unpriced), UNPRICED_WIDTH);
    }
    bits.number(summary.min, MIN_WIDTH);
    bits.number(summary.max.wrapping_sub(summary.min), 13);
    put_distinct(bits, known, &summary.merchants);
    put_countries(bits, &summary.countries);
    put_distinct(bits, known, &summary.devices);
    bits.number(u64::from(summary.device_events), 1);
    bits.flag(summary.placed.is_some());
    if let Some(placed) = summary.placed {
        bits.number(
            summary.last_ms.wrapping_sub(placed.time_ms).cast_unsigned(),
            PLACE_WIDTH,
        );
        bits.number(placed.seq, FIRST_SEQ_WIDTH);
        bits.number(zigzag(i64::from(placed.place.latitude_e4)), PLACE_WIDTH);
        bits.number(zigzag(i64::from(placed.place.longitude_e4)), PLACE_WIDTH);
    }
}

fn put_distinct(bits: &mut BitWriter, known: &mut Vec<u32>, set: &Distinct) {
    match set {
        Distinct::Sketch(sketch) => {
            bits.flag(true);
            put_sketch(bits, sketch);
        }
        Distinct::Exact(fingerprints) => {
            bits.flag(false);
            bits.put(fingerprints.len() as u64, SET_BITS);
            for fingerprint in fingerprints {
                if put_index(bits, known, *fingerprint) == known.len() {
                    known.push(*fingerprint);
                }
            }
        }
    }
}

fn put_sketch(bits: &mut BitWriter, sketch: &Sketch) {
    sketch
        .0
        .iter()
        .for_each(|rank| bits.put(u64::from(*rank), REGISTER_BITS));
}

fn put_countries(bits: &mut BitWriter, countries: &Countries) {
    bits.put(countries.counts.len() as u64, SET_BITS);
    for (country, events) in &countries.counts {
        put_country(bits, *country);
        bits.number(u64::from(*events), 4);
    }
    bits.flag(countries.more.is_some());
    if let Some((events, sketch)) = &countries.more {
        bits.number(u64::from(*events), 4);
        put_sketch(bits, sketch);
    }
}

/// A segment as bytes.
pub(in crate::card) fn encode_segment(node: &Node) -> Vec<u8> {
    let mut bits = BitWriter::new(vec![SEGMENT_VERSION]);
    match node {
        Node::Index(refs) => {
            bits.flag(true);
            bits.put(refs.len() as u64, COUNT_BITS);
            put_refs(&mut bits, refs);
        }
        Node::Leaf(entries) => {
            bits.flag(false);
            bits.put(entries.len() as u64, COUNT_BITS);
            let first_seq = entries.first().map_or(0, |entry| entry.seq);
            bits.number(first_seq, FIRST_SEQ_WIDTH);
            let mut context = Context::new(Format::V2, entries.len(), first_seq, 0);
            put_entries(&mut bits, &mut context, entries, false);
        }
    }
    bits.finish()
}

/// The segment that bytes stand for. Total, like a state's decoder.
pub(in crate::card) fn decode_segment(bytes: &[u8]) -> Result<Node, CodecError> {
    let rest = match bytes {
        [] => return Err(CodecError::Empty),
        _ if bytes.len() > DECODE_BYTES_MAX => return Err(CodecError::TooLong),
        [SEGMENT_VERSION, rest @ ..] => rest,
        [version, ..] => return Err(CodecError::UnknownVersion(*version)),
    };
    let mut bits = BitReader::new(rest);
    let is_index = bits.flag()?;
    let count = bits.get(COUNT_BITS)? as usize;
    let node = if is_index {
        if count > CHILDREN_MAX {
            return Err(InvalidState::Segment.into());
        }
        Node::Index(get_refs(&mut bits, count)?)
    } else {
        if count > ENTRIES_MAX {
            return Err(InvalidState::TooManyEntries.into());
        }
        let first_seq = bits.number(FIRST_SEQ_WIDTH)?;
        let mut context = Context::new(Format::V2, count, first_seq, 0);
        let entries = get_entries(&mut bits, &mut context, count, false)?;
        if entries.first().is_some_and(|entry| entry.seq != first_seq) {
            return Err(InvalidState::Spelling.into());
        }
        Node::Leaf(entries)
    };
    bits.end()?;
    node.check()?;
    Ok(node)
}

/// Reads so many references.
pub(super) fn get_refs(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<SealedRef>, CodecError> {
    let (mut known, mut before_ms) = (Vec::new(), None);
    let mut refs = Vec::with_capacity(count.min(bits.left() / 200 + 1));
    for _ in 0..count {
        let segment = get_ref(bits, &mut known, before_ms)?;
        before_ms = Some(segment.summary.last_ms);
        refs.push(segment);
    }
    Ok(refs)
}

fn get_ref(bits: &mut BitReader<'_>, known: &mut Vec<u32>, before_ms: Option<i64>) -> Result<SealedRef, CodecError> {
    let key = SegmentKey(bits.get(64)?);
    // 4 bits fit.
    let level = bits.get(LEVEL_BITS)? as u8;
    let width = if before_ms.is_none() { INSTANT_WIDTH } else { SPAN_WIDTH };
    let first_ms = unzigzag(bits.number(width)?).wrapping_add(before_ms.unwrap_or(0));
    let last_ms = first_ms
        .checked_add_unsigned(bits.number(SPAN_WIDTH)?)
        .ok_or(CodecError::NumberRange)?;
    let last_fp = get_u32(bits)?;
    let count = small(bits, 6)?;
    let declined = small(bits, 2)?;
    let sum = bits.number(20)?;
    let squares = u128::from(bits.number(1)?) << 64 | u128::from(bits.number(32)?);
    let (unpriced, min) = match bits.number(MIN_WIDTH)? {
        UNPRICED => match small(bits, UNPRICED_WIDTH)? {
            0 => return Err(InvalidState::Spelling.into()),
            unpriced => (unpriced, bits.number(MIN_WIDTH)?),
        },
        min => (0, min),
    };
    let max = min.checked_add(bits.number(13)?).ok_or(CodecError::NumberRange)?;
    let merchants = get_distinct(bits, known)?;
    let countries = get_countries(bits)?;
    let devices = get_distinct(bits, known)?;
    let device_events = small(bits, 1)?;
    let placed = if bits.flag()? {
        Some(get_placed(bits, last_ms)?)
    } else {
        None
    };
    let summary = Summary {
        first_ms,
        last_ms,
        count,
        declined,
        unpriced,
        sum,
        squares,
        min,
        max,
        merchants,
        countries,
        devices,
        device_events,
        placed,
    };
    Ok(SealedRef {
        key,
        level,
        last_fp,
        summary,
    })
}

fn small(bits: &mut BitReader<'_>, width: u32) -> Result<u32, CodecError> {
    u32::try_from(bits.number(width)?).map_err(|_| CodecError::NumberRange)
}

fn get_placed(bits: &mut BitReader<'_>, last_ms: i64) -> Result<Placed, CodecError> {
    let back_ms = bits.number(PLACE_WIDTH)?;
    let time_ms = last_ms.checked_sub_unsigned(back_ms).ok_or(CodecError::NumberRange)?;
    let seq = bits.number(FIRST_SEQ_WIDTH)?;
    let mut degrees = || -> Result<i32, CodecError> {
        Ok(i32::try_from(unzigzag(bits.number(PLACE_WIDTH)?)).map_err(|_| InvalidState::Place)?)
    };
    let place = Place {
        latitude_e4: degrees()?,
        longitude_e4: degrees()?,
    };
    Ok(Placed { time_ms, seq, place })
}

fn get_set_count(bits: &mut BitReader<'_>) -> Result<usize, CodecError> {
    let count = bits.get(SET_BITS)? as usize;
    if count > EXACT_MAX {
        return Err(InvalidState::Segment.into());
    }
    Ok(count)
}

fn get_distinct(bits: &mut BitReader<'_>, known: &mut Vec<u32>) -> Result<Distinct, CodecError> {
    if bits.flag()? {
        return Ok(Distinct::Sketch(Box::new(get_sketch(bits)?)));
    }
    let count = get_set_count(bits)?;
    let mut fingerprints = Vec::with_capacity(count);
    for _ in 0..count {
        let (at, fingerprint) = get_fingerprint(bits, known)?;
        if at == known.len() {
            known.push(fingerprint);
        }
        fingerprints.push(fingerprint);
    }
    Ok(Distinct::Exact(fingerprints))
}

fn get_sketch(bits: &mut BitReader<'_>) -> Result<Sketch, CodecError> {
    let mut registers = [0; REGISTERS];
    for register in &mut registers {
        // 4 bits fit.
        *register = bits.get(REGISTER_BITS)? as u8;
    }
    Ok(Sketch(registers))
}

fn get_countries(bits: &mut BitReader<'_>) -> Result<Countries, CodecError> {
    let count = get_set_count(bits)?;
    let mut counts = Vec::with_capacity(count);
    for _ in 0..count {
        counts.push((get_country(bits)?, small(bits, 4)?));
    }
    let more = if bits.flag()? {
        Some((small(bits, 4)?, Box::new(get_sketch(bits)?)))
    } else {
        None
    };
    Ok(Countries { counts, more })
}

/// What a reference takes at most, bytes: keys and numbers 150, two sets and the countries with their sketches 80 + 80 + 290.
pub(in crate::card) const REF_BYTES_MAX: usize = 640;

const _: () = assert!(EXACT_MAX < 1 << SET_BITS && REGISTERS * REGISTER_BITS as usize == 256);
