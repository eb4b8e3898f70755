//! Messages on their way: hidden no more than needed, visible again, deleted in part, too large to be moved.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::contract::aggregate::{AGGREGATE_USER_RECORDS_MAX, Aggregator, PackedRecord};
use tidemark_engine::config::BATCH_USER_RECORDS_MAX;
use tidemark_engine::port::Clock;
use tidemark_redrive::limits::UNRECOVERABLE_BYTES_MAX;
use tidemark_redrive::memory::Op as Call;
use tidemark_redrive::{Request, Source, Stopped};

fn letters() -> Request {
    Request::new(Source::DeadLetter)
}

fn letters_of_one_record(count: u64) -> World {
    let world = World::new();
    world.put_transactions(count);
    (0..count).for_each(|at| drop(world.letter(at, at)));
    world
}

#[test]
fn no_more_messages_are_hidden_than_records_are_allowed() {
    let world = letters_of_one_record(30);
    let request = Request {
        records_max: Some(15),
        ..letters()
    };
    assert_eq!(world.call(&request).response.account.found, 15);
    assert_eq!((world.dead_letter.hidden_most(), world.dead_letter.visible()), (15, 15));
}

#[test]
fn a_message_that_was_not_deleted_is_deleted_once_more() {
    let world = letters_of_one_record(3);
    world.dead_letter.leave_first(1);
    let response = world.call(&letters()).response;
    assert_eq!((response.stopped, response.problems.len()), (Stopped::Done, 0));
    assert_eq!(world.script.count(Call::Delete), 2);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn a_message_that_can_not_be_deleted_is_told_comes_again_and_is_found_done() {
    let world = letters_of_one_record(3);
    world.dead_letter.leave_first(2);
    let response = world.call(&letters()).response;
    assert_eq!(response.account.scored, 3);
    let codes: Vec<&str> = response.problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!((codes, world.dead_letter.bodies().len()), (vec!["TM-5017"], 1));
    world.clock.advance(HOUR_MS);
    let account = world.redrive().account;
    assert_eq!((account.already_done, account.scored), (1, 0));
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn a_message_is_moved_out_up_to_the_size_of_a_message_and_stays_beyond_it() {
    let copy_bytes = |body_bytes: usize| -> Option<usize> {
        let world = World::new();
        let id = world.dead_letter.push("x".repeat(body_bytes));
        let response = world.call(&letters()).response;
        let moved = world.unrecoverable.bodies().pop();
        assert_eq!(response.account.rejected_messages, u64::from(moved.is_some()));
        assert_eq!(world.dead_letter.bodies().len(), usize::from(moved.is_none()));
        assert!(
            response
                .problems
                .iter()
                .all(|problem| problem.message_id.as_deref() == Some(&id))
        );
        moved.map(|body| body.len())
    };
    let around = copy_bytes(100).unwrap() - 100;
    let most = UNRECOVERABLE_BYTES_MAX - around;
    assert_eq!(copy_bytes(most), Some(UNRECOVERABLE_BYTES_MAX));
    assert_eq!(copy_bytes(most + 1), None);
    assert_eq!(copy_bytes(most + 1_000_000), None);
}

#[test]
fn what_a_call_holds_of_the_quarantine_is_visible_when_it_stops() {
    let world = World::new();
    world.put(SHARD, 0, vec![b'x'; 600_000]);
    world.put(SHARD, 1, b"poison".to_vec());
    world.live(SHARD, 0..=1);
    let messages = world.quarantined();
    let parts = messages.iter().filter(|message| message.parts > 1).count();
    assert!(parts > 1 && messages.len() == parts + 1);
    let world = World::new();
    // A part without its others, then two payloads of which one may be found.
    for message in [&messages[0], &messages[parts], &messages[parts]] {
        world.quarantine.push(serde_json::to_string(message).unwrap());
    }
    let request = Request {
        records_max: Some(1),
        ..Request::new(Source::Quarantine)
    };
    let response = world.call(&request).response;
    assert_eq!((response.account.found, response.stopped), (1, Stopped::RecordsMax));
    // The part, the payload that was not fed, and the one that was refused anew.
    assert_eq!(world.quarantine.visible(), 3);
}

#[test]
fn a_page_of_more_user_records_than_a_batch_may_have_is_fed_in_several() {
    let world = World::new();
    let now_ms = world.clock.now_ms();
    let event = tx("card", "event", now_ms);
    let per = AGGREGATE_USER_RECORDS_MAX;
    let records = BATCH_USER_RECORDS_MAX / per + 2;
    for at in 0..records as u64 {
        let mut aggregator = Aggregator::new();
        for _ in 0..per {
            let user = PackedRecord {
                partition_key: "card",
                explicit_hash_key: None,
                data: &event,
            };
            assert!(aggregator.push(&user, usize::MAX));
        }
        world.put(SHARD, at, aggregator.finish());
    }
    world.letter(0, records as u64 - 1);
    let response = world.redrive();
    let account = &response.account;
    assert_eq!((account.returned, response.problems.len()), (0, 0), "{response:?}");
    assert_eq!(account.scored + account.already_done, (records * per) as u64);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn many_deletions_go_ten_at_a_time_and_only_what_was_left_again() {
    let world = letters_of_one_record(250);
    world.dead_letter.leave_first(1);
    let response = world.call(&letters()).response;
    assert_eq!((response.stopped, response.problems.len()), (Stopped::Done, 0));
    assert!(world.dead_letter.bodies().is_empty());
    assert_eq!(world.script.count(Call::Delete), 26);
}

#[test]
fn the_answer_gets_out_before_the_deadline_however_slow_the_queue_is() {
    let world = letters_of_one_record(2_000);
    // Letters of another reason are made visible again at the end: ten a call, each call half a second.
    world.dead_letter.take_ms(500);
    let request = Request {
        reasons: vec!["RecordAgeExceeded".to_owned()],
        ..letters()
    };
    let deadline_ms = world.clock.now_ms() + MINUTE_MS;
    let response = world.call_for(&request, MINUTE_MS).response;
    let late_ms = world.clock.now_ms() - deadline_ms;
    assert!(late_ms < 0, "{late_ms} ms late");
    assert!(response.cursor.is_some(), "what is left is the next call's");
    let codes: Vec<&str> = response.problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["TM-5017"], "and it says that some stay hidden for a while");
}

/// The alarm on their age must not go by what SQS remembers of receives: the tenth look tells what the first one told.
#[test]
fn a_look_tells_the_age_of_the_oldest_letter_however_often_it_was_looked_at() {
    let world = letters_of_one_record(30);
    let look = Request {
        look: true,
        ..letters()
    };
    let oldest_ms = world.call(&look).stats.oldest_letter_ms;
    assert!(oldest_ms.is_some());
    let reads = world.script.count(Call::Records);
    for _ in 0..9 {
        world.clock.advance(1_000);
        let looked = world.call(&look);
        assert_eq!(looked.stats.oldest_letter_ms, oldest_ms);
        assert_eq!(
            (looked.response.stopped, looked.response.account.messages),
            (Stopped::Done, 30)
        );
        assert_eq!(world.dead_letter.visible(), 30, "each is where it was, and to be seen");
    }
    assert_eq!(world.script.count(Call::Records), reads, "the stream is not read");
    assert_eq!(world.counted_total(), 0, "and nothing is scored");
    let nothing = World::new().call(&look);
    assert_eq!(
        (nothing.stats.oldest_letter_ms, nothing.response.stopped),
        (None, Stopped::Done)
    );
    let quarantine = Request {
        look: true,
        ..Request::new(Source::Quarantine)
    };
    assert!(quarantine.check().is_err(), "the age of letters only");
}
