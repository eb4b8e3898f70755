//! A training set holds what the live path served: rows of a file against the outcomes that the real function sent for the same
//! events, labels among them.
#![allow(clippy::disallowed_methods, reason = "it waits in real time")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_domain::policy::Policy;

use crate::world::World;

/// Events before the labels, and after.
const EVENTS: i64 = 150;
const SECOND_MS: i64 = 1_000;
/// A process finds what labels taught a key after so long at most (`key_max_age_ms`), and some more.
const KEY_AGE_MS: u64 = 6_000;
/// The merchant where every event is fraud.
const BAD: i64 = 3;

/// Merchants are keys, and outcomes carry the values of all features.
fn policy() -> String {
    let features = "features = [\n    \"terminal.fraud_run\", \"terminal.fraud_run_age\", \"terminal.since_fraud\",";
    let text = Policy::default_text()
        .replacen("version = 1\n", "version = 2\n", 1)
        .replacen("features = [", features, 1)
        .replacen("features = false", "features = true", 1);
    let keys = "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    format!("{text}\n{keys}")
}

fn transaction(number: i64, at_ms: i64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("e{number}"), "card_id": format!("card-{}", number % 12),
        "occurred_at_ms": at_ms, "amount_minor": 500 + number * 37 % 900, "currency": "EUR",
        "merchant_id": format!("m{}", number % 7), "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": number % 11 > 0,
    })
}

/// Events, the labels of those that were fraud, and events after these were known.
fn history() -> [Vec<Value>; 3] {
    let first_ms = now_ms() - 2 * (EVENTS + 100) * SECOND_MS;
    let event = |number: i64| transaction(number, first_ms + number * SECOND_MS);
    let before: Vec<Value> = (0..EVENTS).map(event).collect();
    let known_ms = first_ms + (EVENTS + 50) * SECOND_MS;
    let bad = before.iter().filter(|event| event["merchant_id"] == format!("m{BAD}"));
    let labels = bad.map(|event| {
        json!({
            "schema": "label", "version": 1, "event_id": event["event_id"], "card_id": event["card_id"], "verdict": "fraud",
            "known_since_ms": known_ms,
        })
    });
    let labels = labels.collect();
    let after = (EVENTS..2 * EVENTS).map(|number| transaction(number, first_ms + (number + 100) * SECOND_MS));
    [before, labels, after.collect()]
}

async fn lines(world: &World, name: &str, text: &str) -> String {
    let path = world.folder.path().join(name);
    tokio::fs::write(&path, text).await.unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_row_is_what_the_live_path_served() {
    let world = World::start().await;
    let policy = lines(&world, "keyed.toml", &policy()).await;
    for words in [["publish", &policy], ["activate", "2"]] {
        world
            .json(0, &[&["policy"], &words[..], &["--reason", "a test"]].concat())
            .await;
    }
    let parts = history();
    for part in &parts {
        world.put(part).await;
        world.mapping.drained(60_000).await.unwrap();
        tokio::time::sleep(Duration::from_millis(KEY_AGE_MS)).await;
    }
    let mut served: BTreeMap<String, Value> = BTreeMap::new();
    for seen in world.outcomes().await {
        served.insert(seen.value["event_id"].as_str().unwrap().to_owned(), seen.value);
    }
    let text: String = parts.iter().flatten().map(|event| format!("{event}\n")).collect();
    let input = lines(&world, "history.jsonl", &text).await;
    let output = format!("{input}.rows");
    let words = [
        "export",
        "-i",
        &input,
        "--policy",
        &policy,
        "--json-lines",
        "-o",
        &output,
    ];
    let said = world.json(0, &words).await;
    assert_eq!(said, json!({"events": 2 * EVENTS, "frauds": parts[1].len()}));

    let rows = tokio::fs::read_to_string(&output).await.unwrap();
    let (mut seen, mut learned) = (0, 0);
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let outcome = &served[row["event_id"].as_str().unwrap()];
        for name in ["card_id", "occurred_at_ms", "score", "decision"] {
            assert_eq!(row[name], outcome[name], "{name} of {row}");
        }
        let features = outcome["features"].as_object().unwrap();
        assert!(features.len() > 10, "{outcome}");
        for (name, value) in features {
            assert_eq!(&row[name], value, "{name} of {row}");
        }
        seen += 1;
        learned += i64::from(row["terminal.fraud_run"].as_f64().is_some_and(|run| run > 0.0));
    }
    assert_eq!((seen, served.len()), (2 * EVENTS, 2 * EVENTS as usize));
    let after = parts[2]
        .iter()
        .filter(|event| event["merchant_id"] == format!("m{BAD}"));
    assert_eq!(
        learned,
        after.count() as i64,
        "each event there after the labels, and no other"
    );
    world.stop().await;
}
