//! Hot cards in a file: the same bytes as by way of the stream, in bounded memory.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::json;
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::{ManualClock, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::{Engine, EngineConfig, InRecord};

use super::*;

const START_MS: i64 = 1_760_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn transaction(number: i64, time_ms: i64) -> Vec<u8> {
    let payload = json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": "hot",
        "occurred_at_ms": time_ms, "amount_minor": 1_000 + number * 37 % 977, "currency": "EUR",
        "merchant_id": format!("merchant-{}", number * 31 % 97), "mcc": 5411,
        "country": (["FR", "DE", "IT"])[(number % 50 / 24) as usize], "channel": "ecommerce", "approved": number % 13 != 0,
    });
    serde_json::to_vec(&payload).unwrap()
}

/// Events in order, late and twice, and labels: payloads with the time of their arrival.
fn stream() -> Vec<(Vec<u8>, i64)> {
    let mut payloads = Vec::new();
    let time_ms = |number: i64| START_MS + number * 400_000 - if number % 17 == 0 { 5 * HOUR_MS } else { 0 };
    for number in 0..3_000 {
        let arrival_ms = START_MS + number * 400_000 + 1_000;
        payloads.push((transaction(number, time_ms(number)), arrival_ms));
        if number % 7 == 0 {
            // A day and a half ago at most: later it would be refused as too late.
            let first = (number - 300).max(number / 2);
            payloads.push((transaction(first, time_ms(first)), arrival_ms));
        }
        if number % 100 == 99 {
            let label = json!({
                "schema": "label", "version": 1, "event_id": format!("event-{}", number / 2), "card_id": "hot",
                "verdict": "fraud", "known_since_ms": arrival_ms,
            });
            payloads.push((serde_json::to_vec(&label).unwrap(), arrival_ms));
        }
    }
    payloads
}

/// The outcomes that the score function's engine sends, each once, in their order; cold with every batch.
fn by_the_stream(payloads: &[(Vec<u8>, i64)], policy: &Policy) -> Vec<Vec<u8>> {
    let (store, sink) = (MemoryStore::default(), MemorySink::default());
    for (batch, payloads) in payloads.chunks(40).enumerate() {
        let numbers: Vec<String> = (0..payloads.len()).map(|at| (batch * 40 + at).to_string()).collect();
        let records: Vec<InRecord<'_>> = payloads
            .iter()
            .zip(&numbers)
            .map(|((data, arrival_ms), sequence_number)| InRecord {
                stream: "transactions",
                shard_id: "shardId-000000000000",
                sequence_number,
                of_aggregate: None,
                partition_key: "hot",
                arrival_ms: *arrival_ms,
                data,
            })
            .collect();
        let engine = Engine::new(
            store.clone(),
            sink.clone(),
            MemoryQuarantine::default(),
            ManualClock::at(payloads[0].1),
            Arc::new(policy.clone()),
            EngineConfig::default(),
        );
        let report = engine.process(&records, i64::MAX).now_or_never().unwrap();
        assert_eq!(report.retry_from, None);
        assert_eq!(report.quarantined_total(), 0);
    }
    assert!(store.segments().len() > 100, "the card is hot");
    let mut seen = HashSet::new();
    let outcomes = sink.outcomes().into_iter().map(|outcome| outcome.bytes);
    outcomes.filter(|bytes| seen.insert(bytes.clone())).collect()
}

#[test]
fn a_hot_card_gets_the_outcomes_of_the_stream_byte_for_byte() {
    let payloads = stream();
    let policy = Policy {
        head_events_max: 60,
        ..Policy::default_policy()
    };
    let expected = by_the_stream(&payloads, &policy);
    assert_eq!(expected.len(), 3_000);
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in.jsonl"), directory.path().join("out.jsonl"));
    let text: Vec<u8> = payloads
        .iter()
        .flat_map(|(payload, _)| [payload.as_slice(), b"\n"].concat())
        .collect();
    fs::write(&input, text).unwrap();
    for features in [false, true] {
        let summary = run(&ScoreOptions {
            input: (&input).into(),
            output: output.clone(),
            refused: None,
            policy: policy.clone(),
            features,
            arrival: Arrival::AtEventTime,
            sort: false,
            progress: false,
        })
        .unwrap();
        assert!(summary.adds_up());
        assert_eq!((summary.scored, summary.duplicate, summary.labels), (3_000, 429, 30));
        let found = fs::read(&output).unwrap();
        let found: Vec<Vec<u8>> = found.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        assert_eq!(found.len(), expected.len() + 1);
        for (found, expected) in found.iter().zip(&expected) {
            let found = if features {
                let mut value: serde_json::Value = serde_json::from_slice(found).unwrap();
                value.as_object_mut().unwrap().remove("features");
                assert_eq!(value, serde_json::from_slice::<serde_json::Value>(expected).unwrap());
                continue;
            } else {
                String::from_utf8_lossy(found)
            };
            assert_eq!(found, String::from_utf8_lossy(expected));
        }
    }
}

/// A card that buys every two minutes for five months: what is kept of it does not grow with the file.
#[test]
fn the_memory_of_a_card_is_bounded_by_what_it_may_keep() {
    let policy = Policy::default_policy();
    let (mut scorer, step_ms) = (Scorer::new(policy.clone(), false, Arrival::AtEventTime), 120_000);
    let kept_max = policy.retention_ms() / step_ms;
    let hot = CardId::new("hot").unwrap();
    let mut sizes = Vec::new();
    for quarter in 0..16 {
        let mut chunk = LineChunk::default();
        for number in quarter * kept_max / 4..(quarter + 1) * kept_max / 4 {
            let payload = transaction(number, START_MS + number * step_ms);
            chunk.push(1, Ok(&payload));
        }
        let ends = scorer.score(&chunk).unwrap();
        assert!(ends.iter().all(|end| matches!(end, LineEnd::Outcome(_))));
        let (state_bytes, segment_bytes) = scorer.bytes_of(&hot);
        assert!(state_bytes <= 8 << 10, "{state_bytes} bytes of state");
        sizes.push(segment_bytes);
    }
    let most = *sizes.iter().max().unwrap();
    let bytes = most as f64 / kept_max as f64;
    println!("{most} bytes for {kept_max} events within the retention: {bytes:.1} an event");
    assert!(bytes < 40.0, "{bytes:.1} bytes an event: {sizes:?}");
}
