//! The engine's ports on the world's stores.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemark_domain::card::Entry;
use tidemark_domain::card::sealed::SegmentKey;
use tidemark_domain::event::Profile;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{
    Clock, Commit, DecisionRecord, Metered, OutcomeRecord, PortError, PutOnce, Quarantine, QuarantineMessage,
    ScoreSink, SegmentItem, StateItem, StateStore, StateWrite, Units,
};

use crate::world::{Fault, Life, Op, Stores, Ticket, Versions, World};

/// One process's way to the world: all four ports. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Ports {
    world: Arc<World>,
    life: Life,
    name: Arc<str>,
    /// How far the process's clock is off, ms.
    skew_ms: i64,
}

impl Ports {
    /// The ports of a process with this name, whose clock is off by so much.
    #[must_use]
    pub fn new(world: Arc<World>, life: Life, name: &str, skew_ms: i64) -> Self {
        Self {
            world,
            life,
            name: name.into(),
            skew_ms,
        }
    }

    async fn call<T>(&self, op: Op, apply: impl FnOnce(&mut Stores, &Ticket) -> T) -> Result<T, PortError> {
        self.world.call(op, &self.name, &self.life, apply).await
    }
}

fn free<T>(value: T) -> Metered<T> {
    Metered {
        value,
        units: Units::default(),
    }
}

fn read<T: Clone>(versions: Option<&Versions<T>>, stale: bool) -> Option<T> {
    let versions = versions?;
    if stale {
        versions.before.clone()
    } else {
        Some(versions.now.clone())
    }
}

impl StateStore for Ports {
    async fn load_states(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.call(Op::LoadStates, |stores, ticket| {
            let stale = ticket.fault == Some(Fault::Stale);
            free(
                cards
                    .iter()
                    .map(|card| read(stores.states.get(card.as_str()), stale))
                    .collect(),
            )
        })
        .await
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        self.call(Op::LoadProfiles, |stores, ticket| {
            let stale = ticket.fault == Some(Fault::Stale);
            free(
                cards
                    .iter()
                    .map(|card| read(stores.profiles.get(card.as_str()), stale))
                    .collect(),
            )
        })
        .await
    }

    async fn load_segments(
        &self,
        card: &CardId,
        keys: &[SegmentKey],
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        self.call(Op::LoadSegments, |stores, _| {
            let segment = |key: &SegmentKey| stores.segments.get(&(card.to_string(), *key)).cloned();
            free(keys.iter().map(segment).collect())
        })
        .await
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        self.call(Op::PutSegments, |stores, _| {
            for item in segments {
                let place = (item.card_id.to_string(), item.key);
                stores.segments.insert(place, item.bytes.clone());
            }
            free(())
        })
        .await
    }

    async fn commit(&self, write: &StateWrite) -> Result<Metered<Commit>, PortError> {
        self.call(Op::Commit, |stores, _| free(stores.commit(write))).await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        self.call(Op::PutProfile, |stores, _| {
            let key = profile.card_id.as_str();
            let before = stores.profiles.get(key).map(|versions| versions.now.clone());
            if before.as_ref().is_some_and(|stored| stored.version >= profile.version) {
                return free(PutOnce::Already);
            }
            let now = profile.clone();
            stores.profiles.insert(key.to_owned(), Versions { now, before });
            free(PutOnce::Written)
        })
        .await
    }

    async fn put_decision(&self, decision: &DecisionRecord) -> Result<Metered<PutOnce>, PortError> {
        self.call(Op::PutDecision, |stores, _| {
            let key = decision.event.clone();
            if stores.decisions.contains_key(&key) {
                return free(PutOnce::Already);
            }
            stores.decisions.insert(key, (decision.clone(), 1));
            free(PutOnce::Written)
        })
        .await
    }
}

impl ScoreSink for Ports {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        self.call(Op::Send, |stores, ticket| {
            take_some(&mut stores.outcomes, outcomes, ticket)
        })
        .await
    }
}

impl Quarantine for Ports {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        self.call(Op::Quarantine, |stores, ticket| {
            take_some(&mut stores.quarantine, messages, ticket)
        })
        .await
    }
}

impl Clock for Ports {
    fn now_ms(&self) -> i64 {
        self.world.now_ms() + self.skew_ms
    }

    async fn sleep_ms(&self, duration_ms: u64) {
        let until_ms = self.world.now_ms() + i64::try_from(duration_ms).unwrap_or(i64::MAX / 2);
        self.world.until(until_ms).await;
    }

    fn random(&self) -> u64 {
        self.world.random()
    }
}

/// Takes all, or all but some; answers which were left out.
fn take_some<T: Clone>(taken: &mut Vec<T>, items: &[T], ticket: &Ticket) -> Vec<usize> {
    let partial = ticket.fault == Some(Fault::Partial);
    let mut left_out = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if partial && ticket.left_out >> (at % 64) & 1 == 1 {
            left_out.push(at);
        } else {
            taken.push(item.clone());
        }
    }
    left_out
}

impl Stores {
    fn commit(&mut self, write: &StateWrite) -> Commit {
        let card = write.card_id.as_str();
        let before = self.states.get(card).map(|versions| versions.now.clone());
        let read_version = before.as_ref().map(|item| item.version);
        if read_version != write.expected && !self.ignores_conditions {
            self.conflicts += 1;
            return Commit::Conflict(before);
        }
        self.watch(card, before.as_ref(), &write.item);
        let now = write.item.clone();
        self.states.insert(card.to_owned(), Versions { now, before });
        Commit::Written
    }

    /// What must hold between a state and the one that takes its place (I5): the next version, and nothing forgotten but
    /// what is older than everything that is kept.
    fn watch(&mut self, card: &str, before: Option<&StateItem>, now: &StateItem) {
        let (number, next) = (now.version.number, before.map_or(1, |item| item.version.number + 1));
        if number != next {
            self.broken
                .push(format!("I5: card {card}: version {number} after {}", next - 1));
        }
        // With its segments: a state never names one that is not there yet.
        let Some(new) = self.whole(card, &now.bytes) else {
            self.broken.push(format!(
                "I2: card {card}: version {number} can't be decoded, or names a segment that is not there"
            ));
            return;
        };
        let Some(old) = before.and_then(|item| self.whole(card, &item.bytes)) else {
            return;
        };
        if new.next_seq() < old.next_seq() {
            self.broken.push(format!(
                "I5: card {card}: {} events after {}",
                new.next_seq(),
                old.next_seq()
            ));
        }
        let key = |entry: &&Entry| (entry.event_fp, entry.time_ms, entry.seq);
        let kept: BTreeSet<_> = new.all_entries().iter().map(key).collect();
        let lost = old.all_entries().into_iter().find(|entry| {
            !kept.contains(&key(entry)) && new.floor_ms().is_none_or(|floor_ms| entry.time_ms > floor_ms)
        });
        if let Some(lost) = lost {
            self.broken
                .push(format!("I5: card {card}: version {number} lost event {}", lost.seq));
        }
    }
}
