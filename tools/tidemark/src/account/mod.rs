//! The account (I1): every record that the stream accepted, and the evidence of where it ended.
//!
//! Nothing here is taken by subtraction or from a function's own report: a record counts where something durable shows
//! it, namely an outcome in the scores stream, a message in a queue, an item in the table.

pub mod dropped;
pub mod evidence;
pub mod message;
pub mod queue;

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use tidemark_domain::card::CardState;
use tidemark_domain::contract::{self, Bounds, aggregate};
use tidemark_domain::event::Event;
use tidemark_domain::id::fingerprint32;
use tidemark_engine::record::compare_sequence_numbers;

/// A record as the transactions stream gives it back.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its shard.
    pub shard_id: Arc<str>,
    /// Its sequence number.
    pub sequence_number: String,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What of a record the account needs; the payload is left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its shard.
    pub shard_id: Arc<str>,
    /// Its sequence number.
    pub sequence_number: Box<str>,
    /// Its place in an aggregated record, from 0; `None`: it is a record of its own.
    pub sub_sequence_number: Option<u32>,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// What it would do.
    pub claim: Claim,
}

/// What a record would do once it is through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Score a transaction.
    Transaction {
        /// Its card.
        card_id: Box<str>,
        /// Its id.
        event_id: Box<str>,
        /// When it happened, ms since 1970-01-01T00:00:00Z.
        time_ms: i64,
    },
    /// Store a version of a card's profile.
    Profile {
        /// Its card.
        card_id: Box<str>,
        /// Its version.
        version: u64,
    },
    /// Label an event.
    Label {
        /// Its card.
        card_id: Box<str>,
        /// The labelled event.
        event_id: Box<str>,
        /// What is known of it.
        verdict: &'static str,
        /// Since when, ms since 1970-01-01T00:00:00Z.
        known_since_ms: i64,
    },
    /// Nothing: the contract refuses it.
    Refused,
}

impl Record {
    /// Reads a record as one, judged by the bounds of a policy.
    #[must_use]
    pub fn of(record: &Accepted, bounds: &Bounds) -> Self {
        Self::part(record, None, &record.payload, bounds)
    }

    /// Reads a record, and takes it apart where a producer's library put several into one: each of them has its own end. One
    /// that can't be taken apart is refused whole.
    #[must_use]
    pub fn all_of(record: &Accepted, bounds: &Bounds) -> Vec<Self> {
        match aggregate::take_apart(&record.payload) {
            Ok(Some(parts)) => {
                let parts = parts.iter().zip(0..);
                parts
                    .map(|(part, at)| Self::part(record, Some(at), part.data, bounds))
                    .collect()
            }
            Ok(None) | Err(_) => vec![Self::of(record, bounds)],
        }
    }

    fn part(record: &Accepted, sub_sequence_number: Option<u32>, payload: &[u8], bounds: &Bounds) -> Self {
        let event = contract::decode(payload, record.arrival_ms, bounds).map(|decoded| decoded.event);
        Self {
            shard_id: Arc::clone(&record.shard_id),
            sequence_number: record.sequence_number.as_str().into(),
            sub_sequence_number,
            arrival_ms: record.arrival_ms,
            claim: event.map_or(Claim::Refused, |event| Claim::of(&event)),
        }
    }

    /// The card that it is about; none for a refused one.
    #[must_use]
    pub fn card_id(&self) -> Option<&str> {
        match &self.claim {
            Claim::Transaction { card_id, .. } | Claim::Profile { card_id, .. } | Claim::Label { card_id, .. } => {
                Some(card_id)
            }
            Claim::Refused => None,
        }
    }

    /// The transaction that it is; none for profiles, labels and refused records.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        match &self.claim {
            Claim::Transaction { event_id, .. } => Some(event_id),
            _ => None,
        }
    }

    /// The record in words, for a person who has to find it.
    #[must_use]
    pub fn name(&self) -> String {
        let part = self.sub_sequence_number;
        let part = part.map_or_else(String::new, |part| format!(" (user record {part})"));
        let place = format!("{}{part} of {}", self.sequence_number, self.shard_id);
        match &self.claim {
            Claim::Transaction { card_id, event_id, .. } => format!("{place} (event {event_id} of card {card_id})"),
            Claim::Profile { card_id, version } => format!("{place} (profile {version} of card {card_id})"),
            Claim::Label { card_id, event_id, .. } => format!("{place} (label of event {event_id} of card {card_id})"),
            Claim::Refused => format!("{place} (no valid event)"),
        }
    }
}

impl Claim {
    fn of(event: &Event) -> Self {
        let card_id = event.card_id().as_str().into();
        match event {
            Event::Transaction(transaction) => Self::Transaction {
                card_id,
                event_id: transaction.event_id.as_str().into(),
                time_ms: transaction.occurred_at_ms,
            },
            Event::Profile(profile) => Self::Profile {
                card_id,
                version: profile.version,
            },
            Event::Label(label) => Self::Label {
                card_id,
                event_id: label.event_id.as_str().into(),
                verdict: label.verdict.as_str(),
                known_since_ms: label.known_since_ms,
            },
        }
    }

    /// Records of one key count once.
    fn key(&self) -> String {
        match self {
            Self::Transaction { event_id, .. } => event_id.to_string(),
            Self::Profile { card_id, version } => format!("profile {card_id} {version}"),
            Self::Label {
                event_id,
                verdict,
                known_since_ms,
                ..
            } => format!("label {event_id} {verdict} {known_since_ms}"),
            Self::Refused => String::new(),
        }
    }
}

/// Copies of one event's outcome, as the scores stream gives them back.
#[derive(Clone, Debug)]
pub struct OutcomeCopies {
    /// The first copy's bytes; empty where only their digest is kept.
    pub bytes: Vec<u8>,
    /// The digest of the first copy's bytes.
    pub digest: u128,
    /// The card.
    pub card_id: Box<str>,
    /// Whether the decision is to alert.
    pub alert: bool,
    /// When the scores stream took the first copy, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// How many copies there are.
    pub copies: u64,
    /// Whether all copies are the same, byte for byte (I3).
    pub identical: bool,
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

/// What the table shows of a card.
#[derive(Clone, Debug, Default)]
pub struct CardFacts {
    /// The kept events: fingerprint of the id, and event time.
    entries: Vec<(u32, i64)>,
    /// The labels that stand: fingerprint of the event's id, and since when it is known.
    labels: Vec<(u32, i64)>,
    /// The version of the stored profile.
    pub profile_version: Option<u64>,
}

impl CardFacts {
    /// Notes what a state shows.
    pub fn take_state(&mut self, state: &CardState) {
        for entry in state.all_entries() {
            self.entries.push((entry.event_fp, entry.time_ms));
            let label = entry.label.map(|(_, known_ms)| (entry.event_fp, known_ms));
            self.labels.extend(label);
        }
    }

    pub(crate) fn has_event(&self, event_id: &str, time_ms: i64) -> bool {
        self.entries.contains(&(fingerprint32(event_id), time_ms))
    }

    fn has_label(&self, event_id: &str, known_since_ms: i64) -> bool {
        let event_fp = fingerprint32(event_id);
        self.labels
            .iter()
            .any(|(fp, known_ms)| *fp == event_fp && *known_ms >= known_since_ms)
    }
}

/// Everything durable that shows where a record ended.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Outcomes by event id.
    pub outcomes: HashMap<String, OutcomeCopies>,
    /// The scores stream holds the outcomes since then, ms since 1970-01-01T00:00:00Z. A record from before it counts as
    /// scored when the table shows its event.
    pub outcomes_since_ms: i64,
    /// Reason codes by [`quarantine_key`].
    pub quarantined: HashMap<String, String>,
    /// What waits in the dead-letter queue.
    pub dead: Vec<SequenceRange>,
    /// What is in the unrecoverable queue, and why.
    pub unrecoverable: Vec<(SequenceRange, String)>,
    /// What the table shows, by card.
    pub cards: HashMap<String, CardFacts>,
    /// A record without evidence that arrived then or later is on its way, ms since 1970-01-01T00:00:00Z; `None`: nothing is.
    pub pending_from_ms: Option<i64>,
}

/// Under what a record's quarantine is noted: its sequence number, and its place where it is a part of an aggregate.
#[must_use]
pub fn quarantine_key(sequence_number: &str, sub_sequence_number: Option<u32>) -> Cow<'_, str> {
    match sub_sequence_number {
        None => Cow::Borrowed(sequence_number),
        Some(part) => Cow::Owned(format!("{sequence_number}.{part}")),
    }
}

impl Evidence {
    /// Why a record is in quarantine; `None`: it is not.
    #[must_use]
    pub fn refusal_of(&self, record: &Record) -> Option<&str> {
        let key = quarantine_key(&record.sequence_number, record.sub_sequence_number);
        self.quarantined.get(&*key).map(String::as_str)
    }
}

/// The account: `accepted` is the sum of all that follows it, or something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Records that the stream accepted; each of those in an aggregated record counts.
    pub accepted: u64,
    /// Transactions whose first record got an outcome.
    pub scored: u64,
    /// Further records of an event that counted once.
    pub duplicate: u64,
    /// Profiles and labels that stand in the table.
    pub applied: u64,
    /// Records in quarantine, by reason code.
    pub quarantined: BTreeMap<String, u64>,
    /// Records that wait in the dead-letter queue.
    pub dead_lettered: u64,
    /// Records in the unrecoverable queue, by reason.
    pub unrecoverable: BTreeMap<String, u64>,
    /// Records without evidence that are too young for it.
    pub pending: u64,
    /// Records without evidence: 0, or invariant I1 is broken.
    pub unaccounted: u64,
    /// The first of those without evidence, by name.
    pub unaccounted_examples: Vec<String>,
}

/// At most so many records without evidence are named.
pub const EXAMPLES_MAX: usize = 1_000;

/// Where one record ended.
enum End {
    Scored,
    Duplicate,
    Applied,
    Quarantined(String),
    DeadLettered,
    Unrecoverable(String),
    Pending,
    Nowhere,
}

impl Account {
    /// Counts records, given in stream order, by their evidence.
    #[must_use]
    pub fn of(records: impl Iterator<Item = impl Borrow<Record>>, evidence: &Evidence) -> Self {
        let mut account = Self::default();
        let mut seen = HashSet::new();
        for record in records {
            let record = record.borrow();
            account.accepted += 1;
            match end_of(record, evidence, &mut seen) {
                End::Scored => account.scored += 1,
                End::Duplicate => account.duplicate += 1,
                End::Applied => account.applied += 1,
                End::Quarantined(code) => *account.quarantined.entry(code).or_default() += 1,
                End::DeadLettered => account.dead_lettered += 1,
                End::Unrecoverable(reason) => *account.unrecoverable.entry(reason).or_default() += 1,
                End::Pending => account.pending += 1,
                End::Nowhere => {
                    account.unaccounted += 1;
                    if account.unaccounted_examples.len() < EXAMPLES_MAX {
                        account.unaccounted_examples.push(record.name());
                    }
                }
            }
        }
        account
    }

    /// Records in quarantine, all reasons together.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Records in the unrecoverable queue, all reasons together.
    #[must_use]
    pub fn unrecoverable_total(&self) -> u64 {
        self.unrecoverable.values().sum()
    }
}

fn end_of(record: &Record, evidence: &Evidence, seen: &mut HashSet<String>) -> End {
    if let Some(code) = evidence.refusal_of(record) {
        return End::Quarantined(code.to_owned());
    }
    if has_taken_effect(record, evidence) {
        let first = seen.insert(record.claim.key());
        return match (&record.claim, first) {
            (_, false) => End::Duplicate,
            (Claim::Transaction { .. }, true) => End::Scored,
            (_, true) => End::Applied,
        };
    }
    if evidence.dead.iter().any(|range| range.holds(record)) {
        return End::DeadLettered;
    }
    let reason = evidence.unrecoverable.iter().find(|(range, _)| range.holds(record));
    match reason {
        Some((_, reason)) => End::Unrecoverable(reason.clone()),
        None if evidence
            .pending_from_ms
            .is_some_and(|from_ms| record.arrival_ms >= from_ms) =>
        {
            End::Pending
        }
        None => End::Nowhere,
    }
}

/// Whether something durable shows what the record would do.
pub(crate) fn has_taken_effect(record: &Record, evidence: &Evidence) -> bool {
    let card = |card_id: &str| evidence.cards.get(card_id);
    match &record.claim {
        Claim::Transaction {
            card_id,
            event_id,
            time_ms,
        } => {
            evidence.outcomes.contains_key(&**event_id)
                || (record.arrival_ms < evidence.outcomes_since_ms
                    && card(card_id).is_some_and(|facts| facts.has_event(event_id, *time_ms)))
        }
        Claim::Profile { card_id, version } => {
            card(card_id).is_some_and(|facts| facts.profile_version.is_some_and(|stored| stored >= *version))
        }
        Claim::Label {
            card_id,
            event_id,
            known_since_ms,
            ..
        } => card(card_id).is_some_and(|facts| facts.has_label(event_id, *known_since_ms)),
        Claim::Refused => false,
    }
}

impl SequenceRange {
    pub(crate) fn holds(&self, record: &Record) -> bool {
        let number = &record.sequence_number;
        self.shard_id == *record.shard_id
            && compare_sequence_numbers(&self.start, number).is_le()
            && compare_sequence_numbers(number, &self.end).is_le()
    }
}

#[cfg(test)]
mod tests;
