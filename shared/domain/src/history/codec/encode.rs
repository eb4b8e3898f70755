//! Writes entries. The order of the fields is the drawing's at the head of the module above.
//!
//! In a head that was written before, nearly every entry is written as it was then: only those are not that the first one, which was
//! dropped meanwhile, had something in common with.

use crate::event::Place;
use crate::history::bits::{BitWriter, bits_of, index_bits, zigzag};
use crate::history::entry::Entry;
use crate::history::spelt::{Moved, Series, Spelt};

use super::format::{Context, Expected};
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
        if KEYS && device.is_none() {
            put_high(&mut bits, entry.device_fp_high);
        }
    }
    one.tail_at = (bits.position() - begin) as u16;
    let under = circumstances(context, at, (merchant.is_some(), device.is_some()));
    if is_known && was.under == under {
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
        // Where the merchant's place is that of an entry further before, it may be dropped alone.
        let is_place_sure = entry.place.is_none() || merchant.is_none_or(|seen| entries[seen].place.is_some());
        let is_sure = is_place_sure && stand_alone(parts, entry);
        one.under = if is_sure { under } else { 0 };
    }
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
    (mut at, so_far): (usize, &mut SoFar),
) -> (BitWriter<'b>, usize) {
    let begin = spelt[at].at;
    let mut copy = Copy::new(bits, begin);
    let mut end = begin;
    while at < spelt.len() {
        let one = &spelt[at];
        so_far.is_as_before |= so_far.series == one.series;
        let (merchant_seen, device_seen) = (one.merchant_seen(at), one.device_seen(at));
        if one.under != circumstances(context, at, (merchant_seen.is_some(), device_seen.is_some())) {
            break;
        }
        if let Some(moved) = &one.moved
            && !moves_again(context, moved, entries[at].place)
        {
            break;
        }
        let merchant = match merchant_seen {
            Some(seen) => spelt[seen].merchant.0,
            None => so_far.merchants.count,
        };
        let device = match device_seen {
            Some(seen) => spelt[seen].device.0,
            None => so_far.devices.count,
        };
        let one = &mut spelt[at];
        let was = one.at;
        end = was + one.bits;
        one.at = copy.place_of(was);
        if !so_far.is_as_before {
            if so_far.series.expected() == one.series.expected() {
                one.series = so_far.series;
                so_far.series.learn(one.lengths);
            } else {
                let front_end = was + u32::from(one.merchant_at);
                copy.until(before, was);
                let before_ms = entries[at - 1].time_ms;
                copy.bits = put_front(copy.bits, Some(before_ms), &entries[at], one, &mut so_far.series);
                copy.goes_on_at(front_end);
                one.lengthen(copy.place_of(front_end) - one.at);
            }
        }
        // Where it is in the bytes before, and where it is now.
        let (index_at, width) = (copy.origin_of(one.at + u32::from(one.merchant_at)), one.merchant.1);
        if width != so_far.merchants.width {
            copy.until(before, index_at);
            one.merchant = so_far.merchants.put_known(&mut copy.bits, merchant);
            copy.goes_on_at(index_at + u32::from(width));
            one.lengthen_behind(one.merchant_at, one.merchant.1, width);
        } else if one.merchant.0 != merchant {
            change(before, index_at, one.merchant.0 ^ merchant);
            one.merchant.0 = merchant;
        }
        if merchant_seen.is_none() {
            so_far.merchants.count_new();
        }
        if one.has_device {
            let (index_at, width) = (copy.origin_of(one.at + u32::from(one.device_at)), one.device.1);
            if width != so_far.devices.width {
                copy.until(before, index_at);
                one.device = so_far.devices.put_known(&mut copy.bits, device);
                copy.goes_on_at(index_at + u32::from(width));
                one.lengthen_behind(one.device_at, one.device.1, width);
            } else if one.device.0 != device {
                change(before, index_at, one.device.0 ^ device);
                one.device.0 = device;
            }
            if device_seen.is_none() {
                so_far.devices.count_new();
            }
        }
        at += 1;
    }
    copy.until(before, end);
    (copy.bits, at)
}

/// Bits that are copied from bytes as they are, up to where something else is written.
struct Copy<'b> {
    bits: BitWriter<'b>,
    /// What is before it is written.
    from: u32,
    /// By so many bits what follows comes later than it did, or earlier: it wraps around.
    shift: u32,
}

impl<'b> Copy<'b> {
    fn new(bits: BitWriter<'b>, from: u32) -> Self {
        let mut copy = Self { bits, from, shift: 0 };
        copy.goes_on_at(from);
        copy
    }

    /// Where a bit comes to be that has not been copied yet.
    #[inline(always)]
    const fn place_of(&self, was: u32) -> u32 {
        was.wrapping_add(self.shift)
    }

    /// Where a bit was that comes to be here.
    #[inline(always)]
    const fn origin_of(&self, place: u32) -> u32 {
        place.wrapping_sub(self.shift)
    }

    /// Copies what is before this one.
    fn until(&mut self, bytes: &[u8], end: u32) {
        self.bits.copy(bytes, self.from as usize..end as usize);
        self.from = end;
    }

    /// What follows in the bytes is behind what has been written meanwhile.
    fn goes_on_at(&mut self, from: u32) {
        self.from = from;
        // A state's bytes are fewer than 2²⁹.
        self.shift = (self.bits.position() as u32).wrapping_sub(from);
    }
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

/// Changes an index in bytes: its bits, at most 9 from this one on, by what they differ in.
#[inline(always)]
fn change(bytes: &mut [u8], at: u32, difference: u16) {
    let (byte, bit) = (at as usize / 8, at % 8);
    let change = (difference << bit).to_le_bytes();
    debug_assert!(
        byte + 2 <= bytes.len(),
        "the bytes are filled up behind their last index"
    );
    if let Some([low, high]) = bytes.get_mut(byte..byte + 2) {
        *low ^= change[0];
        *high ^= change[1];
    }
}

/// Merchants or devices so far.
#[derive(Clone, Copy, Default)]
struct Numbered {
    count: u16,
    /// Bits that tell them and "new" apart.
    width: u8,
}

impl Numbered {
    /// Writes which one it is; the index and its bits.
    fn put_known(&self, bits: &mut BitWriter<'_>, index: u16) -> (u16, u8) {
        bits.put(u64::from(index), u32::from(self.width));
        (index, self.width)
    }

    /// Writes that one is new, and which; the index and its bits.
    fn put_new(&mut self, bits: &mut BitWriter<'_>, fingerprint: u32) -> (u16, u8) {
        let (index, width) = (self.count, self.width);
        let count = u32::from(width);
        bits.put(u64::from(index) | u64::from(fingerprint) << count, count + 32);
        self.count_new();
        (index, width)
    }

    #[inline(always)]
    fn count_new(&mut self) {
        self.count += 1;
        // At most 9: a head has at most 400 entries.
        self.width = index_bits(usize::from(self.count) + 1) as u8;
    }
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

/// What the bits of an entry depend on, besides itself, those that it goes by, and what is expected: whether its merchant and its
/// device are known. Never 0.
#[inline(always)]
pub(super) fn circumstances(context: &Context, at: usize, knows: (bool, bool)) -> u8 {
    u8::from(knows.0)
        | u8::from(knows.1) << 1
        | u8::from(context.newest_at == Some(at)) << 2
        | context.format.version() << 3
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
