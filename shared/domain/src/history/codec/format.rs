//! The formats of a state, the widths of their fields, and what writer and reader both know when they come to an entry.

use std::sync::Arc;

use crate::catalogue::{FeatureKey, FeatureKind, KeyName};
use crate::event::{Country, Place};
use crate::history::bits::Width;
use crate::history::entry::Entry;
use crate::history::limits::{ENTRIES_MAX, HEAD_EVENTS_LIMIT};
use crate::history::spelt::Spelt;
use crate::history::state::History;
use crate::outcome::{
    ListReads, Missing, POLICY_LISTS_MAX, RULE_NAME_BYTES_MAX, RULE_REASON_BYTES_MAX, RULES_MAX, RuleSays, Tier,
};
use crate::trees::TreeModelKey;

use super::dictionary::Dictionary;

pub(super) const COUNT_BITS: u32 = 9;
pub(super) const REFS_BITS: u32 = 8;
pub(super) const DROPPED_WIDTH: u32 = 4;
pub(super) const INSTANT_WIDTH: u32 = 42;
pub(super) const TRUNCATED_WIDTH: u32 = 8;
pub(super) const TRUNCATED_SPAN_WIDTH: u32 = 32;
pub(super) const SEQ_WIDTH: u32 = 4;
pub(super) const POLICY_WIDTH: u32 = 4;
pub(super) const PROFILE_WIDTH: u32 = 16;
pub(super) const KNOWN_SINCE_WIDTH: u32 = 30;
pub(super) const KIND_BITS: u32 = 6;
pub(super) const WINDOW_BITS: u32 = 16;
pub(super) const SHARE_BITS: u32 = 7;
/// The window of a feature that is of a key, or may be: up to 120 days.
pub(super) const LONG_WINDOW_BITS: u32 = 18;
/// The length of a key's name less 1.
pub(super) const NAME_BITS: u32 = 4;
/// A character of a key's name.
pub(super) const CHARACTER_BITS: u32 = 7;
pub(super) const KEYS_BITS: u32 = 3;
pub(super) const KEY_VERSION_WIDTH: u32 = 8;
pub(super) const WHOLE_WIDTH: u32 = 8;
pub(super) const LINKS_BITS: u32 = 3;
pub(super) const CATEGORY_BITS: u32 = 14;
pub(super) const RULES_BITS: u32 = 7;
pub(super) const RULE_END_BITS: u32 = 3;
/// The length of a rule's name less 1.
pub(super) const RULE_NAME_BITS: u32 = 5;
/// The length of a rule's reason in bytes less 1.
pub(super) const RULE_REASON_BITS: u32 = 7;
/// The number of lists less 1.
pub(super) const LISTS_BITS: u32 = 3;
/// A whole feature value below this is written as a number, any other as 64 bits.
pub(super) const WHOLE_MAX: f64 = 4_294_967_296.0;

/// Flags of an entry's rare parts.
pub(super) mod part {
    pub(in crate::history::codec) const SEQ: u32 = 1;
    pub(in crate::history::codec) const COUNTRY: u32 = 2;
    pub(in crate::history::codec) const DECISION: u32 = 4;
    pub(in crate::history::codec) const POLICY: u32 = 8;
    pub(in crate::history::codec) const PROFILE: u32 = 16;
    pub(in crate::history::codec) const REASONS: u32 = 32;
    pub(in crate::history::codec) const LABEL: u32 = 64;
    pub(in crate::history::codec) const FEATURES: u32 = 128;
    /// From version 2 on.
    pub(in crate::history::codec) const APPROXIMATE: u32 = 256;
    /// From version 3 on.
    pub(in crate::history::codec) const IDENTITY: u32 = 512;
    /// From version 4 on.
    pub(in crate::history::codec) const KEY_IDENTITIES: u32 = 1024;
    /// From version 4 on.
    pub(in crate::history::codec) const EXPLAINED: u32 = 2048;
    /// From version 4 on.
    pub(in crate::history::codec) const KEYS: u32 = 4096;
    /// From version 5 on.
    pub(in crate::history::codec) const LINKS: u32 = 8192;
    /// From version 5 on.
    pub(in crate::history::codec) const CATEGORY: u32 = 16384;
    /// From version 5 on.
    pub(in crate::history::codec) const MODEL: u32 = 32768;
    /// From version 6 on.
    pub(in crate::history::codec) const RULES: u32 = 65536;
    /// From version 7 on.
    pub(in crate::history::codec) const LISTS: u32 = 131_072;
}

/// The formats of a state. Which one a state has follows from what it holds: the same state has the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A head alone.
    V1,
    /// There are references to sealed segments, or an outcome states an error.
    V2,
    /// An entry has its whole fingerprint.
    V3,
    /// An entry has something of keys beyond the card.
    V4,
    /// An entry has links or a merchant category, or was scored by a model of trees.
    V5,
    /// A rule said something of an entry.
    V6,
    /// The policy of an entry declares lists.
    V7,
}

/// The newest format of states, which a function reads and may write.
pub const STATE_FORMAT_NEWEST: u8 = Format::V7.version();

impl Format {
    /// That of a state, given that of its entries.
    pub(super) fn of_state(state: &History, of_entries: Self) -> Self {
        if of_entries == Self::V1 && !state.sealed.is_empty() {
            Self::V2
        } else {
            of_entries
        }
    }

    pub(super) fn of_entries(entries: &[Entry]) -> Self {
        let others = entries.iter().filter(|entry| !is_of_v1(entry)).map(Self::of_entry);
        others.fold(Self::V1, |one, other| if other as u8 > one as u8 { other } else { one })
    }

    /// The same as [`Format::of_entries`]: an entry is looked at once.
    pub(super) fn of_spelt(entries: &[Entry], spelt: &mut [Spelt]) -> Self {
        let mut newest = 0;
        for (at, one) in spelt.iter_mut().enumerate() {
            if one.format == 0 {
                let entry = &entries[at];
                let of_entry = if is_of_v1(entry) {
                    Self::V1
                } else {
                    Self::of_entry(entry)
                };
                one.format = of_entry.version();
            }
            newest = one.format.max(newest);
        }
        Self::of_version(newest).unwrap_or(Self::V1)
    }

    /// The first format that has a place for all of an entry.
    pub(super) fn of_entry(entry: &Entry) -> Self {
        if is_of_v7(entry) {
            Self::V7
        } else if !entry.outcome.rules.is_empty() {
            Self::V6
        } else if is_of_v5(entry) {
            Self::V5
        } else if speaks_of_keys(entry) {
            Self::V4
        } else if entry.event_fp_high.is_some() {
            Self::V3
        } else if !entry.outcome.approximate.is_empty() {
            Self::V2
        } else {
            Self::V1
        }
    }

    /// Whether it has flags for references and for the newest arrival's fingerprint, and no more than that.
    pub(super) const fn has_flags(self) -> bool {
        matches!(self, Self::V3 | Self::V4 | Self::V5 | Self::V6 | Self::V7)
    }

    /// Whether it has a place for what an entry says of keys beyond the card.
    pub(super) const fn has_keys(self) -> bool {
        matches!(self, Self::V4 | Self::V5 | Self::V6 | Self::V7)
    }

    /// Whether it has a place for links and merchant categories.
    pub(super) const fn has_links(self) -> bool {
        matches!(self, Self::V5 | Self::V6 | Self::V7)
    }

    pub(super) const fn of_version(version: u8) -> Option<Self> {
        match version {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            4 => Some(Self::V4),
            5 => Some(Self::V5),
            6 => Some(Self::V6),
            7 => Some(Self::V7),
            _ => None,
        }
    }

    /// The format of a state whose entries are like those of a leaf of this version.
    pub(super) const fn of_leaf(version: u8) -> Self {
        match version {
            1 => Self::V2,
            2 => Self::V3,
            3 => Self::V4,
            4 => Self::V5,
            5 => Self::V6,
            _ => Self::V7,
        }
    }

    pub(super) const fn version(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
            Self::V5 => 5,
            Self::V6 => 6,
            Self::V7 => 7,
        }
    }

    /// Flags of an entry's rare parts.
    pub(super) const fn part_bits(self) -> u32 {
        match self {
            Self::V1 => 8,
            Self::V2 => 9,
            Self::V3 => 10,
            Self::V4 => 13,
            Self::V5 => 16,
            Self::V6 => 17,
            Self::V7 => 18,
        }
    }
}

/// Whether an entry has what only version 7 has a place for.
const fn is_of_v7(entry: &Entry) -> bool {
    !entry.outcome.lists.is_empty() || matches!(entry.outcome.tier, Tier::NoLists)
}

/// Whether an entry has what only version 5 has a place for.
const fn is_of_v5(entry: &Entry) -> bool {
    !entry.links.is_empty() || entry.category.is_some() || entry.outcome.model.is_some()
}

/// Whether an entry says something of keys beyond the card.
fn speaks_of_keys(entry: &Entry) -> bool {
    let outcome = &entry.outcome;
    let is_of_key = |key: &FeatureKey| key.of.is_some();
    entry.merchant_fp_high.is_some()
        || entry.device_fp_high.is_some()
        || outcome.explained
        || !outcome.keys.is_empty()
        || outcome.tier == Tier::NoKeys
        || outcome.reasons.iter().any(|reason| is_of_key(&reason.key))
        || outcome.features.iter().any(|(key, _)| is_of_key(key))
        || outcome.approximate.iter().any(|(key, _)| is_of_key(key))
}

/// Whether a look at a few fields tells that every format has a place for an entry, as for nearly all.
#[inline(always)]
fn is_of_v1(entry: &Entry) -> bool {
    let outcome = &entry.outcome;
    let lists = outcome.reasons.len() | outcome.features.len() | outcome.approximate.len() | outcome.keys.len();
    lists | entry.links.len() | outcome.rules.len() == 0
        && entry.event_fp_high.is_none()
        && entry.merchant_fp_high.is_none()
        && entry.device_fp_high.is_none()
        && entry.category.is_none()
        && outcome.model.is_none()
        && !outcome.explained
        && outcome.tier != Tier::NoKeys
        && !is_of_v7(entry)
}

/// What writer and reader both know when they come to an entry.
pub(super) struct Context {
    pub(super) format: Format,
    /// The newest arrival's number until it comes, and the upper half of its fingerprint, which the header has.
    pub(super) newest: Option<(u64, Option<u32>)>,
    /// The newest arrival's place, where the writer knows it.
    pub(super) newest_at: Option<usize>,
    pub(super) merchants: Dictionary,
    /// What was last seen at each merchant.
    pub(super) seen: Vec<Seen>,
    pub(super) devices: Dictionary,
    /// The upper half that was last seen with each device.
    pub(super) device_highs: Vec<Option<u32>>,
    pub(super) lists: Vec<Vec<FeatureKey>>,
    /// Names of keys and links so far.
    pub(super) names: Vec<KeyName>,
    /// Identities of links so far.
    pub(super) identities: Vec<u64>,
    /// The links of the entry before.
    pub(super) links: Vec<(KeyName, u64)>,
    /// Models so far.
    pub(super) models: Vec<TreeModelKey>,
    /// Words of rules so far.
    pub(super) says: Vec<Arc<RuleSays>>,
    /// Lists that outcomes were made with, so far.
    pub(super) list_reads: Vec<ListReads>,
    pub(super) degrees: Width,
    /// The place spelt last.
    pub(super) place: Place,
    /// The entry before.
    pub(super) last: Last,
}

/// What follows of a merchant and a device that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) highs: Highs,
    pub(super) category: Option<u16>,
}

impl Expected {
    pub(super) fn is_of_merchant(&self, entry: &Entry) -> bool {
        (self.highs.merchant, self.category) == (entry.merchant_fp_high, entry.category)
    }

    pub(super) fn is_of_device(&self, entry: &Entry) -> bool {
        self.highs.device == entry.device_fp_high
    }
}

/// Upper halves of an entry's fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Highs {
    pub(super) merchant: Option<u32>,
    pub(super) device: Option<u32>,
}

#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) country: Country,
    pub(super) place: Option<Place>,
    /// The upper half of its fingerprint.
    pub(super) high: Option<u32>,
    pub(super) category: Option<u16>,
}

/// Beside the bits of `missing`: the tier is the low-risk one, which the tier's two bits, then 0, can't say.
pub(super) const LOW_RISK: u8 = 128;

#[derive(Clone)]
pub(super) struct Last {
    pub(super) time_ms: i64,
    pub(super) seq: u64,
    pub(super) country: Country,
    pub(super) tier: Tier,
    pub(super) missing: Missing,
    pub(super) policy_version: u32,
    pub(super) profile_version: Option<u64>,
    pub(super) model: Option<TreeModelKey>,
    pub(super) lists: ListReads,
}

impl Context {
    /// Before the first entry. `time_ms` is the floor, if there is one.
    pub(super) fn new(format: Format, entries: usize, first_seq: u64, time_ms: i64) -> Self {
        Self {
            format,
            newest: None,
            newest_at: None,
            merchants: Dictionary::with_room(entries),
            seen: Vec::with_capacity(entries.min(32)),
            devices: Dictionary::default(),
            device_highs: Vec::new(),
            lists: Vec::new(),
            names: Vec::new(),
            identities: Vec::new(),
            links: Vec::new(),
            models: Vec::new(),
            says: Vec::new(),
            list_reads: Vec::new(),
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
                model: None,
                lists: ListReads::NONE,
            },
        }
    }

    /// What is expected of a merchant that is known; nothing of one that is new.
    pub(super) fn expected(&self, merchant: usize) -> Expected {
        let seen = self.seen.get(merchant);
        let merchant = seen.and_then(|seen| seen.high);
        Expected {
            highs: Highs { merchant, device: None },
            category: seen.and_then(|seen| seen.category),
        }
    }

    /// The upper half that is expected of a device that is known.
    pub(super) fn expected_device_high(&self, device: usize) -> Option<u32> {
        self.device_highs.get(device).copied().flatten()
    }

    /// Takes note of a device; a new one stands behind the others.
    #[inline(always)]
    pub(super) fn learn_device(&mut self, device: usize, device_fp: u32, high: Option<u32>) {
        match self.device_highs.get_mut(device) {
            Some(known) => *known = high,
            None => {
                self.devices.push(device_fp);
                self.device_highs.push(high);
            }
        }
    }

    /// Takes note of an entry that was written or read.
    pub(super) fn learn(&mut self, entry: &Entry, merchant: usize) {
        self.learn_merchant(entry, merchant);
        if self.format.has_links() {
            self.links.clone_from(&entry.links);
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
            model: entry.outcome.model,
            lists: entry.outcome.lists.clone(),
        };
    }

    /// The same for an entry without rare parts: all else is as it was in the entry before.
    #[inline(always)]
    pub(super) fn learn_plain(&mut self, entry: &Entry, merchant: usize) {
        self.learn_merchant(entry, merchant);
        self.last.time_ms = entry.time_ms;
        self.last.seq = entry.seq;
        self.last.country = entry.country;
    }

    #[inline(always)]
    fn learn_merchant(&mut self, entry: &Entry, merchant: usize) {
        if let Some(seen) = self.seen.get_mut(merchant) {
            seen.country = entry.country;
            seen.place = entry.place.or(seen.place);
            seen.high = entry.merchant_fp_high;
            seen.category = entry.category;
        } else {
            self.merchants.push(entry.merchant_fp);
            self.seen.push(Seen {
                country: entry.country,
                place: entry.place,
                high: entry.merchant_fp_high,
                category: entry.category,
            });
        }
    }

    /// Whether the header has the upper half of this entry's fingerprint, if it has one.
    #[inline(always)]
    pub(super) fn is_newest(&self, entry: &Entry) -> bool {
        self.newest.is_some_and(|(seq, _)| seq == entry.seq)
    }

    #[inline(always)]
    pub(super) fn expected_seq(&self) -> u64 {
        self.last.seq.wrapping_add(1)
    }

    #[inline(always)]
    pub(super) fn expected_country(&self, merchant: usize) -> Country {
        self.seen.get(merchant).map_or(self.last.country, |seen| seen.country)
    }

    /// Where the merchant was seen last; `None` when it is new or never was at a place.
    #[inline(always)]
    pub(super) fn known_place(&self, merchant: usize) -> Option<Place> {
        self.seen.get(merchant).and_then(|seen| seen.place)
    }
}

const _: () = assert!(HEAD_EVENTS_LIMIT <= ENTRIES_MAX && ENTRIES_MAX < 1 << COUNT_BITS);
const _: () = assert!(FeatureKind::NUMBER_MAX < 1 << KIND_BITS);
const _: () = assert!(RULES_MAX < 1 << RULES_BITS);
const _: () = assert!(POLICY_LISTS_MAX <= 1 << LISTS_BITS);
const _: () = assert!(RULE_NAME_BYTES_MAX <= 1 << RULE_NAME_BITS && RULE_REASON_BYTES_MAX <= 1 << RULE_REASON_BITS);
