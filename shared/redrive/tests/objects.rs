//! Letters with payload, in a bucket: the stream goes first, the payload makes up for what the stream no longer has, each event counts
//! once, and no object goes before each of its records has its end or its copy is taken.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidemark_engine::memory::Fault;
use tidemark_engine::port::{Clock, PortError};
use tidemark_redrive::memory::{MemoryBucket, Op};
use tidemark_redrive::object::{LetterKey, shown};
use tidemark_redrive::{QueueShare, Request, Source, Stopped};

use crate::common::*;

/// A world with a bucket, and so many transactions in its first shard.
fn world(records: u64) -> World {
    let mut world = World::new();
    world.bucket = Some(MemoryBucket::new(world.clock.clone(), world.script.clone()));
    world.put_transactions(records);
    world
}

fn bucket(world: &World) -> &MemoryBucket {
    world.bucket.as_ref().unwrap()
}

fn letters() -> Request {
    Request::new(Source::DeadLetter)
}

/// A name as Lambda gives it; `at` is the second of an hour.
fn key(shard_id: &str, at: u64) -> String {
    let time = format!("2026-11-23T02.{:02}.{:02}", at / 60, at % 60);
    format!(
        "aws/lambda/0a1b2c3d-1111-4222-8333-444455556666/{shard_id}/2026/11/23/{time}-{at:08x}-0000-4000-8000-000000000000"
    )
}

/// The event as the function got it.
fn payload(world: &World, shard_id: &str, numbers: &[String]) -> Value {
    let records: Vec<Value> = world
        .stream
        .records_of(shard_id)
        .into_iter()
        .filter(|record| numbers.contains(&record.sequence_number))
        .map(|record| {
            #[allow(clippy::cast_precision_loss)]
            let arrival = record.arrival_ms as f64 / 1_000.0;
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": record.partition_key, "data": STANDARD.encode(&record.data),
                    "sequenceNumber": record.sequence_number, "approximateArrivalTimestamp": arrival,
                },
                "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record", "awsRegion": "eu-west-1",
                "eventID": format!("{shard_id}:{}", record.sequence_number), "eventSourceARN": ARN,
                "invokeIdentityArn": "arn:aws:iam::000000000000:role/score",
            })
        })
        .collect();
    json!({ "Records": records })
}

/// An object for these records, changed by `change`; its name.
fn put_changed(
    world: &World,
    shard_id: &str,
    at: u64,
    numbers: &[u64],
    change: impl Fn(&mut Value, &mut Value),
) -> String {
    let numbers: Vec<String> = numbers.iter().map(|at| number(*at)).collect();
    let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
    let mut object = letter(shard_id, first, last, numbers.len() as u64);
    let mut event = payload(world, shard_id, &numbers);
    change(&mut object, &mut event);
    if object.get("payload").is_none() {
        object["payload"] = Value::from(event.to_string());
    }
    let key = key(shard_id, at);
    bucket(world).put(&key, object.to_string());
    key
}

fn put(world: &World, at: u64, numbers: std::ops::RangeInclusive<u64>) -> String {
    put_changed(world, SHARD, at, &numbers.collect::<Vec<_>>(), |_, _| {})
}

#[test]
fn an_object_whose_records_have_left_the_stream_is_redriven_from_its_payload_and_a_second_time_counts_nothing() {
    let world = world(20);
    put(&world, 1, 0..=9);
    world.stream.trim(SHARD, 15);
    let done = world.redrive().account;
    assert_eq!((done.messages, done.expected, done.found, done.scored), (1, 10, 10, 10));
    assert_eq!((done.trimmed, done.returned, done.unrecoverable_messages), (0, 0, 0));
    assert_eq!(bucket(&world).keys(), Vec::<String>::new());
    let states = world.states();
    put(&world, 2, 0..=9);
    let again = world.redrive().account;
    assert_eq!((again.expected, again.scored, again.already_done), (10, 0, 10));
    assert_eq!(world.states(), states, "byte for byte");
    assert_eq!(world.counted_total(), 10);
    assert!(bucket(&world).keys().is_empty() && world.lost().is_empty());
}

#[test]
fn a_payload_says_the_same_as_the_stream() {
    let (streamed, unpacked) = (world(12), world(12));
    for world in [&streamed, &unpacked] {
        put(world, 1, 0..=11);
    }
    unpacked.stream.trim(SHARD, 12);
    streamed.redrive();
    unpacked.redrive();
    assert_eq!(streamed.states(), unpacked.states());
    assert_eq!(streamed.outcomes(), unpacked.outcomes());
}

#[test]
fn the_stream_goes_first_and_the_payload_is_taken_for_what_it_no_longer_has() {
    let whole = world(12);
    // Nobody looks at it.
    put_changed(&whole, SHARD, 1, &[2, 3, 4], |object, _| {
        object["payload"] = "no event".into();
    });
    let done = whole.redrive();
    assert_eq!((done.account.scored, done.problems.len()), (3, 0));
    assert_eq!(whole.script.count(Op::Get), 1, "for what it names");
    assert!(bucket(&whole).keys().is_empty());

    for trimmed in 1..=10 {
        let part = world(12);
        put(&part, 1, 0..=9);
        part.stream.trim(SHARD, trimmed);
        let account = part.redrive().account;
        assert_eq!(
            (account.found, account.scored, account.already_done),
            (10, 10, 0),
            "{trimmed} trimmed"
        );
        assert_eq!(part.script.count(Op::Get), 2);
    }
}

/// With a factor above one a range holds other lanes' records, too: their number must not stand for the letter's own.
#[test]
fn records_of_other_lanes_do_not_stand_for_those_that_are_gone() {
    let world = world(12);
    put_changed(&world, SHARD, 1, &[0, 2, 4, 6, 8], |_, _| {});
    world.stream.trim(SHARD, 3);
    let account = world.redrive().account;
    // 0 and 2 out of the payload, 3 to 8 out of the stream.
    assert_eq!((account.expected, account.filtered_out, account.scored), (5, 3, 8));
    assert_eq!(world.counted_total(), 8);
}

#[test]
fn the_letters_of_a_shard_that_is_gone_are_redriven_from_their_payloads_in_the_order_of_their_records() {
    let world = world(20);
    put(&world, 7, 0..=4);
    put(&world, 3, 5..=9);
    world.stream.remove_shard(SHARD);
    world.stream.add_shard("shardId-000000000001", &[]);
    let account = world.redrive().account;
    assert_eq!((account.messages, account.scored, account.trimmed), (2, 10, 0));
    let events: Vec<String> = world.sink.outcomes().iter().map(|one| event_of(&one.bytes)).collect();
    let expected: Vec<String> = (0..10).map(|at| format!("event-{at}")).collect();
    assert_eq!(events.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    let first = |event: &str| events.iter().position(|one| one == event).unwrap();
    assert!(
        first("event-4") < first("event-9"),
        "by their first number, not by their names: {events:?}"
    );
}

fn event_of(outcome: &[u8]) -> String {
    let value: Value = serde_json::from_slice(outcome).unwrap();
    value["event_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_payload_that_is_not_the_batch_is_of_no_use_and_its_object_is_copied_before_it_goes() {
    type Change = fn(&mut Value, &mut Value);
    let changes: [(&str, Change); 7] = [
        ("no payload", |object, _| object["payload"] = Value::Null),
        ("no text", |object, _| object["payload"] = json!({ "Records": [] })),
        ("no event", |object, _| object["payload"] = "4111111111111111".into()),
        ("a record less", |_, event| {
            _ = event["Records"].as_array_mut().unwrap().remove(2);
        }),
        ("another stream", |_, event| {
            event["Records"][1]["eventSourceARN"] = "arn:other".into();
        }),
        ("another shard", |_, event| {
            event["Records"][1]["eventID"] = "shardId-000000000009:1".into();
        }),
        ("no base64", |_, event| {
            event["Records"][1]["kinesis"]["data"] = "4111-1111".into();
        }),
    ];
    for (what, change) in changes {
        let world = world(12);
        let key = put_changed(&world, SHARD, 1, &[0, 1, 2, 3, 4], change);
        world.stream.trim(SHARD, 3);
        let response = world.redrive();
        assert_eq!((response.account.scored, response.account.trimmed), (2, 3), "{what}");
        let lost = world.lost();
        assert_eq!((lost.len(), lost[0].code.as_str()), (1, "TM-5018"), "{what}");
        assert_eq!(
            (lost[0].expected, lost[0].found, &lost[0].message_id),
            (Some(5), Some(2), &key)
        );
        assert!(lost[0].body.contains("KinesisBatchInfo"), "whole");
        assert!(bucket(&world).keys().is_empty(), "{what}");
        let told = format!("{:?}{}", response.problems, lost[0].reason);
        assert!(!told.contains("4111"), "I9: {told}");
    }
}

/// What knows that an event was counted is kept for 28 days after its record's arrival beyond all that a policy may ask for, and no longer.
#[test]
fn a_payload_is_taken_for_28_days_and_no_longer() {
    for (days, taken) in [(27, 5), (29, 0)] {
        let world = world(12);
        put(&world, 1, 0..=4);
        world.stream.trim(SHARD, 12);
        world.clock.advance(days * DAY_MS);
        let account = world.redrive().account;
        assert_eq!(
            (account.scored + account.quarantined, account.trimmed),
            (taken, 5 - taken),
            "{days}"
        );
        let codes = if taken == 0 { vec!["TM-5018"] } else { vec![] };
        assert_eq!(world.lost_codes(), codes);
    }
}

#[test]
fn what_no_queue_could_hold_stays_in_the_bucket_and_is_told_of_each_time() {
    let world = world(12);
    let filler = "x".repeat(1 << 20);
    let key = put_changed(&world, SHARD, 1, &[0, 1, 2], |object, _| {
        object["payload"] = filler.as_str().into();
    });
    bucket(&world).put(super::objects::key(SHARD, 2), vec![0xff, 0xfe]);
    world.stream.trim(SHARD, 12);
    for _ in 0..2 {
        let response = world.redrive();
        let codes: Vec<&str> = response.problems.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!(codes, ["TM-5003", "TM-5018", "TM-5017"]);
        assert_eq!((response.account.returned, response.account.trimmed), (3, 0));
        assert_eq!(bucket(&world).keys().len(), 2, "{key}");
        assert!(world.lost().is_empty());
    }
}

#[test]
fn what_is_no_letter_is_moved_and_a_name_that_lambda_did_not_give_is_not_shown() {
    let world = world(12);
    bucket(&world).put("aws/lambda/4111111111111111.json", "{}");
    bucket(&world).put("elsewhere/4111111111111111.json", "{}");
    bucket(&world).put(key(SHARD, 3), "no JSON");
    let other = letter("shardId-000000000007", &number(1), &number(2), 2);
    bucket(&world).put(key(SHARD, 4), other.to_string());
    let mut foreign = letter(SHARD, &number(1), &number(2), 2);
    foreign["KinesisBatchInfo"]["streamArn"] = "arn:aws:kinesis:eu-west-1:000000000000:stream/other".into();
    bucket(&world).put(key(SHARD, 5), foreign.to_string());
    // The shard never gave that number: no payload makes it a record of the stream.
    let mut never_given = letter(SHARD, &number(20), &number(21), 2);
    never_given["payload"] = "{}".into();
    bucket(&world).put(key(SHARD, 6), never_given.to_string());
    let response = world.redrive();
    assert_eq!(response.account.rejected_messages, 5, "{response:?}");
    let mut codes = world.lost_codes();
    codes.sort();
    assert_eq!(codes, ["TM-5003", "TM-5004", "TM-5004", "TM-5005", "TM-5006"]);
    assert_eq!(
        bucket(&world).keys(),
        ["elsewhere/4111111111111111.json"],
        "it is nobody's letter"
    );
    let told = format!("{:?}{:?}", response.problems, world.lost());
    assert!(!told.contains("4111111111111111"), "I9: {told}");
    assert!(
        world.lost().iter().any(|lost| lost.body.contains("\"payload\"")),
        "the last one whole"
    );
}

/// Calls of a second each: what was taken out of a payload is not taken again, and the tally is one.
#[test]
fn a_run_in_many_calls_counts_each_record_once() {
    for trimmed in [0, 7, 40] {
        let world = world(40);
        put(&world, 1, 0..=19);
        put_changed(&world, SHARD, 2, &(20..40).collect::<Vec<_>>(), |_, _| {});
        world.letter(10, 29);
        world.stream.trim(SHARD, trimmed);
        let request = Request {
            rate_per_second: Some(2),
            ..letters()
        };
        let account = world.run(&request, 15 * SECOND_MS).account;
        assert_eq!(account.scored, 40, "{trimmed} trimmed: {account:?}");
        assert_eq!((account.messages, account.expected), (3, 60));
        assert!(bucket(&world).keys().is_empty());
        assert_eq!(world.counted_total(), 40);
    }
}

#[test]
fn a_bound_of_records_holds_within_a_payload() {
    let world = world(12);
    put(&world, 1, 0..=9);
    world.stream.trim(SHARD, 12);
    let mut request = Request {
        records_max: Some(4),
        ..letters()
    };
    let mut scored = Vec::new();
    for _ in 0..3 {
        let response = world.call(&request).response;
        scored.push(response.account.scored);
        request.cursor = response.cursor;
    }
    assert_eq!(scored, [4, 4, 2]);
    assert!(bucket(&world).keys().is_empty());
}

#[test]
fn a_dry_run_changes_nothing() {
    let world = world(12);
    put(&world, 1, 0..=9);
    world.stream.trim(SHARD, 5);
    let request = Request {
        dry_run: true,
        ..letters()
    };
    let account = world.call(&request).response.account;
    assert_eq!((account.found, account.scored, account.trimmed), (10, 0, 0));
    assert_eq!((bucket(&world).keys().len(), world.counted_total()), (1, 0));
}

#[test]
fn shares_take_shards_of_their_own_and_each_object_counts_once() {
    let world = world(12);
    let child = "shardId-000000000001";
    world.stream.add_shard(child, &[SHARD]);
    for at in 0..12 {
        world.put(
            child,
            100 + at,
            tx("card-9", &format!("child-{at}"), world.clock.now_ms()),
        );
    }
    put(&world, 1, 0..=9);
    put_changed(&world, child, 2, &(100..110).collect::<Vec<_>>(), |_, _| {});
    world.stream.trim(SHARD, 12);
    let share = |index| Request {
        share: Some(QueueShare { index, of: 2 }),
        ..letters()
    };
    for index in [0, 1] {
        let account = world.run(&share(index), 15 * MINUTE_MS).account;
        assert_eq!((account.messages, account.scored), (1, 10), "share {index}");
    }
    assert!(bucket(&world).keys().is_empty());
}

/// Whatever fails, and whether it was done or not: the next run makes it good.
#[test]
fn every_single_call_may_fail_and_its_answer_may_be_lost() {
    let scene = || {
        let world = world(12);
        put(&world, 1, 0..=4);
        put(&world, 2, 5..=9);
        bucket(&world).put(key(SHARD, 3), "no JSON");
        world.stream.trim(SHARD, 7);
        world
    };
    let ops = [
        Op::List,
        Op::Get,
        Op::Remove,
        Op::Send,
        Op::Shards,
        Op::Iterator,
        Op::Records,
    ];
    let whole = scene();
    whole.redrive();
    let errors = [PortError::Timeout("t".to_owned()), PortError::Permanent("p".to_owned())];
    let mut failed = 0;
    for op in ops {
        for at in 0..whole.script.count(op) {
            for error in &errors {
                for fault in [Fault::Before(error.clone()), Fault::After(error.clone())] {
                    let world = scene();
                    world.script.at(op, at..at + 1, fault);
                    world.call(&letters());
                    world.script.clear();
                    world.redrive();
                    assert_eq!(world.counted_total(), 10, "{op:?} {at} {error:?}");
                    assert_eq!(world.states(), whole.states());
                    assert!(bucket(&world).keys().is_empty(), "{op:?} {at} {error:?}");
                    assert_eq!(world.lost_codes().iter().collect::<BTreeSet<_>>().len(), 1);
                    failed += 1;
                }
            }
        }
    }
    assert!(failed > 50, "{failed}");
}

#[test]
fn two_redrives_of_one_object_count_nothing_twice() {
    let world = world(12);
    put(&world, 1, 0..=9);
    world.stream.trim(SHARD, 12);
    // The deletion is lost: the object is there for the second one.
    world
        .script
        .at(Op::Remove, 0..1, Fault::Before(PortError::Permanent("p".to_owned())));
    assert_eq!(world.call(&letters()).response.account.scored, 10);
    assert_eq!(bucket(&world).keys().len(), 1);
    let again = world.redrive().account;
    assert_eq!((again.scored, again.already_done), (0, 10));
    assert_eq!(world.counted_total(), 10);
}

#[test]
fn a_look_counts_queue_and_bucket_and_tells_the_oldest_of_both() {
    let world = world(12);
    let look = Request {
        look: true,
        ..letters()
    };
    for at in 1..=5 {
        put(&world, at, 0..=9);
    }
    world.letter(0, 1);
    let outcome = world.call(&look);
    assert_eq!(
        (outcome.response.account.messages, outcome.response.stopped),
        (6, Stopped::Done)
    );
    assert_eq!(
        outcome.stats.oldest_letter_ms,
        Some(1_795_410_000_000),
        "2026-11-23T05:00:00Z, as the letters say"
    );
    assert_eq!(world.script.count(Op::Get), 1, "the oldest of the one shard");
    assert_eq!((bucket(&world).keys().len(), world.dead_letter.visible()), (5, 1));

    // Where the bucket can't be looked at, no age is told: the alarm takes that for a bad one.
    world
        .script
        .at(Op::List, 0..1_000, Fault::Before(PortError::Permanent("p".to_owned())));
    let blind = world.call(&look);
    assert_eq!(
        (blind.response.stopped, blind.stats.oldest_letter_ms),
        (Stopped::Error, None)
    );
}

#[test]
fn names_are_read_as_lambda_gives_them() {
    let good = key(SHARD, 61);
    let read = LetterKey::parse(&good).unwrap();
    assert_eq!(read.shard_id, SHARD);
    assert!(read.given_up.starts_with("2026-11-23T02.01.01-") && shown(&good) == good);
    for bad in [
        good.replace("aws/lambda", "aws/lambdas"),
        good.replace("2026/11/23", "2026/11/2x"),
        good.replace("02.01.01", "02:01:01"),
        good.replace(SHARD, "a shard"),
        good.replace("-0000-4000-8000-000000000000", "-card"),
        format!("{good}/4111"),
        "aws/lambda/".to_owned(),
        good[..good.len() - 60].to_owned(),
        good.replace("2026/11/23", "2026/11/é"),
    ] {
        assert_eq!(LetterKey::parse(&bad), None, "{bad}");
        assert!(shown(&bad).starts_with("object "), "{bad}");
    }
}
