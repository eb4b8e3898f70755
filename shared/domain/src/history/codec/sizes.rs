//! What a state and its entries take at most, in any format: what a head is sealed by.

use crate::history::entry::Entry;
use crate::history::limits::FEATURES_MAX;
use crate::outcome::{KEYS_MAX, POLICY_LISTS_MAX, REASONS_MAX, RULE_NAME_BYTES_MAX, RULE_REASON_BYTES_MAX, RULES_MAX};

use super::format::Format;

/// What a state takes besides its entries at most, bytes: 565 bits and the version.
pub(in crate::history) const HEADER_BYTES_MAX: usize = 72;
/// What an entry without reasons and features takes at most, bytes: the drawing's fields, each at its longest, are 962
/// bits (`Nw` takes 128 − w at most) up to version 3.
const PLAIN_BYTES_MAX: usize = 121;
/// What version 4 adds to it: a longer tier, three flags and four upper halves with theirs, 137 bits.
const PLAIN_BYTES_MORE: usize = 18;
/// The name of a key at its longest: an index, a length and 16 characters.
const NAME_BYTES_MAX: usize = 18;
/// 29 bits and their share of the count.
const REASON_BYTES_MAX: usize = 4;
/// 22 bits for the key, 66 for the value.
const FEATURE_BYTES_MAX: usize = 11;
/// What the feature of a key takes more: a longer window and a name.
const OF_KEY_BYTES_MAX: usize = 1 + NAME_BYTES_MAX;
/// A name and its version.
const KEY_BYTES_MAX: usize = NAME_BYTES_MAX + 16;
/// What version 5 adds to an entry: two flags, the number of links, the category.
const PLAIN_BYTES_OF_V5: usize = 3;
/// A link's name and its identity, an index or 64 bits.
const LINK_BYTES_MAX: usize = NAME_BYTES_MAX + 10;
/// What version 5 adds: a flag, whether there is a model, its index (9 bits) and its name, 75 bits.
const MODEL_BYTES_MAX: usize = 10;
/// What version 6 adds: a flag and the number of rules.
const PLAIN_BYTES_OF_V6: usize = 1;
/// A rule's index (15 bits), its end, and its words: two lengths, a name of 7 bits a character, and a reason.
const RULE_BYTES_MAX: usize = 5 + (RULE_NAME_BYTES_MAX * 7).div_ceil(8) + RULE_REASON_BYTES_MAX;

/// What version 7 adds: a flag, whether there are lists, their index (9 bits) and their number.
const PLAIN_BYTES_OF_V7: usize = 2;
/// A list's name, a flag, and its version.
const LIST_BYTES_MAX: usize = NAME_BYTES_MAX + 9;

/// What any entry takes at most, bytes.
pub(in crate::history) const ENTRY_BYTES_MAX: usize = PLAIN_BYTES_MAX
    + PLAIN_BYTES_MORE
    + MODEL_BYTES_MAX
    + (REASON_BYTES_MAX + OF_KEY_BYTES_MAX) * REASONS_MAX
    + 2 * (FEATURE_BYTES_MAX + OF_KEY_BYTES_MAX) * FEATURES_MAX
    + KEY_BYTES_MAX * KEYS_MAX
    + PLAIN_BYTES_OF_V5
    + LINK_BYTES_MAX * KEYS_MAX
    + PLAIN_BYTES_OF_V6
    + RULE_BYTES_MAX * RULES_MAX
    + PLAIN_BYTES_OF_V7
    + LIST_BYTES_MAX * POLICY_LISTS_MAX;

/// An upper bound of what an entry takes, bytes.
pub(in crate::history) fn entry_bytes_max(entry: &Entry) -> usize {
    let outcome = &entry.outcome;
    let of_entry = PLAIN_BYTES_MAX
        + REASON_BYTES_MAX * outcome.reasons.len()
        + FEATURE_BYTES_MAX * (outcome.features.len() + outcome.approximate.len());
    if !Format::of_entry(entry).has_keys() {
        return of_entry;
    }
    let reasons = outcome.reasons.iter().map(|reason| reason.key);
    let features = outcome.features.iter().map(|(key, _)| *key);
    let errors = outcome.approximate.iter().map(|(key, _)| *key);
    let of_keys = reasons.chain(features).chain(errors).filter(|key| key.of.is_some());
    of_entry
        + PLAIN_BYTES_MORE
        + PLAIN_BYTES_OF_V5
        + MODEL_BYTES_MAX
        + OF_KEY_BYTES_MAX * of_keys.count()
        + KEY_BYTES_MAX * outcome.keys.len()
        + LINK_BYTES_MAX * entry.links.len()
        + PLAIN_BYTES_OF_V6
        + RULE_BYTES_MAX * outcome.rules.len()
        + PLAIN_BYTES_OF_V7
        + LIST_BYTES_MAX * outcome.lists.all().len()
}

/// What an entry without features, links, rules and lists takes, bytes, where it takes much: a merchant and a device of its own, some reasons.
const PLAIN_BYTES_ROUGH: usize = 20;
/// A feature's key, of which most are known from the entry before, and its value.
const FEATURE_BYTES_ROUGH: usize = 9;
/// A key's name as an index, and its version.
const KEY_BYTES_ROUGH: usize = 5;

/// What of some entries their bytes depend on most.
#[derive(Default)]
struct Numbers {
    features: usize,
    links: usize,
    rules: usize,
    lists: usize,
    keys: usize,
}

impl Numbers {
    fn of(entries: &[Entry]) -> Self {
        let mut sums = Self::default();
        for entry in entries {
            sums.features += entry.outcome.features.len() + entry.outcome.approximate.len();
            sums.links += entry.links.len();
            sums.rules += entry.outcome.rules.len();
            sums.lists += entry.outcome.lists.all().len();
            sums.keys += entry.outcome.keys.len();
        }
        sums
    }
}

/// An upper bound of what some entries take, bytes, from the numbers of their features, links, rules and lists alone: rougher than the sum of
/// [`entry_bytes_max`], and had much faster.
pub(in crate::history) fn entries_bytes_max(entries: &[Entry]) -> usize {
    const WITHOUT_FEATURES: usize = PLAIN_BYTES_MAX
        + PLAIN_BYTES_MORE
        + MODEL_BYTES_MAX
        + (REASON_BYTES_MAX + OF_KEY_BYTES_MAX) * REASONS_MAX
        + KEY_BYTES_MAX * KEYS_MAX
        + PLAIN_BYTES_OF_V5
        + PLAIN_BYTES_OF_V6
        + PLAIN_BYTES_OF_V7;
    let sums = Numbers::of(entries);
    WITHOUT_FEATURES * entries.len()
        + (FEATURE_BYTES_MAX + OF_KEY_BYTES_MAX) * sums.features
        + LINK_BYTES_MAX * sums.links
        + RULE_BYTES_MAX * sums.rules
        + LIST_BYTES_MAX * sums.lists
}

/// About what some entries take, bytes: rather too much than too little, for entries as they usually are.
pub(in crate::history) fn entries_bytes_rough(entries: &[Entry]) -> usize {
    let sums = Numbers::of(entries);
    PLAIN_BYTES_ROUGH * entries.len()
        + FEATURE_BYTES_ROUGH * sums.features
        + KEY_BYTES_ROUGH * sums.keys
        + LINK_BYTES_MAX * sums.links
        + RULE_BYTES_MAX * sums.rules
        + LIST_BYTES_MAX * sums.lists
}
