//! Messages on their way: hidden no more than needed, visible again, deleted in part, too large to be moved.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
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
