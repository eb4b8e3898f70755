//! A card's state as bytes, format versions 1 to 7.
//!
//! ```text
//!  byte 0        then bits, least significant first, no padding between fields
//! ┌─────────┬──────────────────────────────────────────────┬─────────┬─────────┬ ─ ─ ┬─────────┬──────────┐
//! │ version │ header                                       │ entry 0 │ entry 1 │     │ entry n │ 0…7 zero │
//! │  = 1    │                                              │         │         │     │         │ bits     │
//! └─────────┴──────────────────────────────────────────────┴─────────┴─────────┴ ─ ─ ┴─────────┴──────────┘
//!
//! header  count:9  dropped:N4 (next_seq − count)
//!         has_floor:1  [floor_ms:Z42  is_truncated:1  [events:N8  floor_ms − truncation floor:N32]]
//!         version 2: references:8, then as many (`codec/segments.rs` has their drawing)
//!         from version 3 on: has_references:1  [as in version 2]  has_newest:1  [upper half of the newest arrival's fingerprint:32]
//!
//! entry   ┌──────────┬─────────────┬────────┬───────┬──────────┬───────┬────────┬──────────┬───────┐
//!         │ time     │ event_fp:32 │ amount │ score │ merchant │ place │ device │ approved │ plain │ [rare parts]
//!         │ S25      │             │ S13    │ S6    │          │       │        │ :1       │ :1    │ if not plain
//!         └──────────┴─────────────┴────────┴───────┴──────────┴───────┴────────┴──────────┴───────┘
//!   time      ms since the entry before (the first: since the floor; without a floor its time itself, Z42)
//!   merchant  index among the merchants so far, in as few bits as tell them and "new" apart; new: fingerprint:32, and
//!             from version 4 on its upper half: 0 none │ 1 half:32; from version 5 on then its category: 0 none │ 1 category:14
//!   place     0 none │ 1 there is one: where the merchant was seen at a place before, 1 bit: 1 the same as then;
//!             else latitude and longitude as differences to the place spelt last, zigzag, S14 each
//!   device    0 none │ 1 then an index like the merchant's
//!   plain     1 when all of this holds: seq is one more than in the entry before, country is the merchant's last (a new
//!             merchant: the entry before's), decision is pass, tier, missing, policy, profile version, model and
//!             lists are those of the entry before, and there are no reasons, no label, no features
//!
//! rare    flags:8 (version 2: 9, version 3: 10, version 4: 13, version 5: 16, version 6: 17, version 7: 18), then for each set flag from the lowest on
//!   1   seq − expected:Z4                     16  profile:  0 │ 1 version:N16
//!   2   country: 2 letters of 5 bits          32  reasons:  count:3, each a key and share:7
//!   4   decision:2 tier:2 missing:8*          64  label:    verdict − 1:1, known since − time:Z30
//!       from version 4 on: decision:2 tier:3 missing:8
//!   8   policy version:N4                    128  features: index among the lists so far, like the merchant's; new: count:8,
//!                                                 each a key; then a value each: 00 none │ 01 whole N8 │ 10 f64:64
//!   256  version 2: errors, like features
//!   512  version 3: upper half of the event's fingerprint:32, but for the newest arrival's, which the header has
//!  1024  version 4: upper halves of merchant and device, which are not those that were last seen with them: 0 none │ 1 half:32
//!  2048  version 4: the card's own features explain the event
//!  4096  version 4: keys: count:3, each a name and 0 unread │ 1 version:N8
//!  8192  version 5: links, which are not those of the entry before: count:3, each a name and an index among the identities so
//!        far, like the merchant's; new: identity:64
//! 16384  version 5: category, which is not that which was last seen at the merchant: 0 none │ 1 category:14
//! 32768  version 5: model: 0 none │ 1 index among the models so far; new: its name:64
//! 65536  version 6: rules: count:7, each an index among the rules' words so far, like the merchant's, and its end:3; new words:
//!        length of the name − 1:5, its characters of 7 bits, length of the reason in bytes − 1:7, its bytes of 8 bits
//! 131072  version 7: lists, which are not those of the entry before: 0 none │ 1 index among the sets of lists so far; new: count − 1:3,
//!        each a name and 0 unread │ 1 version:64
//!
//! key of a feature: kind:6 window:16; from version 4 on: kind:6, then 0 window:16 │ 1 window:18 and a name
//! name of a key: index among the names so far; new: length − 1:4 and characters of 7 bits
//!
//! * the highest bit says that the tier is `low_risk`, and the tier's bits are 0.
//!
//! x:n  n bits.   Nw  a number that is about w bits long: b zeros and a 1, where b says how many bits longer than w it is,
//!                    then its bits (w of them for b = 0, otherwise without the leading 1).
//! Zw   N of the zigzag of a signed number.   Sw  N with a width that starts at w and follows the series: in eighths of a
//!                    bit, an eighth of it is replaced by the length of each number (1 to 62).
//! ```
//!
//! Numbers of enums are those of the types. Version 2 is written where version 1 has no place for it: references to sealed
//! segments, errors of feature values. Version 3 is written where version 2 has none: upper halves of events' fingerprints.
//! Version 4 is written where an entry says something of keys beyond the card, version 5 where one has links or a category, or was
//! scored by a model of trees, version 6 where a rule said something of one, version 7 where the policy of one declares lists. All are read for ever: a golden file of every kind of state proves it.
//!
//! A state has one spelling, and nothing else is read: a flag of a rare part is set only where the part says something, what
//! has an index is not spelt, a place that is known is not spelt again, a value is whole where it can be.

mod again;
mod decode;
mod dictionary;
mod encode;
mod fields;
mod format;
mod fresh;
mod front;
mod listed;
mod names;
mod noted_refs;
mod parts;
mod rare;
mod ruled;
mod segments;
mod sizes;
mod usual;

use super::bits::{BitReader, BitWriter, unzigzag, zigzag};
use super::entry::Entry;
use super::spelt::{Notes, Spelt, SpeltRefs};
use super::state::{History, Truncation};

use decode::{Read, get_entries, get_noted};
use encode::put_linked;
use fields::get_u32;
use format::{
    COUNT_BITS, Context, DROPPED_WIDTH, Format, INSTANT_WIDTH, REFS_BITS, TRUNCATED_SPAN_WIDTH, TRUNCATED_WIDTH,
};
use fresh::{put_entries, put_noted};
use noted_refs::put_noted_refs;
use segments::{get_refs, put_refs};

pub use super::error::{CodecError, InvalidState};
pub use super::limits::{DECODE_BYTES_MAX, ENTRIES_MAX, FEATURES_MAX};
pub use format::STATE_FORMAT_NEWEST;

pub(super) use noted_refs::note_refs;
pub(super) use segments::{REF_BYTES_MAX, decode_segment, encode_segment};
pub(super) use sizes::{ENTRY_BYTES_MAX, HEADER_BYTES_MAX, entries_bytes_max, entries_bytes_rough, entry_bytes_max};

/// What a typical entry takes, bytes; the buffer's first size.
const ENTRY_BYTES_TYPICAL: usize = 16;

impl History {
    /// The state as bytes. A state that was built by the fold or decoded always fits its limits, so this can't fail.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_state(self, &self.entries, Notes::Unwanted, None)
    }

    /// The same bytes as [`History::encode`] gives. Takes note of how entries are written, so that the next time only those
    /// are looked at that came since, and those that have to be written otherwise now.
    #[must_use]
    pub fn encode_again(&mut self) -> Vec<u8> {
        // Out of the state meanwhile, which is only read.
        let (mut entries, mut refs) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.spelt_refs));
        note_refs(&mut refs, &self.sealed);
        let bytes = entries.write(|entries, notes| encode_state(self, entries, notes, Some(&refs)));
        (self.entries, self.spelt_refs) = (entries, refs);
        self.size.note(bytes.len());
        debug_assert_eq!(bytes, self.encode(), "a state has one spelling, however it is written");
        bytes
    }

    /// What the state would take without the labels of its head.
    pub(super) fn unlabelled_bytes(&self) -> usize {
        let mut entries = self.entries.to_vec();
        entries.iter_mut().for_each(|entry| entry.label = None);
        encode_state(self, &entries, Notes::Unwanted, None).len()
    }

    /// The state that the bytes stand for: the inverse of [`History::encode`]. A state has one spelling: bytes that would
    /// read as a state, but are not those that it is written in, are refused, since some of them have changed.
    ///
    /// Total: any bytes give a state or an error, in time and memory bounded by their length.
    ///
    /// # Errors
    /// When the bytes are not a whole and valid state of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut state = decode_state(bytes, None)?;
        state.size.note(bytes.len());
        Ok(state)
    }

    /// The same state as [`History::decode`] gives, for whoever is going to write it again: takes note of how entries are written, as
    /// [`History::encode_again`] does.
    ///
    /// # Errors
    /// When [`History::decode`] has one.
    pub fn decode_noted(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut spelt = Vec::new();
        let mut state = decode_state(bytes, Some(&mut spelt))?;
        state.entries.note(spelt, bytes);
        state.size.note(bytes.len());
        Ok(state)
    }
}

/// A state's bytes; `entries` are those of its head, and `refs` its references as they are written, where that is known.
fn encode_state(state: &History, entries: &[Entry], mut notes: Notes<'_>, refs: Option<&SpeltRefs>) -> Vec<u8> {
    let count = entries.len();
    let of_refs = refs.map_or(0, SpeltRefs::len_bytes);
    let mut bytes = Vec::with_capacity(32 + of_refs + count * ENTRY_BYTES_TYPICAL);
    let of_entries = match &mut notes {
        Notes::Known(spelt, _) => Format::of_spelt(entries, spelt),
        Notes::Unwanted | Notes::None(_) => Format::of_entries(entries),
    };
    let format = Format::of_state(state, of_entries);
    bytes.push(format.version());
    let mut bits = BitWriter::new(&mut bytes);
    let first_seq = state.next_seq.wrapping_sub(count as u64);
    bits.put(count as u64, COUNT_BITS);
    bits.number(first_seq, DROPPED_WIDTH);
    bits.flag(state.floor_ms.is_some());
    if let Some(floor_ms) = state.floor_ms {
        bits.number(zigzag(floor_ms), INSTANT_WIDTH);
        bits.flag(state.truncation.is_some());
        if let Some(truncation) = state.truncation {
            bits.number(truncation.events, TRUNCATED_WIDTH);
            bits.number(
                floor_ms.wrapping_sub(truncation.floor_ms).cast_unsigned(),
                TRUNCATED_SPAN_WIDTH,
            );
        }
    }
    if format.has_flags() {
        bits.flag(!state.sealed.is_empty());
    }
    if format == Format::V2 || !state.sealed.is_empty() {
        bits.put(state.sealed.len() as u64, REFS_BITS);
        match refs {
            Some(spelt) => put_noted_refs(&mut bits, spelt),
            None => put_refs(&mut bits, &state.sealed),
        }
    }
    // Where all is known, no dictionary is asked.
    let room = if matches!(notes, Notes::Known(..)) { 0 } else { count };
    let mut context = Context::new(format, room, first_seq, state.floor_ms.unwrap_or(0));
    if format.has_flags() {
        context.newest_at = newest_at(entries, &notes, state.next_seq.wrapping_sub(1));
        let newest = context.newest_at.map(|at| &entries[at]);
        let high = newest.and_then(|entry| entry.event_fp_high);
        bits.flag(high.is_some());
        if let Some(high) = high {
            bits.put(u64::from(high), 32);
        }
    }
    let has_floor = state.floor_ms.is_some();
    match notes {
        Notes::Unwanted => put_entries(bits, &mut context, entries, has_floor),
        Notes::None(spelt) => put_noted(bits, &mut context, entries, spelt, has_floor),
        Notes::Known(spelt, before) => put_linked(bits, &mut context, entries, (spelt, before), has_floor),
    }
    .finish();
    bytes
}

/// The first entry of this arrival, which is the newest.
fn newest_at(entries: &[Entry], notes: &Notes<'_>, newest_seq: u64) -> Option<usize> {
    if let Notes::Known(spelt, _) = notes
        && let Some(Spelt { in_order: true, .. }) = spelt.last()
        && entries.last().is_some_and(|entry| entry.seq == newest_seq)
    {
        return entries.len().checked_sub(1);
    }
    entries.iter().position(|entry| entry.seq == newest_seq)
}

/// The state of some bytes. Of each entry it is put into `spelt` how it is written.
fn decode_state(bytes: &[u8], spelt: Option<&mut Vec<Spelt>>) -> Result<History, CodecError> {
    match bytes {
        [] => Err(CodecError::Empty),
        _ if bytes.len() > DECODE_BYTES_MAX => Err(CodecError::TooLong),
        [version, ..] => match Format::of_version(*version) {
            Some(format) => decode_as(format, bytes, spelt),
            None => Err(CodecError::UnknownVersion(*version)),
        },
    }
}

fn decode_as(format: Format, bytes: &[u8], mut spelt: Option<&mut Vec<Spelt>>) -> Result<History, CodecError> {
    let mut bits = BitReader::new(bytes);
    // The version.
    bits.get(u8::BITS)?;
    let count = bits.get(COUNT_BITS)? as usize;
    if count > ENTRIES_MAX {
        return Err(InvalidState::TooManyEntries.into());
    }
    let first_seq = bits.number(DROPPED_WIDTH)?;
    let next_seq = first_seq.checked_add(count as u64).ok_or(CodecError::NumberRange)?;
    let (mut floor_ms, mut truncation) = (None, None);
    if bits.flag()? {
        let floor = unzigzag(bits.number(INSTANT_WIDTH)?);
        floor_ms = Some(floor);
        if bits.flag()? {
            let events = bits.number(TRUNCATED_WIDTH)?;
            let span_ms = bits.number(TRUNCATED_SPAN_WIDTH)?;
            let floor_ms = floor.checked_sub_unsigned(span_ms).ok_or(CodecError::NumberRange)?;
            truncation = Some(Truncation { events, floor_ms });
        }
    }
    let has_refs = match format {
        Format::V1 => false,
        Format::V2 => true,
        Format::V3 | Format::V4 | Format::V5 | Format::V6 | Format::V7 => bits.flag()?,
    };
    let sealed = if has_refs {
        let count = bits.get(REFS_BITS)? as usize;
        if count == 0 && format.has_flags() {
            return Err(InvalidState::Spelling.into());
        }
        get_refs(&mut bits, count)?
    } else {
        Vec::new()
    };
    let mut context = Context::new(format, count, first_seq, floor_ms.unwrap_or(0));
    if format.has_flags() {
        let high = if bits.flag()? { Some(get_u32(&mut bits)?) } else { None };
        context.newest = Some((next_seq.wrapping_sub(1), high));
    }
    let has_floor = floor_ms.is_some();
    let Read { entries, are_valid } = match &mut spelt {
        Some(spelt) => get_noted(&mut bits, &mut context, count, has_floor, spelt)?,
        None => get_entries(&mut bits, &mut context, count, (has_floor, true))?,
    };
    bits.end()?;
    if context.newest.is_some_and(|(_, high)| high.is_some()) {
        // Of an entry that is not there.
        return Err(InvalidState::Spelling.into());
    }
    let mut state = History::from_read((entries, are_valid), next_seq, floor_ms, truncation)?;
    state.sealed = sealed;
    state.check_sealed()?;
    let of_entries = match spelt {
        Some(spelt) => Format::of_spelt(&state.entries, spelt),
        None => Format::of_entries(&state.entries),
    };
    if Format::of_state(&state, of_entries) != format {
        return Err(InvalidState::Version.into());
    }
    Ok(state)
}
