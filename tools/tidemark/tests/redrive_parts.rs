//! `redrive --parallel` against the real functions, where the command itself calls the function for each part.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use terminal::clock::pause;

use super::redrive::{World, number, traffic};

/// How long the redrive runs that is killed, in milliseconds: it takes hundreds of records of thousands.
const KILLED_AFTER_MS: u64 = 2_500;

fn ended(account: &Value) -> u64 {
    let ends = ["scored", "already_done", "applied", "quarantined"];
    ends.iter().map(|name| number(&account[name])).sum()
}

fn is_whole(account: &Value, records: usize) {
    assert_eq!(account["complete"], true, "{account}");
    assert_eq!(
        (number(&account["found"]), ended(account)),
        (records as u64, records as u64),
        "{account}"
    );
    assert_eq!(account["expected"], account["found"], "{account}");
    for none in ["returned", "trimmed", "missing", "filtered_out", "rejected_messages"] {
        assert_eq!(number(&account[none]), 0, "{none}: {account}");
    }
}

/// Starts a redrive of everything, gently, and kills it in the middle.
async fn killed_in_the_middle(world: &World) {
    let cloud = &world.stack.cloud;
    let mut process = tokio::process::Command::new(Path::new(env!("CARGO_BIN_EXE_tidemark")))
        .args([
            "--json",
            "redrive",
            "--source",
            "range",
            "--since",
            "1h",
            "--parallel",
            "2",
            "--rate",
            "100",
        ])
        .env("AWS_ENDPOINT_URL", cloud.endpoint())
        .env("AWS_ENDPOINT_URL_DYNAMODB", cloud.dynamodb_endpoint())
        .env("AWS_REGION", cloud.region())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    pause(KILLED_AFTER_MS).await;
    assert!(
        process.try_wait().unwrap().is_none(),
        "it was over before it could be killed"
    );
    process.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_side_by_side_bring_each_record_to_its_end_once_although_the_first_run_is_killed() {
    let world = World::start().await;
    let dead = traffic(5, 2_000);
    world.put_in_vain(&dead).await;
    let letters = world.json(0, &["dlq"]).await["dead_letter"]["messages"].clone();
    killed_in_the_middle(&world).await;

    // The letters in shares: no more of them than the stream has shards, and each letter counts once.
    let run = world.json(0, &["redrive", "--parallel", "4"]).await;
    is_whole(&run, dead.len());
    assert_eq!(run["messages"], letters, "{run}");
    let parts = &run["parts"];
    assert_eq!(
        (&parts["by"], &parts["chains"]),
        (&json!("command"), &json!(2)),
        "{run}"
    );
    assert!(
        number(&run["already_done"]) > 0,
        "the run that was killed had begun: {run}"
    );
    world.json(0, &["dlq", "--check"]).await;
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(
        (&audit["holds"], number(&audit["dead_lettered"])),
        (&json!(true), 0),
        "{audit}"
    );

    // The range in chains: everything is found done, and every outcome is what it was (the audit compares them).
    let again = world
        .json(0, &["redrive", "--source", "range", "--since", "1h", "--parallel", "2"])
        .await;
    is_whole(&again, dead.len());
    assert_eq!(
        (number(&again["scored"]), &again["parts"]["chains"]),
        (0, &json!(2)),
        "{again}"
    );
    assert_eq!(again["parts"]["unfinished"], json!([]), "{again}");
    let alone = world.json(0, &["redrive", "--source", "range", "--since", "1h"]).await;
    for name in ["found", "already_done", "quarantined", "applied", "scored"] {
        assert_eq!(again[name], alone[name], "{name}: one walk comes to the same");
    }
    let audit = world.json(0, &["audit", "--settle", "30"]).await;
    assert_eq!(audit["holds"], true, "{audit}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_cut_is_told_before_anything_is_called() {
    let world = World::start().await;
    for line in [
        "redrive --parallel 2 --source quarantine",
        "redrive --parallel 2 --dry-run",
        "redrive --parallel 2 --max 5",
        "redrive --parallel 2 --source range --shard shardId-000000000000 --from 5",
    ] {
        world.refused("parallel", &line.split(' ').collect::<Vec<_>>()).await;
    }
    // A shard that is not there is no slice.
    let gone = "redrive --parallel 2 --source range --since 1h --shard shardId-000000000099";
    world.refused("parallel", &gone.split(' ').collect::<Vec<_>>()).await;
    world.stop().await;
}
