//! What the store of a file keeps of one card.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::lifetime::{HISTORY_MS, SEGMENT_MS};
use tidemark_engine::port::{Commit, PutOnce, SegmentItem, StateItem, StateWrite};

const SECOND_MS: i64 = 1_000;
/// What a segment takes besides its bytes, about.
const SEGMENT_BYTES: usize = 128;
/// What a card takes in memory besides its bytes: its place in the map, its name, and what the allocator rounds up, about.
const CARD_BYTES: usize = 256;

/// What is kept of a card.
#[derive(Debug, Default, PartialEq)]
pub(super) struct StoredCard {
    /// The time of the newest of its events that counted, ms; an event counts until the file ends, unlike those of the state.
    pub(super) newest_ms: Option<i64>,
    pub(super) state: Option<StateItem>,
    pub(super) profile: Option<Box<Profile>>,
    pub(super) segments: Segments,
    /// The commit in which it was last used.
    pub(super) used: Used,
}

/// A tick that makes no difference between two cards.
#[derive(Debug, Default)]
pub(super) struct Used(u64);

impl Used {
    pub(super) fn get(&self) -> u64 {
        self.0
    }

    pub(super) fn set(&mut self, tick: u64) {
        self.0 = tick;
    }
}

impl PartialEq for Used {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Sealed segments of a card, in their stored form.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Segments {
    pub(super) bytes: BTreeMap<SegmentKey, Vec<u8>>,
    /// The time of the newest event in each, ms, the oldest segment first.
    ages: BTreeSet<(i64, SegmentKey)>,
    /// What they take, bytes.
    sum: usize,
}

impl Segments {
    pub(super) fn put(&mut self, item: &SegmentItem) {
        // Its newest event, or up to a second later: an expiry is told in whole seconds.
        let last_ms = item
            .expires_at_s
            .saturating_add(1)
            .saturating_mul(SECOND_MS)
            .saturating_sub(SEGMENT_MS);
        self.keep(item.key, last_ms, item.bytes.clone());
    }

    /// Keeps a segment whose newest event is of this time.
    pub(super) fn keep(&mut self, key: SegmentKey, last_ms: i64, bytes: Vec<u8>) {
        self.sum += bytes.len() + SEGMENT_BYTES;
        if let Some(old) = self.bytes.insert(key, bytes) {
            self.sum -= old.len() + SEGMENT_BYTES;
        }
        self.ages.insert((last_ms, key));
    }

    /// How many times of segments there are.
    pub(super) fn count(&self) -> usize {
        self.ages.len()
    }

    /// Each with the time of its newest event.
    pub(super) fn each(&self) -> impl Iterator<Item = (i64, SegmentKey, &[u8])> {
        let bytes = |key: &SegmentKey| self.bytes.get(key).map_or(&[] as &[u8], Vec::as_slice);
        self.ages.iter().map(move |(last_ms, key)| (*last_ms, *key, bytes(key)))
    }

    /// Forgets segments without an event that is newer than this.
    pub(super) fn forget_until(&mut self, aged_ms: i64) {
        while let Some((_, key)) = self.ages.first().copied().filter(|(last_ms, _)| *last_ms <= aged_ms) {
            self.ages.pop_first();
            if let Some(old) = self.bytes.remove(&key) {
                self.sum -= old.len() + SEGMENT_BYTES;
            }
        }
    }
}

impl StoredCard {
    /// Whether it is a card with an event or a profile, and not only one that somebody asked for.
    pub(super) fn counts(&self) -> bool {
        self.newest_ms.is_some() || self.profile.is_some()
    }

    /// Takes note of an event that counts; whether a later one came before it.
    pub(super) fn note(&mut self, time_ms: i64) -> bool {
        let newest_ms = self.newest_ms.get_or_insert(time_ms);
        let out_of_order = time_ms < *newest_ms;
        *newest_ms = time_ms.max(*newest_ms);
        out_of_order
    }

    /// What it takes in memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        let state = self.state.as_ref().map_or(0, |item| item.bytes.capacity());
        let profile = self.profile.as_ref().map_or(0, |_| size_of::<Profile>());
        CARD_BYTES + state + profile + self.segments.sum
    }

    /// Writes a state under its condition.
    pub(super) fn write(&mut self, write: &StateWrite, retention_ms: i64) -> Commit {
        if self.state.as_ref().map(|item| item.version) != write.expected {
            return Commit::Conflict(self.state.clone());
        }
        self.state = Some(write.item.clone());
        let newest_ms = write.expires_at_s.saturating_mul(SECOND_MS).saturating_sub(HISTORY_MS);
        self.segments.forget_until(newest_ms.saturating_sub(retention_ms));
        Commit::Written
    }

    /// Keeps a profile that is newer than what is known.
    pub(super) fn learn(&mut self, profile: &Profile) -> PutOnce {
        if self
            .profile
            .as_ref()
            .is_some_and(|known| known.version >= profile.version)
        {
            return PutOnce::Already;
        }
        self.profile = Some(Box::new(profile.clone()));
        PutOnce::Written
    }
}
