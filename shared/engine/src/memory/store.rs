//! States, profiles and decisions in memory, with DynamoDB's conditions and its arithmetic of units.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidemark_domain::control::trial::{TrialBatch, TrialKey};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, EventKey};

use super::fault::{Fault, Faults, Op};
use crate::hash::FixedMap;
use crate::lock::lock;
use crate::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem,
    StateStore, StateWrite, Units,
};

/// What an item holds beside its payload, bytes: attribute names, sort key, version and expiry (estimated).
const ITEM_OVERHEAD_BYTES: usize = 40;
/// A profile's item, bytes (estimated).
const PROFILE_ITEM_BYTES: usize = 160;

/// A store in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Inner {
    states: FixedMap<CardId, Versions<StateItem>>,
    /// When states may be dropped, in seconds since 1970-01-01T00:00:00Z.
    states_expire_at_s: FixedMap<CardId, i64>,
    profiles: FixedMap<CardId, Versions<Profile>>,
    decisions: FixedMap<EventKey, DecisionItem>,
    segments: BTreeMap<(CardId, SegmentKey), SegmentItem>,
    keys: BTreeMap<KeyId, Versions<StateItem>>,
    /// When labelled histories may be dropped, in seconds since 1970-01-01T00:00:00Z.
    keys_expire_at_s: BTreeMap<KeyId, i64>,
    trials: BTreeMap<(String, String), TrialBatch>,
}

/// An item and what was there before it, for stale reads.
#[derive(Debug)]
struct Versions<T> {
    now: T,
    before: Option<T>,
}

impl MemoryStore {
    /// A store whose calls follow a script.
    #[must_use]
    pub fn with_faults(faults: Faults) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// A card's item.
    #[must_use]
    pub fn state(&self, card: &CardId) -> Option<StateItem> {
        lock(&self.inner).states.get(card).map(|versions| versions.now.clone())
    }

    /// A card's profile.
    #[must_use]
    pub fn profile(&self, card: &CardId) -> Option<Profile> {
        lock(&self.inner)
            .profiles
            .get(card)
            .map(|versions| versions.now.clone())
    }

    /// Every card with a state, in order.
    #[must_use]
    pub fn cards(&self) -> Vec<CardId> {
        let mut cards: Vec<CardId> = lock(&self.inner).states.keys().cloned().collect();
        cards.sort_unstable();
        cards
    }

    /// Every recorded decision, ordered by card, event id and time.
    #[must_use]
    pub fn decisions(&self) -> Vec<DecisionItem> {
        let mut decisions: Vec<DecisionItem> = lock(&self.inner).decisions.values().cloned().collect();
        decisions.sort_unstable_by(|a, b| a.event.cmp(&b.event));
        decisions
    }

    /// A sealed segment's item.
    #[must_use]
    pub fn segment(&self, card: &CardId, key: SegmentKey) -> Option<SegmentItem> {
        lock(&self.inner).segments.get(&(card.clone(), key)).cloned()
    }

    /// Cuts the last byte off every sealed segment of a card.
    pub fn damage_segments(&self, card: &CardId) {
        let mut inner = lock(&self.inner);
        let segments = inner.segments.iter_mut().filter(|((of, _), _)| of == card);
        segments.for_each(|(_, item)| _ = item.bytes.pop());
    }

    /// Every sealed segment, named by a state or not, ordered by card and key.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentItem> {
        lock(&self.inner).segments.values().cloned().collect()
    }

    /// Every labelled history, ordered by key.
    #[must_use]
    pub fn keys(&self) -> Vec<(KeyId, StateItem)> {
        let inner = lock(&self.inner);
        inner
            .keys
            .iter()
            .map(|(key, versions)| (*key, versions.now.clone()))
            .collect()
    }

    /// Puts a labelled history there unconditionally, as another writer would.
    pub fn set_key(&self, key: KeyId, item: StateItem) {
        let mut inner = lock(&self.inner);
        let before = inner.keys.remove(&key).map(|versions| versions.now);
        inner.keys.insert(key, Versions { now: item, before });
    }

    /// Every batch of trials by partition and sort key, in order.
    #[must_use]
    pub fn trials(&self) -> Vec<((String, String), TrialBatch)> {
        let inner = lock(&self.inner);
        inner
            .trials
            .iter()
            .map(|(key, batch)| (key.clone(), batch.clone()))
            .collect()
    }

    /// Puts a state there unconditionally, as another writer would.
    pub fn set_state(&self, card: &CardId, item: StateItem) {
        let mut inner = lock(&self.inner);
        let before = inner.states.remove(card).map(|versions| versions.now);
        inner.states.insert(card.clone(), Versions { now: item, before });
    }

    /// Puts a profile there unconditionally, as another writer would.
    pub fn set_profile(&self, profile: Profile) {
        let mut inner = lock(&self.inner);
        let before = inner.profiles.remove(&profile.card_id).map(|versions| versions.now);
        inner
            .profiles
            .insert(profile.card_id.clone(), Versions { now: profile, before });
    }

    /// Deletes what may be deleted as of `now_s` (seconds since 1970-01-01T00:00:00Z), as DynamoDB's time to live does.
    pub fn expire(&self, now_s: i64) {
        let mut inner = lock(&self.inner);
        let Inner {
            states,
            states_expire_at_s,
            ..
        } = &mut *inner;
        let is_over = |card: &CardId| states_expire_at_s.get(card).is_some_and(|at_s| *at_s < now_s);
        states.retain(|card, _| !is_over(card));
        inner.segments.retain(|_, item| item.expires_at_s >= now_s);
        let Inner {
            keys, keys_expire_at_s, ..
        } = &mut *inner;
        keys.retain(|key, _| keys_expire_at_s.get(key).is_none_or(|at_s| *at_s >= now_s));
        inner.decisions.retain(|_, decision| decision.expires_at_s >= now_s);
    }

    fn write_state(&self, write: &StateWrite) -> Commit {
        let mut inner = lock(&self.inner);
        let expiry = (write.card_id.clone(), write.expires_at_s);
        match inner.states.get_mut(&write.card_id) {
            None if write.expected.is_none() => {
                inner.states.insert(
                    write.card_id.clone(),
                    Versions {
                        now: write.item.clone(),
                        before: None,
                    },
                );
            }
            None => return Commit::Conflict(None),
            Some(versions) if write.expected == Some(versions.now.version) => {
                let before = std::mem::replace(&mut versions.now, write.item.clone());
                versions.before = Some(before);
            }
            Some(versions) => return Commit::Conflict(Some(versions.now.clone())),
        }
        inner.states_expire_at_s.insert(expiry.0, expiry.1);
        Commit::Written
    }
}

impl MemoryStore {
    fn write_key(&self, write: &KeyWrite) -> Commit {
        let mut inner = lock(&self.inner);
        let found = inner.keys.get(&write.key).map(|versions| versions.now.clone());
        if found.as_ref().map(|item| item.version) != write.expected {
            return Commit::Conflict(found);
        }
        let now = write.item.clone();
        inner.keys.insert(write.key, Versions { now, before: found });
        inner.keys_expire_at_s.insert(write.key, write.expires_at_s);
        Commit::Written
    }
}

impl MemoryStore {
    /// A call that holds many writes, one after the other: each may fail by itself, and the call as a whole.
    async fn each<W, T>(
        &self,
        op: Op,
        writes: &[Arc<W>],
        bytes: impl Fn(&W) -> usize,
        write_one: impl Fn(&W, Option<&Fault>) -> T,
    ) -> Answers<T> {
        let whole = self.faults.begin(Op::WriteCall).await?;
        let reached = match &whole {
            Some(Fault::Amid(reached, _)) => *reached,
            _ => usize::MAX,
        };
        let (mut answers, mut units) = (Vec::with_capacity(writes.len()), 0.0);
        for write in writes.iter().take(reached) {
            let answer = match self.faults.begin(op).await {
                Ok(fault) => {
                    let written = write_one(write, fault.as_ref());
                    units += write_units(bytes(write) + ITEM_OVERHEAD_BYTES);
                    self.faults.finish(fault).await.map(|()| written)
                }
                Err(error) => Err(error),
            };
            answers.push(answer);
        }
        self.faults.finish(whole).await?;
        Ok(metered(answers, units, 0.0))
    }
}

/// The version to answer a read with.
fn read<T: Clone>(versions: Option<&Versions<T>>, stale: bool) -> Option<T> {
    let versions = versions?;
    if stale {
        versions.before.clone()
    } else {
        Some(versions.now.clone())
    }
}

/// Units of an eventually consistent read: half a unit for each 4 KiB begun.
fn read_units(item_bytes: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    {
        item_bytes.div_ceil(4096).max(1) as f64 / 2.0
    }
}

/// Units of a write: one for each KiB begun.
fn write_units(item_bytes: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    {
        item_bytes.div_ceil(1024).max(1) as f64
    }
}

fn metered<T>(value: T, write: f64, read: f64) -> Metered<T> {
    Metered {
        value,
        units: Units { write, read },
    }
}

impl StateStore for MemoryStore {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let fault = self.faults.begin(Op::LoadStates).await?;
        let stale = matches!(fault, Some(Fault::StaleRead));
        let items: Vec<Option<StateItem>> = {
            let inner = lock(&self.inner);
            cards.iter().map(|card| read(inner.states.get(card), stale)).collect()
        };
        let size = |item: &Option<StateItem>| item.as_ref().map_or(0, |item| item.bytes.len() + ITEM_OVERHEAD_BYTES);
        let units = items.iter().map(|item| read_units(size(item))).sum();
        self.faults.finish(fault).await?;
        Ok(metered(items, 0.0, units))
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        let fault = self.faults.begin(Op::LoadProfiles).await?;
        let stale = matches!(fault, Some(Fault::StaleRead));
        let profiles: Vec<Option<Profile>> = {
            let inner = lock(&self.inner);
            cards.iter().map(|card| read(inner.profiles.get(card), stale)).collect()
        };
        let units = profiles.iter().map(|_| read_units(PROFILE_ITEM_BYTES)).sum();
        self.faults.finish(fault).await?;
        Ok(metered(profiles, 0.0, units))
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        let fault = self.faults.begin(Op::LoadSegments).await?;
        // A segment is written once: before that write it was not there.
        let stale = freshness == Freshness::Eventual && matches!(fault, Some(Fault::StaleRead));
        let found: Vec<Option<Vec<u8>>> = {
            let inner = lock(&self.inner);
            let segment = |place: &(CardId, SegmentKey)| inner.segments.get(place).filter(|_| !stale);
            segments
                .iter()
                .map(|place| segment(place).map(|item| item.bytes.clone()))
                .collect()
        };
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, |bytes| bytes.len() + ITEM_OVERHEAD_BYTES);
        let price = match freshness {
            Freshness::Eventual => 1.0,
            Freshness::Strong => 2.0,
        };
        let units = found.iter().map(|bytes| price * read_units(size(bytes))).sum();
        self.faults.finish(fault).await?;
        Ok(metered(found, 0.0, units))
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        let fault = self.faults.begin(Op::PutSegments).await?;
        let size = |item: &SegmentItem| item.bytes.len() + item.card_id.as_str().len() + ITEM_OVERHEAD_BYTES;
        let units = segments.iter().map(|item| write_units(size(item))).sum();
        {
            let mut inner = lock(&self.inner);
            for item in segments {
                inner.segments.insert((item.card_id.clone(), item.key), item.clone());
            }
        }
        self.faults.finish(fault).await?;
        Ok(metered((), units, 0.0))
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        // Strongly consistent: no fault makes it stale, and it costs twice.
        let fault = self.faults.begin(Op::LoadStates).await?;
        let item = self.state(card);
        let bytes = item.as_ref().map_or(0, |item| item.bytes.len() + ITEM_OVERHEAD_BYTES);
        self.faults.finish(fault).await?;
        Ok(metered(item, 0.0, 2.0 * read_units(bytes)))
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let bytes = |write: &StateWrite| write.item.bytes.len() + write.card_id.as_str().len();
        self.each(Op::Commit, writes, bytes, |write, fault| match fault {
            Some(Fault::Conflict) => Commit::Conflict(self.state(&write.card_id)),
            Some(Fault::ConflictWithoutItem) => Commit::Conflict(None),
            _ => self.write_state(write),
        })
        .await
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let fault = self.faults.begin(Op::LoadKeys).await?;
        let stale = matches!(fault, Some(Fault::StaleRead));
        let items: Vec<Option<StateItem>> = {
            let inner = lock(&self.inner);
            keys.iter().map(|key| read(inner.keys.get(key), stale)).collect()
        };
        let size = |item: &Option<StateItem>| item.as_ref().map_or(0, |item| item.bytes.len() + ITEM_OVERHEAD_BYTES);
        let units = items.iter().map(|item| read_units(size(item))).sum();
        self.faults.finish(fault).await?;
        Ok(metered(items, 0.0, units))
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        // Strongly consistent: no fault makes it stale, and it costs twice.
        let fault = self.faults.begin(Op::LoadKeys).await?;
        let item = lock(&self.inner).keys.get(&key).map(|versions| versions.now.clone());
        let bytes = item.as_ref().map_or(0, |item| item.bytes.len() + ITEM_OVERHEAD_BYTES);
        self.faults.finish(fault).await?;
        Ok(metered(item, 0.0, 2.0 * read_units(bytes)))
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        let found = |key| {
            let inner = lock(&self.inner);
            inner.keys.get(&key).map(|versions| versions.now.clone())
        };
        let bytes = |write: &KeyWrite| write.item.bytes.len();
        self.each(Op::CommitKey, writes, bytes, |write, fault| match fault {
            Some(Fault::Conflict) => Commit::Conflict(found(write.key)),
            Some(Fault::ConflictWithoutItem) => Commit::Conflict(None),
            _ => self.write_key(write),
        })
        .await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        let fault = self.faults.begin(Op::PutProfile).await?;
        let newer = self
            .profile(&profile.card_id)
            .is_none_or(|stored| stored.version < profile.version);
        if newer {
            self.set_profile(profile.clone());
        }
        self.faults.finish(fault).await?;
        Ok(metered(
            if newer { PutOnce::Written } else { PutOnce::Already },
            write_units(PROFILE_ITEM_BYTES),
            0.0,
        ))
    }

    async fn put_trials(&self, key: &TrialKey, batch: &TrialBatch, _: i64) -> Result<Metered<()>, PortError> {
        let fault = self.faults.begin(Op::PutTrials).await?;
        let bytes = serde_json::to_vec(batch).map_or(0, |json| json.len()) + ITEM_OVERHEAD_BYTES;
        let place = (key.partition(batch.candidate), key.sort());
        lock(&self.inner).trials.insert(place, batch.clone());
        self.faults.finish(fault).await?;
        Ok(metered((), write_units(bytes), 0.0))
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        let bytes = |decision: &DecisionItem| decision.outcome_json.len();
        self.each(Op::PutDecision, decisions, bytes, |decision, _| {
            let mut inner = lock(&self.inner);
            if inner.decisions.contains_key(&decision.event) {
                return PutOnce::Already;
            }
            inner.decisions.insert(decision.event.clone(), decision.clone());
            PutOnce::Written
        })
        .await
    }
}
