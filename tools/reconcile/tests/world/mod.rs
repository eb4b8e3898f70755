//! A small world whose stores can be changed by hand: what a test removes or forges, the judgement has to name.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use reconcile::{Accepted, BoundsInForce, Evidence, Horizon, Judgement, QuarantineNote, Record, StoredCard, judge};
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Transaction};
use tidemark_domain::fold::{self, FoldAnswer, LabelAnswer};
use tidemark_domain::history::History;
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::invariant::Invariant;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_domain::render::render_json;
use tidemark_engine::port::KeyId;

pub const NOW_MS: i64 = 1_795_399_200_000;
pub const DAY_MS: i64 = 86_400_000;
pub const SHARD: &str = "shardId-000000000000";

/// Everything that the audit reads.
pub struct World {
    pub policy: Policy,
    pub bounds: BoundsInForce,
    pub records: Vec<Accepted>,
    pub outcomes: Vec<(i64, Vec<u8>)>,
    pub quarantine: Vec<QuarantineNote>,
    pub cards: BTreeMap<CardId, History>,
    pub stored: HashMap<CardId, StoredCard>,
    pub evidence: fn() -> Evidence,
    /// The items of keys.
    pub keys: HashMap<KeyId, Vec<u8>>,
    /// Whether outcomes are sent and decisions recorded.
    pub sends: bool,
}

pub fn transaction(card: &str, id: &str, time_ms: i64, amount: u64) -> Vec<u8> {
    serde_json::json!({
        "schema": "transaction", "version": 2, "event_id": id, "card_id": card, "occurred_at_ms": time_ms,
        "amount_minor": amount, "currency": "EUR", "merchant_id": "m", "mcc": 5411, "country": "FR", "channel": "ecommerce",
        "approved": true,
    })
    .to_string()
    .into_bytes()
}

pub fn label(card: &str, id: &str, known_since_ms: i64) -> Vec<u8> {
    serde_json::json!({
        "schema": "label", "version": 1, "event_id": id, "card_id": card, "verdict": "fraud", "known_since_ms": known_since_ms,
    })
    .to_string()
    .into_bytes()
}

pub fn key(card: &str, id: &str, time_ms: i64) -> EventKey {
    EventKey::new(card, id, time_ms).unwrap()
}

pub fn card(name: &str) -> CardId {
    CardId::new(name).unwrap()
}

impl World {
    pub fn new() -> Self {
        let mut policy = Policy::default_policy();
        // Alerts for everybody: decisions are wanted.
        policy.thresholds.review = 0;
        policy.thresholds.alert = 0;
        Self {
            bounds: BoundsInForce::always(policy.bounds),
            policy,
            records: Vec::new(),
            outcomes: Vec::new(),
            quarantine: Vec::new(),
            cards: BTreeMap::new(),
            stored: HashMap::new(),
            evidence: Evidence::default,
            keys: HashMap::new(),
            sends: true,
        }
    }

    /// The stream takes a record.
    pub fn accept(&mut self, arrival_ms: i64, partition_key: &str, payload: Vec<u8>) -> Accepted {
        let record = Accepted {
            shard_id: SHARD.into(),
            sequence_number: format!("{}", 1_000 + self.records.len()),
            partition_key: partition_key.to_owned(),
            arrival_ms,
            payload,
        };
        self.records.push(record.clone());
        record
    }

    /// The stream takes an event and the path processes it under this world's policy, whatever the audit's bounds are.
    pub fn run(&mut self, arrival_ms: i64, payload: Vec<u8>) {
        let record = self.accept(arrival_ms, "key", payload);
        match contract::decode(&record.payload, arrival_ms, &self.policy.bounds).map(|decoded| decoded.event) {
            Ok(Event::Transaction(tx)) => self.fold(&record, &tx),
            Ok(Event::Label(label)) => {
                let state = self.cards.entry(label.card_id.clone()).or_default();
                match fold::fold_label(state, &label, &self.policy) {
                    LabelAnswer::UnknownEvent => self.refuse(&record, "label_without_event"),
                    _ => self.store(&label.card_id),
                }
            }
            Ok(Event::Profile(profile)) => {
                self.stored.entry(profile.card_id).or_default().profile_version = Some(profile.version);
            }
            Err(refusal) => self.refuse(&record, refusal.code.as_str()),
        }
    }

    fn fold(&mut self, record: &Accepted, tx: &Transaction) {
        let state = self.cards.entry(tx.card_id.clone()).or_default();
        let entry = match fold::fold_transaction(state, tx, ProfileInput::Absent, &self.policy) {
            FoldAnswer::Scored { entry } | FoldAnswer::Duplicate { entry } => entry,
            FoldAnswer::Refused(refusal) => return self.refuse(record, refusal.code.as_str()),
            FoldAnswer::NeedsSegments(_) => panic!("every segment is at hand"),
        };
        self.store(&tx.card_id);
        if self.sends {
            let bytes = render_json(&tx.card_id, &tx.event_id, &entry);
            if entry.outcome.decision == Decision::Alert {
                self.stored
                    .entry(tx.card_id.clone())
                    .or_default()
                    .decisions
                    .push(bytes.clone());
            }
            self.outcomes.push((record.arrival_ms + 1, bytes));
        }
    }

    pub fn store(&mut self, card: &CardId) {
        let Some(state) = self.cards.get_mut(card) else { return };
        let stored = self.stored.entry(card.clone()).or_default();
        let new = state
            .new_segments()
            .map(|segment| (segment.key, segment.bytes.to_vec()));
        stored.segments.extend(new);
        state.segments_written();
        stored.state = (state.next_seq() > 0).then(|| state.encode());
    }

    pub fn refuse(&mut self, record: &Accepted, code: &str) {
        self.quarantine.push(QuarantineNote {
            shard_id: record.shard_id.to_string(),
            sequence_number: record.sequence_number.clone(),
            sub_sequence_number: None,
            partition_key: Some(record.partition_key.clone()),
            record_partition_key: None,
            code: code.to_owned(),
            part: 1,
            parts: 1,
        });
    }

    /// Takes every outcome of an event out of the scores stream.
    pub fn lose_outcome(&mut self, event: &EventKey) {
        let id = format!(r#""event_id":"{}""#, event.event_id);
        let card = format!(r#""card_id":"{}""#, event.card_id);
        let time = format!(r#""occurred_at_ms":{}"#, event.occurred_at_ms);
        let before = self.outcomes.len();
        self.outcomes.retain(|(_, bytes)| {
            let text = std::str::from_utf8(bytes).unwrap();
            !(text.contains(&id) && text.contains(&card) && text.contains(&time))
        });
        assert!(self.outcomes.len() < before, "{event} has no outcome to lose");
    }

    pub fn read(&self) -> (Vec<Record>, Evidence) {
        let records = self.records.iter();
        let records = records
            .flat_map(|record| Record::all_of(record, &self.bounds))
            .collect();
        let mut evidence = (self.evidence)();
        for (arrival_ms, bytes) in &self.outcomes {
            evidence.take_outcome(*arrival_ms, bytes.clone()).unwrap();
        }
        for note in &self.quarantine {
            evidence.quarantined.take(note.clone());
        }
        (records, evidence)
    }

    pub fn judge(&self) -> Judgement {
        let (records, evidence) = self.read();
        let horizon = Horizon {
            now_ms: NOW_MS,
            kept_ms: 7 * DAY_MS,
        };
        judge(records, evidence, &self.stored, &self.keys, horizon).unwrap()
    }

    /// Judges, and expects that all is well.
    pub fn holds(&self) -> Judgement {
        let judgement = self.judge();
        assert!(judgement.holds && judgement.breaks.is_empty(), "{judgement:#?}");
        judgement
    }

    /// Judges, and expects one break, of this invariant and with these words.
    pub fn breaks(&self, invariant: Invariant, words: &str) -> Judgement {
        let judgement = self.judge();
        assert!(!judgement.holds, "{judgement:#?}");
        assert_eq!(judgement.breaks.len(), 1, "{judgement:#?}");
        assert_eq!(judgement.breaks[0].invariant, invariant, "{judgement:#?}");
        assert!(judgement.breaks[0].what.contains(words), "{:#?}", judgement.breaks);
        judgement
    }
}
