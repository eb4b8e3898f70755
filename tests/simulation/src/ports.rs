//! The engine's ports and the redrive's on the world's stores.

mod control;
mod redrive;

use std::sync::{Arc, Mutex, PoisonError};

use tidemark_domain::control::Mode;
use tidemark_domain::control::trial::{TrialBatch, TrialKey};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::invariant::Invariant;
use tidemark_engine::port::{
    Answers, Clock, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, OutcomeRecord, PortError, PutOnce,
    Quarantine, QuarantineMessage, ScoreSink, SegmentItem, StateItem, StateStore, StateWrite, Units,
};

use crate::world::known::Judged;
use crate::world::limits::{Limit, read_units, write_units};
use crate::world::tables::{DecisionKey, SegmentValue, Versions};
use crate::world::{Fault, Life, Op, Stores, Ticket, World};

pub use control::Steered;
pub use redrive::{Which, WorldQueue};

/// One process's way to the world: every port. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Ports {
    pub(crate) world: Arc<World>,
    life: Life,
    name: Arc<str>,
    /// How far the process's clock is off, ms.
    skew_ms: i64,
    /// By what its batch is judged.
    judged: Arc<Mutex<Judged>>,
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
            judged: Arc::default(),
        }
    }

    /// Notes by what the next batch is judged.
    pub fn judge(&self, judged: Judged) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged;
    }

    fn judged(&self) -> Judged {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T, E: From<PortError>>(
        &self,
        op: Op,
        apply: impl FnOnce(&mut Stores, &Ticket) -> Result<T, E>,
    ) -> Result<T, E> {
        self.world.call(op, &self.name, &self.life, apply).await
    }
}

const fn free<T>(value: T) -> Metered<T> {
    Metered {
        value,
        units: Units { write: 0.0, read: 0.0 },
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
            let names: Vec<String> = cards.iter().map(|card| stores.card_key(card.as_str())).collect();
            let mut items = Vec::with_capacity(cards.len());
            let mut wanted = Vec::with_capacity(cards.len());
            for card in &names {
                stores.expire_state(card);
                let item = read(stores.tables.states.get(card), stale);
                wanted.push((
                    card.as_str(),
                    read_units(item.as_ref().map_or(0, |item| item.bytes.len())),
                ));
                items.push(item);
            }
            stores.units(Limit::ReadUnits, &wanted)?;
            Ok(free(items))
        })
        .await
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        self.call(Op::LoadProfiles, |stores, ticket| {
            let stale = ticket.fault == Some(Fault::Stale);
            let profile = |card: &CardId| read(stores.tables.profiles.get(card.as_str()), stale);
            Ok(free(cards.iter().map(profile).collect()))
        })
        .await
    }

    async fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        self.call(Op::LoadSegments, |stores, ticket| {
            // A segment is written once: before that write it was not there.
            let stale = freshness == Freshness::Eventual && ticket.fault == Some(Fault::Stale);
            let mut found = Vec::with_capacity(segments.len());
            for (card, key) in segments {
                let card = stores.card_key(card.as_str());
                let place = (card.clone(), *key);
                let (ttl, now_ms) = (stores.rules.ttl, stores.now_ms);
                let is_dropped = |value: &SegmentValue| {
                    ttl.is_some_and(|ttl| ttl.is_dropped(&card, value.written_ms, value.expires_at_s, now_ms))
                };
                if stores.tables.segments.get(&place).is_some_and(is_dropped) {
                    stores.tables.segments.remove(&place);
                }
                let segment = stores.tables.segments.get(&place).filter(|_| !stale);
                found.push(segment.map(|value| value.bytes.to_vec()));
            }
            Ok(free(found))
        })
        .await
    }

    async fn put_segments(&self, segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        self.call(Op::PutSegments, |stores, _| {
            let names: Vec<String> = segments
                .iter()
                .map(|item| stores.card_key(item.card_id.as_str()))
                .collect();
            let sizes = segments.iter().map(|item| write_units(item.bytes.len()));
            let wanted: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(sizes).collect();
            stores.units(Limit::WriteUnits, &wanted)?;
            for (item, card) in segments.iter().zip(names) {
                let value = SegmentValue {
                    bytes: item.bytes.as_slice().into(),
                    written_ms: stores.now_ms,
                    expires_at_s: item.expires_at_s,
                };
                stores.tables.segments.insert((card, item.key), value);
            }
            Ok(free(()))
        })
        .await
    }

    async fn load_state(&self, card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.call(Op::LoadState, |stores, _| {
            let card = stores.card_key(card.as_str());
            stores.expire_state(&card);
            let item = read(stores.tables.states.get(&card), false);
            let units = read_units(item.as_ref().map_or(0, |item| item.bytes.len()));
            stores.units(Limit::ReadUnits, &[(&card, 2 * units)])?;
            Ok(free(item))
        })
        .await
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let judged = self.judged();
        self.call(Op::Commit, |stores, ticket| {
            let done = stores.rules.hides_refused_writes.then_some(Commit::Written);
            each(writes, ticket, done.as_ref(), |write| stores.commit(write, judged))
        })
        .await
    }

    async fn load_keys(&self, keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        self.call(Op::LoadKeys, |stores, ticket| {
            stores.read_keys(keys, ticket.fault == Some(Fault::Stale)).map(free)
        })
        .await
    }

    async fn load_key(&self, key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        self.call(Op::LoadKey, |stores, _| stores.read_key(key).map(free)).await
    }

    async fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        self.call(Op::CommitKeys, |stores, ticket| {
            let done = stores.rules.hides_refused_writes.then_some(Commit::Written);
            each(writes, ticket, done.as_ref(), |write| stores.commit_key(write))
        })
        .await
    }

    async fn put_profile(&self, profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        self.call(Op::PutProfile, |stores, _| {
            let key = profile.card_id.as_str();
            let before = stores.tables.profiles.get(key).map(|versions| versions.now.clone());
            if before.as_ref().is_some_and(|stored| stored.version >= profile.version) {
                return Ok(free(PutOnce::Already));
            }
            let versions = Versions {
                now: profile.clone(),
                before,
                written_ms: stores.now_ms,
                expires_at_s: i64::MAX,
            };
            stores.tables.profiles.insert(key.to_owned(), versions);
            Ok(free(PutOnce::Written))
        })
        .await
    }

    async fn put_trials(&self, _: &TrialKey, _: &TrialBatch, _: i64) -> Result<Metered<()>, PortError> {
        self.call(Op::PutTrials, |stores, _| {
            stores.trials += 1;
            Ok(free(()))
        })
        .await
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        self.call(Op::PutDecisions, |stores, ticket| {
            let done = stores.rules.hides_refused_writes.then_some(PutOnce::Written);
            each(decisions, ticket, done.as_ref(), |decision| {
                let key = stores.decision_key(&event_key(decision));
                if stores.tables.decisions.contains_key(&key) {
                    return Ok(PutOnce::Already);
                }
                stores.tables.decisions.insert(key, decision.clone());
                Ok(PutOnce::Written)
            })
        })
        .await
    }
}

/// Carries out the writes of a call, one after the other, as far as its fault lets them: of a call that is cut, those before
/// the cut; of a call that is taken in part, some are throttled, and some happen and are said to have failed. An ablation tells
/// of those that are throttled that they are `done`.
fn each<W, T: Clone>(
    writes: &[Arc<W>],
    ticket: &Ticket,
    done: Option<&T>,
    mut write_one: impl FnMut(&W) -> Result<T, PortError>,
) -> Answers<T> {
    let left_out = left_out(ticket);
    let reached = writes.iter().enumerate().take(ticket.reached(writes.len()));
    let answers = reached.map(|(at, write)| {
        let (is_left_out, is_done) = (left_out >> (at % 32) & 1 == 1, left_out >> (32 + at % 32) & 1 == 1);
        match (is_left_out, is_done) {
            (true, false) => done
                .cloned()
                .ok_or_else(|| PortError::Throttled("simulated".to_owned())),
            (true, true) => {
                write_one(write)?;
                Err(PortError::Unavailable("simulated".to_owned()))
            }
            (false, _) => write_one(write),
        }
    });
    Ok(free(answers.collect()))
}

/// The event of a decision: card, id and event time.
fn event_key(decision: &DecisionItem) -> DecisionKey {
    let event = &decision.event;
    (
        event.card_id.to_string(),
        event.event_id.to_string(),
        event.occurred_at_ms,
    )
}

impl ScoreSink for Ports {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        let is_withheld = self.judged().mode == Mode::Shadow;
        self.call(Op::Send, |stores, ticket| {
            if is_withheld {
                let words = "outcomes were sent in the mode shadow".to_owned();
                stores.known.broken.push((Invariant::DegradedIsSaid, words));
            }
            Ok(stores.take_outcomes(outcomes, left_out(ticket)))
        })
        .await
    }
}

impl Quarantine for Ports {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        self.call(Op::Quarantine, |stores, ticket| {
            let left_out = left_out(ticket);
            let mut not_taken = Vec::new();
            for (at, message) in messages.iter().enumerate() {
                if left_out >> (at % 64) & 1 == 1 {
                    not_taken.push(at);
                } else {
                    let body = serde_json::to_string(message).unwrap_or_default();
                    stores.quarantine.send(body, stores.now_ms);
                }
            }
            Ok(not_taken)
        })
        .await
    }
}

/// Which items a sink leaves out, as bits of their places.
fn left_out(ticket: &Ticket) -> u64 {
    if ticket.fault == Some(Fault::Partial) {
        ticket.left_out
    } else {
        0
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
