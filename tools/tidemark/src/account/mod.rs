//! The account (I1): every record that the stream accepted, and the evidence of where it ended.
//!
//! Nothing here is taken by subtraction or from a function's own report: a record counts where something durable shows
//! it, namely an outcome in the scores stream, a message in a queue, an item in the table.

pub mod evidence;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use tidemark_domain::card::CardState;
use tidemark_domain::contract::{self, Bounds};
use tidemark_domain::event::{Event, Label, Profile};
use tidemark_domain::id::fingerprint32;
use tidemark_engine::record::compare_sequence_numbers;

/// A record as the transactions stream gives it back.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its shard.
    pub shard_id: String,
    /// Its sequence number.
    pub sequence_number: String,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Copies of one event's outcome, as the scores stream gives them back.
#[derive(Clone, Debug)]
pub struct OutcomeCopies {
    /// The first copy's bytes.
    pub bytes: Vec<u8>,
    /// When the scores stream took the first copy, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// How many copies there are.
    pub copies: u64,
    /// Whether all copies are the same, byte for byte (I3).
    pub identical: bool,
}

/// A range of records in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadRange {
    /// Its shard.
    pub shard_id: String,
    /// First sequence number.
    pub start: String,
    /// Last sequence number.
    pub end: String,
}

/// Everything durable that shows where a record ended.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Outcomes by event id.
    pub outcomes: HashMap<String, OutcomeCopies>,
    /// Reason codes by sequence number.
    pub quarantined: HashMap<String, String>,
    /// What waits in the dead-letter queue.
    pub dead: Vec<DeadRange>,
    /// Stored states by card.
    pub states: HashMap<String, CardState>,
    /// Versions of stored profiles by card.
    pub profile_versions: HashMap<String, u64>,
}

/// The account: `accepted` is the sum of all that follows it, or something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Records that the stream accepted.
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
    /// Records without evidence: 0, or invariant I1 is broken.
    pub unaccounted: u64,
    /// Sequence numbers of the first few without evidence.
    pub unaccounted_examples: Vec<String>,
}

/// At most so many records without evidence are named.
const EXAMPLES_MAX: usize = 10;

/// Where one record ended.
enum End {
    Scored,
    Duplicate,
    Applied,
    Quarantined(String),
    DeadLettered,
    Nowhere,
}

impl Account {
    /// Counts records, given in stream order, by their evidence.
    #[must_use]
    pub fn of(records: &[Accepted], evidence: &Evidence, bounds: &Bounds) -> Self {
        let mut account = Self::default();
        let mut seen = HashSet::new();
        for record in records {
            account.accepted += 1;
            match end_of(record, evidence, bounds, &mut seen) {
                End::Scored => account.scored += 1,
                End::Duplicate => account.duplicate += 1,
                End::Applied => account.applied += 1,
                End::Quarantined(code) => *account.quarantined.entry(code).or_default() += 1,
                End::DeadLettered => account.dead_lettered += 1,
                End::Nowhere => {
                    account.unaccounted += 1;
                    if account.unaccounted_examples.len() < EXAMPLES_MAX {
                        account.unaccounted_examples.push(record.sequence_number.clone());
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
}

fn end_of(record: &Accepted, evidence: &Evidence, bounds: &Bounds, seen: &mut HashSet<String>) -> End {
    if let Some(code) = evidence.quarantined.get(&record.sequence_number) {
        return End::Quarantined(code.clone());
    }
    let applied = match contract::decode(&record.payload, record.arrival_ms, bounds).map(|decoded| decoded.event) {
        Ok(Event::Transaction(transaction)) => {
            let id = transaction.event_id.as_str();
            if evidence.outcomes.contains_key(id) {
                return if seen.insert(id.to_owned()) {
                    End::Scored
                } else {
                    End::Duplicate
                };
            }
            None
        }
        Ok(Event::Profile(profile)) => profile_is_stored(&profile, evidence)
            .then(|| format!("profile {} {}", profile.card_id.as_str(), profile.version)),
        Ok(Event::Label(label)) => label_is_stored(&label, evidence).then(|| {
            format!(
                "label {} {:?} {}",
                label.event_id.as_str(),
                label.verdict,
                label.known_since_ms
            )
        }),
        Err(_) => None,
    };
    match applied.map(|key| seen.insert(key)) {
        Some(true) => End::Applied,
        Some(false) => End::Duplicate,
        None if evidence.dead.iter().any(|range| range.holds(record)) => End::DeadLettered,
        None => End::Nowhere,
    }
}

pub(crate) fn profile_is_stored(profile: &Profile, evidence: &Evidence) -> bool {
    evidence
        .profile_versions
        .get(profile.card_id.as_str())
        .is_some_and(|stored| *stored >= profile.version)
}

pub(crate) fn label_is_stored(label: &Label, evidence: &Evidence) -> bool {
    let event_fp = fingerprint32(label.event_id.as_str());
    evidence.states.get(label.card_id.as_str()).is_some_and(|state| {
        state.entries().iter().any(|entry| {
            entry.event_fp == event_fp
                && entry
                    .label
                    .is_some_and(|(_, known_ms)| known_ms >= label.known_since_ms)
        })
    })
}

impl DeadRange {
    pub(crate) fn holds(&self, record: &Accepted) -> bool {
        let number = &record.sequence_number;
        self.shard_id == record.shard_id
            && compare_sequence_numbers(&self.start, number).is_le()
            && compare_sequence_numbers(number, &self.end).is_le()
    }
}
