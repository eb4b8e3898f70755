//! Boosted trees end to end, with the real binaries: a model of XGBoost's is imported, a policy that names it is published and tried, the
//! function scores by it, and what it scores is what `tidemark score` says of the same file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidemark_domain::control::model::chunk_key;
use tidemark_domain::trees::TreeModelKey;

use crate::world::{World, transaction};

/// Features in the place of those that the fixture was trained on.
const FEATURES: [&str; 8] = [
    "sum_1h",
    "count_1d",
    "new_merchant",
    "count_1h",
    "since_last",
    "amount_ratio",
    "mean_1d",
    "share_declined_1d",
];

/// A model that XGBoost wrote, with features that policies have, in a file of this name.
fn model_file(world: &World, name: &str, features: &[&str]) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/domain/tests/trees/xgboost-3.json");
    let mut model: Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    model["learner"]["feature_names"] = json!(features);
    let file = world.folder.path().join(name);
    std::fs::write(&file, model.to_string()).unwrap();
    file
}

fn policy_text(version: u32, model: &str, more: &str) -> String {
    format!(
        "version = {version}\nwindows_minutes = [60, 1440]\nfeatures = {FEATURES:?}\n[thresholds]\nreview = 400\nalert = 600\n\
         [scoring]\nreasons_min_score = 1\n[trees]\nmodel = \"{model}\"\n{more}"
    )
}

fn write(world: &World, name: &str, text: &str) -> String {
    let file = world.folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_imported_once_and_events_are_scored_by_it_as_offline() {
    let world = World::start().await;
    let file = model_file(&world, "model.json", &FEATURES);
    let file = file.to_str().unwrap();

    // What it is, without a deployment; and a policy that names it is refused while the table does not have it.
    let shown = world.json(0, &["model", "show", file]).await;
    assert_eq!(
        (&shown["trees"], &shown["depth"], &shown["chunks"]),
        (&json!(8), &json!(3), &json!(1))
    );
    let names: Vec<&str> = shown["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, FEATURES);
    let name = shown["model"].as_str().unwrap().to_owned();
    let policy = write(&world, "trees.toml", &policy_text(7, &name, "file = \"model.json\"\n"));
    world.json(0, &["policy", "validate", &policy]).await;
    let publish = ["policy", "publish", &policy, "--reason", "trees"];
    assert_eq!(code(&world.json(1, &publish).await), "model_unknown");
    assert_eq!(code(&world.json(1, &["model", "show", &name]).await), "model_unknown");
    assert_eq!(world.json(0, &["model", "list"]).await["models"], json!([]));

    let imported = world.json(0, &["model", "import", file]).await;
    assert_eq!((&imported["model"], &imported["changed"]), (&json!(name), &json!(true)));
    let again = world.json(0, &["model", "import", file, "--reason", "once more"]).await;
    assert_eq!((&again["model"], &again["changed"]), (&json!(name), &json!(false)));
    let stored = world.json(0, &["model", "show", &name]).await;
    assert_eq!(stored["features"], shown["features"]);
    assert_eq!(stored["change"]["reason"], "imported from model.json");
    assert_eq!(
        world.json(0, &["model", "list"]).await["models"][0]["model"],
        json!(name)
    );
    let history = world.json(0, &["policy", "history"]).await;
    let imports: Vec<&Value> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["action"] == "import")
        .collect();
    assert_eq!(imports.len(), 1, "the second import changed nothing: {history}");

    // Tried beside the built-in policy, then in force, then back.
    world.json(0, &publish).await;
    world
        .json(0, &["rollout", "100", "--candidate", "7", "--reason", "a look"])
        .await;
    world.put(&(0..200).map(transaction).collect::<Vec<_>>()).await;
    world.mapping.drained(60_000).await.unwrap();
    let compared = world.json(0, &["compare"]).await;
    assert_eq!(compared["candidate"], 7, "{compared}");
    world
        .json(0, &["policy", "activate", "7", "--reason", "it is better"])
        .await;
    let second: Vec<Value> = (200..400).map(transaction).collect();
    wait_for_version(&world, 7).await;
    world.put(&second).await;
    world.mapping.drained(60_000).await.unwrap();
    world.json(0, &["policy", "rollback", "--reason", "enough"]).await;

    let outcomes = world.outcomes().await;
    let by_trees: Vec<&Value> = outcomes
        .iter()
        .map(|seen| &seen.value)
        .filter(|o| o["policy_version"] == 7)
        .collect();
    assert!(by_trees.len() >= 50, "{}", by_trees.len());
    assert!(by_trees.iter().all(|outcome| outcome["model"] == json!(name)));
    assert!(
        by_trees
            .iter()
            .any(|outcome| !outcome["reasons"].as_array().unwrap().is_empty())
    );
    let others = outcomes
        .iter()
        .map(|seen| &seen.value)
        .filter(|o| o["policy_version"] != 7);
    assert!(others.into_iter().all(|outcome| outcome.get("model").is_none()));
    assert_offline_is_the_same(&world, &policy).await;

    // The account of an operator reads the published policy's bounds, which takes its model.
    let account = world.json(0, &["audit", "--settle", "60"]).await;
    assert_eq!(account["holds"], true, "{account}");
    world.stop().await;
}

/// Waits until a function works by a version: an event of a card of its own says so.
async fn wait_for_version(world: &World, version: u32) {
    for number in 0..300 {
        let mut event = transaction(1_000_000 + number);
        event["card_id"] = json!("probe");
        world.put(&[event]).await;
        world.mapping.drained(60_000).await.unwrap();
        if world
            .outcomes()
            .await
            .iter()
            .any(|seen| seen.value["policy_version"] == version)
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("no event was scored by version {version}");
}

/// Cards whose every event was scored by the trees get the same bytes from a file.
async fn assert_offline_is_the_same(world: &World, policy: &str) {
    let live: BTreeMap<String, Vec<u8>> = world
        .outcomes()
        .await
        .into_iter()
        .map(|seen| (seen.value["event_id"].as_str().unwrap().to_owned(), seen.bytes))
        .collect();
    let events = world.read(&world.names.transactions_stream).await;
    let lines: Vec<String> = events.iter().map(|seen| seen.value.to_string()).collect();
    let input = write(world, "stream.jsonl", &(lines.join("\n") + "\n"));
    let output = world.folder.path().join("scores.jsonl");
    let arguments = [
        "score",
        "-i",
        &input,
        "-o",
        output.to_str().unwrap(),
        "--policy",
        policy,
        "--sort",
    ];
    world.json(0, &arguments).await;
    let mut same = 0;
    for line in std::fs::read(output)
        .unwrap()
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let offline: Value = serde_json::from_slice(line).unwrap();
        let online: Value = serde_json::from_slice(&live[offline["event_id"].as_str().unwrap()]).unwrap();
        // Features and score are of the events alone; only who scored the earlier ones differs.
        if online["policy_version"] == 7 {
            assert_eq!(offline, online);
            same += 1;
        }
    }
    assert!(same >= 50, "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_model_is_refused_by_name_and_what_was_damaged_is_mended() {
    let world = World::start().await;
    let import = async |code: i32, file: &Path| world.json(code, &["model", "import", file.to_str().unwrap()]).await;
    let missing = world.folder.path().join("nowhere.json");
    assert_eq!(code(&import(5, &missing).await), "model_file");
    let text = PathBuf::from(write(&world, "text.json", "{\"learner\": 1}"));
    assert_eq!(code(&import(5, &text).await), "model_format");
    let mut unknown = FEATURES;
    (unknown[2], unknown[5]) = ("moon_phase", "tide");
    let refused = import(5, &model_file(&world, "unknown.json", &unknown)).await;
    assert_eq!(code(&refused), "model_feature");
    let what = refused["error"]["what"].as_str().unwrap();
    assert!(what.contains("moon_phase") && what.contains("tide"), "{what}");
    assert_eq!(world.json(0, &["model", "list"]).await["models"], json!([]));

    let file = model_file(&world, "model.json", &FEATURES);
    let name = import(0, &file).await["model"].as_str().unwrap().to_owned();
    // A policy beside another model than it names.
    let mut other = FEATURES;
    other.swap(0, 1);
    model_file(&world, "other.json", &other);
    let policy = write(&world, "wrong.toml", &policy_text(8, &name, "file = \"other.json\"\n"));
    assert_eq!(
        code(&world.json(5, &["policy", "validate", &policy]).await),
        "model_name"
    );
    let policy = write(&world, "alone.toml", &policy_text(8, &name, ""));
    let refused = world.json(5, &["policy", "validate", &policy]).await;
    assert_eq!(code(&refused), "policy");
    assert!(
        refused["error"]["what"].as_str().unwrap().contains("is not at hand"),
        "{refused}"
    );
    // In the table it is at hand; but not all of its features are the policy's.
    let narrow = policy_text(8, &name, "").replace("\"amount_ratio\", ", "");
    let narrow = write(&world, "narrow.toml", &narrow);
    let refused = world.json(5, &["policy", "publish", &narrow, "--reason", "r"]).await;
    assert_eq!(code(&refused), "policy");
    assert!(
        refused["error"]["what"]
            .as_str()
            .unwrap()
            .contains("`amount_ratio` scores"),
        "{refused}"
    );

    // Somebody's hand was in the table.
    let key = chunk_key(TreeModelKey::from_name(&name).unwrap(), 0);
    let admin = world.cloud.admin();
    let mut fields = admin.control_item(&world.names.table, &key).await.unwrap().unwrap();
    let read = fields.clone();
    fields.insert(
        "bytes".to_owned(),
        tidemark_domain::control::item::Field::Bytes(vec![1, 2, 3]),
    );
    let put = tidemark_aws::admin::ControlPut {
        sort: key,
        fields,
        expected: tidemark_aws::admin::Expected::AsRead(read),
    };
    assert!(admin.write_control(&world.names.table, &[put]).await.unwrap());
    assert_eq!(code(&world.json(1, &["model", "show", &name]).await), "model_damaged");
    let publish = ["policy", "publish", &policy, "--reason", "r"];
    assert_eq!(code(&world.json(1, &publish).await), "model_damaged");
    assert_eq!(import(0, &file).await["changed"], true);
    world.json(0, &publish).await;
    world.stop().await;
}
