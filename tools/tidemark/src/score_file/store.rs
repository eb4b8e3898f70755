//! The engine's store for a file: each card's encoded state, its profile, and the sealed segments that can still matter.
//!
//! `tidemark_engine::memory` has a store for tests: it keeps what was there before each write, every decision, and every
//! segment for as long as a table would. A file may have any number of events, so this store keeps what an event can still
//! ask for, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::labelled::{LABELS_MAX, LabelledHistory};
use tidemark_domain::lifetime::{HISTORY_MS, SEGMENT_MS};
use tidemark_engine::lock::lock;
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem, StateStore,
    StateWrite, Units,
};

const SECOND_MS: i64 = 1_000;

/// States, profiles and segments by card. Clones share their content.
#[derive(Clone)]
pub(super) struct FileStore {
    cards: Arc<Mutex<HashMap<CardId, StoredCard>>>,
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

/// What is kept of a card.
#[derive(Default)]
struct StoredCard {
    state: Option<StateItem>,
    profile: Option<Profile>,
    segments: Segments,
}

/// Sealed segments of a card, in their stored form.
#[derive(Default)]
struct Segments {
    bytes: BTreeMap<SegmentKey, Vec<u8>>,
    /// The time of the newest event in each, ms, the oldest segment first.
    ages: BTreeSet<(i64, SegmentKey)>,
}

impl Segments {
    fn put(&mut self, item: &SegmentItem) {
        self.bytes.insert(item.key, item.bytes.clone());
        // Its newest event, or up to a second later: an expiry is told in whole seconds.
        let last_ms = item
            .expires_at_s
            .saturating_add(1)
            .saturating_mul(SECOND_MS)
            .saturating_sub(SEGMENT_MS);
        self.ages.insert((last_ms, item.key));
    }

    /// Forgets segments without an event that is newer than this.
    fn forget_until(&mut self, aged_ms: i64) {
        while let Some((_, key)) = self.ages.first().copied().filter(|(last_ms, _)| *last_ms <= aged_ms) {
            self.ages.pop_first();
            self.bytes.remove(&key);
        }
    }
}

impl StoredCard {
    /// Writes a state under its condition.
    fn write(&mut self, write: &StateWrite, retention_ms: i64) -> Commit {
        if self.state.as_ref().map(|item| item.version) != write.expected {
            return Commit::Conflict(self.state.clone());
        }
        self.state = Some(write.item.clone());
        let newest_ms = write.expires_at_s.saturating_mul(SECOND_MS).saturating_sub(HISTORY_MS);
        self.segments.forget_until(newest_ms.saturating_sub(retention_ms));
        Commit::Written
    }

    /// Keeps a profile that is newer than what is known.
    fn learn(&mut self, profile: &Profile) -> PutOnce {
        if self
            .profile
            .as_ref()
            .is_some_and(|known| known.version >= profile.version)
        {
            return PutOnce::Already;
        }
        self.profile = Some(profile.clone());
        PutOnce::Written
    }
}

impl FileStore {
    /// Nothing is known of any card. An event matters for so long behind its card's newest, ms.
    pub(super) fn new(retention_ms: i64) -> Self {
        Self {
            cards: Arc::default(),
            keys: Arc::default(),
            retention_ms,
        }
    }

    /// How many cards with a profile there are that this holds for.
    pub(super) fn count_profiles(&self, is_counted: impl Fn(&CardId) -> bool) -> u64 {
        let cards = lock(&self.cards);
        let with_profile = cards.iter().filter(|(_, stored)| stored.profile.is_some());
        with_profile.filter(|(card, _)| is_counted(card)).count() as u64
    }

    /// Bytes of a card's state, and of all its segments.
    #[cfg(test)]
    pub(super) fn bytes_of(&self, card: &CardId) -> (usize, usize) {
        let cards = lock(&self.cards);
        let stored = &cards[card];
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
        let mut cards = lock(&self.cards);
        match cards.get_mut(card) {
            Some(stored) => change(stored),
            None => change(cards.entry(card.clone()).or_default()),
        }
    }

    fn read<T>(&self, cards: &[CardId], of: impl Fn(&StoredCard) -> Option<T>) -> Vec<Option<T>> {
        let stored = lock(&self.cards);
        cards.iter().map(|card| stored.get(card).and_then(&of)).collect()
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
        free(self.read(cards, |stored| stored.profile.clone()))
    }

    async fn load_segments(
        &self,
        card: &CardId,
        keys: &[SegmentKey],
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        free(self.with(card, |stored| {
            keys.iter().map(|key| stored.segments.bytes.get(key).cloned()).collect()
        }))
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
        free(writes.iter().map(written).collect())
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
