//! How much of everything.

/// Entries of one list at most.
pub const LIST_ENTRIES_MAX: usize = 1_000_000;
/// Lists of a deployment at most: one item names all of them.
pub const LISTS_MAX: usize = 32;
/// Entries of all lists that a function holds at most: 16 bytes each.
pub const LISTED_ENTRIES_MAX: usize = 2_000_000;
/// Parts of a list at most.
pub const LIST_PARTS_MAX: usize = 1 << BITS_MAX;
/// Entries of a part at most. They are spread by hashes, so that a part holds about as many as another.
pub const LIST_PART_ENTRIES_MAX: usize = 2 * PART_ENTRIES;
/// Bytes of a part or of a manifest at most: a DynamoDB item holds 400 KiB.
pub const LIST_PART_BYTES_MAX: usize = 350 * 1024;
/// The longest reason of an entry, bytes.
pub const LIST_REASON_BYTES_MAX: usize = 120;
/// The longest name of who put an entry there, bytes.
pub const LIST_WHO_BYTES_MAX: usize = 128;

/// A list is divided when its parts hold more than this on average.
const PART_ENTRIES: usize = 512;
/// And put together again when they hold less than this.
const PART_ENTRIES_MIN: usize = 128;
const BITS_MAX: u8 = 11;

/// Into how many parts (a power of two, by its exponent) so many entries are divided, which are in 2^`bits` now.
pub(super) const fn bits_for(entries: usize, bits: u8) -> u8 {
    let mut fitting = if bits > BITS_MAX { BITS_MAX } else { bits };
    while fitting < BITS_MAX && entries > PART_ENTRIES << fitting {
        fitting += 1;
    }
    while fitting > 0 && entries < PART_ENTRIES_MIN << fitting {
        fitting -= 1;
    }
    fitting
}

pub(super) const fn is_bits(bits: u8) -> bool {
    bits <= BITS_MAX
}

const _: () = assert!(LIST_ENTRIES_MAX <= PART_ENTRIES << BITS_MAX);
