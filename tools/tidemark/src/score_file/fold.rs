//! The fold over lines: one state and one profile a card.

use std::collections::HashMap;

use tidemark_domain::card::CardState;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Profile, Transaction};
use tidemark_domain::feature;
use tidemark_domain::fold::{self, Applied, LabelApplied};
use tidemark_domain::id::CardId;
use tidemark_domain::outcome::{self, Decision};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::{Refusal, RefusalCode};
use tidemark_domain::score::ProfileInput;

use super::{Arrival, ScoreSummary};

/// With no arrival time, the contract's bounds on time are this wide, ms: no time that it can read is outside.
const UNBOUNDED_MS: i64 = i64::MAX / 4;

/// What is kept of a card.
#[derive(Default)]
struct Card {
    state: CardState,
    profile: Option<Profile>,
}

/// Folds events one by one; the stream's own fold with a map for a store.
pub struct FileFold {
    policy: Policy,
    bounds: contract::Bounds,
    arrival_ms: i64,
    features: bool,
    cards: HashMap<CardId, Card>,
    line: Vec<u8>,
    summary: ScoreSummary,
}

impl FileFold {
    /// An empty fold. With `features` each outcome carries the value of every feature of the policy.
    #[must_use]
    pub fn new(policy: Policy, features: bool, arrival: Arrival) -> Self {
        let mut bounds = policy.bounds;
        let arrival_ms = match arrival {
            Arrival::AtEventTime => {
                (bounds.skew_ms, bounds.lateness_ms) = (UNBOUNDED_MS, UNBOUNDED_MS);
                0
            }
            Arrival::At(arrival_ms) => arrival_ms,
        };
        Self {
            policy,
            bounds,
            arrival_ms,
            features,
            cards: HashMap::new(),
            line: Vec::new(),
            summary: ScoreSummary::default(),
        }
    }

    /// Applies one event; a newly scored transaction gives its outcome.
    ///
    /// # Errors
    /// The refusal, when the contract or the fold refuses it.
    pub fn apply(&mut self, payload: &[u8]) -> Result<Option<&[u8]>, Refusal> {
        self.summary.lines += 1;
        match self.fold(payload) {
            Ok(true) => Ok(Some(&self.line)),
            Ok(false) => Ok(None),
            Err(refusal) => {
                *self.summary.refused.entry(refusal.code.as_str()).or_default() += 1;
                Err(refusal)
            }
        }
    }

    /// Counts a line that was too long to be read whole.
    pub fn refuse_oversize(&mut self, bytes: u64) -> Refusal {
        self.summary.lines += 1;
        *self.summary.refused.entry(RefusalCode::TooLarge.as_str()).or_default() += 1;
        let limit = self.bounds.payload_bytes_max;
        Refusal::new(
            RefusalCode::TooLarge,
            format!("{bytes} bytes, at most {limit} are taken"),
        )
    }

    /// A card's state, as of the lines so far.
    #[must_use]
    pub fn state(&self, card: &CardId) -> Option<&CardState> {
        self.cards.get(card).map(|card| &card.state)
    }

    /// What became of the lines.
    #[must_use]
    pub fn into_summary(mut self) -> ScoreSummary {
        self.summary.cards = self.cards.len() as u64;
        self.summary
    }

    /// Whether there is an outcome in `self.line`.
    fn fold(&mut self, payload: &[u8]) -> Result<bool, Refusal> {
        let decoded = contract::decode(payload, self.arrival_ms, &self.bounds)?;
        self.summary.unknown_fields += u64::from(decoded.unknown_fields);
        match decoded.event {
            Event::Transaction(tx) => self.transaction(&tx),
            Event::Profile(profile) => {
                let card = self.cards.entry(profile.card_id.clone()).or_default();
                if card
                    .profile
                    .as_ref()
                    .is_some_and(|known| known.version >= profile.version)
                {
                    self.summary.duplicate += 1;
                } else {
                    card.profile = Some(profile);
                    self.summary.profiles += 1;
                }
                Ok(false)
            }
            Event::Label(label) => {
                let known = self.cards.get_mut(&label.card_id);
                match known.map_or(LabelApplied::UnknownEvent, |card| {
                    fold::apply_label(&mut card.state, &label)
                }) {
                    LabelApplied::Recorded => self.summary.labels += 1,
                    LabelApplied::Already => self.summary.duplicate += 1,
                    // A card here has all its segments at hand.
                    LabelApplied::UnknownEvent | LabelApplied::NeedsSegments(_) => {
                        let detail = "the card's history does not hold the event that the label names";
                        return Err(Refusal::new(RefusalCode::LabelWithoutEvent, detail));
                    }
                }
                Ok(false)
            }
        }
    }

    fn transaction(&mut self, tx: &Transaction) -> Result<bool, Refusal> {
        let card = match self.cards.get_mut(&tx.card_id) {
            Some(card) => card,
            None => self.cards.entry(tx.card_id.clone()).or_default(),
        };
        let profile = card.profile.as_ref();
        // Features are measured beside the fold: kept in every entry of every card they would take most of the memory.
        let apart = self.features && !self.policy.outcome_features;
        let (seen, by) = match self.policy.low_risk_for(tx) {
            Some(cheap) => (None, cheap),
            None => (profile, &self.policy),
        };
        let values = apart.then(|| feature::compute(&card.state, tx, seen, by).into_values());
        let input = profile.map_or(ProfileInput::Absent, ProfileInput::Known);
        let entry = match fold::apply_transaction(&mut card.state, tx, input, &self.policy) {
            Applied::Scored { entry } => entry,
            Applied::Duplicate { .. } => {
                self.summary.duplicate += 1;
                return Ok(false);
            }
            Applied::Refused(refusal) => return Err(refusal),
            Applied::NeedsSegments(_) => {
                return Err(Refusal::new(
                    RefusalCode::BeyondHorizon,
                    "occurred_at_ms: among sealed events that are not at hand",
                ));
            }
        };
        self.summary.scored += 1;
        let decision = match entry.outcome.decision {
            Decision::Pass => "pass",
            Decision::Review => "review",
            Decision::Alert => "alert",
        };
        *self.summary.decisions.entry(decision).or_default() += 1;
        self.line = match values {
            Some(values) => {
                let mut entry = entry;
                entry.outcome.features = values;
                outcome::render_json(&tx.card_id, &tx.event_id, &entry)
            }
            None => outcome::render_json(&tx.card_id, &tx.event_id, &entry),
        };
        Ok(true)
    }
}
