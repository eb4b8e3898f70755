//! Batches with aggregated records: the user record is what is ordered, counted, scored, refused and returned.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_domain::contract::aggregate::{AGGREGATE_USER_RECORDS_MAX, Aggregator, PackedRecord};
use tidemark_domain::refusal::RefusalCode::{AggregateDigest, NotJson, NotUtf8};
use tidemark_engine::config::{BATCH_RECORDS_MAX, BATCH_USER_RECORDS_MAX};
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{PortError, QuarantineMessage};
use tidemark_engine::record::OfAggregate;
use tidemark_engine::{End, InRecord, Returned};

/// Records as a KPL producer would send them: so many payloads in each, all under one key; 1 leaves a payload plain.
fn packed(payloads: &[Vec<u8>], sizes: &[usize]) -> Vec<Record> {
    let mut rest = payloads;
    let mut sizes = sizes.iter().cycle();
    let mut packs = Vec::new();
    while !rest.is_empty() {
        let (pack, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        rest = after;
        packs.push(if pack.len() == 1 {
            pack[0].clone()
        } else {
            aggregate(pack)
        });
    }
    // As if all came in the same second, so that what arrival decides does not depend on the packing.
    let mut records = records(packs);
    records.iter_mut().for_each(|record| record.arrival_ms = START_MS);
    records
}

fn aggregate(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut aggregator = Aggregator::new();
    for (at, data) in payloads.iter().enumerate() {
        let user = PackedRecord {
            partition_key: &format!("key-{at}"),
            explicit_hash_key: None,
            data,
        };
        assert!(aggregator.push(&user, usize::MAX));
    }
    aggregator.finish()
}

/// Three cards, their events mixed; profiles, labels, duplicates and poison among them.
fn payloads() -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for round in 0..8_i64 {
        for card in ["a", "b", "c"] {
            payloads.push(tx(card, &format!("{card}{round}"), 5_000 - round * 300, 1_000));
        }
        payloads.push(match round % 4 {
            0 => profile("a", round as u64 + 1, 900.0),
            1 => label("b", &format!("b{}", round - 1)),
            2 => tx("c", &format!("c{}", round - 2), 5_000 - (round - 2) * 300, 1_000),
            _ => b"poison".to_vec(),
        });
    }
    payloads
}

fn ends_of(payloads: &[Vec<u8>]) -> (World, Vec<End>) {
    let world = World::new();
    let report = world.run(&packed(payloads, &[1]));
    (world, report.ends)
}

#[test]
fn however_events_are_packed_each_ends_as_if_it_came_alone() {
    let payloads = payloads();
    let (plain, ends) = ends_of(&payloads);
    for sizes in [&[2][..], &[32], &[1, 5], &[3, 1, 7], &[31, 1]] {
        let world = World::new();
        let records = packed(&payloads, sizes);
        let report = world.run(&records);
        assert_eq!(report.ends, ends, "{sizes:?}");
        assert_eq!(report.retry_from, None);
        let per_record: Vec<usize> = report.ends_by_record().map(<[End]>::len).collect();
        assert_eq!(per_record.len(), records.len());
        assert!(per_record.iter().zip(sizes.iter().cycle()).all(|(is, size)| is <= size));
        assert_eq!(world.states(), plain.states(), "{sizes:?}");
        assert_eq!(
            world.sink.outcomes(),
            plain.sink.outcomes(),
            "{sizes:?}: the same outcomes in the same order"
        );
    }
}

#[test]
fn a_refused_user_record_is_quarantined_alone_and_named() {
    let world = World::new();
    let batch = packed(
        &[tx("a", "e1", 60, 100), b"poison".to_vec(), tx("a", "e2", 50, 100)],
        &[3],
    );
    let report = world.run(&batch);
    assert_eq!(report.ends, [End::Scored, End::Quarantined(NotJson), End::Scored]);
    let messages = world.quarantine.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].sub_sequence_number, Some(1));
    assert_eq!(messages[0].record_partition_key.as_deref(), Some("key"));
    assert_eq!(
        (messages[0].sequence_number.as_str(), messages[0].partition_key.as_str()),
        ("95", "key-1")
    );
    assert_eq!(
        (
            messages[0].payload_bytes,
            STANDARD.decode(&messages[0].payload_base64).unwrap()
        ),
        (6, b"poison".to_vec())
    );
}

#[test]
fn an_aggregate_within_an_aggregate_is_refused_whichever_way_it_comes() {
    let inner = aggregate(&[tx("a", "in1", 60, 100), tx("a", "in2", 50, 100)]);
    let outer = aggregate(&[inner.clone(), tx("a", "e1", 40, 100)]);
    let world = World::new();
    let report = world.run(&records([outer]));
    assert_eq!(report.ends, [End::Quarantined(NotUtf8), End::Scored]);
    let live = world.quarantine.take();
    assert_eq!((live.len(), live[0].sub_sequence_number), (1, Some(0)));
    assert_eq!(live[0].payload_bytes, inner.len());
    // As a redrive of the quarantine hands it over: what was a user record stays one.
    let first = records([Vec::new()]).remove(0);
    let again = InRecord {
        partition_key: "key",
        of_aggregate: Some(OfAggregate {
            sub_sequence_number: 0,
            partition_key: "key-0",
        }),
        data: &inner,
        ..first.as_in()
    };
    let report = futures_util::FutureExt::now_or_never(world.engine().process(&[again], FAR_MS)).unwrap();
    assert_eq!(report.ends, [End::Quarantined(NotUtf8)]);
    assert_eq!(world.quarantine.take(), live, "and it says the same of itself");
    assert_eq!(world.outcomes().len(), 1);
}

#[test]
fn a_forged_or_cut_aggregate_is_quarantined_whole_and_the_shard_goes_on() {
    let world = World::new();
    let mut batch = packed(
        &[
            tx("a", "e1", 60, 100),
            tx("a", "e2", 50, 100),
            tx("b", "e3", 50, 100),
            tx("b", "e4", 40, 100),
        ],
        &[2],
    );
    batch[0].data.pop();
    let report = world.run(&batch);
    assert_eq!(
        report.ends,
        [End::Quarantined(AggregateDigest), End::Scored, End::Scored]
    );
    assert_eq!(report.ends_per_record, [1, 2]);
    let messages = world.quarantine.messages();
    assert_eq!(
        (
            messages.len(),
            messages[0].sub_sequence_number,
            messages[0].partition_key.as_str()
        ),
        (1, None, "key")
    );
    assert_eq!(STANDARD.decode(&messages[0].payload_base64).unwrap(), batch[0].data);
}

#[test]
fn a_quarantine_message_of_before_is_still_read() {
    let world = World::new();
    world.run(&packed(&[b"poison".to_vec()], &[1]));
    let json = serde_json::to_value(&world.quarantine.messages()[0]).unwrap();
    assert!(
        json.get("sub_sequence_number").is_none() && json.get("record_partition_key").is_none(),
        "a plain record's message is what it always was"
    );
    let read: QuarantineMessage = serde_json::from_value(json).unwrap();
    assert_eq!(read.sub_sequence_number, None);
}

#[test]
fn the_record_comes_again_while_any_of_its_user_records_must() {
    let world = World::new();
    let payloads = [
        tx("a", "e1", 60, 100),
        tx("b", "e2", 50, 100),
        tx("c", "e3", 40, 100),
        tx("b", "e4", 30, 100),
    ];
    let batch = packed(&payloads, &[1, 3]);
    let refused = PortError::Permanent("test".to_owned());
    world.faults.at(Op::Commit, 1..2, Fault::Before(refused));
    let report = world.run(&batch);
    let back = End::Returned(Returned::StoreRefused);
    assert_eq!(
        report.ends,
        [End::Scored, back, End::Scored, back],
        "b's later event waits (I4), c does not"
    );
    assert_eq!(report.retry_from.as_deref(), Some("96"));
    world.faults.clear();
    let report = world.run(&batch[1..]);
    assert_eq!(report.ends, [End::Scored, End::Duplicate, End::Scored]);
    let (plain, _) = ends_of(&payloads);
    assert_eq!((world.states(), world.outcomes()), (plain.states(), plain.outcomes()));
}

#[test]
fn the_same_aggregate_again_gives_duplicates_and_the_same_bytes() {
    let world = World::new();
    let batch = packed(&payloads(), &[8]);
    world.run(&batch);
    let (states, sent) = (world.states(), world.sink.take());
    let report = world.run(&batch);
    assert_eq!((report.scored, report.applied), (0, 0));
    assert_eq!(world.states(), states);
    assert_eq!(world.sink.outcomes(), sent);
}

/// A process that dies at any call: delivered again, the packed stream ends where the plain one does.
#[test]
fn a_crash_at_any_call_changes_nothing_in_the_end() {
    let payloads = payloads();
    let (plain, _) = ends_of(&payloads);
    let batch = packed(&payloads, &[5, 1, 9]);
    let calls = {
        let world = World::new();
        world.run(&batch);
        world.faults.calls().len() as u64
    };
    assert!(calls > 5);
    for call in 0..calls {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let world = World::new();
            world.faults.at_call(call, fault);
            assert!(run(&world.engine(), &batch, FAR_MS).is_none(), "it crashed");
            world.faults.clear();
            assert_eq!(world.run(&batch).retry_from, None);
            assert_eq!(
                (world.states(), world.outcomes()),
                (plain.states(), plain.outcomes()),
                "call {call}"
            );
        }
    }
}

#[test]
fn a_batch_of_too_many_user_records_stops_before_the_aggregate_that_is_too_much() {
    let world = World::new();
    let full = vec![b"x".to_vec(); AGGREGATE_USER_RECORDS_MAX];
    let fitting = BATCH_USER_RECORDS_MAX / AGGREGATE_USER_RECORDS_MAX;
    let mut payloads = vec![aggregate(&full); fitting];
    payloads[fitting - 1] = aggregate(&full[1..]);
    // One place is left: too little for two.
    payloads.push(aggregate(&full[..2]));
    payloads.push(b"x".to_vec());
    let batch = records(payloads);
    let report = world.run(&batch);
    assert_eq!(report.quarantined_total(), BATCH_USER_RECORDS_MAX as u64 - 1);
    let back = End::Returned(Returned::BatchLimit);
    assert_eq!(
        report.ends[BATCH_USER_RECORDS_MAX - 1..],
        [back, back],
        "not in halves, and nothing overtakes it"
    );
    assert_eq!(
        report.retry_from.as_deref(),
        Some(batch[fitting].sequence_number.as_str())
    );
    assert_eq!(world.run(&batch[fitting..]).retry_from, None);
}

#[test]
fn records_beyond_the_limit_of_a_batch_come_again() {
    let batch = records(vec![b"x".to_vec(); BATCH_RECORDS_MAX + 2]);
    let report = World::new().run(&batch);
    assert_eq!(report.quarantined_total(), BATCH_RECORDS_MAX as u64);
    assert_eq!(report.returned[&Returned::BatchLimit], 2);
    assert_eq!(
        report.retry_from.as_deref(),
        Some(batch[BATCH_RECORDS_MAX].sequence_number.as_str())
    );
}
