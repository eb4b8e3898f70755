//! What an event that is accepted says: each field, fields that may be absent, fields that nobody knows.

use tidemark_domain::event::Event;

use super::payload::{Payload, read};

#[test]
fn unknown_fields_are_counted_and_those_of_a_later_version_are_unknown_to_an_earlier_one() {
    let count = |payload: Payload| read(&payload.bytes()).unwrap().unknown_fields;
    assert_eq!(count(Payload::transaction()), 0);
    assert_eq!(count(Payload::transaction().add("a", "1").add("b", "{\"c\":[1]}")), 2);
    assert_eq!(count(Payload::transaction().add("verdict", "\"fraud\"")), 1);
    assert_eq!(count(Payload::label().add("mcc", "true")), 1);
    // Three members that version 1 does not have, and does not check.
    let first = Payload::transaction().set("version", "1").set("latitude", "\"north\"");
    let decoded = read(&first.bytes()).unwrap();
    assert_eq!(decoded.unknown_fields, 3);
    let Event::Transaction(transaction) = decoded.event else {
        panic!("not a transaction")
    };
    assert_eq!((transaction.device_id, transaction.place), (None, None));
}

#[test]
fn an_optional_field_may_be_null() {
    let payload = Payload::transaction()
        .set("device_id", "null")
        .set("latitude", "null")
        .set("longitude", "null");
    let Event::Transaction(transaction) = read(&payload.bytes()).unwrap().event else {
        panic!("not a transaction")
    };
    assert_eq!((transaction.device_id, transaction.place), (None, None));
}

#[test]
fn every_field_arrives() {
    let Event::Transaction(transaction) = read(&Payload::transaction().bytes()).unwrap().event else {
        panic!("not a transaction")
    };
    assert_eq!(transaction.event_id.as_str(), "0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77");
    assert_eq!(transaction.card_id.as_str(), "card-7f3a");
    assert_eq!(
        (transaction.occurred_at_ms, transaction.amount_minor),
        (1_795_348_799_000, 1250)
    );
    assert_eq!(
        (transaction.currency.as_str(), transaction.country.as_str()),
        ("EUR", "FR")
    );
    assert_eq!((transaction.merchant_id.as_str(), transaction.mcc), ("shop-19", 5411));
    assert_eq!(
        (transaction.channel.as_str(), transaction.approved),
        ("point_of_sale", true)
    );
    assert_eq!(transaction.device_id.unwrap().as_str(), "phone-1");
    let place = transaction.place.unwrap();
    assert_eq!((place.latitude_e4, place.longitude_e4), (488_566, 23_522));
    // An escape in a key or a value is what it stands for.
    let escaped = Payload::transaction()
        .drop("merchant_id")
        .add("merch\\u0061nt_id", "\"caf\\u00e9\"")
        .bytes();
    let Event::Transaction(transaction) = read(&escaped).unwrap().event else {
        panic!("not a transaction")
    };
    assert_eq!(transaction.merchant_id.as_str(), "café");
    let Event::Profile(profile) = read(&Payload::profile().bytes()).unwrap().event else {
        panic!("not a profile")
    };
    assert_eq!((profile.version, profile.usual_country.as_str()), (3, "FR"));
    assert_eq!(
        (profile.spend_mean_minor, profile.spend_deviation_minor),
        (4200.5, 1800.0)
    );
    assert_eq!(
        (profile.transactions_per_day, profile.account_opened_at_ms),
        (1.5, 1_500_000_000_000)
    );
    assert_eq!(profile.updated_at_ms, Some(1_700_000_000_000));
    let Event::Profile(undated) = read(&Payload::profile().set("updated_at_ms", "null").bytes())
        .unwrap()
        .event
    else {
        panic!("not a profile")
    };
    assert_eq!(undated.updated_at_ms, None);
    let Event::Label(label) = read(&Payload::label().bytes()).unwrap().event else {
        panic!("not a label")
    };
    assert_eq!(
        (label.verdict.as_str(), label.known_since_ms),
        ("fraud", 1_795_348_799_000)
    );
}
