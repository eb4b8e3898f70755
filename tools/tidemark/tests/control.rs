//! The control plane end to end, with the real binaries: the command steers, the score function runs as a process behind
//! the event source mapping, and what it did is read back from the streams.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and this one drives real time"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::world::{LOOK_MS, World, transaction};
use serde_json::{Value, json};
use terminal::clock::now_ms;

/// What an activation promises: in force within so many milliseconds.
const EFFECT_MS: i64 = 15_000;

/// Sends events, a tenth of them twice, until it is told to stop; answers how many different ones.
async fn load(world: Arc<World>, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let first = sent.load(Ordering::Relaxed);
        let mut events: Vec<Value> = (first..first + 40).map(transaction).collect();
        let again: Vec<Value> = events.iter().step_by(10).cloned().collect();
        events.extend(again);
        world.put(&events).await;
        sent.fetch_add(40, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// I1 and I3 over everything that was sent: each event has an outcome, and all copies of it are the same bytes.
async fn assert_whole(world: &World, sent: u64) -> BTreeMap<String, Value> {
    world.mapping.drained(120_000).await.unwrap();
    let mut distinct: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for seen in world.outcomes().await {
        let id = seen.value["event_id"].as_str().unwrap().to_owned();
        if let Some(first) = distinct.insert(id.clone(), seen.bytes.clone()) {
            assert!(first == seen.bytes, "{id} has two outcomes");
        }
        outcomes.insert(id, seen.value);
    }
    let expected: BTreeSet<String> = (0..sent).map(|number| format!("event-{number}")).collect();
    let found: BTreeSet<String> = distinct.into_keys().collect();
    assert_eq!(expected.difference(&found).count(), 0, "lost events");
    assert_eq!(found.difference(&expected).count(), 0, "outcomes of nothing");
    assert_eq!(world.dead_letters().await, 0);
    // The same by the account of an operator: streams, table and queues read anew (I1, I3).
    let account = world.json(0, &["audit", "--settle", "60"]).await;
    assert_eq!(
        (
            &account["holds"],
            &account["unaccounted"],
            &account["outcomes"]["conflicting"]
        ),
        (&json!(true), &json!(0), &json!(0)),
        "{account}"
    );
    assert_eq!(account["scored"], json!(expected.len()), "{account}");
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn activate_and_rollback_under_load_take_effect_in_time_and_lose_and_double_nothing() {
    let world = Arc::new(World::start().await);
    world.publish(2, 700).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = tokio::spawn(load(Arc::clone(&world), Arc::clone(&stop), Arc::clone(&sent)));
    world
        .wait_for("version 1", |outcome| outcome["policy_version"] == 1)
        .await;
    let activated = world.json(0, &["policy", "activate", "2", "--reason", "drill"]).await;
    assert_eq!((&activated["active"], &activated["before"]), (&json!(2), &json!(0)));
    let activated_ms = now_ms();
    world
        .wait_for("version 2", |outcome| outcome["policy_version"] == 2)
        .await;
    let rolled_back_ms = {
        // Some seconds under the new policy, so that there is something to take back.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let back = world.json(0, &["policy", "rollback", "--reason", "drill"]).await;
        assert_eq!(back["active"], 0);
        now_ms()
    };
    let again = world.json(1, &["policy", "rollback", "--reason", "drill"]).await;
    assert_eq!(
        again["error"]["code"], "no_previous_policy",
        "a second rollback must not go forth again"
    );
    while now_ms() < rolled_back_ms + EFFECT_MS + 2_000 {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let sent = sent.load(Ordering::Relaxed);
    let outcomes = assert_whole(&world, sent).await;
    let mut effect_ms: [i64; 2] = [0, 0];
    let mut by_version: BTreeMap<u64, u64> = BTreeMap::new();
    for seen in world.read(&world.names.transactions_stream).await {
        let id = seen.value["event_id"].as_str().unwrap();
        let version = outcomes[id]["policy_version"].as_u64().unwrap();
        *by_version.entry(version).or_default() += 1;
        if version == 1 && seen.arrival_ms < rolled_back_ms {
            effect_ms[0] = effect_ms[0].max(seen.arrival_ms - activated_ms);
        }
        if version == 2 {
            effect_ms[1] = effect_ms[1].max(seen.arrival_ms - rolled_back_ms);
        }
    }
    println!("{sent} events, {by_version:?} records by version, in force after {effect_ms:?} ms");
    assert!(by_version[&1] > 0 && by_version[&2] > 0, "{by_version:?}");
    assert!(
        effect_ms.iter().all(|effect_ms| *effect_ms <= EFFECT_MS),
        "in force after {effect_ms:?} ms"
    );
    let history = world.json(0, &["policy", "history"]).await;
    let actions: Vec<&str> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["rollback", "activate", "publish"]);
    assert_eq!(
        (&history["changes"][0]["who"], &history["changes"][0]["reason"]),
        (&json!("on-call"), &json!("drill"))
    );
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_keeps_records_in_the_stream_and_live_scores_each_once() {
    let world = World::start().await;
    world.put(&(0..40).map(transaction).collect::<Vec<_>>()).await;
    world.mapping.drained(60_000).await.unwrap();
    let paused = world.json(0, &["mode", "paused", "--reason", "issuer outage"]).await;
    assert_eq!(paused["mappings"][0]["state"], "Disabled");
    world.put(&(40..80).map(transaction).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let invoked = world.function.stats().invocations;
    assert_eq!(
        world
            .outcomes()
            .await
            .iter()
            .filter(|seen| seen.value["event_id"] == "event-79")
            .count(),
        0
    );
    assert_eq!(world.json(0, &["mode"]).await["change"]["reason"], "issuer outage");
    let live = world.json(0, &["mode", "live", "--reason", "over"]).await;
    assert_eq!(live["mappings"][0]["state"], "Enabled");
    assert_whole(&world, 80).await;
    assert!(world.function.stats().invocations > invoked);
    world.stop().await;
}

/// A mapping gives records up by their age when it comes to them: after a pause that was longer, the whole backlog went to the
/// dead-letter queue, and younger records ran before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_longer_than_the_record_age_gives_nothing_up_and_keeps_the_order() {
    const AGE_S: u32 = 2;
    let world = World::start_with(Some(AGE_S)).await;
    let refused = world
        .json(1, &["mode", "--restore-record-age", "--reason", "nothing was lifted"])
        .await;
    assert_eq!(refused["error"]["code"], "record_age");
    world.json(0, &["mode", "paused", "--reason", "issuer outage"]).await;
    // Cards 0 to 49, and once more cards 0 to 29: of those the order shows.
    world.put(&(0..50).map(transaction).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(u64::from(2 * AGE_S))).await;
    let refused = world
        .json(1, &["mode", "--restore-record-age", "--reason", "too early"])
        .await;
    assert_eq!(refused["error"]["code"], "record_age");
    world.put(&(50..80).map(transaction).collect::<Vec<_>>()).await;
    let live = world.json(0, &["mode", "live", "--reason", "over"]).await;
    assert_eq!(live["own_record_age_s"], AGE_S);
    // The local stream keeps records for 24 h: a quarter of it is left for a redrive.
    assert_eq!(live["mappings"][0]["record_age_s"], 18 * 3_600);
    let outcomes = assert_whole(&world, 80).await;
    for number in 0..30 {
        let version = |event: u64| outcomes[&format!("event-{event}")]["state_version"].as_u64().unwrap();
        assert_eq!((version(number), version(number + 50)), (0, 1), "card {number}");
    }
    assert_eq!(world.json(0, &["mode"]).await["own_record_age_s"], AGE_S);
    let restored = world
        .json(0, &["mode", "--restore-record-age", "--reason", "caught up"])
        .await;
    assert_eq!(restored["mappings"][0]["record_age_s"], AGE_S);
    assert_eq!(
        (&restored["mode"], &restored["mappings"][0]["state"]),
        (&json!("live"), &json!("Enabled"))
    );
    let mode = world.json(0, &["mode"]).await;
    assert_eq!(
        (&mode["own_record_age_s"], &mode["change"]["reason"]),
        (&Value::Null, &json!("caught up"))
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_degraded_aggregated_events_are_scored_on_their_histories_each_once() {
    let world = World::start().await;
    world
        .json(0, &["mode", "degraded", "--reason", "profiles are slow"])
        .await;
    let lines: Vec<String> = (0..400).map(|number| transaction(number).to_string()).collect();
    let file = world.folder.path().join("events.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (input, stream) = (file.to_str().unwrap(), world.names.transactions_stream.as_str());
    let sent = world
        .json(0, &["send", "--aggregate", "--input", input, "--stream", stream])
        .await;
    assert_eq!(sent["sent"], 400);
    assert!((1..=32).contains(&sent["records"].as_u64().unwrap()), "{sent}");
    let mut tiers: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in assert_whole(&world, 400).await.values() {
        *tiers.entry(outcome["tier"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // The first event of each of the 50 cards has no history either.
    assert_eq!(
        tiers,
        [("history_only".to_owned(), 350), ("neutral".to_owned(), 50)].into()
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_paused_alone_holds_its_batch_until_the_mode_changes() {
    let world = World::start().await;
    let paused = world
        .json(0, &["mode", "paused", "--keep-mapping", "--reason", "a test"])
        .await;
    assert_eq!(paused["mappings"], Value::Null);
    world.put(&(0..40).map(transaction).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.outcomes().await.is_empty());
    assert_eq!(world.mapping.stats().esm.records_done, 0);
    world.json(0, &["mode", "live", "--reason", "over"]).await;
    assert_whole(&world, 40).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_in_the_outcome_and_its_bad_input_is_named() {
    let world = World::start().await;
    let refused = |arguments: &'static [&'static str], code: i32, name: &'static str| {
        let world = &world;
        async move {
            assert_eq!(
                world.json(code, arguments).await["error"]["code"],
                name,
                "{arguments:?}"
            );
        }
    };
    refused(
        &["override", "card", "card-1", "block", "--reason", "r"],
        2,
        "override_without_end",
    )
    .await;
    refused(
        &[
            "override",
            "card",
            "card-1",
            "block",
            "--until",
            "2001-01-01T00:00:00Z",
            "--reason",
            "r",
        ],
        2,
        "override_until",
    )
    .await;
    refused(
        &[
            "override",
            "card",
            "4111111111111111",
            "block",
            "--until",
            "1h",
            "--reason",
            "r",
        ],
        5,
        "card_id",
    )
    .await;
    refused(
        &["override", "card", "card-1", "clear", "--reason", "r"],
        5,
        "no_override",
    )
    .await;
    refused(
        &["override", "card", "card-1", "allow", "--until", "1h", "--reason", " "],
        2,
        "operator",
    )
    .await;
    let share = world
        .run(&["rollout", "101", "--candidate", "2", "--reason", "r"])
        .await;
    assert_eq!(share.status.code(), Some(2), "a rollout of 101 %");
    assert!(String::from_utf8_lossy(&share.stderr).contains("0..=100"));
    refused(&["rollout", "5", "--reason", "r"], 2, "rollout_candidate").await;
    refused(
        &["rollout", "5", "--candidate", "9", "--reason", "r"],
        1,
        "policy_unknown",
    )
    .await;
    refused(&["compare", "--candidate", "9"], 1, "no_trials").await;
    world
        .json(
            0,
            &[
                "override", "card", "card-1", "block", "--until", "1h", "--reason", "stolen",
            ],
        )
        .await;
    let list = world.json(0, &["override", "list"]).await;
    assert_eq!(
        (&list["overrides"][0]["card_id"], &list["overrides"][0]["who"]),
        (&json!("card-1"), &json!("on-call"))
    );
    world.put(&(0..50).map(transaction).collect::<Vec<_>>()).await;
    let outcomes = assert_whole(&world, 50).await;
    assert_eq!(outcomes["event-1"]["decision"], "alert");
    assert_eq!(outcomes["event-1"]["reasons"][0]["code"], "override_block");
    assert_eq!(outcomes["event-2"]["decision"], "pass");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_and_nothing_of_it_is_sent() {
    let world = World::start().await;
    let file = world.publish(2, 40).await;
    let changed = std::fs::read_to_string(&file).unwrap() + "# another text\n";
    std::fs::write(&file, changed).unwrap();
    let taken = world
        .json(1, &["policy", "publish", file.to_str().unwrap(), "--reason", "r"])
        .await;
    assert_eq!(taken["error"]["code"], "policy_exists");
    let diff = world.json(0, &["policy", "diff", "active", "2"]).await;
    assert_eq!(diff["differences"].as_array().unwrap().len(), 2, "{diff}");
    world
        .json(0, &["rollout", "100", "--candidate", "2", "--reason", "first look"])
        .await;
    world.put(&(0..200).map(transaction).collect::<Vec<_>>()).await;
    let label = json!({
        "schema": "label", "version": 1, "event_id": "event-49", "card_id": "card-49", "verdict": "fraud", "known_since_ms": now_ms(),
    });
    let outcomes = assert_whole(&world, 200).await;
    assert!(
        outcomes.values().all(|outcome| outcome["policy_version"] == 1),
        "the candidate sends nothing"
    );
    world.put(&[label]).await;
    world.mapping.drained(60_000).await.unwrap();
    let page = world.folder.path().join("compare.html");
    let compared = world.json(0, &["compare", "--html", page.to_str().unwrap()]).await;
    assert_eq!(
        (&compared["events"], &compared["candidate"], &compared["active"]),
        (&json!(200), &json!(2), &json!([1]))
    );
    assert!(compared["cost"]["candidate_us_per_event"].as_f64().unwrap() > 0.0);
    assert!(std::fs::read_to_string(page).unwrap().contains("</html>"));
    world.stop().await;
}
