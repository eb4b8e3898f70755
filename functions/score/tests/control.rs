//! The handler under a control plane: a paused batch is held and given back whole, a change takes effect without a restart.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use score_function::handler::{PAUSE_MARGIN_MS, PAUSE_POLL_MS};
use score_function::{Handled, ScoreFunction};
use serde_json::{Value, json};
use tidemark_domain::control::item::{ACTIVE, Field, MODE, policy_key};
use tidemark_domain::control::maps::{MAP_LEAD_MS, MAPS, MapTimeline, MapVersion};
use tidemark_domain::control::{ActivePointer, Mode, PolicyVersion, Stamp};
use tidemark_domain::policy::Policy;
use tidemark_engine::control::{Control, ControlConfig};
use tidemark_engine::memory::{ManualClock, MemoryControl, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::{Engine, EngineConfig};

const START_MS: i64 = 1_760_000_000_000;
const TIMEOUT_MS: i64 = 60_000;

struct Fixture<C: Clock> {
    function: ScoreFunction<MemoryStore, MemorySink, MemoryQuarantine, C, MemoryControl>,
    plane: MemoryControl,
    sink: MemorySink,
}

fn fixture<C: Clock + Clone>(clock: C) -> Fixture<C> {
    let (plane, sink) = (MemoryControl::default(), MemorySink::default());
    let policy = Arc::new(Policy::default_policy());
    let engine = Engine::new(
        MemoryStore::default(),
        sink.clone(),
        MemoryQuarantine::default(),
        clock.clone(),
        Arc::clone(&policy),
        EngineConfig::default(),
    );
    let control = Control::new(plane.clone(), policy, ControlConfig::default());
    Fixture {
        function: ScoreFunction::controlled(engine, control, clock, "tidemark-score"),
        plane,
        sink,
    }
}

fn payload() -> String {
    let event = json!({
        "schema": "transaction", "version": 2, "event_id": "e1", "card_id": "card-1",
        "occurred_at_ms": START_MS - 1_000, "amount_minor": 1_250, "currency": "EUR", "merchant_id": "merchant-1",
        "mcc": 5411, "country": "FR", "channel": "point_of_sale", "approved": true,
    });
    let sequence_number = "49590338271490256608559692538361571095921575989136588898";
    json!({ "Records": [{
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "card-1", "sequenceNumber": sequence_number,
            "data": STANDARD.encode(event.to_string()), "approximateArrivalTimestamp": 1_760_000_000.0,
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record",
        "eventID": format!("shardId-000000000000:{sequence_number}"), "awsRegion": "eu-west-1",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/score",
        "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tidemark-transactions",
    }]})
    .to_string()
}

fn context(now_ms: i64) -> Context {
    let mut context = Context::default();
    context.deadline = u64::try_from(now_ms + TIMEOUT_MS).unwrap();
    context
}

fn property(handled: &Handled, name: &str) -> Value {
    let line: Value = serde_json::from_str(&handled.metrics[0].to_json()).unwrap();
    line[name].clone()
}

#[tokio::test]
async fn a_paused_batch_is_held_then_given_back_whole() {
    let clock = ManualClock::at(START_MS);
    let fixture = fixture(clock.clone());
    fixture.plane.set_mode(Mode::Paused, START_MS);
    let handled = fixture.function.handle(&payload(), &context(START_MS)).await;
    let answer = handled.answer.as_ref().unwrap();
    assert_eq!(answer.batch_item_failures.len(), 1, "{answer:?}");
    assert!(fixture.sink.outcomes().is_empty());
    assert_eq!(property(&handled, "mode"), "paused");
    assert_eq!(property(&handled, "Returned"), 1.0);
    let held_ms = clock.now_ms() - START_MS;
    let most_ms = TIMEOUT_MS - PAUSE_MARGIN_MS + i64::try_from(PAUSE_POLL_MS).unwrap();
    assert!(
        (TIMEOUT_MS - PAUSE_MARGIN_MS..=most_ms).contains(&held_ms),
        "{held_ms} ms"
    );
}

/// A manual clock that resumes the work while the batch is held.
#[derive(Clone)]
struct Resuming {
    clock: ManualClock,
    plane: Arc<std::sync::Mutex<Option<MemoryControl>>>,
}

impl Clock for Resuming {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    async fn sleep_ms(&self, duration_ms: u64) {
        self.clock.sleep_ms(duration_ms).await;
        if self.clock.now_ms() >= START_MS + 7_000 {
            let plane = self.plane.lock().unwrap().clone().unwrap();
            plane.set_mode(Mode::Live, START_MS);
        }
    }

    fn random(&self) -> u64 {
        self.clock.random()
    }
}

#[tokio::test]
async fn a_held_batch_is_done_as_soon_as_the_mode_changes() {
    let clock = Resuming {
        clock: ManualClock::at(START_MS),
        plane: Arc::default(),
    };
    let fixture = fixture(clock.clone());
    *clock.plane.lock().unwrap() = Some(fixture.plane.clone());
    fixture.plane.set_mode(Mode::Paused, START_MS);
    let handled = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert!(handled.answer.unwrap().batch_item_failures.is_empty());
    assert_eq!(fixture.sink.outcomes().len(), 1);
    assert_eq!(clock.now_ms() - START_MS, 8_000, "four looks");
}

#[tokio::test]
async fn a_change_takes_effect_in_a_warm_process_and_a_broken_item_is_told() {
    let clock = ManualClock::at(START_MS);
    let fixture = fixture(clock.clone());
    let live = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert_eq!(
        (property(&live, "mode"), property(&live, "policy_version")),
        (json!("live"), json!(1))
    );
    assert_eq!(
        (property(&live, "ControlProblems"), property(&live, "ControlAge")),
        (json!(0.0), json!(0.0))
    );
    fixture.plane.set_mode(Mode::Shadow, START_MS);
    clock.advance(10_000);
    let shadow = fixture.function.handle(&payload(), &context(clock.now_ms())).await;
    assert_eq!(
        (property(&shadow, "mode"), property(&shadow, "Withheld")),
        (json!("shadow"), json!(1.0))
    );
    let broken = [("mode".to_owned(), Field::Number("7".to_owned()))].into();
    fixture.plane.set(MODE, Some(broken));
    clock.advance(10_000);
    let still = fixture.function.handle(&payload(), &context(clock.now_ms())).await;
    assert_eq!(
        (property(&still, "mode"), property(&still, "ControlProblems")),
        (json!("shadow"), json!(1.0))
    );
    assert_eq!(property(&still, "ControlAge"), json!(10_000.0));
}

/// Publishes a policy of version 2 and puts it in force.
fn activate_second<C: Clock>(fixture: &Fixture<C>, text: &str) {
    let stamp = Stamp::new(START_MS, "on-call", "a test").unwrap();
    let published = PolicyVersion {
        version: 2,
        text: text.to_owned(),
        stamp: stamp.clone(),
    };
    fixture.plane.set(&policy_key(2), Some(published.to_fields()));
    let pointer = ActivePointer::activated(None, 2, stamp);
    fixture.plane.set(ACTIVE, Some(pointer.to_fields()));
}

#[tokio::test]
async fn a_policy_whose_model_of_trees_cannot_be_had_is_told_and_the_last_good_one_scores() {
    let clock = ManualClock::at(START_MS);
    let fixture = fixture(clock.clone());
    let first = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert_eq!(property(&first, "ModelProblems"), json!(0.0));
    let text = "version = 2\nwindows_minutes = [60]\nfeatures = [\"count_1h\"]\n[thresholds]\nreview = 400\nalert = 500\n\
                [trees]\nmodel = \"0123456789abcdef\"\n";
    activate_second(&fixture, text);
    clock.advance(10_000);
    let handled = fixture.function.handle(&payload(), &context(clock.now_ms())).await;
    assert!(handled.answer.as_ref().unwrap().batch_item_failures.is_empty());
    let told = ["policy_version", "ModelProblems", "ControlProblems"].map(|name| property(&handled, name));
    assert_eq!(told, [json!(1), json!(1.0), json!(1.0)]);
}

#[tokio::test]
async fn a_policy_whose_list_cannot_be_had_is_in_force_and_the_list_is_told() {
    let clock = ManualClock::at(START_MS);
    let fixture = fixture(clock.clone());
    let first = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert_eq!(property(&first, "ListProblems"), json!(0.0));
    let text = "version = 2\nwindows_minutes = [60]\nfeatures = [\"count_1h\"]\n[weights]\ncount_1h = 1.0\n[thresholds]\nreview = 400\n\
                alert = 500\n[[lists]]\nname = \"mules\"\nof = \"ids\"\n[[rules]]\nname = \"mule\"\n\
                when = \"event.merchant_id in lists.mules\"\nthen = \"alert\"\nreason = \"A mule\"\n";
    activate_second(&fixture, text);
    clock.advance(10_000);
    let handled = fixture.function.handle(&payload(), &context(clock.now_ms())).await;
    assert!(handled.answer.as_ref().unwrap().batch_item_failures.is_empty());
    let told = ["policy_version", "ListProblems"].map(|name| property(&handled, name));
    assert_eq!(told, [json!(2), json!(1.0)]);
}

#[tokio::test]
async fn a_published_map_that_cannot_be_had_is_told() {
    let clock = ManualClock::at(START_MS);
    let fixture = fixture(clock.clone());
    let first = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert_eq!(property(&first, "MapProblems"), json!(0.0));
    let missing = MapVersion::of("a text that nobody published");
    let timeline = MapTimeline::default().activated(Some(missing), START_MS - MAP_LEAD_MS);
    let stamp = Stamp::new(START_MS, "on-call", "a test").unwrap();
    fixture.plane.set(MAPS, Some(timeline.unwrap().to_fields(&stamp)));
    clock.advance(10_000);
    let handled = fixture.function.handle(&payload(), &context(clock.now_ms())).await;
    assert_eq!(property(&handled, "MapProblems"), json!(1.0));
}

#[tokio::test]
async fn a_process_that_cannot_learn_the_policy_gives_the_batch_back() {
    let fixture = fixture(ManualClock::at(START_MS));
    fixture.plane.fail(Some(PortError::Unavailable("down".to_owned())));
    let handled = fixture.function.handle(&payload(), &context(START_MS)).await;
    assert_eq!(handled.answer.unwrap().batch_item_failures.len(), 1);
    let report = handled.report.unwrap();
    assert_eq!(
        report.returned.keys().map(|cause| cause.as_str()).collect::<Vec<_>>(),
        ["control_unread"]
    );
    assert!(fixture.sink.outcomes().is_empty());
}
