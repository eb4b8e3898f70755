//! Reads entries, whatever the bytes are. The order of the fields is the drawing's at the head of the module above.

use crate::event::Place;
use crate::history::bits::{BitReader, bits_of, index_bits, unzigzag};
use crate::history::check::{check_entry, is_on_globe};
use crate::history::entry::Entry;
use crate::history::error::{CodecError, InvalidState};
use crate::history::spelt::{Moved, Series, Spelt};
use crate::outcome::{Decision, SCORE_MAX, StoredOutcome};

use super::encode::{is_place_sure, under};
use super::fields::{get_category, get_high, take_fingerprint};
use super::format::{Context, Expected, Format};
use super::fresh::Latest;
use super::front::take_front;
use super::rare::get_parts;
use super::usual::stand_alone;

/// Entries that were read.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// Each of them is as an entry must be.
    pub(super) are_valid: bool,
}

/// Reads so many entries; the first one's time stands against the context's if that says something. The list has room for half as many
/// more if it is to grow.
pub(super) fn get_entries(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    count: usize,
    (has_floor, is_to_grow): (bool, bool),
) -> Result<Read, CodecError> {
    let mut unwanted = Vec::new();
    if context.format.has_keys() {
        get_entries_of::<true, false>(bits, context, count, (has_floor, is_to_grow), &mut unwanted)
    } else {
        get_entries_of::<false, false>(bits, context, count, (has_floor, is_to_grow), &mut unwanted)
    }
}

/// The same for a head, and takes note of how its entries are written.
pub(super) fn get_noted(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    count: usize,
    has_floor: bool,
    spelt: &mut Vec<Spelt>,
) -> Result<Read, CodecError> {
    if context.format.has_keys() {
        get_entries_of::<true, true>(bits, context, count, (has_floor, true), spelt)
    } else {
        get_entries_of::<false, true>(bits, context, count, (has_floor, true), spelt)
    }
}

/// `KEYS` says whether the format has a place for keys beyond the card: without it nothing of them is looked at. `NOTES` says whether
/// `spelt` gets an item for each entry.
fn get_entries_of<const KEYS: bool, const NOTES: bool>(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    count: usize,
    (has_floor, is_to_grow): (bool, bool),
    spelt: &mut Vec<Spelt>,
) -> Result<Read, CodecError> {
    // An entry takes 38 bits and more, so that the bytes are at least a 100th of the memory.
    let least = count.min(bits.left() / 38 + 1);
    let mut entries = Vec::with_capacity(if is_to_grow { least + least / 2 + 1 } else { least });
    if NOTES {
        spelt.reserve(entries.capacity());
    }
    let mut reader = *bits;
    let (mut series, mut latest, mut are_valid) = (Series::START, Latest::default(), true);
    for at in 0..count {
        let before_ms = (at > 0 || has_floor).then_some(context.last.time_ms);
        let so_far = (&mut entries, &mut *spelt);
        let got = get_entry::<KEYS, NOTES>(&mut reader, context, so_far, before_ms, (&mut series, &mut latest));
        // Whatever is wrong with what was taken beyond the end: it is the end that is wrong. Nothing is right there, since an entry that
        // is not plain has parts.
        are_valid &= got.map_err(|error| {
            if reader.is_beyond() {
                CodecError::Truncated
            } else {
                error
            }
        })?;
    }
    *bits = reader;
    Ok(Read { entries, are_valid })
}

/// Reads an entry; whether it is as an entry must be.
#[inline(always)]
fn get_entry<const KEYS: bool, const NOTES: bool>(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    (entries, spelt): (&mut Vec<Entry>, &mut Vec<Spelt>),
    before_ms: Option<i64>,
    (series, latest): (&mut Series, &mut Latest),
) -> Result<bool, CodecError> {
    let (at, begin, was) = (entries.len(), bits.position(), *series);
    let front = take_front(bits, before_ms, series)?;
    let (merchant_at, merchants) = (bits.position(), context.merchants.len());
    let (merchant, merchant_fp) = take_fingerprint(bits, &context.merchants)?;
    let mut expected = Expected::default();
    if KEYS {
        expected = context.expected(merchant);
        if merchant == merchants {
            expected.highs.merchant = get_high(bits)?;
            if context.format.has_links() {
                expected.category = get_category(bits)?;
            }
        }
    }
    let (place, moved) = take_place(bits, context, merchant)?;
    let has_device = bits.take(1) == 1;
    let (device_at, devices) = (bits.position(), context.devices.len());
    let (mut device, mut device_fp) = (devices, None);
    if has_device {
        let (index, fingerprint) = take_fingerprint(bits, &context.devices)?;
        (device, device_fp) = (index, Some(fingerprint));
        if KEYS {
            expected.highs.device = context.expected_device_high(device);
            if device == devices {
                expected.highs.device = get_high(bits)?;
            }
        }
    }
    let tail_at = bits.position();
    let tail = bits.take(2);
    let (approved, is_plain) = (tail & 1 == 1, tail & 2 == 2);
    let (seq, last) = (context.expected_seq(), &context.last);
    // As usual: what is otherwise follows.
    entries.push(Entry {
        time_ms: front.time_ms,
        seq,
        event_fp: front.event_fp,
        event_fp_high: None,
        amount_base_minor: front.amount_base_minor,
        merchant_fp,
        merchant_fp_high: expected.highs.merchant,
        country: context.expected_country(merchant),
        device_fp,
        device_fp_high: expected.highs.device,
        links: if KEYS { context.links.clone() } else { Vec::new() },
        category: expected.category,
        place,
        approved,
        outcome: StoredOutcome {
            score: front.score,
            decision: Decision::Pass,
            tier: last.tier,
            missing: last.missing,
            reasons: Vec::new(),
            policy_version: last.policy_version,
            profile_version: last.profile_version,
            features: Vec::new(),
            approximate: Vec::new(),
            explained: false,
            keys: Vec::new(),
            model: last.model,
            rules: Vec::new(),
            lists: last.lists.clone(),
        },
        label: None,
    });
    let entry = &mut entries[at];
    let mut stands_alone = true;
    if !is_plain {
        let parts = get_parts(bits, context, entry, merchant, expected)?;
        let (is_new_merchant, is_new_device) = (merchant == merchants, has_device && device == devices);
        // What is new has said these itself: a rare part has nothing to add.
        if (is_new_merchant && !expected.is_of_merchant(entry)) || (is_new_device && !expected.is_of_device(entry)) {
            return Err(InvalidState::Spelling.into());
        }
        stands_alone = stand_alone(parts, entry);
    }
    if let Some(device_fp) = device_fp {
        context.learn_device(device, device_fp, entry.device_fp_high);
    }
    let is_newest = context.is_newest(entry);
    if is_newest {
        entry.event_fp_high = context.newest.take().and_then(|(_, high)| high);
    }
    if is_plain {
        context.learn_plain(entry, merchant);
    } else {
        context.learn(entry, merchant);
    }
    // All else is as it was in entries before.
    let is_valid = if is_plain && !KEYS {
        front.score <= SCORE_MAX && moved.is_none() | place.is_none_or(is_on_globe)
    } else {
        check_entry(entry).is_ok()
    };
    if NOTES {
        let of_entry = match entry.event_fp_high {
            None if is_plain && !KEYS => Format::V1,
            Some(_) if is_plain && !KEYS => Format::V3,
            _ => Format::of_entry(entry),
        };
        let (merchant_before, device_before) = latest.replace(at, (merchant, has_device.then_some(device)));
        let is_in_order =
            at == 0 || entries[at - 1].seq < entries[at].seq && spelt.last().is_some_and(|before| before.in_order);
        let is_sure = stands_alone && is_place_sure(entries, at, merchant_before);
        // A head has fewer than 2⁹ entries, its bytes are fewer than 2²⁹ bits, and what is before a tail fewer than 2¹¹.
        spelt.push(Spelt {
            series: was,
            lengths: front.lengths,
            at: begin as u32,
            bits: (bits.position() - begin) as u32,
            moved,
            merchant_at: (merchant_at - begin) as u16,
            device_at: (device_at - begin) as u16,
            tail_at: (tail_at - begin) as u16,
            merchant: (merchant as u16, index_bits(merchants + 1) as u8),
            device: (device as u16, index_bits(devices + 1) as u8),
            merchant_back: merchant_before.map_or(0, |before| (at - before) as u16),
            device_back: device_before.map_or(0, |before| (at - before) as u16),
            has_device,
            in_order: is_in_order,
            under: if is_sure { under(context.format, is_newest) } else { 0 },
            format: of_entry.version(),
        });
    }
    Ok(is_valid)
}

/// Takes a place, and how it was written if it was spelt, without a look at the end.
#[inline(always)]
fn take_place(
    bits: &mut BitReader<'_>,
    context: &mut Context,
    merchant: usize,
) -> Result<(Option<Place>, Option<Moved>), CodecError> {
    if bits.take(1) == 0 {
        return Ok((None, None));
    }
    let known = context.known_place(merchant);
    if known.is_some() && bits.take(1) == 1 {
        return Ok((known, None));
    }
    let (place, moved) = take_spelt_place(bits, context)?;
    if known == Some(place) {
        return Err(InvalidState::Spelling.into());
    }
    Ok((Some(place), Some(moved)))
}

fn take_spelt_place(bits: &mut BitReader<'_>, context: &mut Context) -> Result<(Place, Moved), CodecError> {
    let from = context.place;
    let mut moved = Moved {
        from,
        expected: [0; 2],
        lengths: [0; 2],
    };
    let mut degrees = |at: usize, before: i32| -> Result<i32, CodecError> {
        // Both are at most 64.
        moved.expected[at] = context.degrees.bits() as u8;
        let number = bits.take_series(&mut context.degrees)?;
        moved.lengths[at] = bits_of(number | 1) as u8;
        let sum = i64::from(before)
            .checked_add(unzigzag(number))
            .ok_or(InvalidState::Place)?;
        Ok(i32::try_from(sum).map_err(|_| InvalidState::Place)?)
    };
    context.place = Place {
        latitude_e4: degrees(0, from.latitude_e4)?,
        longitude_e4: degrees(1, from.longitude_e4)?,
    };
    Ok((context.place, moved))
}
