//! What the redrive's tests share: a stream, its queues and an engine in memory, and letters as Lambda writes them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_domain::history::History;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{Faults, ManualClock, MemorySink, MemoryStore};
use tidemark_engine::port::{Clock, PortError, Quarantine, QuarantineMessage};
use tidemark_engine::{BatchReport, Engine, EngineConfig, InRecord};
use tidemark_redrive::memory::{MemoryBucket, MemoryInbox, MemoryStream, Script};
use tidemark_redrive::port::{LetterBucket, StreamRecord};
use tidemark_redrive::{
    CallOutcome, Home, Queues, Redrive, RedriveConfig, Request, Response, Source, Stopped, UnrecoverableMessage,
};

/// When the first record arrives, ms since 1970-01-01T00:00:00Z.
pub const START_MS: i64 = 1_790_000_000_000;
/// The stream.
pub const ARN: &str = "arn:aws:kinesis:eu-west-1:000000000000:stream/transactions";
/// Its first shard.
pub const SHARD: &str = "shardId-000000000000";
/// Calls after which a run must have come to its end.
pub const CALLS_MAX: usize = 500;

pub const SECOND_MS: i64 = 1_000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The engine's quarantine in the queue that the redrive reads.
#[derive(Clone, Debug)]
pub struct QueueQuarantine(pub MemoryInbox);

impl Quarantine for QueueQuarantine {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        for message in messages {
            self.0.push(serde_json::to_string(message).unwrap());
        }
        Ok(Vec::new())
    }
}

pub type MemoryEngine = Engine<MemoryStore, MemorySink, QueueQuarantine, ManualClock>;
pub type MemoryRedrive = Redrive<MemoryStream, MemoryInbox, MemoryEngine, ManualClock>;

/// Ports that outlive functions.
#[derive(Clone)]
pub struct World {
    pub clock: ManualClock,
    /// Faults of the stream and the queues.
    pub script: Script,
    /// Faults of the engine's ports.
    pub faults: Faults,
    pub stream: MemoryStream,
    pub dead_letter: MemoryInbox,
    pub quarantine: MemoryInbox,
    pub unrecoverable: MemoryInbox,
    /// The bucket of letters with payload, where there is one.
    pub bucket: Option<MemoryBucket>,
    pub store: MemoryStore,
    pub sink: MemorySink,
    pub policy: Arc<Policy>,
    pub config: RedriveConfig,
}

impl World {
    /// One shard, nothing in it.
    pub fn new() -> Self {
        Self::with(Policy::default_policy())
    }

    pub fn with(policy: Policy) -> Self {
        let (clock, script, faults) = (ManualClock::at(START_MS), Script::default(), Faults::none());
        let inbox = || MemoryInbox::new(clock.clone(), script.clone());
        let stream = MemoryStream::new(clock.clone(), script.clone());
        stream.add_shard(SHARD, &[]);
        Self {
            stream,
            dead_letter: inbox(),
            quarantine: inbox(),
            unrecoverable: inbox(),
            bucket: None,
            store: MemoryStore::with_faults(faults.clone()),
            sink: MemorySink::with_faults(faults.clone()),
            clock,
            script,
            faults,
            policy: Arc::new(policy),
            config: RedriveConfig::default(),
        }
    }

    /// A new process of the score function: nothing is warm.
    pub fn engine(&self) -> MemoryEngine {
        Engine::new(
            self.store.clone(),
            self.sink.clone(),
            QueueQuarantine(self.quarantine.clone()),
            self.clock.clone(),
            Arc::clone(&self.policy),
            EngineConfig::default(),
        )
    }

    /// A new process of the redrive function.
    pub fn function(&self) -> MemoryRedrive {
        let queues = Queues {
            dead_letter: self.dead_letter.clone(),
            quarantine: self.quarantine.clone(),
            unrecoverable: self.unrecoverable.clone(),
        };
        let clock = self.clock.clone();
        Redrive::new(
            self.stream.clone(),
            queues,
            self.engine(),
            clock,
            Home::new(ARN),
            self.config,
        )
        .with_bucket(
            self.bucket
                .clone()
                .map(|bucket| Arc::new(bucket) as Arc<dyn LetterBucket>),
        )
    }

    /// Puts a payload into a shard; its sequence number.
    pub fn put(&self, shard_id: &str, at: u64, data: Vec<u8>) -> String {
        let sequence_number = number(at);
        self.stream.put(
            shard_id,
            StreamRecord {
                sequence_number: sequence_number.clone(),
                partition_key: "key".to_owned(),
                arrival_ms: self.clock.now_ms(),
                data,
            },
        );
        sequence_number
    }

    /// Puts as many transactions of five cards into the first shard, a second apart; their numbers are `0..count`.
    pub fn put_transactions(&self, count: u64) {
        for at in 0..count {
            self.clock.advance(SECOND_MS);
            self.put(
                SHARD,
                at,
                tx(&format!("card-{}", at % 5), &format!("event-{at}"), self.clock.now_ms()),
            );
        }
    }

    /// Takes records of a shard through the engine, as the live function would.
    pub fn live(&self, shard_id: &str, numbers: std::ops::RangeInclusive<u64>) -> BatchReport {
        let records: Vec<StreamRecord> = self.stream.records_of(shard_id);
        let wanted: BTreeSet<String> = numbers.map(number).collect();
        let batch: Vec<InRecord<'_>> = records
            .iter()
            .filter(|record| wanted.contains(&record.sequence_number))
            .map(|record| record.of_shard(ARN, shard_id))
            .collect();
        self.engine().process(&batch, i64::MAX).now_or_never().unwrap()
    }

    /// Sends a letter for a range that counts every number in it.
    pub fn letter(&self, from: u64, to: u64) -> String {
        self.dead_letter
            .push(letter(SHARD, &number(from), &number(to), to - from + 1).to_string())
    }

    /// One call with fifteen minutes to its deadline.
    pub fn call(&self, request: &Request) -> CallOutcome {
        self.call_for(request, 15 * MINUTE_MS)
    }

    /// One call with so much time.
    pub fn call_for(&self, request: &Request, time_ms: i64) -> CallOutcome {
        let deadline_ms = self.clock.now_ms() + time_ms;
        let function = self.function();
        // Ports in memory are always ready.
        let outcome = function.call(request, deadline_ms).now_or_never();
        outcome.unwrap_or_else(|| panic!("a call that never ends")).unwrap()
    }

    /// Calls until nothing is left, each with so much time; all answers as one, in which every record is accounted for.
    pub fn run(&self, request: &Request, time_ms: i64) -> Response {
        let all = self.go_on(request, time_ms);
        assert_adds_up(&all);
        all
    }

    /// The same from a cursor on: what earlier calls counted is missing in the answer.
    pub fn go_on(&self, request: &Request, time_ms: i64) -> Response {
        let mut request = request.clone();
        let mut all: Option<Response> = None;
        for _ in 0..CALLS_MAX {
            let response = self.call_for(&request, time_ms).response;
            request.cursor.clone_from(&response.cursor);
            let all = match &mut all {
                Some(all) => {
                    all.account += response.account;
                    all.problems.extend(response.problems);
                    all.stopped = response.stopped;
                    all.cursor = response.cursor;
                    all
                }
                None => all.insert(response),
            };
            if all.stopped == Stopped::Done {
                assert!(all.cursor.is_none());
                return all.clone();
            }
        }
        panic!("a run that never ends: {all:?}");
    }

    /// A run over the dead letters, in calls of fifteen minutes.
    pub fn redrive(&self) -> Response {
        self.run(&Request::new(Source::DeadLetter), 15 * MINUTE_MS)
    }

    /// Every event's outcome as the sink got it; panics when one got two different ones (I3).
    pub fn outcomes(&self) -> BTreeMap<String, Vec<u8>> {
        let mut outcomes: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for outcome in self.sink.outcomes() {
            let value: Value = serde_json::from_slice(&outcome.bytes).unwrap();
            let event = value["event_id"].as_str().unwrap().to_owned();
            if let Some(first) = outcomes.insert(event.clone(), outcome.bytes.clone()) {
                assert!(first == outcome.bytes, "I3: {event} got two outcomes");
            }
        }
        outcomes
    }

    /// How many events each card counts.
    pub fn counted(&self) -> BTreeMap<String, usize> {
        let count = |bytes: &[u8]| History::decode(bytes).unwrap().entries().len();
        self.store
            .cards()
            .iter()
            .map(|card| (card.as_str().to_owned(), count(&self.store.state(card).unwrap().bytes)))
            .collect()
    }

    /// How many events all cards count (I2: each once).
    pub fn counted_total(&self) -> usize {
        self.counted().values().sum()
    }

    /// Every card's state in the store.
    pub fn states(&self) -> BTreeMap<String, Vec<u8>> {
        self.store
            .cards()
            .iter()
            .map(|card| (card.as_str().to_owned(), self.store.state(card).unwrap().bytes))
            .collect()
    }

    /// What lies in the unrecoverable queue.
    pub fn lost(&self) -> Vec<UnrecoverableMessage> {
        self.unrecoverable
            .bodies()
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// Codes of the unrecoverable messages.
    pub fn lost_codes(&self) -> Vec<String> {
        self.lost().into_iter().map(|message| message.code).collect()
    }

    /// What is in quarantine.
    pub fn quarantined(&self) -> Vec<QuarantineMessage> {
        self.quarantine
            .bodies()
            .iter()
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }
}

/// Every record that messages speak of, or that was read beyond, is somewhere.
pub fn assert_adds_up(response: &Response) {
    let a = &response.account;
    assert_eq!(
        a.expected + a.filtered_out + a.unpacked,
        a.scored + a.already_done + a.applied + a.quarantined + a.trimmed + a.missing + a.returned,
        "{response:?}"
    );
}

/// A sequence number as Kinesis makes them: 56 digits, beyond every integer type. They cross a power of ten, so that text
/// order alone would be wrong.
pub fn number(at: u64) -> String {
    let low = 99_999_990_u64 + at;
    if low < 100_000_000 {
        format!("9{}{low}", "0".repeat(47))
    } else {
        format!("10{}{}", "0".repeat(47), low - 100_000_000 + 10_000_000)
    }
}

/// A letter as Lambda writes it.
pub fn letter(shard_id: &str, start: &str, end: &str, records: u64) -> Value {
    json!({
        "requestContext": {
            "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
            "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:tidemark-score",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 21,
        },
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": null },
        "version": "1.0", "timestamp": "2026-11-23T06:00:00.000Z",
        "KinesisBatchInfo": {
            "shardId": shard_id, "startSequenceNumber": start, "endSequenceNumber": end,
            "approximateArrivalOfFirstRecord": "2026-11-23T05:00:00Z", "approximateArrivalOfLastRecord": "2026-11-23T05:00:00Z",
            "batchSize": records, "streamArn": ARN,
        },
    })
}

/// A transaction at a time.
pub fn tx(card: &str, event: &str, occurred_at_ms: i64) -> Vec<u8> {
    let value = json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": card,
        "occurred_at_ms": occurred_at_ms, "amount_minor": 1_000, "currency": "EUR",
        "merchant_id": "m1", "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    });
    serde_json::to_vec(&value).unwrap()
}
