//! The engine's store for a file: each card's encoded state, its profile, and the sealed segments that can still matter. What
//! does not fit into memory, of the cards that were longest without an event, is in a file without a name (`spill.rs`).
//!
//! `tidemark_engine::memory` has a store for tests: it keeps what was there before each write, every decision, and every
//! segment for as long as a table would. A file may have any number of events, so this store keeps what an event can still
//! ask for, and nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::labelled::{LABELS_MAX, LabelledHistory};
use tidemark_engine::lock::lock;
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem,
    StateStore, StateWrite, Units,
};

use super::spill::Spill;
use super::stored::StoredCard;

/// States, profiles and segments by card. Clones share their content.
#[derive(Clone)]
pub(super) struct FileStore {
    cards: Arc<Mutex<Cards>>,
    /// Labelled histories of keys.
    keys: Arc<Mutex<Keys>>,
    /// How long an event can matter behind its card's newest, ms: the policy's.
    retention_ms: i64,
}

/// Labelled histories.
#[derive(Default)]
struct Keys {
    items: HashMap<KeyId, StateItem>,
    /// The most labels that one of them ever took.
    labels_most: u64,
}

impl Keys {
    /// Writes a labelled history under its condition.
    fn write(&mut self, write: &KeyWrite) -> Commit {
        let found = self.items.get(&write.key);
        if found.map(|item| item.version) != write.expected {
            return Commit::Conflict(found.cloned());
        }
        let labels = LabelledHistory::decode(&write.item.bytes).map_or(u64::MAX, |history| history.version());
        self.labels_most = self.labels_most.max(labels);
        self.items.insert(write.key, write.item.clone());
        Commit::Written
    }
}

/// The cards, in memory and in the file.
struct Cards {
    in_memory: HashMap<CardId, StoredCard>,
    /// What those take, bytes.
    bytes: usize,
    bytes_max: usize,
    /// Counts commits: what a card's last use is told in.
    tick: u64,
    spill: Spill,
    /// Why the file can't be written or read. From then on nothing is right.
    failed: Option<io::Error>,
}

impl Cards {
    /// A card, taken back into memory when it is in the file.
    fn get(&mut self, card: &CardId) -> Option<&mut StoredCard> {
        if !self.in_memory.contains_key(card) {
            let stored = self.spill.take(card).unwrap_or_else(|error| {
                self.failed.get_or_insert(error);
                None
            })?;
            self.bytes += stored.bytes();
            self.in_memory.insert(card.clone(), stored);
        }
        let tick = self.tick;
        let stored = self.in_memory.get_mut(card)?;
        stored.used.set(tick);
        Some(stored)
    }

    fn change<T>(&mut self, card: &CardId, change: impl FnOnce(&mut StoredCard) -> T) -> T {
        if self.get(card).is_none() {
            let stored = StoredCard::default();
            self.bytes += stored.bytes();
            self.in_memory.insert(card.clone(), stored);
        }
        let tick = self.tick;
        let stored = self.in_memory.entry(card.clone()).or_default();
        stored.used.set(tick);
        let before = stored.bytes();
        let changed = change(stored);
        self.bytes = self.bytes + stored.bytes() - before;
        changed
    }

    /// Moves cards into the file until a quarter of the room is free, those first that were longest without a use.
    fn make_room(&mut self) {
        self.tick += 1;
        if self.bytes <= self.bytes_max || self.failed.is_some() {
            return;
        }
        let mut ages: Vec<(u64, usize)> = self
            .in_memory
            .values()
            .map(|card| (card.used.get(), card.bytes()))
            .collect();
        ages.sort_unstable();
        let goal = self.bytes_max / 4 * 3;
        let (mut left, mut until) = (self.bytes, 0);
        for (used, bytes) in ages {
            if left <= goal {
                break;
            }
            left -= bytes;
            until = used;
        }
        let (spill, failed, freed) = (&mut self.spill, &mut self.failed, &mut self.bytes);
        self.in_memory.retain(|card, stored| {
            if stored.used.get() > until || *freed <= goal || failed.is_some() {
                return true;
            }
            match spill.put(card, stored) {
                Ok(taken) => {
                    *freed -= if taken { stored.bytes() } else { 0 };
                    !taken
                }
                Err(error) => {
                    *failed = Some(error);
                    true
                }
            }
        });
        self.in_memory.shrink_to(self.in_memory.len() * 2);
    }
}

impl FileStore {
    /// Nothing is known of any card. An event matters for so long behind its card's newest, ms; cards take so many bytes of memory.
    pub(super) fn new(retention_ms: i64, bytes_max: usize) -> Self {
        let cards = Cards {
            in_memory: HashMap::new(),
            bytes: 0,
            bytes_max,
            tick: 0,
            spill: Spill::default(),
            failed: None,
        };
        Self {
            cards: Arc::new(Mutex::new(cards)),
            keys: Arc::default(),
            retention_ms,
        }
    }

    /// How many cards there are that have an event or a profile.
    pub(super) fn count_cards(&self) -> u64 {
        let cards = lock(&self.cards);
        let in_memory = cards.in_memory.values().filter(|stored| stored.counts()).count();
        (in_memory + cards.spill.counted()) as u64
    }

    /// Takes note of an event that counts; whether a later one of its card came before it.
    pub(super) fn note(&self, card: &CardId, time_ms: i64) -> bool {
        self.with(card, |stored| stored.note(time_ms))
    }

    /// Why cards could not be written to the file or read from it, if so.
    pub(super) fn failed(&self) -> Option<io::Error> {
        lock(&self.cards).failed.take()
    }

    /// How often a card was moved to the file.
    #[cfg(test)]
    pub(super) fn moved(&self) -> u64 {
        lock(&self.cards).spill.puts()
    }

    /// Bytes of a card's state, and of all its segments.
    #[cfg(test)]
    pub(super) fn bytes_of(&self, card: &CardId) -> (usize, usize) {
        let mut cards = lock(&self.cards);
        let stored = cards.get(card).unwrap();
        let state = stored.state.as_ref().map_or(0, |item| item.bytes.len());
        (state, stored.segments.bytes.values().map(Vec::len).sum())
    }

    /// How many labels each key takes before it forgets one.
    pub(super) fn room_in_keys(&self) -> usize {
        let most = usize::try_from(lock(&self.keys).labels_most).unwrap_or(usize::MAX);
        LABELS_MAX.saturating_sub(most)
    }

    /// Whether a card has no sealed segment.
    pub(super) fn keeps_whole(&self, card: &CardId) -> bool {
        lock(&self.cards)
            .get(card)
            .is_some_and(|stored| stored.segments.bytes.is_empty())
    }

    fn with<T>(&self, card: &CardId, change: impl FnOnce(&mut StoredCard) -> T) -> T {
        lock(&self.cards).change(card, change)
    }

    fn read<T>(&self, cards: &[CardId], of: impl Fn(&StoredCard) -> Option<T>) -> Vec<Option<T>> {
        let mut stored = lock(&self.cards);
        let found = |card: &CardId| stored.get(card).and_then(|stored| of(stored));
        cards.iter().map(found).collect()
    }
}

/// Nothing here costs capacity, and nothing fails.
#[allow(clippy::unnecessary_wraps, reason = "the port's answers")]
fn free<T>(value: T) -> Result<Metered<T>, PortError> {
    let units = Units::default();
    Ok(Metered { value, units })
}

impl StateStore for FileStore {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        free(self.read(cards, |stored| stored.state.clone()))
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        free(self.read(cards, |stored| stored.profile.as_deref().cloned()))
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        _freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        let segment =
            |(card, key): &(CardId, SegmentKey)| self.with(card, |stored| stored.segments.bytes.get(key).cloned());
        free(segments.iter().map(segment).collect())
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        for item in segments {
            self.with(&item.card_id, |stored| stored.segments.put(item));
        }
        free(())
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        free(self.with(card, |stored| stored.state.clone()))
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let written = |write: &Arc<StateWrite>| {
            let commit = self.with(&write.card_id, |stored| stored.write(write, self.retention_ms));
            Ok(commit)
        };
        let commits = writes.iter().map(written).collect();
        lock(&self.cards).make_room();
        free(commits)
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let stored = lock(&self.keys);
        free(keys.iter().map(|key| stored.items.get(key).cloned()).collect())
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        free(lock(&self.keys).items.get(&key).cloned())
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        let mut stored = lock(&self.keys);
        free(writes.iter().map(|write| Ok(stored.write(write))).collect())
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        free(self.with(&profile.card_id, |stored| stored.learn(profile)))
    }

    /// A decision is the outcome that is written anyway.
    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        free(decisions.iter().map(|_| Ok(PutOnce::Written)).collect())
    }
}
