use serde_json::json;
use tidemark_aws::admin::{ItemValue, QueueMessage};

use super::*;

fn queued(number: u32, code: &str, key: &str, payload: &str) -> QueueMessage {
    let body = json!({
        "schema": "quarantine", "version": 1, "code": code, "detail": "why\u{1b}[2J", "stream": "s",
        "shard_id": "shardId-000000000000", "sequence_number": number.to_string(), "partition_key": key,
        "arrival_ms": 5, "payload_bytes": payload.len(), "masked": false, "part": 1, "parts": 1,
        "payload_base64": STANDARD.encode(payload),
    });
    QueueMessage {
        id: number.to_string(),
        receipt: number.to_string(),
        body: body.to_string(),
        receive_count: 1,
        sent_ms: 1_000 * i64::from(number),
    }
}

fn records() -> Vec<RefusedRecord> {
    let mut gathered = Gathered::default();
    gathered.take(queued(1, "not_json", "till-7", "x\u{1b}[2Jy"));
    gathered.take(queued(2, "not_json", "till-7", "y"));
    gathered.take(queued(3, "unknown_version", "till-8", r#"{"card_id":"c-9"}"#));
    gathered.records(&FilterArgs::default(), true)
}

#[test]
fn a_listing_leads_to_the_producer() {
    let listing = listing(records(), 1);
    assert_eq!((listing.records, listing.reasons[0].records), (3, 2));
    assert_eq!((listing.keys[0].value.as_str(), listing.keys[0].records), ("till-7", 2));
    assert_eq!((listing.keys[0].oldest_ms, listing.keys[0].newest_ms), (1_000, 2_000));
    assert_eq!(listing.cards[0].value, "c-9");
    assert_eq!(
        (listing.newest.len(), listing.rows_more),
        (1, 2),
        "a key and a reason more"
    );
    let text = view::listing(&listing);
    for part in ["3 records", "till-7", "c-9", "not_json", &listing.newest[0].id] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("\u{1b}[2J"), "{text:?}");
}

#[test]
fn a_record_is_shown_and_exported_with_its_payload() {
    let records = records();
    let oldest = records.last().unwrap();
    let shown = view::record(oldest, 10_000);
    assert!(shown.contains("x\\u001b[2Jy") && shown.contains("till-7"), "{shown}");
    assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
    let document = document(oldest);
    assert_eq!(document["payload"], "x\u{1b}[2Jy");
    assert_eq!(
        (&document["sequence_number"], &document["code"]),
        (&json!("1"), &json!("not_json"))
    );
    assert!(document.get("receipts").is_none());
}

#[test]
fn what_is_dropped_is_named_in_items_that_dynamodb_takes() {
    let mut gathered = Gathered::default();
    for number in 0..1_200 {
        gathered.take(queued(number, "not_json", &"k".repeat(256), ""));
    }
    let records = gathered.records(&FilterArgs::default(), false);
    let items = drops::plan(&records, "on-call", "test traffic", 7);
    assert_eq!(items.iter().map(|(_, chunk)| chunk.len()).sum::<usize>(), 1_200);
    let mut keys = BTreeSet::new();
    for (item, _) in &items {
        let Some(ItemValue::Text(text)) = item.get("records") else {
            panic!("{item:?}")
        };
        assert!(text.len() < 300 * 1024, "{} bytes", text.len());
        keys.insert(format!("{:?}", item.get("sk")));
    }
    assert_eq!(keys.len(), items.len());
}
