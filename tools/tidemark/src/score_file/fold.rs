//! The fold over lines: one state and one profile a card.

use std::collections::HashMap;

use tidemark_domain::catalogue::FeatureValue;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Label, Profile, Transaction};
use tidemark_domain::fold::{self, Applied, LabelApplied};
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::measure;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::{Refusal, RefusalCode};
use tidemark_domain::render::render_json;

use tidemark_engine::config::SEGMENT_ROUNDS_MAX;

use super::vault::Vault;
use super::{Arrival, ScoreSummary};

/// With no arrival time, the contract's bounds on time are this wide, ms: no time that it can read is outside.
const UNBOUNDED_MS: i64 = i64::MAX / 4;

/// What is kept of a card.
#[derive(Default)]
pub(super) struct Card {
    pub(super) state: History,
    pub(super) vault: Vault,
    profile: Option<Profile>,
}

impl Card {
    /// Hands over segments that the fold needs. They are always there, but for a bug.
    fn supply(&mut self, keys: &[SegmentKey]) -> Result<(), Refusal> {
        if self.vault.supply(&mut self.state, keys) {
            return Ok(());
        }
        let detail = "occurred_at_ms: among sealed events that are not at hand";
        Err(Refusal::new(RefusalCode::BeyondHorizon, detail))
    }
}

/// Folds events one by one; the stream's own fold with a map for a store.
pub struct FileFold {
    policy: Policy,
    bounds: contract::Bounds,
    arrival_ms: i64,
    features: bool,
    pub(super) cards: HashMap<CardId, Card>,
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
    pub fn state(&self, card: &CardId) -> Option<&History> {
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
                match self.label(&label)? {
                    LabelApplied::Recorded => self.summary.labels += 1,
                    LabelApplied::Already => self.summary.duplicate += 1,
                    LabelApplied::UnknownEvent | LabelApplied::NeedsSegments(_) => {
                        let detail = "the card's history does not hold the event that the label names";
                        return Err(Refusal::new(RefusalCode::LabelWithoutEvent, detail));
                    }
                }
                Ok(false)
            }
        }
    }

    fn label(&mut self, label: &Label) -> Result<LabelApplied, Refusal> {
        let Some(card) = self.cards.get_mut(&label.card_id) else {
            return Ok(LabelApplied::UnknownEvent);
        };
        for _ in 0..SEGMENT_ROUNDS_MAX {
            match fold::apply_label(&mut card.state, label, &self.policy) {
                LabelApplied::NeedsSegments(keys) => card.supply(&keys)?,
                applied => {
                    card.vault.keep(&mut card.state, &self.policy);
                    return Ok(applied);
                }
            }
        }
        Ok(LabelApplied::UnknownEvent)
    }

    fn transaction(&mut self, tx: &Transaction) -> Result<bool, Refusal> {
        let card = match self.cards.get_mut(&tx.card_id) {
            Some(card) => card,
            None => self.cards.entry(tx.card_id.clone()).or_default(),
        };
        let is_behind = card
            .state
            .newest_ms()
            .is_some_and(|newest_ms| tx.occurred_at_ms < newest_ms);
        // Features are measured beside the fold: kept in every entry of every card they would take most of the memory.
        let apart = self.features && !self.policy.outcome_features;
        let (applied, values) = apply(card, tx, &self.policy, apart)?;
        card.vault.keep(&mut card.state, &self.policy);
        let entry = match applied {
            Applied::Scored { entry } => entry,
            Applied::Duplicate { .. } => {
                self.summary.duplicate += 1;
                return Ok(false);
            }
            Applied::Refused(refusal) => return Err(refusal),
            Applied::NeedsSegments(keys) => {
                card.supply(&keys)?;
                return Err(Refusal::new(
                    RefusalCode::BeyondHorizon,
                    "occurred_at_ms: deeper than any history",
                ));
            }
        };
        self.summary.scored += 1;
        self.summary.out_of_order += u64::from(is_behind);
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
                render_json(&tx.card_id, &tx.event_id, &entry)
            }
            None => render_json(&tx.card_id, &tx.event_id, &entry),
        };
        Ok(true)
    }
}

/// What an event did to its card, and the policy's features as of it where they are asked for.
fn apply(
    card: &mut Card,
    tx: &Transaction,
    policy: &Policy,
    features: bool,
) -> Result<(Applied, Option<Vec<FeatureValue>>), Refusal> {
    let mut rounds = 0;
    loop {
        let needs = if features {
            fold::segments_of_windows(&card.state, tx, policy)
        } else {
            Vec::new()
        };
        let (applied, values) = if needs.is_empty() {
            let profile = card.profile.as_ref();
            let values = features.then(|| measure::compute(&card.state, tx, profile, policy).into_values());
            let input = profile.map_or(ProfileInput::Absent, ProfileInput::Known);
            (fold::apply_transaction(&mut card.state, tx, input, policy), values)
        } else {
            (Applied::NeedsSegments(needs), None)
        };
        rounds += 1;
        match applied {
            Applied::NeedsSegments(keys) if rounds < SEGMENT_ROUNDS_MAX => card.supply(&keys)?,
            applied => return Ok((applied, values)),
        }
    }
}
