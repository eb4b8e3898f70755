//! A call's own limits: how often a port is asked, where a call stops, what the next one knows, what it says of itself.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::pin::pin;
use std::task::{Context, Poll};

use crate::common::*;
use futures_util::task::noop_waker;
use serde_json::json;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::memory::{Fault, ManualClock, Op};
use tidemark_engine::port::{Clock, PortError};
use tidemark_redrive::cursor::{CURSOR_VERSION, Cursor, Part};
use tidemark_redrive::limits::{ATTEMPTS_MAX, FAILED_BATCHES_MAX, STOP_MARGIN_MS};
use tidemark_redrive::memory::{Fault as Broken, Op as Call};
use tidemark_redrive::rate::BACKOFF;
use tidemark_redrive::{RangeRequest, Request, Source, Stopped};

fn letters() -> Request {
    Request::new(Source::DeadLetter)
}

fn throttled() -> PortError {
    PortError::Throttled("test".to_owned())
}

fn one_letter() -> World {
    let world = World::new();
    world.put_transactions(10);
    world.letter(0, 9);
    world
}

#[test]
fn a_call_that_may_succeed_later_is_repeated_and_one_that_is_refused_is_not() {
    let world = one_letter();
    world.script.at(Call::Shards, 0..u64::MAX, Broken::Before(throttled()));
    let outcome = world.call(&letters());
    assert_eq!(outcome.response.stopped, Stopped::Throttled);
    let attempts = u64::from(ATTEMPTS_MAX);
    assert_eq!(world.script.count(Call::Shards), attempts);
    assert_eq!(
        (outcome.stats.throttles, outcome.stats.retries),
        (attempts, attempts - 1)
    );

    let world = one_letter();
    let refused = PortError::Permanent("test".to_owned());
    world.script.at(Call::Shards, 0..u64::MAX, Broken::Before(refused));
    let outcome = world.call(&letters());
    assert_eq!(outcome.response.stopped, Stopped::Error);
    assert_eq!((world.script.count(Call::Shards), outcome.stats.retries), (1, 0));
    assert!(world.clock.sleeps_ms().is_empty());
}

#[test]
fn a_call_is_not_repeated_beyond_the_time_at_which_work_stops() {
    let world = one_letter();
    world.script.at(Call::Shards, 0..u64::MAX, Broken::Before(throttled()));
    let began_ms = world.clock.now_ms();
    // Twelve seconds of margin, and one to work in.
    world.call_for(&letters(), 13 * SECOND_MS);
    assert!(world.clock.now_ms() < began_ms + SECOND_MS);
    assert!(world.script.count(Call::Shards) < u64::from(ATTEMPTS_MAX));
}

#[test]
fn throttles_retries_and_units_of_the_engine_are_the_calls_too() {
    let world = one_letter();
    world.faults.at(Op::Commit, 0..2, Fault::Before(throttled()));
    let outcome = world.call(&letters());
    assert_eq!(outcome.response.account.scored, 10);
    assert_eq!((outcome.stats.throttles, outcome.stats.retries), (2, 2));
    assert!(
        outcome.stats.units.write >= 5.0,
        "five cards: {:?}",
        outcome.stats.units
    );
}

#[test]
fn what_was_applied_and_what_was_refused_is_counted_by_its_kind() {
    let world = World::new();
    let now_ms = world.clock.now_ms();
    world.put(SHARD, 0, tx("card", "event", now_ms));
    let label = |event: &str| {
        json!({
            "schema": "label", "version": 1, "event_id": event, "card_id": "card", "verdict": "fraud",
            "known_since_ms": now_ms,
        })
    };
    world.put(SHARD, 1, label("event").to_string().into_bytes());
    for (at, payload) in [(2, &b"poison"[..]), (3, b"more poison"), (4, b"")] {
        world.put(SHARD, at, payload.to_vec());
    }
    world.letter(0, 4);
    let outcome = world.call(&letters());
    let account = &outcome.response.account;
    assert_eq!((account.scored, account.applied, account.quarantined), (1, 1, 3));
    let refused: Vec<(RefusalCode, u64)> = outcome.stats.refused.into_iter().collect();
    assert_eq!(refused.iter().map(|(_, count)| count).sum::<u64>(), 3);
    assert!(refused.contains(&(RefusalCode::NotJson, 2)), "{refused:?}");
}

#[test]
fn a_call_that_may_find_no_more_records_asks_for_no_more_messages() {
    let world = World::new();
    world.put_transactions(30);
    (0..30).for_each(|at| drop(world.letter(at, at)));
    let request = Request {
        records_max: Some(10),
        ..letters()
    };
    let first = world.call(&request).response;
    assert_eq!((first.account.found, first.stopped), (10, Stopped::RecordsMax));
    assert_eq!(
        (world.script.count(Call::Receive), world.dead_letter.visible()),
        (1, 20)
    );
}

#[test]
fn without_a_rate_to_wait_for_nothing_is_waited() {
    let world = one_letter();
    assert_eq!(world.call(&letters()).response.account.scored, 10);
    assert!(world.clock.sleeps_ms().iter().all(|pause_ms| *pause_ms > 0));
}

#[test]
fn a_start_that_was_past_retention_is_remembered_when_a_call_stops_inside_the_range() {
    let world = World::new();
    world.put_transactions(20);
    world.stream.trim(SHARD, 5);
    world.letter(0, 19);
    let request = Request {
        records_max: Some(4),
        ..letters()
    };
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.scored, account.trimmed, account.missing), (15, 5, 0));
    assert_eq!(world.lost_codes(), ["TM-5009"]);
}

#[test]
fn a_shard_that_goes_while_it_is_read_takes_its_open_letters_with_it_by_number() {
    let mut world = World::new();
    world.put_transactions(30);
    world.config.page_records_max = 10;
    world.letter(0, 9);
    world.letter(10, 29);
    world.script.give_way();
    let function = world.function();
    let request = letters();
    let mut run = pin!(function.call(&request, world.clock.now_ms() + 15 * MINUTE_MS));
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut outcome = None;
    for _ in 0..10_000 {
        if let Poll::Ready(done) = run.as_mut().poll(&mut context) {
            outcome = Some(done.unwrap());
            break;
        }
        // The first letter's message is deleted: the shard goes before the next page.
        if world.script.count(Call::Delete) > 0 {
            world.stream.remove_shard(SHARD);
        }
    }
    let account = outcome.unwrap().response.account;
    assert_eq!((account.messages, account.scored, account.trimmed), (2, 10, 20));
    assert_eq!(account.unrecoverable_messages, 1);
    assert_eq!(world.lost_codes(), ["TM-5008"]);
}

#[test]
fn a_call_that_stops_because_nothing_succeeds_counts_what_it_saw_and_what_it_did_not() {
    let mut world = World::new();
    world.config.batch_records_max = 10;
    world.put_transactions(50);
    world.letter(0, 49);
    // The first batch's five cards are written; then the table is down.
    let down = Fault::Before(PortError::Unavailable("down".to_owned()));
    world.faults.at(Op::Commit, 5..u64::MAX, down);
    let response = world.call(&letters()).response;
    let account = &response.account;
    assert_eq!(response.stopped, Stopped::Error);
    assert_eq!((account.messages, account.expected), (1, 50));
    assert_eq!((account.found, account.scored, account.returned), (40, 10, 40));
    assert_eq!(world.dead_letter.visible(), 1);
}

#[test]
fn a_call_without_time_to_work_asks_for_nothing_and_can_be_called_again() {
    for source in [Source::DeadLetter, Source::Quarantine, Source::Range] {
        let world = one_letter();
        let mut request = Request::new(source);
        if source == Source::Range {
            request.range = Some(RangeRequest::default());
        }
        let response = world.call_for(&request, STOP_MARGIN_MS).response;
        assert_eq!(response.stopped, Stopped::Deadline);
        assert!(response.cursor.is_some());
        let calls = [Call::Receive, Call::Iterator, Call::Records].map(|op| world.script.count(op));
        assert_eq!(calls, [0, 0, 0], "{source:?}");
        assert_eq!(world.counted_total(), 0);
    }
}

#[test]
fn reads_of_a_shard_keep_their_distance() {
    let mut world = one_letter();
    world.config.page_records_max = 1;
    let began_ms = world.clock.now_ms();
    let outcome = world.call(&letters());
    assert_eq!(outcome.response.account.scored, 10);
    assert_eq!(outcome.stats.reads, world.script.count(Call::Records));
    assert!(outcome.stats.reads >= 10);
    let apart_ms = SECOND_MS / i64::from(world.config.reads_per_second_max);
    let reads = i64::try_from(outcome.stats.reads).unwrap();
    assert!(world.clock.now_ms() - began_ms >= (reads - 1) * apart_ms);
}

#[test]
fn a_range_pauses_longer_each_time_that_nothing_succeeds() {
    let world = one_letter();
    let refused = Fault::Before(PortError::Permanent("test".to_owned()));
    world.faults.at(Op::Commit, 0..u64::MAX, refused);
    let request = Request {
        range: Some(RangeRequest::default()),
        ..Request::new(Source::Range)
    };
    let response = world.call(&request).response;
    let account = &response.account;
    assert_eq!(response.stopped, Stopped::Error);
    assert_eq!((account.found, account.returned, account.expected), (10, 10, 10));
    let clock = ManualClock::default();
    let pauses_ms: Vec<u64> = (1..FAILED_BATCHES_MAX)
        .map(|failed| BACKOFF.full_jitter_ms(failed, clock.random()))
        .collect();
    assert_eq!(world.clock.sleeps_ms(), pauses_ms);
}

#[test]
fn a_message_that_was_not_begun_is_the_next_calls_as_a_whole() {
    let world = World::new();
    world.put_transactions(20);
    world.letter(0, 9);
    world.letter(10, 19);
    let request = Request {
        records_max: Some(5),
        ..letters()
    };
    let first = world.call(&request).response;
    assert_eq!((first.account.messages, first.account.expected), (1, 10));
    assert_eq!(first.cursor.unwrap().parts.len(), 1);
}

#[test]
fn a_record_that_an_earlier_call_took_to_its_end_is_not_fed_again() {
    let world = World::new();
    world.put_transactions(10);
    let message_id = world.letter(0, 9);
    world.live(SHARD, 3..=3);
    // The earlier call had no time left for the first three, and for the card of the fourth it had.
    let cursor = Cursor {
        version: CURSOR_VERSION,
        source: Source::DeadLetter,
        started_ms: world.clock.now_ms(),
        seen: Vec::new(),
        parts: vec![Part {
            message_id,
            after: None,
            done: vec![number(3)],
            ended: 1,
            trimmed: false,
        }],
        shards: Vec::new(),
    };
    let request = Request {
        cursor: Some(cursor),
        ..letters()
    };
    let account = world.call(&request).response.account;
    assert_eq!((account.found, account.scored, account.already_done), (9, 9, 0));
    assert_eq!((account.filtered_out, account.missing), (0, 0));
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn a_start_that_was_past_retention_counts_as_lost_though_the_range_holds_more_than_its_letter_says() {
    let world = World::new();
    world.put_transactions(20);
    world.stream.trim(SHARD, 1);
    // Another lane of the shard had every other record.
    let body = letter(SHARD, &number(0), &number(18), 10).to_string();
    world.dead_letter.push(body);
    let request = Request {
        records_max: Some(5),
        ..letters()
    };
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.scored, account.trimmed, account.filtered_out), (18, 1, 9));
    assert_eq!(world.lost_codes(), ["TM-5009"]);
}

#[test]
fn a_message_of_which_every_counted_record_came_is_done_though_retention_took_others_meanwhile() {
    let world = World::new();
    world.put_transactions(20);
    let body = letter(SHARD, &number(0), &number(19), 5).to_string();
    world.dead_letter.push(body);
    let request = Request {
        records_max: Some(5),
        ..letters()
    };
    let first = world.call(&request).response;
    assert_eq!(first.account.scored, 5);
    world.stream.trim(SHARD, 6);
    let rest = Request {
        cursor: first.cursor,
        ..letters()
    };
    let response = world.call(&rest).response;
    assert_eq!(
        (response.account.scored, response.account.trimmed),
        (14, 0),
        "{response:?}"
    );
    assert!(world.lost().is_empty() && world.dead_letter.bodies().is_empty());
}
