//! The target for decoding events: what must hold of any payload whatever.

use std::borrow::Cow;

use tidemark_domain::contract::{Bounds, decode, encode, mask_card_numbers};
use tidemark_domain::refusal::RefusalCode;

/// When the payloads of [`SEEDS`] arrive: 2026-11-22T12:00:00Z.
pub const ARRIVAL_MS: i64 = 1_795_348_800_000;

/// Payloads that decode, or nearly do: what mutations start from.
pub const SEEDS: [&[u8]; 8] = [
    br#"{"schema":"transaction","version":2,"event_id":"0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77","card_id":"card-7f3a","occurred_at_ms":1795348799000,"amount_minor":1250,"currency":"EUR","merchant_id":"shop-19","mcc":5411,"country":"FR","channel":"point_of_sale","approved":true,"device_id":"phone-1","latitude":48.8566,"longitude":2.3522}"#,
    br#"{"schema":"transaction","version":1,"event_id":"e-1","card_id":"card-7f3a","occurred_at_ms":1795348799000,"amount_minor":1,"currency":"JPY","merchant_id":"caf\u00e9","mcc":0,"country":"JP","channel":"atm","approved":false,"extra":{"a":[1,{"b":null}]}}"#,
    br#"{"schema":"profile","version":1,"card_id":"card-7f3a","profile_version":3,"usual_country":"FR","spend_mean_minor":4200.5,"spend_deviation_minor":1800,"transactions_per_day":1.5e0,"account_opened_at_ms":1500000000000}"#,
    br#"{"schema":"label","version":1,"event_id":"e-1","card_id":"card-7f3a","verdict":"fraud","known_since_ms":1795348799000}"#,
    br#"{"schema":"transaction","version":3,"event_id":"e-3","card_id":"card-7f3a","occurred_at_ms":1795348799000,"amount_minor":1250,"currency":"EUR","merchant_id":"shop-19","mcc":5411,"country":"FR","channel":"ecommerce","approved":true,"links":{"ip":"ip-7f","account":"a-1","email_hash":"5e2a","b":null},"account_opened_at_ms":1500000000000}"#,
    br#"{"schema":"label","version":2,"event_id":"e-3","card_id":"card-7f3a","verdict":"fraud","known_since_ms":1795348799000,"occurred_at_ms":1795348799000,"merchant_id":"shop-19","links":{"ip":"ip-7f"}}"#,
    br#"{"schema":"transaction","note":"4111-1111 1111\u00a01111","a\"b":"\ud83d\ude00 378282246310005"}"#,
    "{\"n\":[NaN,-1e400,\"５５００-0000-0000-0004\",[[[[]]]]]}".as_bytes(),
];

/// Pieces that a mutation puts in: what the contract treats in a way of its own.
pub const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0034",
    b"\\ud83d",
    b"\\udfd8",
    b"4111111111111111",
    b" ",
    b"-",
    b"null",
    b"1e400",
    b"NaN",
    b"-Infinity",
    b"12.5",
    b"99999999999999999999",
    b"\xEF\xBC\x91",
    b"\xFF",
    b"41111111-1111-1111-8111-111111111111",
    b"\"event_id\":",
];

/// Checks a payload.
///
/// # Errors
/// What does not hold, in words. A panic is a finding too.
pub fn check(payload: &[u8]) -> Result<(), String> {
    let bounds = Bounds::default();
    let answer = decode(payload, ARRIVAL_MS, &bounds);
    let masked = mask_card_numbers(payload);
    if masked.len() != payload.len() {
        return Err("masking changed the length".to_owned());
    }
    if matches!(mask_card_numbers(&masked), Cow::Owned(_)) {
        return Err("masking left a card number".to_owned());
    }
    match answer {
        Ok(decoded) => match decode(&encode(&decoded.event, 2), ARRIVAL_MS, &bounds) {
            Ok(again) if again.event == decoded.event && again.unknown_fields == 0 => Ok(()),
            other => Err(format!(
                "encoding and decoding again gave another event: {:?}",
                other.err()
            )),
        },
        Err(refusal) if refusal.code == RefusalCode::CardNumber => match decode(&masked, ARRIVAL_MS, &bounds) {
            Err(refusal) if refusal.code == RefusalCode::CardNumber => {
                Err("the masked payload still holds a card number".to_owned())
            }
            _ => Ok(()),
        },
        Err(_) => Ok(()),
    }
}
