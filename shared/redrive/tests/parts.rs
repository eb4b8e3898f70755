//! Messages of the quarantine: what is refused before it is held, and how much is held while parts are missing.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidemark_redrive::parts::{Assembly, HeldPart, join, parse};
use tidemark_redrive::port::Received;
use tidemark_telemetry::ErrorCode;

fn message(part: u32, parts: u32) -> Value {
    json!({
        "schema": "quarantine", "version": 1, "code": "not_json", "detail": "d", "stream": "s", "shard_id": "shard",
        "sequence_number": "5", "partition_key": "k", "arrival_ms": 1, "payload_bytes": 3 * parts, "masked": false,
        "part": part, "parts": parts, "payload_base64": STANDARD.encode([b'a' + u8::try_from(part).unwrap(); 3]),
    })
}

fn received(body: &Value) -> Received {
    Received {
        id: "id".to_owned(),
        receipt: "receipt".to_owned(),
        body: body.to_string(),
        sent_ms: 1,
    }
}

fn held(part: u32, parts: u32) -> HeldPart {
    parse(&received(&message(part, parts))).unwrap()
}

#[test]
fn every_field_that_places_a_message_is_checked_on_its_own() {
    for (field, value) in [
        ("schema", json!("another")),
        ("version", json!(2)),
        ("part", json!(0)),
        ("part", json!(4)),
    ] {
        let mut body = message(3, 3);
        body[field] = value;
        let rejection = parse(&received(&body)).unwrap_err();
        assert_eq!(rejection.code, ErrorCode::LetterMisshapen, "{body}");
        assert!(rejection.detail.contains(field), "{}", rejection.detail);
    }
}

#[test]
fn what_waits_is_counted_until_it_is_whole() {
    let mut assembly = Assembly::default();
    let (one, two, three) = (held(1, 3), held(2, 3), held(3, 3));
    let other = held(1, 2);
    let (first, second) = (one.body.len(), two.body.len());
    assert!(assembly.add(one).is_none());
    assert_eq!(assembly.bytes(), first);
    assert!(assembly.add(two).is_none() && assembly.add(other.clone()).is_none());
    assert_eq!(assembly.bytes(), first + second + other.body.len());
    let whole = assembly.add(three).unwrap();
    assert_eq!(
        assembly.bytes(),
        other.body.len(),
        "only the payload that is not whole waits"
    );
    assert_eq!(join(whole).unwrap().data, b"bbbcccddd");
    assert_eq!(assembly.rest().len(), 1);
    assert_eq!((assembly.bytes(), assembly.rest().len()), (0, 0));
}
