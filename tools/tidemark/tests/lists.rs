//! Lists end to end, with the real binaries: a list is imported, a policy whose rule asks it is in force, an entry that is put in or taken
//! out counts from the next batches on, and a file that is scored with the same list has the same bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_aws::admin::{ControlPut, Expected};
use tidemark_domain::control::Stamp;
use tidemark_domain::control::lists::{LIST_PREFIX, list_part_fields};
use tidemark_domain::policy::Policy;

use crate::world::{World, transaction};

fn write(world: &World, name: &str, text: &str) -> String {
    let file = world.folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().unwrap_or_else(|| panic!("{error}"))
}

fn policy(version: u32, list: &str) -> String {
    Policy::default_text().replace("version = 1\n", &format!("version = {version}\n"))
        + &format!(
            "\n[[lists]]\nname = \"{list}\"\nof = \"ids\"\n[[rules]]\nname = \"mule\"\nwhen = \"event.merchant_id in lists.{list}\"\n\
             then = \"alert\"\nreason = \"A mule\"\n"
        )
}

/// Sends events at a merchant, each of a card of its own, until one is decided so.
async fn wait_for_decision(world: &World, first: u64, merchant: &str, decision: &str) -> Value {
    for number in first..first + 300 {
        let mut event = transaction(1_000_000 + number);
        event["card_id"] = json!(format!("probe-{number}"));
        event["merchant_id"] = json!(merchant);
        let id = event["event_id"].clone();
        world.put(&[event]).await;
        world.mapping.drained(60_000).await.unwrap();
        let outcomes = world.outcomes().await;
        let found = outcomes.iter().find(|seen| seen.value["event_id"] == id);
        if let Some(found) = found.filter(|found| found.value["decision"] == decision) {
            return found.value.clone();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no event at {merchant} was decided {decision}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_counts_from_the_next_batches_on_and_a_file_gets_the_same() {
    let world = World::start().await;
    assert_eq!(world.json(0, &["list", "show"]).await["lists"], json!([]));

    // A policy whose list there is not is refused before anything is stored of it.
    let file = write(&world, "listed.toml", &policy(7, "mules"));
    let publish = ["policy", "publish", &file, "--reason", "lists"];
    assert_eq!(code(&world.json(1, &publish).await), "list_unknown");
    let list = write(
        &world,
        "mules.csv",
        "\u{feff}value,until,reason\r\nm1,,case 4711\r\nshop-9\r\nm1,,case 4711\r\n",
    );
    let import = [
        "list",
        "import",
        "mules",
        &list,
        "--of",
        "ids",
        "--reason",
        "the first feed",
    ];
    let imported = world.json(0, &import).await;
    assert_eq!(
        (&imported["added"], &imported["duplicates"], &imported["entries"]),
        (&json!(2), &json!(1), &json!(2))
    );
    let again = world.json(0, &import).await;
    assert_eq!((&again["same"], &again["items_written"]), (&json!(2), &json!(0)));
    assert_eq!(again["version"], imported["version"]);
    world.json(0, &publish).await;
    world.json(0, &["policy", "activate", "7", "--reason", "lists"]).await;

    let held = wait_for_decision(&world, 0, "m1", "alert").await;
    assert_eq!(held["rules"]["held"], json!(["mule"]));
    assert_eq!(held["list_versions"]["mules"], imported["version"]);
    let other = wait_for_decision(&world, 300, "m2", "pass").await;
    assert_eq!(other["list_versions"]["mules"], imported["version"]);

    // Another entry counts from the next batches on, with who, when and why; and no longer once it is taken out.
    let add = [
        "list",
        "add",
        "mules",
        "m2",
        "m1",
        "--until",
        "2h",
        "--reason",
        "case 4712",
        "--who",
        "ana",
    ];
    let added = world.json(0, &add).await;
    assert_eq!((&added["added"], &added["changed"]), (&json!(1), &json!(1)));
    let held = wait_for_decision(&world, 600, "m2", "alert").await;
    assert_eq!(held["list_versions"]["mules"], added["version"]);
    let shown = world.json(0, &["list", "show", "mules", "m2"]).await;
    assert_eq!(
        (&shown["found"][0]["who"], &shown["found"][0]["reason"]),
        (&json!("ana"), &json!("case 4712"))
    );
    assert!(shown["found"][0]["until_ms"].as_i64() > shown["found"][0]["at_ms"].as_i64());
    let remove = [
        "list",
        "remove",
        "mules",
        "m2",
        "nobody",
        "--reason",
        "it was a mistake",
    ];
    let removed = world.json(0, &remove).await;
    assert_eq!((&removed["removed"], &removed["absent"]), (&json!(1), &json!(1)));
    wait_for_decision(&world, 900, "m2", "pass").await;

    // Who did what, for ever.
    let history = world.json(0, &["list", "history", "mules"]).await;
    let changes = history["changes"].as_array().unwrap();
    let told: Vec<(&str, &str)> = changes
        .iter()
        .map(|change| (change["action"].as_str().unwrap(), change["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("remove", "it was a mistake"),
            ("add", "case 4712"),
            ("import", "the first feed")
        ],
        "the second import changed nothing: {history}"
    );
    assert!(
        changes[1]["detail"]
            .as_str()
            .unwrap()
            .starts_with("mules: m2, m1 until "),
        "{history}"
    );
    assert_eq!(
        world.json(0, &["list", "history", "others"]).await["changes"],
        json!([])
    );

    // What is shown is a file of the list; scored with it, fresh cards get the bytes that they got live.
    let shown = world.run(&["list", "show", "mules"]).await;
    let list = write(&world, "shown.csv", std::str::from_utf8(&shown.stdout).unwrap());
    let fresh: Vec<Value> = (0..60)
        .map(|number| {
            let mut event = transaction(5_000_000 + number);
            event["card_id"] = json!(format!("fresh-{}", number % 9));
            event
        })
        .collect();
    world.put(&fresh).await;
    world.mapping.drained(60_000).await.unwrap();
    let live = world.outcomes().await.into_iter();
    let live: BTreeMap<String, Vec<u8>> = live
        .filter(|seen| seen.value["card_id"].as_str().unwrap().starts_with("fresh-"))
        .map(|seen| (seen.value["event_id"].as_str().unwrap().to_owned(), seen.bytes))
        .collect();
    assert_eq!(live.len(), fresh.len());
    let lines: Vec<String> = fresh.iter().map(Value::to_string).collect();
    let input = write(&world, "fresh.jsonl", &(lines.join("\n") + "\n"));
    let output = world.folder.path().join("scores.jsonl");
    let score = ["score", "-i", &input, "--policy", &file, "-o", output.to_str().unwrap()];
    assert_eq!(code(&world.json(2, &score).await), "list_argument");
    let argument = format!("mules={list}");
    world.json(0, &[&score[..], &["--list", &argument]].concat()).await;
    let mut alerts = 0;
    for line in std::fs::read_to_string(&output).unwrap().lines() {
        let outcome: Value = serde_json::from_str(line).unwrap();
        alerts += u32::from(outcome["decision"] == "alert");
        let id = outcome["event_id"].as_str().unwrap();
        assert_eq!(line.as_bytes(), live[id], "{id}");
    }
    assert!(alerts >= 8, "{alerts}");
    assert_eq!(world.dead_letters().await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let world = World::start().await;
    let add = |arguments: &[&'static str]| -> Vec<&'static str> {
        [&["list", "add"], arguments, &["--reason", "r"]].concat()
    };
    assert_eq!(code(&world.json(1, &add(&["mules", "m1"])).await), "list_unknown");
    assert_eq!(code(&world.json(1, &["list", "show", "mules"]).await), "list_unknown");
    world.json(0, &add(&["mules", "m1", "--of", "ids"])).await;
    world
        .json(0, &add(&["networks", "192.0.2.0/24", "--of", "addresses"]))
        .await;
    let before = world.json(0, &["list", "show"]).await;

    let million = write(
        &world,
        "million.csv",
        &(0..=1_000_000).map(|number| format!("{number}\n")).collect::<String>(),
    );
    let broken = write(&world, "broken.csv", "m1\nm1,2030-01-01T00:00:00Z\n");
    let ranges = write(&world, "ranges.csv", "192.0.2.0/24\n192.0.2.1/24\n");
    let empty = write(&world, "empty.csv", "value,until,reason\n");
    let long = "a".repeat(129);
    let import = |list: &'static str, file: &str| -> Vec<String> {
        ["list", "import", list, file, "--reason", "r"]
            .map(str::to_owned)
            .to_vec()
    };
    let many = "r".repeat(121);
    let owned =
        |arguments: &[&str]| -> Vec<String> { arguments.iter().map(|argument| (*argument).to_owned()).collect() };
    let wrong: Vec<(i32, &str, &str, Vec<String>)> = vec![
        (
            1,
            "list_kind",
            "of ids, and",
            owned(&add(&["mules", "m1", "--of", "countries"])),
        ),
        (
            5,
            "list_entry",
            "entry 2: it has 129 bytes",
            owned(&["list", "add", "mules", "m2", &long, "--reason", "r"]),
        ),
        (
            5,
            "list_entry",
            "192.0.2.0/24",
            owned(&add(&["networks", "192.0.2.9/24"])),
        ),
        (
            5,
            "list_entry",
            "card number",
            owned(&add(&["mules", "4111111111111111"])),
        ),
        (
            2,
            "list_until",
            "not in the future",
            owned(&add(&["mules", "m2", "--until", "2020-01-01T00:00:00Z"])),
        ),
        (
            2,
            "list_until",
            "neither a time nor a span",
            owned(&add(&["mules", "m2", "--until", "soon"])),
        ),
        (5, "list_name", "no name of a list", owned(&add(&["Mules", "m2"]))),
        (
            2,
            "list_reason",
            "121 bytes",
            owned(&["list", "add", "mules", "m2", "--reason", &many]),
        ),
        (
            5,
            "list_file",
            "broken.csv:2:1: line 1 has the same entry",
            import("mules", &broken),
        ),
        (
            5,
            "list_file",
            "ranges.csv:2:1: the address has bits set",
            import("networks", &ranges),
        ),
        (5, "list_file", "there is no entry in it", import("mules", &empty)),
        (5, "list_file", "nowhere", import("mules", "/nowhere")),
        (
            1,
            "list_limit",
            "million.csv:1000001: this is entry 1000001",
            import("mules", &million),
        ),
    ];
    for (exit, expected, words, arguments) in wrong {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let error = world.json(exit, &arguments).await;
        assert_eq!(code(&error), expected, "{error}");
        assert!(
            error["error"]["what"].as_str().unwrap().contains(words),
            "{words}: {error}"
        );
        assert!(!error.to_string().contains("4111111111111111"));
    }
    assert_eq!(world.json(0, &["list", "show"]).await, before);

    // Entries of two people at once are both there; of two files at once, one is, and who was late is told.
    let (one, other) = (add(&["mules", "m2"]), add(&["mules", "m3"]));
    let _both = tokio::join!(world.json(0, &one), world.json(0, &other));
    let shown = world.json(0, &["list", "show", "mules", "m1", "m2", "m3"]).await;
    assert_eq!(shown["absent"], json!([]), "{shown}");
    let (a, b) = (write(&world, "a.csv", "a\n"), write(&world, "b.csv", "b\n"));
    let arguments = [&a, &b].map(|file| {
        let mut arguments = vec!["--json".to_owned()];
        arguments.extend(import("mules", file));
        arguments
    });
    let arguments = arguments
        .each_ref()
        .map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    let (first, second) = tokio::join!(world.run(&arguments[0]), world.run(&arguments[1]));
    let is_done = |output: &std::process::Output| output.status.success();
    assert!(is_done(&first) || is_done(&second));
    for output in [&first, &second].into_iter().filter(|output| !is_done(output)) {
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(code(&error), "control_conflict");
        assert!(error["error"]["what"].as_str().unwrap().contains("import"), "{error}");
    }
    let shown = world.json(0, &["list", "show", "mules"]).await;
    let values: Vec<&str> = shown["all"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["value"].as_str().unwrap())
        .collect();
    assert!(values == ["a"] || values == ["b"], "{values:?}");

    // A part that was changed by hand is named; a file writes it anew.
    let table = &world.names.table;
    let admin = world.cloud.admin();
    let parts = admin.control_items(table, LIST_PREFIX, false, 1_000).await.unwrap();
    let puts: Vec<ControlPut> = parts
        .into_iter()
        .map(|(sort, read)| ControlPut {
            sort,
            fields: list_part_fields(vec![1, 0, 0], &Stamp::new(1, "a hand", "a test").unwrap()),
            expected: Expected::AsRead(read),
        })
        .collect();
    assert!(admin.write_control(table, &puts).await.unwrap());
    assert_eq!(code(&world.json(1, &["list", "show", "mules"]).await), "list_damaged");
    assert_eq!(code(&world.json(1, &add(&["mules", "m4"])).await), "list_damaged");
    let mend = ["list", "import", "mules", &a, "--replace-damaged", "--reason", "mended"];
    assert_eq!(world.json(0, &mend).await["entries"], 1);
    let shown = world.json(0, &["list", "show", "mules", "a"]).await;
    assert_eq!(shown["found"][0]["reason"], "mended");
    world.stop().await;
}
