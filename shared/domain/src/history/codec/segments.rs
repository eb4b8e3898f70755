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
//! segment    byte 0: version = 1 to 6, then bits: is_inner:1  count:9, then as many references, or entries: seq of the
//!            first:N16, then entries like a state's of version 2 without a floor
//! version 2  an inner node has lists behind its references, of merchants:L, countries:K, devices:L; a leaf's entries are like a
//!            state's of version 3, but none of them is the newest arrival
//! L          0 │ 1 count:N8, the fingerprints ascending: the first:N32, then each one's distance to the one before − 1: Nw,
//!            where w is 33 less the bits of count + 1, at least 1; then for each reference with a sketch of them: a bit for
//!            each fingerprint, whether it is below that reference
//! K          0 │ 1 count:N8, each 2 letters of 5 bits, ascending; then for each reference with further countries: its events
//!            in each of them:N4
//! ```
//!
//! Version 2 is written where version 1 has no place for it: a list, or the upper half of an event's fingerprint. Versions 3 to 5 are of leaves alone, whose entries are like a state's of versions 4 to 6.

use crate::event::Place;
use crate::history::bits::{BitReader, BitWriter, unzigzag, zigzag};
use crate::history::entry::{Entry, UNPRICED};
use crate::history::error::{CodecError, InvalidState};
use crate::history::limits::{DECODE_BYTES_MAX, ENTRIES_MAX};
use crate::history::sealed::{
    CHILDREN_MAX, Countries, Inner, KNOWN_MAX, Known, Listed, ListedCountries, Node, Placed, SealedRef, SegmentKey,
    Summary,
};
use crate::history::sketch::{Distinct, EXACT_MAX, REGISTERS, Sketch};

use super::decode::get_entries;
use super::dictionary::Dictionary;
use super::fields::{get_country, get_fingerprint, get_u32, put_country, put_index};
use super::format::{COUNT_BITS, Context, Format, INSTANT_WIDTH};
use super::fresh::put_entries;

const SEGMENT_V1: u8 = 1;
const SEGMENT_V2: u8 = 2;
const SEGMENT_V3: u8 = 3;
const SEGMENT_V4: u8 = 4;
const SEGMENT_V5: u8 = 5;
const SEGMENT_V6: u8 = 6;
const LEVEL_BITS: u32 = 4;
const SPAN_WIDTH: u32 = 25;
const SET_BITS: u32 = 5;
const REGISTER_BITS: u32 = 4;
const FIRST_SEQ_WIDTH: u32 = 16;
const PLACE_WIDTH: u32 = 20;
const MIN_WIDTH: u32 = 13;
const UNPRICED_WIDTH: u32 = 4;
const LIST_WIDTH: u32 = 8;
const LISTED_EVENTS_WIDTH: u32 = 4;
/// Two letters of the alphabet.
const COUNTRIES_MAX: usize = 26 * 26;

/// Writes references.
pub(super) fn put_refs(bits: &mut BitWriter<'_>, refs: &[SealedRef]) {
    let (mut known, mut before_ms) = (Dictionary::default(), None);
    for segment in refs {
        put_ref(bits, &mut known, before_ms, segment);
        before_ms = Some(segment.summary.last_ms);
    }
}

fn put_ref(bits: &mut BitWriter<'_>, known: &mut Dictionary, before_ms: Option<i64>, segment: &SealedRef) {
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

fn put_distinct(bits: &mut BitWriter<'_>, known: &mut Dictionary, set: &Distinct) {
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

fn put_sketch(bits: &mut BitWriter<'_>, sketch: &Sketch) {
    sketch
        .0
        .iter()
        .for_each(|rank| bits.put(u64::from(*rank), REGISTER_BITS));
}

fn put_countries(bits: &mut BitWriter<'_>, countries: &Countries) {
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

/// Which format of segments has a place for all of it.
fn segment_version(node: &Node) -> u8 {
    match node {
        Node::Inner(inner) if inner.known.is_empty() => SEGMENT_V1,
        Node::Inner(_) => SEGMENT_V2,
        Node::Leaf(entries) => match Format::of_entries(entries) {
            Format::V1 | Format::V2 => SEGMENT_V1,
            Format::V3 => SEGMENT_V2,
            Format::V4 => SEGMENT_V3,
            Format::V5 => SEGMENT_V4,
            Format::V6 => SEGMENT_V5,
            Format::V7 => SEGMENT_V6,
        },
    }
}

/// A segment as bytes.
pub(in crate::history) fn encode_segment(node: &Node) -> Vec<u8> {
    let version = segment_version(node);
    let mut bytes = vec![version];
    let mut bits = BitWriter::new(&mut bytes);
    match node {
        Node::Inner(Inner { refs, known }) => {
            bits.flag(true);
            bits.put(refs.len() as u64, COUNT_BITS);
            put_refs(&mut bits, refs);
            if version == SEGMENT_V2 {
                put_list(&mut bits, known.merchants.as_ref());
                put_country_list(&mut bits, known.countries.as_ref());
                put_list(&mut bits, known.devices.as_ref());
            }
        }
        Node::Leaf(entries) => {
            bits.flag(false);
            bits.put(entries.len() as u64, COUNT_BITS);
            let first_seq = entries.first().map_or(0, |entry| entry.seq);
            bits.number(first_seq, FIRST_SEQ_WIDTH);
            let mut context = Context::new(Format::of_leaf(version), entries.len(), first_seq, 0);
            bits = put_entries(bits, &mut context, entries, false);
        }
    }
    bits.finish();
    bytes
}

/// The segment that bytes stand for. Total, like a state's decoder.
pub(in crate::history) fn decode_segment(bytes: &[u8]) -> Result<Node, CodecError> {
    let (version, rest) = match bytes {
        [] => return Err(CodecError::Empty),
        _ if bytes.len() > DECODE_BYTES_MAX => return Err(CodecError::TooLong),
        [version @ SEGMENT_V1..=SEGMENT_V6, rest @ ..] => (*version, rest),
        [version, ..] => return Err(CodecError::UnknownVersion(*version)),
    };
    let mut bits = BitReader::new(rest);
    let is_inner = bits.flag()?;
    let count = bits.get(COUNT_BITS)? as usize;
    let node = if is_inner {
        Node::Inner(get_inner_node(&mut bits, count, version)?)
    } else {
        Node::Leaf(get_leaf(&mut bits, count, version)?)
    };
    bits.end()?;
    node.check()?;
    if segment_version(&node) != version {
        return Err(InvalidState::Version.into());
    }
    Ok(node)
}

fn get_inner_node(bits: &mut BitReader<'_>, count: usize, version: u8) -> Result<Inner, CodecError> {
    if count > CHILDREN_MAX {
        return Err(InvalidState::Segment.into());
    }
    let refs = get_refs(bits, count)?;
    let mut known = Known::default();
    if version == SEGMENT_V2 {
        known.merchants = get_list(bits, &refs, |summary| &summary.merchants)?;
        known.countries = get_country_list(bits, &refs)?;
        known.devices = get_list(bits, &refs, |summary| &summary.devices)?;
    }
    Ok(Inner { refs, known })
}

fn get_leaf(bits: &mut BitReader<'_>, count: usize, version: u8) -> Result<Vec<Entry>, CodecError> {
    if count > ENTRIES_MAX {
        return Err(InvalidState::TooManyEntries.into());
    }
    let first_seq = bits.number(FIRST_SEQ_WIDTH)?;
    let mut context = Context::new(Format::of_leaf(version), count, first_seq, 0);
    let entries = get_entries(bits, &mut context, count, (false, false))?.entries;
    if entries.first().is_some_and(|entry| entry.seq != first_seq) {
        return Err(InvalidState::Spelling.into());
    }
    Ok(entries)
}

/// About how many bits it takes from one fingerprint to the next among so many.
const fn gap_width(count: usize) -> u32 {
    let bits = (count as u64 + 1).ilog2() + 1;
    if bits >= 32 { 1 } else { 33 - bits }
}

fn put_list(bits: &mut BitWriter<'_>, listed: Option<&Listed>) {
    bits.flag(listed.is_some());
    let Some(Listed { all, parts }) = listed else { return };
    bits.number(all.len() as u64, LIST_WIDTH);
    let (width, mut before) = (gap_width(all.len()), None);
    for fingerprint in all {
        match before {
            None => bits.number(u64::from(*fingerprint), 32),
            Some(before) => bits.number(u64::from(fingerprint.wrapping_sub(before).wrapping_sub(1)), width),
        }
        before = Some(*fingerprint);
    }
    for part in parts.iter().filter(|part| !part.is_empty()) {
        for (word, left) in part.iter().zip((0..=all.len()).rev().step_by(64)) {
            bits.put(*word, left.min(64) as u32);
        }
    }
}

fn get_list(
    bits: &mut BitReader<'_>,
    refs: &[SealedRef],
    set_of: impl Fn(&Summary) -> &Distinct,
) -> Result<Option<Listed>, CodecError> {
    if !bits.flag()? {
        return Ok(None);
    }
    let count = bits.number(LIST_WIDTH)?;
    if count > KNOWN_MAX as u64 {
        return Err(InvalidState::Segment.into());
    }
    // It fits: checked above.
    let count = count as usize;
    let mut all: Vec<u32> = Vec::with_capacity(count.min(bits.left() / 20 + 1));
    let width = gap_width(count);
    for _ in 0..count {
        let fingerprint = match all.last() {
            None => small(bits, 32)?,
            Some(before) => {
                let distance = small(bits, width)?.checked_add(1).ok_or(CodecError::NumberRange)?;
                before.checked_add(distance).ok_or(CodecError::NumberRange)?
            }
        };
        all.push(fingerprint);
    }
    let part = |segment: &SealedRef| match set_of(&segment.summary) {
        Distinct::Exact(_) => Ok(Vec::new()),
        Distinct::Sketch(_) => (0..=count)
            .rev()
            .step_by(64)
            .take(count.div_ceil(64))
            .map(|left| Ok(bits.get(left.min(64) as u32)?))
            .collect::<Result<_, CodecError>>(),
    };
    let parts = refs.iter().map(part).collect::<Result<_, _>>()?;
    Ok(Some(Listed { all, parts }))
}

fn put_country_list(bits: &mut BitWriter<'_>, listed: Option<&ListedCountries>) {
    bits.flag(listed.is_some());
    let Some(ListedCountries { all, parts }) = listed else {
        return;
    };
    bits.number(all.len() as u64, LIST_WIDTH);
    all.iter().for_each(|(country, _)| put_country(bits, *country));
    for events in parts.iter().flatten() {
        bits.number(u64::from(*events), LISTED_EVENTS_WIDTH);
    }
}

fn get_country_list(bits: &mut BitReader<'_>, refs: &[SealedRef]) -> Result<Option<ListedCountries>, CodecError> {
    if !bits.flag()? {
        return Ok(None);
    }
    let count = bits.number(LIST_WIDTH)?;
    if count > COUNTRIES_MAX as u64 {
        return Err(InvalidState::Segment.into());
    }
    let mut all = Vec::new();
    for _ in 0..count {
        all.push((get_country(bits)?, 0_u32));
    }
    let mut parts = Vec::new();
    for segment in refs {
        let mut part = Vec::new();
        let countries = &segment.summary.countries;
        if countries.more.is_some() {
            for (_, events) in &mut all {
                let more = small(bits, LISTED_EVENTS_WIDTH)?;
                *events = events.saturating_add(more);
                part.push(more);
            }
        } else {
            for (country, more) in &countries.counts {
                if let Some((_, events)) = all.iter_mut().find(|(known, _)| known == country) {
                    *events = events.saturating_add(*more);
                }
            }
        }
        parts.push(part);
    }
    Ok(Some(ListedCountries { all, parts }))
}

/// Reads so many references.
pub(super) fn get_refs(bits: &mut BitReader<'_>, count: usize) -> Result<Vec<SealedRef>, CodecError> {
    let (mut known, mut before_ms) = (Dictionary::default(), None);
    let mut refs = Vec::with_capacity(count.min(bits.left() / 200 + 1));
    for _ in 0..count {
        let segment = get_ref(bits, &mut known, before_ms)?;
        before_ms = Some(segment.summary.last_ms);
        refs.push(segment);
    }
    Ok(refs)
}

fn get_ref(bits: &mut BitReader<'_>, known: &mut Dictionary, before_ms: Option<i64>) -> Result<SealedRef, CodecError> {
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

fn get_distinct(bits: &mut BitReader<'_>, known: &mut Dictionary) -> Result<Distinct, CodecError> {
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
pub(in crate::history) const REF_BYTES_MAX: usize = 640;

const _: () = assert!(EXACT_MAX < 1 << SET_BITS && REGISTERS * REGISTER_BITS as usize == 256);
