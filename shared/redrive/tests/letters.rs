//! Dead letters: each record of a range comes to an end, and a message goes only then.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{Clock, PortError};
use tidemark_redrive::memory::{Fault as Broken, Op as Call, TrimmedStart};
use tidemark_redrive::{Request, Source, Stopped};

fn letters() -> Request {
    Request::new(Source::DeadLetter)
}

#[test]
fn numbers_of_the_tests_ascend_and_cross_a_power_of_ten() {
    let numbers: Vec<String> = (0..40).map(number).collect();
    let is_before = tidemark_redrive::number::is_before;
    assert!(numbers.windows(2).all(|pair| is_before(&pair[0], &pair[1])));
    assert!(numbers[0].len() == 56 && numbers[39].len() > numbers[0].len());
    assert!(
        numbers
            .iter()
            .all(|number| tidemark_redrive::number::is_sequence_number(number))
    );
}

#[test]
fn what_was_given_up_is_scored_and_what_was_done_is_found_done() {
    let world = World::new();
    world.put_transactions(40);
    world.live(SHARD, 0..=14);
    world.letter(10, 29);
    let response = world.redrive();
    let account = response.account;
    assert_eq!((account.messages, account.expected, account.found), (1, 20, 20));
    assert_eq!((account.scored, account.already_done), (15, 5));
    assert!(response.problems.is_empty(), "{:?}", response.problems);
    assert!(world.dead_letter.bodies().is_empty());
    assert_eq!(world.counted_total(), 30);
    assert_eq!(world.outcomes().len(), 30);
}

#[test]
fn numbers_are_compared_as_numbers_whatever_zeros_stand_in_front() {
    let world = World::new();
    world.put_transactions(40);
    let zeros = |at: u64| format!("000{}", number(at));
    let body = letter(SHARD, &zeros(5), &zeros(24), 20).to_string();
    world.dead_letter.push(body);
    let response = world.redrive();
    let account = response.account;
    assert_eq!(
        (account.expected, account.found, account.scored),
        (20, 20, 20),
        "{response:?}"
    );
    assert!(response.problems.is_empty(), "{:?}", response.problems);
    assert!(world.dead_letter.bodies().is_empty() && world.unrecoverable.bodies().is_empty());
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let world = World::new();
    world.put_transactions(20);
    world.letter(0, 9);
    world.dead_letter.push("no letter");
    let dry = Request {
        dry_run: true,
        ..letters()
    };
    let response = world.call(&dry).response;
    assert_eq!((response.account.expected, response.account.found), (10, 10));
    assert_eq!(response.account.messages, 2);
    assert_eq!((response.account.scored, response.account.rejected_messages), (0, 1));
    assert_eq!(world.dead_letter.visible(), 2);
    assert!(world.unrecoverable.bodies().is_empty());
    assert_eq!(world.counted_total(), 0);
}

#[test]
fn ranges_that_overlap_and_a_letter_that_is_there_twice_count_once() {
    let world = World::new();
    world.put_transactions(30);
    for (from, to) in [(0, 9), (5, 14), (0, 9), (29, 29)] {
        world.letter(from, to);
    }
    let account = world.redrive().account;
    assert_eq!((account.messages, account.expected, account.found), (4, 31, 31));
    assert_eq!((account.scored, account.already_done), (16, 15));
    assert_eq!(world.counted_total(), 16);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn empty_pages_and_small_pages_change_nothing() {
    let mut world = World::new();
    world.config.page_records_max = 3;
    world.put_transactions(50);
    world.stream.set_empty_pages(4);
    world.letter(3, 22);
    world.letter(40, 49);
    let response = world.redrive();
    assert_eq!((response.account.scored, response.account.found), (30, 30));
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn an_iterator_that_expires_in_the_middle_is_taken_anew_after_the_last_record() {
    let mut world = World::new();
    // So slow that every page outlives its iterator.
    world.config.rate_per_second_max = 1;
    world.config.batch_records_max = 1;
    world.put_transactions(1_200);
    world.config.page_records_max = 400;
    world.letter(0, 1_199);
    let response = world.run(&letters(), 15 * MINUTE_MS);
    assert_eq!(response.account.scored, 1_200);
    assert_eq!(response.account.already_done, 0, "nothing is read twice: {response:?}");
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn parents_are_redriven_before_their_children() {
    let world = World::new();
    for (shard, parents) in [
        ("shardId-000000000002", vec![SHARD]),
        ("shardId-000000000001", vec!["shardId-000000000002"]),
    ] {
        world.stream.add_shard(shard, &parents);
    }
    let now_ms = world.clock.now_ms();
    // One card, one event a shard; the later ones must see the earlier.
    for (at, shard) in [SHARD, "shardId-000000000002", "shardId-000000000001"]
        .iter()
        .enumerate()
    {
        let at = at as u64;
        let time_ms = now_ms + i64::try_from(at).unwrap() * SECOND_MS;
        world.put(shard, at, tx("card", &format!("event-{at}"), time_ms));
    }
    for (at, shard) in [(2, "shardId-000000000001"), (1, "shardId-000000000002"), (0, SHARD)] {
        let number = number(at);
        world.dead_letter.push(letter(shard, &number, &number, 1).to_string());
    }
    assert_eq!(world.redrive().account.scored, 3);
    let order: Vec<String> = world
        .sink
        .outcomes()
        .iter()
        .map(|outcome| {
            let value: serde_json::Value = serde_json::from_slice(&outcome.bytes).unwrap();
            value["event_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(order, ["event-0", "event-1", "event-2"]);
}

#[test]
fn what_is_past_retention_is_counted_moved_and_never_called_redriven() {
    for trimmed_start in [TrimmedStart::Refused, TrimmedStart::Skipped, TrimmedStart::Empty] {
        let world = World::new();
        world.put_transactions(60);
        world.stream.set_trimmed_start(trimmed_start);
        world.stream.trim(SHARD, 25);
        world.letter(0, 9); // gone as a whole
        world.letter(20, 29); // its first half is gone
        world.letter(40, 49); // there
        let response = world.redrive();
        let account = response.account;
        assert_eq!(
            (account.expected, account.trimmed),
            (30, 15),
            "{trimmed_start:?}: {response:?}"
        );
        assert_eq!(
            (account.scored, account.unrecoverable_messages),
            (15, 2),
            "{trimmed_start:?}"
        );
        assert!(world.dead_letter.bodies().is_empty());
        assert_eq!(world.lost_codes(), ["TM-5009", "TM-5009"]);
        let lost = world.lost();
        assert_eq!(
            lost.iter()
                .map(|message| (message.expected, message.found))
                .collect::<Vec<_>>(),
            [(Some(10), Some(0)), (Some(10), Some(5))]
        );
        assert!(lost[0].body.contains(&number(0)), "the message is there whole");
    }
}

#[test]
fn a_shard_that_is_gone_takes_its_records_with_it_by_number() {
    let world = World::new();
    world.put_transactions(10);
    world.letter(0, 9);
    world.stream.remove_shard(SHARD);
    let account = world.redrive().account;
    assert_eq!((account.trimmed, account.unrecoverable_messages), (10, 1));
    assert_eq!(world.lost_codes(), ["TM-5008"]);
}

#[test]
fn records_that_a_letter_does_not_count_are_redriven_too() {
    let world = World::new();
    world.put_transactions(20);
    // Another lane of the shard had every other record.
    world
        .dead_letter
        .push(letter(SHARD, &number(0), &number(18), 10).to_string());
    let account = world.redrive().account;
    assert_eq!((account.expected, account.found, account.filtered_out), (10, 19, 9));
    assert_eq!(account.scored, 19);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn a_letter_that_counts_too_many_is_moved_out_with_its_code() {
    let world = World::new();
    world.put_transactions(20);
    world
        .dead_letter
        .push(letter(SHARD, &number(0), &number(9), 12).to_string());
    let account = world.redrive().account;
    assert_eq!((account.scored, account.missing, account.rejected_messages), (10, 2, 1));
    assert_eq!(world.lost_codes(), ["TM-5010"]);
}

#[test]
fn a_message_stays_while_a_record_of_it_finds_no_end_and_goes_when_it_does() {
    let world = World::new();
    world.put_transactions(20);
    world.letter(0, 9);
    world.letter(10, 19);
    let down = Fault::Before(PortError::Unavailable("down".to_owned()));
    world.faults.at(Op::Commit, 0..10_000, down);
    let response = world.call(&letters()).response;
    assert_eq!(
        (response.account.scored, response.account.returned),
        (0, 20),
        "{response:?}"
    );
    assert_eq!(
        world.dead_letter.visible(),
        2,
        "both messages are there, and visible again"
    );
    assert_eq!(response.problems[0].code, "TM-5013");

    world.faults.clear();
    let response = world.redrive();
    assert_eq!(response.account.scored, 20);
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn conditions_choose_messages_and_leave_the_others() {
    let world = World::new();
    world.put_transactions(20);
    world.letter(0, 8);
    let mut aged = letter(SHARD, &number(10), &number(19), 10);
    aged["requestContext"]["condition"] = "RecordAgeExceeded".into();
    world.dead_letter.push(aged.to_string());
    let request = Request {
        reasons: vec!["RecordAgeExceeded".to_owned()],
        ..letters()
    };
    let account = world.run(&request, 15 * MINUTE_MS).account;
    assert_eq!((account.messages, account.scored), (1, 10));
    assert_eq!(world.dead_letter.visible(), 1);
}

#[test]
fn a_call_stops_before_its_deadline_and_the_cursor_goes_on_where_it_stopped() {
    let mut world = World::new();
    world.config.rate_per_second_max = 10;
    world.put_transactions(400);
    for from in (0..400).step_by(100) {
        world.letter(from, from + 99);
    }
    let request = letters();
    let first = world.call_for(&request, 30 * SECOND_MS);
    assert_eq!(first.response.stopped, Stopped::Deadline);
    assert!(
        world.clock.now_ms() < START_MS + 400 * SECOND_MS + 30 * SECOND_MS,
        "not a moment over"
    );
    let scored = first.response.account.scored;
    assert!((100..250).contains(&scored), "{scored}");

    let rest = Request {
        cursor: first.response.cursor,
        ..request
    };
    let response = world.go_on(&rest, 30 * SECOND_MS);
    assert_eq!(response.account.scored + scored, 400);
    assert_eq!(response.account.already_done, 0, "nothing is done twice: {response:?}");
    assert!(world.dead_letter.bodies().is_empty());
}

#[test]
fn records_max_stops_in_the_middle_of_a_message_and_goes_on_there() {
    let world = World::new();
    world.put_transactions(30);
    world.letter(0, 29);
    let request = Request {
        records_max: Some(7),
        ..letters()
    };
    let response = world.run(&request, 15 * MINUTE_MS);
    assert_eq!(
        (response.account.messages, response.account.expected),
        (1, 30),
        "counted once over all calls"
    );
    assert_eq!((response.account.scored, response.account.already_done), (30, 0));
    assert_eq!((response.account.trimmed, world.lost().len()), (0, 0));
    let first = world.call(&request).response;
    assert_eq!(first.stopped, Stopped::Done, "nothing is left: {first:?}");
}

#[test]
fn reads_that_are_throttled_back_off_and_give_up_in_the_end() {
    let world = World::new();
    world.put_transactions(10);
    world.letter(0, 9);
    let throttled = || Broken::Before(PortError::Throttled("slow down".to_owned()));
    world.script.at(Call::Records, 0..3, throttled());
    let outcome = world.call(&letters());
    assert_eq!(
        (outcome.response.stopped, outcome.response.account.scored),
        (Stopped::Done, 10)
    );
    assert_eq!(outcome.stats.throttles, 3);

    world.letter(0, 9);
    world.script.at(Call::Records, 0..10_000, throttled());
    let response = world.call(&letters()).response;
    assert_eq!(response.stopped, Stopped::Throttled);
    assert_eq!(response.problems.last().unwrap().code, "TM-5014");
    assert_eq!(world.dead_letter.visible(), 1, "the message is there");
}

#[test]
fn the_rate_holds_in_every_second() {
    let mut world = World::new();
    world.put_transactions(300);
    world.letter(0, 299);
    world.config.rate_per_second_max = 100;
    let began_ms = world.clock.now_ms();
    let request = Request {
        rate_per_second: Some(20),
        ..letters()
    };
    assert_eq!(world.run(&request, 15 * MINUTE_MS).account.scored, 300);
    let took_ms = world.clock.now_ms() - began_ms;
    assert!(
        (14_000..16_000).contains(&took_ms),
        "300 records at 20 a second took {took_ms} ms"
    );
}

#[test]
fn a_message_sent_after_the_run_began_is_the_next_runs() {
    let world = World::new();
    world.put_transactions(20);
    world.letter(0, 9);
    let request = Request {
        records_max: Some(5),
        ..letters()
    };
    let first = world.call(&request).response;
    world.clock.advance(MINUTE_MS);
    world.letter(10, 19);
    let rest = Request {
        cursor: first.cursor,
        ..letters()
    };
    let response = world.go_on(&rest, 15 * MINUTE_MS);
    assert_eq!(response.account.scored, 5, "the rest of the first message");
    assert_eq!(world.dead_letter.visible(), 1);
    assert_eq!(world.redrive().account.scored, 10);
}
