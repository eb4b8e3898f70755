//! Writes entries. The order of the fields is the drawing's at the head of the module above.
//!
//! In a head that was written before, nearly every entry is written as it was then: only those are not that the first one, which was
//! dropped meanwhile, had something in common with.

use crate::event::Place;
use crate::history::bits::{BitWriter, bits_of, zigzag};
use crate::history::entry::Entry;
use crate::history::spelt::{Moved, Series, Spelt};

use super::again::{Copy, Numbered, change_indexes, put_index_again};
use super::format::{Context, Expected, Format};
use super::front::put_front;
use super::parts::{put_category, put_high, put_parts};
use super::usual::{Usual, is_plain, rare_parts, stand_alone};

/// Writes entries, and takes note of how. `spelt` has one of each, and `before` the bytes that they were written in last.
pub(super) fn put_linked<'b>(
    bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    spelt: (&mut [Spelt], &mut [u8]),
    has_floor: bool,
) -> BitWriter<'b> {
    if context.format.has_keys() {
        put_entries_of::<true>(bits, context, entries, spelt, has_floor)
    } else {
        put_entries_of::<false>(bits, context, entries, spelt, has_floor)
    }
}

/// `KEYS` says whether the format has a place for keys beyond the card: without it nothing of them is looked at.
fn put_entries_of<'b, const KEYS: bool>(
    mut bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    (spelt, before): (&mut [Spelt], &mut [u8]),
    has_floor: bool,
) -> BitWriter<'b> {
    let mut so_far = SoFar::default();
    let mut at = 0;
    while at < entries.len() {
        if at > 0 && spelt[at].under != 0 {
            (bits, at) = put_again(bits, context, entries, (spelt, before), (at, &mut so_far));
        }
        if at < entries.len() {
            bits = put_one::<KEYS>(bits, context, entries, (spelt, before), (at, &mut so_far, has_floor));
            at += 1;
        }
    }
    bits
}

/// What is known from the entries that are written.
struct SoFar {
    merchants: Numbered,
    devices: Numbered,
    series: Series,
    /// The series are what they were when the entry was written last, and so are all fronts that follow.
    is_as_before: bool,
}

impl Default for SoFar {
    fn default() -> Self {
        Self {
            merchants: Numbered::default(),
            devices: Numbered::default(),
            series: Series::START,
            is_as_before: false,
        }
    }
}

/// Writes an entry, and takes note of how.
#[inline(never)]
fn put_one<'b, const KEYS: bool>(
    mut bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    (spelt, written): (&mut [Spelt], &[u8]),
    (at, so_far, has_floor): (usize, &mut SoFar, bool),
) -> BitWriter<'b> {
    let entry = &entries[at];
    let was = spelt[at];
    let mut one = was;
    // Its bits as they were, of these of them.
    let copied = |bits: &mut BitWriter<'_>, from: u32, to: u32| {
        bits.copy(written, (was.at + from) as usize..(was.at + to) as usize);
    };
    let is_known = at > 0 && was.under != 0;
    let begin = bits.position();
    let before = at.checked_sub(1);
    if is_known && so_far.is_as_before {
        copied(&mut bits, 0, u32::from(was.merchant_at));
    } else {
        if let Some(before) = before.filter(|_| so_far.is_as_before) {
            so_far.series = spelt[before].series;
            so_far.series.learn(spelt[before].lengths);
            so_far.is_as_before = false;
        }
        let before_ms = match before {
            Some(before) => Some(entries[before].time_ms),
            None => has_floor.then_some(context.last.time_ms),
        };
        bits = put_front(bits, before_ms, entry, &mut one, &mut so_far.series);
        // A front is 384 bits at most.
        one.merchant_at = (bits.position() - begin) as u16;
    }
    let (merchant, device) = (one.merchant_seen(at), one.device_seen(at));
    one.merchant = match merchant {
        Some(seen) => so_far.merchants.put_known(&mut bits, spelt[seen].merchant.0),
        None => so_far.merchants.put_new(&mut bits, entry.merchant_fp),
    };
    so_far.merchants.renumber(was.merchant.0, one.merchant.0);
    if KEYS && merchant.is_none() {
        put_high(&mut bits, entry.merchant_fp_high);
        if context.format.has_links() {
            put_category(&mut bits, entry.category);
        }
    }
    one.moved = put_place(&mut bits, context, entry.place, known_place(entries, spelt, merchant));
    bits.flag(entry.device_fp.is_some());
    if let Some(device_fp) = entry.device_fp {
        // What is before it is 768 bits at most.
        one.device_at = (bits.position() - begin) as u16;
        one.device = match device {
            Some(seen) => so_far.devices.put_known(&mut bits, spelt[seen].device.0),
            None => so_far.devices.put_new(&mut bits, device_fp),
        };
        so_far.devices.renumber(was.device.0, one.device.0);
        if KEYS && device.is_none() {
            put_high(&mut bits, entry.device_fp_high);
        }
    }
    one.tail_at = (bits.position() - begin) as u16;
    let under = under(context.format, context.newest_at == Some(at));
    if is_known && was.under == under && !was.has_lost(at) {
        copied(&mut bits, u32::from(was.tail_at), was.bits);
    } else {
        let usual = usual::<KEYS>(context, entries, at, (merchant, device));
        let parts = if is_plain(&usual, entry) {
            debug_assert_eq!(rare_parts(&usual, entry), 0, "a plain entry has no rare parts");
            0
        } else {
            rare_parts(&usual, entry)
        };
        let seq = usual.seq;
        bits.put(u64::from(entry.approved) | u64::from(parts == 0) << 1, 2);
        if parts != 0 {
            bits = put_parts(bits, context, entry, (parts, seq));
        }
        let is_sure = is_place_sure(entries, at, merchant) && stand_alone(parts, entry);
        one.under = if is_sure { under } else { 0 };
    }
    one.forget_lost(at);
    // A state's bytes are fewer than 2²⁹.
    (one.at, one.bits) = (begin as u32, (bits.position() - begin) as u32);
    spelt[at] = one;
    bits
}

/// Writes entries as they were written before, up to the first one that has to be looked at again; its place. Indexes are changed,
/// and what is expected otherwise now is written anew.
#[inline(never)]
fn put_again<'b>(
    bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    (spelt, before): (&mut [Spelt], &mut [u8]),
    (first, so_far): (usize, &mut SoFar),
) -> (BitWriter<'b>, usize) {
    let mut at = first;
    let mut copy = Copy::new(bits, spelt[first].at);
    let as_usual = under(context.format, false);
    let SoFar {
        merchants,
        devices,
        series,
        is_as_before,
    } = so_far;
    loop {
        if *is_as_before {
            let counts = (&*merchants, &*devices);
            at += change_indexes(&mut spelt[at..], at, before, copy.shift, counts, as_usual);
        }
        let Some(one) = spelt.get_mut(at) else { break };
        *is_as_before |= *series == one.series;
        // The newest one is among the others.
        if one.under != as_usual || one.has_lost(at) {
            break;
        }
        if let Some(moved) = &one.moved
            && !moves_again(context, moved, entries[at].place)
        {
            break;
        }
        // Where it was.
        let was = one.at;
        let (merchant_at, device_at) = (was + u32::from(one.merchant_at), was + u32::from(one.device_at));
        one.at = copy.place_of(was);
        if !*is_as_before {
            if series.expected() == one.series.expected() {
                one.series = *series;
                series.learn(one.lengths);
            } else {
                copy.until(before, was);
                let before_ms = entries[at - 1].time_ms;
                copy.bits = put_front(copy.bits, Some(before_ms), &entries[at], one, series);
                copy.goes_on_at(merchant_at);
                one.lengthen(copy.place_of(merchant_at) - one.at);
            }
        }
        let was = one.merchant;
        one.merchant = merchants.number_again(was.0, one.merchant_back == 0);
        if put_index_again(&mut copy, before, merchant_at, was, one.merchant) {
            one.lengthen_behind(one.merchant_at, one.merchant.1, was.1);
        }
        if one.has_device {
            let was = one.device;
            one.device = devices.number_again(was.0, one.device_back == 0);
            if put_index_again(&mut copy, before, device_at, was, one.device) {
                one.lengthen_behind(one.device_at, one.device.1, was.1);
            }
        }
        at += 1;
    }
    if let Some(last) = at.checked_sub(1).filter(|last| *last >= first) {
        copy.until(before, copy.origin_of(spelt[last].at + spelt[last].bits));
    }
    (copy.bits, at)
}

/// Whether a place is spelt as it was before; if so, takes note of it.
fn moves_again(context: &mut Context, moved: &Moved, place: Option<Place>) -> bool {
    let mut degrees = context.degrees;
    let mut is_same = moved.from == context.place;
    for (expected, length) in moved.expected.iter().zip(moved.lengths) {
        is_same &= degrees.bits() == u32::from(*expected);
        degrees.learn_length(u32::from(length));
    }
    if is_same {
        context.degrees = degrees;
        context.place = place.unwrap_or(context.place);
    }
    is_same
}

/// Where a merchant was seen last, given its latest entry.
fn known_place(entries: &[Entry], spelt: &[Spelt], mut seen: Option<usize>) -> Option<Place> {
    while let Some(at) = seen {
        let place = entries[at].place;
        if place.is_some() {
            return place;
        }
        seen = spelt[at].merchant_seen(at);
    }
    None
}

/// Writes a place; how, if it was spelt.
#[inline]
pub(super) fn put_place(
    bits: &mut BitWriter<'_>,
    context: &mut Context,
    place: Option<Place>,
    known: Option<Place>,
) -> Option<Moved> {
    let Some(place) = place else {
        bits.flag(false);
        return None;
    };
    match known {
        Some(known) if known == place => {
            bits.put(0b11, 2);
            return None;
        }
        Some(_) => bits.put(0b01, 2),
        None => bits.flag(true),
    }
    let from = std::mem::replace(&mut context.place, place);
    let latitude = i64::from(place.latitude_e4) - i64::from(from.latitude_e4);
    let longitude = i64::from(place.longitude_e4) - i64::from(from.longitude_e4);
    let mut moved = Moved {
        from,
        expected: [0; 2],
        lengths: [0; 2],
    };
    for (at, difference) in [latitude, longitude].into_iter().enumerate() {
        let number = zigzag(difference);
        // Both are at most 64.
        moved.expected[at] = context.degrees.bits() as u8;
        moved.lengths[at] = bits_of(number | 1) as u8;
        bits.series(number, &mut context.degrees);
    }
    Some(moved)
}

/// What the bits of an entry depend on, besides itself, those that it goes by, and what is expected. Never 0.
#[inline(always)]
pub(super) const fn under(format: Format, is_newest: bool) -> u8 {
    (is_newest as u8) << 2 | format.version() << 3
}

/// Whether the place of an entry's merchant is that of the latest entry there, if it is asked for. Where it is that of one further before,
/// that may be dropped alone.
#[inline(always)]
pub(super) fn is_place_sure(entries: &[Entry], at: usize, merchant: Option<usize>) -> bool {
    entries[at].place.is_none() || merchant.is_none_or(|seen| entries[seen].place.is_some())
}

/// What is usual for an entry, given the latest ones of its merchant and its device.
fn usual<'e, const KEYS: bool>(
    context: &'e Context,
    entries: &'e [Entry],
    at: usize,
    (merchant, device): (Option<usize>, Option<usize>),
) -> Usual<'e> {
    let (entry, is_newest) = (&entries[at], context.newest_at == Some(at));
    let mut expected = Expected::default();
    if KEYS {
        // What is new has said these itself.
        let of_merchant = &entries[merchant.unwrap_or(at)];
        expected.highs.merchant = of_merchant.merchant_fp_high;
        expected.category = of_merchant.category;
        if entry.device_fp.is_some() {
            expected.highs.device = entries[device.unwrap_or(at)].device_fp_high;
        }
    }
    match at.checked_sub(1) {
        None => Usual::first(&context.last, expected, is_newest),
        Some(before) => {
            let before = &entries[before];
            let country = merchant.map_or(before.country, |seen| entries[seen].country);
            Usual::after(before, country, expected, is_newest)
        }
    }
}
