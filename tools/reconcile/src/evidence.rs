//! Everything durable that shows where a record ended.

use std::collections::HashMap;

use serde::Deserialize;
use tidemark_domain::history::{EventMark, History};
use tidemark_domain::id::{CardId, EventId, EventKey};
use tidemark_engine::port::KeyId;
use tidemark_engine::record::compare_sequence_numbers;
use xxhash_rust::xxh3::xxh3_128;

use crate::Broken;
use crate::keys::KeysInForce;
use crate::quarantine::Quarantined;
use crate::record::{Claim, Record};

/// The digest by which outcomes are compared.
#[must_use]
pub fn digest(outcome: &[u8]) -> u128 {
    xxh3_128(outcome)
}

/// Copies of one event's outcome, as the scores stream gives them back.
#[derive(Clone, Debug)]
pub struct OutcomeCopies {
    /// The first copy's bytes; empty where only their digest is kept.
    pub bytes: Vec<u8>,
    /// The [`digest`] of the first copy's bytes.
    pub digest: u128,
    /// Whether the decision is to alert.
    pub alert: bool,
    /// When the scores stream took the first copy, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// When it took the last one, ms since 1970-01-01T00:00:00Z.
    pub last_arrival_ms: i64,
    /// How many copies there are.
    pub copies: u64,
    /// Whether all copies are the same, byte for byte (I3).
    pub identical: bool,
}

/// What an outcome is about.
#[derive(Deserialize)]
pub(crate) struct OutcomeHead<'a> {
    #[serde(borrow)]
    event_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    card_id: std::borrow::Cow<'a, str>,
    occurred_at_ms: i64,
    #[serde(borrow)]
    decision: std::borrow::Cow<'a, str>,
}

impl<'a> OutcomeHead<'a> {
    pub(crate) fn read(outcome: &'a [u8]) -> Result<Self, Broken> {
        serde_json::from_slice(outcome).map_err(|error| Broken::new("an outcome", error))
    }

    pub(crate) fn event(&self) -> Result<EventKey, Broken> {
        let event = EventKey::new(&self.card_id, &self.event_id, self.occurred_at_ms);
        event.ok_or_else(|| Broken {
            what: "an outcome: its ids are none".to_owned(),
            why: None,
        })
    }
}

/// One outcome record of the scores stream, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of which event.
    pub event: EventKey,
    /// When the scores stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    digest: u128,
    alert: bool,
}

impl Outcome {
    /// Reads an outcome.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(arrival_ms: i64, bytes: &[u8]) -> Result<Self, Broken> {
        let head = OutcomeHead::read(bytes)?;
        Ok(Self {
            event: head.event()?,
            arrival_ms,
            digest: digest(bytes),
            alert: head.decision == "alert",
        })
    }
}

/// A range of records of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceRange {
    /// Its shard.
    pub shard_id: String,
    /// First sequence number.
    pub start: String,
    /// Last sequence number.
    pub end: String,
}

impl SequenceRange {
    /// Whether a record lies in it.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        let number = &record.sequence_number;
        self.shard_id == *record.shard_id
            && compare_sequence_numbers(&self.start, number).is_le()
            && compare_sequence_numbers(number, &self.end).is_le()
    }
}

/// What the table shows of a card.
#[derive(Clone, Debug, Default)]
pub struct CardFacts {
    /// Whether it has a state at all.
    has_state: bool,
    /// The kept events, ascending.
    events: Vec<EventMark>,
    /// The labels that stand, and since when they are known (ms).
    labels: Vec<(EventMark, i64)>,
    /// At or before this event time (ms) the history keeps nothing that could be looked for.
    kept_after_ms: Option<i64>,
    /// The version of the stored profile.
    pub profile_version: Option<u64>,
}

impl CardFacts {
    /// What a card shows that has no state: its profile's version.
    #[must_use]
    pub fn of_profile(version: Option<u64>) -> Self {
        Self {
            profile_version: version,
            ..Self::default()
        }
    }

    /// Notes what a state shows, with as many of its sealed segments as are at hand.
    pub fn take_state(&mut self, state: &History) {
        self.has_state = true;
        self.kept_after_ms = state.floor_ms().max(state.unread_until_ms());
        for entry in state.all_entries() {
            self.events.push(entry.mark());
            let label = entry.label.map(|(_, known_ms)| (entry.mark(), known_ms));
            self.labels.extend(label);
        }
        self.events.sort_unstable();
    }

    /// Whether the history holds an event.
    #[must_use]
    pub fn has_event(&self, event: &EventKey) -> bool {
        let from = self
            .events
            .partition_point(|mark| mark.time_ms() < event.occurred_at_ms);
        let same_time = self.events[from..]
            .iter()
            .take_while(|mark| mark.time_ms() == event.occurred_at_ms);
        let mut same_time = same_time.map(|mark| mark.is_of(&event.event_id, event.occurred_at_ms));
        same_time.any(|is_it| is_it)
    }

    /// The event time (ms) at or before which the history has dropped events, or can't be read; `None`: it is whole.
    #[must_use]
    pub const fn kept_after_ms(&self) -> Option<i64> {
        self.kept_after_ms
    }

    /// Whether an event of that time would still be in the history, if it had ever counted and the state is not gone.
    #[must_use]
    pub fn would_keep(&self, time_ms: i64) -> bool {
        self.kept_after_ms.is_none_or(|kept_after_ms| time_ms > kept_after_ms)
    }

    fn has_label(&self, event_id: &EventId, known_since_ms: i64) -> bool {
        self.labels
            .iter()
            .any(|(mark, known_ms)| mark.has_id(event_id) && *known_ms >= known_since_ms)
    }

    /// Whether the event that a label speaks of may have left the history since: it is not there, and something has left it.
    /// An event of that id that happened after the label arrived (ms) is none that it can speak of.
    fn may_have_dropped(&self, event_id: &EventId, arrival_ms: i64) -> bool {
        let is_cut = !self.has_state || self.kept_after_ms.is_some();
        let is_meant = |mark: &EventMark| mark.has_id(event_id) && mark.time_ms() <= arrival_ms;
        is_cut && !self.events.iter().any(is_meant)
    }
}

/// Everything durable that shows where a record ended.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Outcomes by event.
    pub outcomes: HashMap<EventKey, OutcomeCopies>,
    /// The scores stream holds the outcomes since then, ms since 1970-01-01T00:00:00Z. A record from before it counts as
    /// scored when the table shows its event.
    pub outcomes_since_ms: i64,
    /// From when to when (ms since 1970-01-01T00:00:00Z, the end is not in it) outcomes were withheld: the mode `shadow`. A
    /// record that may have been processed then counts as scored when the table shows its event.
    pub withheld: Vec<(i64, i64)>,
    /// Refused records.
    pub quarantined: Quarantined,
    /// What waits in the dead-letter queue.
    pub dead: Vec<SequenceRange>,
    /// What is in the unrecoverable queue, and why.
    pub unrecoverable: Vec<(SequenceRange, String)>,
    /// What the table shows, by card.
    pub cards: HashMap<CardId, CardFacts>,
    /// The keys that policies keep: what their items hold is looked at, too.
    pub keys: KeysInForce,
    /// A record without evidence that arrived then or later is on its way, ms since 1970-01-01T00:00:00Z; `None`: nothing is.
    pub pending_from_ms: Option<i64>,
}

/// What evidence there is that a record did what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// There it is.
    Shown,
    /// Its event is in the history; that its outcome was withheld, or is no longer kept, is as it should be.
    InHistory,
    /// Its event is in the history, and its outcome should be in the scores stream and is not.
    NotSent,
    /// It labels an event that its card's history no longer holds, or is one whose outcome was withheld and that has left its
    /// card's history: nothing can show it any more.
    NoLongerShown,
    /// Its card has its label, or had it, and this key of its event should have it and has not.
    Untaught(KeyId),
    /// Nothing shows what became of it.
    Absent,
}

impl Evidence {
    /// Notes an outcome among the others, with its bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn take_outcome(&mut self, arrival_ms: i64, bytes: Vec<u8>) -> Result<(), Broken> {
        let copies = self.take(Outcome::read(arrival_ms, &bytes)?);
        if copies.copies == 1 {
            copies.bytes = bytes;
        }
        Ok(())
    }

    /// Notes an outcome among the others.
    pub fn take(&mut self, outcome: Outcome) -> &mut OutcomeCopies {
        let copies = self.outcomes.entry(outcome.event).or_insert(OutcomeCopies {
            bytes: Vec::new(),
            digest: outcome.digest,
            alert: outcome.alert,
            arrival_ms: outcome.arrival_ms,
            last_arrival_ms: outcome.arrival_ms,
            copies: 0,
            identical: true,
        });
        copies.copies += 1;
        copies.identical &= copies.digest == outcome.digest;
        copies.arrival_ms = copies.arrival_ms.min(outcome.arrival_ms);
        copies.last_arrival_ms = copies.last_arrival_ms.max(outcome.arrival_ms);
        copies
    }

    /// Whether something durable shows what the record would do.
    #[must_use]
    pub fn shows(&self, record: &Record) -> bool {
        matches!(self.effect_of(record), Effect::Shown | Effect::InHistory)
    }

    pub(crate) fn effect_of(&self, record: &Record) -> Effect {
        let card = record.widest_claim().card_id();
        self.effect_with(record, card.and_then(|card_id| self.cards.get(card_id)))
    }

    /// The effect of a record, with what the table shows of its card.
    pub(crate) fn effect_with(&self, record: &Record, facts: Option<&CardFacts>) -> Effect {
        match &record.beyond_bounds {
            None => self.effect(&record.claim, record.arrival_ms, facts),
            Some(claim) => self.effect_beyond_bounds(claim, record.arrival_ms, facts),
        }
    }

    /// The policy in force when the record arrived refuses it. Where it was processed under another one, its effect comes after
    /// it: an outcome that counts, or that of a repetition, which is sent once more. An effect from before is of an earlier record
    /// of the same event, and this one has to be in quarantine.
    fn effect_beyond_bounds(&self, claim: &Claim, arrival_ms: i64, facts: Option<&CardFacts>) -> Effect {
        let Claim::Transaction(event) = claim else {
            return self.effect(claim, arrival_ms, facts);
        };
        match self.outcomes.get(event) {
            Some(copies) if copies.last_arrival_ms >= arrival_ms => Effect::Shown,
            Some(_) => Effect::Absent,
            None => match self.effect(claim, arrival_ms, facts) {
                // It counts, but nothing says that it does because of this record.
                Effect::NotSent => Effect::Absent,
                effect => effect,
            },
        }
    }

    fn effect(&self, claim: &Claim, arrival_ms: i64, facts: Option<&CardFacts>) -> Effect {
        let shown = match claim {
            Claim::Transaction(event) if self.outcomes.contains_key(event) => true,
            Claim::Transaction(event) => {
                let is_kept = facts.is_some_and(|facts| facts.has_event(event));
                // A policy with a shorter memory may have been in force since: then its history shows nothing of it either.
                let is_dropped = || facts.is_some_and(|facts| !facts.would_keep(event.occurred_at_ms));
                return match (is_kept, self.may_lack_outcome(arrival_ms)) {
                    (false, true) if is_dropped() => Effect::NoLongerShown,
                    (false, _) => Effect::Absent,
                    (true, true) => Effect::InHistory,
                    (true, false) => Effect::NotSent,
                };
            }
            Claim::Profile { version, .. } => {
                facts.is_some_and(|facts| facts.profile_version.is_some_and(|stored| stored >= *version))
            }
            Claim::Label {
                event_id,
                known_since_ms,
                ..
            } => match facts {
                Some(facts) if facts.has_label(event_id, *known_since_ms) => true,
                Some(facts) if facts.may_have_dropped(event_id, arrival_ms) => return Effect::NoLongerShown,
                _ => false,
            },
            Claim::Refused => false,
        };
        if shown { Effect::Shown } else { Effect::Absent }
    }

    /// Whether an outcome of a record that arrived then need not be in the scores stream: it is older than what that keeps, or
    /// was withheld.
    fn may_lack_outcome(&self, arrival_ms: i64) -> bool {
        arrival_ms < self.outcomes_since_ms || self.withheld.iter().any(|(_, end_ms)| arrival_ms < *end_ms)
    }
}
