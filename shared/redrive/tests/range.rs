//! A range of the stream: every record of it, shard by shard, as often as one likes.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::PortError;
use tidemark_redrive::limits::ATTEMPTS_MAX;
use tidemark_redrive::memory::{Fault as Broken, Op as Call, TrimmedStart};
use tidemark_redrive::{RangeRequest, Request, Source, Stopped};

fn range(range: RangeRequest) -> Request {
    Request {
        range: Some(range),
        ..Request::new(Source::Range)
    }
}

fn everything() -> Request {
    range(RangeRequest::default())
}

#[test]
fn a_range_of_times_holds_both_its_ends() {
    let world = World::new();
    world.put_transactions(60);
    // Number n arrived n + 1 seconds after the start.
    let request = range(RangeRequest {
        since_ms: Some(START_MS + 11 * SECOND_MS),
        until_ms: Some(START_MS + 20 * SECOND_MS),
        ..RangeRequest::default()
    });
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.expected, account.found, account.scored), (10, 10, 10));
    let again = world.run(&everything(), 15 * MINUTE_MS).account;
    assert_eq!((again.found, again.scored, again.already_done), (60, 50, 10));
    assert_eq!(world.counted_total(), 60);
}

#[test]
fn a_range_of_sequence_numbers_holds_both_its_ends() {
    let world = World::new();
    world.put_transactions(40);
    let request = range(RangeRequest {
        shard_id: Some(SHARD.to_owned()),
        from_sequence_number: Some(number(5)),
        to_sequence_number: Some(number(14)),
        ..RangeRequest::default()
    });
    assert_eq!(world.run(&request, 15 * MINUTE_MS).account.scored, 10);
}

#[test]
fn calls_go_on_by_the_cursor_and_nothing_is_done_twice() {
    let mut world = World::new();
    world.config.page_records_max = 20;
    world.put_transactions(100);
    world.stream.add_shard("shardId-000000000001", &[SHARD]);
    let request = Request {
        records_max: Some(33),
        ..everything()
    };
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.found, account.scored, account.already_done), (100, 100, 0));
}

#[test]
fn what_arrives_after_the_run_began_is_none_of_it() {
    let world = World::new();
    world.put_transactions(20);
    let request = Request {
        records_max: Some(10),
        ..everything()
    };
    let first = world.call(&request).response;
    assert_eq!(first.stopped, Stopped::RecordsMax);
    world.clock.advance(HOUR_MS);
    world.put(SHARD, 50, tx("card-0", "later", START_MS));
    let rest = Request {
        cursor: first.cursor,
        ..everything()
    };
    assert_eq!(world.go_on(&rest, 15 * MINUTE_MS).account.scored, 10);
}

/// A function's clock may be some seconds behind the stream's: what arrived just before a redrive of everything is part of it.
#[test]
fn what_arrived_before_the_run_belongs_to_it_by_a_clock_that_is_behind() {
    let world = World::new();
    world.put_transactions(20);
    world.clock.advance(-3 * SECOND_MS);
    let account = world.run(&everything(), 15 * MINUTE_MS).account;
    assert_eq!((account.found, account.scored), (20, 20));
}

/// A page is many batches: what fails in one of them is tried again before the next, so that no later event of its card overtakes it.
#[test]
fn a_card_whose_write_fails_keeps_its_order_over_the_batches_of_a_page() {
    let mut world = World::new();
    world.config.batch_records_max = 5;
    world.put_transactions(40);
    let down = PortError::Unavailable("test".to_owned());
    world.faults.at(Op::Commit, 0..20, Fault::Before(down));
    let account = world.run(&everything(), 15 * MINUTE_MS).account;
    assert_eq!(account.scored, 40);
    for card in 0..5 {
        let id = tidemark_domain::id::CardId::new(&format!("card-{card}")).unwrap();
        let item = world.store.state(&id).unwrap();
        let state = tidemark_domain::history::History::decode(&item.bytes).unwrap();
        let mut entries: Vec<(u64, i64)> = state.entries().iter().map(|entry| (entry.seq, entry.time_ms)).collect();
        entries.sort_unstable();
        assert!(
            entries.is_sorted_by_key(|(_, time_ms)| *time_ms),
            "card {card}: {entries:?}"
        );
    }
}

/// The shards can't be listed: the call ends with a cursor, and what goes on from it is the whole range, not nothing.
#[test]
fn a_range_whose_shards_could_not_be_listed_is_not_done() {
    let world = World::new();
    world.put_transactions(20);
    let down = PortError::Unavailable("test".to_owned());
    world
        .script
        .at(Call::Shards, 0..u64::from(ATTEMPTS_MAX), Broken::Before(down));
    let first = world.call(&everything()).response;
    assert_eq!((first.stopped, first.account.found), (Stopped::Error, 0));
    let rest = Request {
        cursor: first.cursor,
        ..everything()
    };
    let rest = world.go_on(&rest, 15 * MINUTE_MS);
    assert_eq!((rest.stopped, rest.account.scored), (Stopped::Done, 20));
}

#[test]
fn a_range_that_begins_before_retention_says_so() {
    let world = World::new();
    world.put_transactions(40);
    world.stream.trim(SHARD, 20);
    let request = range(RangeRequest {
        shard_id: Some(SHARD.to_owned()),
        from_sequence_number: Some(number(5)),
        ..RangeRequest::default()
    });
    let response = world.run(&request, 15 * MINUTE_MS);
    assert_eq!(response.account.scored, 20);
    assert_eq!(response.problems[0].code, "TM-5009");

    let unknown = range(RangeRequest {
        shard_id: Some("shardId-000000000099".to_owned()),
        ..RangeRequest::default()
    });
    let response = world.run(&unknown, 15 * MINUTE_MS);
    assert_eq!(
        (response.account.found, response.problems[0].code.as_str()),
        (0, "TM-5008")
    );
}

/// Where a call ended, the next one goes on; meanwhile that record may have left the stream, and what a stream says then differs.
#[test]
fn a_range_goes_on_behind_a_record_that_has_left_the_stream_meanwhile() {
    for trimmed_start in [TrimmedStart::Refused, TrimmedStart::Skipped, TrimmedStart::Empty] {
        let world = World::new();
        world.put_transactions(40);
        world.stream.set_trimmed_start(trimmed_start);
        let request = Request {
            records_max: Some(10),
            ..everything()
        };
        let first = world.call(&request).response;
        assert_eq!((first.stopped, first.account.scored), (Stopped::RecordsMax, 10));
        world.stream.trim(SHARD, 15);
        let rest = Request {
            cursor: first.cursor,
            ..everything()
        };
        let rest = world.go_on(&rest, 15 * MINUTE_MS);
        assert_eq!(
            (rest.stopped, rest.account.scored),
            (Stopped::Done, 25),
            "{trimmed_start:?}"
        );
        assert_eq!(rest.problems[0].code, "TM-5009", "{trimmed_start:?}");

        let world = World::new();
        world.put_transactions(40);
        world.stream.set_trimmed_start(trimmed_start);
        world.stream.trim(SHARD, 20);
        let request = range(RangeRequest {
            shard_id: Some(SHARD.to_owned()),
            from_sequence_number: Some(number(5)),
            ..RangeRequest::default()
        });
        let response = world.run(&request, 15 * MINUTE_MS);
        assert_eq!(response.account.scored, 20, "{trimmed_start:?}");
        assert_eq!(response.problems[0].code, "TM-5009", "{trimmed_start:?}");
    }
}

#[test]
fn a_card_that_fails_is_tried_again_and_the_run_stops_when_nothing_gets_on() {
    let world = World::new();
    world.put_transactions(20);
    let down = || Fault::Before(PortError::Unavailable("down".to_owned()));
    world.faults.at(Op::Commit, 0..10_000, down());
    let response = world.call(&everything()).response;
    assert_eq!((response.stopped, response.account.scored), (Stopped::Error, 0));
    world.faults.clear();
    let rest = Request {
        cursor: response.cursor,
        ..everything()
    };
    assert_eq!(world.go_on(&rest, 15 * MINUTE_MS).account.scored, 20);
}

#[test]
fn an_aggregated_record_is_one_record_with_many_ends() {
    let world = World::new();
    let user = |at: u64| {
        (
            format!("key-{at}"),
            tx(&format!("card-{at}"), &format!("event-{at}"), START_MS),
        )
    };
    let mut users: Vec<(String, Vec<u8>)> = (0..4).map(user).collect();
    users.push(("bad".to_owned(), b"poison".to_vec()));
    let mut writer = Aggregator::new();
    for (partition_key, data) in &users {
        let user = PackedRecord {
            partition_key,
            explicit_hash_key: None,
            data,
        };
        assert!(writer.push(&user, 1 << 20));
    }
    world.put(SHARD, 0, writer.finish());
    world.put(SHARD, 1, tx("card-9", "event-9", START_MS));
    world.letter(0, 1);

    // One of its cards finds no end: the record has none, and its message stays.
    let down = Fault::Before(PortError::Permanent("no".to_owned()));
    world.faults.at(Op::Commit, 0..1, down);
    let response = world.call(&Request::new(Source::DeadLetter)).response;
    assert_eq!(
        (response.account.returned, response.account.scored),
        (1, 1),
        "{response:?}"
    );
    assert_eq!(world.dead_letter.visible(), 1);

    world.faults.clear();
    let account = world.redrive().account;
    assert_eq!((account.expected, account.found, account.unpacked), (2, 2, 4));
    assert_eq!(
        (account.scored, account.already_done, account.quarantined),
        (1, 4, 1),
        "{account:?}"
    );
    assert_eq!(world.counted_total(), 5);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn what_a_range_refuses_names_the_stream_that_it_came_from() {
    let world = World::new();
    world.put(SHARD, 0, b"poison".to_vec());
    let account = world.run(&everything(), 15 * MINUTE_MS).account;
    assert_eq!((account.found, account.quarantined), (1, 1));
    assert_eq!(world.quarantined()[0].stream, ARN);
}
