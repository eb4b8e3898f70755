//! The life of a deployment.

use serde_json::{Value, json};

use super::emulator::{Emulator, Said};

const KEPT: [&str; 5] = [
    "CardsTable",
    "DeadLetterQueue",
    "QuarantineQueue",
    "TransactionsStream",
    "UnrecoverableQueue",
];

fn bootstraps() -> String {
    e2e::binary_folder().unwrap().display().to_string()
}

fn actions(said: &Said, stack: &str) -> Vec<(String, String)> {
    let changes = said.json["changes"][stack]
        .as_array()
        .unwrap_or_else(|| panic!("{said:?}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    changes
        .iter()
        .map(|one| (text(&one["action"]), text(&one["logical_id"])))
        .collect()
}

#[test]
fn a_deployment_is_made_changed_destroyed_and_made_again() {
    let cloud = Emulator::ministack();
    cloud.is_known_as("ministack");
    let bootstraps = bootstraps();
    let with = |more: &[&'static str]| -> Said {
        // Protected, so that the first deployment takes both of its steps.
        let given = [
            "--bootstraps",
            bootstraps.as_str(),
            "--set",
            "TableDeletionProtection=true",
        ];
        let arguments = [&given, more].concat();
        cloud.deploy(&arguments)
    };
    only_a_look_changes_nothing(&cloud, &with(&["--dry-run"]));
    let unasked = with(&[]);
    assert_eq!((unasked.code, unasked.error()), (1, "not_confirmed"), "{unasked:?}");
    let first = with(&["--yes"]);
    everything_is_there(&cloud, &first);
    refused_before_anything_is_changed(
        &with(&["--yes", "--set", "DeploymentGradual=true"]),
        "deploy_change",
        "CodeDeploy",
    );
    let reserved = with(&["--yes", "--set", "ScoreConcurrencyReserved=100000"]);
    refused_before_anything_is_changed(&reserved, "deploy_quota", "reserves 100000 more");

    let again = with(&["--yes"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(
        (actions(&again, "tidemark"), actions(&again, "tidemark-alarms")),
        (vec![], vec![])
    );
    let changed = with(&["--yes", "--set", "ScoreMemoryMb=512"]);
    assert_eq!(changed.code, 0, "{changed:?}");
    let actions = actions(&changed, "tidemark");
    assert!(
        actions.contains(&("Modify".to_owned(), "ScoreFunction".to_owned())),
        "{actions:?}"
    );
    assert!(
        actions.iter().all(|(_, name)| !KEPT.contains(&name.as_str())),
        "{actions:?}"
    );
    what_is_not_named_stays(&with(&["--yes"]), &cloud);
    the_prefix_is_guarded(&cloud, &bootstraps);
    a_newer_release_is_not_taken_back_by_mistake(&cloud, &with);

    let destroyed = cloud.deploy(&["destroy", "--yes"]);
    assert_eq!(destroyed.code, 0, "{destroyed:?}\n{}", cloud.log());
    assert_eq!(destroyed.json["deleted"], json!(["tidemark-alarms", "tidemark"]));
    assert_eq!(destroyed.json["kept"].as_array().unwrap().len(), KEPT.len());
    taken_back(&cloud, &with(&["--yes"]), &card_of(&first));
    let gone = cloud.deploy(&["destroy", "--yes"]);
    assert_eq!(gone.code, 0, "{gone:?}");
    let nothing = cloud.deploy(&["destroy", "--yes"]);
    assert_eq!(
        (nothing.code, &nothing.json["deleted"]),
        (0, &json!([])),
        "what is gone is gone"
    );
}

fn only_a_look_changes_nothing(cloud: &Emulator, look: &Said) {
    assert_eq!(look.code, 0, "{look:?}\n{}", cloud.log());
    let actions = actions(look, "tidemark");
    assert!(
        actions.contains(&("Add".to_owned(), "ScoreMapping".to_owned())),
        "{actions:?}"
    );
    let status = cloud.deploy(&["status"]);
    assert_eq!((status.code, &status.json["well"]), (1, &json!(false)), "{status:?}");
    assert_eq!(
        (&status.json["pipeline"]["status"], &status.json["alarms"]["status"]),
        (&Value::Null, &Value::Null)
    );
}

fn everything_is_there(cloud: &Emulator, first: &Said) {
    assert_eq!(first.code, 0, "{first:?}\n{}", cloud.log());
    let smoke = &first.json["smoke_test"];
    assert_eq!(
        (&smoke["decision"], &smoke["state_version"]),
        (&json!("pass"), &json!(0)),
        "{smoke}"
    );
    assert_eq!(first.json["outputs"]["CardsTableName"], "tidemark-cards");
    assert!(first.json["alarms_left_out"].as_u64().unwrap() > 20, "{first:?}");
    let status = cloud.deploy(&["status"]);
    assert_eq!((status.code, &status.json["well"]), (0, &json!(true)), "{status:?}");
    let alarms = status.json["alarm_states"].as_object().unwrap();
    assert!(
        alarms.contains_key("tidemark-dead-letters") && alarms.len() > 8,
        "{alarms:?}"
    );
    assert_eq!(
        status.json["pipeline"]["parameters"]["TableDeletionProtection"], "true",
        "by the second step"
    );
    a_redrive_goes_by_the_state_machine(cloud);
    // The other verbs work on it, and readers know the card.
    let card = card_of(first);
    assert!(card.starts_with("tidemark-smoke-test-"), "{card}");
    assert!(cloud.run(&["--json", "explain", &card], "").contains(&card));
}

/// The emulator carries the template's own state machine out, and it calls the real function.
fn a_redrive_goes_by_the_state_machine(cloud: &Emulator) {
    for (source, waits) in [("range --since 1h", 1), ("dead-letter", 0)] {
        let line = format!("--json redrive --parallel 2 --source {source}");
        let arguments: Vec<&str> = line.split(' ').collect();
        let said: Value = serde_json::from_str(&cloud.run(&arguments, "")).unwrap();
        let parts = &said["parts"];
        assert_eq!(
            (&parts["by"], &parts["unfinished"]),
            (&json!("state_machine"), &json!([])),
            "{said}\n{}",
            cloud.log()
        );
        let account = (
            &said["found"],
            &said["already_done"],
            &said["scored"],
            &said["complete"],
        );
        assert_eq!(
            account,
            (&json!(waits), &json!(waits), &json!(0), &json!(true)),
            "{said}"
        );
    }
}

fn refused_before_anything_is_changed(said: &Said, code: &str, words: &str) {
    assert_eq!(said.error(), code, "{said:?}");
    assert!(said.text().contains(words), "{said:?}");
}

fn card_of(said: &Said) -> String {
    said.json["smoke_test"]["card_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{said:?}"))
        .to_owned()
}

fn what_is_not_named_stays(said: &Said, cloud: &Emulator) {
    assert_eq!((said.code, actions(said, "tidemark")), (0, vec![]), "{said:?}");
    let status = cloud.deploy(&["status"]);
    assert_eq!(status.json["pipeline"]["parameters"]["ScoreMemoryMb"], "512");
}

/// An older command over a newer stack: refused, unless somebody says that it is meant.
fn a_newer_release_is_not_taken_back_by_mistake(cloud: &Emulator, with: &impl Fn(&[&'static str]) -> Said) {
    let own = env!("CARGO_PKG_VERSION");
    let release = |said: &Said| said.json["release"].clone();
    assert_eq!(release(&cloud.deploy(&["status"])), own);
    let mut script = e2e::venv("deploy").unwrap().script("upgraded.py");
    let told = e2e::run(script.args([&cloud.endpoint, "release", "99.0.0"])).unwrap();
    assert_eq!(told.trim(), "\"99.0.0\"");
    let status = cloud.deploy(&["status"]);
    assert_eq!(
        (release(&status), &status.json["release_of_command"]),
        (json!("99.0.0"), &json!(own))
    );
    refused_before_anything_is_changed(&with(&["--yes"]), "deploy_older", "release 99.0.0");
    assert_eq!(release(&cloud.deploy(&["status"])), "99.0.0");
    // This emulator takes outputs alone for no change.
    let meant = with(&["--yes", "--allow-older", "--set", "ScoreMemoryMb=768"]);
    assert_eq!(
        (meant.code, &meant.json["release"], &meant.json["release_before"]),
        (0, &json!(own), &json!("99.0.0")),
        "{meant:?}"
    );
    assert!(meant.stderr().contains("is newer than this command"), "{meant:?}");
    assert_eq!(release(&cloud.deploy(&["status"])), own);
}

fn the_prefix_is_guarded(cloud: &Emulator, bootstraps: &str) {
    let other = cloud.deploy(&["--bootstraps", bootstraps, "--yes", "--set", "Prefix=other"]);
    assert_eq!((other.code, other.error()), (1, "deploy_prefix"), "{other:?}");
    assert!(other.text().contains("new, empty table"), "{other:?}");
    let file = cloud.folder().join("stages.toml");
    std::fs::write(
        &file,
        "[local.deploy.parameters]\nstack_name = \"second\"\nparameter_overrides = [\"Prefix=tidemark\"]\n",
    )
    .unwrap();
    let taken = cloud.deploy(&["--bootstraps", bootstraps, "--yes", "--config", file.to_str().unwrap()]);
    assert_eq!((taken.code, taken.error()), (1, "deploy_prefix"), "{taken:?}");
    assert!(taken.text().contains("taken by the stack tidemark"), "{taken:?}");
}

/// The table and the queues are taken over with what they hold. This emulator can't take over a stream.
fn taken_back(cloud: &Emulator, again: &Said, old_card: &str) {
    assert_eq!(again.code, 0, "{again:?}\n{}", cloud.log());
    let names = |list: &Value| {
        let mut names: Vec<String> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&again.json["taken_over"]),
        ["CardsTable", "DeadLetterQueue", "QuarantineQueue", "UnrecoverableQueue"]
    );
    assert_eq!(again.json["made_anew"], json!(["TransactionsStream"]));
    assert_eq!(again.json["smoke_test"]["decision"], "pass", "{again:?}");
    let old = cloud.run(&["--json", "explain", old_card], "");
    assert!(old.contains(old_card), "the table holds what it held");
    let status = cloud.deploy(&["status"]);
    assert_eq!((status.code, &status.json["well"]), (0, &json!(true)), "{status:?}");
}
