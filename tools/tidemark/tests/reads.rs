//! What operators read: it outlives passing faults on every read operation, says when it waits, and never takes what it could not
//! see for nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Output;

use localcloud::{FaultKind, FaultPlan, Faults, Function, LocalCloud, Names, Provisioned, Service};
use rehearse::stack::{Stack, StackOptions};
use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::{ItemValue, PutRecord, READ_BUDGET_MS, ReadFrom};
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};

/// Every operation by which the command reads.
const READS: [(Service, &str); 10] = [
    (Service::Kinesis, "DescribeStreamSummary"),
    (Service::Kinesis, "ListShards"),
    (Service::Kinesis, "GetShardIterator"),
    (Service::Kinesis, "GetRecords"),
    (Service::Sqs, "GetQueueUrl"),
    (Service::Sqs, "GetQueueAttributes"),
    (Service::Sqs, "ReceiveMessage"),
    (Service::Sqs, "ChangeMessageVisibilityBatch"),
    (Service::DynamoDb, "GetItem"),
    (Service::DynamoDb, "Query"),
];
/// What passes.
const KINDS: [FaultKind; 5] = [
    FaultKind::Throttle,
    FaultKind::Error500,
    FaultKind::DropBefore,
    FaultKind::Down,
    FaultKind::DropAfterApply,
];

struct World {
    cloud: LocalCloud,
    names: Names,
    provisioned: Provisioned,
    function: Function,
    redrive: Option<Function>,
    folder: tempfile::TempDir,
}

impl World {
    /// A pipeline through which a few events went, and which stands still then: every request is the command's.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
        let stack = Stack::start_with(StackOptions {
            fault_seed: Some(1),
            ..StackOptions::new(folder.path(), 2, Some(&binary), true)
        })
        .await
        .unwrap();
        let Stack {
            cloud,
            names,
            provisioned,
            function,
            redrive,
            mapping,
        } = stack;
        let mut records: Vec<PutRecord> = (0..20).map(transaction).collect();
        records.push(PutRecord {
            partition_key: "till-7".to_owned(),
            data: b"no event".to_vec(),
        });
        cloud
            .admin()
            .put_records(&names.transactions_stream, &records)
            .await
            .unwrap();
        mapping.drained(60_000).await.unwrap();
        mapping.stop().await;
        Self {
            cloud,
            names,
            provisioned,
            function,
            redrive,
            folder,
        }
    }

    async fn stop(self) {
        self.function.stop().await;
        if let Some(redrive) = &self.redrive {
            redrive.stop().await;
        }
        self.cloud.stop().await;
    }

    fn faults(&self) -> &Faults {
        self.cloud.faults().unwrap()
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let cloud = &self.cloud;
        tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(arguments)
            .env("AWS_ENDPOINT_URL", cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", cloud.dynamodb_endpoint())
            .env("AWS_REGION", cloud.region())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("USER", "on-call")
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap()
    }

    async fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text} {told}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {text} {told}"))
    }
}

fn transaction(number: u32) -> PutRecord {
    let card = format!("card-{}", number % 4);
    let body = json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": card,
        "occurred_at_ms": now_ms() + i64::from(number), "amount_minor": 1_250 + number, "currency": "EUR", "merchant_id": "m-1",
        "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    });
    PutRecord {
        partition_key: card,
        data: body.to_string().into_bytes(),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_of_every_verb_outlives_passing_faults() {
    let world = World::start().await;
    let verbs: [&[&str]; 7] = [
        &["audit"],
        &["dlq"],
        &["explain", "card-1"],
        &["policy", "history"],
        &["redrive", "--source", "quarantine", "--dry-run"],
        &["watch", "--looks", "1"],
        &["quarantine", "list"],
    ];
    for (turn, verb) in verbs.iter().enumerate() {
        for (at, (service, operation)) in READS.into_iter().enumerate() {
            // Two in a row, so that a second try alone is not enough; kinds and operations meet in turn.
            let kind = KINDS[(turn + at) % KINDS.len()];
            world
                .faults()
                .add(FaultPlan::new(service, kind, 1.0).on(operation).at_most(2));
        }
        let expired = FaultPlan::new(Service::Kinesis, FaultKind::ExpiredIterator, 1.0);
        world.faults().add(expired.on("GetRecords").at_most(1));
        world.json(0, verb).await;
        world.faults().clear();
    }
    let counts = world.faults().counts();
    for (service, operation) in READS {
        let met: u64 = counts
            .iter()
            .filter(|((of, name, _), _)| *of == service && name == operation)
            .map(|(_, count)| count)
            .sum();
        assert!(met >= 2, "{operation} met no fault: {counts:?}");
    }
    assert!(
        counts.keys().any(|(.., kind)| *kind == "expired_iterator"),
        "{counts:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_told_and_ends_with_the_budget() {
    let world = World::start().await;
    let throttle = |at_most: u64| {
        let plan = FaultPlan::new(Service::Sqs, FaultKind::Throttle, 1.0);
        world.faults().clear();
        world.faults().add(plan.on("GetQueueUrl").at_most(at_most));
    };
    throttle(5);
    let output = world.run(&["dlq"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("waiting ") && told.contains("GetQueueUrl: ThrottlingException"),
        "{told}"
    );
    throttle(u64::MAX);
    let gone = world.json(4, &["--patience", "1", "dlq"]).await;
    let what = gone["error"]["what"].as_str().unwrap();
    assert!(
        what.contains("tried 4 times") || what.contains("tried 5 times"),
        "{what}"
    );
    let at_once = world.json(4, &["--patience", "0", "dlq"]).await;
    assert!(
        at_once["error"]["what"].as_str().unwrap().contains("tried 1 times"),
        "{at_once}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iterator_that_expired_is_replaced_after_the_last_record_seen() {
    let world = World::start().await;
    let stream = &world.names.transactions_stream;
    let bare = world.cloud.admin();
    let patient = bare.clone().patient(READ_BUDGET_MS, |_| {});
    let expired = FaultPlan::new(Service::Kinesis, FaultKind::ExpiredIterator, 0.4).on("GetRecords");
    let mut seen = 0;
    for shard in bare.list_shards(stream).await.unwrap() {
        let all = bare.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap();
        let all = bare.records(&all, 10_000).await.unwrap().records;
        let id = world.faults().add(expired.clone());
        let mut read = Vec::new();
        let mut next = Some(patient.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap());
        while read.len() < all.len() {
            let page = patient.records(&next.unwrap(), 3).await.unwrap();
            read.extend(page.records);
            next = page.next;
        }
        world.faults().remove(id);
        assert_eq!(read, all, "each once, in order");
        seen += all.len();
        // Without patience it is the caller's to see.
    }
    assert_eq!(seen, 21);
    let counts = world.faults().counts();
    assert!(counts.values().sum::<u64>() > 0, "{counts:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_empty_only_when_its_numbers_say_so_too() {
    let world = World::start().await;
    let letter = json!({
        "requestContext": { "condition": "RetryAttemptsExhausted" },
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2,
            "streamArn": world.provisioned.transactions_stream_arn,
        },
    });
    let url = &world.provisioned.dead_letter_queue_url;
    world.cloud.admin().send(url, &letter.to_string()).await.unwrap();
    let nothing = FaultPlan::new(Service::Sqs, FaultKind::NothingThere, 1.0);
    let nothing = nothing.on("ReceiveMessage").at("tidemark-dead-letter");
    // Some servers of the queue have nothing: it is asked until the message comes.
    world.faults().add(nothing.clone().at_most(4));
    let found = world.json(1, &["dlq", "--check"]).await;
    assert_eq!(number(&found["dead_letter"]["messages"]), 1, "{found}");
    assert_eq!(
        (&found["verdict"], &found["complete"]),
        (&json!("DEAD LETTERS"), &json!(true))
    );
    // None of them ever gives it: that is not nothing.
    world.faults().clear();
    world.faults().add(nothing);
    let unseen = world.json(1, &["dlq", "--check"]).await;
    assert_eq!(number(&unseen["dead_letter"]["messages"]), 0, "{unseen}");
    assert_eq!(number(&unseen["dead_letter"]["unseen_messages"]), 1, "{unseen}");
    assert_eq!(unseen["complete"], false, "{unseen}");
    world.json(1, &["dlq"]).await;
    world.faults().clear();
    let depth = world.cloud.admin().queue_depth(url).await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (1, 0), "and it is where it was");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quarantine_is_looked_at_kept_and_emptied_and_the_audit_still_holds() {
    let world = World::start().await;
    let listing = world.json(0, &["quarantine", "list"]).await;
    assert_eq!(
        (number(&listing["records"]), &listing["reasons"][0]["value"]),
        (1, &json!("not_json")),
        "{listing}"
    );
    assert_eq!(listing["keys"][0]["value"], "till-7");
    let id = listing["newest"][0]["id"].as_str().unwrap();
    let shown = world.json(0, &["quarantine", "show", id]).await;
    assert_eq!(shown[0]["payload"], "no event", "{shown}");
    assert_eq!(
        world.json(5, &["quarantine", "show", "none"]).await["error"]["code"],
        "no_such_record"
    );
    let file = world.folder.path().join("refused.jsonl");
    let path = file.to_str().unwrap();
    world.json(0, &["quarantine", "export", path]).await;
    let line: Value = serde_json::from_str(std::fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert_eq!(
        (&line["payload"], &line["code"]),
        (&json!("no event"), &json!("not_json"))
    );
    let verdict = world.json(0, &["watch", "--once"]).await;
    assert_eq!(verdict["verdict"], "QUARANTINE", "{verdict}");
    assert_eq!(world.json(0, &["dlq"]).await["verdict"], "QUARANTINE");

    // Nothing goes without being named, a reason, and a word.
    assert_eq!(
        world.json(2, &["quarantine", "drop", "--why", "x"]).await["error"]["code"],
        "drop_what"
    );
    let unsure = ["quarantine", "drop", "--all", "--why", "a test"];
    assert_eq!(world.json(1, &unsure).await["error"]["code"], "not_confirmed");
    let other = [
        "quarantine",
        "drop",
        "--reason",
        "unknown_version",
        "--why",
        "a test",
        "--yes",
    ];
    assert_eq!(number(&world.json(0, &other).await["dropped"]), 0);
    assert_eq!(number(&world.json(0, &["quarantine", "list"]).await["records"]), 1);
    let whole = world.json(0, &["audit"]).await;
    let dropped = [
        "quarantine",
        "drop",
        "--reason",
        "not_json",
        "--why",
        "test traffic",
        "--yes",
    ];
    assert_eq!(number(&world.json(0, &dropped).await["dropped"]), 1);
    assert_eq!(number(&world.json(0, &["quarantine", "list"]).await["records"]), 0);
    let history = world.json(0, &["quarantine", "history"]).await;
    assert_eq!(
        (&history[0]["who"], &history[0]["why"]),
        (&json!("on-call"), &json!("test traffic"))
    );
    assert_eq!(history[0]["records"][0]["partition_key"], "till-7");
    let audit = world.json(0, &["audit", "--pending", "0"]).await;
    assert_eq!(
        (&audit["quarantined"], number(&audit["unaccounted"])),
        (&whole["quarantined"], 0),
        "{audit}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_explained_with_its_events_ids() {
    let world = World::start().await;
    let card = world.json(0, &["explain", "card-1"]).await;
    let ids: Vec<_> = card["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event_id"].clone())
        .collect();
    assert_eq!(
        json!(ids),
        json!(["event-1", "event-5", "event-9", "event-13", "event-17"])
    );
    let output = world.run(&["explain", "card-1"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  event-17\n"), "{text}");
    // Outcomes that the scores stream no longer has.
    world.cloud.admin().create_stream("empty-scores", 1).await.unwrap();
    let output = world.run(&["explain", "card-1", "--scores", "empty-scores"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("(its id is no longer known)").count(), 5, "{text}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_labels_say_of_a_key_is_shown() {
    let world = World::start().await;
    let mut history = LabelledHistory::default();
    let label = |time_ms: i64, verdict: Verdict, explained: Option<bool>| LabelledEvent {
        time_ms,
        event: 7,
        known_since_ms: time_ms + 86_400_000,
        verdict,
        explained,
    };
    let _ = history.add(label(1_790_000_000_000, Verdict::Fraud, Some(false)));
    let _ = history.add(label(1_790_000_000_000, Verdict::Cleared, None));
    let text = |text: String| ItemValue::Text(text);
    let item = [
        ("pk", text(format!("k#terminal#{:016x}", fingerprint64("shop-1")))),
        ("sk", text("l".to_owned())),
        ("b", ItemValue::Binary(history.encode())),
        ("v", ItemValue::Number("2".to_owned())),
    ];
    let item = item.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    assert!(
        world
            .cloud
            .admin()
            .put_new_item(&world.names.table, &item)
            .await
            .unwrap()
    );
    let shown = world.json(0, &["explain", "--key", "terminal", "shop-1"]).await;
    assert_eq!((&shown["version"], &shown["forgotten"]), (&json!(2), &json!(0)));
    let logged = format!("terminal#{:016x}", fingerprint64("shop-1"));
    assert_eq!(world.json(0, &["explain", "--key", "terminal", &logged]).await, shown);
    let labels = &shown["labels"];
    assert_eq!(
        (&labels[0]["verdict"], &labels[0]["explained"]),
        (&json!("fraud"), &json!(false))
    );
    let output = world.run(&["explain", "--key", "terminal", "shop-1"]).await;
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(
        words.contains("not explained by its card") && words.contains("cleared"),
        "{words}"
    );
    for arguments in [
        ["explain", "--key", "terminal", "shop-2"],
        ["explain", "--key", "Not a name", "shop-1"],
    ] {
        let error = world.json(5, &arguments).await;
        assert_eq!(error["error"]["code"], "no_such_key");
    }
    world.stop().await;
}
