//! What must hold in every state.

use std::collections::BTreeSet;

use crate::event::{MCC_MAX, Place};
use crate::outcome::{KEYS_MAX, ListRead, Missing, POLICY_LISTS_MAX, REASONS_MAX, RULES_MAX, RuleHit, SCORE_MAX};

use super::entry::Entry;
use super::error::InvalidState;
use super::limits::{ENTRIES_MAX, FEATURES_MAX};
use super::sealed::{Inner, LEVEL_MAX, Node, REFS_MAX, SealedRef, Summary};
use super::sketch::Distinct;
use super::state::{History, Truncation};

const LATITUDE_E4_MAX: u32 = 900_000;
const LONGITUDE_E4_MAX: u32 = 1_800_000;
const SHARE_PCT_MAX: u8 = 100;

impl History {
    /// A state from its parts, for whoever has them from elsewhere than the fold.
    ///
    /// # Errors
    /// When no card can be in this state.
    pub fn from_parts(
        entries: Vec<Entry>,
        next_seq: u64,
        floor_ms: Option<i64>,
        truncation: Option<Truncation>,
    ) -> Result<Self, InvalidState> {
        Self::from_read((entries, false), next_seq, floor_ms, truncation)
    }

    /// The same, where it may be known that each of the entries is as an entry must be.
    pub(super) fn from_read(
        (entries, are_valid): (Vec<Entry>, bool),
        next_seq: u64,
        floor_ms: Option<i64>,
        truncation: Option<Truncation>,
    ) -> Result<Self, InvalidState> {
        let state = Self {
            entries: entries.into(),
            next_seq,
            floor_ms,
            truncation,
            ..Self::default()
        };
        state.check(are_valid)?;
        Ok(state)
    }

    fn check(&self, are_valid: bool) -> Result<(), InvalidState> {
        let Self {
            entries,
            next_seq,
            floor_ms,
            truncation,
            ..
        } = self;
        if entries.len() > ENTRIES_MAX {
            return Err(InvalidState::TooManyEntries);
        }
        if !entries.is_sorted_by(|a, b| (a.time_ms, a.seq) < (b.time_ms, b.seq)) {
            return Err(InvalidState::Order);
        }
        if (entries.len() as u64) > *next_seq || entries.iter().any(|entry| entry.seq >= *next_seq) {
            return Err(InvalidState::Seq);
        }
        let is_floor = match (floor_ms, entries.first()) {
            (Some(floor_ms), Some(first)) => *floor_ms <= first.time_ms,
            _ => true,
        };
        let is_cut = truncation.is_none_or(|cut| floor_ms.is_some_and(|floor_ms| cut.floor_ms <= floor_ms));
        if !is_floor || !is_cut {
            return Err(InvalidState::Floor);
        }
        if are_valid {
            Ok(())
        } else {
            entries.iter().try_for_each(check_entry)
        }
    }

    /// The references: in order among themselves, below the head, the higher levels first, above the floor.
    pub(super) fn check_sealed(&self) -> Result<(), InvalidState> {
        check_refs(&self.sealed)?;
        let is_level_order = self.sealed.is_sorted_by(|a, b| a.level >= b.level);
        let last = self.sealed.last().map(SealedRef::last);
        let is_below = last.is_none_or(|last| self.entries.iter().all(|entry| last <= entry.order()));
        if self.sealed.len() > REFS_MAX || !is_level_order || !is_below {
            return Err(InvalidState::Segment);
        }
        match (self.floor_ms, self.sealed.first()) {
            (Some(floor_ms), Some(first)) if first.summary.first_ms < floor_ms => Err(InvalidState::Floor),
            _ => Ok(()),
        }
    }
}

impl Node {
    /// What must hold in every segment.
    pub(super) fn check(&self) -> Result<(), InvalidState> {
        match self {
            Self::Leaf(entries) if entries.is_empty() => Err(InvalidState::Segment),
            Self::Leaf(entries) if !entries.is_sorted_by_key(Entry::order) => Err(InvalidState::Order),
            Self::Leaf(entries) => entries.iter().try_for_each(check_entry),
            Self::Inner(Inner { refs, known }) => {
                let level = refs.first().ok_or(InvalidState::Segment)?.level;
                if level >= LEVEL_MAX || refs.iter().any(|segment| segment.level != level) {
                    return Err(InvalidState::Segment);
                }
                check_refs(refs)?;
                if known.is_empty() { Ok(()) } else { known.check(refs) }
            }
        }
    }
}

fn check_refs(refs: &[SealedRef]) -> Result<(), InvalidState> {
    if !refs.is_sorted_by(|a, b| a.last() <= b.last() && a.summary.last_ms <= b.summary.first_ms) {
        return Err(InvalidState::Order);
    }
    refs.iter().try_for_each(|segment| check_summary(&segment.summary))
}

fn check_summary(summary: &Summary) -> Result<(), InvalidState> {
    let is_set = |set: &Distinct| match set {
        Distinct::Exact(kept) => kept.is_sorted_by(|a, b| a < b),
        Distinct::Sketch(_) => true,
    };
    let countries = &summary.countries.counts;
    let is_placed = summary.placed.is_none_or(|placed| is_on_globe(placed.place));
    let is_sum = summary.count > 0 && summary.declined <= summary.count && summary.device_events <= summary.count;
    let is_priced = summary.unpriced <= summary.count;
    let is_sorted = countries.is_sorted_by(|a, b| a.0 < b.0) && is_set(&summary.merchants) && is_set(&summary.devices);
    if is_placed && is_sum && is_priced && is_sorted && summary.sum >= summary.max {
        Ok(())
    } else {
        Err(InvalidState::Segment)
    }
}

/// Whether a look at a few fields tells that an entry is as it must be, as for nearly all.
#[inline(always)]
fn is_plainly_valid(entry: &Entry) -> bool {
    let outcome = &entry.outcome;
    let said = outcome.reasons.len() | outcome.features.len() | outcome.approximate.len() | outcome.keys.len();
    said | outcome.rules.len() | entry.links.len() == 0
        && outcome.lists.is_empty()
        && outcome.score <= SCORE_MAX
        && outcome.missing.0 & !(Missing::KNOWN & !Missing::OVERRIDDEN) == 0
        && entry.place.is_none_or(is_on_globe)
        && (entry.device_fp_high.is_none() || entry.device_fp.is_some())
        && entry.category.is_none_or(|category| category <= MCC_MAX)
}

/// What must hold in every entry.
pub(super) fn check_entry(entry: &Entry) -> Result<(), InvalidState> {
    if is_plainly_valid(entry) {
        return Ok(());
    }
    let outcome = &entry.outcome;
    if outcome.score > SCORE_MAX {
        return Err(InvalidState::Score);
    }
    if entry.place.is_some_and(|place| !is_on_globe(place)) {
        return Err(InvalidState::Place);
    }
    let is_overridden = outcome.missing.0 & Missing::OVERRIDDEN != 0;
    if outcome.missing.0 & !Missing::KNOWN != 0 || (is_overridden && outcome.override_action().is_none()) {
        return Err(InvalidState::Missing);
    }
    let is_share = |share_pct: u8| share_pct <= SHARE_PCT_MAX;
    if outcome.reasons.len() > REASONS_MAX || !outcome.reasons.iter().all(|reason| is_share(reason.share_pct)) {
        return Err(InvalidState::Reasons);
    }
    let is_value = |value: Option<f64>| value.is_none_or(f64::is_finite);
    if outcome.features.len() > FEATURES_MAX || !outcome.features.iter().all(|(_, value)| is_value(*value)) {
        return Err(InvalidState::Features);
    }
    let is_known = |version: Option<u64>| version != Some(0);
    let is_half = entry.device_fp_high.is_some() && entry.device_fp.is_none();
    if is_half || outcome.keys.len() > KEYS_MAX || !outcome.keys.iter().all(|key| is_known(key.version)) {
        return Err(InvalidState::Keys);
    }
    if entry.links.len() > KEYS_MAX || !entry.links.is_sorted_by(|(one, _), (other, _)| one < other) {
        return Err(InvalidState::Links);
    }
    if outcome.rules.len() > RULES_MAX || !is_named_once(&outcome.rules) {
        return Err(InvalidState::Rules);
    }
    let lists = outcome.lists.all();
    let is_named_twice = |(at, list): (usize, &ListRead)| lists[..at].iter().any(|other| other.name == list.name);
    if lists.len() > POLICY_LISTS_MAX || lists.iter().enumerate().any(is_named_twice) {
        return Err(InvalidState::Lists);
    }
    if entry.category.is_some_and(|category| category > MCC_MAX) {
        return Err(InvalidState::Category);
    }
    let is_error = |error: f64| error.is_finite() && error > 0.0;
    if outcome.approximate.len() > FEATURES_MAX || !outcome.approximate.iter().all(|(_, error)| is_error(*error)) {
        return Err(InvalidState::Features);
    }
    Ok(())
}

/// Whether no two rules have one name.
fn is_named_once(rules: &[RuleHit]) -> bool {
    let name = |hit: &RuleHit| hit.says.name().to_owned();
    rules.len() < 2 || rules.iter().map(name).collect::<BTreeSet<_>>().len() == rules.len()
}

pub(super) const fn is_on_globe(place: Place) -> bool {
    place.latitude_e4.unsigned_abs() <= LATITUDE_E4_MAX && place.longitude_e4.unsigned_abs() <= LONGITUDE_E4_MAX
}
