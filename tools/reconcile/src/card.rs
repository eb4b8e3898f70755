//! A card's stored items, as they are held against the outcomes that were sent.

use std::collections::HashMap;

use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::EventKey;

use crate::Broken;
use crate::evidence::{CardFacts, OutcomeHead, digest};

/// What the table holds of a card: plain values, as they were read.
#[derive(Clone, Debug, Default)]
pub struct StoredCard {
    /// Its encoded state.
    pub state: Option<Vec<u8>>,
    /// Its sealed segments, encoded.
    pub segments: HashMap<SegmentKey, Vec<u8>>,
    /// The version of its profile.
    pub profile_version: Option<u64>,
    /// The outcomes of its recorded decisions, as JSON.
    pub decisions: Vec<Vec<u8>>,
}

impl StoredCard {
    /// The state with the sealed segments that it names, as far as they are there.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn whole_state(&self) -> Result<Option<History>, Broken> {
        let Some(bytes) = &self.state else { return Ok(None) };
        let state = History::decode(bytes);
        let mut state = state.map_err(|error| Broken::new("the state", error))?;
        supply(&mut state, &self.segments)?;
        Ok(Some(state))
    }

    /// What the account needs of it.
    ///
    /// # Errors
    /// When something of it can't be read.
    pub fn facts(&self) -> Result<CardFacts, Broken> {
        let state = self.whole_state()?;
        Ok(self.facts_with(state.as_ref()))
    }

    pub(crate) fn facts_with(&self, state: Option<&History>) -> CardFacts {
        let mut facts = CardFacts::of_profile(self.profile_version);
        if let Some(state) = state {
            facts.take_state(state);
        }
        facts
    }

    /// The digests of the recorded decisions, by their events. Which event one is of, its outcome says, so that decisions that
    /// were recorded by an event's id alone are found, too.
    pub(crate) fn decisions(&self) -> Result<HashMap<EventKey, Vec<u128>>, Broken> {
        let mut decisions: HashMap<EventKey, Vec<u128>> = HashMap::new();
        for outcome in &self.decisions {
            let event = OutcomeHead::read(outcome)?.event()?;
            decisions.entry(event).or_default().push(digest(outcome));
        }
        Ok(decisions)
    }
}

/// Hands a state the sealed segments that it names, as far as they are there.
///
/// # Errors
/// When one can't be read.
pub fn supply(state: &mut History, segments: &HashMap<SegmentKey, Vec<u8>>) -> Result<(), Broken> {
    loop {
        let missing = state.missing_segments();
        let found: Vec<_> = missing
            .iter()
            .filter_map(|key| segments.get(key).map(|bytes| (*key, bytes)))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        for (key, bytes) in found {
            let supplied = state.supply_segment(key, bytes);
            supplied.map_err(|error| Broken::new("a sealed segment", error))?;
        }
    }
}
