//! The table as it is, with what an import would write held in memory: nothing is written, and what would count shows.
//!
//! What it holds grows with the cards, the keys and the sealed segments that would be written, a kilobyte each or so.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{
    Answers, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, PortError, PutOnce, SegmentItem, StateItem,
    StateStore, StateWrite, Units,
};

/// What an item has besides its bytes: attribute names, version, expiry.
const ITEM_OVERHEAD_BYTES: usize = 64;
/// DynamoDB counts writes by this size, bytes.
const WRITE_UNIT_BYTES: usize = 1_024;

/// A store whose writes are held back.
pub(super) struct Look<S> {
    below: S,
    held: Mutex<HeldBack>,
}

#[derive(Default)]
struct HeldBack {
    states: HashMap<CardId, StateItem>,
    keys: HashMap<KeyId, StateItem>,
    profiles: HashMap<CardId, Profile>,
    segments: HashMap<(CardId, SegmentKey), Vec<u8>>,
}

impl<S> Look<S> {
    /// Nothing is held back yet.
    pub(super) fn new(below: S) -> Self {
        Self {
            below,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HeldBack> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What would be written costs as much as the table would say.
fn held_back<T>(value: T, bytes: usize) -> Metered<T> {
    #[allow(clippy::cast_precision_loss, reason = "an item has 400 KiB at most")]
    let write = (bytes + ITEM_OVERHEAD_BYTES).div_ceil(WRITE_UNIT_BYTES) as f64;
    Metered {
        value,
        units: Units { write, read: 0.0 },
    }
}

/// The answers to the writes of a call, and what they would cost together.
fn each<W, T>(writes: &[Arc<W>], mut write_one: impl FnMut(&W) -> Metered<T>) -> Metered<Vec<Result<T, PortError>>> {
    let mut units = Units::default();
    let answers = writes.iter().map(|write| {
        let answer = write_one(write);
        units += answer.units;
        Ok(answer.value)
    });
    let value = answers.collect();
    Metered { value, units }
}

/// Puts what is held back in the place of what was read.
fn over<K: Eq + Hash, T: Clone>(read: &mut [Option<T>], held: &HashMap<K, T>, keys: impl IntoIterator<Item = K>) {
    for (place, key) in read.iter_mut().zip(keys) {
        if let Some(newer) = held.get(&key) {
            *place = Some(newer.clone());
        }
    }
}

impl<S: StateStore> StateStore for Look<S> {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let mut read = self.below.load_states(cards).await?;
        over(&mut read.value, &self.held().states, cards.iter().cloned());
        Ok(read)
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        let mut read = self.below.load_profiles(cards).await?;
        over(&mut read.value, &self.held().profiles, cards.iter().cloned());
        Ok(read)
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        let mut read = self.below.load_segments(segments, freshness).await?;
        over(&mut read.value, &self.held().segments, segments.iter().cloned());
        Ok(read)
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        let mut held = self.held();
        let mut put = Metered {
            value: (),
            units: Units::default(),
        };
        for item in segments {
            put.units += held_back((), item.bytes.len()).units;
            held.segments
                .insert((item.card_id.clone(), item.key), item.bytes.clone());
        }
        Ok(put)
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        let mut read = self.below.load_state(card).await?;
        over(
            std::slice::from_mut(&mut read.value),
            &self.held().states,
            [card.clone()],
        );
        Ok(read)
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let mut held = self.held();
        Ok(each(writes, |write| {
            held.states.insert(write.card_id.clone(), write.item.clone());
            held_back(Commit::Written, write.item.bytes.len())
        }))
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        let mut read = self.below.load_keys(keys).await?;
        over(&mut read.value, &self.held().keys, keys.iter().copied());
        Ok(read)
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        let mut read = self.below.load_key(key).await?;
        over(std::slice::from_mut(&mut read.value), &self.held().keys, [key]);
        Ok(read)
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        let mut held = self.held();
        Ok(each(writes, |write| {
            held.keys.insert(write.key, write.item.clone());
            held_back(Commit::Written, write.item.bytes.len())
        }))
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        let known = self.below.load_profiles(std::slice::from_ref(&profile.card_id)).await?;
        let known = known.value.into_iter().next().flatten();
        let mut held = self.held();
        let newest = held.profiles.get(&profile.card_id).or(known.as_ref());
        if newest.is_some_and(|newest| newest.version >= profile.version) {
            return Ok(held_back(PutOnce::Already, 0));
        }
        held.profiles.insert(profile.card_id.clone(), profile.clone());
        Ok(held_back(PutOnce::Written, 0))
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        // An import decides nothing.
        Ok(each(decisions, |_| held_back(PutOnce::Already, 0)))
    }
}
