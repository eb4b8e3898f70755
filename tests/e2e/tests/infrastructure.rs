//! The template passes SAM's validation, cfn-lint with the serverless rules, and our own guard rules; and each guard rule
//! refuses a template that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod violations;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use violations::violations;

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

/// What checkov finds is mended, or named with a reason at the resource.
#[test]
fn checkov_finds_nothing() {
    let check = |template: &str| {
        let mut command = e2e::venv("checkov").unwrap().command("checkov");
        command.args([
            "--framework",
            "cloudformation",
            "--compact",
            "--quiet",
            "--skip-download",
        ]);
        e2e::run(command.args(["--file", template]))
    };
    for template in [TEMPLATE, "infra/observability.yaml", "infra/emulators.yaml"] {
        check(template).unwrap();
    }

    // The same command does refuse a queue without encryption.
    let folder = tempfile::tempdir().unwrap();
    let careless = folder.path().join("careless.yaml");
    let text = json!({"Resources": {"Careless": {"Type": "AWS::SQS::Queue", "Properties": {}}}});
    std::fs::write(&careless, text.to_string()).unwrap();
    let refused = check(careless.to_str().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("CKV_AWS_27"), "{refused}");
}

/// The template in each of its forms: every condition true in one, and false in another.
fn variants() -> BTreeMap<String, Value> {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let network =
        json!({"VpcId": "vpc-0123456789abcdef0", "VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1"});
    let mut with_endpoints = network.clone();
    with_endpoints["VpcRouteTableIds"] = json!("rtb-0123456789abcdef0");
    let sizes = json!({
        "StreamShards": "4", "TableWarmWriteUnits": "20000", "TableReadUnitsMax": "100000", "TableWriteUnitsMax": "50000",
        "ScoreConcurrencyReserved": "100", "RedriveConcurrencyMax": "2", "Tracing": "Active", "MappingEnabled": "false",
        "DeploymentAlarms": "false", "TableDeletionProtection": "false", "TableWarmReadUnits": "20000",
    });
    let variants = json!({
        "by defaults": {}, "with a customer's key": {"KmsKeyArn": key}, "in a VPC": network,
        "in a VPC with endpoints": with_endpoints, "of known sizes": sizes, "without CodeDeploy": {"DeploymentGradual": "false"},
        "without a state machine": {"RedriveParallelMax": "0"},
        "with a bucket": {"DeadLetterDestination": "bucket"},
        "with a bucket in a VPC with a customer's key": {
            "DeadLetterDestination": "drain", "KmsKeyArn": key, "VpcId": "vpc-0123456789abcdef0",
            "VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1", "VpcRouteTableIds": "rtb-0123456789abcdef0",
        },
        "pushed to": {"MappingFanOut": "true", "MappingStartSeconds": "1790812800"},
    });
    serde_json::from_value(variants).unwrap()
}

#[test]
fn the_template_keeps_every_guard_rule_in_each_of_its_variants() {
    let variants = variants();
    let templates = variants.keys().map(|name| (name.clone(), template())).collect();
    let report = guard_with(&templates, &variants);
    for (variant, now) in &report {
        assert_eq!(now.failed, BTreeSet::new(), "{variant}: rules that the template breaks");
        assert_eq!(
            now.skipped,
            BTreeSet::new(),
            "{variant}: rules that found nothing to look at"
        );
        assert!(now.passed.len() >= 15, "{:?}", now.passed);
    }
}

#[test]
fn the_variants_decide_every_condition_both_ways() {
    let whole = template();
    let (conditions, parameters) = (whole["Conditions"].as_object().unwrap(), &whole["Parameters"]);
    let variants = variants();
    let compared = |condition: &Value| {
        let equals = condition
            .pointer("/Fn::Equals")
            .or_else(|| condition.pointer("/Fn::Not/0/Fn::Equals"));
        equals.map(|sides| sides[0]["Ref"].as_str().unwrap().to_owned())
    };
    for (name, condition) in conditions {
        let Some(parameter) = compared(condition) else { continue }; // made of others
        let default = &parameters[&parameter]["Default"];
        let is_other = |given: &Value| given.get(&parameter).is_some_and(|value| value != default);
        assert!(variants.values().any(is_other), "{name}: no variant sets {parameter}");
    }
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
    guard_with(templates, &BTreeMap::new())
}

/// The verdicts on templates, each with its parameters.
fn guard_with(templates: &BTreeMap<String, Value>, parameters: &BTreeMap<String, Value>) -> BTreeMap<String, Verdict> {
    let folder = e2e::workspace_root().join("infra/guard");
    let mut rules: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "guard"))
        .collect();
    rules.sort();
    assert!(!rules.is_empty(), "no rules in {}", folder.display());

    let request = json!({"rules": rules, "templates": templates, "parameters": parameters}).to_string();
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
