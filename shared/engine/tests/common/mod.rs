//! What the engine's tests share: events as JSON, batches, a world of ports in memory, and the plain fold to compare with.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Profile};
use tidemark_domain::fold::{self, FoldAnswer, LabelAnswer};
use tidemark_domain::history::History;
use tidemark_domain::id::CardId;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_domain::render::render_json;
use tidemark_engine::memory::{Faults, ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::{BatchReport, End, Engine, EngineConfig, InRecord};

/// When the first record arrives, ms since 1970-01-01T00:00:00Z.
pub const START_MS: i64 = 1_790_000_000_000;
/// A deadline that is far enough away never to matter.
pub const FAR_MS: i64 = START_MS + 900_000;

/// A record that owns what it holds.
#[derive(Clone, Debug)]
pub struct Record {
    pub sequence_number: String,
    pub data: Vec<u8>,
    pub arrival_ms: i64,
}

impl Record {
    pub fn as_in(&self) -> InRecord<'_> {
        InRecord {
            stream: "transactions",
            shard_id: "shardId-000000000000",
            sequence_number: &self.sequence_number,
            of_aggregate: None,
            partition_key: "key",
            arrival_ms: self.arrival_ms,
            data: &self.data,
        }
    }
}

/// Records with ascending sequence numbers that cross a power of ten, so that text order alone would be wrong.
pub fn records(payloads: impl IntoIterator<Item = Vec<u8>>) -> Vec<Record> {
    payloads
        .into_iter()
        .enumerate()
        .map(|(at, data)| Record {
            sequence_number: (95 + at).to_string(),
            data,
            arrival_ms: START_MS + i64::try_from(at).unwrap() * 1_000,
        })
        .collect()
}

/// A transaction `age_s` seconds before [`START_MS`].
pub fn tx(card: &str, event: &str, age_s: i64, amount_minor: u64) -> Vec<u8> {
    json_bytes(&json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": card,
        "occurred_at_ms": START_MS - age_s * 1_000, "amount_minor": amount_minor, "currency": "EUR",
        "merchant_id": "m1", "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    }))
}

pub fn profile(card: &str, version: u64, mean_minor: f64) -> Vec<u8> {
    json_bytes(&json!({
        "schema": "profile", "version": 1, "card_id": card, "profile_version": version, "usual_country": "FR",
        "spend_mean_minor": mean_minor, "spend_deviation_minor": mean_minor / 10.0, "transactions_per_day": 2.0,
        "account_opened_at_ms": START_MS - 400 * 86_400_000,
    }))
}

pub fn label(card: &str, event: &str) -> Vec<u8> {
    json_bytes(&json!({
        "schema": "label", "version": 1, "event_id": event, "card_id": card, "verdict": "fraud",
        "known_since_ms": START_MS,
    }))
}

fn json_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub fn card(id: &str) -> CardId {
    CardId::new(id).unwrap()
}

pub type MemoryEngine = Engine<MemoryStore, MemorySink, MemoryQuarantine, ManualClock>;

/// Ports that outlive engines.
#[derive(Clone)]
pub struct World {
    pub faults: Faults,
    pub store: MemoryStore,
    pub sink: MemorySink,
    pub quarantine: MemoryQuarantine,
    pub clock: ManualClock,
    pub policy: Arc<Policy>,
    pub config: EngineConfig,
}

impl World {
    pub fn new() -> Self {
        Self::with(Policy::default_policy(), EngineConfig::default())
    }

    pub fn with(policy: Policy, config: EngineConfig) -> Self {
        let faults = Faults::none();
        Self {
            store: MemoryStore::with_faults(faults.clone()),
            sink: MemorySink::with_faults(faults.clone()),
            quarantine: MemoryQuarantine::with_faults(faults.clone()),
            faults,
            clock: ManualClock::at(START_MS),
            policy: Arc::new(policy),
            config,
        }
    }

    /// A new process: nothing is warm.
    pub fn engine(&self) -> MemoryEngine {
        let (sink, quarantine) = (self.sink.clone(), self.quarantine.clone());
        Engine::new(
            self.store.clone(),
            sink,
            quarantine,
            self.clock.clone(),
            Arc::clone(&self.policy),
            self.config,
        )
    }

    /// A batch by a new process.
    pub fn run(&self, records: &[Record]) -> BatchReport {
        run(&self.engine(), records, FAR_MS).unwrap()
    }

    /// Every distinct outcome by event, as the sink got them; panics when an event got two different ones (I3).
    pub fn outcomes(&self) -> BTreeMap<String, Vec<u8>> {
        let mut outcomes: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for outcome in self.sink.outcomes() {
            let value: Value = serde_json::from_slice(&outcome.bytes).unwrap();
            assert_eq!(value["card_id"], outcome.card_id.as_str());
            let event = value["event_id"].as_str().unwrap().to_owned();
            if let Some(first) = outcomes.insert(event.clone(), outcome.bytes.clone()) {
                assert!(
                    first == outcome.bytes,
                    "I3: {event} got {} and {value}",
                    String::from_utf8_lossy(&first)
                );
            }
        }
        outcomes
    }

    /// Every card's state in the store, encoded.
    pub fn states(&self) -> BTreeMap<String, Vec<u8>> {
        let cards = self.store.cards();
        cards
            .iter()
            .map(|card| (card.as_str().to_owned(), self.store.state(card).unwrap().bytes))
            .collect()
    }

    /// Sequence numbers in the quarantine with their reasons; the same record may be there twice.
    pub fn quarantined(&self) -> BTreeMap<String, RefusalCode> {
        self.quarantine
            .messages()
            .into_iter()
            .map(|message| (message.sequence_number, message.code))
            .collect()
    }
}

/// Polls once: ports in memory are always ready, so that a batch which does not answer has crashed.
pub fn run(engine: &MemoryEngine, records: &[Record], deadline_ms: i64) -> Option<BatchReport> {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let report = engine.process(&batch, deadline_ms).now_or_never()?;
    assert_adds_up(&report, &batch);
    Some(report)
}

/// I1: every user record has one end, and the counts are the ends.
pub fn assert_adds_up(report: &BatchReport, batch: &[InRecord<'_>]) {
    assert_eq!(report.ends_per_record.len(), batch.len());
    assert_eq!(
        report
            .ends_per_record
            .iter()
            .map(|count| *count as usize)
            .sum::<usize>(),
        report.ends.len()
    );
    assert_eq!(
        report.ends_by_record().map(<[_]>::len).sum::<usize>(),
        report.ends.len()
    );
    let total =
        report.scored + report.duplicate + report.applied + report.quarantined_total() + report.returned_total();
    assert_eq!(total, report.ends.len() as u64);
    assert_eq!(report.retry_from.is_none(), report.returned_total() == 0, "{report:?}");
}

/// What the plain fold makes of records, one after the other, with no batch, no store and no cache.
#[derive(Debug, Default, PartialEq)]
pub struct Expected {
    pub states: BTreeMap<String, Vec<u8>>,
    pub outcomes: BTreeMap<String, Vec<u8>>,
    pub quarantined: BTreeMap<String, RefusalCode>,
    pub profiles: BTreeMap<String, u64>,
    pub alerts: Vec<String>,
}

pub fn expect(records: &[Record], policy: &Policy) -> Expected {
    let mut expected = Expected::default();
    let mut states: BTreeMap<String, History> = BTreeMap::new();
    let mut profiles: BTreeMap<String, Profile> = BTreeMap::new();
    for record in records {
        let refused = match contract::decode(&record.data, record.arrival_ms, &policy.bounds) {
            Err(refusal) => Some(refusal.code),
            Ok(decoded) => apply(decoded.event, &mut states, &mut profiles, policy, &mut expected),
        };
        if let Some(code) = refused {
            expected.quarantined.insert(record.sequence_number.clone(), code);
        }
    }
    expected.states = states
        .iter()
        .map(|(card, state)| (card.clone(), state.encode()))
        .collect();
    expected.profiles = profiles
        .iter()
        .map(|(card, profile)| (card.clone(), profile.version))
        .collect();
    expected.alerts.sort_unstable();
    expected
}

fn apply(
    event: Event,
    states: &mut BTreeMap<String, History>,
    profiles: &mut BTreeMap<String, Profile>,
    policy: &Policy,
    expected: &mut Expected,
) -> Option<RefusalCode> {
    let card_id = event.card_id().clone();
    match event {
        Event::Profile(profile) => {
            let newer = profiles
                .get(card_id.as_str())
                .is_none_or(|known| known.version < profile.version);
            if newer {
                profiles.insert(card_id.as_str().to_owned(), profile);
            }
            None
        }
        Event::Label(label) => {
            let state = states.entry(card_id.as_str().to_owned()).or_default();
            let unknown = matches!(fold::fold_label(state, &label, policy), LabelAnswer::UnknownEvent);
            unknown.then_some(RefusalCode::LabelWithoutEvent)
        }
        Event::Transaction(tx) => {
            let input = profiles
                .get(card_id.as_str())
                .map_or(ProfileInput::Absent, ProfileInput::Known);
            let state = states.entry(card_id.as_str().to_owned()).or_default();
            let entry = match fold::fold_transaction(state, &tx, input, policy) {
                FoldAnswer::Refused(refusal) => return Some(refusal.code),
                FoldAnswer::Duplicate { .. } => return None,
                FoldAnswer::Scored { entry } => entry,
                FoldAnswer::NeedsSegments(keys) => panic!("everything is at hand, but not {keys:?}"),
            };
            let event_id = tx.event_id.as_str().to_owned();
            if entry.outcome.decision == Decision::Alert {
                expected.alerts.push(event_id.clone());
            }
            expected
                .outcomes
                .insert(event_id, render_json(&card_id, &tx.event_id, &entry));
            None
        }
    }
}

/// I1 to I4 at rest: the world is what the plain fold says.
pub fn assert_as_expected(world: &World, expected: &Expected) {
    assert!(
        world.states() == expected.states,
        "I2: a state is not the fold of its distinct events"
    );
    assert_eq!(world.outcomes(), expected.outcomes, "I3: outcomes");
    assert_eq!(world.quarantined(), expected.quarantined, "quarantine");
    for (id, version) in &expected.profiles {
        assert_eq!(
            world.store.profile(&card(id)).map(|profile| profile.version),
            Some(*version),
            "profile of {id}"
        );
    }
    let mut alerts: Vec<String> = world
        .store
        .decisions()
        .iter()
        .map(|decision| decision.event.event_id.as_str().to_owned())
        .collect();
    alerts.sort_unstable();
    assert_eq!(alerts, expected.alerts, "decisions");
    for decision in world.store.decisions() {
        assert_eq!(
            Some(&decision.outcome_json),
            expected.outcomes.get(decision.event.event_id.as_str())
        );
    }
}

/// Records in one batch of [`deliver`].
pub const BATCH_RECORDS: usize = 20;
/// More deliveries than any fault in these tests can cause.
const DELIVERIES_MAX: usize = 40;

/// Delivers as the event source mapping does: a batch that crashed comes again whole, one that is not whole from the
/// lowest record it names; a crash makes a new process.
pub fn deliver(world: &World, records: &[Record]) -> Vec<End> {
    let mut engine = world.engine();
    let mut ends = Vec::new();
    let mut next = 0;
    for _ in 0..DELIVERIES_MAX {
        let batch = &records[next..records.len().min(next + BATCH_RECORDS)];
        if batch.is_empty() {
            return ends;
        }
        let Some(report) = run(&engine, batch, i64::MAX) else {
            world.faults.clear();
            engine = world.engine();
            continue;
        };
        let whole = match &report.retry_from {
            None => batch.len(),
            Some(number) => batch
                .iter()
                .position(|record| record.sequence_number == *number)
                .unwrap(),
        };
        ends.extend(&report.ends[..whole]);
        next += whole;
    }
    panic!("not through after {DELIVERIES_MAX} deliveries");
}
