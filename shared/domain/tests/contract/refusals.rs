//! Every refusal that decoding can give, and what stands right beside it and is accepted.

use std::collections::BTreeSet;

use tidemark_domain::contract::{Bounds, decode};
use tidemark_domain::id::ID_BYTES_MAX;
use tidemark_domain::refusal::RefusalCode::{self, *};

use super::payload::{ARRIVAL_MS, Payload, code_of, read};
use super::samples;

/// Given by a card's history, or by the aggregate that an event came in.
const NOT_OF_DECODING: [RefusalCode; 6] = [
    BeyondHorizon,
    LabelWithoutEvent,
    AggregateDigest,
    AggregateMalformed,
    AggregateTooMany,
    Unmapped,
];

fn set(name: &str, value: &str) -> Vec<u8> {
    Payload::transaction().set(name, value).bytes()
}

fn time(offset_ms: i64) -> Vec<u8> {
    set("occurred_at_ms", &(ARRIVAL_MS + offset_ms).to_string())
}

fn padded(length: usize) -> Vec<u8> {
    let empty = Payload::transaction().add("note", "\"\"").bytes().len();
    Payload::transaction()
        .add("note", &format!("\"{}\"", "x".repeat(length - empty)))
        .bytes()
}

fn nested(levels: usize) -> Vec<u8> {
    Payload::transaction()
        .add("extra", &format!("{}{}", "[".repeat(levels), "]".repeat(levels)))
        .bytes()
}

fn text(json: &str) -> Vec<u8> {
    json.as_bytes().to_vec()
}

/// Faults of bytes and text.
fn text_faults() -> Vec<(RefusalCode, Vec<u8>)> {
    let whole = Payload::transaction().bytes();
    let with = |after: &str| [&whole[..], after.as_bytes()].concat();
    vec![
        (TooLarge, padded(Bounds::default().payload_bytes_max + 1)),
        (TooLarge, vec![0xFF; Bounds::default().payload_bytes_max + 1]),
        (Empty, Vec::new()),
        (Empty, text(" \r\n\t")),
        (NotUtf8, b"\xF3\x89\x9A\xC2\x0A\x04card".to_vec()),
        (NotUtf8, [b"{\"schema\":\"\xFF\"", &whole[1..]].concat()),
        (NotJson, text("[1,2,3]")),
        (NotJson, text("\"transaction\"")),
        (NotJson, text("null")),
        (NotJson, text("{")),
        (NotJson, text("{'schema':'transaction'}")),
        (NotJson, text("{\"schema\":\"transaction\",}")),
        (NotJson, text("{\"schema\":\"a\nb\"}")),
        (NotJson, text("{\"schema\":nul}")),
        (NotJson, text("{\"schema\":name}")),
        (NotJson, text("{\"a\":\"\\ud800\"}")),
        (NotJson, text("{\"a\":01}")),
        (NotJson, text("\u{FEFF}{}")),
        (NotJson, whole[..whole.len() / 2].to_vec()),
        (NotJson, with("x")),
        (NotJson, with("{}")),
        (NotJson, with("\0")),
        (TooDeep, nested(Bounds::default().nesting_max)),
        (TooDeep, nested(200)),
        (TooDeep, text(&"{\"a\":".repeat(30_000 / 5))),
        (DuplicateKey, Payload::transaction().add("amount_minor", "1250").bytes()),
        (
            DuplicateKey,
            Payload::transaction().add("note", "1").add("note", "1").bytes(),
        ),
        (
            DuplicateKey,
            Payload::transaction().add("note", "1").add("n\\u006fte", "1").bytes(),
        ),
        (
            DuplicateKey,
            Payload::transaction().add("curr\\u0065ncy", "\"USD\"").bytes(),
        ),
        (DuplicateKey, set("extra", "{\"a\":1,\"b\":2,\"a\":3}")),
        (DuplicateKey, set("extra", "[0,{\"a\":{\"b\":2,\"b\":3}}]")),
        (CardNumber, set("merchant_id", "\"4111111111111111\"")),
        (CardNumber, set("note", "\"paid with 3782 822463 10005 by phone\"")),
        (CardNumber, set("extra", "[{\"a\":[\"5500-0000-0000-0004\"]}]")),
        (CardNumber, set("4111111111111111", "1")),
        (CardNumber, set("extra", "{\"4111 1111 1111 1111\":null}")),
        (CardNumber, set("note", "\"\\u0034111111111111111\"")),
    ]
}

/// Faults of fields.
fn field_faults() -> Vec<(RefusalCode, Vec<u8>)> {
    let overlong = format!("\"{}\"", "y".repeat(ID_BYTES_MAX + 1));
    let overlong_in_bytes = format!("\"{}\"", "é".repeat(ID_BYTES_MAX / 2 + 1));
    let over_amount = (Bounds::default().amount_minor_max + 1).to_string();
    let mut faults = vec![
        (MissingField, text("{}")),
        (MissingField, Payload::transaction().drop("longitude").bytes()),
        (MissingField, Payload::transaction().drop("latitude").bytes()),
        (MissingField, set("longitude", "null")),
        (MistypedField, set("schema", "null")),
        (MistypedField, set("version", "\"2\"")),
        (MistypedField, set("version", "2.0")),
        (MistypedField, set("occurred_at_ms", "\"2026-11-22T12:00:00Z\"")),
        (MistypedField, set("occurred_at_ms", "1795348799000.5")),
        (MistypedField, set("amount_minor", "\"1250\"")),
        (MistypedField, set("amount_minor", "[1250]")),
        (MistypedField, set("mcc", "\"5411\"")),
        (MistypedField, set("mcc", "5411.0")),
        (MistypedField, set("channel", "\"carrier_pigeon\"")),
        (MistypedField, set("channel", "\"ATM\"")),
        (MistypedField, set("approved", "1")),
        (MistypedField, set("device_id", "7")),
        (MistypedField, set("latitude", "\"48.85\"")),
        (MistypedField, Payload::label().set("verdict", "\"maybe\"").bytes()),
        (MistypedField, Payload::profile().set("profile_version", "1e3").bytes()),
        (UnknownSchema, set("schema", "\"refund\"")),
        (UnknownSchema, set("schema", "\"Transaction\"")),
        (UnknownSchema, set("schema", "\"\"")),
        (UnknownVersion, set("version", "0")),
        (UnknownVersion, set("version", "4")),
        (UnknownVersion, set("version", "-1")),
        (UnknownVersion, set("version", "4294967298")),
        (UnknownVersion, set("version", "99999999999999999999")),
        (UnknownVersion, Payload::profile().set("version", "2").bytes()),
        (UnknownVersion, Payload::label().set("version", "3").bytes()),
        (EmptyId, set("device_id", "\"\"")),
        (OverlongId, set("device_id", &overlong)),
        (OverlongId, set("merchant_id", &overlong_in_bytes)),
        (AmountNotPositive, set("amount_minor", "0")),
        (AmountNotPositive, set("amount_minor", "-0")),
        (AmountNotPositive, set("amount_minor", "-1250")),
        (AmountNotPositive, set("amount_minor", "-99999999999999999999")),
        (AmountTooLarge, set("amount_minor", &over_amount)),
        (AmountTooLarge, set("amount_minor", "18446744073709551615")),
        (AmountTooLarge, set("amount_minor", "99999999999999999999")),
        (AmountFraction, set("amount_minor", "12.5")),
        (AmountFraction, set("amount_minor", "12.0")),
        (AmountFraction, set("amount_minor", "1e2")),
        (AmountFraction, set("amount_minor", "-12.5")),
        (NumberOutOfRange, set("amount_minor", "1e400")),
        (NumberOutOfRange, set("amount_minor", "NaN")),
        (NumberOutOfRange, set("amount_minor", "Infinity")),
        (NumberOutOfRange, set("amount_minor", "-Infinity")),
        (NumberOutOfRange, set("amount_minor", "\n -Infinity")),
        (NumberOutOfRange, set("latitude", "nan")),
        (NumberOutOfRange, set("extra", "[1, NaN]")),
        (NumberOutOfRange, set("extra", "[-1e999]")),
        (NumberOutOfRange, set("mcc", "10000")),
        (NumberOutOfRange, set("mcc", "65536")),
        (NumberOutOfRange, set("mcc", "-1")),
        (NumberOutOfRange, set("occurred_at_ms", "-1795348799000")),
        (NumberOutOfRange, set("latitude", "90.0001")),
        (NumberOutOfRange, set("latitude", "-90.0001")),
        (NumberOutOfRange, set("longitude", "180.0001")),
        (NumberOutOfRange, set("longitude", "-181")),
        (
            NumberOutOfRange,
            Payload::profile().set("spend_mean_minor", "-0.01").bytes(),
        ),
        (
            NumberOutOfRange,
            Payload::profile().set("spend_deviation_minor", "1.1e15").bytes(),
        ),
        (
            NumberOutOfRange,
            Payload::profile().set("transactions_per_day", "-1").bytes(),
        ),
        (
            NumberOutOfRange,
            Payload::profile()
                .set("profile_version", "18446744073709551616")
                .bytes(),
        ),
        (UnknownCurrency, set("currency", "\"XQQ\"")),
        (UnknownCurrency, set("currency", "\"eur\"")),
        (UnknownCurrency, set("currency", "\"\"")),
        (UnknownCurrency, set("currency", "\"XXX\"")),
        (UnknownCountry, set("country", "\"ZZ\"")),
        (UnknownCountry, set("country", "\"fr\"")),
        (UnknownCountry, set("country", "\"FRA\"")),
        (
            UnknownCountry,
            Payload::profile().set("usual_country", "\"XX\"").bytes(),
        ),
        (TimeUnit, set("occurred_at_ms", "1795348799")),
        (TimeUnit, set("occurred_at_ms", "0")),
        (TimeUnit, set("occurred_at_ms", "99999999999")),
        (TimeUnit, set("occurred_at_ms", "100000000000000")),
        (TimeUnit, set("occurred_at_ms", "1795348799000000")),
        (TimeUnit, set("occurred_at_ms", "1795348799000000000")),
        (TimeUnit, set("occurred_at_ms", "1795348799000000000000")),
        (
            TimeUnit,
            Payload::profile().set("account_opened_at_ms", "1500000000").bytes(),
        ),
        (TimeUnit, Payload::label().set("known_since_ms", "1795348799").bytes()),
        (FutureTimestamp, time(Bounds::default().skew_ms + 1)),
        (FutureTimestamp, time(365 * 86_400_000)),
        (
            FutureTimestamp,
            Payload::label()
                .set(
                    "known_since_ms",
                    &(ARRIVAL_MS + Bounds::default().skew_ms + 1).to_string(),
                )
                .bytes(),
        ),
        (
            FutureTimestamp,
            Payload::profile()
                .set(
                    "account_opened_at_ms",
                    &(ARRIVAL_MS + Bounds::default().skew_ms + 1).to_string(),
                )
                .bytes(),
        ),
        (TooLate, time(-Bounds::default().lateness_ms - 1)),
        (TooLate, set("occurred_at_ms", "100000000000")),
    ];
    let dated = |value: &str| Payload::profile().set("updated_at_ms", value).bytes();
    faults.push((MistypedField, dated("\"2026-11-23\"")));
    faults.push((
        FutureTimestamp,
        dated(&(ARRIVAL_MS + Bounds::default().skew_ms + 1).to_string()),
    ));
    let profile = Payload::profile().drop("updated_at_ms");
    let payloads = [Payload::transaction_v1(), profile, Payload::label()];
    for payload in payloads.into_iter().chain([Payload::transaction()
        .drop("device_id")
        .drop("latitude")
        .drop("longitude")])
    {
        for name in payload.names() {
            faults.push((MissingField, payload.clone().drop(&name).bytes()));
            faults.push((MistypedField, payload.clone().set(&name, "null").bytes()));
            faults.push((MistypedField, payload.clone().set(&name, "{}").bytes()));
        }
        for name in payload.names().iter().filter(|name| name.ends_with("_id")) {
            faults.push((EmptyId, payload.clone().set(name, "\"\"").bytes()));
            faults.push((OverlongId, payload.clone().set(name, &overlong).bytes()));
            for escape in [
                "\\n", "\\u0000", "\\u001b", "\\u007f", "\\u009b", "\\u2028", "\\u202e", "\\u2066", "\\u200f",
            ] {
                let id = format!("\"a{escape}[32m\"");
                faults.push((UnprintableId, payload.clone().set(name, &id).bytes()));
            }
        }
    }
    faults
}

fn faults() -> Vec<(RefusalCode, Vec<u8>)> {
    let faults = text_faults().into_iter().chain(field_faults());
    faults.chain(super::links::faults()).collect()
}

#[test]
fn each_fault_gets_its_code() {
    for (code, payload) in faults() {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(400)]).into_owned();
        assert_eq!(code_of(&payload), Some(code), "{shown}");
    }
}

/// Here, or in the sample of refused records, of which each is held to another code.
#[test]
fn every_code_of_decoding_has_a_case() {
    let samples = samples::codes(&samples::records("kinesis-poison.json"));
    let tested: BTreeSet<RefusalCode> = faults().into_iter().map(|(code, _)| code).chain(samples).collect();
    let expected: BTreeSet<RefusalCode> = RefusalCode::ALL
        .iter()
        .copied()
        .filter(|code| !NOT_OF_DECODING.contains(code))
        .collect();
    assert_eq!(tested, expected);
}

/// I9: what a refusal says must not lead back to what the payload said.
#[test]
fn no_refusal_tells_a_value() {
    const SECRET: &str = "s3cr3t";
    let secret = format!("\"{SECRET}\"");
    for (_, payload) in Payload::all() {
        for name in payload.names() {
            if let Err(refusal) = read(&payload.clone().set(&name, &secret).bytes()) {
                assert!(!refusal.to_string().contains(SECRET), "{refusal}");
                assert!(
                    refusal.detail.contains(&format!("`{name}`")),
                    "{refusal} does not name {name}"
                );
            }
        }
    }
    let twice = Payload::transaction().add(SECRET, "1").add(SECRET, "1").bytes();
    let cut = Payload::transaction().add(SECRET, SECRET).bytes();
    for (payload, code) in [(twice, DuplicateKey), (cut, NotJson)] {
        let refusal = read(&payload).unwrap_err();
        assert_eq!(refusal.code, code);
        assert!(!refusal.to_string().contains(SECRET), "{refusal}");
    }
}

#[test]
fn the_first_fault_in_the_documented_order_wins() {
    let all = Payload::transaction()
        .set("schema", "\"refund\"")
        .set("version", "9")
        .set("amount_minor", "0")
        .set("country", "\"ZZ\"")
        .add("deep", &format!("{}{}", "[".repeat(20), "]".repeat(20)))
        .add("pan", "\"4111111111111111\"")
        .add("amount_minor", "5");
    assert_eq!(code_of(&[&all.bytes()[..], b"x"].concat()), Some(NotJson));
    assert_eq!(code_of(&all.bytes()), Some(CardNumber));
    let all = all.set("pan", "1");
    assert_eq!(code_of(&all.bytes()), Some(TooDeep));
    let all = all.set("deep", "1");
    assert_eq!(code_of(&all.bytes()), Some(DuplicateKey));
    let all = all.drop("amount_minor").set("amount_minor", "0");
    assert_eq!(code_of(&all.bytes()), Some(UnknownSchema));
    let all = all.set("schema", "\"transaction\"");
    assert_eq!(code_of(&all.bytes()), Some(UnknownVersion));
    let all = all.set("version", "2").set("occurred_at_ms", "9999999999999");
    assert_eq!(code_of(&all.bytes()), Some(AmountNotPositive));
    let all = all.set("amount_minor", "1");
    assert_eq!(code_of(&all.bytes()), Some(UnknownCountry));
    let all = all.set("country", "\"FR\"");
    assert_eq!(code_of(&all.bytes()), Some(FutureTimestamp));
}

#[test]
fn a_bound_itself_is_accepted() {
    let bounds = Bounds::default();
    let accepted = [
        padded(bounds.payload_bytes_max),
        nested(bounds.nesting_max - 1),
        time(bounds.skew_ms),
        time(-bounds.lateness_ms),
        set("amount_minor", "1"),
        set("amount_minor", &bounds.amount_minor_max.to_string()),
        set("mcc", "0"),
        set("mcc", "9999"),
        set("latitude", "-90"),
        set("longitude", "180.0"),
        set("merchant_id", &format!("\"{}\"", "é".repeat(ID_BYTES_MAX / 2))),
        [b" \r\n\t", &Payload::transaction().bytes()[..], b"\n"].concat(),
        Payload::profile()
            .set("profile_version", "18446744073709551615")
            .bytes(),
        Payload::profile().set("spend_mean_minor", "0").bytes(),
        // A label comes days later, a profile speaks of years ago.
        Payload::label().set("known_since_ms", "1600000000000").bytes(),
        Payload::profile().set("account_opened_at_ms", "100000000000").bytes(),
    ];
    for payload in accepted {
        assert_eq!(
            code_of(&payload),
            None,
            "{}",
            String::from_utf8_lossy(&payload[..payload.len().min(400)])
        );
    }
    // Bounds and arrivals at the end of the scale do not overflow.
    let wide = Bounds {
        skew_ms: i64::MAX,
        lateness_ms: i64::MAX,
        ..bounds
    };
    for (arrival_ms, expected) in [(i64::MIN, Some(FutureTimestamp)), (0, None), (i64::MAX, None)] {
        let answer = decode(&Payload::transaction().bytes(), arrival_ms, &wide);
        assert_eq!(answer.err().map(|refusal| refusal.code), expected, "{arrival_ms}");
    }
}

#[test]
fn bounds_are_those_that_were_given() {
    let payload = Payload::transaction().bytes();
    let bounds = Bounds::default();
    let code = |bounds: Bounds| decode(&payload, ARRIVAL_MS, &bounds).err().map(|refusal| refusal.code);
    assert_eq!(code(bounds), None);
    assert_eq!(
        code(Bounds {
            payload_bytes_max: payload.len(),
            ..bounds
        }),
        None
    );
    assert_eq!(
        code(Bounds {
            payload_bytes_max: payload.len() - 1,
            ..bounds
        }),
        Some(TooLarge)
    );
    assert_eq!(
        code(Bounds {
            nesting_max: 1,
            ..bounds
        }),
        None
    );
    assert_eq!(
        code(Bounds {
            nesting_max: 0,
            ..bounds
        }),
        Some(TooDeep)
    );
    assert_eq!(
        code(Bounds {
            amount_minor_max: 1249,
            ..bounds
        }),
        Some(AmountTooLarge)
    );
    assert_eq!(
        code(Bounds {
            lateness_ms: 999,
            ..bounds
        }),
        Some(TooLate)
    );
}
