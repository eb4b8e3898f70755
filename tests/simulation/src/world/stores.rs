//! What the services hold: the table, the streams, the queues, the control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidemark_domain::control::item::Fields;
use tidemark_domain::control::lists::{NamedLists, list_part_fields};
use tidemark_domain::control::{ActivePointer, Change, ModeSetting, Overrides, PolicyVersion, Stamp};
use tidemark_domain::lists::{List, ListPartKey};
use tidemark_engine::control::ControlItems;
use tidemark_engine::port::{OutcomeRecord, PortError};

use super::known::Known;
use super::limits::{Capacity, Limit};
use super::queue::Queue;
use super::tables::{DecisionKey, Tables, Ttl};
use crate::stream::Stream;

/// An outcome in the scores stream.
#[derive(Clone, Debug)]
pub struct SentOutcome {
    /// What was sent.
    pub outcome: OutcomeRecord,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
}

/// The control plane's items.
#[derive(Clone, Debug, Default)]
pub struct ControlStore {
    /// Which policy is in force.
    pub pointer: Option<ActivePointer>,
    /// How to work.
    pub mode: Option<ModeSetting>,
    /// What somebody decided for single cards.
    pub overrides: Option<(Overrides, Stamp)>,
    /// Published policies.
    pub policies: BTreeMap<u32, PolicyVersion>,
    /// Which lists there are.
    pub lists: Option<(NamedLists, Stamp)>,
    /// Parts and manifests of lists.
    pub list_parts: BTreeMap<ListPartKey, Vec<u8>>,
    /// Every content that a list had.
    pub list_contents: Vec<Arc<List>>,
    /// Every change there was.
    pub changes: Vec<Change>,
    /// Which version came into force when, ms since 1970-01-01T00:00:00Z.
    pub activations: Vec<(i64, u32)>,
}

impl ControlStore {
    /// As a function reads them.
    #[must_use]
    pub fn items(&self) -> ControlItems {
        ControlItems {
            active: self.pointer.as_ref().map(ActivePointer::to_fields),
            mode: self.mode.as_ref().map(ModeSetting::to_fields),
            overrides: self
                .overrides
                .as_ref()
                .map(|(overrides, stamp)| overrides.to_fields(stamp)),
            lists: self.lists.as_ref().map(|(lists, stamp)| lists.to_fields(stamp)),
            maps: None,
        }
    }

    /// Parts and manifests of lists as a function reads them.
    #[must_use]
    pub fn list_parts(&self, keys: &[ListPartKey]) -> BTreeMap<ListPartKey, Fields> {
        let stamp = self.lists.as_ref().map(|(_, stamp)| stamp.clone());
        let found = keys.iter().filter_map(|key| {
            let bytes = self.list_parts.get(key)?.clone();
            Some((*key, list_part_fields(bytes, stamp.as_ref()?)))
        });
        found.collect()
    }

    /// A published policy as a function reads it.
    #[must_use]
    pub fn policy(&self, version: u32) -> Option<Fields> {
        self.policies.get(&version).map(PolicyVersion::to_fields)
    }
}

/// The services' own rules, and which of them an ablation takes away.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether items are dropped after their time; `None`: never.
    pub ttl: Option<Ttl>,
    /// What a shard and a partition take in a second; `None`: anything.
    pub capacity: Option<Capacity>,
    /// An ablation: a write's condition is not looked at.
    pub ignores_conditions: bool,
    /// An ablation: a write's condition looks at the number alone, not at what was read.
    pub ignores_tags: bool,
    /// An ablation: cards are told apart without their case and spaces.
    pub folds_ids: bool,
    /// An ablation: a decision is known by card and id, without its event's time.
    pub decisions_without_time: bool,
    /// An ablation: one write of a key's labelled history in four is answered, and not done.
    pub loses_key_writes: bool,
    /// An ablation: a label that is taken is there twice, of two minds of what its card says of the event.
    pub doubles_labels: bool,
    /// An ablation: whoever reads a key finds its labels known since their events.
    pub knows_too_early: bool,
    /// Whether which record ended under which policy is noted.
    pub notes_ends: bool,
    /// An ablation: writes of a call that are refused are said to be done.
    pub hides_refused_writes: bool,
    /// An ablation: what a busy shard leaves out is not said to be left out.
    pub hides_left_out: bool,
}

/// What the services hold.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// The time, ms since 1970-01-01T00:00:00Z.
    pub now_ms: i64,
    /// The table.
    pub tables: Tables,
    /// The table as it was when somebody made a backup of it.
    pub backup: Option<Box<Tables>>,
    /// The control plane.
    pub control: ControlStore,
    /// The stream of transactions.
    pub stream: Stream,
    /// Outcomes in the order they were taken.
    pub outcomes: Vec<SentOutcome>,
    /// Refused records.
    pub quarantine: Queue,
    /// Batches that were given up.
    pub dead_letter: Queue,
    /// What can't be redriven.
    pub unrecoverable: Queue,
    /// Trials that were kept: batches.
    pub trials: u64,
    /// Calls that a limit refused, or of which it took a part.
    pub limited: u64,
    /// What the simulator knows.
    pub known: Known,
    /// The services' rules.
    pub rules: Rules,
    /// Records that ended in a batch whose mode withholds outcomes, by shard and number.
    pub withheld: BTreeSet<(String, String)>,
}

impl Stores {
    /// The name under which the store knows a card.
    pub(crate) fn card_key(&self, card: &str) -> String {
        if self.rules.folds_ids {
            card.trim().to_lowercase()
        } else {
            card.to_owned()
        }
    }

    /// What a decision on an event is known by.
    pub(crate) fn decision_key(&self, event: &DecisionKey) -> DecisionKey {
        let time_ms = if self.rules.decisions_without_time { 0 } else { event.2 };
        (event.0.clone(), event.1.clone(), time_ms)
    }

    /// Takes so much of the limit of each card's partition, for one call: what a call asks of a partition is asked at once.
    ///
    /// # Errors
    /// When a partition is busy.
    pub(crate) fn units(&mut self, limit: Limit, wanted: &[(&str, u64)]) -> Result<(), PortError> {
        let now_ms = self.now_ms;
        let Some(capacity) = &mut self.rules.capacity else {
            return Ok(());
        };
        let mut of_part: BTreeMap<u64, u64> = BTreeMap::new();
        for (card, amount) in wanted {
            *of_part.entry(capacity.part(card)).or_default() += amount;
        }
        for (part, amount) in of_part {
            if !capacity.take(limit, part, amount, now_ms) {
                self.limited += 1;
                return Err(PortError::Throttled("the partition is busy".to_owned()));
            }
        }
        Ok(())
    }

    /// Drops a card's state when its time is over.
    pub(crate) fn expire_state(&mut self, card: &str) {
        let (Some(ttl), Some(item)) = (self.rules.ttl, self.tables.states.get(card)) else {
            return;
        };
        if ttl.is_dropped(card, item.written_ms, item.expires_at_s, self.now_ms) {
            let item = self.tables.states.remove(card);
            self.known.dropped += 1;
            if let (Some(item), Some(lives)) = (item, self.tables.lives.get_mut(card))
                && let Some(life) = lives.last_mut()
            {
                life.ended = Some(item.now.bytes);
                life.last = None;
            }
        }
    }

    /// Takes outcomes, as far as the shards have room; answers which were left out.
    pub(crate) fn take_outcomes(&mut self, outcomes: &[OutcomeRecord], left_out: u64) -> Vec<usize> {
        let now_ms = self.now_ms;
        let mut not_taken = Vec::new();
        for (at, outcome) in outcomes.iter().enumerate() {
            let has_room = self.rules.capacity.as_mut().is_none_or(|capacity| {
                let part = capacity.part(outcome.card_id.as_str());
                capacity.take(Limit::ScoresBytes, part, outcome.bytes.len() as u64, now_ms)
                    && capacity.take(Limit::ScoresRecords, part, 1, now_ms)
            });
            self.limited += u64::from(!has_room);
            if !has_room || left_out >> (at % 64) & 1 == 1 {
                not_taken.push(at);
            } else {
                self.outcomes.push(SentOutcome {
                    outcome: outcome.clone(),
                    arrival_ms: now_ms,
                });
            }
        }
        if self.rules.hides_left_out {
            not_taken.clear();
        }
        not_taken
    }
}
