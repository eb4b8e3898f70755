//! Bad messages and bad requests: each has a code, and no message is lost by it.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tidemark_engine::port::PortError;
use tidemark_redrive::memory::{Fault, Op};
use tidemark_redrive::{RangeRequest, Request, Source};

/// A letter that is fine but for one field of its range.
fn with(field: &str, value: Value) -> String {
    let mut letter = letter(SHARD, &number(0), &number(9), 10);
    letter["KinesisBatchInfo"][field] = value;
    letter.to_string()
}

/// Messages that are no work, each with its code.
fn bad_messages() -> Vec<(String, &'static str)> {
    let mut inverted = letter(SHARD, &number(9), &number(0), 10);
    inverted["version"] = "1.0".into();
    vec![
        (String::new(), "TM-5003"),
        ("not JSON \u{FFFF} 4111111111111111".to_owned(), "TM-5003"),
        ("{\"KinesisBatchInfo\":".to_owned(), "TM-5003"),
        ("[]".to_owned(), "TM-5004"),
        ("{\"Records\":[]}".to_owned(), "TM-5004"),
        (with("batchSize", json!(0)), "TM-5004"),
        (with("batchSize", json!(10_001)), "TM-5004"),
        (with("batchSize", json!("10")), "TM-5004"),
        (with("shardId", json!("shard of somebody's\n")), "TM-5004"),
        (with("startSequenceNumber", json!(17)), "TM-5004"),
        (with("endSequenceNumber", Value::Null), "TM-5004"),
        (
            with(
                "streamArn",
                json!("arn:aws:kinesis:eu-west-1:000000000000:stream/other"),
            ),
            "TM-5005",
        ),
        (with("endSequenceNumber", json!("9".repeat(10_000))), "TM-5006"),
        (with("startSequenceNumber", json!("12.5")), "TM-5006"),
        // A number of the right form that the shard never gave: there are older records, and it is not among them.
        (with("startSequenceNumber", json!("5")), "TM-5009"),
        (with("startSequenceNumber", json!("0017")), "TM-5009"),
        (inverted.to_string(), "TM-5007"),
        (
            letter("shardId-000000000099", &number(0), &number(9), 10).to_string(),
            "TM-5008",
        ),
    ]
}

#[test]
fn each_bad_message_is_moved_out_whole_with_its_code_and_good_ones_go_through() {
    let world = World::new();
    world.put_transactions(10);
    let bad = bad_messages();
    for (body, _) in &bad {
        world.dead_letter.push(body.clone());
    }
    world.letter(0, 9);
    let response = world.redrive();
    assert_eq!(response.account.scored, 10, "{response:?}");
    assert!(
        world.dead_letter.bodies().is_empty(),
        "{:?}",
        world.dead_letter.bodies()
    );
    let lost = world.lost();
    assert_eq!(lost.len(), bad.len());
    for (body, code) in &bad {
        let copy = lost.iter().find(|message| message.body == *body);
        let copy = copy.unwrap_or_else(|| panic!("{body:.60} is lost"));
        assert_eq!(copy.code, *code, "{body:.60}: {}", copy.reason);
        assert_eq!((copy.schema.as_str(), copy.version), ("unrecoverable", 1));
        assert!(!copy.reason.contains("4111"), "a reason quotes nothing (I9)");
    }
    let told: Vec<&str> = response.problems.iter().map(|problem| problem.code.as_str()).collect();
    for (_, code) in &bad {
        assert!(told.contains(code), "{code}: {told:?}");
    }
}

#[test]
fn a_number_between_two_records_is_not_one_of_the_shard() {
    let world = World::new();
    world.put_transactions(10);
    world.clock.advance(SECOND_MS);
    world.put(SHARD, 30, tx("card-0", "later", START_MS));
    world
        .dead_letter
        .push(letter(SHARD, &number(20), &number(30), 2).to_string());
    let account = world.redrive().account;
    assert_eq!((account.missing, account.trimmed, account.rejected_messages), (2, 0, 1));
    assert_eq!(world.lost_codes(), ["TM-5006"]);
}

#[test]
fn a_message_that_cannot_be_copied_stays_where_it_is() {
    let world = World::new();
    world.put_transactions(30);
    world.stream.trim(SHARD, 20);
    world.dead_letter.push("not JSON");
    world.letter(0, 9);
    world
        .dead_letter
        .push(letter("shardId-000000000099", &number(0), &number(9), 10).to_string());
    let down = Fault::Before(PortError::Unavailable("down".to_owned()));
    world.script.at(Op::Send, 0..10_000, down);
    let response = world.redrive();
    let account = response.account;
    assert_eq!(
        (account.trimmed, account.missing),
        (0, 0),
        "nothing is called lost that is still there"
    );
    assert_eq!(
        (
            account.returned,
            account.rejected_messages,
            account.unrecoverable_messages
        ),
        (20, 0, 0)
    );
    assert_eq!(world.dead_letter.visible(), 3);

    world.script.clear();
    let account = world.redrive().account;
    assert_eq!(
        (
            account.trimmed,
            account.rejected_messages,
            account.unrecoverable_messages
        ),
        (20, 1, 2)
    );
    assert!(world.dead_letter.bodies().is_empty());
    assert_eq!(world.lost().len(), 3);
}

#[test]
fn a_copy_whose_answer_was_lost_is_there_twice_and_never_not_at_all() {
    let world = World::new();
    let id = world.dead_letter.push("not JSON");
    world
        .script
        .at(Op::Send, 0..1, Fault::After(PortError::Timeout("no answer".to_owned())));
    world.redrive();
    let lost = world.lost();
    assert_eq!(lost.len(), 2);
    assert!(
        lost.iter().all(|message| message.message_id == id),
        "told apart by the id"
    );
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn requests_that_contradict_themselves_are_refused_with_a_code_and_read_nothing() {
    let bad = [
        ("", "TM-5001"),
        ("{}", "TM-5001"),
        ("{\"source\":\"the queue\"}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"queue\":\"x\"}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"records_max\":0}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"rate_per_second\":0}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"records_max\":-1}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"reasons\":[\"not_json\"]}", "TM-5001"),
        (
            "{\"source\":\"quarantine\",\"reasons\":[\"RetryAttemptsExhausted\"]}",
            "TM-5001",
        ),
        ("{\"source\":\"range\"}", "TM-5001"),
        ("{\"source\":\"dead_letter\",\"range\":{\"since_ms\":1}}", "TM-5001"),
        (
            "{\"source\":\"range\",\"range\":{\"since_ms\":2,\"until_ms\":1}}",
            "TM-5002",
        ),
        ("{\"source\":\"range\",\"range\":{\"since_ms\":-1}}", "TM-5002"),
        (
            "{\"source\":\"range\",\"range\":{\"from_sequence_number\":\"1\"}}",
            "TM-5002",
        ),
        (
            "{\"source\":\"range\",\"range\":{\"shard_id\":\"s\",\"from_sequence_number\":\"10\",\"to_sequence_number\":\"9\"}}",
            "TM-5002",
        ),
        (
            "{\"source\":\"range\",\"range\":{\"shard_id\":\"s\",\"to_sequence_number\":\"x\"}}",
            "TM-5002",
        ),
        ("{\"source\":\"range\",\"range\":{\"shard_id\":\"\"}}", "TM-5002"),
        (
            "{\"source\":\"dead_letter\",\"cursor\":{\"version\":1,\"source\":\"range\",\"started_ms\":1}}",
            "TM-5015",
        ),
        (
            "{\"source\":\"range\",\"range\":{},\"cursor\":{\"version\":2,\"source\":\"range\",\"started_ms\":1}}",
            "TM-5015",
        ),
    ];
    for (json, code) in bad {
        let error = Request::parse(json).unwrap_err();
        assert_eq!(error.code.as_str(), code, "{json}: {error}");
    }
    // A payload sent for a request: the answer and the log tell the place, not the value.
    for stray in [
        "{\"card_id\":\"4111111111111111\"}",
        "{\"source\":\"4111111111111111\"}",
        "{\"dry_run\":\"4111111111111111\"}",
    ] {
        let told = Request::parse(stray).unwrap_err().to_string();
        assert!(
            told.contains("line 1, column") && !told.contains("4111") && !told.contains("card_id"),
            "{told}"
        );
    }
    let absurd = format!(
        "{{\"source\":\"range\",\"range\":{{\"shard_id\":\"s\",\"from_sequence_number\":\"{}\"}}}}",
        "7".repeat(10_000)
    );
    assert_eq!(Request::parse(&absurd).unwrap_err().code.as_str(), "TM-5002");

    // The driver itself refuses too: a caller may have built the request without parsing it.
    let world = World::new();
    let request = Request {
        range: Some(RangeRequest {
            since_ms: Some(2),
            until_ms: Some(1),
            ..RangeRequest::default()
        }),
        ..Request::new(Source::Range)
    };
    let refused = world.function().call(&request, i64::MAX).now_or_never().unwrap();
    assert_eq!(refused.unwrap_err().code.as_str(), "TM-5002");
    assert_eq!(world.script.count(Op::Shards), 0);
}

#[test]
fn what_the_function_gives_it_takes_again() {
    let world = World::new();
    world.put_transactions(30);
    world.letter(0, 9);
    world.letter(10, 29);
    let request = Request {
        records_max: Some(13),
        ..Request::new(Source::DeadLetter)
    };
    let response = world.call(&request).response;
    let json = serde_json::to_string(&response).unwrap();
    let read: tidemark_redrive::Response = serde_json::from_str(&json).unwrap();
    assert_eq!(read, response);
    let next = Request {
        cursor: read.cursor,
        ..request
    };
    let next = Request::parse(&serde_json::to_string(&next).unwrap()).unwrap();
    assert!(next.cursor.is_some());
}
