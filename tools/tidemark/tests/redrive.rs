//! `dlq`, `redrive` and `audit` against the real functions: dead letters come of a table that is down, a redrive empties the
//! queue, and the audit tells where each record ended; or, where somebody broke it by hand, which has no end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use lab::simulate::{self, SimConfig};
use localcloud::{EsmOptions, FaultPlan, Service};
use rehearse::stack::{Stack, StackOptions, mapping_options};
use serde_json::{Value, json};
use terminal::clock::now_ms;
use tidemark_aws::admin::{PutRecord, ReadFrom, ShardRecord};
use tidemark_domain::policy::Policy;

/// How long the mapping may take for what a test sends.
const DRAIN_MS_MAX: u64 = 60_000;
const SHARDS: u16 = 2;

pub(super) struct World {
    pub(super) stack: Stack,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
        for binary in [binary.clone(), binary.with_file_name("redrive")] {
            let text = "is missing: run `cargo test --workspace`, which builds it";
            assert!(binary.is_file(), "{} {text}", binary.display());
        }
        let stack = Stack::start_with(StackOptions {
            mapping: EsmOptions {
                batching_window_ms: 0,
                // An outage of seconds dead-letters what one of hours would.
                retries_max: Some(1),
                ..mapping_options()
            },
            fault_seed: Some(3),
            ..StackOptions::new(folder.path(), SHARDS, Some(&binary), true)
        })
        .await
        .unwrap();
        Self { stack, _folder: folder }
    }

    pub(super) async fn stop(self) {
        self.stack.stop().await;
    }

    /// Runs the command, which must end with this code, and gives its document.
    pub(super) async fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let cloud = &self.stack.cloud;
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .arg("--json")
            .args(arguments)
            .env("AWS_ENDPOINT_URL", cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", cloud.dynamodb_endpoint())
            .env("AWS_REGION", cloud.region())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("USER", "on-call")
            .output()
            .await
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout} {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {stdout} {stderr}"))
    }

    /// Runs the command, which must refuse its command line with this code.
    pub(super) async fn refused(&self, code: &str, arguments: &[&str]) {
        let told = self.json(2, arguments).await;
        assert_eq!(told["error"]["code"], code, "{arguments:?}: {told}");
        assert_eq!(told["error"]["page"], format!("docs/errors/{code}.md"));
    }

    pub(super) async fn put(&self, records: &[PutRecord]) {
        let stream = &self.stack.names.transactions_stream;
        for batch in records.chunks(500) {
            self.stack.cloud.admin().put_records(stream, batch).await.unwrap();
        }
    }

    pub(super) async fn drain(&self) {
        self.stack.mapping.drained(DRAIN_MS_MAX).await.unwrap();
    }

    /// Sends records while the table is down, so that the mapping gives them up.
    pub(super) async fn put_in_vain(&self, records: &[PutRecord]) {
        let faults = self.stack.cloud.faults().unwrap();
        let outage = faults.add(FaultPlan::down(Service::DynamoDb));
        self.put(records).await;
        self.drain().await;
        faults.remove(outage);
    }

    async fn dead_letter(&self, body: &str) {
        let url = &self.stack.provisioned.dead_letter_queue_url;
        self.stack.cloud.admin().send(url, body).await.unwrap();
    }

    /// All records of a stream.
    pub(super) async fn read(&self, stream: &str) -> Vec<ShardRecord> {
        let admin = self.stack.cloud.admin();
        let mut records = Vec::new();
        for shard in admin.list_shards(stream).await.unwrap() {
            let at = admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap();
            records.extend(admin.records(&at, 10_000).await.unwrap().records);
        }
        records
    }

    /// The table's records of redrives.
    async fn records_of_redrives(&self) -> Vec<tidemark_aws::admin::Item> {
        let admin = self.stack.cloud.admin();
        admin.items_of(&self.stack.names.table, "audit").await.unwrap()
    }
}

pub(super) fn traffic(seed: u64, events: u32) -> Vec<PutRecord> {
    let config = SimConfig {
        broken_share: 0.05,
        ..SimConfig::new(seed, events, events / 20, now_ms(), &Policy::default_policy())
    };
    let record = |record: simulate::SimRecord| PutRecord {
        partition_key: record.partition_key,
        data: record.payload,
    };
    simulate::generate(&config).map(record).collect()
}

fn transaction(card: &str, event: &str) -> PutRecord {
    let body = json!({
        "schema": "transaction", "version": 1, "event_id": event, "card_id": card, "occurred_at_ms": now_ms(),
        "amount_minor": 1250, "currency": "EUR", "merchant_id": "m-1", "mcc": 5411, "country": "DE", "channel": "point_of_sale", "approved": true,
    });
    PutRecord {
        partition_key: card.to_owned(),
        data: body.to_string().into_bytes(),
    }
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_empties_the_queue_and_the_audit_shows_where_each_record_ended() {
    let world = World::start().await;
    world.put(&traffic(1, 300)).await;
    world.drain().await;
    let quarantined = |audit: &Value| -> u64 { audit["quarantined"].as_object().unwrap().values().map(number).sum() };
    let refused_before = quarantined(&world.json(0, &["audit", "--settle", "30"]).await);
    let dead = traffic(2, 400);
    world.put_in_vain(&dead).await;

    // What waits.
    let listed = world.json(0, &["dlq"]).await;
    let letters = &listed["dead_letter"];
    assert_eq!(letters["records"], dead.len() as u64, "{letters}");
    assert_eq!(
        number(&letters["messages"]),
        number(&json!(
            letters["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| number(&row["messages"]))
                .sum::<u64>()
        ))
    );
    let rows = letters["rows"].as_array().unwrap();
    assert_eq!(rows.len(), usize::from(SHARDS), "a row for each shard: {letters}");
    let hours = |value: &Value| value.as_i64().unwrap() as f64 / 3_600_000.0;
    for row in rows {
        assert_eq!(row["condition"], "RetryAttemptsExhausted");
        assert!((0.0..0.1).contains(&hours(&row["age_ms"])), "{row}");
        assert!(
            (23.9..24.0).contains(&hours(&row["gone_in_ms"])),
            "the stream keeps a day: {row}"
        );
    }
    world.json(1, &["dlq", "--check"]).await;
    let before = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(before["accepted"], 300 + dead.len() as u64);
    // What the contract refuses goes to quarantine without the table, and has its end there.
    let refused = quarantined(&before) - refused_before;
    assert!(refused > 0, "{before}");
    assert_eq!(
        number(&before["dead_lettered"]) + refused,
        dead.len() as u64,
        "{before}"
    );

    // A dry run reads and counts.
    let dry = world.json(0, &["redrive", "--dry-run"]).await;
    assert_eq!(
        (&dry["expected"], &dry["found"]),
        (&letters["records"], &letters["records"])
    );
    assert_eq!(number(&dry["scored"]), 0);
    let same = |name: &str, after: &Value, before: &Value| assert_eq!(after[name], before[name], "{name}");
    let after = world.json(0, &["audit"]).await;
    for name in [
        "accepted",
        "scored",
        "duplicate",
        "applied",
        "quarantined",
        "dead_lettered",
        "outcomes",
    ] {
        same(name, &after, &before);
    }
    assert_eq!(
        world.json(0, &["dlq"]).await["dead_letter"]["messages"],
        letters["messages"]
    );
    assert!(
        world.records_of_redrives().await.is_empty(),
        "a dry run leaves no record"
    );

    // The redrive itself.
    let run = world.json(0, &["redrive", "--note", "the table was down"]).await;
    let account = &run;
    assert_eq!(run["complete"], true, "{run}");
    let ended: u64 = ["scored", "already_done", "applied", "quarantined"]
        .map(|name| number(&account[name]))
        .iter()
        .sum();
    assert_eq!(ended, dead.len() as u64, "{account}");
    assert!(number(&account["scored"]) > 300, "{account}");
    for none in [
        "returned",
        "trimmed",
        "missing",
        "filtered_out",
        "unrecoverable_messages",
        "rejected_messages",
    ] {
        assert_eq!(number(&account[none]), 0, "{none}: {account}");
    }
    assert_eq!(account["messages"], letters["messages"]);
    let records = world.records_of_redrives().await;
    assert_eq!(records.len(), 2, "its beginning and its end: {records:?}");
    let text = |item: &tidemark_aws::admin::Item, name: &str| format!("{:?}", item.get(name));
    assert!(text(&records[0], "who").contains("on-call") && text(&records[0], "reason").contains("the table was down"));
    assert!(text(&records[1], "stopped").contains("done"), "{records:?}");
    let key = run["audit_record"].as_str().unwrap().strip_prefix("audit/").unwrap();
    assert!(text(&records[0], "sk").contains(key));

    // Afterwards: nothing waits, and every record has its end.
    world.json(0, &["dlq", "--check"]).await;
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(
        (&audit["holds"], number(&audit["dead_lettered"])),
        (&json!(true), 0),
        "{audit}"
    );
    assert_eq!(
        (number(&audit["unaccounted"]), number(&audit["pending"])),
        (0, 0),
        "{audit}"
    );
    assert_eq!(
        number(&audit["scored"]),
        number(&before["scored"]) + number(&account["scored"])
    );
    assert_eq!(audit["outcomes"]["events"], audit["scored"], "{audit}");
    let again = world.json(0, &["redrive"]).await;
    assert_eq!(
        (&again["complete"], number(&again["messages"])),
        (&json!(true), 0),
        "{again}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_what_somebody_broke() {
    let world = World::start().await;
    world
        .put(&[transaction("card-1", "event-1"), transaction("card-2", "event-2")])
        .await;
    world
        .put(&[PutRecord {
            partition_key: "x".to_owned(),
            data: b"no event".to_vec(),
        }])
        .await;
    world.drain().await;
    let whole = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(
        (number(&whole["scored"]), &whole["quarantined"]),
        (2, &json!({ "not_json": 1 })),
        "{whole}"
    );

    // An outcome is deleted: a scores stream that has all others.
    let admin = world.stack.cloud.admin();
    admin.create_stream("cut-scores", 1).await.unwrap();
    let outcomes = world.read(&world.stack.names.scores_stream).await;
    let copy = |record: &ShardRecord| PutRecord {
        partition_key: "k".to_owned(),
        data: record.data.clone(),
    };
    let is_of = |record: &ShardRecord, event: &str| String::from_utf8_lossy(&record.data).contains(event);
    let kept: Vec<PutRecord> = outcomes
        .iter()
        .filter(|record| !is_of(record, "event-2"))
        .map(copy)
        .collect();
    assert_eq!(kept.len(), 1);
    admin.put_records("cut-scores", &kept).await.unwrap();
    let cut = ["audit", "--scores", "cut-scores", "--pending", "0", "--settle", "1"];
    let audit = world.json(1, &cut).await;
    assert_eq!(
        (number(&audit["unaccounted"]), number(&audit["scored"])),
        (1, 1),
        "{audit}"
    );
    let breaks = audit["breaks"].as_array().unwrap();
    assert_eq!(breaks.len(), 1, "{audit}");
    assert_eq!(breaks[0]["invariant"], "I1");
    assert!(
        breaks[0]["what"]
            .as_str()
            .unwrap()
            .contains("event event-2 of card card-2"),
        "{audit}"
    );
    // The same record is on its way where it may still be: no break, and no success for one that waits for it.
    let audit = world.json(0, &["audit", "--scores", "cut-scores"]).await;
    assert_eq!(
        (number(&audit["pending"]), number(&audit["unaccounted"])),
        (1, 0),
        "{audit}"
    );
    world
        .json(1, &["audit", "--scores", "cut-scores", "--settle", "1"])
        .await;

    // Another outcome of an event is sent.
    let forged = String::from_utf8(kept[0].data.clone())
        .unwrap()
        .replace("\"decision\":\"", "\"decision\":\"x");
    let forged = PutRecord {
        partition_key: "k".to_owned(),
        data: forged.into_bytes(),
    };
    admin
        .put_records(&world.stack.names.scores_stream, &[forged])
        .await
        .unwrap();
    let audit = world.json(1, &["audit"]).await;
    assert_eq!(number(&audit["outcomes"]["conflicting"]), 1, "{audit}");
    let named = |what: &str| {
        let breaks = audit["breaks"].as_array().unwrap().iter();
        breaks
            .into_iter()
            .any(|found| found["invariant"] == "I3" && found["what"].as_str().unwrap().contains(what))
    };
    assert!(named("event event-1 of card card-1 at "), "{audit}");
    assert!(named(" has 2 outcomes in the scores stream that differ"), "{audit}");

    // The message of a quarantined record is deleted.
    let url = &world.stack.provisioned.quarantine_queue_url;
    let messages = admin.receive(url, 10, 0, 30).await.unwrap();
    assert_eq!(messages.len(), 1);
    admin.delete(url, &messages[0].receipt).await.unwrap();
    let audit = world.json(1, &["audit", "--pending", "0"]).await;
    assert_eq!(number(&audit["unaccounted"]), 1, "{audit}");
    assert!(
        audit["unaccounted_examples"][0]
            .as_str()
            .unwrap()
            .ends_with("(no valid event)"),
        "{audit}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_work_are_told_by_code_and_none_is_lost() {
    let world = World::start().await;
    world.put_in_vain(&[transaction("card-1", "event-1")]).await;
    let admin = world.stack.cloud.admin();
    let url = &world.stack.provisioned.dead_letter_queue_url;
    let good = admin.receive(url, 10, 0, 30).await.unwrap().remove(0);
    admin.release(url, &[good.receipt]).await.unwrap();
    let letter: Value = serde_json::from_str(&good.body).unwrap();
    let changed = |field: &str, value: Value| {
        let mut letter = letter.clone();
        letter["KinesisBatchInfo"][field] = value;
        letter.to_string()
    };
    let other_stream = "arn:aws:kinesis:eu-west-1:000000000000:stream/other";
    let bad = [
        ("TM-5003", "no JSON".to_owned()),
        ("TM-5004", "{\"some\":\"thing\"}".to_owned()),
        ("TM-5005", changed("streamArn", other_stream.into())),
        ("TM-5006", changed("endSequenceNumber", "9".repeat(10_000).into())),
        ("TM-5007", changed("endSequenceNumber", "1".into())),
    ];
    for (_, body) in &bad {
        world.dead_letter(body).await;
    }
    // Of a shard that is gone, and the same letter twice: to be looked at, and no malformed ones.
    world
        .dead_letter(&changed("shardId", "shardId-000000000099".into()))
        .await;
    world.dead_letter(&good.body).await;
    let listed = world.json(0, &["dlq"]).await;
    let malformed = &listed["dead_letter"]["malformed"];
    for (code, _) in &bad {
        assert_eq!(malformed[code], 1, "{listed}");
    }
    assert_eq!(number(&listed["dead_letter"]["messages"]), 8);

    let run = world.json(1, &["redrive"]).await;
    let account = &run;
    assert_eq!(
        (number(&account["scored"]), number(&account["already_done"])),
        (1, 1),
        "{run}"
    );
    assert_eq!(number(&account["rejected_messages"]), 5, "{run}");
    assert_eq!(
        (number(&account["unrecoverable_messages"]), number(&account["trimmed"])),
        (1, 1),
        "{run}"
    );
    assert_eq!(run["complete"], false);
    let problems = run["problems"].as_array().unwrap();
    for code in bad.iter().map(|(code, _)| *code).chain(["TM-5008"]) {
        assert!(problems.iter().any(|problem| problem["code"] == code), "{code}: {run}");
    }

    // Each of them lies whole in the unrecoverable queue.
    let listed = world.json(0, &["dlq", "--check"]).await;
    assert_eq!(number(&listed["unrecoverable"]["messages"]), 6, "{listed}");
    let url = &world.stack.provisioned.unrecoverable_queue_url;
    let moved = admin.receive(url, 10, 0, 30).await.unwrap();
    for (code, body) in &bad {
        let kept = moved.iter().any(|message| {
            let message: Value = serde_json::from_str(&message.body).unwrap();
            message["code"] == *code && message["body"] == *body
        });
        assert!(kept, "{code}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_can_not_be_meant_is_refused_with_its_code() {
    let world = World::start().await;
    let range = ["redrive", "--source", "range"];
    let with = |more: &[&'static str]| [&range[..], more].concat();
    world
        .refused("range_reversed", &with(&["--since", "1h", "--until", "2h"]))
        .await;
    world.refused("range_missing", &range).await;
    world
        .refused("range_without_source", &["redrive", "--since", "1h"])
        .await;
    world.refused("shard_missing", &with(&["--from", "1"])).await;
    let digits = "9".repeat(10_000);
    let long = ["redrive", "--source", "range", "--shard", "s", "--from", &digits];
    world.refused("sequence_number", &long).await;
    world.refused("time", &with(&["--since", "yesterday"])).await;
    world
        .refused("unknown_source", &["redrive", "--source", "elsewhere"])
        .await;
    world
        .refused("unknown_queue", &["redrive", "--dead-letter", "nobodys"])
        .await;
    world
        .refused("unknown_queue", &["dlq", "--quarantine", "nobodys"])
        .await;
    world.refused("unknown_stream", &["audit", "--stream", "nobodys"]).await;
    world
        .refused("unknown_function", &["redrive", "--function", "nobodys"])
        .await;
    world.refused("unknown_shard", &["audit", "--shard", "nobodys"]).await;
    world
        .refused("range_reversed", &["audit", "--since", "1h", "--until", "2h"])
        .await;
    world.stop().await;
}
