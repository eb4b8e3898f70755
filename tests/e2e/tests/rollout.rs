//! How new code takes over: what SAM makes of the template has an alias that CodeDeploy moves, and alarms that move it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use tidemark_aws::admin::LIVE_ALIAS;

/// What CloudFormation makes of the template with that value of the parameter `DeploymentGradual`: SAM's transform takes every
/// parameter for its default, as an emulator's does, and the conditions are decided after it.
fn transformed(gradual: &str) -> Value {
    let mut command = e2e::venv("lint").unwrap().script("sam_transform.py");
    command.arg("infra/template.yaml").arg("--decided");
    command.arg(format!("DeploymentGradual={gradual}"));
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
        let (alias_id, alias) = live(&template);
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
    let (_, alias) = live(&template);
    let moved_by = &alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"];
    assert_eq!(&moved_by["Ref"], group_id);
    let rollback = &group["Properties"]["AutoRollbackConfiguration"];
    assert_eq!(rollback["Enabled"], true);
    let events = rollback["Events"].as_array().unwrap();
    assert!(events.contains(&"DEPLOYMENT_STOP_ON_ALARM".into()), "{events:?}");
    let alarms = alarm_names(group).len();
    assert!((2..=10).contains(&alarms), "CodeDeploy takes ten alarms: {alarms}");
}

#[test]
fn without_codedeploy_the_alias_moves_at_once_and_nothing_of_it_is_named() {
    let template = transformed("false");
    assert!(live(&template).1["UpdatePolicy"].is_null());
    let text = template["Resources"].to_string();
    assert!(
        !text.contains("CodeDeploy") && !text.contains("codedeploy"),
        "an emulator without it takes the template as it is"
    );
    assert!(transformed("true")["Resources"].to_string().contains("codedeploy"));
}

/// The alias that the mapping invokes; SAM makes another one, which nobody invokes, to publish versions.
fn live(template: &Value) -> (&String, &Value) {
    let resources = template["Resources"].as_object().unwrap().iter();
    let aliases: Vec<_> = resources
        .filter(|(_, one)| one["Type"] == "AWS::Lambda::Alias")
        .collect();
    assert_eq!(aliases.len(), 2);
    *aliases
        .iter()
        .find(|(_, alias)| alias["Properties"]["Name"] == LIVE_ALIAS)
        .unwrap()
}

#[test]
fn no_alarm_takes_a_version_back_when_none_is_wanted() {
    let template = e2e::decided("infra/template.yaml", ["DeploymentAlarms=false"]).unwrap();
    let (_, group) = only(&template, "AWS::CodeDeploy::DeploymentGroup").unwrap();
    assert_eq!(
        group["Properties"]["AlarmConfiguration"],
        serde_json::json!({ "Enabled": false })
    );
}

/// The names of the alarms that take a version back, as the template writes them.
fn alarm_names(group: &Value) -> Vec<String> {
    let configuration = &group["Properties"]["AlarmConfiguration"];
    assert_eq!(configuration["Enabled"], true);
    let alarms = configuration["Alarms"].as_array().unwrap().iter();
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
