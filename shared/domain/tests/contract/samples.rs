//! The sample files in `events`: valid in shape, and holding what their names say.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidemark_domain::contract::{Bounds, Decoded, decode};
use tidemark_domain::event::Event;
use tidemark_domain::refusal::{Refusal, RefusalCode};

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The records of a Lambda payload, decoded, once their shape is checked.
pub(super) fn records(name: &str) -> Vec<Result<Decoded, Refusal>> {
    let payload: Value = serde_json::from_str(&file(name)).unwrap();
    let mut last = String::new();
    let decode_record = |record: &Value| {
        let kinesis = &record["kinesis"];
        let sequence = kinesis["sequenceNumber"].as_str().unwrap().to_owned();
        let event_id = record["eventID"].as_str().unwrap();
        assert_eq!(event_id.split_once(':').unwrap().1, sequence, "{name}");
        assert!(
            (last.len(), &last) < (sequence.len(), &sequence),
            "{name}: sequence numbers ascend"
        );
        last = sequence;
        assert_eq!(record["eventSource"], "aws:kinesis");
        assert!(
            record["eventSourceARN"]
                .as_str()
                .unwrap()
                .starts_with("arn:aws:kinesis:")
        );
        let data = STANDARD.decode(kinesis["data"].as_str().unwrap()).unwrap();
        #[allow(clippy::cast_possible_truncation)]
        let arrival_ms = (kinesis["approximateArrivalTimestamp"].as_f64().unwrap() * 1000.0).round() as i64;
        let decoded = decode(&data, arrival_ms, &Bounds::default());
        if let Ok(decoded) = &decoded {
            assert_eq!(kinesis["partitionKey"], decoded.event.card_id().as_str(), "{name}");
        }
        decoded
    };
    payload["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(decode_record)
        .collect()
}

pub(super) fn codes(records: &[Result<Decoded, Refusal>]) -> Vec<RefusalCode> {
    records
        .iter()
        .filter_map(|record| record.as_ref().err().map(|refusal| refusal.code))
        .collect()
}

/// Event ids of the transactions, with how often each comes.
fn repeated(records: &[Result<Decoded, Refusal>]) -> usize {
    let mut seen = BTreeSet::new();
    let transactions = records.iter().filter_map(|record| match record {
        Ok(Decoded {
            event: Event::Transaction(transaction),
            ..
        }) => Some(transaction),
        _ => None,
    });
    transactions
        .filter(|transaction| !seen.insert((&transaction.event_id, transaction.occurred_at_ms)))
        .count()
}

fn kinds(records: &[Result<Decoded, Refusal>]) -> [usize; 3] {
    let of = |is: fn(&Event) -> bool| records.iter().flatten().filter(|decoded| is(&decoded.event)).count();
    [
        of(|event| matches!(event, Event::Transaction(_))),
        of(|event| matches!(event, Event::Profile(_))),
        of(|event| matches!(event, Event::Label(_))),
    ]
}

#[test]
fn good_is_good() {
    let records = records("kinesis-good.json");
    assert_eq!(codes(&records), []);
    assert!(kinds(&records).iter().all(|count| *count > 0), "every kind of event");
    assert_eq!(repeated(&records), 0);
}

#[test]
fn poison_is_all_refused_each_for_another_reason() {
    let records = records("kinesis-poison.json");
    let codes = codes(&records);
    assert_eq!(codes.len(), records.len());
    let distinct: BTreeSet<RefusalCode> = codes.iter().copied().collect();
    assert_eq!(distinct.len(), codes.len());
    let of_decoding = RefusalCode::ALL.len() - 6; // two that only a card's history gives, three that an aggregate gives, one that a map gives
    // Too large is left out: it would be a file of 90 KB.
    assert_eq!(distinct.len(), of_decoding - 1, "missing from {distinct:?}");
}

#[test]
fn duplicate_has_the_same_events_again() {
    let records = records("kinesis-duplicate.json");
    assert_eq!(codes(&records), []);
    assert_eq!((records.len(), repeated(&records)), (6, 3));
}

#[test]
fn mixed_has_some_of_all() {
    let records = records("kinesis-mixed.json");
    assert_eq!(
        codes(&records),
        [
            RefusalCode::NotJson,
            RefusalCode::AmountFraction,
            RefusalCode::CardNumber
        ]
    );
    assert!(kinds(&records).iter().all(|count| *count > 0), "every kind of event");
    assert_eq!(repeated(&records), 1);
    assert!(records.iter().flatten().any(|decoded| decoded.unknown_fields > 0));
}

#[test]
fn the_sample_stream_is_accepted_whole() {
    let stream = file("sample-stream.jsonl");
    // Arrivals are not in the file: it reads as if all had arrived with the last.
    let events: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last_ms = events
        .iter()
        .filter_map(|event| event["occurred_at_ms"].as_i64())
        .max()
        .unwrap();
    let records: Vec<_> = stream
        .lines()
        .map(|line| decode(line.as_bytes(), last_ms, &Bounds::default()))
        .collect();
    assert_eq!(codes(&records), []);
    assert!(records.len() >= 50 && kinds(&records).iter().all(|count| *count > 0));
}
