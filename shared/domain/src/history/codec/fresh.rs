//! Writes entries of which nothing is known. The order of the fields is the drawing's at the head of the module above.

use crate::history::bits::{BitWriter, index_bits};
use crate::history::entry::Entry;
use crate::history::spelt::{Series, Spelt};

use super::encode::{is_place_sure, put_place, under};
use super::fields::put_index;
use super::format::{Context, Expected};
use super::front::put_front;
use super::parts::{put_category, put_high, put_parts};
use super::usual::{Usual, is_plain, rare_parts, stand_alone};

/// Writes entries; the first one's time stands against the context's if that says something.
pub(super) fn put_entries<'b>(
    bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    has_floor: bool,
) -> BitWriter<'b> {
    let mut unwanted = Vec::new();
    if context.format.has_keys() {
        put_entries_of::<true, false>(bits, context, entries, &mut unwanted, has_floor)
    } else {
        put_entries_of::<false, false>(bits, context, entries, &mut unwanted, has_floor)
    }
}

/// The same, and takes note of how.
pub(super) fn put_noted<'b>(
    bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    spelt: &mut Vec<Spelt>,
    has_floor: bool,
) -> BitWriter<'b> {
    if context.format.has_keys() {
        put_entries_of::<true, true>(bits, context, entries, spelt, has_floor)
    } else {
        put_entries_of::<false, true>(bits, context, entries, spelt, has_floor)
    }
}

/// `KEYS` says whether the format has a place for keys beyond the card: without it nothing of them is looked at. `NOTES` says whether
/// `spelt` gets an item for each entry.
fn put_entries_of<'b, const KEYS: bool, const NOTES: bool>(
    mut bits: BitWriter<'b>,
    context: &mut Context,
    entries: &[Entry],
    spelt: &mut Vec<Spelt>,
    has_floor: bool,
) -> BitWriter<'b> {
    let mut series = Series::START;
    let mut latest = Latest::default();
    for (at, entry) in entries.iter().enumerate() {
        let begin = bits.position();
        let mut one = Spelt::default();
        let before_ms = (at > 0 || has_floor).then_some(context.last.time_ms);
        bits = put_front(bits, before_ms, entry, &mut one, &mut series);
        let merchant_at = bits.position() - begin;
        let (merchants, devices) = (context.merchants.len(), context.devices.len());
        let merchant = put_index(&mut bits, &context.merchants, entry.merchant_fp);
        let mut expected = Expected::default();
        if KEYS {
            expected = context.expected(merchant);
            if merchant == merchants {
                put_high(&mut bits, entry.merchant_fp_high);
                expected.highs.merchant = entry.merchant_fp_high;
                if context.format.has_links() {
                    put_category(&mut bits, entry.category);
                    expected.category = entry.category;
                }
            }
        }
        let known_place = context.known_place(merchant);
        let moved = put_place(&mut bits, context, entry.place, known_place);
        bits.flag(entry.device_fp.is_some());
        let device_at = bits.position() - begin;
        let mut device = devices;
        if let Some(device_fp) = entry.device_fp {
            device = put_index(&mut bits, &context.devices, device_fp);
            if KEYS {
                expected.highs.device = context.expected_device_high(device);
                if device == devices {
                    put_high(&mut bits, entry.device_fp_high);
                    expected.highs.device = entry.device_fp_high;
                }
            }
            context.learn_device(device, device_fp, entry.device_fp_high);
        }
        let tail_at = bits.position() - begin;
        let usual = Usual::read(context, merchant, expected, context.newest_at == Some(at));
        let mut stands_alone = true;
        if is_plain(&usual, entry) {
            debug_assert_eq!(rare_parts(&usual, entry), 0, "a plain entry has no rare parts");
            bits.put(u64::from(entry.approved) | 0b10, 2);
            context.learn_plain(entry, merchant);
        } else {
            let (parts, seq) = (rare_parts(&usual, entry), usual.seq);
            bits.put(u64::from(entry.approved), 2);
            bits = put_parts(bits, context, entry, (parts, seq));
            context.learn(entry, merchant);
            stands_alone = stand_alone(parts, entry);
        }
        if NOTES {
            let (merchant_before, device_before) = latest.replace(at, (merchant, entry.device_fp.map(|_| device)));
            let is_sure = stands_alone && is_place_sure(entries, at, merchant_before);
            // A head has fewer than 2⁹ entries, its bytes are fewer than 2²⁹ bits, and what is before a tail fewer than 2¹¹.
            spelt.push(Spelt {
                at: begin as u32,
                bits: (bits.position() - begin) as u32,
                moved,
                merchant_at: merchant_at as u16,
                device_at: device_at as u16,
                tail_at: tail_at as u16,
                merchant: (merchant as u16, index_bits(merchants + 1) as u8),
                device: (device as u16, index_bits(devices + 1) as u8),
                merchant_back: merchant_before.map_or(0, |before| (at - before) as u16),
                device_back: device_before.map_or(0, |before| (at - before) as u16),
                has_device: entry.device_fp.is_some(),
                in_order: at == 0
                    || entries[at - 1].seq < entry.seq && spelt.last().is_some_and(|before| before.in_order),
                under: if is_sure {
                    under(context.format, context.newest_at == Some(at))
                } else {
                    0
                },
                ..one
            });
        }
    }
    bits
}

/// Where each merchant and each device was last, by their indexes.
#[derive(Default)]
pub(super) struct Latest {
    merchants: Vec<u16>,
    devices: Vec<u16>,
}

impl Latest {
    /// Where a merchant and a device were before; now they are here.
    pub(super) fn replace(
        &mut self,
        at: usize,
        (merchant, device): (usize, Option<usize>),
    ) -> (Option<usize>, Option<usize>) {
        let replace = |latest: &mut Vec<u16>, index: usize| match latest.get_mut(index) {
            // A head has fewer than 2⁹ entries.
            Some(latest) => Some(usize::from(std::mem::replace(latest, at as u16))),
            None => {
                latest.push(at as u16);
                None
            }
        };
        let merchant = replace(&mut self.merchants, merchant);
        (merchant, device.and_then(|device| replace(&mut self.devices, device)))
    }
}
