//! How an entry of a head was written last: what of it can be written again as it is. No part of a history's value: a state
//! has the same bytes, whatever is known of how it was written before.

use crate::event::Place;

use super::entry::Entry;
use super::sealed::SegmentKey;

/// What is expected of elapsed times, amounts and scores: in eighths of a bit, 16 bits each, side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series(pub(crate) u64);

/// How a head was written last.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    /// Of the first entries, those that were dropped since included.
    pub(crate) entries: Vec<Spelt>,
    /// The bytes, and one more: an index may begin in the last one, and whoever changes it looks at two.
    pub(crate) bytes: Vec<u8>,
}

impl Spelling {
    /// Keeps the bytes that entries are written in.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.reserve_exact(bytes.len() + 1);
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
    }
}

/// References as they were written last: they change with a segment, not with an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpeltRefs {
    /// Of which segments: a key is its segment's hash, and a reference follows from the segment.
    pub(crate) of: Vec<SegmentKey>,
    pub(crate) bytes: Vec<u8>,
    /// How many bits of them.
    pub(crate) bits: usize,
}

impl SpeltRefs {
    /// Bytes of the references.
    pub(crate) const fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What the note takes, bytes.
    pub(crate) const fn held_bytes(&self) -> usize {
        self.bytes.len() + self.of.len() * size_of::<SegmentKey>()
    }
}

impl PartialEq for SpeltRefs {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What is known of an entry: what it has in common with those before it, and how it was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spelt {
    /// What the series were before the entry.
    pub(crate) series: Series,
    /// The lengths that they learn of it, 16 bits each.
    pub(crate) lengths: u64,
    /// Where its bits begin among those of the bytes.
    pub(crate) at: u32,
    /// How many they are.
    pub(crate) bits: u32,
    /// How its place was written, if it was spelt.
    pub(crate) moved: Option<Moved>,
    /// So many of its bits are before its merchant's index.
    pub(crate) merchant_at: u16,
    /// So many are before its device's index.
    pub(crate) device_at: u16,
    /// So many are before what follows the device.
    pub(crate) tail_at: u16,
    /// The index of its merchant, and how many bits that has.
    pub(crate) merchant: (u16, u8),
    /// The same of its device.
    pub(crate) device: (u16, u8),
    /// So many entries before it is the latest of the same merchant; 0: there is none, and was none when it was written.
    pub(crate) merchant_back: u16,
    /// The same for its device.
    pub(crate) device_back: u16,
    pub(crate) has_device: bool,
    /// Whether it and all entries before it came in the order of their times.
    pub(crate) in_order: bool,
    /// Under what circumstances its bits are what they are, but for both indexes, and while neither is lost; 0: it is not known.
    pub(crate) under: u8,
    /// The number of the first format that has a place for all of the entry; 0: it is not known.
    pub(crate) format: u8,
}

/// How a place was written that was spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The place that was spelt before.
    pub(crate) from: Place,
    /// The lengths that were expected of the two differences.
    pub(crate) expected: [u8; 2],
    /// Their lengths.
    pub(crate) lengths: [u8; 2],
}

impl Spelt {
    /// The latest entry of the same merchant, of those that are still there, given the place of this one.
    #[inline(always)]
    pub(crate) fn merchant_seen(&self, at: usize) -> Option<usize> {
        seen(self.merchant_back, at)
    }

    /// Whether the latest entry of its merchant or its device has been dropped since it was written, given its place.
    #[inline(always)]
    pub(crate) const fn has_lost(&self, at: usize) -> bool {
        self.merchant_back as usize > at || self.device_back as usize > at
    }

    /// Takes note that these are gone.
    pub(crate) fn forget_lost(&mut self, at: usize) {
        for back in [&mut self.merchant_back, &mut self.device_back] {
            if usize::from(*back) > at {
                *back = 0;
            }
        }
    }

    /// Its front has this length now.
    pub(crate) fn lengthen(&mut self, front_bits: u32) {
        let more = front_bits.wrapping_sub(u32::from(self.merchant_at));
        // A front is 384 bits at most, and what is before the tail 1,200.
        self.merchant_at = front_bits as u16;
        self.device_at = self.device_at.wrapping_add(more as u16);
        self.tail_at = self.tail_at.wrapping_add(more as u16);
        self.bits = self.bits.wrapping_add(more);
    }

    /// An index that begins at this bit has so many bits now, and had so many.
    pub(crate) fn lengthen_behind(&mut self, index_at: u16, width: u8, before: u8) {
        let more = u16::from(width).wrapping_sub(u16::from(before));
        if index_at < self.device_at {
            self.device_at = self.device_at.wrapping_add(more);
        }
        self.tail_at = self.tail_at.wrapping_add(more);
        self.bits = (self.bits + u32::from(width)) - u32::from(before);
    }

    /// The same for its device.
    #[inline(always)]
    pub(crate) fn device_seen(&self, at: usize) -> Option<usize> {
        seen(self.device_back, at)
    }
}

#[inline(always)]
fn seen(back: u16, at: usize) -> Option<usize> {
    if back == 0 { None } else { at.checked_sub(back as usize) }
}

/// Takes note of what entries have in common with those before them, from the first on of which that is not known. The first
/// `dropped` of them are of no account.
pub(crate) fn link(entries: &[Entry], dropped: usize, spelt: &mut Vec<Spelt>) {
    for at in spelt.len()..entries.len() {
        let entry = &entries[at];
        let latest = |is_it: &dyn Fn(&Entry) -> bool| (dropped..at).rev().find(|before| is_it(&entries[*before]));
        let merchant = latest(&|other| other.merchant_fp == entry.merchant_fp);
        let device = entry
            .device_fp
            .and_then(|device_fp| latest(&|other| other.device_fp == Some(device_fp)));
        let is_in_order = spelt
            .last()
            .is_none_or(|before| before.in_order && entries[at - 1].seq < entry.seq);
        // A head has fewer than 2¹⁶ entries.
        let back = |before: Option<usize>| before.map_or(0, |before| (at - before) as u16);
        spelt.push(Spelt {
            has_device: entry.device_fp.is_some(),
            in_order: is_in_order,
            merchant_back: back(merchant),
            device_back: back(device),
            ..Spelt::default()
        });
    }
}

/// What is known of how entries were written when they are to be written.
pub(crate) enum Notes<'n> {
    /// Nothing, and nobody wants to know.
    Unwanted,
    /// Nothing yet: of each entry it is put here.
    None(&'n mut Vec<Spelt>),
    /// Of each entry what is known, and the bytes in which they were, which may be changed.
    Known(&'n mut [Spelt], &'n mut [u8]),
}
