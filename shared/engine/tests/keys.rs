//! Keys beyond the card: what labels teach them, what events learn from them, and what a fault in between leaves.

use std::ops::Range;
use std::sync::Arc;

use crate::common::*;
use serde_json::{Value, json};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::labelled::LabelledHistory;
use tidemark_domain::outcome::Tier;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{KeyId, PortError, StateItem};
use tidemark_engine::{BatchReport, End, EngineConfig, Returned};

const ALWAYS: Range<u64> = 0..u64::MAX;
pub const DAY_S: i64 = 86_400;

/// Merchants are keys, and the score is of their frauds alone: -6 bits, and 4 for each of up to two in a row.
pub fn policy() -> Policy {
    let text = r#"
version = 7
windows_minutes = [60, 43200]
dedupe_horizon_ms = 31536000000
features = ["terminal.fraud_run", "terminal.fraud_run_age", "terminal.since_fraud", "terminal.frauds_120d", "card.frauds_30d"]
[thresholds]
review = 400
alert = 600
[scoring]
reasons_min_score = 1
[outcome]
features = true
[bounds]
lateness_ms = 31535000000
[[keys]]
name = "terminal"
field = "merchant_id"
keeps = "labelled"
[points]
prior_bits = -6
[[points.tables]]
feature = "terminal.fraud_run"
edges = [1, 2]
bits = [0, 4, 8]
"#;
    Policy::parse(text, "keys.toml").unwrap()
}

fn world() -> World {
    World::with(policy(), EngineConfig::default())
}

pub fn terminal(id: &str) -> KeyId {
    KeyId {
        name: KeyName::new("terminal").unwrap(),
        identity: fingerprint64(id),
    }
}

pub fn at(card: &str, event: &str, age_s: i64, merchant: &str) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&tx(card, event, age_s, 1_000)).unwrap();
    value["merchant_id"] = json!(merchant);
    serde_json::to_vec(&value).unwrap()
}

pub fn verdict(card: &str, event: &str, verdict: &str, known_age_s: i64) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&label(card, event)).unwrap();
    value["verdict"] = json!(verdict);
    value["known_since_ms"] = json!(START_MS - known_age_s * 1_000);
    serde_json::to_vec(&value).unwrap()
}

pub(crate) fn outcome(world: &World, event: &str) -> Value {
    serde_json::from_slice(&world.outcomes()[event]).unwrap()
}

pub fn history(world: &World, key: KeyId) -> LabelledHistory {
    let keys = world.store.keys();
    let item = keys.iter().find(|(other, _)| *other == key);
    item.map_or_else(LabelledHistory::default, |(_, item)| {
        LabelledHistory::decode(&item.bytes).unwrap()
    })
}

/// Two frauds of two cards at merchant `bad`, known a day after each; the day before yesterday both are.
fn taught() -> World {
    let world = world();
    let report = world.run(&records([
        at("a", "a1", 9 * DAY_S, "bad"),
        at("b", "b1", 8 * DAY_S, "bad"),
        at("b", "b2", 8 * DAY_S, "good"),
    ]));
    assert_eq!(report.scored, 3);
    let report = world.run(&records([
        verdict("a", "a1", "fraud", 8 * DAY_S),
        verdict("b", "b1", "fraud", 7 * DAY_S),
        verdict("b", "b2", "cleared", 7 * DAY_S),
    ]));
    assert_eq!(
        (report.applied, report.key_commits),
        (3, 1),
        "one write for both, none for what was cleared"
    );
    world
}

#[test]
fn what_labels_say_of_a_merchant_counts_for_other_cards_from_when_it_is_known() {
    let world = taught();
    let batch = records([
        at("c", "before", 8 * DAY_S + 1, "bad"),
        at("c", "one", 8 * DAY_S - 1, "bad"),
        at("c", "both", 6 * DAY_S, "bad"),
        at("c", "other", 6 * DAY_S, "good"),
    ]);
    let report = world.run(&batch);
    assert_eq!((report.scored, report.cache.key_misses), (4, 2));
    let says = |event: &str| {
        let outcome = outcome(&world, event);
        (
            outcome["features"]["terminal.fraud_run"].clone(),
            outcome["key_versions"].clone(),
            outcome["score"].clone(),
        )
    };
    assert_eq!(says("before"), (json!(0.0), Value::Null, json!(261)));
    assert_eq!(says("one"), (json!(1.0), json!({"terminal": 1}), json!(414)));
    assert_eq!(says("both"), (json!(2.0), json!({"terminal": 2}), json!(586)));
    assert_eq!(says("other"), (json!(0.0), Value::Null, json!(261)));
    let both = outcome(&world, "both");
    let reason = json!([{"code": "fraud_run", "key": "terminal", "share_pct": 100}]);
    assert_eq!(both["reasons"], reason);
    assert_eq!(both["features"]["terminal.fraud_run_age"], json!(3.0 * DAY_S as f64));
    assert_eq!(both["features"]["terminal.since_fraud"], json!(2.0 * DAY_S as f64));
    assert_eq!(both["features"]["terminal.frauds_120d"], json!(2.0));
    // It comes again after more was learned: its outcome is for ever.
    world.run(&records([verdict("c", "both", "fraud", DAY_S)]));
    let again = world.run(&batch);
    assert_eq!((again.duplicate, again.scored), (4, 0));
    world.outcomes();
}

#[test]
fn a_cards_own_frauds_are_its_own() {
    let world = taught();
    world.run(&records([at("a", "a2", 8 * DAY_S, "good"), at("c", "c1", 60, "good")]));
    assert_eq!(outcome(&world, "a2")["features"]["card.frauds_30d"], json!(1.0));
    assert_eq!(outcome(&world, "c1")["features"]["card.frauds_30d"], json!(0.0));
}

#[test]
fn labels_come_twice_in_any_order_and_change_their_mind() {
    let labels = [
        verdict("a", "a1", "fraud", 8 * DAY_S),
        verdict("a", "a1", "cleared", 6 * DAY_S),
        verdict("a", "a1", "fraud", 4 * DAY_S),
    ];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let worlds = orders.map(|order| {
        let world = world();
        world.run(&records([at("a", "a1", 9 * DAY_S, "bad")]));
        for which in order.into_iter().chain(order) {
            let report = world.run(&records([labels[which].clone()]));
            assert_eq!(report.returned_total(), 0);
        }
        history(&world, terminal("bad"))
    });
    assert_eq!(worlds[0].version(), 3);
    assert!(worlds.iter().all(|other| *other == worlds[0]), "{worlds:?}");
    let known = |age_s: i64| worlds[0].as_of(START_MS - age_s * 1_000).frauds_within(i64::MAX / 2);
    assert_eq!(
        [8 * DAY_S + 1, 8 * DAY_S, 6 * DAY_S, 4 * DAY_S].map(known),
        [0, 1, 0, 1]
    );
}

#[test]
fn a_label_has_its_end_only_when_its_keys_have_it() {
    let world = world();
    world.run(&records([
        at("a", "a1", 9 * DAY_S, "bad"),
        at("a", "a2", 9 * DAY_S, "good"),
    ]));
    let failed = Fault::Before(PortError::Timeout("test".to_owned()));
    world.faults.at(Op::CommitKey, ALWAYS, failed);
    let batch = records([verdict("a", "a1", "fraud", 60), at("a", "a3", 60, "good")]);
    let report = world.run(&batch);
    assert_eq!(report.ends, [End::Returned(Returned::KeyFailed), End::Scored]);
    assert_eq!(report.retry_from.as_deref(), Some("95"));
    assert_eq!(history(&world, terminal("bad")).version(), 0);
    // Its card has it: when it comes again, it is there already, and its keys are taught.
    world.faults.clear();
    let again = world.run(&batch);
    assert_eq!(again.ends, [End::Duplicate, End::Duplicate]);
    assert_eq!((history(&world, terminal("bad")).version(), again.commits), (1, 0));
}

#[test]
fn a_write_that_landed_without_an_answer_teaches_once() {
    let world = world();
    world.run(&records([at("a", "a1", 9 * DAY_S, "bad")]));
    let lost = Fault::After(PortError::Timeout("test".to_owned()));
    world.faults.at(Op::CommitKey, 0..1, lost);
    let report = world.run(&records([verdict("a", "a1", "fraud", 60)]));
    assert_eq!((report.applied, report.returned_total()), (1, 0));
    assert_eq!(history(&world, terminal("bad")).version(), 1);
}

#[test]
fn another_writers_labels_stay() {
    let world = taught();
    // Three conflicts, the second without the item, and a stale read first.
    world.faults.at(Op::LoadKeys, 0..1, Fault::StaleRead);
    world.faults.at(Op::CommitKey, 1..2, Fault::ConflictWithoutItem);
    world.run(&records([at("c", "c1", 5 * DAY_S, "bad")]));
    let report = world.run(&records([verdict("c", "c1", "fraud", 60)]));
    assert_eq!((report.applied, report.returned_total()), (1, 0));
    assert_eq!(history(&world, terminal("bad")).version(), 3);
}

#[test]
fn keys_that_cannot_be_read_are_said_aloud_and_the_breaker_spares_the_next_try() {
    let world = taught();
    world.faults.at(
        Op::LoadKeys,
        ALWAYS,
        Fault::Before(PortError::Unavailable("test".to_owned())),
    );
    let engine = world.engine();
    let one = |number: i64| records([at("c", &format!("c{number}"), 600 - number, "bad")]);
    let reports: Vec<BatchReport> = (0..5)
        .map(|number| run(&engine, &one(number), FAR_MS).unwrap())
        .collect();
    assert!(reports.iter().all(|report| report.tiers == [(Tier::NoKeys, 1)].into()));
    assert_eq!(reports[0].keys_unread, 1);
    assert_eq!(reports[4].breaker_rejected, 1);
    let told = outcome(&world, "c0");
    assert_eq!(
        (&told["tier"], &told["key_versions"]),
        (&json!("no_keys"), &Value::Null)
    );
    assert_eq!(told["missing"], json!(["profile_absent", "key_unavailable:terminal"]));
    assert_eq!(told["features"]["terminal.fraud_run"], Value::Null);
}

#[test]
fn a_key_that_cannot_be_decoded_is_never_overwritten() {
    let world = taught();
    let damaged = StateItem::new(9, vec![9, 9, 9]);
    world.store.set_key(terminal("bad"), damaged.clone());
    let report = world.run(&records([at("c", "c1", 60, "bad")]));
    assert_eq!((report.tiers, report.keys_unread), ([(Tier::NoKeys, 1)].into(), 1));
    assert_eq!(report.keys_damaged, [terminal("bad")]);
    let report = world.run(&records([verdict("c", "c1", "fraud", 30)]));
    assert_eq!(report.ends, [End::Returned(Returned::StateCorrupt)]);
    assert_eq!(report.keys_damaged, [terminal("bad")]);
    let keys = world.store.keys();
    assert!(keys.contains(&(terminal("bad"), damaged)));
}

pub fn label_v2(card: &str, event: &str, age_s: i64, merchant: Option<&str>) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&verdict(card, event, "fraud", 60)).unwrap();
    value["version"] = json!(2);
    value["occurred_at_ms"] = json!(START_MS - age_s * 1_000);
    if let Some(merchant) = merchant {
        value["merchant_id"] = json!(merchant);
    }
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn a_label_that_names_its_event_teaches_the_keys_of_one_that_its_card_has_forgotten() {
    let world = world();
    let old_s = 800 * DAY_S;
    let batch = records([
        label_v2("a", "old", old_s, Some("bad")),
        label_v2("a", "nameless", old_s, None),
        // Young enough to come yet: then it has a card.
        label_v2("a", "young", 60, Some("bad")),
    ]);
    let report = world.run(&batch);
    let without = End::Quarantined(RefusalCode::LabelWithoutEvent);
    assert_eq!(report.ends, [End::Applied, without, without]);
    assert_eq!(report.labels_without_card, 1);
    let kept = history(&world, terminal("bad"));
    assert_eq!(kept.labels().len(), 1);
    assert_eq!(kept.labels()[0].explained, None);
}

#[test]
fn a_label_means_the_event_at_the_time_that_it_names() {
    let world = world();
    world.run(&records([
        at("a", "same", 9 * DAY_S, "first"),
        at("a", "same", 8 * DAY_S, "second"),
    ]));
    world.run(&records([label_v2("a", "same", 9 * DAY_S, None)]));
    assert_eq!(history(&world, terminal("first")).version(), 1);
    assert_eq!(history(&world, terminal("second")).version(), 0);
    // Without a time it is the latest.
    world.run(&records([verdict("a", "same", "fraud", 30)]));
    assert_eq!(history(&world, terminal("second")).version(), 1);
}

#[test]
fn an_event_of_before_the_key_was_declared_has_no_identity_to_teach() {
    let mut world = world();
    let declared = Arc::clone(&world.policy);
    world.policy = Arc::new(Policy {
        keys: Vec::new(),
        ..Policy::clone(&declared)
    });
    world.run(&records([at("a", "a1", 9 * DAY_S, "bad")]));
    world.policy = declared;
    let report = world.run(&records([verdict("a", "a1", "fraud", 60)]));
    assert_eq!(
        (report.applied, report.labels_without_key, report.key_commits),
        (1, 1, 0)
    );
    // A label that names the merchant teaches it all the same.
    let report = world.run(&records([label_v2("a", "a1", 9 * DAY_S, Some("bad"))]));
    assert_eq!((report.duplicate, report.key_commits), (1, 1));
}
