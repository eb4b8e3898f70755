//! The template passes SAM's validation, cfn-lint with the serverless rules, and our own guard rules; and each guard rule
//! refuses a template that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

const TEMPLATE: &str = "infra/template.yaml";

fn template() -> Value {
    let printed = e2e::run(e2e::venv("lint").unwrap().script("template_json.py").arg(TEMPLATE)).unwrap();
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn sam_validates_the_template() {
    let printed =
        e2e::run(
            e2e::venv("lint")
                .unwrap()
                .command("sam")
                .args(["validate", "--lint", "--template", TEMPLATE]),
        )
        .unwrap();
    assert!(printed.contains("is a valid SAM Template"), "{printed}");
}

#[test]
fn cfn_lint_with_the_serverless_rules_finds_nothing() {
    let lint = |template: &str| {
        e2e::run(e2e::venv("lint").unwrap().command("cfn-lint").args([
            "--append-rules",
            "cfn_lint_serverless.rules",
            "--template",
            template,
        ]))
    };
    lint(TEMPLATE).unwrap();

    // The same command does refuse a function without memory size, tracing and log retention.
    let folder = tempfile::tempdir().unwrap();
    let careless = folder.path().join("careless.yaml");
    let properties =
        json!({"CodeUri": "s3://bucket/key", "Handler": "bootstrap", "Runtime": "provided.al2023", "Timeout": 5});
    let text = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Careless": {"Type": "AWS::Serverless::Function", "Properties": properties}},
    });
    std::fs::write(&careless, text.to_string()).unwrap();
    let refused = lint(careless.to_str().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("ES1005") && refused.contains("WS1004"), "{refused}");
}

#[test]
fn the_template_keeps_every_guard_rule() {
    let report = guard(&BTreeMap::from([("template".to_owned(), template())]));
    let now = &report["template"];
    assert_eq!(now.failed, BTreeSet::new(), "rules that the template breaks");
    assert_eq!(now.skipped, BTreeSet::new(), "rules that found nothing to look at");
    assert!(now.passed.len() >= 15, "{:?}", now.passed);
}

#[test]
fn every_guard_rule_bites() {
    let good = template();
    let cases = violations();
    let templates: BTreeMap<String, Value> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let mut bad = good.clone();
            for (place, value) in &case.changes {
                change(&mut bad, place, value.clone());
            }
            (format!("{number}: {}", case.what), bad)
        })
        .collect();
    let report = guard(&templates);

    for (number, case) in cases.iter().enumerate() {
        let failed = &report[&format!("{number}: {}", case.what)].failed;
        assert_eq!(failed, &BTreeSet::from([case.rule.to_owned()]), "{}", case.what);
    }
    let bitten: BTreeSet<String> = cases.iter().map(|case| case.rule.to_owned()).collect();
    let every = guard(&BTreeMap::from([("template".to_owned(), good)]));
    assert_eq!(
        bitten, every["template"].passed,
        "a rule without a template that breaks it"
    );
}

#[derive(Debug)]
struct Verdict {
    failed: BTreeSet<String>,
    passed: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

fn guard(templates: &BTreeMap<String, Value>) -> BTreeMap<String, Verdict> {
    let folder = e2e::workspace_root().join("infra/guard");
    let mut rules: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "guard"))
        .collect();
    rules.sort();
    assert!(!rules.is_empty(), "no rules in {}", folder.display());

    let request = json!({"rules": rules, "templates": templates}).to_string();
    let printed = e2e::run_with_input(&mut e2e::venv("lint").unwrap().script("guard_check.py"), &request).unwrap();
    let report: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = serde_json::from_str(&printed).unwrap();
    report
        .into_iter()
        .map(|(name, mut kinds)| {
            let mut take = |kind| kinds.remove(kind).unwrap();
            (
                name,
                Verdict {
                    failed: take("failed"),
                    passed: take("passed"),
                    skipped: take("skipped"),
                },
            )
        })
        .collect()
}

/// Sets the value at a JSON pointer, adding the last key where it is missing; null takes it away.
fn change(template: &mut Value, place: &str, value: Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = template
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("the template has no {parent}"));
    match parent {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        Value::Object(fields) if value.is_null() => {
            fields
                .remove(key)
                .unwrap_or_else(|| panic!("the template has no {place}"));
        }
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        other => panic!("{place} is inside {other}"),
    }
}

/// A way to spoil the template, and the one rule that must see it.
struct Violation {
    rule: &'static str,
    what: &'static str,
    changes: Vec<(String, Value)>,
}

fn violation(rule: &'static str, what: &'static str, place: &str, value: Value) -> Violation {
    Violation {
        rule,
        what,
        changes: vec![(format!("/Resources/{place}"), value)],
    }
}

fn violations() -> Vec<Violation> {
    [
        mapping_violations(),
        iam_violations(),
        data_violations(),
        log_violations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mapping_violations() -> Vec<Violation> {
    let bad = |rule, what, key: &str, value| violation(rule, what, &format!("ScoreMapping/Properties/{key}"), value);
    vec![
        bad(
            "mapping_has_on_failure",
            "no destination",
            "DestinationConfig",
            Value::Null,
        ),
        bad(
            "mapping_has_on_failure",
            "an empty destination",
            "DestinationConfig",
            json!({"OnFailure": {}}),
        ),
        bad(
            "mapping_bisects",
            "no bisecting",
            "BisectBatchOnFunctionError",
            Value::Null,
        ),
        bad(
            "mapping_bisects",
            "bisecting off",
            "BisectBatchOnFunctionError",
            json!(false),
        ),
        bad(
            "mapping_limits_retries",
            "no retry limit",
            "MaximumRetryAttempts",
            Value::Null,
        ),
        bad(
            "mapping_limits_retries",
            "endless retries",
            "MaximumRetryAttempts",
            json!(-1),
        ),
        Violation {
            rule: "mapping_limits_retries",
            what: "endless retries by a parameter",
            changes: vec![("/Parameters/MappingRetryAttemptsMax/Default".to_owned(), json!(-1))],
        },
        bad(
            "mapping_limits_record_age",
            "no age limit",
            "MaximumRecordAgeInSeconds",
            Value::Null,
        ),
        bad(
            "mapping_limits_record_age",
            "endless age",
            "MaximumRecordAgeInSeconds",
            json!(-1),
        ),
        bad(
            "mapping_reports_item_failures",
            "no partial responses",
            "FunctionResponseTypes",
            Value::Null,
        ),
        bad(
            "mapping_reports_item_failures",
            "an empty list",
            "FunctionResponseTypes",
            json!([]),
        ),
        bad(
            "mapping_starts_at_the_oldest_record",
            "what came before is skipped",
            "StartingPosition",
            json!("LATEST"),
        ),
        bad(
            "mapping_invokes_an_alias",
            "the newest code",
            "FunctionName",
            json!({"Ref": "ScoreFunction"}),
        ),
        violation(
            "mapping_is_a_resource_of_its_own",
            "a mapping inside the function",
            "ScoreFunction/Properties/Events",
            json!({"Stream": {"Type": "Kinesis", "Properties": {"StartingPosition": "LATEST"}}}),
        ),
    ]
}

fn iam_violations() -> Vec<Violation> {
    let statement = "ScoreRole/Properties/Policies/0/PolicyDocument/Statement/2";
    let actions = "iam_names_its_actions";
    let resources = "iam_names_its_resources";
    let bad = |rule, what, key: &str, value| violation(rule, what, &format!("{statement}/{key}"), value);
    let role = "iam_role_is_written_out";
    vec![
        bad(actions, "one action with a wildcard", "Action", json!("dynamodb:*")),
        bad(
            actions,
            "an action with a wildcard in a list",
            "Action",
            json!(["dynamodb:PutItem", "dynamodb:*"]),
        ),
        bad(
            actions,
            "all actions but one",
            "NotAction",
            json!("dynamodb:DeleteTable"),
        ),
        violation(
            actions,
            "a queue policy that allows everything",
            "DeadLetterQueuePolicy/Properties/PolicyDocument/Statement/0/Effect",
            json!("Allow"),
        ),
        bad(resources, "every resource", "Resource", json!("*")),
        bad(
            resources,
            "a wildcard in a list",
            "Resource",
            json!(["arn:aws:dynamodb:eu-west-1:1:table/*"]),
        ),
        bad(
            resources,
            "a wildcard in a text put together",
            "Resource",
            json!({"Fn::Sub": "arn:${AWS::Partition}:*"}),
        ),
        bad(
            resources,
            "a wildcard in a part",
            "Resource",
            json!([{"Fn::Join": ["", ["arn:aws:", "*"]]}]),
        ),
        bad(
            resources,
            "all resources but one",
            "NotResource",
            json!("arn:aws:s3:::bucket"),
        ),
        violation(role, "SAM makes the role", "ScoreFunction/Properties/Role", Value::Null),
        violation(
            role,
            "SAM's policies",
            "ScoreFunction/Properties/Policies",
            json!(["AmazonKinesisFullAccess"]),
        ),
    ]
}

fn data_violations() -> Vec<Violation> {
    let table = |rule, what, key: &str, value| violation(rule, what, &format!("CardsTable/{key}"), value);
    let expires = "table_expires_items";
    let recovers = "table_recovers_to_a_point_in_time";
    let point_in_time = "Properties/PointInTimeRecoverySpecification";
    vec![
        table(
            expires,
            "no time to live",
            "Properties/TimeToLiveSpecification",
            Value::Null,
        ),
        table(
            expires,
            "time to live off",
            "Properties/TimeToLiveSpecification/Enabled",
            json!(false),
        ),
        table(
            expires,
            "another attribute",
            "Properties/TimeToLiveSpecification/AttributeName",
            json!("expires"),
        ),
        table(recovers, "no recovery", point_in_time, Value::Null),
        table(
            recovers,
            "recovery off",
            point_in_time,
            json!({"PointInTimeRecoveryEnabled": false}),
        ),
        table(
            "table_outlives_its_stack",
            "deleted with the stack",
            "DeletionPolicy",
            json!("Delete"),
        ),
        table(
            "table_outlives_its_stack",
            "nothing said of it",
            "UpdateReplacePolicy",
            Value::Null,
        ),
        table(
            "table_is_encrypted",
            "encryption off",
            "Properties/SSESpecification/SSEEnabled",
            json!(false),
        ),
        violation(
            "stream_is_encrypted",
            "no encryption",
            "ScoresStream/Properties/StreamEncryption",
            Value::Null,
        ),
        violation(
            "stream_outlasts_a_day",
            "a day",
            "TransactionsStream/Properties/RetentionPeriodHours",
            Value::Null,
        ),
        violation(
            "queue_is_encrypted",
            "no encryption",
            "QuarantineQueue/Properties/SqsManagedSseEnabled",
            Value::Null,
        ),
        violation(
            "queue_keeps_messages_14_days",
            "four days",
            "DeadLetterQueue/Properties/MessageRetentionPeriod",
            json!(345_600),
        ),
    ]
}

fn log_violations() -> Vec<Violation> {
    vec![
        violation(
            "log_group_has_retention",
            "for ever",
            "ScoreLogGroup/Properties/RetentionInDays",
            Value::Null,
        ),
        violation(
            "function_logs_to_a_group_of_the_template",
            "a group of Lambda's making",
            "ScoreFunction/Properties/LoggingConfig",
            Value::Null,
        ),
    ]
}
