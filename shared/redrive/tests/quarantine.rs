//! The quarantine: payloads as they came, judged as the first time; what is refused again is there anew before the old goes.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{Clock, PortError, QuarantineMessage};
use tidemark_redrive::limits::ASSEMBLY_BYTES_MAX;
use tidemark_redrive::memory::Op as Call;
use tidemark_redrive::{Request, Source, Stopped};

fn quarantine() -> Request {
    Request::new(Source::Quarantine)
}

/// A policy under which events of an hour ago are too late.
fn strict() -> Policy {
    let mut policy = Policy::default_policy();
    policy.bounds.lateness_ms = HOUR_MS;
    policy
}

/// A world in which two of three events were refused: one for good, one by a policy that is put right since.
fn refused() -> World {
    let mut world = World::with(strict());
    let now_ms = world.clock.now_ms();
    world.put(SHARD, 0, b"poison".to_vec());
    world.put(SHARD, 1, tx("card", "late", now_ms - 2 * HOUR_MS));
    world.put(SHARD, 2, tx("card", "good", now_ms));
    let report = world.live(SHARD, 0..=2);
    assert_eq!((report.scored, report.quarantined_total()), (1, 2));
    world.policy = std::sync::Arc::new(Policy::default_policy());
    world
}

#[test]
fn what_the_new_policy_takes_is_scored_and_the_rest_is_refused_anew() {
    let world = refused();
    world.clock.advance(3 * DAY_MS);
    let response = world.run(&quarantine(), 15 * MINUTE_MS);
    let account = response.account;
    assert_eq!((account.messages, account.expected), (2, 2));
    assert_eq!((account.scored, account.quarantined), (1, 1), "{response:?}");
    assert_eq!(world.counted_total(), 2);
    let left = world.quarantined();
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].code, left[0].sequence_number.clone()),
        (RefusalCode::NotJson, number(0))
    );
    assert_eq!(STANDARD.decode(&left[0].payload_base64).unwrap(), b"poison");
    assert_eq!(left[0].arrival_ms, START_MS, "its arrival is the first one");
}

#[test]
fn reasons_choose_payloads_and_a_run_looks_at_each_once() {
    let world = refused();
    let request = Request {
        reasons: vec!["too_late".to_owned()],
        ..quarantine()
    };
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.messages, account.scored, account.quarantined), (1, 1, 0));
    assert_eq!(world.quarantine.visible(), 1);
    // Refused anew means sent anew: it is the next run's, or a run would never end.
    let account = world.run(&quarantine(), 15 * MINUTE_MS).account;
    assert_eq!((account.quarantined, world.quarantine.visible()), (1, 1));
}

/// An aggregated record, as KPL writes it.
fn aggregate(payloads: &[&[u8]]) -> Vec<u8> {
    let mut aggregator = Aggregator::new();
    for data in payloads {
        let user = PackedRecord {
            partition_key: "card",
            explicit_hash_key: None,
            data,
        };
        assert!(aggregator.push(&user, usize::MAX));
    }
    aggregator.finish()
}

#[test]
fn a_user_record_is_never_taken_apart_live_or_from_the_shard_or_from_quarantine() {
    let world = World::new();
    let now_ms = world.clock.now_ms();
    // Times whose digits are no card number: a masked payload would not be redriven at all.
    let (first, second) = (tx("card", "in-1", now_ms - 7), tx("card", "in-2", now_ms - 7));
    let inner = aggregate(&[&first, &second]);
    world.put(SHARD, 0, aggregate(&[&inner]));
    let report = world.live(SHARD, 0..=0);
    assert_eq!((report.scored, report.quarantined_total()), (0, 1));
    let live = world.quarantined();
    assert!(!live[0].masked && live[0].sub_sequence_number == Some(0));
    world.letter(0, 0);
    let account = world.redrive().account;
    assert_eq!((account.scored, account.quarantined), (0, 1), "from the shard");
    let account = world.run(&quarantine(), 15 * MINUTE_MS).account;
    assert_eq!(
        (account.messages, account.scored, account.quarantined),
        (2, 0, 2),
        "from quarantine"
    );
    let left = world.quarantined();
    assert_eq!(
        left,
        [live[0].clone(), live[0].clone()],
        "still the user record that it was"
    );
    assert_eq!(world.counted_total(), 0);
}

#[test]
fn a_large_payload_is_put_together_whatever_the_order_of_its_parts() {
    let world = World::new();
    let payload: Vec<u8> = (0..600_000_u32)
        .map(|at| b'a' + u8::try_from(at % 23).unwrap())
        .collect();
    world.put(SHARD, 0, payload.clone());
    world.live(SHARD, 0..=0);
    let mut parts = world.quarantined();
    assert!(parts.len() > 2);
    parts.reverse();
    parts.push(parts[0].clone());
    let world = World::new();
    for part in &parts {
        world.quarantine.push(serde_json::to_string(part).unwrap());
    }
    let account = world.run(&quarantine(), 15 * MINUTE_MS).account;
    assert_eq!(account.quarantined, 1, "refused again, as one: {account:?}");
    let mut again = world.quarantined();
    // The part that was there twice is left over: it makes no payload by itself, and stays.
    assert_eq!(again.len(), parts.len());
    again.sort_by_key(|part| part.part);
    again.dedup_by_key(|part| part.part);
    let bytes: Vec<u8> = again
        .iter()
        .flat_map(|part| STANDARD.decode(&part.payload_base64).unwrap())
        .collect();
    assert_eq!(bytes, payload);
}

#[test]
fn masked_and_incomplete_payloads_stay_with_their_code() {
    let world = World::new();
    world.put(SHARD, 0, b"card 4111111111111111".to_vec());
    world.put(SHARD, 1, vec![b'x'; 600_000]);
    world.live(SHARD, 0..=1);
    let all = world.quarantined();
    assert!(all[0].masked);
    let whole = all.len();
    let world = World::new();
    for message in all.iter().take(whole - 1) {
        world.quarantine.push(serde_json::to_string(message).unwrap());
    }
    let response = world.run(&quarantine(), 15 * MINUTE_MS);
    assert_eq!(
        (response.account.returned, response.account.quarantined),
        (2, 0),
        "{response:?}"
    );
    assert_eq!(response.account.messages, whole as u64 - 1);
    let mut codes: Vec<&str> = response.problems.iter().map(|problem| problem.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["TM-5011", "TM-5012"]);
    assert_eq!(world.quarantine.visible(), whole - 1);
}

#[test]
fn messages_that_are_none_of_ours_are_moved_out_whole() {
    let world = refused();
    let mut odd: QuarantineMessage = world.quarantined().remove(0);
    odd.payload_base64 = "%".to_owned();
    let odd = serde_json::to_string(&odd).unwrap();
    for body in ["not JSON", "{\"schema\":\"quarantine\",\"version\":1}", &odd] {
        world.quarantine.push(body);
    }
    let account = world.run(&quarantine(), 15 * MINUTE_MS).account;
    assert_eq!((account.messages, account.rejected_messages), (5, 3));
    assert_eq!(world.lost_codes(), ["TM-5003", "TM-5004", "TM-5004"]);
    assert!(world.lost().iter().any(|message| message.body == odd));
}

#[test]
fn a_payload_without_an_end_stays() {
    let world = refused();
    let down = Fault::Before(PortError::Unavailable("down".to_owned()));
    world.faults.at(Op::Commit, 0..10_000, down);
    let request = Request {
        reasons: vec!["too_late".to_owned()],
        ..quarantine()
    };
    let account = world.call(&request).response.account;
    assert_eq!((account.found, account.returned, account.scored), (1, 1, 0));
    assert_eq!(world.quarantine.visible(), 2);
    world.faults.clear();
    assert_eq!(world.run(&request, 15 * MINUTE_MS).account.scored, 1);
}

/// Messages of as many payloads that were too late, one each.
fn too_late(events: u64) -> World {
    let world = World::with(strict());
    let now_ms = world.clock.now_ms();
    for at in 0..events {
        world.put(SHARD, at, tx("card", &format!("late-{at}"), now_ms - 2 * HOUR_MS));
    }
    assert_eq!(world.live(SHARD, 0..=events - 1).quarantined_total(), events);
    World {
        policy: std::sync::Arc::new(Policy::default_policy()),
        ..world
    }
}

#[test]
fn a_queue_longer_than_one_answer_is_emptied() {
    let world = too_late(35);
    let account = world.call(&quarantine()).response.account;
    assert_eq!((account.messages, account.scored), (35, 35));
    assert_eq!(world.quarantine.visible(), 0);
}

#[test]
fn a_call_that_may_find_no_more_payloads_asks_for_no_more_messages() {
    let world = too_late(35);
    let request = Request {
        records_max: Some(10),
        ..quarantine()
    };
    let response = world.call(&request).response;
    assert_eq!((response.account.scored, response.stopped), (10, Stopped::RecordsMax));
    assert_eq!((world.script.count(Call::Receive), world.quarantine.visible()), (1, 25));
}

/// A message that is one of two parts of an event, and as long as wanted.
fn half(original: &QuarantineMessage, part: u32, payload: &[u8], filler_bytes: usize) -> String {
    let cut = payload.len() / 2;
    let (first, second) = payload.split_at(cut);
    let message = QuarantineMessage {
        part,
        parts: 2,
        detail: "x".repeat(filler_bytes),
        payload_base64: STANDARD.encode(if part == 1 { first } else { second }),
        ..original.clone()
    };
    serde_json::to_string(&message).unwrap()
}

#[test]
fn parts_far_apart_are_put_together_unless_too_much_lies_between_them() {
    for (filler_bytes, scored) in [(10, 1), (ASSEMBLY_BYTES_MAX / 16, 0)] {
        let one = too_late(1);
        let original = one.quarantined().remove(0);
        let payload = STANDARD.decode(&original.payload_base64).unwrap();
        let world = World::new();
        world.quarantine.push(half(&original, 1, &payload, 0));
        for at in 0..19 {
            let other = QuarantineMessage {
                sequence_number: number(100 + at),
                ..original.clone()
            };
            world.quarantine.push(half(&other, 1, &payload, filler_bytes));
        }
        world.quarantine.push(half(&original, 2, &payload, 0));
        let response = world.call(&quarantine()).response;
        let account = &response.account;
        assert_eq!(account.scored, scored, "{filler_bytes} bytes");
        // Nineteen are never whole; where too much is held, neither half waits for the other.
        assert_eq!(account.returned, if scored == 1 { 19 } else { 21 });
        assert_eq!(world.quarantine.visible() as u64, account.messages - 2 * scored);
        if scored == 0 {
            assert_eq!(response.stopped, Stopped::Done);
        }
    }
}

/// Sequence numbers are unique within a shard and a partition key.
#[test]
fn parts_of_two_keys_that_share_a_number_are_not_put_together() {
    let one = too_late(1);
    let original = one.quarantined().remove(0);
    let payload = STANDARD.decode(&original.payload_base64).unwrap();
    let world = World::new();
    let other = QuarantineMessage {
        partition_key: "another".to_owned(),
        ..original.clone()
    };
    world.quarantine.push(half(&original, 1, &payload, 0));
    world.quarantine.push(half(&other, 2, &payload, 0));
    let account = world.call(&quarantine()).response.account;
    assert_eq!((account.scored, account.returned), (0, 2));
    world.quarantine.push(half(&original, 2, &payload, 0));
    assert_eq!(world.call(&quarantine()).response.account.scored, 1);
}
