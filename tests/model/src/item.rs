//! Items and outcomes by number, and what each item holds.

use std::collections::HashMap;

use tidemark_domain::fold::fold_transaction;
use tidemark_domain::history::{Entry, History};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::render::render_json;
use tidemark_engine::port::{StateItem, StateVersion};

use crate::scenario::{EVENTS, Scenario};

/// The number of an item that was written or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u16);

/// The number of an outcome's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutcomeId(pub u16);

/// What an item holds.
#[derive(Clone, Debug)]
pub struct ItemFacts {
    /// The item.
    pub item: StateItem,
    /// How often it holds each event.
    pub times: [u8; EVENTS],
    /// The outcome of each event that it holds.
    pub outcomes: [Option<OutcomeId>; EVENTS],
    /// Whether its bytes are those of the plain fold of its events, in the order in which they were accepted.
    pub is_fold: bool,
}

impl ItemFacts {
    /// Whether it holds all that the other holds: its events, each with its outcome.
    #[must_use]
    pub fn holds_all_of(&self, other: &Self) -> bool {
        (0..EVENTS).all(|event| {
            let is_same = other.outcomes[event].is_none() || self.outcomes[event] == other.outcomes[event];
            is_same && self.times[event] >= other.times[event]
        })
    }
}

/// All items and outcomes seen so far.
#[derive(Debug, Default)]
pub struct Items {
    facts: Vec<ItemFacts>,
    ids: HashMap<(StateVersion, Vec<u8>), ItemId>,
    outcomes: Vec<(usize, Vec<u8>)>,
    outcome_ids: HashMap<Vec<u8>, OutcomeId>,
}

impl Items {
    /// What is known of an item.
    #[must_use]
    pub fn facts(&self, id: ItemId) -> &ItemFacts {
        &self.facts[usize::from(id.0)]
    }

    /// The event that an outcome speaks of.
    #[must_use]
    pub fn event_of(&self, id: OutcomeId) -> usize {
        self.outcomes[usize::from(id.0)].0
    }

    /// The number of an item.
    ///
    /// # Errors
    /// When its bytes can't be decoded or hold an event that was never delivered.
    pub fn intern(&mut self, scenario: &Scenario, item: &StateItem) -> Result<ItemId, String> {
        let key = (item.version, item.bytes.clone());
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let facts = self.facts_of(scenario, item)?;
        let id = ItemId(u16::try_from(self.facts.len()).map_err(|error| error.to_string())?);
        self.facts.push(facts);
        self.ids.insert(key, id);
        Ok(id)
    }

    /// The number of an outcome's bytes.
    ///
    /// # Errors
    /// When it names no event of the scenario.
    pub fn intern_outcome(&mut self, scenario: &Scenario, bytes: &[u8]) -> Result<OutcomeId, String> {
        if let Some(id) = self.outcome_ids.get(bytes) {
            return Ok(*id);
        }
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let event = (0..EVENTS)
            .find(|event| value["event_id"] == scenario.transactions[*event].event_id.as_str())
            .ok_or("an outcome of an unknown event")?;
        let id = OutcomeId(u16::try_from(self.outcomes.len()).map_err(|error| error.to_string())?);
        self.outcomes.push((event, bytes.to_vec()));
        self.outcome_ids.insert(bytes.to_vec(), id);
        Ok(id)
    }

    fn facts_of(&mut self, scenario: &Scenario, item: &StateItem) -> Result<ItemFacts, String> {
        let state = History::decode(&item.bytes).map_err(|error| error.to_string())?;
        let mut facts = ItemFacts {
            item: item.clone(),
            times: [0; EVENTS],
            outcomes: [None; EVENTS],
            is_fold: fold(scenario, &state)?.encode() == item.bytes,
        };
        for entry in state.entries() {
            let event = scenario.event_of(entry.event_fp).ok_or("an unknown event")?;
            facts.times[event] += 1;
            let tx = &scenario.transactions[event];
            let bytes = render_json(&tx.card_id, &tx.event_id, entry);
            facts.outcomes[event] = Some(self.intern_outcome(scenario, &bytes)?);
        }
        Ok(facts)
    }
}

/// The plain fold of what a state holds, with no batch, no store and no cache.
fn fold(scenario: &Scenario, state: &History) -> Result<History, String> {
    let mut entries: Vec<&Entry> = state.entries().iter().collect();
    entries.sort_by_key(|entry| entry.seq);
    let mut folded = History::default();
    for entry in entries {
        let event = scenario.event_of(entry.event_fp).ok_or("an unknown event")?;
        let tx = &scenario.transactions[event];
        let _ = fold_transaction(&mut folded, tx, ProfileInput::Absent, &scenario.policy);
    }
    Ok(folded)
}
