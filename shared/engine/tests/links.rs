//! Keys by links: one network, one account over many cards.

use serde_json::{Value, json};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::port::KeyId;
use tidemark_engine::{End, EngineConfig};

use crate::common::*;
use crate::keys::{DAY_S, at, history, outcome, verdict};

fn policy() -> Policy {
    let text = r#"
version = 7
windows_minutes = [60, 43200]
dedupe_horizon_ms = 31536000000
features = ["network.fraud_run", "account.fraud_run", "network.frauds_120d"]
[thresholds]
review = 400
alert = 600
[outcome]
features = true
[bounds]
lateness_ms = 31535000000
[[keys]]
name = "network"
field = "links.ip"
keeps = "labelled"
[[keys]]
name = "account"
field = "links.account"
keeps = "labelled"
[points]
prior_bits = -6
[[points.tables]]
feature = "network.fraud_run"
edges = [1, 2]
bits = [0, 4, 8]
"#;
    Policy::parse(text, "links.toml").unwrap()
}

fn world() -> World {
    World::with(policy(), EngineConfig::default())
}

fn key(name: &str, id: &str) -> KeyId {
    KeyId {
        name: KeyName::new(name).unwrap(),
        identity: fingerprint64(id),
    }
}

fn from(card: &str, event: &str, age_s: i64, links: &Value) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&at(card, event, age_s, "shop")).unwrap();
    value["version"] = json!(3);
    value["links"] = links.clone();
    serde_json::to_vec(&value).unwrap()
}

fn naming(label: &[u8], age_s: i64, links: &Value) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(label).unwrap();
    value["version"] = json!(2);
    value["occurred_at_ms"] = json!(START_MS - age_s * 1_000);
    value["links"] = links.clone();
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn what_labels_say_of_a_link_counts_for_the_other_cards_that_share_it() {
    let world = world();
    let report = world.run(&records([
        from(
            "a",
            "a1",
            9 * DAY_S,
            &json!({"ip": "bad", "account": "mallory", "email": "x"}),
        ),
        from("b", "b1", 8 * DAY_S, &json!({"ip": "bad"})),
        from("b", "b2", 8 * DAY_S, &json!({})),
    ]));
    assert_eq!(
        (report.scored, report.cache.key_misses),
        (3, 2),
        "a key that nobody declared is not read"
    );
    let report = world.run(&records([
        verdict("a", "a1", "fraud", 8 * DAY_S),
        verdict("b", "b1", "fraud", 7 * DAY_S),
    ]));
    assert_eq!(
        (report.applied, report.key_commits, report.labels_without_key),
        (2, 2, 1)
    );
    world.run(&records([
        from("c", "c1", 60, &json!({"ip": "bad", "account": "trudy"})),
        from("c", "c2", 50, &json!({"ip": "other", "account": "mallory"})),
        from("c", "c3", 40, &Value::Null),
    ]));
    let says = |event: &str| {
        let outcome = outcome(&world, event);
        let of = |name: &str| outcome["features"][name].clone();
        (
            of("network.fraud_run"),
            of("account.fraud_run"),
            outcome["key_versions"].clone(),
        )
    };
    assert_eq!(says("c1"), (json!(2.0), json!(0.0), json!({"network": 2})));
    assert_eq!(says("c2"), (json!(0.0), json!(1.0), json!({"account": 1})));
    assert_eq!(says("c3"), (Value::Null, Value::Null, Value::Null), "it names no key");
    assert_eq!(history(&world, key("network", "bad")).version(), 2);
}

#[test]
fn a_label_that_names_links_teaches_them_although_its_card_has_forgotten_the_event() {
    let world = world();
    let old_s = 800 * DAY_S;
    let links = json!({"ip": "bad", "account": null, "email": "x"});
    let report = world.run(&records([
        naming(&verdict("a", "old", "fraud", 60), old_s, &links),
        naming(&verdict("a", "nameless", "fraud", 60), old_s, &json!({"email": "x"})),
    ]));
    let without = End::Quarantined(RefusalCode::LabelWithoutEvent);
    assert_eq!(report.ends, [End::Applied, without]);
    let kept = history(&world, key("network", "bad"));
    assert_eq!((kept.labels().len(), kept.labels()[0].explained), (1, None));
    // Twice teaches once.
    world.run(&records([naming(&verdict("a", "old", "fraud", 60), old_s, &links)]));
    assert_eq!(history(&world, key("network", "bad")), kept);
}

/// The event's id is another card's: nobody's history is changed by it, and nothing is lost.
#[test]
fn a_label_that_names_another_cards_event_is_refused_and_teaches_nobody() {
    let world = world();
    world.run(&records([
        from("a", "a1", 9 * DAY_S, &json!({"ip": "bad"})),
        from("b", "b1", 9 * DAY_S, &json!({"ip": "good"})),
    ]));
    let of_another = verdict("b", "a1", "fraud", 60);
    let report = world.run(&records([
        of_another.clone(),
        naming(&of_another, 9 * DAY_S, &json!({"ip": "bad"})),
    ]));
    let without = End::Quarantined(RefusalCode::LabelWithoutEvent);
    assert_eq!(report.ends, [without, without]);
    assert!(world.store.keys().is_empty());
    assert_eq!(report.key_commits, 0);
}

#[test]
fn two_labels_a_millisecond_apart_count_from_their_own_millisecond_on() {
    let world = world();
    world.run(&records([from("a", "a1", 9 * DAY_S, &json!({"ip": "bad"}))]));
    let label_at = |what: &str, known_since_ms: i64| {
        let mut value: Value = serde_json::from_slice(&verdict("a", "a1", what, 60)).unwrap();
        value["known_since_ms"] = json!(known_since_ms);
        serde_json::to_vec(&value).unwrap()
    };
    let known_ms = START_MS - DAY_S * 1_000;
    let labels = [label_at("fraud", known_ms), label_at("cleared", known_ms + 1)];
    // In one batch, the later one first, and both once more.
    let report = world.run(&records([labels[1].clone(), labels[0].clone()]));
    assert_eq!(report.ends, [End::Applied, End::Duplicate]);
    world.run(&records(labels));
    let kept = history(&world, key("network", "bad"));
    let said: Vec<_> = kept
        .labels()
        .iter()
        .map(|label| (label.known_since_ms, label.verdict))
        .collect();
    assert_eq!(said, [(known_ms, Verdict::Fraud), (known_ms + 1, Verdict::Cleared)]);
    let frauds = |time_ms: i64| kept.as_of(time_ms).frauds_within(i64::MAX / 2);
    assert_eq!([known_ms - 1, known_ms, known_ms + 1].map(frauds), [0, 1, 0]);
}

/// A link that the policy spells otherwise than the producer is no error: no event names the key, and its features say so.
#[test]
fn a_link_that_no_event_has_names_no_key() {
    let world = world();
    world.run(&records([from("a", "a1", 9 * DAY_S, &json!({"ip_address": "bad"}))]));
    let report = world.run(&records([verdict("a", "a1", "fraud", 60)]));
    assert_eq!(
        (report.applied, report.labels_without_key, report.key_commits),
        (1, 2, 0)
    );
    let outcome = outcome(&world, "a1");
    assert_eq!(outcome["features"]["network.fraud_run"], Value::Null);
    assert_eq!(outcome["tier"], json!("full"));
}
