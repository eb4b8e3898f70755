//! The operator's policy of the template allows what the command's verbs call, and nothing else: each verb is run, and its calls are
//! written down.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use e2e::{binary_folder, run, run_with_input, venv, workspace_root};
use serde_json::{Value, json};
use tidemark_domain::policy::Policy;

use super::LocalUp;

/// Verbs that have nothing to do with a deployment, or make one of their own: whoever deploys has rights of another kind (docs/reference/deploy.md).
const OFFLINE: &[&str] = &[
    "backtest",
    "completions",
    "cost",
    "demo",
    "deploy",
    "doctor",
    "drill",
    "export",
    "help",
    "local",
    "manual",
    "map",
    "score",
    "simulate",
    "train",
];
/// Needs no permission: whoever has credentials may ask who that is.
const FREE: &str = "sts:GetCallerIdentity";

#[allow(clippy::disallowed_methods, reason = "the stream stamps arrivals with real time")]
fn now_ms() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since_1970.unwrap().as_millis()).unwrap()
}

fn transaction(event: &str, card: &str, ago_ms: i64) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": event, "card_id": card, "occurred_at_ms": now_ms() - ago_ms,
        "amount_minor": 1_500, "currency": "EUR", "merchant_id": "shop-1", "mcc": 5411, "country": "FR",
        "channel": "ecommerce", "approved": true,
    })
}

fn events() -> String {
    let refused = json!({"schema": "transaction", "version": 2, "event_id": "e3", "card_id": "card-3"});
    let events = [
        transaction("e1", "card-1", 9_000),
        transaction("e2", "card-2", 8_000),
        refused,
    ];
    events.map(|event| format!("{event}\n")).concat()
}

/// More events of one card than its head keeps, so that some are sealed.
fn history() -> String {
    let events = (0..500).map(|at| transaction(&format!("h{at}"), "card-9", (500 - at) * 60_000));
    events.map(|event| format!("{event}\n")).collect()
}

fn label() -> String {
    let label = json!({
        "schema": "label", "version": 1, "event_id": "e1", "card_id": "card-1", "verdict": "fraud", "known_since_ms": now_ms() - 1_000,
    });
    format!("{label}\n")
}

/// A policy that has keys, so that labels teach something.
fn policy(version: u32) -> String {
    let text = Policy::default_text().replacen("version = 1", &format!("version = {version}"), 1);
    text + "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n"
}

/// A model that XGBoost trained, on columns that bear the names of features.
fn model() -> String {
    let path = workspace_root().join("shared/domain/tests/trees/xgboost-3.json");
    let model = std::fs::read_to_string(path).unwrap();
    let names = [
        ("amount", "amount_median_ratio"),
        ("hour", "hour_of_day"),
        ("distance_km", "amount_population"),
        ("ratio", "weekend"),
        ("card_age_days", "card_age"),
        ("constant", "new_merchant_category"),
    ];
    let renamed = |text: String, (from, to): (&str, &str)| text.replace(&format!("\"{from}\""), &format!("\"{to}\""));
    names.into_iter().fold(model, renamed)
}

/// A letter of a record that the stream does not have.
fn letter() -> String {
    let number = format!("1{:055}", 1);
    json!({
        "requestContext": {
            "requestId": "00000000-0000-0000-0000-000000000000", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 2,
            "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:tidemark-score",
        },
        "version": "1.0", "timestamp": "2020-01-01T00:00:00.000Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000", "startSequenceNumber": number, "endSequenceNumber": number, "batchSize": 1,
            "approximateArrivalOfFirstRecord": "2020-01-01T00:00:00.000Z",
            "approximateArrivalOfLastRecord": "2020-01-01T00:00:00.000Z",
            "streamArn": "arn:aws:kinesis:eu-west-1:000000000000:stream/tidemark-transactions",
        },
    })
    .to_string()
}

/// Where an object of the same lies, which has no payload.
fn object_path() -> String {
    let mapping = "aws/lambda/0a1b2c3d-1111-4222-8333-444455556666/shardId-000000000000";
    let name = "2020/01/01/2020-01-01T00.00.00-00000000-0000-4000-8000-000000000000";
    format!("/tidemark-dl-000000000000-eu-west-1/{mapping}/{name}")
}

/// What is run, in this order. The verb is the first word.
fn cases() -> Vec<Value> {
    let case = |line: &str, exits: &[i32]| {
        let arguments: Vec<&str> = line.split(' ').collect();
        json!({"verb": arguments[0], "arguments": arguments, "exits": exits})
    };
    let mut publish = case("policy publish two.toml --reason test", &[0]);
    publish["files"] = json!({
        "events.jsonl": events(), "labels.jsonl": label(), "two.toml": policy(2), "three.toml": policy(3),
        "model.json": model(), "history.jsonl": history(), "mules.csv": "shop-9\n",
    });
    let mut dead = case("dlq", &[0, 1]);
    dead["letter"] = letter().into();
    dead["object"] = json!({"path": object_path(), "text": letter()});
    let steering = [
        ("list import mules mules.csv --of ids --reason test", &[0][..]),
        ("list add mules shop-8 --reason test", &[0]),
        ("list remove mules shop-8 --reason test", &[0]),
        ("list show mules", &[0]),
        ("list history mules", &[0]),
        ("policy validate two.toml", &[0]),
        ("policy diff active two.toml", &[0]),
        ("policy activate 2 --reason test", &[0]),
        ("policy publish three.toml --reason test", &[0]),
        ("rollout 100 --candidate 3 --reason test", &[0]),
        ("mode paused --reason test", &[0]),
        ("mode live --reason test", &[0]),
        ("mode", &[0]),
        ("mode --restore-record-age --reason test", &[0, 1, 4]),
        ("override card card-1 allow --until 1h --reason test", &[0]),
        ("override list", &[0]),
        ("model import model.json", &[0]),
        ("model list", &[0]),
        ("send -i events.jsonl", &[0]),
        ("send -i events.jsonl --aggregate", &[0]),
        ("audit --settle 60", &[0]),
        ("label labels.jsonl", &[0]),
        ("audit --settle 60", &[0]),
        ("watch --once", &[0]),
        ("import history.jsonl", &[0]),
        ("explain card-1", &[0]),
        ("explain card-1 e1", &[0]),
        ("explain --key terminal shop-1", &[0]),
        ("compare", &[0]),
        ("policy rollback --reason test", &[0]),
        ("policy history", &[0]),
        ("redrive --source quarantine --dry-run", &[0]),
        ("redrive --source range --since 1h", &[0]),
        ("redrive --source range --since 1h --parallel 2", &[0]),
        ("quarantine list", &[0]),
        ("quarantine export -", &[0]),
        ("quarantine drop --all --why test --yes", &[0]),
        ("quarantine history", &[0]),
    ];
    let steering = steering.map(|(line, exits)| case(line, exits));
    let afterwards = [
        case("redrive --source dead-letter", &[1]),
        case("dlq", &[0, 1]),
        case("audit --settle 60", &[0]),
    ];
    [publish]
        .into_iter()
        .chain(steering)
        .chain([dead])
        .chain(afterwards)
        .collect()
}

/// The verbs that the command has.
fn verbs() -> BTreeSet<String> {
    let help = run(Command::new(binary_folder().unwrap().join("tidemark")).arg("--help")).unwrap();
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let lines = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let names = lines
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(' ').next().unwrap());
    names.map(str::to_owned).collect()
}

fn allowed() -> BTreeSet<String> {
    let template = e2e::decided("infra/template.yaml", [""; 0]).unwrap();
    let statements = &template["Resources"]["OperatorPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    let actions = statements
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_operators_policy_allows_what_the_verbs_call_and_nothing_else() {
    let cases = cases();
    let run_verbs: BTreeSet<String> = cases
        .iter()
        .map(|case| case["verb"].as_str().unwrap().to_owned())
        .collect();
    let offline = OFFLINE.iter().map(|verb| (*verb).to_owned());
    assert_eq!(
        run_verbs.into_iter().chain(offline).collect::<BTreeSet<_>>(),
        verbs(),
        "every verb is run here, or works offline"
    );

    let up = LocalUp::start(0);
    let mut script = venv("clients").unwrap().script("operator_calls.py");
    script
        .arg(binary_folder().unwrap().join("tidemark"))
        .arg(up.said["endpoint"].as_str().unwrap());
    let printed = run_with_input(&mut script, &Value::from(cases).to_string()).unwrap();
    let calls: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(&printed).unwrap();
    let mut called: BTreeSet<String> = calls.values().flatten().cloned().collect();
    assert!(called.remove(FREE), "{calls:?}");
    assert_eq!(
        called,
        allowed(),
        "left: called by the verbs; right: allowed by the policy. {calls:#?}"
    );
}
