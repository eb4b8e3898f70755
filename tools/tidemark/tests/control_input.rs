//! What the commands of the control plane do with bad input, two operators at once, and items written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use crate::world::{World, transaction};
use serde_json::json;
use tidemark_aws::admin::{ControlPut, Expected};
use tidemark_domain::control::item::{ACTIVE, Field, Fields, MODE};
use tidemark_domain::policy::Policy;

/// How often two operators meet.
const MEETINGS: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_an_unknown_feature_is_neither_sound_nor_published() {
    let world = World::start().await;
    let text = Policy::default_text().replace("\"count_5m\",", "\"count_5m\", \"moon_phase\",");
    let file = world.folder.path().join("policy.toml");
    std::fs::write(&file, text.replace("version = 1\n", "version = 2\n")).unwrap();
    let path = file.to_str().unwrap();
    for arguments in [
        vec!["policy", "validate", path],
        vec!["policy", "publish", path, "--reason", "r"],
        vec!["policy", "diff", "built-in", path],
    ] {
        let refused = world.json(5, &arguments).await;
        assert_eq!(refused["error"]["code"], "policy", "{arguments:?}");
        let what = refused["error"]["what"].as_str().unwrap();
        assert!(
            what.contains("moon_phase") && what.contains("policy.toml:9:15:"),
            "{what}"
        );
    }
    let refused = world.json(1, &["policy", "activate", "2", "--reason", "r"]).await;
    assert_eq!(refused["error"]["code"], "policy_unknown");
    assert_eq!(world.json(0, &["policy", "history"]).await["changes"], json!([]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_at_once_each_one_is_told_what_became_of_his_change() {
    let world = World::start().await;
    for version in 2..=5 {
        world.publish(version, 700).await;
    }
    let (mut done, mut refused) = (0, 0);
    for meeting in 0..MEETINGS {
        // Two versions that are not in force, so that both have something to change.
        let (first, second) = if meeting % 2 == 0 { ("2", "3") } else { ("4", "5") };
        let operator = |version: &'static str, who: &'static str| {
            let world = &world;
            async move {
                let arguments = [
                    "--json", "policy", "activate", version, "--who", who, "--reason", "both",
                ];
                world.run(&arguments).await
            }
        };
        let (one, other) = tokio::join!(operator(first, "ann"), operator(second, "bob"));
        for output in [one, other] {
            let answer = String::from_utf8(output.stdout).unwrap();
            match output.status.code() {
                Some(0) => done += 1,
                Some(1) => {
                    assert!(answer.contains("control_conflict"), "{answer}");
                    refused += 1;
                }
                code => panic!("{code:?}: {answer}"),
            }
        }
    }
    let history = world.json(0, &["policy", "history"]).await;
    let changes: Vec<_> = history["changes"].as_array().unwrap().iter().collect();
    let activations: Vec<_> = changes.iter().filter(|change| change["action"] == "activate").collect();
    assert_eq!(
        activations.len(),
        done,
        "{refused} were refused, and left no trace: {history}"
    );
    let newest = activations[0]["detail"].as_str().unwrap();
    assert!(newest.ends_with(&format!("-> {}", history["active"])), "{newest}");
    let revisions: Vec<u64> = activations
        .iter()
        .map(|change| change["revision"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=done as u64).rev().collect();
    assert_eq!(revisions, expected, "each change was made on the one before");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_written_by_hand_with_a_wrong_type_stops_nothing_and_can_be_mended() {
    let world = World::start().await;
    world.json(0, &["mode", "shadow", "--reason", "first day"]).await;
    world.json(0, &["mode", "live", "--reason", "it goes on"]).await;
    let by_hand = |sort: &str, fields: [(&str, Field); 2]| ControlPut {
        sort: sort.to_owned(),
        fields: fields.map(|(name, field)| (name.to_owned(), field)).into(),
        expected: Expected::AsRead(Fields::new()),
    };
    let mode = by_hand(
        MODE,
        [
            ("mode", Field::Number("7".to_owned())),
            ("rev", Field::Text("two".to_owned())),
        ],
    );
    assert!(
        world
            .cloud
            .admin()
            .write_control(&world.names.table, &[mode])
            .await
            .unwrap()
    );
    let pointer = ControlPut {
        expected: Expected::Absent,
        ..by_hand(
            ACTIVE,
            [
                ("active", Field::Text("2".to_owned())),
                ("rev", Field::Number("1".to_owned())),
            ],
        )
    };
    assert!(
        world
            .cloud
            .admin()
            .write_control(&world.names.table, &[pointer])
            .await
            .unwrap()
    );
    // A function that begins now knows nothing but the defaults for both: it works, and says what is wrong.
    world.put(&(0..20).map(transaction).collect::<Vec<_>>()).await;
    world.mapping.drained(60_000).await.unwrap();
    assert_eq!(world.outcomes().await.len(), 20);
    let log = std::fs::read_to_string(world.function.log_path()).unwrap();
    assert!(log.contains("TM-3005"), "the log names what is wrong");
    let shown = world.run(&["mode"]).await;
    let notes = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(notes.contains("last good copy"), "{notes}");
    let refused = world.json(1, &["policy", "rollback", "--reason", "r"]).await;
    assert_eq!(refused["error"]["code"], "no_previous_policy");
    world.publish(2, 700).await;
    world
        .json(0, &["policy", "activate", "2", "--reason", "say what is in force"])
        .await;
    world.json(0, &["mode", "degraded", "--reason", "mend it"]).await;
    let history = world.json(0, &["policy", "history"]).await;
    assert_eq!(history["active"], 2);
    assert_eq!(world.json(0, &["mode"]).await["mode"], "degraded");
    world.stop().await;
}
