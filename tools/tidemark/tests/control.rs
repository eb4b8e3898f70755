//! The control plane end to end, with the real binaries: the command steers, the score function runs as a process behind
//! the event source mapping, and what it did is read back from the streams.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use localcloud::{
    EsmOptions, Function, FunctionSpec, LocalCloud, LocalConfig, Mapping, MappingSpec, Names, Provisioned,
};
use serde_json::{Value, json};
use tidemark_aws::admin::{PutRecord, ReadFrom};
use tidemark_cli::clock::now_ms;
use tidemark_domain::policy::Policy;

/// What an activation promises: in force within so many milliseconds.
const EFFECT_MS: i64 = 15_000;
/// How often something is looked for before the test gives up; each look waits `LOOK_MS`.
const LOOKS_MAX: u32 = 600;
const LOOK_MS: u64 = 100;

struct World {
    cloud: LocalCloud,
    names: Names,
    provisioned: Provisioned,
    function: Function,
    mapping: Mapping,
    folder: tempfile::TempDir,
}

/// A record of a stream: when it arrived, and what it says.
struct Seen {
    arrival_ms: i64,
    value: Value,
    bytes: Vec<u8>,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(LocalConfig::new(folder.path())).await.unwrap();
        let names = Names {
            shards: 2,
            ..Names::default()
        };
        let provisioned = cloud.provision(&names).await.unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_tidemark")).with_file_name("score");
        let mut spec = FunctionSpec::new(names.function.clone(), binary);
        spec.env = cloud.function_env(&names, &provisioned);
        let function = cloud.start_function(spec).await.unwrap();
        let mut spec = MappingSpec::new(names.transactions_stream.clone(), function.clone());
        spec.options = EsmOptions {
            batch_size: 100,
            bisect_on_error: true,
            retries_max: Some(20),
            report_item_failures: true,
            ..EsmOptions::default()
        };
        spec.on_failure_queue_url = Some(provisioned.dead_letter_queue_url.clone());
        let mapping = cloud.start_mapping(spec).await.unwrap();
        Self {
            cloud,
            names,
            provisioned,
            function,
            mapping,
            folder,
        }
    }

    async fn stop(self) {
        self.mapping.stop().await;
        self.function.stop().await;
        self.cloud.stop().await;
    }

    /// Runs the command against this cloud.
    async fn run(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(arguments)
            .env("AWS_ENDPOINT_URL", self.cloud.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.cloud.dynamodb_endpoint())
            .env("AWS_REGION", self.cloud.region())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("USER", "on-call")
            .output()
            .await
            .unwrap()
    }

    /// Runs the command, which must end with this code, and gives its document.
    async fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat()).await;
        let (stdout, stderr) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout} {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {stdout} {stderr}"))
    }

    /// Publishes the built-in policy under another version, with other thresholds.
    async fn publish(&self, version: u32, alert: u16) -> PathBuf {
        let text = Policy::default_text()
            .replace("version = 1\n", &format!("version = {version}\n"))
            .replace("alert = 800", &format!("alert = {alert}"))
            .replace("review = 600", &format!("review = {}", alert / 2));
        let file = self.folder.path().join(format!("policy-{version}.toml"));
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        let published = self.json(0, &["policy", "publish", path, "--reason", "a test"]).await;
        assert_eq!(published["version"], version);
        file
    }

    async fn put(&self, events: &[Value]) {
        let records: Vec<PutRecord> = events
            .iter()
            .map(|event| PutRecord {
                partition_key: event["card_id"].as_str().unwrap().to_owned(),
                data: event.to_string().into_bytes(),
            })
            .collect();
        let stream = &self.names.transactions_stream;
        self.cloud.admin().put_records(stream, &records).await.unwrap();
    }

    async fn read(&self, stream: &str) -> Vec<Seen> {
        let admin = self.cloud.admin();
        let mut seen = Vec::new();
        for shard in admin.list_shards(stream).await.unwrap() {
            let mut next = Some(admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap());
            while let Some(iterator) = next {
                let page = admin.records(&iterator, 10_000).await.unwrap();
                next = page.next.filter(|_| page.behind_ms > 0);
                seen.extend(page.records.into_iter().map(|record| Seen {
                    arrival_ms: record.arrival_ms,
                    value: serde_json::from_slice(&record.data).unwrap(),
                    bytes: record.data,
                }));
            }
        }
        seen
    }

    async fn outcomes(&self) -> Vec<Seen> {
        self.read(&self.names.scores_stream).await
    }

    /// Waits until an outcome is as asked for.
    async fn wait_for(&self, what: &str, is: impl Fn(&Value) -> bool) {
        for _ in 0..LOOKS_MAX {
            if self.outcomes().await.iter().any(|seen| is(&seen.value)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        panic!("no outcome came with {what}");
    }

    async fn dead_letters(&self) -> usize {
        let url = &self.provisioned.dead_letter_queue_url;
        self.cloud.admin().receive(url, 10, 0, 1).await.unwrap().len()
    }
}

fn transaction(number: u64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": format!("card-{}", number % 50),
        "occurred_at_ms": now_ms(), "amount_minor": 500 + number % 90, "currency": "EUR", "merchant_id": format!("m{}", number % 7),
        "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
    })
}

/// Sends events, a tenth of them twice, until it is told to stop; answers how many different ones.
async fn load(world: Arc<World>, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let first = sent.load(Ordering::Relaxed);
        let mut events: Vec<Value> = (first..first + 40).map(transaction).collect();
        let again: Vec<Value> = events.iter().step_by(10).cloned().collect();
        events.extend(again);
        world.put(&events).await;
        sent.fetch_add(40, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// I1 and I3 over everything that was sent: each event has an outcome, and all copies of it are the same bytes.
async fn assert_whole(world: &World, sent: u64) -> BTreeMap<String, Value> {
    world.mapping.drained(120_000).await.unwrap();
    let mut distinct: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for seen in world.outcomes().await {
        let id = seen.value["event_id"].as_str().unwrap().to_owned();
        if let Some(first) = distinct.insert(id.clone(), seen.bytes.clone()) {
            assert!(first == seen.bytes, "{id} has two outcomes");
        }
        outcomes.insert(id, seen.value);
    }
    let expected: BTreeSet<String> = (0..sent).map(|number| format!("event-{number}")).collect();
    let found: BTreeSet<String> = distinct.into_keys().collect();
    assert_eq!(expected.difference(&found).count(), 0, "lost events");
    assert_eq!(found.difference(&expected).count(), 0, "outcomes of nothing");
    assert_eq!(world.dead_letters().await, 0);
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn activate_and_rollback_under_load_take_effect_in_time_and_lose_and_double_nothing() {
    let world = Arc::new(World::start().await);
    world.publish(2, 700).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = tokio::spawn(load(Arc::clone(&world), Arc::clone(&stop), Arc::clone(&sent)));
    world
        .wait_for("version 1", |outcome| outcome["policy_version"] == 1)
        .await;
    let activated = world.json(0, &["policy", "activate", "2", "--reason", "drill"]).await;
    assert_eq!((&activated["active"], &activated["before"]), (&json!(2), &json!(0)));
    let activated_ms = now_ms();
    world
        .wait_for("version 2", |outcome| outcome["policy_version"] == 2)
        .await;
    let rolled_back_ms = {
        // Some seconds under the new policy, so that there is something to take back.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let back = world.json(0, &["policy", "rollback", "--reason", "drill"]).await;
        assert_eq!(back["active"], 0);
        now_ms()
    };
    let again = world.json(1, &["policy", "rollback", "--reason", "drill"]).await;
    assert_eq!(
        again["error"]["code"], "no_previous_policy",
        "a second rollback must not go forth again"
    );
    while now_ms() < rolled_back_ms + EFFECT_MS + 2_000 {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let sent = sent.load(Ordering::Relaxed);
    let outcomes = assert_whole(&world, sent).await;
    let mut effect_ms: [i64; 2] = [0, 0];
    let mut by_version: BTreeMap<u64, u64> = BTreeMap::new();
    for seen in world.read(&world.names.transactions_stream).await {
        let id = seen.value["event_id"].as_str().unwrap();
        let version = outcomes[id]["policy_version"].as_u64().unwrap();
        *by_version.entry(version).or_default() += 1;
        if version == 1 && seen.arrival_ms < rolled_back_ms {
            effect_ms[0] = effect_ms[0].max(seen.arrival_ms - activated_ms);
        }
        if version == 2 {
            effect_ms[1] = effect_ms[1].max(seen.arrival_ms - rolled_back_ms);
        }
    }
    println!("{sent} events, {by_version:?} records by version, in force after {effect_ms:?} ms");
    assert!(by_version[&1] > 0 && by_version[&2] > 0, "{by_version:?}");
    assert!(
        effect_ms.iter().all(|effect_ms| *effect_ms <= EFFECT_MS),
        "in force after {effect_ms:?} ms"
    );
    let history = world.json(0, &["policy", "history"]).await;
    let actions: Vec<&str> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["rollback", "activate", "publish"]);
    assert_eq!(
        (&history["changes"][0]["who"], &history["changes"][0]["reason"]),
        (&json!("on-call"), &json!("drill"))
    );
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_keeps_records_in_the_stream_and_live_scores_each_once() {
    let world = World::start().await;
    world.put(&(0..40).map(transaction).collect::<Vec<_>>()).await;
    world.mapping.drained(60_000).await.unwrap();
    let paused = world.json(0, &["mode", "paused", "--reason", "issuer outage"]).await;
    assert_eq!(paused["mappings"][0]["state"], "Disabled");
    world.put(&(40..80).map(transaction).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let invoked = world.function.stats().invocations;
    assert_eq!(
        world
            .outcomes()
            .await
            .iter()
            .filter(|seen| seen.value["event_id"] == "event-79")
            .count(),
        0
    );
    assert_eq!(world.json(0, &["mode"]).await["change"]["reason"], "issuer outage");
    let live = world.json(0, &["mode", "live", "--reason", "over"]).await;
    assert_eq!(live["mappings"][0]["state"], "Enabled");
    assert_whole(&world, 80).await;
    assert!(world.function.stats().invocations > invoked);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_paused_alone_holds_its_batch_until_the_mode_changes() {
    let world = World::start().await;
    let paused = world
        .json(0, &["mode", "paused", "--keep-mapping", "--reason", "a test"])
        .await;
    assert_eq!(paused["mappings"], Value::Null);
    world.put(&(0..40).map(transaction).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.outcomes().await.is_empty());
    assert_eq!(world.mapping.stats().esm.records_done, 0);
    world.json(0, &["mode", "live", "--reason", "over"]).await;
    assert_whole(&world, 40).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_in_the_outcome_and_its_bad_input_is_named() {
    let world = World::start().await;
    let refused = |arguments: &'static [&'static str], code: i32, name: &'static str| {
        let world = &world;
        async move {
            assert_eq!(
                world.json(code, arguments).await["error"]["code"],
                name,
                "{arguments:?}"
            );
        }
    };
    refused(
        &["override", "card", "card-1", "block", "--reason", "r"],
        2,
        "override_without_end",
    )
    .await;
    refused(
        &[
            "override",
            "card",
            "card-1",
            "block",
            "--until",
            "2001-01-01T00:00:00Z",
            "--reason",
            "r",
        ],
        2,
        "override_until",
    )
    .await;
    refused(
        &[
            "override",
            "card",
            "4111111111111111",
            "block",
            "--until",
            "1h",
            "--reason",
            "r",
        ],
        5,
        "card_id",
    )
    .await;
    refused(
        &["override", "card", "card-1", "clear", "--reason", "r"],
        5,
        "no_override",
    )
    .await;
    refused(
        &["override", "card", "card-1", "allow", "--until", "1h", "--reason", " "],
        2,
        "operator",
    )
    .await;
    let share = world
        .run(&["rollout", "101", "--candidate", "2", "--reason", "r"])
        .await;
    assert_eq!(share.status.code(), Some(2), "a rollout of 101 %");
    assert!(String::from_utf8_lossy(&share.stderr).contains("0..=100"));
    refused(&["rollout", "5", "--reason", "r"], 2, "rollout_candidate").await;
    refused(
        &["rollout", "5", "--candidate", "9", "--reason", "r"],
        1,
        "policy_unknown",
    )
    .await;
    refused(&["compare", "--candidate", "9"], 1, "no_trials").await;
    world
        .json(
            0,
            &[
                "override", "card", "card-1", "block", "--until", "1h", "--reason", "stolen",
            ],
        )
        .await;
    let list = world.json(0, &["override", "list"]).await;
    assert_eq!(
        (&list["overrides"][0]["card_id"], &list["overrides"][0]["who"]),
        (&json!("card-1"), &json!("on-call"))
    );
    world.put(&(0..50).map(transaction).collect::<Vec<_>>()).await;
    let outcomes = assert_whole(&world, 50).await;
    assert_eq!(outcomes["event-1"]["decision"], "alert");
    assert_eq!(outcomes["event-1"]["reasons"][0]["code"], "override_block");
    assert_eq!(outcomes["event-2"]["decision"], "pass");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_and_nothing_of_it_is_sent() {
    let world = World::start().await;
    let file = world.publish(2, 40).await;
    let changed = std::fs::read_to_string(&file).unwrap() + "# another text\n";
    std::fs::write(&file, changed).unwrap();
    let taken = world
        .json(1, &["policy", "publish", file.to_str().unwrap(), "--reason", "r"])
        .await;
    assert_eq!(taken["error"]["code"], "policy_exists");
    let diff = world.json(0, &["policy", "diff", "active", "2"]).await;
    assert_eq!(diff["differences"].as_array().unwrap().len(), 2, "{diff}");
    world
        .json(0, &["rollout", "100", "--candidate", "2", "--reason", "first look"])
        .await;
    world.put(&(0..200).map(transaction).collect::<Vec<_>>()).await;
    let label = json!({
        "schema": "label", "version": 1, "event_id": "event-49", "card_id": "card-49", "verdict": "fraud", "known_since_ms": now_ms(),
    });
    let outcomes = assert_whole(&world, 200).await;
    assert!(
        outcomes.values().all(|outcome| outcome["policy_version"] == 1),
        "the candidate sends nothing"
    );
    world.put(&[label]).await;
    world.mapping.drained(60_000).await.unwrap();
    let page = world.folder.path().join("compare.html");
    let compared = world.json(0, &["compare", "--html", page.to_str().unwrap()]).await;
    assert_eq!(
        (&compared["events"], &compared["candidate"], &compared["active"]),
        (&json!(200), &json!(2), &json!([1]))
    );
    assert!(compared["cost"]["candidate_us_per_event"].as_f64().unwrap() > 0.0);
    assert!(std::fs::read_to_string(page).unwrap().contains("</html>"));
    world.stop().await;
}
