//! What is usual for an entry, given those before it: only what is otherwise is written.

use crate::catalogue::KeyName;
use crate::event::Country;
use crate::history::entry::Entry;
use crate::outcome::{Decision, ListReads, Missing, Tier};
use crate::trees::TreeModelKey;

use super::format::{Context, Expected, Highs, Last, part};

/// What an entry without rare parts has.
#[derive(Clone, Copy)]
pub(super) struct Usual<'a> {
    pub(super) seq: u64,
    pub(super) country: Country,
    pub(super) tier: Tier,
    pub(super) missing: Missing,
    pub(super) policy_version: u32,
    pub(super) profile_version: Option<u64>,
    pub(super) model: Option<TreeModelKey>,
    pub(super) lists: &'a ListReads,
    pub(super) links: &'a [(KeyName, u64)],
    pub(super) expected: Expected,
    /// The header has the upper half of the entry's fingerprint, if it has one.
    pub(super) is_newest: bool,
}

impl<'a> Usual<'a> {
    /// What the first entry goes by; whatever its merchant is, it is new.
    pub(super) const fn first(last: &'a Last, expected: Expected, is_newest: bool) -> Self {
        Self {
            seq: last.seq.wrapping_add(1),
            country: last.country,
            tier: last.tier,
            missing: last.missing,
            policy_version: last.policy_version,
            profile_version: last.profile_version,
            model: last.model,
            lists: &last.lists,
            links: &[],
            expected,
            is_newest,
        }
    }

    /// What follows of the entry before, and of what is known of a merchant.
    pub(super) fn after(before: &'a Entry, country: Country, expected: Expected, is_newest: bool) -> Self {
        let outcome = &before.outcome;
        Self {
            seq: before.seq.wrapping_add(1),
            country,
            tier: outcome.tier,
            missing: outcome.missing,
            policy_version: outcome.policy_version,
            profile_version: outcome.profile_version,
            model: outcome.model,
            lists: &outcome.lists,
            links: &before.links,
            expected,
            is_newest,
        }
    }

    /// What a reader knows of an entry's surroundings.
    pub(super) fn read(context: &'a Context, merchant: usize, expected: Expected, is_newest: bool) -> Self {
        Self {
            country: context.expected_country(merchant),
            links: &context.links,
            ..Self::first(&context.last, expected, is_newest)
        }
    }
}

/// The upper halves that an entry has.
const fn highs(entry: &Entry) -> Highs {
    Highs {
        merchant: entry.merchant_fp_high,
        device: entry.device_fp_high,
    }
}

/// Which parts an entry has that are not as usual.
pub(super) fn rare_parts(usual: &Usual<'_>, entry: &Entry) -> u32 {
    let outcome = &entry.outcome;
    let flag = |part: u32, is_rare: bool| if is_rare { part } else { 0 };
    let is_usual = outcome.decision == Decision::Pass && outcome.tier == usual.tier && outcome.missing == usual.missing;
    flag(part::SEQ, entry.seq != usual.seq)
        | flag(part::COUNTRY, entry.country != usual.country)
        | flag(part::DECISION, !is_usual)
        | flag(part::POLICY, outcome.policy_version != usual.policy_version)
        | flag(part::PROFILE, outcome.profile_version != usual.profile_version)
        | flag(part::REASONS, !outcome.reasons.is_empty())
        | flag(part::LABEL, entry.label.is_some())
        | flag(part::FEATURES, !outcome.features.is_empty())
        | flag(part::APPROXIMATE, !outcome.approximate.is_empty())
        | flag(part::IDENTITY, entry.event_fp_high.is_some() && !usual.is_newest)
        | flag(part::KEY_IDENTITIES, highs(entry) != usual.expected.highs)
        | flag(part::EXPLAINED, outcome.explained)
        | flag(part::KEYS, !outcome.keys.is_empty())
        | flag(part::LINKS, entry.links != usual.links)
        | flag(part::CATEGORY, entry.category != usual.expected.category)
        | flag(part::MODEL, outcome.model != usual.model)
        | flag(part::RULES, !outcome.rules.is_empty())
        | flag(part::LISTS, outcome.lists != *usual.lists)
}

/// Whether an entry has no rare parts: [`rare_parts`] at less cost, since most entries have none.
#[inline(always)]
pub(super) fn is_plain(usual: &Usual<'_>, entry: &Entry) -> bool {
    let outcome = &entry.outcome;
    let said = outcome.reasons.len() | outcome.features.len() | outcome.approximate.len() | outcome.keys.len();
    said | outcome.rules.len() == 0
        && entry.seq == usual.seq
        && entry.country == usual.country
        && outcome.decision == Decision::Pass
        && outcome.tier == usual.tier
        && outcome.missing == usual.missing
        && outcome.policy_version == usual.policy_version
        && outcome.profile_version == usual.profile_version
        && outcome.model == usual.model
        && !outcome.explained
        && entry.label.is_none()
        && (entry.event_fp_high.is_none() || usual.is_newest)
        && highs(entry) == usual.expected.highs
        && entry.category == usual.expected.category
        && entry.links == usual.links
        && outcome.lists == *usual.lists
}

/// Whether parts are written in the same way whatever entries said before.
pub(super) fn stand_alone(parts: u32, entry: &Entry) -> bool {
    const LOOKED_UP: u32 =
        part::FEATURES | part::APPROXIMATE | part::KEYS | part::LINKS | part::MODEL | part::RULES | part::LISTS;
    parts & LOOKED_UP == 0 && entry.outcome.reasons.iter().all(|reason| reason.key.of.is_none())
}
