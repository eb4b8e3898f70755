//! Published maps end to end, with the real functions: JSON of the producer's own shape on the stream becomes outcomes by the map in force
//! when it arrived; a redrive over a change of maps counts nothing twice; what a map refuses is mended by another one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::{ControlPut, Expected, PutRecord};
use tidemark_domain::control::Stamp;
use tidemark_domain::control::maps::{MAP_LEAD_MS, MAPS, MapTimeline, MapVersion};

use crate::redrive::World;

/// A map whose ids begin so, and which knows these channels.
fn map(prefix: &str, channels: &str) -> String {
    format!(
        r#"version = 1
[input]
format = "json_lines"
[transaction]
event_id = {{ from = "/sale/no", prefix = "{prefix}" }}
card_id = {{ from = "token", prefix = "c-" }}
occurred_at_ms = {{ from = "at", time = "epoch_ms" }}
amount_minor = {{ from = "/sale/sum", unit = "decimal" }}
currency = {{ value = "EUR" }}
merchant_id = {{ from = "till", prefix = "m-" }}
mcc = {{ value = 5411 }}
country = {{ value = "BE" }}
channel = {{ from = "ch", values = {{ {channels} }} }}
approved = {{ value = true }}
"#
    )
}

const TILL: &str = "\"01\" = \"point_of_sale\"";
const ALL: &str = "\"01\" = \"point_of_sale\", \"07\" = \"ecommerce\"";

async fn publish(world: &World, folder: &std::path::Path, name: &str, text: &str) -> MapVersion {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    let published = world
        .json(0, &["map", "publish", file.to_str().unwrap(), "--reason", "a test"])
        .await;
    let version = MapVersion::from_name(published["version"].as_str().unwrap()).unwrap();
    assert_eq!(version, MapVersion::of(text));
    version
}

/// A record as its producer writes it, under the producer's own key.
fn own(number: u32, channel: &str) -> PutRecord {
    let object = json!({
        "sale": { "no": number.to_string(), "sum": "12.34" }, "token": (number % 5).to_string(), "at": now_ms(), "till": "3", "ch": channel,
    });
    PutRecord {
        partition_key: format!("producer-{}", number % 5),
        data: object.to_string().into_bytes(),
    }
}

async fn ids(world: &World) -> (usize, BTreeSet<String>) {
    let records = world.read(&world.stack.names.scores_stream).await;
    let id = |data: &[u8]| {
        let outcome: Value = serde_json::from_slice(data).unwrap();
        outcome["event_id"].as_str().unwrap().to_owned()
    };
    (records.len(), records.iter().map(|record| id(&record.data)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producers_own_json_is_scored_by_the_map_in_force_when_it_arrived_and_counts_once() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let first = publish(&world, folder.path(), "v1.toml", &map("v1-", TILL)).await;
    let second = publish(&world, folder.path(), "v2.toml", &map("v2-", ALL)).await;

    // The verb: in two minutes. A map for files is none for the stream.
    let name = first.to_string();
    let before_ms = now_ms();
    let activated = world.json(0, &["map", "activate", &name, "--reason", "vendor X"]).await;
    let since_ms = activated["since_ms"].as_i64().unwrap();
    assert!((before_ms..now_ms()).contains(&(since_ms - MAP_LEAD_MS)), "{activated}");
    let history = world.json(0, &["map", "history"]).await;
    assert_eq!(history["activations"], json!([{ "since_ms": since_ms, "map": name }]));
    let actions: Vec<&str> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["activate", "publish", "publish"]);
    let unknown = world
        .json(1, &["map", "activate", "0123456789abcdef", "--reason", "x"])
        .await;
    assert_eq!(unknown["error"]["code"], "map_unknown");
    let table = folder.path().join("table.toml");
    std::fs::write(&table, map("x-", TILL).replace("json_lines", "csv")).unwrap();
    let told = world
        .json(5, &["map", "publish", table.to_str().unwrap(), "--reason", "x"])
        .await;
    assert_eq!(told["error"]["code"], "map", "{told}");

    // The same as if the first had been activated an hour ago, and the second so that it is in force in some seconds.
    let changed_ms = now_ms() + 8_000;
    let timeline = MapTimeline::default()
        .activated(Some(first), changed_ms - 3_600_000 - MAP_LEAD_MS)
        .unwrap();
    let timeline = timeline.activated(Some(second), changed_ms - MAP_LEAD_MS).unwrap();
    let admin = world.stack.cloud.admin();
    let read = admin
        .control_item(&world.stack.names.table, MAPS)
        .await
        .unwrap()
        .unwrap();
    let put = ControlPut {
        sort: MAPS.to_owned(),
        fields: timeline.to_fields(&Stamp::new(before_ms, "a test", "time passes").unwrap()),
        expected: Expected::AsRead(read),
    };
    assert!(admin.write_control(&world.stack.names.table, &[put]).await.unwrap());

    let early: Vec<PutRecord> = (0..20).map(|number| own(number, "01")).chain([own(90, "07")]).collect();
    world.put(&early).await;
    assert!(now_ms() < changed_ms, "the machine is too slow for this test");
    tokio::time::sleep(Duration::from_millis(
        u64::try_from(changed_ms - now_ms()).unwrap() + 1_000,
    ))
    .await;
    let late: Vec<PutRecord> = (20..40).map(|number| own(number, "07")).collect();
    world.put(&late).await;
    world.drain().await;
    let expected: BTreeSet<String> = (0..20)
        .map(|number| format!("v1-{number}"))
        .chain((20..40).map(|number| format!("v2-{number}")))
        .collect();
    assert_eq!(ids(&world).await, (40, expected.clone()));
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(
        (&audit["accepted"], &audit["scored"]),
        (&json!(41), &json!(40)),
        "{audit}"
    );
    assert_eq!(audit["quarantined"], json!({ "unmapped": 1 }));

    // A redrive over the change finds each event that it made before, and nothing new.
    let range = world.json(0, &["redrive", "--source", "range", "--since", "1h"]).await;
    assert_eq!(
        (&range["scored"], &range["already_done"]),
        (&json!(0), &json!(40)),
        "{range}"
    );
    world.json(0, &["audit", "--settle", "30"]).await;

    // What the first map refused is judged by the second one, once that is said; what it counted stays as it was.
    let (from, to) = (first.to_string(), second.to_string());
    world
        .json(0, &["map", "mend", &from, &to, "--reason", "channel 07"])
        .await;
    let again = world
        .json(1, &["map", "mend", &from, &to, "--reason", "channel 07"])
        .await;
    assert_eq!(again["error"]["code"], "map_change");
    tokio::time::sleep(Duration::from_secs(12)).await;
    let range = world.json(0, &["redrive", "--source", "range", "--since", "1h"]).await;
    assert_eq!(
        (&range["scored"], &range["already_done"]),
        (&json!(1), &json!(40)),
        "{range}"
    );
    assert!(ids(&world).await.1.contains("v2-90"));
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(
        (&audit["accepted"], &audit["scored"]),
        (&json!(41), &json!(41)),
        "{audit}"
    );
    world.stop().await;
}
