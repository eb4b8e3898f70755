//! The template is deployed to ministack on loopback with the real binary; records go in, scores, state and the quarantined
//! payload are found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

const CARDS: usize = 3;
const EVENTS_PER_CARD: usize = 5;
const EVENTS: usize = CARDS * EVENTS_PER_CARD;

/// Milliseconds since 1970: real time, since the stream stamps arrivals with it and the contract bounds the difference.
#[allow(clippy::disallowed_methods)]
fn now_ms() -> u64 {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    u64::try_from(since_1970.as_millis()).unwrap()
}

fn transaction(card: usize, number: usize, start_ms: u64) -> Value {
    json!({
        "schema": "transaction", "version": 2,
        "event_id": format!("event-{card}-{number}"), "card_id": format!("card-{card}"),
        "occurred_at_ms": start_ms + 1_000 * number as u64,
        "amount_minor": 1_000 + 10 * number, "currency": "EUR", "merchant_id": "merchant-1", "mcc": 5411,
        "country": "FR", "channel": "ecommerce", "approved": true,
    })
}

/// Fifteen transactions, the first of them twice, and one line that is no JSON.
fn lines() -> String {
    let start_ms = now_ms() - 600_000;
    let mut lines: Vec<String> = (0..EVENTS_PER_CARD)
        .flat_map(|number| (0..CARDS).map(move |card| transaction(card, number, start_ms).to_string()))
        .collect();
    lines.push(lines[0].clone());
    lines.push("{\"schema\": \"transaction\", broken".to_owned());
    lines.join("\n")
}

fn deploy() -> Value {
    deploy_by("deploy.py")
}

fn deploy_by(script: &str) -> Value {
    let folder = e2e::binary_folder().unwrap();
    let bootstrap = folder.join("score");
    for binary in [&bootstrap, &folder.join("redrive")] {
        assert!(
            binary.exists(),
            "{} is missing: `cargo test --workspace` builds it",
            binary.display()
        );
    }
    let venv = e2e::venv("deploy").unwrap();
    let mut command = venv.script(script);
    let printed = e2e::run_with_input(command.arg("infra/template.yaml").arg(bootstrap), &lines()).unwrap();
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn a_first_deployment_that_fails_leaves_nothing_and_options_are_deployed_as_written() {
    let evidence = deploy_by("stacks.py");
    nothing_is_left(&evidence["first_fails"]);
    options_are_there(&evidence["with_options"]);
}

fn nothing_is_left(evidence: &Value) {
    assert_eq!(evidence["first"]["status"], "ROLLBACK_COMPLETE");
    assert_eq!(
        evidence["left"],
        json!([]),
        "named resources would make the second deployment fail, too"
    );
    assert_eq!(evidence["second"], json!({"status": "CREATE_COMPLETE", "failed": {}}));
    let kept = [
        "queue tidemark-dead-letter",
        "queue tidemark-quarantine",
        "queue tidemark-unrecoverable",
    ];
    let kept = kept
        .into_iter()
        .chain(["stream tidemark-transactions", "table tidemark-cards"]);
    assert_eq!(
        evidence["kept"],
        json!(kept.collect::<Vec<_>>()),
        "of a stack that was made, when it is deleted"
    );
    assert_eq!(evidence["deployed"].as_array().unwrap().len(), 8);
}

fn options_are_there(evidence: &Value) {
    assert_eq!(evidence["ended"], json!({"status": "CREATE_COMPLETE", "failed": {}}));
    let stream = &evidence["stream"];
    assert_eq!(
        (
            &stream["StreamModeDetails"]["StreamMode"],
            stream["OpenShardCount"].as_u64()
        ),
        (&json!("PROVISIONED"), Some(2))
    );
    assert_eq!(evidence["endpoints"], json!(["dynamodb", "kinesis-streams", "sqs"]));
    assert_eq!(evidence["queue"]["KmsMasterKeyId"], evidence["given"]["KmsKeyArn"]);
    let variables = &evidence["function"]["Environment"]["Variables"];
    assert_eq!(variables["TIDEMARK_RATE_PER_SECOND_MAX"], "5000");
    let half = evidence["half"].as_str().unwrap();
    assert!(half.contains("A VPC needs both VpcId and VpcSubnetIds"), "{half}");
}

#[test]
fn the_deployed_function_scores_what_the_stream_holds() {
    let evidence = deploy();
    created_as_written(&evidence);
    everything_is_accounted_for(&evidence);
    the_same_batch_again_changes_nothing(&evidence);
    a_redrive_of_the_whole_stream_finds_everything_done(&evidence);
}

fn a_redrive_of_the_whole_stream_finds_everything_done(evidence: &Value) {
    let redrive = &evidence["redrive"];
    let account = &redrive["account"];
    assert_eq!(redrive["stopped"], "done", "{redrive}");
    let count = |field: &str| account[field].as_u64().unwrap();
    // One line is no JSON and is quarantined again; one is a duplicate.
    assert_eq!(
        (count("scored"), count("already_done"), count("quarantined")),
        (0, EVENTS as u64 + 1, 1),
        "{redrive}"
    );
    assert_eq!(evidence["items_after_redrive"], evidence["items_after_again"]);
}

fn created_as_written(evidence: &Value) {
    let mapping = &evidence["mapping"];
    // ministack honours `Enabled` but always answers with the state "Enabled": what counts is that nothing was polled.
    assert_eq!(
        evidence["outcomes_before"],
        json!([]),
        "the mapping must be off: ministack's loses what fails"
    );
    assert_eq!(
        (mapping["BatchSize"].as_u64(), mapping["MaximumRetryAttempts"].as_u64()),
        (Some(500), Some(20))
    );
    let invoked = mapping["FunctionArn"].as_str().unwrap();
    assert!(invoked.ends_with(":tidemark-score:live"), "{invoked}");
    let function = &evidence["function"];
    assert_eq!(function["Runtime"], "provided.al2023");
    assert_eq!(function["Timeout"], 60);
    let table = &evidence["table"];
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    let resources = evidence["resources"].as_object().unwrap();
    let codedeploy = |kind: &Value| kind.as_str().unwrap().contains("CodeDeploy");
    assert!(
        !resources.values().any(codedeploy) && !resources.contains_key("DeploymentRole"),
        "{resources:?}"
    );
    let outputs = &evidence["outputs"];
    assert_eq!(outputs["ScoresStreamName"], "tidemark-scores");
    assert_eq!(outputs["CardsTableName"], "tidemark-cards");
}

fn everything_is_accounted_for(evidence: &Value) {
    for answer in evidence["answers"].as_array().unwrap() {
        assert_eq!(answer, &json!({"batchItemFailures": []}), "every record came to an end");
    }
    // The duplicate's outcome is sent again, with the same bytes: one more record, no new text.
    let outcomes = texts(&evidence["outcomes"]);
    assert_eq!(outcomes.len(), EVENTS + 1);
    let distinct: BTreeSet<&String> = outcomes.iter().collect();
    assert_eq!(distinct.len(), EVENTS);
    let events: BTreeSet<String> = outcomes
        .iter()
        .map(|text| {
            let outcome: Value = serde_json::from_str(text).unwrap();
            assert_eq!(outcome["schema"], "outcome");
            assert!((0..=1_000).contains(&outcome["score"].as_i64().unwrap()), "{text}");
            outcome["event_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(events.len(), EVENTS);

    for card in 0..CARDS {
        let state = &evidence["items"][format!("c#card-{card} s")];
        assert_eq!(
            state["attributes"],
            json!(["b", "h", "pk", "sk", "ttl", "v"]),
            "{}",
            evidence["items"]
        );
    }
    let quarantined = evidence["quarantined"].as_array().unwrap();
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    assert_eq!(quarantined[0]["code"], "not_json");
}

fn the_same_batch_again_changes_nothing(evidence: &Value) {
    assert_eq!(evidence["answers"], evidence["answers_again"]);
    assert_eq!(evidence["items"], evidence["items_after_again"], "states, to the byte");
    let before: BTreeSet<String> = texts(&evidence["outcomes"]).into_iter().collect();
    let after = texts(&evidence["outcomes_after_again"]);
    assert_eq!(after.len(), 2 * (EVENTS + 1), "each duplicate's outcome is sent again");
    assert_eq!(before, after.into_iter().collect(), "with the bytes of the first time");
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}
