//! Keys by links: what the state keeps of them, for which policies, and what a label teaches by them.
#![allow(clippy::unwrap_used, clippy::panic)]

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::{Channel, Country, Currency, Label, Links, Transaction, Verdict};
use tidemark_domain::fold::{FoldAnswer, LabelAnswer, Taught, fold_label, fold_transaction};
use tidemark_domain::history::{History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, LinkId, MerchantId, fingerprint64};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::{KeyField, Policy};

use crate::segments::Segments;

const START_MS: i64 = 1_780_000_000_000;
const DAY_MS: i64 = 86_400_000;
const LEAST: &str = "version = 7\nwindows_minutes = [1440]\n[weights]\n[thresholds]\nreview = 400\nalert = 600\n";
const KEYS: &str = r#"
[[keys]]
name = "network"
field = "links.ip"
keeps = "labelled"
[[keys]]
name = "account"
field = "links.account"
keeps = "labelled"
"#;

fn policy(features: &str, keys: &str) -> Policy {
    let text = LEAST.replacen('\n', &format!("\nfeatures = [{features}]\n"), 1);
    Policy::parse(&format!("{text}{keys}"), "test").unwrap()
}

fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

fn links(links: &[(&str, &str)]) -> Links {
    let links = links.iter();
    Links::new(links.map(|(link, id)| (name(link), LinkId::new(id).unwrap()))).unwrap()
}

fn transaction(number: i64, links: Links) -> Transaction {
    Transaction {
        event_id: EventId::new(&format!("e{number}")).unwrap(),
        card_id: CardId::new("card").unwrap(),
        occurred_at_ms: START_MS + number * 1_000,
        amount_minor: 1_000,
        currency: Currency::new("EUR").unwrap(),
        merchant_id: MerchantId::new("shop").unwrap(),
        mcc: 5_411,
        country: Country::new("FR").unwrap(),
        channel: Channel::Ecommerce,
        approved: true,
        device_id: DeviceId::new("phone"),
        place: None,
        links,
        account_opened_at_ms: Some(START_MS - DAY_MS),
    }
}

fn label(tx: &Transaction, known_since_ms: i64, verdict: Verdict) -> Label {
    Label {
        event_id: tx.event_id.clone(),
        card_id: tx.card_id.clone(),
        verdict,
        known_since_ms,
        occurred_at_ms: None,
        merchant_id: None,
        device_id: None,
        links: Links::NONE,
    }
}

fn folded(events: &[Transaction], policy: &Policy) -> History {
    let mut state = History::default();
    for tx in events {
        let applied = fold_transaction(&mut state, tx, ProfileInput::Absent, policy);
        assert!(matches!(applied, FoldAnswer::Scored { .. }), "{applied:?}");
    }
    state
}

fn taught(applied: LabelAnswer) -> Taught {
    match applied {
        LabelAnswer::Recorded(taught) | LabelAnswer::Already(taught) | LabelAnswer::Forgotten(taught) => taught,
        other => panic!("{other:?}"),
    }
}

fn identity(taught: &Taught, link: &str) -> Option<u64> {
    taught.identity(KeyField::Link(name(link)))
}

#[test]
fn a_state_keeps_links_only_where_the_policy_has_keys_by_them() {
    let all = links(&[("ip", "ip-7f"), ("email", "5e2a"), ("account", "a-1")]);
    let events: Vec<Transaction> = (0..5).map(|number| transaction(number, all.clone())).collect();
    let plain: Vec<Transaction> = (0..5).map(|number| transaction(number, Links::NONE)).collect();
    // Byte for byte what it was before there were links, with and without other keys.
    let others = "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    for (keys, version) in [("", 3), (others, 4)] {
        let without = policy("\"count_1d\", \"new_merchant\"", keys);
        let bytes = folded(&events, &without).encode();
        assert_eq!(bytes[0], version);
        assert_eq!(bytes, folded(&plain, &without).encode());
    }
    let with = policy("\"count_1d\"", KEYS);
    let state = folded(&events, &with);
    let bytes = state.encode();
    assert_eq!(bytes[0], 5);
    let back = History::decode(&bytes).unwrap();
    assert_eq!(back, state);
    let kept = &back.entries()[2].links;
    let expected = [("account", "a-1"), ("ip", "ip-7f")].map(|(link, id)| (name(link), fingerprint64(id)));
    assert_eq!(kept[..], expected);
    // A card of which no event has a link is written as before.
    assert_eq!(
        folded(&plain, &with).encode(),
        folded(&plain, &policy("\"count_1d\"", "")).encode()
    );
}

/// What a policy that declares no link costs a card whose links never change, and one whose links do.
#[test]
fn links_that_stay_cost_a_card_their_identities_once() {
    let with = Policy {
        head_bytes_max: STATE_BYTES_MAX,
        ..policy("\"count_1d\"", KEYS)
    };
    let of = |links: &dyn Fn(i64) -> Links| {
        let events: Vec<Transaction> = (0..100).map(|number| transaction(number, links(number))).collect();
        folded(&events, &with).encode().len()
    };
    let none = of(&|_| Links::NONE);
    let same = of(&|_| links(&[("ip", "ip-7f"), ("account", "a-1")]));
    assert!(same - none < 60, "{same} bytes, {none} without links");
    let other = of(&|number| links(&[("ip", &format!("ip-{number}")), ("account", "a-1")]));
    assert!(other - none < 100 * 14, "{other} bytes, {none} without links");
}

#[test]
fn a_label_teaches_the_links_that_the_card_has_and_those_that_it_names() {
    let with = policy("\"count_1d\"", KEYS);
    let tx = transaction(0, links(&[("ip", "ip-7f"), ("email", "5e2a")]));
    let mut state = folded(std::slice::from_ref(&tx), &with);
    let plain = label(&tx, START_MS + DAY_MS, Verdict::Fraud);
    let found = taught(fold_label(&mut state, &plain, &with));
    assert_eq!(identity(&found, "ip"), Some(fingerprint64("ip-7f")));
    assert_eq!((identity(&found, "account"), identity(&found, "email")), (None, None));
    // What the card knows stands; what it does not the label may say.
    let named = Label {
        occurred_at_ms: Some(tx.occurred_at_ms),
        links: links(&[("ip", "another"), ("account", "a-1")]),
        ..plain.clone()
    };
    let found = taught(fold_label(&mut state, &named, &with));
    assert_eq!(identity(&found, "ip"), Some(fingerprint64("ip-7f")));
    assert_eq!(identity(&found, "account"), Some(fingerprint64("a-1")));
    // The card has forgotten its event: only what the label says is known.
    let old = Label {
        event_id: EventId::new("old").unwrap(),
        occurred_at_ms: Some(START_MS - 100 * DAY_MS),
        ..named.clone()
    };
    let found = taught(fold_label(&mut state, &old, &with));
    assert_eq!(identity(&found, "ip"), Some(fingerprint64("another")));
    let of_nothing = Label {
        links: links(&[("email", "5e2a")]),
        ..old
    };
    assert_eq!(fold_label(&mut state, &of_nothing, &with), LabelAnswer::UnknownEvent);
}

#[test]
fn links_of_sealed_events_are_kept_and_taught() {
    let with = Policy {
        head_events_max: 8,
        ..policy("\"count_1d\", \"new_merchant_category\"", KEYS)
    };
    let (mut state, mut segments) = (History::default(), Segments::default());
    let event = |number: i64| transaction(number, links(&[("ip", &format!("ip-{}", number % 5))]));
    for number in 0..60 {
        let applied = segments.apply(&mut state, &event(number), ProfileInput::Absent, &with);
        assert!(matches!(applied, FoldAnswer::Scored { .. }), "{applied:?}");
        segments.restart(&mut state);
    }
    assert!(state.sealed_events() > 40);
    let applied = segments.label(&mut state, &label(&event(3), START_MS + DAY_MS, Verdict::Fraud), &with);
    assert_eq!(identity(&taught(applied), "ip"), Some(fingerprint64("ip-3")));
    segments.read_all(&mut state);
    let entries = state.all_entries();
    assert_eq!(entries.len(), 60);
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(
            entry.links,
            [(name("ip"), fingerprint64(&format!("ip-{}", number % 5)))]
        );
        assert_eq!(entry.category, Some(5_411));
    }
}

#[test]
fn two_labels_a_millisecond_apart_are_two_and_the_later_one_holds() {
    let with = policy("\"count_1d\"", KEYS);
    let tx = transaction(0, links(&[("ip", "ip-7f")]));
    let known_ms = START_MS + DAY_MS;
    let first = label(&tx, known_ms, Verdict::Fraud);
    let second = label(&tx, known_ms + 1, Verdict::Cleared);
    for (one, other) in [(&first, &second), (&second, &first)] {
        let mut state = folded(std::slice::from_ref(&tx), &with);
        let mut labels = taught(fold_label(&mut state, one, &with)).labels;
        labels.extend(taught(fold_label(&mut state, other, &with)).labels);
        assert_eq!(state.entries()[0].label, Some((Verdict::Cleared, known_ms + 1)));
        labels.sort_unstable();
        labels.dedup();
        let said: Vec<_> = labels
            .iter()
            .map(|label| (label.known_since_ms, label.verdict))
            .collect();
        assert_eq!(said, [(known_ms, Verdict::Fraud), (known_ms + 1, Verdict::Cleared)]);
    }
}

/// Categories are kept where a feature is made of them, and nowhere else.
#[test]
fn a_category_is_new_once_and_one_that_is_not_known_is_never_taken_for_new() {
    let with = policy("\"new_merchant_category\"", "[outcome]\nfeatures = true\n");
    let without = policy("\"new_merchant\"", "");
    let of = |number: i64, mcc: u16| Transaction {
        mcc,
        ..transaction(number, Links::NONE)
    };
    let value = |state: &mut History, tx: &Transaction| {
        let FoldAnswer::Scored { entry } = fold_transaction(state, tx, ProfileInput::Absent, &with) else {
            panic!("not scored")
        };
        let stated = entry.outcome.approximate.len();
        (entry.outcome.features[0].1, stated)
    };
    let mut state = History::default();
    let mut found = Vec::new();
    for (number, mcc) in (0..).zip([5_411, 5_411, 5_812, 5_411, 0]) {
        found.push(value(&mut state, &of(number, mcc)));
    }
    let expected = [None, Some(0.0), Some(1.0), Some(0.0), Some(1.0)];
    assert_eq!(found, expected.map(|value| (value, 0)));
    assert_eq!(state.encode()[0], 5);
    // A history from before the policy asked for it.
    let mut state = folded(&[of(0, 5_411)], &without);
    assert_eq!(state.encode()[0], 3);
    assert_eq!(
        value(&mut state, &of(1, 5_411)),
        (Some(0.0), 1),
        "it may have been seen: said aloud"
    );
    assert_eq!(value(&mut state, &of(2, 5_411)), (Some(0.0), 0), "it was seen");
}
