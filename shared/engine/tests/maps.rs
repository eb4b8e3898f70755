//! Published maps in the engine: the map in force when a record arrived judges it, whoever judges it and whenever.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{Record, START_MS, World, records, tx};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_domain::control::Stamp;
use tidemark_domain::control::maps::{MAP_COPY_MS, MAP_LEAD_MS, MAPS, MapText, MapTimeline, MapVersion, map_key};
use tidemark_domain::mapped::{MapsInForce, RecordMap};
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::control::{Control, ControlConfig, ControlProblem, MapReader, UnusableMap};
use tidemark_engine::memory::{ManualClock, MemoryControl, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::port::PortError;
use tidemark_engine::{BatchReport, Directives, InRecord, Returned, Steered};

const FAR_MS: i64 = START_MS + 3_600_000_000;
/// A map that gives events the id `v1-…`, and refuses what has the kind `odd`.
const V1: &str = "v1- odd";
/// The same with `v2-…`; it refuses nothing.
const V2: &str = "v2- -";

/// A map of tests: a prefix of ids, and a kind that it refuses.
#[derive(Debug)]
struct Prefixed {
    prefix: String,
    refuses: String,
}

impl RecordMap for Prefixed {
    fn event_of(&self, object: &Value) -> Result<Vec<u8>, String> {
        if object["kind"] == self.refuses.as_str() {
            return Err("unknown_value: column \"kind\": none that the map lists".to_owned());
        }
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        Ok(tx(&text("card"), &format!("{}{}", self.prefix, text("id")), 10, 500))
    }
}

/// Reads maps of tests; where there is no salt, none.
struct Reader {
    is_salted: bool,
}

impl MapReader for Reader {
    fn read(&self, map: &MapText) -> Result<Arc<dyn RecordMap>, UnusableMap> {
        if !self.is_salted {
            return Err(UnusableMap::NoSalt);
        }
        let (prefix, refuses) = map.text.split_once(' ').unwrap();
        Ok(Arc::new(Prefixed {
            prefix: prefix.to_owned(),
            refuses: refuses.to_owned(),
        }))
    }
}

type MemorySteered = Steered<MemoryStore, MemorySink, MemoryQuarantine, ManualClock, MemoryControl>;

fn process(world: &World, plane: &MemoryControl, is_salted: bool) -> MemorySteered {
    let control = Control::new(plane.clone(), Arc::clone(&world.policy), ControlConfig::default());
    let control = control.with_maps(Arc::new(Reader { is_salted }));
    Steered::new(world.engine(), control, world.clock.clone())
}

fn run(steered: &MemorySteered, records: &[Record]) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let run = async {
        let directives = steered.ready().await;
        steered.process_by(&batch, FAR_MS, directives).await
    };
    run.now_or_never().unwrap()
}

fn stamp(at_ms: i64) -> Stamp {
    Stamp::new(at_ms, "on-call", "a test").unwrap()
}

fn publish(plane: &MemoryControl, text: &str) -> MapVersion {
    let version = MapVersion::of(text);
    let map = MapText {
        version,
        text: text.to_owned(),
        salt_mark: None,
        stamp: stamp(START_MS),
    };
    plane.set(&map_key(version), Some(map.to_fields()));
    version
}

fn put(plane: &MemoryControl, timeline: &MapTimeline, at_ms: i64) {
    plane.set(MAPS, Some(timeline.to_fields(&stamp(at_ms))));
}

/// A record of the producer's own shape.
fn own(number: u32, arrival_ms: i64, kind: &str) -> Record {
    let object = json!({ "card": "a", "id": number.to_string(), "kind": kind });
    Record {
        sequence_number: (100 + number).to_string(),
        data: object.to_string().into_bytes(),
        arrival_ms,
    }
}

/// Events that count, by their ids.
fn counted(world: &World) -> Vec<String> {
    let outcomes = world.outcomes();
    let ids = outcomes.values().map(|bytes| {
        let outcome: Value = serde_json::from_slice(bytes).unwrap();
        outcome["event_id"].as_str().unwrap().to_owned()
    });
    ids.collect()
}

/// V1 in force from the beginning, V2 an hour later.
struct Changed {
    world: World,
    plane: MemoryControl,
    first: MapTimeline,
    both: MapTimeline,
    /// When V2 was activated, and since when it is in force.
    changed_ms: i64,
    since_ms: i64,
}

fn changed() -> Changed {
    let (world, plane) = (World::new(), MemoryControl::default());
    let (v1, v2) = (publish(&plane, V1), publish(&plane, V2));
    let first = MapTimeline::default()
        .activated(Some(v1), START_MS - MAP_LEAD_MS)
        .unwrap();
    let changed_ms = START_MS + 3_600_000;
    let both = first.activated(Some(v2), changed_ms).unwrap();
    put(&plane, &first, START_MS);
    Changed {
        world,
        plane,
        first,
        both,
        changed_ms,
        since_ms: changed_ms + MAP_LEAD_MS,
    }
}

#[test]
fn a_record_of_its_producers_shape_becomes_the_event_of_the_map_in_force_when_it_arrived() {
    let it = changed();
    let steered = process(&it.world, &it.plane, true);
    put(&it.plane, &it.both, it.changed_ms);
    it.world.clock.set(it.since_ms + 1_000);
    let batch = [
        own(1, START_MS, "x"),
        own(2, it.since_ms - 1, "x"),
        own(3, it.since_ms, "x"),
    ];
    assert_eq!(run(&steered, &batch).scored, 3);
    assert_eq!(counted(&it.world), ["v1-1", "v1-2", "v2-3"]);
    let again = run(&process(&it.world, &it.plane, true), &batch);
    assert_eq!(
        (again.scored, again.duplicate),
        (0, 3),
        "a redrive over the change counts nothing twice"
    );
}

#[test]
fn an_old_copy_judges_nothing_that_a_newer_activation_may_judge_and_a_redrive_counts_nothing_twice() {
    let it = changed();
    let steered = process(&it.world, &it.plane, true);
    it.world.clock.set(it.changed_ms);
    let before = [own(1, it.changed_ms - 1, "x"), own(2, it.changed_ms + MAP_COPY_MS, "x")];
    assert_eq!(run(&steered, &before).scored, 2);
    // V2 is activated, and this process can't read the control plane any more.
    put(&it.plane, &it.both, it.changed_ms);
    it.plane.fail(Some(PortError::Unavailable("down".to_owned())));
    it.world.clock.set(it.since_ms + 60_000);
    let after = [own(3, it.since_ms + 50_000, "x")];
    let held = run(&steered, &after);
    assert_eq!(held.returned, [(Returned::MapUnready, 1)].into());
    assert_eq!(held.retry_from.as_deref(), Some("103"));
    assert!(it.world.quarantined().is_empty(), "nothing is refused by a guess");
    // What is the contract's own goes on meanwhile.
    let mut plain = records([tx("b", "b1", 10, 500)]);
    plain[0].arrival_ms = it.since_ms + 50_000;
    assert_eq!(run(&steered, &plain).scored, 1);
    // It catches up by itself.
    it.plane.fail(None);
    it.world.clock.advance(10_000);
    assert_eq!(run(&steered, &after).scored, 1);
    let all: Vec<Record> = before.into_iter().chain(after).collect();
    let redriven = run(&process(&it.world, &it.plane, true), &all);
    assert_eq!((redriven.scored, redriven.duplicate), (0, 3));
    assert_eq!(counted(&it.world), ["b1", "v1-1", "v1-2", "v2-3"]);
}

/// What the rule by arrival is for: a redrive that judged by the newest map would count the same record as another event. The tests above
/// are not blind to it.
#[test]
fn judged_by_the_newest_map_instead_a_redrive_counts_twice() {
    let it = changed();
    let batch = [own(1, START_MS, "x")];
    assert_eq!(run(&process(&it.world, &it.plane, true), &batch).scored, 1);
    let v2 = MapVersion::of(V2);
    let newest = MapTimeline::default().activated(Some(v2), 0).unwrap();
    let map: Arc<dyn RecordMap> = Arc::new(Prefixed {
        prefix: "v2-".to_owned(),
        refuses: String::new(),
    });
    let maps = MapsInForce::new(Arc::new(newest), Arc::new(BTreeMap::from([(v2, map)])), i64::MAX);
    let directives = Directives {
        maps: Some(maps),
        ..Directives::standing(Arc::clone(&it.world.policy))
    };
    let batch: Vec<InRecord<'_>> = batch.iter().map(Record::as_in).collect();
    let engine = it.world.engine();
    let redriven = engine.process_by(&batch, FAR_MS, directives).now_or_never().unwrap();
    assert_eq!(redriven.scored, 1, "the damage is there to be found");
    assert_eq!(counted(&it.world), ["v1-1", "v2-1"]);
}

#[test]
fn without_an_activation_the_contract_judges_alone_however_old_the_copy() {
    let it = changed();
    it.plane.set(MAPS, None);
    let steered = process(&it.world, &it.plane, true);
    let report = run(&steered, &[own(1, START_MS, "x")]);
    assert_eq!(report.quarantined, [(RefusalCode::MissingField, 1)].into());
    it.plane.fail(Some(PortError::Unavailable("down".to_owned())));
    it.world.clock.set(it.since_ms);
    let report = run(&steered, &[own(2, it.since_ms, "x")]);
    assert_eq!(report.quarantined, [(RefusalCode::MissingField, 1)].into());
}

#[test]
fn what_is_a_schema_of_the_contract_no_map_sees() {
    let it = changed();
    let steered = process(&it.world, &it.plane, true);
    let broken = br#"{"schema":"transaction","version":1,"card":"a","id":"7"}"#;
    let report = run(
        &steered,
        &records([tx("a", "a1", 10, 500), broken.to_vec(), b"[1]".to_vec()]),
    );
    assert_eq!(report.scored, 1);
    let expected = [(RefusalCode::MissingField, 1), (RefusalCode::NotJson, 1)];
    assert_eq!(report.quarantined, expected.into());
}

#[test]
fn a_refusal_of_a_map_says_its_code_and_a_mend_judges_what_was_refused_and_nothing_else() {
    let it = changed();
    let steered = process(&it.world, &it.plane, true);
    let batch = [own(1, START_MS, "x"), own(2, START_MS, "odd")];
    let report = run(&steered, &batch);
    assert_eq!(report.scored, 1);
    assert_eq!(report.quarantined, [(RefusalCode::Unmapped, 1)].into());
    let detail = it.world.quarantine.messages()[0].detail.clone();
    let v1 = MapVersion::of(V1);
    assert_eq!(
        detail,
        format!("map {v1}: unknown_value: column \"kind\": none that the map lists")
    );
    let mended = it.first.mended(Some(v1), MapVersion::of(V2)).unwrap();
    put(&it.plane, &mended, START_MS);
    let redriven = run(&process(&it.world, &it.plane, true), &batch);
    assert_eq!((redriven.scored, redriven.duplicate), (1, 1));
    assert_eq!(counted(&it.world), ["v1-1", "v2-2"]);
}

#[test]
fn a_rollback_is_an_activation_and_leaves_what_arrived_before_as_it_was() {
    let it = changed();
    let back_ms = it.since_ms + 600_000;
    let back = it.both.activated(Some(MapVersion::of(V1)), back_ms).unwrap();
    put(&it.plane, &back, back_ms);
    let steered = process(&it.world, &it.plane, true);
    it.world.clock.set(back_ms + MAP_LEAD_MS);
    let batch = [
        own(1, it.since_ms - 1, "x"),
        own(2, back_ms + MAP_LEAD_MS - 1, "x"),
        own(3, back_ms + MAP_LEAD_MS, "x"),
    ];
    assert_eq!(run(&steered, &batch).scored, 3);
    assert_eq!(counted(&it.world), ["v1-1", "v1-3", "v2-2"]);
}

#[test]
fn a_map_without_its_salt_fails_the_batch_and_loses_nothing() {
    let it = changed();
    let batch = [own(1, START_MS, "x")];
    let steered = process(&it.world, &it.plane, false);
    assert_eq!(run(&steered, &batch).returned, [(Returned::MapUnready, 1)].into());
    assert!(it.world.quarantined().is_empty());
    let problems = steered.status(START_MS).problems;
    assert!(
        matches!(
            &problems[..],
            [ControlProblem::Map {
                why: UnusableMap::NoSalt,
                ..
            }]
        ),
        "{problems:?}"
    );
    assert_eq!(run(&process(&it.world, &it.plane, true), &batch).scored, 1);
}

#[test]
fn a_broken_timeline_is_no_guess() {
    let it = changed();
    let mut fields = it.first.to_fields(&stamp(START_MS));
    fields.remove("list");
    it.plane.set(MAPS, Some(fields));
    let report = run(&process(&it.world, &it.plane, true), &[own(1, START_MS, "x")]);
    assert_eq!(report.returned, [(Returned::MapUnready, 1)].into());
}
