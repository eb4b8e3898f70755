//! How new code takes over: what SAM makes of the template has an alias that CodeDeploy moves, and alarms that move it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use tidemark_aws::admin::LIVE_ALIAS;

/// The template after SAM's transform with that value of the parameter `DeploymentGradual`.
fn transformed(gradual: &str) -> Value {
    let mut command = e2e::venv("lint").unwrap().script("sam_transform.py");
    command
        .arg("infra/template.yaml")
        .arg(format!("DeploymentGradual={gradual}"));
    serde_json::from_str(&e2e::run(&mut command).unwrap()).unwrap()
}

fn only<'a>(template: &'a Value, kind: &str) -> Option<(&'a String, &'a Value)> {
    let mut found = template["Resources"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind);
    let first = found.next();
    assert!(found.next().is_none(), "more than one {kind}");
    first
}

#[test]
fn the_mapping_invokes_the_alias_and_the_alias_a_published_version() {
    for gradual in ["true", "false"] {
        let template = transformed(gradual);
        let (alias_id, alias) = only(&template, "AWS::Lambda::Alias").unwrap();
        let (version_id, _) = only(&template, "AWS::Lambda::Version").unwrap();
        let (_, mapping) = only(&template, "AWS::Lambda::EventSourceMapping").unwrap();
        assert_eq!(
            alias["Properties"]["Name"], LIVE_ALIAS,
            "the command looks for the mapping there"
        );
        assert_eq!(&alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0], version_id);
        assert_eq!(&mapping["Properties"]["FunctionName"]["Ref"], alias_id);
    }
}

#[test]
fn a_new_version_takes_over_gradually_and_is_taken_back_by_alarms() {
    let template = transformed("true");
    let (group_id, group) = only(&template, "AWS::CodeDeploy::DeploymentGroup").unwrap();
    let (_, alias) = only(&template, "AWS::Lambda::Alias").unwrap();
    let moved_by = &alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"];
    assert_eq!(&moved_by["Ref"], group_id);
    let rollback = &group["Properties"]["AutoRollbackConfiguration"];
    assert_eq!(rollback["Enabled"], true);
    let events = rollback["Events"].as_array().unwrap();
    assert!(events.contains(&"DEPLOYMENT_STOP_ON_ALARM".into()), "{events:?}");
    assert_eq!(alarm_names(group).len(), 2);
}

#[test]
fn without_codedeploy_the_alias_moves_at_once() {
    let template = transformed("false");
    assert!(only(&template, "AWS::CodeDeploy::DeploymentGroup").is_none());
    assert!(only(&template, "AWS::Lambda::Alias").unwrap().1["UpdatePolicy"].is_null());
}

/// The names of the alarms that take a version back, as the template writes them.
fn alarm_names(group: &Value) -> Vec<String> {
    let choice = &group["Properties"]["AlarmConfiguration"]["Fn::If"];
    assert_eq!(choice[0], "DeploymentHasAlarms");
    assert_eq!(choice[2], serde_json::json!({}), "none when they are not wanted");
    let alarms = choice[1]["Alarms"].as_array().unwrap().iter();
    alarms
        .map(|alarm| alarm["Name"]["Fn::Sub"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_alarms_that_take_a_version_back_exist_and_are_on_metrics() {
    let template = transformed("true");
    let (_, group) = only(&template, "AWS::CodeDeploy::DeploymentGroup").unwrap();
    let mut command = e2e::venv("lint").unwrap().script("template_json.py");
    let printed = e2e::run(command.arg("infra/observability.yaml")).unwrap();
    let alarms: Value = serde_json::from_str(&printed).unwrap();
    for name in alarm_names(group) {
        let mut named = alarms["Resources"]
            .as_object()
            .unwrap()
            .values()
            .filter(|resource| resource["Properties"]["AlarmName"]["Fn::Sub"] == name);
        let alarm = named.next().unwrap_or_else(|| panic!("no alarm is called {name}"));
        assert_eq!(
            alarm["Type"], "AWS::CloudWatch::Alarm",
            "{name}: CodeDeploy watches no composite alarm"
        );
    }
}
