//! Version 3 of the transaction: further ids by name, and since when the card's account is open.

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::contract::{Bounds, decode, encode};
use tidemark_domain::event::{Event, LINKS_MAX, Label, Transaction};
use tidemark_domain::id::{ID_BYTES_MAX, LinkId};
use tidemark_domain::refusal::RefusalCode::{self, *};

use super::payload::{ARRIVAL_MS, Payload, code_of, read};

fn transaction(payload: &Payload) -> Transaction {
    match read(&payload.bytes()).unwrap().event {
        Event::Transaction(transaction) => transaction,
        other => panic!("{other:?}"),
    }
}

fn label(payload: &Payload) -> Label {
    match read(&payload.bytes()).unwrap().event {
        Event::Label(label) => label,
        other => panic!("{other:?}"),
    }
}

/// As many ids as that, under names of their own.
fn many(links: usize) -> String {
    let links: Vec<String> = (0..links).map(|number| format!("\"link_{number}\":\"id\"")).collect();
    format!("{{{}}}", links.join(","))
}

/// What is wrong with links, in either event that may have them, and with an account's time.
pub(super) fn faults() -> Vec<(RefusalCode, Vec<u8>)> {
    let overlong = format!("{{\"ip\":\"{}\"}}", "y".repeat(ID_BYTES_MAX + 1));
    let overlong_in_bytes = format!("{{\"ip\":\"{}\"}}", "é".repeat(ID_BYTES_MAX / 2 + 1));
    let of_links: Vec<(RefusalCode, String)> = [
        (MistypedField, "\"ip-7f\""),
        (MistypedField, "7"),
        (MistypedField, "true"),
        (MistypedField, "[]"),
        (MistypedField, "[\"ip\",\"ip-7f\"]"),
        (MistypedField, "{\"ip\":7}"),
        (MistypedField, "{\"ip\":true}"),
        (MistypedField, "{\"ip\":{\"v4\":\"a\"}}"),
        (MistypedField, "{\"ip\":[\"a\"]}"),
        // A card number that is sent as a number.
        (MistypedField, "{\"ip\":4111111111111111}"),
        (LinkName, "{\"\":\"a\"}"),
        (LinkName, "{\"IP\":\"a\"}"),
        (LinkName, "{\"ip address\":\"a\"}"),
        (LinkName, "{\"1ip\":\"a\"}"),
        (LinkName, "{\"_ip\":\"a\"}"),
        (LinkName, "{\"e-mail\":\"a\"}"),
        (LinkName, "{\"\\u0131p\":\"a\"}"),
        (LinkName, "{\"ip\\u202e\":\"a\"}"),
        (LinkName, "{\"ip\\u0000\":\"a\"}"),
        (LinkName, "{\"a2345678901234567\":\"a\"}"),
        (LinkName, "{\"IP\":null}"),
        (EmptyId, "{\"ip\":\"\"}"),
        (EmptyId, "{\"account\":\"a\",\"ip\":\"\"}"),
        (UnprintableId, "{\"ip\":\"a\\n\"}"),
        (UnprintableId, "{\"ip\":\"\\u001b[2K\"}"),
        (UnprintableId, "{\"ip\":\"a\\u009b\"}"),
        (UnprintableId, "{\"ip\":\"a\\u202eb\"}"),
        (UnprintableId, "{\"ip\":\"a\\u2066b\"}"),
        (DuplicateKey, "{\"ip\":\"a\",\"ip\":\"b\"}"),
        (DuplicateKey, "{\"ip\":\"a\",\"ip\":\"a\"}"),
        (DuplicateKey, "{\"ip\":\"a\",\"i\\u0070\":\"b\"}"),
        (CardNumber, "{\"ip\":\"4111111111111111\"}"),
        (CardNumber, "{\"ip\":\"a\",\"account\":\"5500-0000-0000-0004\"}"),
        (CardNumber, "{\"4111 1111 1111 1111\":\"a\"}"),
        (CardNumber, "{\"ip\":[{\"a\":\"3782 822463 10005\"}]}"),
    ]
    .map(|(code, links)| (code, links.to_owned()))
    .into_iter()
    .chain([
        (OverlongId, overlong),
        (OverlongId, overlong_in_bytes),
        (TooManyLinks, many(LINKS_MAX + 1)),
        (TooManyLinks, many(200)),
        (TooDeep, format!("{{\"ip\":{}{}}}", "[".repeat(15), "]".repeat(15))),
    ])
    .collect();
    let with = |payload: Payload| {
        let of_links = of_links.clone().into_iter();
        of_links.map(move |(code, links)| (code, payload.clone().set("links", &links).bytes()))
    };
    let opened = |value: &str| Payload::transaction_v3().set("account_opened_at_ms", value).bytes();
    let skew_ms = Bounds::default().skew_ms;
    let late = Payload::transaction_v3().set("occurred_at_ms", &(ARRIVAL_MS - skew_ms).to_string());
    let account = vec![
        (MistypedField, opened("\"2017-07-14\"")),
        (MistypedField, opened("1500000000000.0")),
        (MistypedField, opened("{}")),
        (TimeUnit, opened("1500000000")),
        (TimeUnit, opened("0")),
        (TimeUnit, opened("1500000000000000")),
        (NumberOutOfRange, opened("-1500000000000")),
        (FutureTimestamp, opened(&(ARRIVAL_MS + skew_ms + 1).to_string())),
        (
            AccountAfterEvent,
            late.set("account_opened_at_ms", &(ARRIVAL_MS + 1).to_string()).bytes(),
        ),
    ];
    let both = with(Payload::transaction_v3()).chain(with(Payload::label_v2()));
    both.chain(account).collect()
}

#[test]
fn links_arrive_by_their_names() {
    let found = transaction(&Payload::transaction_v3());
    let id = |name: &str| found.links.get(KeyName::new(name).unwrap()).map(LinkId::as_str);
    assert_eq!(
        [id("ip"), id("email_hash"), id("account")],
        [Some("ip-7f"), Some("5e2a"), None]
    );
    assert_eq!(found.account_opened_at_ms, Some(1_500_000_000_000));
    assert_eq!(found.device_id.unwrap().as_str(), "phone-1");
    let found = label(&Payload::label_v2());
    assert_eq!(found.links.iter().count(), 1);
}

#[test]
fn as_many_links_as_may_be_and_the_longest_names_and_ids_are_accepted() {
    let of = |links: &str| transaction(&Payload::transaction_v3().set("links", links)).links;
    assert_eq!(of(&many(LINKS_MAX)).iter().len(), LINKS_MAX);
    let longest = format!("{{\"a234567890123456\":\"{}\"}}", "é".repeat(ID_BYTES_MAX / 2));
    assert_eq!(of(&longest).iter().len(), 1);
    // Names that mean something in a policy mean nothing here.
    assert_eq!(
        of("{\"card\":\"a\",\"surprise\":\"b\",\"merchant_id\":\"c\"}")
            .iter()
            .len(),
        3
    );
}

#[test]
fn what_may_be_left_out_may_be_null() {
    let payload = Payload::transaction_v3();
    let without = payload.clone().drop("links").drop("account_opened_at_ms");
    let plain = transaction(&without);
    assert!(plain.links.is_empty() && plain.account_opened_at_ms.is_none());
    let null = payload.clone().set("links", "null").set("account_opened_at_ms", "null");
    assert_eq!(transaction(&null), plain);
    assert_eq!(transaction(&without.clone().set("links", "{}")), plain);
    assert_eq!(transaction(&without.clone().set("links", "{\"ip\":null}")), plain);
    // It is the event of version 2, and is written as that.
    assert_eq!(transaction(&Payload::transaction()), plain);
    let written = encode(&Event::Transaction(plain.clone()), 2);
    assert!(written.starts_with(b"{\"schema\":\"transaction\",\"version\":2,"));
    let written = encode(&Event::Transaction(plain), 3);
    assert!(written.starts_with(b"{\"schema\":\"transaction\",\"version\":3,"));
}

#[test]
fn earlier_versions_neither_read_nor_check_what_came_later() {
    for version in ["1", "2"] {
        let payload = Payload::transaction_v3()
            .set("version", version)
            .set("links", "{\"IP\":7}")
            .set("account_opened_at_ms", "\"long ago\"");
        let decoded = read(&payload.bytes()).unwrap();
        assert_eq!(decoded.unknown_fields, if version == "1" { 5 } else { 2 });
        let Event::Transaction(found) = decoded.event else {
            panic!("not a transaction")
        };
        assert!(found.links.is_empty() && found.account_opened_at_ms.is_none());
        // A card number is one anywhere.
        let payload = payload.set("links", "{\"IP\":\"4111111111111111\"}");
        assert_eq!(code_of(&payload.bytes()), Some(CardNumber));
    }
    let payload = Payload::label().set("links", "[]");
    assert_eq!(read(&payload.bytes()).unwrap().unknown_fields, 1);
}

#[test]
fn an_account_may_be_opened_after_its_event_by_what_clocks_may_differ() {
    let skew_ms = Bounds::default().skew_ms;
    let occurred_ms = ARRIVAL_MS - 1_000;
    let payload = Payload::transaction_v3()
        .set("occurred_at_ms", &occurred_ms.to_string())
        .set("account_opened_at_ms", &(occurred_ms + skew_ms).to_string());
    assert_eq!(code_of(&payload.bytes()), None);
    let later = payload.set("account_opened_at_ms", &(occurred_ms + skew_ms + 1).to_string());
    assert_eq!(code_of(&later.bytes()), Some(AccountAfterEvent));
    // A bound at the end of the scale does not overflow.
    let wide = Bounds {
        skew_ms: i64::MAX,
        ..Bounds::default()
    };
    assert!(decode(&later.bytes(), ARRIVAL_MS, &wide).is_ok());
}
