//! Two redrives at once, a redrive beside live traffic, and a redrive that dies at every single call: nothing counts twice,
//! nothing is lost.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::common::*;
use proptest::prelude::*;
use tidemark_engine::InRecord;
use tidemark_engine::port::{Clock, PortError};
use tidemark_redrive::memory::{Fault, Op};
use tidemark_redrive::{Request, Source};

/// Polls after which everything must have come to its end.
const POLLS_MAX: usize = 200_000;

fn letters() -> Request {
    Request::new(Source::DeadLetter)
}

/// Forty records, half of them scored before, in letters of which some overlap; and one message that is not a letter.
fn scene() -> World {
    let mut world = World::new();
    world.config.page_records_max = 7;
    world.config.batch_records_max = 6;
    world.put_transactions(40);
    world.live(SHARD, 0..=9);
    for (from, to) in [(5, 14), (10, 24), (20, 29), (35, 39)] {
        world.letter(from, to);
    }
    world.dead_letter.push("none");
    world
}

/// What must hold when all is over: the events of the letters and of the live batch count once each, and nothing else does.
fn assert_settled(world: &World) {
    assert_eq!(world.counted_total(), 35);
    assert_eq!(world.outcomes().len(), 35);
    assert!(
        world.dead_letter.bodies().is_empty(),
        "{:?}",
        world.dead_letter.bodies()
    );
    let lost: BTreeMap<String, String> = world
        .lost()
        .into_iter()
        .map(|copy| (copy.message_id, copy.body))
        .collect();
    assert_eq!(lost.into_values().collect::<Vec<_>>(), ["none"]);
}

/// Polls futures in the order that `choices` says, round and round, until all have answered.
fn interleave(mut all: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>, choices: &[u8]) {
    let mut context = Context::from_waker(Waker::noop());
    for step in 0..POLLS_MAX {
        if all.is_empty() {
            return;
        }
        let at = usize::from(choices[step % choices.len()]) % all.len();
        if all[at].as_mut().poll(&mut context) == Poll::Ready(()) {
            drop(all.remove(at));
        }
    }
    panic!("it never ends");
}

/// Runs until nothing is left, with the clock past whatever a dead call hid.
fn clean_up(world: &World) {
    world.clock.advance(DAY_MS / 2);
    world.redrive();
}

/// A call in steps; its answer does not matter.
fn call<'w>(
    function: &'w MemoryRedrive,
    request: &'w Request,
    deadline_ms: i64,
) -> Pin<Box<dyn Future<Output = ()> + 'w>> {
    Box::pin(async move {
        function.call(request, deadline_ms).await.unwrap();
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn two_redrives_at_once_and_live_traffic_change_nothing_twice(choices in prop::collection::vec(any::<u8>(), 1..200)) {
        let world = scene();
        world.script.give_way();
        world.faults.give_way();
        let (one, two, request) = (world.function(), world.function(), letters());
        let deadline_ms = world.clock.now_ms() + 15 * MINUTE_MS;
        let engine = world.engine();
        let records = world.stream.records_of(SHARD);
        let batch: Vec<InRecord<'_>> = records[8..30]
            .iter()
            .map(|record| record.of_shard(ARN, SHARD))
            .collect();
        let live: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(async {
            engine.process(&batch, deadline_ms).await;
        });
        interleave(vec![call(&one, &request, deadline_ms), call(&two, &request, deadline_ms), live], &choices);
        drop(batch);
        // What one of them could not take (the other had it) is done by the next run.
        clean_up_quietly(&world);
        assert_settled(&world);
    }

    #[test]
    fn a_redrive_that_dies_at_any_moment_is_made_good_by_the_next(polls in 1_usize..400, again in 1_usize..400) {
        let world = scene();
        world.script.give_way();
        world.faults.give_way();
        for polls in [polls, again] {
            let (function, request) = (world.function(), letters());
            let deadline_ms = world.clock.now_ms() + 15 * MINUTE_MS;
            let mut dies = call(&function, &request, deadline_ms);
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                if dies.as_mut().poll(&mut context) == Poll::Ready(()) {
                    break;
                }
            }
            drop(dies);
            world.clock.advance(DAY_MS / 2);
        }
        clean_up_quietly(&world);
        assert_settled(&world);
    }
}

/// The same as [`clean_up`] where ports give way: in steps.
fn clean_up_quietly(world: &World) {
    for _ in 0..3 {
        world.clock.advance(DAY_MS / 2);
        let (function, request) = (world.function(), letters());
        let deadline_ms = world.clock.now_ms() + 15 * MINUTE_MS;
        interleave(vec![call(&function, &request, deadline_ms)], &[0]);
    }
}

#[test]
fn every_single_call_may_fail_and_its_answer_may_be_lost() {
    let calls = {
        let world = scene();
        world.redrive();
        assert_settled(&world);
        let ops = [
            Op::Shards,
            Op::Iterator,
            Op::Records,
            Op::Receive,
            Op::Delete,
            Op::Release,
            Op::Send,
        ];
        ops.map(|op| (op, world.script.count(op)))
    };
    assert!(calls.iter().map(|(_, count)| count).sum::<u64>() > 12, "{calls:?}");
    let errors = [
        PortError::Throttled("t".to_owned()),
        PortError::Timeout("t".to_owned()),
        PortError::Unavailable("u".to_owned()),
        PortError::Permanent("p".to_owned()),
    ];
    for (op, count) in calls {
        for at in 0..count {
            for error in &errors {
                for fault in [Fault::Before(error.clone()), Fault::After(error.clone())] {
                    let world = scene();
                    world.script.at(op, at..at + 1, fault.clone());
                    let first = world.call(&letters()).response;
                    world.script.clear();
                    // Messages of a receive whose answer was lost are hidden from this call: it does not know of them.
                    let is_told = !first.problems.is_empty() || matches!(fault, Fault::After(_));
                    assert!(
                        is_told,
                        "{op:?} {at} {fault:?}: the message that is not a letter is told of at least"
                    );
                    clean_up(&world);
                    assert_settled(&world);
                }
            }
        }
    }
}
