//! A batch in fair weather: ends, order, duplicates, profiles, labels, poison.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::id::fingerprint32;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::report::CacheCounts;
use tidemark_engine::{BatchReport, End};

#[test]
fn events_of_several_cards_are_scored_once_each_and_equal_the_fold() {
    let world = World::new();
    let batch = records((0..40).map(|n| tx(&format!("card-{}", n % 4), &format!("e{n}"), 4_000 - n * 60, 1_000)));
    let report = world.run(&batch);
    assert_eq!((report.scored, report.retry_from.as_deref()), (40, None));
    assert_eq!(report.ends, vec![End::Scored; 40]);
    assert_eq!(
        (report.commits, report.outcomes_sent),
        (4, 40),
        "one write for each card and batch"
    );
    assert_eq!(report.decisions.values().sum::<u64>(), 40);
    assert_eq!(report.tiers.values().sum::<u64>(), 40);
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn units_are_summed_from_every_call() {
    let world = World::new();
    let batch = records([tx("a", "e1", 60, 100), tx("b", "e2", 50, 100), profile("c", 1, 100.0)]);
    let report = world.run(&batch);
    // Two states and one profile written; two states and two profiles read, each under 4 KiB.
    assert!((report.units.write - 3.0).abs() < 1e-9, "{:?}", report.units);
    assert!((report.units.read - 2.0).abs() < 1e-9, "{:?}", report.units);
}

#[test]
fn a_duplicate_gets_the_first_outcome_in_the_same_batch_and_in_a_later_one() {
    let world = World::new();
    let first = records([
        tx("a", "e1", 60, 100),
        tx("a", "e2", 50, 90_000),
        tx("a", "e1", 60, 100),
    ]);
    let report = world.run(&first);
    assert_eq!(report.ends, [End::Scored, End::Scored, End::Duplicate]);
    let version = world.store.state(&card("a")).unwrap().version;
    let report = world.run(&records([tx("a", "e2", 50, 90_000)]));
    assert_eq!((report.duplicate, report.commits, report.outcomes_sent), (1, 0, 1));
    assert_eq!(
        world.store.state(&card("a")).unwrap().version,
        version,
        "a duplicate writes nothing"
    );
    assert_eq!(world.sink.outcomes().len(), 4);
    assert_as_expected(&world, &expect(&first, &world.policy));
}

/// Ids of which the lower halves of the fingerprints are equal.
fn colliding_ids() -> (String, String) {
    let mut seen = std::collections::HashMap::new();
    for number in 0..1_000_000 {
        let id = format!("tx-{number:08}");
        if let Some(other) = seen.insert(fingerprint32(&id), id.clone()) {
            return (other, id);
        }
    }
    panic!("no two of a million ids share 32 bits")
}

#[test]
fn two_events_of_one_millisecond_count_though_their_ids_share_half_a_fingerprint() {
    let (first, second) = colliding_ids();
    // In one batch, and in two that two processes take.
    for batches in [1, 2] {
        let world = World::new();
        let batch = records([tx("a", &first, 60, 100), tx("a", &second, 60, 9_999_900)]);
        let (one, two) = batch.split_at(batch.len() / batches);
        let mut ends = world.run(one).ends;
        ends.extend(world.run(two).ends);
        assert_eq!(ends, [End::Scored; 2]);
        assert_eq!(world.run(&batch).ends, [End::Duplicate; 2]);
        assert_as_expected(&world, &expect(&batch, &world.policy));
    }
}

#[test]
fn a_warm_engine_reads_nothing_and_writes_straight_away() {
    let world = World::new();
    let engine = world.engine();
    run(&engine, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    let report = run(&engine, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    assert_eq!(
        report.cache,
        CacheCounts {
            state_hits: 1,
            profile_hits: 1,
            ..CacheCounts::default()
        }
    );
    assert!(report.units.read == 0.0, "{:?}", report.units);
    assert_eq!((report.scored, report.conflicts, report.commits), (1, 0, 1));
}

#[test]
fn poison_in_the_middle_goes_to_quarantine_and_the_rest_goes_on() {
    let world = World::new();
    let secret = br#"{"schema":"transaction","version":2,"card_id":"4111 1111 1111 1111"}"#.to_vec();
    let batch = records([
        tx("a", "e1", 60, 100),
        b"not json".to_vec(),
        tx("a", "e2", 50, 100),
        b"\xff\xfe".to_vec(),
        tx("a", "e3", 40, 0),
        secret,
        tx("a", "e4", 30, 100),
    ]);
    let report = world.run(&batch);
    assert_eq!(
        (report.scored, report.quarantined_total(), report.retry_from.as_deref()),
        (3, 4, None)
    );
    assert_as_expected(&world, &expect(&batch, &world.policy));
    let codes: Vec<RefusalCode> = world.quarantine.messages().iter().map(|message| message.code).collect();
    assert_eq!(
        codes[..3],
        [
            RefusalCode::NotJson,
            RefusalCode::NotUtf8,
            RefusalCode::AmountNotPositive
        ]
    );
    let masked = &world.quarantine.messages()[3];
    assert!(
        masked.masked && !serde_json::to_string(masked).unwrap().contains("NDExMSAxMTEx"),
        "base64 of the number"
    );
}

#[test]
fn a_newer_profile_wins_and_counts_from_its_place_in_the_stream_on() {
    let world = World::new();
    let batch = records([
        tx("a", "e1", 60, 100),
        profile("a", 2, 5_000.0),
        tx("a", "e2", 50, 100),
        profile("a", 1, 9_000.0),
        tx("a", "e3", 40, 100),
        profile("a", 3, 7_000.0),
        tx("a", "e4", 30, 100),
    ]);
    let report = world.run(&batch);
    assert_eq!(
        (report.scored, report.applied, report.duplicate),
        (4, 2, 1),
        "an older profile changes nothing"
    );
    let outcomes = world.outcomes();
    let versions: Vec<serde_json::Value> = ["e1", "e2", "e3", "e4"]
        .map(|event| serde_json::from_slice::<serde_json::Value>(&outcomes[event]).unwrap()["profile_version"].clone())
        .into();
    assert_eq!(serde_json::to_string(&versions).unwrap(), "[null,2,2,3]");
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_warm_profile_is_read_again_after_its_age() {
    let world = World::new();
    let engine = world.engine();
    run(&engine, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    world.clock.advance(world.config.profile_max_age_ms);
    let report = run(&engine, &records([tx("a", "e2", 50, 100)]), FAR_MS).unwrap();
    assert_eq!((report.cache.state_hits, report.cache.profile_misses), (1, 1));
}

#[test]
fn a_label_is_recorded_on_its_event_and_one_without_event_is_quarantined() {
    let world = World::new();
    let batch = records([
        tx("a", "e1", 60, 100),
        label("a", "e1"),
        label("a", "e1"),
        label("a", "e9"),
    ]);
    let report = world.run(&batch);
    let refused = End::Quarantined(RefusalCode::LabelWithoutEvent);
    assert_eq!(report.ends, [End::Scored, End::Applied, End::Duplicate, refused]);
    assert_as_expected(&world, &expect(&batch, &world.policy));
}

#[test]
fn a_refusal_because_of_history_is_never_decided_on_a_stale_copy() {
    let world = World::new();
    let stale = world.engine();
    run(&stale, &records([tx("a", "e1", 60, 100)]), FAR_MS).unwrap();
    // Another worker adds e2; the first one's copy does not have it when e2's label comes.
    world.run(&records([tx("a", "e2", 50, 100)]));
    let report = run(&stale, &records([label("a", "e2")]), FAR_MS).unwrap();
    assert_eq!(
        (report.applied, report.conflicts, report.quarantined_total()),
        (1, 1, 0)
    );
}

#[test]
fn an_empty_batch_is_whole() {
    let world = World::new();
    assert_eq!(world.run(&[]), BatchReport::default());
    assert!(world.faults.calls().is_empty());
}

#[test]
fn unknown_fields_are_counted() {
    let world = World::new();
    let mut value: serde_json::Value = serde_json::from_slice(&tx("a", "e1", 60, 100)).unwrap();
    value["new_field"] = 1.into();
    value["other_field"] = "x".into();
    let report = world.run(&records([serde_json::to_vec(&value).unwrap()]));
    assert_eq!((report.scored, report.unknown_fields), (1, 2));
}

#[test]
fn a_batch_over_the_limit_is_cut_and_the_rest_comes_again() {
    let world = World::new();
    let batch = records((0..10_001).map(|_| tx("a", "e1", 60, 100)));
    let report = world.run(&batch);
    assert_eq!(
        (report.scored, report.duplicate, report.returned_total()),
        (1, 9_999, 1)
    );
    assert_eq!(report.retry_from.as_deref(), Some("10095"));
}

#[test]
fn the_future_may_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    let world = World::new();
    let engine = world.engine();
    assert_send(&engine.process(&[], 0));
}
