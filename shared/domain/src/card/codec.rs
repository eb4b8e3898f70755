//! A card's state as bytes, format versions 1 to 3.
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
//!         version 3: has_references:1  [as in version 2]  has_newest:1  [upper half of the newest arrival's fingerprint:32]
//!
//! entry   ┌──────────┬─────────────┬────────┬───────┬──────────┬───────┬────────┬──────────┬───────┐
//!         │ time     │ event_fp:32 │ amount │ score │ merchant │ place │ device │ approved │ plain │ [rare parts]
//!         │ S25      │             │ S13    │ S6    │          │       │        │ :1       │ :1    │ if not plain
//!         └──────────┴─────────────┴────────┴───────┴──────────┴───────┴────────┴──────────┴───────┘
//!   time      ms since the entry before (the first: since the floor; without a floor its time itself, Z42)
//!   merchant  index among the merchants so far, in as few bits as tell them and "new" apart; new: fingerprint:32
//!   place     0 none │ 1 there is one: where the merchant was seen at a place before, 1 bit: 1 the same as then;
//!             else latitude and longitude as differences to the place spelt last, zigzag, S14 each
//!   device    0 none │ 1 then an index like the merchant's
//!   plain     1 when all of this holds: seq is one more than in the entry before, country is the merchant's last (a new
//!             merchant: the entry before's), decision is pass, tier, missing, policy and profile version are those of
//!             the entry before, and there are no reasons, no label, no features
//!
//! rare    flags:8 (version 2: 9, version 3: 10), then for each set flag from the lowest on
//!   1   seq − expected:Z4                     16  profile:  0 │ 1 version:N16
//!   2   country: 2 letters of 5 bits          32  reasons:  count:3, each kind:6 window:16 share:7
//!   4   decision:2 tier:2 missing:8*          64  label:    verdict − 1:1, known since − time:Z30
//!   8   policy version:N4                    128  features: index among the lists so far, like the merchant's; new: count:8,
//!                                                 each kind:6 window:16; then a value each: 00 none │ 01 whole N8 │ 10 f64:64
//!   256  version 2: errors, like features
//!   512  version 3: upper half of the event's fingerprint:32, but for the newest arrival's, which the header has
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
//! segments, errors of feature values. Version 3 is written where version 2 has none: upper halves of fingerprints. All are read
//! for ever: a golden file of every kind of state proves it.
//!
//! A state has one spelling, and nothing else is read: a flag of a rare part is set only where the part says something, what
//! has an index is not spelt, a place that is known is not spelt again, a value is whole where it can be.

mod decode;
mod encode;
mod segments;

use crate::card::{CardState, Entry};
use crate::event::{Country, Place};
use crate::feature::{FeatureKey, FeatureKind};
use crate::outcome::{Missing, REASONS_MAX, SCORE_MAX, Tier};
use crate::policy::Policy;

use super::bits::Width;

pub(super) use segments::{REF_BYTES_MAX, decode_segment, encode_segment};

/// The most entries that a state may hold, in every version.
pub const ENTRIES_MAX: usize = 400;
/// The most features that an outcome in a state may hold.
pub const FEATURES_MAX: usize = 255;
/// Nothing longer is decoded, bytes: what a DynamoDB item can hold.
pub const DECODE_BYTES_MAX: usize = 400 * 1024;
/// What a state takes besides its entries at most, bytes: 565 bits and the version.
pub(super) const HEADER_BYTES_MAX: usize = 72;
/// What an entry without reasons and features takes at most, bytes: the drawing's fields, each at its longest, are 962
/// bits (`Nw` takes 128 − w at most).
const PLAIN_BYTES_MAX: usize = 121;
/// 29 bits and their share of the count.
const REASON_BYTES_MAX: usize = 4;
/// 22 bits for the key, 66 for the value.
const FEATURE_BYTES_MAX: usize = 11;

/// What any entry takes at most, bytes.
pub(super) const ENTRY_BYTES_MAX: usize =
    PLAIN_BYTES_MAX + REASON_BYTES_MAX * REASONS_MAX + 2 * FEATURE_BYTES_MAX * FEATURES_MAX;

const COUNT_BITS: u32 = 9;
const REFS_BITS: u32 = 8;
const DROPPED_WIDTH: u32 = 4;
const INSTANT_WIDTH: u32 = 42;
const TRUNCATED_WIDTH: u32 = 8;
const TRUNCATED_SPAN_WIDTH: u32 = 32;
const SEQ_WIDTH: u32 = 4;
const POLICY_WIDTH: u32 = 4;
const PROFILE_WIDTH: u32 = 16;
const KNOWN_SINCE_WIDTH: u32 = 30;
const KIND_BITS: u32 = 6;
const WINDOW_BITS: u32 = 16;
const SHARE_BITS: u32 = 7;
const WHOLE_WIDTH: u32 = 8;
/// A whole feature value below this is written as a number, any other as 64 bits.
const WHOLE_MAX: f64 = 4_294_967_296.0;

/// Flags of an entry's rare parts.
mod part {
    pub(super) const SEQ: u16 = 1;
    pub(super) const COUNTRY: u16 = 2;
    pub(super) const DECISION: u16 = 4;
    pub(super) const POLICY: u16 = 8;
    pub(super) const PROFILE: u16 = 16;
    pub(super) const REASONS: u16 = 32;
    pub(super) const LABEL: u16 = 64;
    pub(super) const FEATURES: u16 = 128;
    /// From version 2 on.
    pub(super) const APPROXIMATE: u16 = 256;
    /// From version 3 on.
    pub(super) const IDENTITY: u16 = 512;
}

/// The formats of a state. Which one a state has follows from what it holds: the same state has the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A head alone.
    V1,
    /// There are references to sealed segments, or an outcome states an error.
    V2,
    /// An entry has its whole fingerprint.
    V3,
}

impl Format {
    fn of(state: &CardState) -> Self {
        let of_entries = Self::of_entries(&state.entries);
        if of_entries == Self::V1 && !state.sealed.is_empty() {
            Self::V2
        } else {
            of_entries
        }
    }

    fn of_entries(entries: &[Entry]) -> Self {
        let mut format = Self::V1;
        for entry in entries {
            if entry.event_fp_high.is_some() {
                return Self::V3;
            }
            if !entry.outcome.approximate.is_empty() {
                format = Self::V2;
            }
        }
        format
    }

    const fn of_version(version: u8) -> Option<Self> {
        match version {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }

    const fn version(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// Flags of an entry's rare parts.
    const fn part_bits(self) -> u32 {
        match self {
            Self::V1 => 8,
            Self::V2 => 9,
            Self::V3 => 10,
        }
    }
}

const _: () = assert!(Policy::HEAD_EVENTS_LIMIT <= ENTRIES_MAX && ENTRIES_MAX < 1 << COUNT_BITS);
const _: () = assert!((FeatureKind::ForeignToProfile as u8) < 1 << KIND_BITS);

/// Why bytes are not a card's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is not even a version.
    #[error("no bytes")]
    Empty,
    /// A format that this build does not know.
    #[error("format version {0} is not known")]
    UnknownVersion(u8),
    /// More than a state can ever take.
    #[error("more than {DECODE_BYTES_MAX} bytes")]
    TooLong,
    /// The bytes end within a field.
    #[error("the bytes end too early")]
    Truncated,
    /// Something follows the last entry.
    #[error("bytes follow the last entry")]
    Trailing,
    /// A number does not fit its type.
    #[error("a number is out of its type's range")]
    NumberRange,
    /// A numbered value that this build does not know.
    #[error("{what} has no number {number}")]
    UnknownNumber {
        /// Which type.
        what: &'static str,
        /// The number.
        number: u64,
    },
    /// The fields are readable, but no card can be in this state.
    #[error("{0}")]
    Invalid(#[from] InvalidState),
}

/// Why a state can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidState {
    /// More than [`ENTRIES_MAX`].
    #[error("more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// Entries are not in strict order of (event time, arrival).
    #[error("entries are not in the order of event time and arrival")]
    Order,
    /// An entry's `seq` is not below the state's `next_seq`.
    #[error("an entry's number is not below the number of accepted events")]
    Seq,
    /// The floor is above the first entry, or the truncation's above the floor.
    #[error("a floor is above what it is the floor of")]
    Floor,
    /// A score over [`SCORE_MAX`].
    #[error("a score is over {SCORE_MAX}")]
    Score,
    /// A place that is not on the globe.
    #[error("a place is not on the globe")]
    Place,
    /// More than [`REASONS_MAX`] reasons, or a share over 100 %.
    #[error("more than {REASONS_MAX} reasons, or a share over 100 %")]
    Reasons,
    /// More than [`FEATURES_MAX`] features, or a value that is not a finite number.
    #[error("more than {FEATURES_MAX} features, or a value that is not finite")]
    Features,
    /// A reference or a segment that no events add up to.
    #[error("a sealed segment can't be what it is said to be")]
    Segment,
    /// The format is not the one that such a state is written in.
    #[error("the format is not that of such a state")]
    Version,
    /// The state can be, but is never written like this.
    #[error("the bytes are not those that such a state is written in")]
    Spelling,
    /// A bit in `missing` that has no name.
    #[error("an unknown input is missing")]
    Missing,
}

impl CardState {
    /// The state as bytes. A state that was built by the fold or decoded always fits its limits, so this can't fail.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// The state that the bytes stand for: the inverse of [`CardState::encode`]. A state has one spelling: bytes that would
    /// read as a state, but are not those that it is written in, are refused, since some of them have changed.
    ///
    /// Total: any bytes give a state or an error, in time and memory bounded by their length.
    ///
    /// # Errors
    /// When the bytes are not a whole and valid state of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode::decode(bytes)
    }
}

/// An upper bound of what an entry takes, bytes.
pub(super) fn entry_bytes_max(entry: &Entry) -> usize {
    let outcome = &entry.outcome;
    PLAIN_BYTES_MAX
        + REASON_BYTES_MAX * outcome.reasons.len()
        + FEATURE_BYTES_MAX * (outcome.features.len() + outcome.approximate.len())
}

/// What writer and reader both know when they come to an entry.
struct Context {
    format: Format,
    /// The newest arrival's number until it comes, and the upper half of its fingerprint, which the header has.
    newest: Option<(u64, Option<u32>)>,
    merchants: Vec<u32>,
    /// What was last seen at each merchant.
    seen: Vec<Seen>,
    devices: Vec<u32>,
    lists: Vec<Vec<FeatureKey>>,
    time: Width,
    amount: Width,
    score: Width,
    degrees: Width,
    /// The place spelt last.
    place: Place,
    /// The entry before.
    last: Last,
}

#[derive(Clone, Copy)]
struct Seen {
    country: Country,
    place: Option<Place>,
}

/// Beside the bits of `missing`: the tier is the low-risk one, which the tier's two bits, then 0, can't say.
const LOW_RISK: u8 = 128;

#[derive(Clone, Copy)]
struct Last {
    time_ms: i64,
    seq: u64,
    country: Country,
    tier: Tier,
    missing: Missing,
    policy_version: u32,
    profile_version: Option<u64>,
}

impl Context {
    /// Before the first entry. `time_ms` is the floor, if there is one.
    fn new(format: Format, entries: usize, first_seq: u64, time_ms: i64) -> Self {
        Self {
            format,
            newest: None,
            merchants: Vec::with_capacity(entries.min(32)),
            seen: Vec::with_capacity(entries.min(32)),
            devices: Vec::new(),
            lists: Vec::new(),
            time: Width::new(25),
            amount: Width::new(13),
            score: Width::new(6),
            degrees: Width::new(14),
            place: Place {
                latitude_e4: 0,
                longitude_e4: 0,
            },
            last: Last {
                time_ms,
                seq: first_seq.wrapping_sub(1),
                // No country has this code: the first entry spells its own.
                country: Country(*b"AA"),
                tier: Tier::Full,
                missing: Missing(0),
                policy_version: 1,
                profile_version: None,
            },
        }
    }

    /// Takes note of an entry that was written or read.
    #[inline(always)]
    fn learn(&mut self, entry: &Entry, merchant: usize) {
        if let Some(seen) = self.seen.get_mut(merchant) {
            seen.country = entry.country;
            seen.place = entry.place.or(seen.place);
        } else {
            self.merchants.push(entry.merchant_fp);
            self.seen.push(Seen {
                country: entry.country,
                place: entry.place,
            });
        }
        if self.is_newest(entry) {
            self.newest = None;
        }
        self.last = Last {
            time_ms: entry.time_ms,
            seq: entry.seq,
            country: entry.country,
            tier: entry.outcome.tier,
            missing: entry.outcome.missing,
            policy_version: entry.outcome.policy_version,
            profile_version: entry.outcome.profile_version,
        };
    }

    /// Whether the header has the upper half of this entry's fingerprint, if it has one.
    #[inline(always)]
    fn is_newest(&self, entry: &Entry) -> bool {
        self.newest.is_some_and(|(seq, _)| seq == entry.seq)
    }

    #[inline(always)]
    fn expected_seq(&self) -> u64 {
        self.last.seq.wrapping_add(1)
    }

    #[inline(always)]
    fn expected_country(&self, merchant: usize) -> Country {
        self.seen.get(merchant).map_or(self.last.country, |seen| seen.country)
    }

    /// Where the merchant was seen last; `None` when it is new or never was at a place.
    #[inline(always)]
    fn known_place(&self, merchant: usize) -> Option<Place> {
        self.seen.get(merchant).and_then(|seen| seen.place)
    }
}
