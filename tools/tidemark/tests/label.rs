//! `tidemark label` as its users meet it: each card's labels in their order whatever Kinesis refuses, what is no label named, a file sent
//! twice changing nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use localcloud::{FaultKind, FaultPlan, Service};
use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::ItemValue;
use tidemark_aws::item;
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;

use crate::send::{Bench, command, document};
use crate::world::{World, transaction};

fn label(event: u64, verdict: &str, known_since_ms: i64) -> Value {
    json!({"schema": "label", "version": 1, "event_id": format!("event-{event}"), "card_id": format!("card-{}", event % 50),
           "verdict": verdict, "known_since_ms": known_since_ms})
}

async fn labelled(bench: &Bench, name: &str, text: &str, more: &[&str]) -> (Option<i32>, Value) {
    let path = bench.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let arguments = [&["--json", "label", path.to_str().unwrap()], more].concat();
    let output = command(&arguments, bench.cloud.endpoint()).await;
    let code = output.status.code();
    (code, document(code.unwrap(), &output))
}

/// The times of the labels in the stream, by card, in the order of their shards; each as it came first.
async fn in_stream(bench: &Bench) -> BTreeMap<String, Vec<i64>> {
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for label in bench.payloads().await {
        let times = found.entry(label["card_id"].as_str().unwrap().to_owned()).or_default();
        let time_ms = label["known_since_ms"].as_i64().unwrap();
        if !times.contains(&time_ms) {
            times.push(time_ms);
        }
    }
    found
}

#[tokio::test]
async fn a_cards_labels_keep_their_order_whatever_kinesis_refuses() {
    let start_ms = now_ms() - 10_000_000;
    let (mut lines, mut table) = (String::new(), "card_id,event_id,known_since_ms,verdict\n".to_owned());
    for number in 0..700_u64 {
        let verdict = if number.is_multiple_of(4) { "cleared" } else { "fraud" };
        let known_ms = start_ms + i64::try_from(number).unwrap();
        writeln!(lines, "{}", label(number, verdict, known_ms)).unwrap();
        writeln!(table, "card-{},event-{number},{known_ms},{verdict}", number % 50).unwrap();
    }
    for (name, text, more) in [
        ("labels.jsonl", &lines, &["--rate", "100000"][..]),
        ("labels.csv", &table, &["--aggregate"]),
    ] {
        let bench = Bench::start().await;
        let faults = bench.cloud.faults().unwrap();
        faults.add(FaultPlan::new(Service::Kinesis, FaultKind::Partial { share: 0.3 }, 0.8).on("PutRecords"));
        faults.add(FaultPlan::new(Service::Kinesis, FaultKind::DropAfterApply, 0.1).on("PutRecords"));
        let (code, said) = labelled(&bench, name, text, more).await;
        assert_eq!(code, Some(0), "{said}");
        let counts = ["sent", "labels", "fraud", "cleared", "refused_total"].map(|field| said[field].as_u64().unwrap());
        assert_eq!(counts, [700, 700, 525, 175, 0], "{said}");
        faults.clear();
        let found = in_stream(&bench).await;
        assert_eq!(
            (found.len(), found.values().map(Vec::len).sum::<usize>()),
            (50, 700),
            "{name}"
        );
        for (card, times) in found {
            assert!(times.is_sorted(), "{name}, {card}: {times:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_label_is_named_and_a_dry_run_sends_nothing() {
    let bench = Bench::start().await;
    let known_ms = now_ms() - 1_000;
    let stolen = label(3, "stolen", known_ms);
    let text = format!(
        "{}\n{}\n\n{stolen}\n{}\n",
        label(1, "fraud", known_ms),
        transaction(2),
        label(4, "cleared", known_ms)
    );
    let (code, said) = labelled(&bench, "mixed.jsonl", &text, &["--dry-run"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!((&said["sent"], &said["labels"]), (&json!(0), &json!(2)));
    assert!(bench.payloads().await.is_empty());
    let (_, said) = labelled(&bench, "mixed.jsonl", &text, &[]).await;
    assert_eq!(
        (&said["sent"], &said["fraud"], &said["cleared"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(said["refused_by_code"], json!({"mistyped_field": 1, "not_a_label": 1}));
    let lines: Vec<u64> = said["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(bench.payloads().await.len(), 2);
    // For a person, with what to do.
    let path = bench.folder.path().join("mixed.jsonl");
    let output = command(&["label", path.to_str().unwrap(), "--dry-run"], bench.cloud.endpoint()).await;
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        stderr.contains("line 2 was left out: not_a_label: a transaction, and no label: `tidemark send` takes it"),
        "{stderr}"
    );
    assert!(
        stdout.contains("2 labels would be sent to tidemark-transactions: 1 fraud, 1 cleared; 2 lines were left out (1 mistyped_field, 1 not_a_label)"),
        "{stdout}"
    );
    let (code, said) = labelled(&bench, "other.csv", "event_id,card_id,amount\n1,2,3\n", &[]).await;
    assert_eq!((code, &said["error"]["code"]), (Some(5), &json!("label_columns")));
}

/// A deployment's own bounds may be wider than the built-in ones, or narrower.
#[tokio::test]
async fn lines_are_held_to_the_bounds_of_the_policy_that_is_named() {
    let bench = Bench::start().await;
    let policy = bench.folder.path().join("policy.toml");
    let text = Policy::default_text();
    let (from, to) = ("skew_ms = 300_000 ", "skew_ms = 3_600_000 ");
    assert!(text.contains(from));
    std::fs::write(&policy, text.replace(from, to)).unwrap();
    let text = label(1, "fraud", now_ms() + 1_800_000).to_string();
    let (code, said) = labelled(&bench, "ahead.jsonl", &text, &["--dry-run"]).await;
    assert_eq!((code, &said["labels"]), (Some(1), &json!(0)), "{said}");
    let more = ["--dry-run", "--policy", policy.to_str().unwrap()];
    let (code, said) = labelled(&bench, "ahead.jsonl", &text, &more).await;
    assert_eq!((code, &said["labels"]), (Some(0), &json!(1)), "{said}");
    let (code, said) = labelled(&bench, "ahead.jsonl", &text, &["--policy", "missing.toml"]).await;
    assert_eq!(
        (code, &said["error"]["code"]),
        (Some(5), &json!("policy_file")),
        "{said}"
    );
}

async fn state(world: &World, card: &str) -> Vec<u8> {
    let card = CardId::new(card).unwrap();
    let key = item::partition_key(&card);
    let found = world
        .cloud
        .admin()
        .get_item(&world.names.table, &key, item::STATE)
        .await
        .unwrap();
    match found.unwrap().get(item::BYTES) {
        Some(ItemValue::Binary(bytes)) => bytes.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_sent_again_changes_nothing() {
    let world = World::start().await;
    let events: Vec<Value> = (0..100).map(transaction).collect();
    world.put(&events).await;
    let known_ms = now_ms();
    let text: String = (0..100)
        .map(|event| format!("{}\n", label(event, "fraud", known_ms)))
        .collect();
    let path = world.folder.path().join("labels.jsonl");
    std::fs::write(&path, text).unwrap();
    let mut states = Vec::new();
    for _ in 0..2 {
        let said = world.json(0, &["label", path.to_str().unwrap()]).await;
        assert_eq!(said["fraud"], 100);
        world.mapping.drained(30_000).await.unwrap();
        states.push(state(&world, "card-7").await);
    }
    let explained = world.json(0, &["explain", "card-7", "event-57"]).await;
    assert!(explained.to_string().contains(&format!("{known_ms}")), "{explained}");
    assert_eq!(states[0], states[1]);
    world.stop().await;
}
