//! `tidemark import` as its users meet it: a team's own history under a map goes into the table beside live traffic, counts once, and is
//! shown to be there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;

use serde_json::{Value, json};
use terminal::clock::now_ms;

use crate::world::World;

const DAY_MS: i64 = 86_400_000;
const CARDS: i64 = 20;
const DAYS: i64 = 60;
/// Days that a card keeps by the built-in policy: its longest window and its dedupe horizon.
const KEPT_DAYS: i64 = 37;

const MAP: &str = r#"
version = 1

[transaction]
event_id = { from = "ref" }
card_id = { from = "token" }
occurred_at_ms = { from = "at_s", time = "epoch_s" }
amount_minor = { from = "cents", unit = "minor" }
currency = { value = "EUR" }
merchant_id = { from = "shop" }
mcc = { value = 5411 }
country = { value = "FR" }
channel = { value = "ecommerce" }
approved = { value = true }
"#;

/// The event of a card on a day, the last of which was yesterday; whole seconds, as the file has them.
fn event(card: i64, day: i64, today_ms: i64) -> Value {
    let occurred_at_ms = (today_ms - (DAYS - day) * DAY_MS + card * 60_000) / 1_000 * 1_000;
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("e-{card}-{day}"), "card_id": format!("card-{card}"),
        "occurred_at_ms": occurred_at_ms, "amount_minor": 1_000 + day, "currency": "EUR", "merchant_id": format!("shop-{}", day % 7),
        "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    })
}

/// All of it as the team has it, in the order of its times.
fn table(today_ms: i64) -> String {
    let mut text = "ref,token,at_s,cents,shop\n".to_owned();
    for day in 0..DAYS {
        for card in 0..CARDS {
            let event = event(card, day, today_ms);
            writeln!(
                text,
                "{},{},{},{},{}",
                event["event_id"].as_str().unwrap(),
                event["card_id"].as_str().unwrap(),
                event["occurred_at_ms"].as_i64().unwrap() / 1_000,
                event["amount_minor"],
                event["merchant_id"].as_str().unwrap()
            )
            .unwrap();
        }
    }
    text
}

#[tokio::test]
async fn a_history_is_imported_beside_live_traffic_and_counts_once() {
    let world = World::start().await;
    let today_ms = now_ms();
    let path = |name: &str| world.folder.path().join(name).to_str().unwrap().to_owned();
    let (file, map) = (path("history.csv"), path("map.toml"));
    std::fs::write(&file, table(today_ms)).unwrap();
    std::fs::write(&map, MAP).unwrap();
    let all = u64::try_from(CARDS * DAYS).unwrap();

    // Live traffic had the last day of half of the cards.
    let seen: Vec<Value> = (0..CARDS / 2).map(|card| event(card, DAYS - 1, today_ms)).collect();
    world.put(&seen).await;
    world.mapping.drained(30_000).await.unwrap();
    let outcomes = world.read(&world.names.scores_stream).await.len();

    // Of these ten cards, what lies further back than a card keeps is left out.
    let too_old = (0..DAYS - 1).filter(|day| DAYS - 1 - day >= KEPT_DAYS).count() as u64 * 10;
    let new = all - 10 - too_old;
    let dry = world.json(0, &["import", &file, "--map", &map, "--dry-run"]).await;
    let counts = |said: &Value| ["imported", "missing", "known", "too_old"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(counts(&dry), [0, new, 10, too_old], "{dry}");
    let check = world.json(1, &["import", &file, "--map", &map, "--check"]).await;
    assert_eq!(counts(&check), [0, new, 10, too_old], "{check}");

    let said = world.json(0, &["import", &file, "--map", &map]).await;
    assert_eq!(
        (counts(&said), &said["lines"]),
        ([new, 0, 10, too_old], &json!(all)),
        "{said}"
    );
    assert_eq!(
        (&said["refused_total"], &said["not_taken_total"]),
        (&json!(0), &json!(0)),
        "{said}"
    );
    assert!(said["write_units"].as_f64().unwrap() >= 20.0, "{said}");
    let check = world.json(0, &["import", &file, "--map", &map, "--check"]).await;
    assert_eq!(check["missing"], 0, "{check}");
    assert_eq!(
        check["known"].as_u64().unwrap(),
        u64::try_from(CARDS * KEPT_DAYS).unwrap(),
        "{check}"
    );
    // Nothing was sent for it.
    assert_eq!(world.read(&world.names.scores_stream).await.len(), outcomes);

    // A second time, and the last day once more from the stream: what is there counts once.
    let again = world.json(0, &["import", &file, "--map", &map]).await;
    assert_eq!(again["imported"], 0, "{again}");
    let last: Vec<Value> = (0..CARDS).map(|card| event(card, DAYS - 1, today_ms)).collect();
    world.put(&last).await;
    let fresh: Vec<Value> = (0..CARDS)
        .map(|card| {
            let mut fresh = event(card, DAYS, today_ms - DAY_MS / 2);
            fresh["amount_minor"] = json!(250_000);
            fresh
        })
        .collect();
    world.put(&fresh).await;
    world.mapping.drained(30_000).await.unwrap();
    let scored = world.read(&world.names.scores_stream).await;
    let of_fresh = |outcome: &&crate::world::Seen| outcome.value["event_id"] == json!(format!("e-0-{DAYS}"));
    let outcome = scored.iter().find(of_fresh).unwrap();
    let words = outcome.value["reasons"].to_string();
    assert!(
        words.contains("amount"),
        "the history makes the amount unusual: {}",
        outcome.value
    );
    let audit = world.json(0, &["audit", "--settle", "60"]).await;
    assert_eq!(audit["verdict"], "holds", "{audit}");
    world.stop().await;
}

#[tokio::test]
async fn what_no_card_can_take_is_named_and_the_rest_is_imported() {
    let world = World::start().await;
    let today_ms = now_ms();
    let good = event(1, DAYS - 1, today_ms);
    let mut ahead = event(2, DAYS - 1, today_ms);
    ahead["occurred_at_ms"] = json!(today_ms + 30 * DAY_MS);
    let text = format!("{good}\nnot json\n{ahead}\n{{\"schema\":\"transaction\",\"version\":2}}\n");
    let path = world.folder.path().join("some.jsonl");
    std::fs::write(&path, text).unwrap();
    let said = world.json(1, &["import", path.to_str().unwrap()]).await;
    assert_eq!(
        (&said["imported"], &said["refused_total"]),
        (&json!(1), &json!(3)),
        "{said}"
    );
    let lines: Vec<i64> = said["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["line"].as_i64().unwrap())
        .collect();
    assert_eq!(lines, [2, 4, 3], "{said}");
    // A table that is not there takes nothing, and says so.
    let none = world
        .json(4, &["import", path.to_str().unwrap(), "--table", "no-such-table"])
        .await;
    assert!(none["error"]["code"].is_string(), "{none}");
    world.stop().await;
}
