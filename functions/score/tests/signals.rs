//! Each signal with its real value, and those that only trouble gives.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use score_function::{Handled, ScoreFunction};
use serde_json::{Value, json};
use tidemark_domain::control::item::{ACTIVE, OVERRIDES, policy_key};
use tidemark_domain::control::{ActivePointer, Override, OverrideAction, Overrides, PolicyVersion, Rollout, Stamp};
use tidemark_domain::id::CardId;
use tidemark_domain::policy::Policy;
use tidemark_engine::control::{Control, ControlConfig};
use tidemark_engine::memory::{
    Fault, Faults, ManualClock, MemoryControl, MemoryQuarantine, MemorySink, MemoryStore, Op,
};
use tidemark_engine::port::{PortError, StateItem};
use tidemark_engine::{Engine, EngineConfig};
use tidemark_telemetry::Tariff;

/// When the first record arrives.
const ARRIVAL_MS: i64 = 1_760_000_000_000;
const ALWAYS: std::ops::Range<u64> = 0..u64::MAX;

type Function = ScoreFunction<MemoryStore, MemorySink, MemoryQuarantine, ManualClock, MemoryControl>;

struct World {
    function: Function,
    store: MemoryStore,
    faults: Faults,
    plane: MemoryControl,
    clock: ManualClock,
    sink: MemorySink,
}

/// A function whose batches end `after_ms` after the first record's arrival.
fn world(after_ms: i64) -> World {
    world_with(after_ms, EngineConfig::default())
}

fn world_with(after_ms: i64, config: EngineConfig) -> World {
    world_by(after_ms, config, Policy::default_policy())
}

fn world_by(after_ms: i64, config: EngineConfig, policy: Policy) -> World {
    let (faults, plane) = (Faults::none(), MemoryControl::default());
    let (sink, store) = (
        MemorySink::with_faults(faults.clone()),
        MemoryStore::with_faults(faults.clone()),
    );
    let clock = ManualClock::at(ARRIVAL_MS + after_ms);
    let policy = Arc::new(policy);
    let engine = Engine::new(
        store.clone(),
        sink.clone(),
        MemoryQuarantine::with_faults(faults.clone()),
        clock.clone(),
        Arc::clone(&policy),
        config,
    );
    let control = Control::new(plane.clone(), policy, ControlConfig::default());
    let tariff = Tariff {
        memory_mib: 1_024,
        ..Tariff::default()
    };
    World {
        function: ScoreFunction::controlled(engine, control, clock.clone(), "tidemark-score").priced(tariff),
        store,
        faults,
        plane,
        clock,
        sink,
    }
}

impl World {
    async fn run(&self, events: &[Value]) -> Handled {
        let records: Vec<Value> = events.iter().enumerate().map(|(at, event)| record(at, event)).collect();
        let mut context = Context::default();
        context.request_id = "request-1".to_owned();
        context.xray_trace_id = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned());
        context.deadline = u64::try_from(ARRIVAL_MS + 900_000).unwrap();
        self.function
            .handle(&json!({ "Records": records }).to_string(), &context)
            .await
    }
}

/// A transaction a second before the first arrival.
fn transaction(event_id: &str, card_id: &str) -> Value {
    json!({
        "schema": "transaction", "version": 2, "event_id": event_id, "card_id": card_id,
        "occurred_at_ms": ARRIVAL_MS - 1_000, "amount_minor": 1_250, "currency": "EUR", "merchant_id": "merchant-1",
        "mcc": 5411, "country": "FR", "channel": "point_of_sale", "approved": true,
    })
}

/// Record `at` arrives as many milliseconds after the first.
fn record(at: usize, event: &Value) -> Value {
    let sequence_number = format!("4959033827149025660855969253836157109592157598913658{at:04}");
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "key", "sequenceNumber": sequence_number,
            "data": STANDARD.encode(event.to_string()),
            "approximateArrivalTimestamp": 1_760_000_000.0 + f64::from(u32::try_from(at).unwrap()) / 1_000.0,
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record",
        "eventID": format!("shardId-000000000000:{sequence_number}"), "awsRegion": "eu-west-1",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/score",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tidemark-transactions",
    })
}

fn lines(handled: &Handled) -> Vec<Value> {
    let lines = handled.metrics.iter();
    lines
        .map(|line| serde_json::from_str(&line.to_json()).unwrap())
        .collect()
}

fn metric(handled: &Handled, name: &str) -> f64 {
    let line = &lines(handled)[0];
    line[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no metric {name} in {line}"))
}

fn throttled() -> PortError {
    PortError::Throttled("test".to_owned())
}

#[tokio::test]
async fn outcomes_are_told_as_distributions_with_their_lags_and_their_cost() {
    let world = world(250);
    let handled = world.run(&[transaction("e1", "a"), transaction("e2", "b")]).await;
    let line = &lines(&handled)[0];
    assert_eq!(line["OutcomeLatency"], json!([249.0, 250.0]));
    let mut scores: Vec<f64> = world
        .sink
        .outcomes()
        .iter()
        .map(|outcome| {
            serde_json::from_slice::<Value>(&outcome.bytes).unwrap()["score"]
                .as_f64()
                .unwrap()
        })
        .collect();
    scores.sort_unstable_by(f64::total_cmp);
    assert_eq!(line["Score"], json!(scores));
    assert_eq!(
        (
            metric(&handled, "OldestRecordAge"),
            metric(&handled, "Freshness"),
            metric(&handled, "EventTimeLag")
        ),
        (250.0, 249.0, 1_250.0)
    );
    assert_eq!(
        (
            metric(&handled, "Commits"),
            metric(&handled, "CommitFailures"),
            metric(&handled, "LateOutcomes")
        ),
        (2.0, 0.0, 0.0)
    );
    let report = handled.report.as_ref().unwrap();
    let put_usd = 0.08 * report.outcome_kib as f64 / 1_048_576.0;
    // The control plane's items were read too, by the first invocation.
    let control_units = metric(&handled, "ControlReadUnits");
    assert!(control_units > 0.0, "{line}");
    let units_usd = (report.units.write * 0.625 + (report.units.read + control_units) * 0.125) / 1e6;
    let expected = (units_usd + put_usd) * 1e6 + 0.20;
    assert!(
        (metric(&handled, "CostMicrodollars") - expected).abs() < 1e-6,
        "{line}, not {expected}"
    );
    assert_eq!(line["trace_id"], "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1");
}

#[tokio::test]
async fn time_costs_what_the_memory_costs() {
    let (slow, quick) = (world(250), world(250));
    // One retry: the manual clock moves by its pause.
    slow.faults.at(Op::Commit, 0..1, Fault::Before(throttled()));
    let (slow, quick) = (
        slow.run(&[transaction("e1", "a")]).await,
        quick.run(&[transaction("e1", "a")]).await,
    );
    let seconds = metric(&slow, "BatchDuration") / 1_000.0;
    assert!(seconds > 0.0, "the retry takes time");
    let difference = metric(&slow, "CostMicrodollars") - metric(&quick, "CostMicrodollars");
    assert!((difference - seconds * 16.666_7).abs() < 1e-6, "{difference}");
}

#[tokio::test]
async fn an_outcome_after_five_seconds_is_late() {
    // The first record is 5,001 ms old, the second 5,000.
    let world = world(5_001);
    let handled = world.run(&[transaction("e1", "a"), transaction("e2", "b")]).await;
    assert_eq!(metric(&handled, "LateOutcomes"), 1.0);
}

#[tokio::test]
async fn an_outcome_that_is_committed_and_not_sent_counts_as_late_once() {
    let world = world(250);
    world.faults.at(Op::Send, ALWAYS, Fault::Before(throttled()));
    let handled = world.run(&[transaction("e1", "a")]).await;
    let of = |handled: &Handled| ["Scored", "Unsent", "LateOutcomes", "Returned"].map(|name| metric(handled, name));
    assert_eq!(of(&handled), [0.0, 1.0, 1.0, 1.0]);
    // It comes again: a duplicate by then, as its state was committed.
    world.faults.clear();
    let again = world.run(&[transaction("e1", "a")]).await;
    assert_eq!(of(&again), [0.0, 0.0, 0.0, 0.0]);
    assert_eq!(metric(&again, "Duplicate"), 1.0);
}

/// A release that is older than the states it finds gives their records back, and the alarm that takes it back counts nothing else.
#[tokio::test]
async fn records_that_go_back_because_of_their_state_are_counted_apart() {
    let world = world(250);
    let of_newer_release = StateItem::new(7, vec![0xEE; 40]);
    world.store.set_state(&CardId::new("a").unwrap(), of_newer_release);
    world.faults.at(Op::Commit, ALWAYS, Fault::Before(throttled()));
    let events = [transaction("e1", "a"), transaction("e2", "a"), transaction("e3", "b")];
    let handled = world.run(&events).await;
    assert_eq!(
        ["StateCorrupt", "Returned"].map(|name| metric(&handled, name)),
        [2.0, 3.0]
    );
}

#[tokio::test]
async fn writes_that_fail_for_good_are_counted_by_card() {
    let world = world(250);
    world.faults.at(Op::Commit, ALWAYS, Fault::Before(throttled()));
    let handled = world
        .run(&[transaction("e1", "a"), transaction("e2", "a"), transaction("e3", "b")])
        .await;
    assert_eq!(
        (
            metric(&handled, "CommitFailures"),
            metric(&handled, "Commits"),
            metric(&handled, "Returned")
        ),
        (2.0, 0.0, 3.0)
    );
    assert!(metric(&handled, "Throttles") > metric(&handled, "Retries"));
    assert!(metric(&handled, "Retries") > 0.0);
}

#[tokio::test]
async fn a_write_that_another_won_is_a_conflict_and_no_failure() {
    let world = world(250);
    world.faults.at(Op::Commit, 0..1, Fault::Conflict);
    let handled = world.run(&[transaction("e1", "a")]).await;
    assert_eq!(
        (
            metric(&handled, "Conflicts"),
            metric(&handled, "Commits"),
            metric(&handled, "CommitFailures")
        ),
        (1.0, 1.0, 0.0)
    );
}

#[tokio::test]
async fn degraded_outcomes_are_told_by_tier() {
    let world = world(250);
    world.faults.at(Op::LoadProfiles, ALWAYS, Fault::Before(throttled()));
    // A card's first event has no history either: there is nothing to score it by.
    let handled = world
        .run(&[transaction("e1", "a"), transaction("e2", "b"), transaction("e3", "a")])
        .await;
    assert_eq!(metric(&handled, "Degraded"), 3.0);
    let lines = lines(&handled);
    let of_tier = |tier: &str| lines.iter().find(|line| line["tier"] == tier).unwrap();
    assert_eq!(of_tier("neutral")["Degraded"], 2.0);
    let by_tier = of_tier("no_profile");
    assert_eq!(by_tier["Degraded"], 1.0);
    assert_eq!(
        by_tier["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
        json!([["function", "tier"]])
    );
}

#[tokio::test]
async fn unknown_fields_are_counted() {
    let world = world(250);
    let mut event = transaction("e1", "a");
    event["mood"] = json!("fine");
    let handled = world.run(&[event]).await;
    assert_eq!(
        (metric(&handled, "UnknownFields"), metric(&handled, "Scored")),
        (1.0, 1.0)
    );
}

fn stamp() -> Stamp {
    Stamp::new(ARRIVAL_MS, "on-call", "a test").unwrap()
}

#[tokio::test]
async fn an_override_is_counted() {
    let world = world(250);
    let block = Override {
        card_id: CardId::new("a").unwrap(),
        action: OverrideAction::Block,
        until_ms: i64::MAX,
        stamp: stamp(),
    };
    world
        .plane
        .set(OVERRIDES, Some(Overrides::new(1, vec![block]).to_fields(&stamp())));
    let handled = world.run(&[transaction("e1", "a"), transaction("e2", "b")]).await;
    assert_eq!((metric(&handled, "Overridden"), metric(&handled, "Alerts")), (1.0, 1.0));
}

#[tokio::test]
async fn rules_are_counted_together_and_once_more_each_by_its_name() {
    let rules = "[[rules]]\nname = \"all\"\nwhen = \"true\"\nthen = \"review\"\nreason = \"All\"\n\
                 [[rules]]\nname = \"watched\"\nwhen = \"true\"\nthen = \"alert\"\nreason = \"All\"\nmode = \"observe\"\n\
                 [[rules]]\nname = \"broken\"\nwhen = \"1 / (score - score) > 0\"\nthen = \"pass\"\nreason = \"Divides\"\n";
    let policy = Policy::parse(&format!("{}{rules}", Policy::default_text()), "rules.toml").unwrap();
    let world = world_by(250, EngineConfig::default(), policy);
    let handled = world.run(&[transaction("e1", "a"), transaction("e2", "b")]).await;
    let all = ["RulesHeld", "RulesObserved", "RulesUndefined", "Reviews"].map(|name| metric(&handled, name));
    assert_eq!(all, [2.0; 4]);
    let lines = lines(&handled);
    let of = |rule: &str, name: &str| {
        let line = lines.iter().find(|line| line["rule"] == rule).unwrap();
        line[name].clone()
    };
    assert_eq!(of("all", "RulesHeld"), json!(2.0));
    assert_eq!(of("watched", "RulesObserved"), json!(2.0));
    assert_eq!(
        (of("broken", "RulesUndefined"), of("broken", "RulesHeld")),
        (json!(2.0), Value::Null)
    );
}

#[tokio::test]
async fn trials_of_a_candidate_are_counted_with_their_flips_and_losses() {
    let world = world(250);
    // What is a pass to the active policy is often an alert to the candidate.
    let text = Policy::default_text()
        .replace("version = 1\n", "version = 2\n")
        .replace("alert = 800", "alert = 20")
        .replace("review = 600", "review = 10");
    let published = PolicyVersion {
        version: 2,
        text,
        stamp: stamp(),
    };
    world.plane.set(&policy_key(2), Some(published.to_fields()));
    let own = PolicyVersion {
        version: 1,
        text: Policy::default_text().to_owned(),
        stamp: stamp(),
    };
    world.plane.set(&policy_key(1), Some(own.to_fields()));
    let pointer = ActivePointer {
        rollout: Some(Rollout {
            candidate: 2,
            share_pct: 100,
        }),
        ..ActivePointer::activated(None, 1, stamp())
    };
    world.plane.set(ACTIVE, Some(pointer.to_fields()));
    let mut loud = transaction("e2", "a");
    loud["amount_minor"] = json!(90_000_000);
    loud["occurred_at_ms"] = json!(ARRIVAL_MS - 500);
    let mut events: Vec<Value> = (0..8).map(|at| transaction(&format!("quiet-{at}"), "a")).collect();
    events.push(loud);
    let of = |handled: &Handled| ["Trials", "TrialsLost"].map(|name| metric(handled, name));
    let handled = world.run(&events).await;
    assert_eq!(of(&handled), [9.0, 0.0]);
    assert!(metric(&handled, "TrialFlips") > 0.0);
    world.faults.at(Op::PutTrials, ALWAYS, Fault::Before(throttled()));
    world.clock.advance(1_000);
    let lost = world.run(&[transaction("e9", "b")]).await;
    assert_eq!(of(&lost), [1.0, 1.0]);
}

#[tokio::test]
async fn segments_of_a_hot_card_are_counted() {
    // Nothing stays warm, so that the second batch has to read what the first one sealed.
    let config = EngineConfig {
        cache_cards_max: 0,
        ..EngineConfig::default()
    };
    let world = world_with(1_000, config);
    let event = |at: i64| {
        let mut event = transaction(&format!("e{at}"), "hot");
        event["occurred_at_ms"] = json!(ARRIVAL_MS - 10_000 + at);
        event
    };
    let events: Vec<Value> = (0..450).map(event).collect();
    let of = |handled: &Handled| {
        ["Scored", "Duplicate", "SegmentsWritten", "SegmentsRead"].map(|name| metric(handled, name))
    };
    let [scored, _, written, read] = of(&world.run(&events).await);
    assert!(written > 0.0, "more than a head holds");
    assert_eq!((scored, read), (450.0, 0.0));
    let again = of(&world.run(&events[..1]).await);
    assert_eq!(again[..3], [0.0, 1.0, 0.0]);
    assert!(again[3] > 0.0);
}

#[tokio::test]
async fn what_labels_teach_keys_is_counted_and_so_is_what_they_do_not() {
    let keys = "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let with_keys = Policy::parse(&format!("{}{keys}", Policy::default_text()), "keys.toml").unwrap();
    // Nothing of a key stays warm.
    let config = EngineConfig {
        key_max_age_ms: 0,
        ..EngineConfig::default()
    };
    let world = world_by(1_000, config, with_keys);
    let label = |event: &str| {
        json!({"schema": "label", "version": 1, "event_id": event, "card_id": "a", "verdict": "fraud",
            "known_since_ms": ARRIVAL_MS})
    };
    let of = |handled: &Handled| ["KeyWrites", "KeysUnread", "LabelsUntaught"].map(|name| metric(handled, name));
    assert_eq!(
        of(&world.run(&[transaction("e1", "a"), label("e1")]).await),
        [1.0, 0.0, 0.0]
    );
    // Its event lies a year before the newest that the merchant's history has.
    let mut old = label("old");
    old["version"] = json!(2);
    old["merchant_id"] = transaction("e1", "a")["merchant_id"].clone();
    old["occurred_at_ms"] = json!(ARRIVAL_MS - 800 * 86_400_000_i64);
    world.run(&[old.clone()]).await;
    old["known_since_ms"] = json!(ARRIVAL_MS - 1);
    assert_eq!(of(&world.run(&[old]).await), [0.0, 0.0, 1.0]);
    world.faults.at(Op::LoadKeys, ALWAYS, Fault::Before(throttled()));
    assert_eq!(of(&world.run(&[transaction("e2", "a")]).await), [0.0, 1.0, 0.0]);
}

#[tokio::test]
async fn a_policy_that_says_how_often_it_decides_is_held_against_it() {
    let expected = "\n[expected]\nalert_share = 0.25\nreview_share = 0.5\n";
    let policy = Policy::parse(&format!("{}{expected}", Policy::default_text()), "expected.toml").unwrap();
    let (expecting, silent) = (world_by(1_000, EngineConfig::default(), policy), world(1_000));
    let events = [transaction("e1", "a"), transaction("e2", "b"), transaction("e3", "c")];
    let of = |handled: &Handled| ["Scored", "AlertsExpected", "ReviewsExpected"].map(|name| metric(handled, name));
    assert_eq!(of(&expecting.run(&events).await), [3.0, 0.75, 1.5]);
    // Of what counted before, nothing is expected once more.
    assert_eq!(of(&expecting.run(&events).await), [0.0, 0.0, 0.0]);
    assert_eq!(of(&silent.run(&events).await), [3.0, 0.0, 0.0]);
}

#[tokio::test]
async fn labels_are_told_where_the_policy_learns_from_them() {
    let keys = "\n[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
    let with_keys = Policy::parse(&format!("{}{keys}", Policy::default_text()), "keys.toml").unwrap();
    let label = json!({"schema": "label", "version": 1, "event_id": "e1", "card_id": "a", "verdict": "fraud",
        "known_since_ms": ARRIVAL_MS});
    let learning = world_by(1_000, EngineConfig::default(), with_keys);
    let handled = learning.run(&[transaction("e1", "a"), label.clone()]).await;
    assert_eq!(metric(&handled, "Labels"), 1.0);
    assert_eq!(
        metric(&learning.run(std::slice::from_ref(&label)).await, "Labels"),
        1.0,
        "known already"
    );
    assert_eq!(metric(&learning.run(&[transaction("e2", "a")]).await, "Labels"), 0.0);
    let other = world(1_000).run(&[transaction("e1", "a"), label]).await;
    assert!(lines(&other)[0].get("Labels").is_none(), "nobody waits for labels");
}
