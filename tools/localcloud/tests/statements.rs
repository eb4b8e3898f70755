//! Many writes in one call, over HTTP against the local table: each statement is taken or refused by itself, and the engine brings
//! every card through whatever becomes of its call.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use crate::bench::Bench;
use localcloud::{FaultKind, FaultPlan, Faults, Service};
use tidemark_aws::{DynamoStore, SystemClock, Writes, connect};
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::port::{Clock, Commit, PortError, StateItem, StateStore, StateWrite};
use tidemark_engine::{BatchReport, Engine, EngineConfig, InRecord};

const STATEMENTS: &str = "BatchExecuteStatement";
const ARRIVAL_MS: i64 = 1_790_000_000_000;

impl Bench {
    async fn store(&self, writes: Writes) -> DynamoStore {
        let clients = connect(&self.cloud.aws_settings()).await;
        DynamoStore::new(clients.dynamodb, &self.names.table).with_writes(writes)
    }

    fn faults(&self) -> &Faults {
        self.cloud.faults().unwrap()
    }

    fn count(&self, operation: &str, kind: &'static str) -> u64 {
        let counts = self.faults().counts();
        let key = (Service::DynamoDb, operation.to_owned(), kind);
        counts.get(&key).copied().unwrap_or_default()
    }
}

fn card(at: usize) -> CardId {
    CardId::new(&format!("card-{at}")).unwrap()
}

fn write(at: usize, bytes: usize) -> Arc<StateWrite> {
    Arc::new(StateWrite {
        card_id: card(at),
        expected: None,
        item: StateItem::new(1, vec![7; bytes]),
        expires_at_s: 2_000_000_000,
    })
}

#[tokio::test]
async fn of_a_call_some_statements_are_refused_and_the_others_are_done() {
    let bench = Bench::new(|config| config.with_faults(1)).await;
    let store = bench.store(Writes::Statements).await;
    let share = FaultKind::Partial { share: 0.4 };
    bench
        .faults()
        .add(FaultPlan::new(Service::DynamoDb, share, 1.0).on(STATEMENTS).at_most(1));
    let writes: Vec<Arc<StateWrite>> = (0..25).map(|at| write(at, 10)).collect();
    let answers = store.commit(&writes).await.unwrap().value;
    let cards: Vec<CardId> = (0..25).map(card).collect();
    let stored = store.load_states(&cards).await.unwrap().value;
    let mut refused = 0;
    for (answer, item) in answers.iter().zip(stored) {
        match answer {
            Ok(Commit::Written) => assert!(item.is_some()),
            Err(PortError::Throttled(_)) => {
                assert_eq!(item, None);
                refused += 1;
            }
            answer => panic!("{answer:?}"),
        }
    }
    assert!((1..25).contains(&refused), "{refused}");
}

/// A card that takes more than its partition gives is refused, and the other one of the same call is not.
#[tokio::test]
async fn a_busy_partition_refuses_its_own_statement() {
    let bench = Bench::new(|config| config).await;
    let store = bench.store(Writes::Statements).await;
    let mut hot_refused = 0;
    for round in 0..12 {
        let large = Arc::new(StateWrite {
            card_id: card(0),
            expected: None,
            item: StateItem::new(1, vec![7; 300_000]),
            expires_at_s: 2_000_000_000,
        });
        let answers = store.commit(&[large, write(1 + round, 10)]).await.unwrap().value;
        assert!(matches!(answers[1], Ok(Commit::Written)), "{:?}", answers[1]);
        hot_refused += usize::from(matches!(answers[0], Err(PortError::Throttled(_))));
    }
    assert!(
        hot_refused > 0,
        "a dozen of 294 units each come in less than three seconds"
    );
}

fn payloads() -> Vec<Vec<u8>> {
    let event = |card: usize, number: i64| {
        serde_json::json!({
            "schema": "transaction", "version": 2, "event_id": format!("e-{card}-{number}"), "card_id": format!("card-{card}"),
            "occurred_at_ms": ARRIVAL_MS - 100_000 + number * 1_000, "amount_minor": 1_000 + card, "currency": "EUR",
            "merchant_id": "m", "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
        })
    };
    let events = (0..3).flat_map(|number| (0..120).map(move |card| event(card, number)));
    events.map(|event| event.to_string().into_bytes()).collect()
}

async fn process<S: StateStore, C: Clock>(
    engine: &Engine<S, MemorySink, MemoryQuarantine, C>,
    payloads: &[Vec<u8>],
    deadline_ms: i64,
) -> BatchReport {
    let numbers: Vec<String> = (0..payloads.len()).map(|at| (1_000 + at).to_string()).collect();
    let records: Vec<InRecord<'_>> = payloads
        .iter()
        .zip(&numbers)
        .map(|(data, sequence_number)| InRecord {
            stream: "transactions",
            shard_id: "shardId-000000000000",
            sequence_number,
            of_aggregate: None,
            partition_key: "key",
            arrival_ms: ARRIVAL_MS,
            data,
        })
        .collect();
    engine.process(&records, deadline_ms).await
}

/// Every batch meets refused statements, lost answers and failed calls; what is stored is byte for byte what fair weather makes.
#[tokio::test]
async fn batches_come_through_refused_statements_and_lost_answers() {
    let payloads = payloads();
    let fair = MemoryStore::default();
    let policy = Arc::new(Policy::default_policy());
    let engine = Engine::new(
        fair.clone(),
        MemorySink::default(),
        MemoryQuarantine::default(),
        ManualClock::at(ARRIVAL_MS),
        Arc::clone(&policy),
        EngineConfig::default(),
    );
    for batch in payloads.chunks(120) {
        process(&engine, batch, i64::MAX).await;
    }

    for writes in [Writes::Statements, Writes::Items] {
        let bench = Bench::new(|config| config.with_faults(5)).await;
        let operation = match writes {
            Writes::Statements => STATEMENTS,
            Writes::Items => "PutItem",
        };
        for kind in [
            FaultKind::Partial { share: 0.2 },
            FaultKind::DropAfterApply,
            FaultKind::Error500,
        ] {
            bench
                .faults()
                .add(FaultPlan::new(Service::DynamoDb, kind, 0.3).on(operation));
        }
        let (sink, clock) = (MemorySink::default(), SystemClock::new());
        let config = EngineConfig {
            attempts_max: 30,
            retries_per_batch_max: 5_000,
            ..EngineConfig::default()
        };
        let engine = Engine::new(
            bench.store(writes).await,
            sink.clone(),
            MemoryQuarantine::default(),
            SystemClock::new(),
            Arc::clone(&policy),
            config,
        );
        let mut scored = 0;
        for batch in payloads.chunks(120) {
            let report = process(&engine, batch, clock.now_ms() + 120_000).await;
            assert_eq!(report.retry_from, None, "{:?}", report.returned);
            scored += report.scored;
        }
        // Those whose answer was lost count as they are: ours.
        assert_eq!((scored, sink.outcomes().len()), (360, 360), "{writes:?}");
        bench.faults().clear();
        let cards: Vec<CardId> = (0..120).map(card).collect();
        let stored = bench.store(writes).await.load_states(&cards).await.unwrap().value;
        for (card, item) in cards.iter().zip(stored) {
            assert_eq!(item, fair.state(card), "{writes:?}: {card}");
        }
        for kind in ["partial", "drop_after_apply", "error"] {
            assert!(bench.count(operation, kind) > 0, "{kind} was not played");
        }
    }
}
