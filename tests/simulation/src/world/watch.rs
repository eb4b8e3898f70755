//! What the simulator itself sees of every write: which events a card accepted, in which order, by whom; and what must hold
//! between a state and the one that takes its place (I5).

use std::collections::{BTreeMap, BTreeSet};

use tidemark_domain::control::{Mode, OverrideAction};
use tidemark_domain::history::{Entry, History};
use tidemark_engine::port::{Commit, StateItem, StateWrite};

use super::limits::{Limit, write_units};
use super::stores::Stores;
use super::tables::Versions;

/// By what a batch was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The policy in force.
    pub policy_version: u32,
    /// The revision of the overrides.
    pub overrides_revision: u64,
    /// The mode.
    pub mode: Mode,
}

/// An event that a card accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What the card keeps of it, without its label.
    pub entry: Entry,
    /// By what its batch was judged.
    pub judged: Judged,
}

/// A card's history, from its first write until the store drops it.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Its events in the order of their numbers.
    pub accepted: Vec<Accepted>,
    /// Its last bytes, once the store has dropped it.
    pub ended: Option<Vec<u8>>,
    /// The newest state, decoded, with every segment.
    pub last: Option<History>,
}

/// An override as an operator made it.
#[derive(Clone, Debug)]
pub struct Decided {
    /// For which card.
    pub card_id: String,
    /// What it does to the card's decisions.
    pub action: OverrideAction,
    /// The revision since which it is there.
    pub revision: u64,
    /// When it was made, ms since 1970-01-01T00:00:00Z.
    pub since_ms: i64,
    /// It holds for events that arrive before this, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// The revision since which it is no longer there, because somebody cleared it or set another.
    pub ended: Option<u64>,
}

/// The simulator's knowledge beside the accepted events.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What broke the rules of the store while it ran: lost updates, versions out of step.
    pub broken: Vec<String>,
    /// Writes that the condition refused.
    pub conflicts: u64,
    /// States that the store dropped.
    pub dropped: u64,
    /// When items were restored, ms since 1970-01-01T00:00:00Z.
    pub restored_ms: Option<i64>,
    /// Cards whose item was restored to an earlier one.
    pub restored: BTreeSet<String>,
    /// Events that a restore took back, by card: event time and fingerprint. They may be scored twice, with other outcomes.
    pub rolled_back: BTreeMap<String, BTreeSet<(i64, u32)>>,
    /// What operators decided for cards.
    pub decided: Vec<Decided>,
    /// From when to when the mode was `paused`, ms since 1970-01-01T00:00:00Z.
    pub pauses: Vec<(i64, i64)>,
    /// Whether refused payloads were redriven.
    pub quarantine_redriven: bool,
}

impl Stores {
    /// Writes a card's state under its condition.
    pub(crate) fn commit(
        &mut self,
        write: &StateWrite,
        judged: Judged,
    ) -> Result<Commit, tidemark_engine::port::PortError> {
        let card = self.card_key(write.card_id.as_str());
        self.units(Limit::WriteUnits, &[(&card, write_units(write.item.bytes.len()))])?;
        self.expire_state(&card);
        let before = self.tables.states.get(&card).map(|versions| versions.now.clone());
        if !self.fits(before.as_ref(), write) {
            self.known.conflicts += 1;
            return Ok(Commit::Conflict(before));
        }
        self.watch(&card, before.as_ref(), &write.item, judged);
        let versions = Versions {
            now: write.item.clone(),
            before,
            written_ms: self.now_ms,
            expires_at_s: write.expires_at_s,
        };
        self.tables.states.insert(card, versions);
        Ok(Commit::Written)
    }

    /// Whether the condition of a write holds.
    fn fits(&self, before: Option<&StateItem>, write: &StateWrite) -> bool {
        let read = before.map(|item| item.version);
        let same_number = read.map(|read| read.number) == write.expected.map(|read| read.number);
        self.rules.ignores_conditions || read == write.expected || (self.rules.ignores_tags && same_number)
    }

    /// What must hold between a state and the one that takes its place (I5): the next version, and nothing forgotten but
    /// what is older than everything that is kept. Notes what was accepted.
    fn watch(&mut self, card: &str, before: Option<&StateItem>, now: &StateItem, judged: Judged) {
        let (number, next) = (now.version.number, before.map_or(1, |item| item.version.number + 1));
        if number != next {
            let words = format!("I5: card {card}: version {number} after {}", next - 1);
            self.known.broken.push(words);
        }
        let lives = self.tables.lives.entry(card.to_owned()).or_default();
        let is_new = lives.last().is_none_or(|life| life.ended.is_some());
        if is_new || before.is_none() {
            lives.push(Life::default());
        }
        let old = lives.last_mut().and_then(|life| life.last.take());
        // With its segments: a state never names one that is not there yet.
        let Some(new) = self.tables.whole(card, &now.bytes, old.as_ref()) else {
            let words =
                format!("I2: card {card}: version {number} can't be decoded, or names a segment that is not there");
            self.known.broken.push(words);
            return;
        };
        let old = old
            .or_else(|| self.tables.whole(card, &before?.bytes, None))
            .unwrap_or_default();
        if new.next_seq() < old.next_seq() {
            let words = format!("I5: card {card}: {} events after {}", new.next_seq(), old.next_seq());
            self.known.broken.push(words);
        }
        if let Some(lost) = first_lost(&old, &new) {
            let words = format!("I5: card {card}: version {number} lost event {lost}");
            self.known.broken.push(words);
        }
        let mut accepted: Vec<Accepted> = new
            .all_entries()
            .into_iter()
            .filter(|entry| entry.seq >= old.next_seq())
            .map(|entry| Accepted {
                entry: entry.clone(),
                judged,
            })
            .collect();
        accepted.sort_by_key(|accepted| accepted.entry.seq);
        if let Some(life) = self.tables.lives.get_mut(card).and_then(|lives| lives.last_mut()) {
            life.accepted.extend(accepted);
            life.last = Some(new);
        }
    }
}

/// The number of an event that one state has and the next one neither has nor dropped for its age.
fn first_lost(old: &History, new: &History) -> Option<u64> {
    let key = |entry: &Entry| (entry.time_ms, entry.seq);
    let kept = new.all_entries();
    let mut kept = kept.iter().peekable();
    for entry in old.all_entries() {
        while kept.next_if(|other| key(other) < key(entry)).is_some() {}
        let is_kept = kept.peek().is_some_and(|other| key(other) == key(entry));
        if !is_kept && new.floor_ms().is_none_or(|floor_ms| entry.time_ms > floor_ms) {
            return Some(entry.seq);
        }
    }
    None
}
