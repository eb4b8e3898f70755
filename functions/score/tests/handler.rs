//! The handler without Lambda and without AWS: a payload as the mapping builds it, ports in memory.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{Context, Diagnostic};
use score_function::{Handled, Response, ScoreFunction};
use serde_json::{Value, json};
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::{Engine, EngineConfig};

const ARRIVAL_MS: i64 = 1_760_000_000_000;

struct Fixture {
    function: ScoreFunction<MemoryStore, MemorySink, MemoryQuarantine, ManualClock>,
    sink: MemorySink,
    quarantine: MemoryQuarantine,
}

fn fixture() -> Fixture {
    let (store, sink, quarantine) = (
        MemoryStore::default(),
        MemorySink::default(),
        MemoryQuarantine::default(),
    );
    let clock = ManualClock::at(ARRIVAL_MS + 250);
    let policy = Arc::new(Policy::default_policy());
    let engine = Engine::new(
        store,
        sink.clone(),
        quarantine.clone(),
        clock.clone(),
        policy,
        EngineConfig::default(),
    );
    Fixture {
        function: ScoreFunction::new(engine, clock, "tidemark-score"),
        sink,
        quarantine,
    }
}

fn context(remaining_ms: i64) -> Context {
    let mut context = Context::default();
    context.request_id = "request-1".to_owned();
    context.deadline = u64::try_from(ARRIVAL_MS + 250 + remaining_ms).unwrap();
    context
}

fn transaction(event_id: &str, card_id: &str) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": event_id, "card_id": card_id,
        "occurred_at_ms": ARRIVAL_MS - 1_000, "amount_minor": 1_250, "currency": "EUR", "merchant_id": "merchant-1",
        "mcc": 5411, "country": "FR", "channel": "point_of_sale", "approved": true,
    })
}

fn record(number: usize, partition_key: &str, data: &str) -> Value {
    let sequence_number = format!("4959033827149025660855969253836157109592157598913658{number:04}");
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": sequence_number,
            "data": data,
            "approximateArrivalTimestamp": 1_760_000_000.0 + f64::from(u32::try_from(number).unwrap()) / 1_000.0,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("shardId-000000000000:{sequence_number}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/score",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tidemark-transactions",
    })
}

fn payload(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

fn sent(number: usize, event: &Value) -> Value {
    record(
        number,
        event["card_id"].as_str().unwrap(),
        &STANDARD.encode(event.to_string()),
    )
}

fn metric(handled: &Handled, name: &str) -> f64 {
    let line: Value = serde_json::from_str(&handled.metrics[0].to_json()).unwrap();
    line[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no metric {name} in {line}"))
}

fn whole(handled: &Handled) -> bool {
    handled.answer == Ok(Response::default())
}

#[tokio::test]
async fn a_good_batch_is_scored_answered_and_reported() {
    let fixture = fixture();
    let batch = payload(&[
        sent(1, &transaction("e1", "card-1")),
        sent(2, &transaction("e2", "card-2")),
    ]);
    let handled = fixture.function.handle(&batch, &context(60_000)).await;
    assert!(whole(&handled), "{:?}", handled.answer);
    assert_eq!(
        serde_json::to_value(handled.answer.as_ref().unwrap()).unwrap(),
        json!({ "batchItemFailures": [] })
    );
    let outcomes = fixture.sink.outcomes();
    assert_eq!(outcomes.len(), 2);
    let outcome: Value = serde_json::from_slice(&outcomes[0].bytes).unwrap();
    assert_eq!(outcome["schema"], "outcome");
    assert_eq!(handled.metrics.len(), 1);
    assert_eq!(
        (metric(&handled, "RecordsReceived"), metric(&handled, "Scored")),
        (2.0, 2.0)
    );
    assert_eq!(
        (metric(&handled, "Quarantined"), metric(&handled, "Returned")),
        (0.0, 0.0)
    );
    assert_eq!(metric(&handled, "ColdStarts"), 1.0);
    assert_eq!(metric(&handled, "OldestRecordAge"), 249.0);
}

#[tokio::test]
async fn the_same_batch_again_is_all_duplicates_with_the_same_outcomes() {
    let fixture = fixture();
    let batch = payload(&[
        sent(1, &transaction("e1", "card-1")),
        sent(2, &transaction("e2", "card-1")),
    ]);
    fixture.function.handle(&batch, &context(60_000)).await;
    let first = fixture.sink.take();
    let again = fixture.function.handle(&batch, &context(60_000)).await;
    assert!(whole(&again));
    assert_eq!((metric(&again, "Scored"), metric(&again, "Duplicate")), (0.0, 2.0));
    assert_eq!(metric(&again, "ColdStarts"), 0.0);
    assert_eq!(fixture.sink.take(), first);
}

#[tokio::test]
async fn poison_goes_to_quarantine_and_the_rest_is_scored() {
    let fixture = fixture();
    let mut mistyped = sent(4, &transaction("e4", "card-1"));
    mistyped["kinesis"]["data"] = json!(42);
    let batch = payload(&[
        sent(1, &transaction("e1", "card-1")),
        record(2, "card-1", "this is not base64"),
        record(3, "card-1", &STANDARD.encode("{\"schema\":")),
        mistyped,
        sent(5, &transaction("e5", "card-1")),
    ]);
    let handled = fixture.function.handle(&batch, &context(60_000)).await;
    assert!(whole(&handled), "poison never blocks a shard: {:?}", handled.answer);
    assert_eq!(
        (metric(&handled, "Scored"), metric(&handled, "Quarantined")),
        (2.0, 3.0)
    );
    let messages = fixture.quarantine.messages();
    assert_eq!(messages.len(), 3);
    for (message, number) in messages.iter().zip(["0002", "0003", "0004"]) {
        assert_eq!(message.code.as_str(), "not_json");
        assert!(message.sequence_number.ends_with(number), "{}", message.sequence_number);
    }
    let kept = STANDARD.decode(&messages[2].payload_base64).unwrap();
    assert!(
        String::from_utf8(kept).unwrap().contains("\"data\":42"),
        "the whole record is kept"
    );
    let by_reason: Value = serde_json::from_str(&handled.metrics[1].to_json()).unwrap();
    assert_eq!(
        (&by_reason["reason"], &by_reason["Quarantined"]),
        (&json!("not_json"), &json!(3.0))
    );
}

#[tokio::test]
async fn a_deadline_that_is_near_returns_the_batch_from_its_lowest_number() {
    let fixture = fixture();
    let records = [
        sent(1, &transaction("e1", "card-1")),
        sent(2, &transaction("e2", "card-2")),
    ];
    let handled = fixture.function.handle(&payload(&records), &context(0)).await;
    let response = handled.answer.as_ref().unwrap();
    assert_eq!(response.batch_item_failures.len(), 1);
    assert_eq!(
        response.batch_item_failures[0].item_identifier,
        records[0]["kinesis"]["sequenceNumber"]
    );
    assert_eq!(
        (metric(&handled, "Returned"), metric(&handled, "DeadlineStops")),
        (2.0, 1.0)
    );
    let answer = serde_json::to_value(response).unwrap();
    assert!(
        answer["batchItemFailures"][0]["itemIdentifier"].is_string(),
        "spelt as Lambda reads it: {answer}"
    );
}

#[tokio::test]
async fn what_is_no_kinesis_event_fails_by_name_and_says_nothing_of_its_content() {
    let fixture = fixture();
    let handled = fixture
        .function
        .handle("{\"card\":\"4111111111111111\"}", &context(60_000))
        .await;
    let diagnostic = Diagnostic::from(handled.answer.clone().unwrap_err());
    assert_eq!(diagnostic.error_type, "TM-2001");
    assert!(
        !diagnostic.error_message.contains("4111"),
        "{}",
        diagnostic.error_message
    );
    assert_eq!(metric(&handled, "UnreadableEvents"), 1.0);
    assert!(handled.report.is_none());
}

#[tokio::test]
async fn a_record_that_cannot_be_named_fails_the_batch_before_anything_is_done() {
    let fixture = fixture();
    let mut unnamed = sent(2, &transaction("e2", "card-1"));
    unnamed["kinesis"]["sequenceNumber"] = json!("");
    let batch = payload(&[sent(1, &transaction("e1", "card-1")), unnamed]);
    let handled = fixture.function.handle(&batch, &context(60_000)).await;
    assert_eq!(
        Diagnostic::from(handled.answer.clone().unwrap_err()).error_type,
        "TM-2002"
    );
    assert!(fixture.sink.outcomes().is_empty());
}

#[tokio::test]
async fn no_metric_holds_anything_out_of_a_payload() {
    let fixture = fixture();
    let batch = payload(&[
        sent(1, &transaction("event-secret", "card-secret")),
        record(2, "key-secret", &STANDARD.encode("payload-secret")),
    ]);
    let handled = fixture.function.handle(&batch, &context(60_000)).await;
    for line in &handled.metrics {
        assert!(!line.to_json().contains("secret"), "{}", line.to_json());
    }
}
