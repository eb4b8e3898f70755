//! What the simulator itself sees of every write: what must hold between a state and the one that takes its place (I5).

use tidemark_domain::history::{Entry, History};
use tidemark_domain::invariant::Invariant;
use tidemark_engine::port::{Commit, StateItem, StateWrite};

use super::known::{Accepted, Judged, Life};
use super::limits::{Limit, write_units};
use super::stores::Stores;
use super::tables::Versions;

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
            let words = format!("card {card}: version {number} after {}", next - 1);
            self.known.broken.push((Invariant::OnlyOnVersionRead, words));
        }
        let lives = self.tables.lives.entry(card.to_owned()).or_default();
        let is_new = lives.last().is_none_or(|life| life.ended.is_some());
        if is_new || before.is_none() {
            lives.push(Life::default());
        }
        let old = lives.last_mut().and_then(|life| life.last.take());
        // With its segments: a state never names one that is not there yet.
        let Some(new) = self.tables.whole(card, &now.bytes, old.as_ref()) else {
            let words = format!("card {card}: version {number} can't be decoded, or names a segment that is not there");
            self.known.broken.push((Invariant::CountsOnce, words));
            return;
        };
        let old = old
            .or_else(|| self.tables.whole(card, &before?.bytes, None))
            .unwrap_or_default();
        if new.next_seq() < old.next_seq() {
            let words = format!("card {card}: {} events after {}", new.next_seq(), old.next_seq());
            self.known.broken.push((Invariant::OnlyOnVersionRead, words));
        }
        if let Some(lost) = first_lost(&old, &new) {
            let words = format!("card {card}: version {number} lost event {lost}");
            self.known.broken.push((Invariant::OnlyOnVersionRead, words));
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
        let is_gap = (accepted.len() as u64) < new.next_seq().saturating_sub(old.next_seq());
        if is_gap && new.floor_ms() > old.floor_ms() {
            self.known.unseen.insert(card.to_owned());
        }
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
