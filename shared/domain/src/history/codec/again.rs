//! What is written again as it was: bits that are copied, and the indexes of merchants and devices, which are changed in them.

use crate::history::bits::{BitWriter, index_bits};
use crate::history::spelt::Spelt;

use super::format::COUNT_BITS;

/// Changes indexes in the bytes before, up to the first entry of which more is to be looked at; how many entries these are. `first` is the
/// place of the first one, and all come later by `shift` bits.
#[inline(never)]
pub(super) fn change_indexes(
    spelt: &mut [Spelt],
    first: usize,
    before: &mut [u8],
    shift: u32,
    (merchants, devices): (&Numbered, &Numbered),
    as_usual: u8,
) -> usize {
    let (merchant_width, device_width) = (merchants.count.1, devices.count.1);
    // What is so many entries before is there; none is so many before that is not.
    let is_there = |back: u16, at: usize| usize::from(back.wrapping_sub(1)) < at;
    for (at, one) in (first..).zip(&mut *spelt) {
        let is_usual = one.under == as_usual && one.moved.is_none() && one.merchant.1 == merchant_width;
        if !is_usual || !is_there(one.merchant_back, at) {
            return at - first;
        }
        if one.has_device {
            if one.device.1 != device_width || !is_there(one.device_back, at) {
                return at - first;
            }
            let (was, now) = (one.device.0, devices.now[usize::from(one.device.0) % INDEXES]);
            if was != now {
                change(before, one.at + u32::from(one.device_at), was ^ now);
                one.device.0 = now;
            }
        }
        let (was, now) = (one.merchant.0, merchants.now[usize::from(one.merchant.0) % INDEXES]);
        if was != now {
            change(before, one.at + u32::from(one.merchant_at), was ^ now);
            one.merchant.0 = now;
        }
        one.at = one.at.wrapping_add(shift);
    }
    spelt.len()
}

/// Writes an index again that was at this bit of the bytes before: whether it has other bits now than there. Where not, it is changed
/// there, and is yet to be copied.
#[inline(always)]
pub(super) fn put_index_again(
    copy: &mut Copy<'_>,
    before: &mut [u8],
    was_at: u32,
    was: (u16, u8),
    now: (u16, u8),
) -> bool {
    if was.1 != now.1 {
        copy.until(before, was_at);
        copy.bits.put(u64::from(now.0), u32::from(now.1));
        copy.goes_on_at(was_at + u32::from(was.1));
        return true;
    }
    if was.0 != now.0 {
        change(before, was_at, was.0 ^ now.0);
    }
    false
}

/// Bits that are copied from bytes as they are, up to where something else is written.
pub(super) struct Copy<'b> {
    pub(super) bits: BitWriter<'b>,
    /// What is before it is written.
    from: u32,
    /// By so many bits what follows comes later than it did, or earlier: it wraps around.
    pub(super) shift: u32,
}

impl<'b> Copy<'b> {
    pub(super) fn new(bits: BitWriter<'b>, from: u32) -> Self {
        let mut copy = Self { bits, from, shift: 0 };
        copy.goes_on_at(from);
        copy
    }

    /// Where a bit comes to be that has not been copied yet.
    #[inline(always)]
    pub(super) const fn place_of(&self, was: u32) -> u32 {
        was.wrapping_add(self.shift)
    }

    /// Where a bit was that comes to be here.
    pub(super) const fn origin_of(&self, place: u32) -> u32 {
        place.wrapping_sub(self.shift)
    }

    /// Copies what is before this one.
    pub(super) fn until(&mut self, bytes: &[u8], end: u32) {
        self.bits.copy(bytes, self.from as usize..end as usize);
        self.from = end;
    }

    /// What follows in the bytes is behind what has been written meanwhile.
    pub(super) fn goes_on_at(&mut self, from: u32) {
        self.from = from;
        // A state's bytes are fewer than 2²⁹.
        self.shift = (self.bits.position() as u32).wrapping_sub(from);
    }
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
pub(super) struct Numbered {
    count: Count,
    /// The index that each has now which had this one when the bytes before were written.
    now: [u16; INDEXES],
}

/// More than a head has entries.
const INDEXES: usize = 1 << COUNT_BITS;

/// How many there are, and how many bits tell them and "new" apart.
#[derive(Clone, Copy, Default)]
struct Count(u16, u8);

impl Count {
    #[inline(always)]
    fn add_one(&mut self) {
        self.0 += 1;
        // At most 9: a head has at most 400 entries.
        self.1 = index_bits(usize::from(self.0) + 1) as u8;
    }
}

impl Default for Numbered {
    fn default() -> Self {
        Self {
            count: Count::default(),
            now: [0; INDEXES],
        }
    }
}

impl Numbered {
    /// Writes which one it is; the index and its bits.
    pub(super) fn put_known(&self, bits: &mut BitWriter<'_>, index: u16) -> (u16, u8) {
        bits.put(u64::from(index), u32::from(self.count.1));
        (index, self.count.1)
    }

    /// Writes that one is new, and which; the index and its bits.
    pub(super) fn put_new(&mut self, bits: &mut BitWriter<'_>, fingerprint: u32) -> (u16, u8) {
        let Count(index, width) = self.count;
        let count = u32::from(width);
        bits.put(u64::from(index) | u64::from(fingerprint) << count, count + 32);
        self.count.add_one();
        (index, width)
    }

    /// The index and its bits now of what had another one when the bytes before were written.
    #[inline(always)]
    pub(super) fn number_again(&mut self, was: u16, is_new: bool) -> (u16, u8) {
        let (now, Count(next, width)) = (&mut self.now[usize::from(was) % INDEXES], self.count);
        if is_new {
            *now = next;
            self.count.add_one();
        }
        (*now, width)
    }

    /// Takes note of an index that was another one when the bytes before were written.
    pub(super) fn renumber(&mut self, was: u16, now: u16) {
        self.now[usize::from(was) % INDEXES] = now;
    }
}
