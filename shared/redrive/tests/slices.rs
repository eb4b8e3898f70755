//! A run that is cut: whatever goes side by side, it comes to what one run after the other comes to.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common::*;
use proptest::prelude::*;
use tidemark_engine::memory::{Fault, Op};
use tidemark_engine::port::{Clock, PortError};
use tidemark_redrive::chain::{Chain, ChainNext};
use tidemark_redrive::limits::{CHAIN_IDLE_CALLS_MAX, CHAIN_PROBLEMS_MAX, SEEN_MESSAGES_MAX, SLICE_MS};
use tidemark_redrive::memory::{Fault as Broken, Op as Call};
use tidemark_redrive::port::StreamRecord;
use tidemark_redrive::shards::ShardInfo;
use tidemark_redrive::slices::{self, Uncut, plan};
use tidemark_redrive::{Asked, Cursor, QueueShare, RangeRequest, Request, Response, RunPlan, Source, Stopped, Tally};

const SHARDS: [&str; 4] = [
    SHARD,
    "shardId-000000000001",
    "shardId-000000000002",
    "shardId-000000000003",
];
/// The call ends before its deadline by that much.
const MARGIN_MS: i64 = 12 * SECOND_MS;

fn range(since_ms: i64, until_ms: i64) -> Request {
    Request {
        range: Some(RangeRequest {
            since_ms: Some(since_ms),
            until_ms: Some(until_ms),
            ..RangeRequest::default()
        }),
        ..Request::new(Source::Range)
    }
}

/// Two shards, of which the second was split into the other two.
fn shards() -> Vec<ShardInfo> {
    let info = |at: usize, parents: &[&str]| ShardInfo {
        id: SHARDS[at].to_owned(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
    };
    vec![info(0, &[]), info(1, &[]), info(2, &[SHARDS[1]]), info(3, &[SHARDS[1]])]
}

/// A record: its shard, how long after the one before it arrived, how far its time of arrival is off, and its card among those of
/// the shard.
type Drawn = (usize, i64, i64, u8);

/// A stream of such records. The children of the second shard get theirs after it.
fn world(records: &[Drawn]) -> World {
    let mut world = World::new();
    world.config.page_records_max = 7;
    world.stream.add_shard(SHARDS[1], &[]);
    let mut at = 0_u64;
    let mut put = |world: &World, shard: usize, arrival_ms: i64, card: &str| {
        at += 1;
        world.stream.put(
            SHARDS[shard],
            StreamRecord {
                sequence_number: number(at),
                partition_key: card.to_owned(),
                arrival_ms,
                data: tx(card, &format!("event-{at}"), arrival_ms - SECOND_MS),
            },
        );
    };
    let mut now_ms = START_MS;
    for half in 0..2 {
        for (shard, gap_ms, off_ms, card) in records.iter().skip(half).step_by(2) {
            now_ms += gap_ms;
            // A card of a child was one of its parent's.
            let (shard, name) = match (half, shard % 3) {
                (_, 0) => (0, format!("card-0-{card}")),
                (0, child) => (1, format!("card-{child}-{card}")),
                (_, child) => (child + 1, format!("card-{child}-{card}")),
            };
            put(&world, shard, now_ms + off_ms, &name);
        }
        if half == 0 {
            world.stream.add_shard(SHARDS[2], &[SHARDS[1]]);
            world.stream.add_shard(SHARDS[3], &[SHARDS[1]]);
        }
    }
    world.clock.advance(now_ms - START_MS + HOUR_MS);
    world
}

/// Takes the chains of a plan to their end, a call of any of them at a time; the tallies of all, and how many chains failed.
fn take(world: &World, plan: RunPlan, picks: &[usize], call_ms: i64) -> (Tally, usize) {
    let (mut account, mut failed) = (Tally::default(), 0);
    let mut picks = picks.iter().cycle();
    for mut chains in plan.generations {
        for _ in 0..20 * CALLS_MAX {
            let open: Vec<usize> = (0..chains.len()).filter(|at| chains[*at].is_open()).collect();
            if open.is_empty() {
                break;
            }
            let chain = &mut chains[open[picks.next().unwrap() % open.len()]];
            let json = serde_json::to_string(&serde_json::json!({ "chain": chain })).unwrap();
            let asked = Asked::parse(&json).unwrap();
            let response = world.call_for(asked.request(), call_ms).response;
            chain.take(response);
        }
        assert!(
            chains.iter().all(|chain| !chain.is_open()),
            "a chain that never ends: {chains:?}"
        );
        for chain in &chains {
            account += chain.account;
            failed += usize::from(chain.next == ChainNext::Failed);
        }
    }
    (account, failed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Slices are disjoint and cover the range, in the order of each shard: the account is that of one walk, and so is every byte
    /// of every outcome and every card, although the times of arrival go back here and there, also over a cut.
    #[test]
    fn chains_side_by_side_come_to_what_one_walk_comes_to(
        records in prop::collection::vec((0..3_usize, 0..90_000_i64, 0..4_000_i64, 0..3_u8), 1..120),
        picks in prop::collection::vec(0..100_usize, 1..40),
        since in 0..400_000_i64,
        until in 0..4_000_000_i64,
        is_short in any::<bool>(),
    ) {
        let request = range(START_MS + since, START_MS + since + until);
        let serial = world(&records);
        let alone = serial.run(&request, 15 * MINUTE_MS).account;
        let parallel = world(&records);
        let plan = plan(&request, &shards(), 4, parallel.clock.now_ms()).unwrap();
        prop_assert_eq!(plan.generations.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let call_ms = if is_short { MARGIN_MS + 1_200 } else { 15 * MINUTE_MS };
        let (together, failed) = take(&parallel, plan, &picks, call_ms);
        prop_assert_eq!(failed, 0);
        prop_assert_eq!(together, alone, "each record once, and none twice");
        prop_assert_eq!(parallel.outcomes(), serial.outcomes());
        prop_assert_eq!(parallel.states(), serial.states());
        // Again, in one walk: everything is found done.
        let again = parallel.run(&request, 15 * MINUTE_MS).account;
        prop_assert_eq!((again.scored, again.already_done), (0, alone.scored));
    }

    /// The cuts of a span: each slice begins where the one before ends, the first with the span, the last with its end.
    #[test]
    fn cuts_leave_no_gap_and_end(since_ms in 0..i64::MAX / 4, length_ms in 0..400 * DAY_MS) {
        let until_ms = since_ms + length_ms;
        let mut cut = tidemark_redrive::cut::first_cut(since_ms, until_ms);
        let (mut slices, mut end_ms) = (1, None);
        while let Some(now) = cut {
            prop_assert_eq!(now.begin_ms, end_ms);
            if let (Some(begin_ms), Some(end_ms)) = (now.begin_ms.or(Some(since_ms)), now.end_ms) {
                prop_assert!(end_ms - begin_ms >= SLICE_MS && end_ms <= until_ms);
                slices += 1;
            }
            end_ms = now.end_ms;
            cut = tidemark_redrive::cut::next_cut(since_ms, until_ms, now);
        }
        prop_assert!(end_ms.is_none(), "the last slice ends with the span");
        prop_assert!(slices <= 1_001 && slices > length_ms / SLICE_MS / 1_000);
    }

    /// Dead letters in shares: each letter counts once, whatever share took it, whatever failed meanwhile.
    #[test]
    fn shares_of_the_queue_count_each_letter_once(
        lengths in prop::collection::vec(1..9_u64, 1..30),
        shares in 1..5_u32,
        picks in prop::collection::vec(0..100_usize, 1..40),
        down in prop::collection::vec(0..60_u64, 0..12),
        trimmed in 0..10_usize,
        is_short in any::<bool>(),
    ) {
        let fill = || {
            let mut world = World::new();
            world.config.page_records_max = 10;
            let total: u64 = lengths.iter().sum();
            world.put_transactions(total);
            let mut from = 0;
            for length in &lengths {
                world.letter(from, from + length - 1);
                from += length;
            }
            world.dead_letter.push("no letter");
            world.stream.trim(SHARD, trimmed.min(usize::try_from(total).unwrap()));
            world
        };
        let serial = fill();
        let request = Request::new(Source::DeadLetter);
        let alone = serial.run(&request, 15 * MINUTE_MS).account;

        let parallel = fill();
        let started_ms = parallel.clock.now_ms();
        for at in &down {
            parallel.faults.at(Op::Commit, *at..at + 1, Fault::Before(PortError::Unavailable("test".to_owned())));
        }
        let many: Vec<ShardInfo> = (0..8).map(|at| ShardInfo { id: at.to_string(), parents: Vec::new() }).collect();
        let plan = plan(&request, &many, shares, started_ms).unwrap();
        prop_assert_eq!(plan.generations[0].len() as u32, shares);
        let call_ms = if is_short { MARGIN_MS + 900 } else { 15 * MINUTE_MS };
        let (mut together, _) = take(&parallel, plan, &picks, call_ms);
        // What is hidden by a share that failed comes back.
        parallel.clock.advance(HOUR_MS);
        together += parallel.go_on(&slices::rest(&request, started_ms), 15 * MINUTE_MS).account;
        prop_assert!(parallel.dead_letter.bodies().is_empty());
        let ended = |account: &Tally| account.scored + account.already_done;
        prop_assert_eq!(ended(&together), ended(&alone));
        let rest = |account: Tally| Tally { scored: 0, already_done: 0, ..account };
        prop_assert_eq!(rest(together), rest(alone), "down {:?}", down);
        prop_assert_eq!(parallel.counted(), serial.counted());
    }
}

/// The table is down while the shares are taken: nothing counts until the run that has the queue to itself.
#[test]
fn a_letter_that_stays_counts_once_although_every_share_looked_at_it() {
    let world = World::new();
    world.put_transactions(40);
    for at in 0..8 {
        world.letter(at * 5, at * 5 + 4);
    }
    let down = PortError::Unavailable("test".to_owned());
    world.faults.at(Op::Commit, 0..100_000, Fault::Before(down));
    let request = Request::new(Source::DeadLetter);
    let started_ms = world.clock.now_ms();
    let chains = plan(&request, &shards(), 3, started_ms).unwrap();
    assert_eq!(chains.generations[0].len(), 3);
    let (together, _) = take(&world, chains, &[0, 2, 1], 15 * MINUTE_MS);
    assert_eq!(together, Tally::default(), "{together:?}");
    let rest = world.go_on(&slices::rest(&request, started_ms), 15 * MINUTE_MS);
    assert_eq!(rest.account.messages, 8);
    assert_eq!(rest.account.returned, 40);
    assert_adds_up(&rest);
}

/// What fails stops its own chain, before its next slice; the others come to their end. The slice is named, and taken alone it is
/// made good.
#[test]
fn a_slice_that_fails_holds_up_its_chain_and_no_other() {
    let world = World::new();
    world.stream.add_shard(SHARDS[1], &[]);
    for at in 0..60_u64 {
        world.clock.advance(MINUTE_MS);
        let shard = usize::from(at % 2 == 1);
        world.put(
            SHARDS[shard],
            at,
            tx(&format!("card-{shard}"), &format!("event-{at}"), world.clock.now_ms()),
        );
    }
    let request = range(START_MS, world.clock.now_ms());
    let down = PortError::Unavailable("test".to_owned());
    // The first slice of the first shard comes through, and then nothing for long enough.
    world.faults.at(Op::Commit, 1..400, Fault::Before(down));
    let mut chains = plan(&request, &shards()[..2], 2, world.clock.now_ms())
        .unwrap()
        .generations
        .remove(0);
    while chains[0].is_open() {
        let response = world.call(&chains[0].request).response;
        chains[0].take(response);
    }
    let failed = &chains[0];
    assert_eq!(failed.next, ChainNext::Failed);
    let cut = failed.request.range.as_ref().unwrap().cut.unwrap();
    assert_eq!(cut.begin_ms, Some(START_MS + SLICE_MS), "the second slice");
    assert_eq!(failed.problems[0].code, "TM-5013");
    assert!(failed.request.cursor.is_none());

    world
        .faults
        .at(Op::Commit, 0..0, Fault::Before(PortError::Unavailable(String::new())));
    let scored = failed.account.scored;
    let alone = world.run(
        &Request {
            cursor: None,
            ..failed.request.clone()
        },
        15 * MINUTE_MS,
    );
    assert!(alone.stopped == Stopped::Done && alone.account.scored > 0, "{alone:?}");
    assert!(
        scored > 0 && scored + alone.account.scored < 30,
        "the slice alone, not what follows it"
    );
}

#[test]
fn a_stream_that_throttles_lets_a_chain_wait_and_one_that_brings_nothing_is_given_up() {
    let world = World::new();
    world.put_transactions(3);
    let throttled = PortError::Throttled("test".to_owned());
    world.script.at(Call::Records, 0..10_000, Broken::Before(throttled));
    let request = range(START_MS, world.clock.now_ms());
    let mut chain = plan(&request, &shards()[..1], 1, world.clock.now_ms())
        .unwrap()
        .generations
        .remove(0)
        .remove(0);
    for _ in 1..CHAIN_IDLE_CALLS_MAX {
        chain.take(world.call(&chain.request).response);
        assert_eq!(chain.next, ChainNext::Wait);
        assert!(chain.request.cursor.is_some());
    }
    chain.take(world.call(&chain.request).response);
    assert_eq!(chain.next, ChainNext::Failed);
    assert_eq!(chain.calls, CHAIN_IDLE_CALLS_MAX);
    assert_eq!(chain.problems[0].code, "TM-5014", "only the throttle that did not pass");
    assert_eq!((chain.problems.len(), chain.problems_more), (1, 0));
}

/// The stream looks a time up among times that go back here and there, and may place the reading behind the cut. A slice reads from
/// some seconds before it, and finds the cut itself.
#[test]
fn a_reading_that_is_placed_behind_the_cut_loses_nothing() {
    let world = World::new();
    let cut_ms = START_MS + SLICE_MS;
    for (at, off_ms) in [-5_000, 1_000, -1_000, -900, -800, 2_000].into_iter().enumerate() {
        let arrival_ms = cut_ms + off_ms;
        world.stream.put(
            SHARD,
            StreamRecord {
                sequence_number: number(at as u64),
                partition_key: "card-1".to_owned(),
                arrival_ms,
                data: tx("card-1", &format!("event-{at}"), arrival_ms - SECOND_MS),
            },
        );
    }
    world.clock.advance(HOUR_MS);
    let plan = plan(
        &range(START_MS, cut_ms + MINUTE_MS),
        &shards()[..1],
        1,
        world.clock.now_ms(),
    )
    .unwrap();
    let (account, failed) = take(&world, plan, &[0], 15 * MINUTE_MS);
    assert_eq!((account.found, account.scored, failed), (6, 6, 0));
}

/// Slices without a record are over at once: the calls that take them are no more reads of a shard in a second than one call is.
#[test]
fn slices_that_hold_nothing_are_read_at_the_pace_of_one_walk() {
    let world = World::new();
    world.put_transactions(3);
    world.clock.advance(HOUR_MS);
    let request = range(START_MS, world.clock.now_ms());
    let mut chain = plan(&request, &shards()[..1], 1, world.clock.now_ms())
        .unwrap()
        .generations
        .remove(0)
        .remove(0);
    let began_ms = world.clock.now_ms();
    while chain.is_open() {
        chain.take(world.call(&chain.request).response);
    }
    let reads = i64::from(chain.calls);
    assert!(reads > 6, "{chain:?}");
    assert!(
        world.clock.now_ms() - began_ms >= (reads - 1) * SECOND_MS / 2,
        "two a second at most"
    );
}

#[test]
fn a_chain_names_some_problems_and_counts_the_rest() {
    let world = World::new();
    world.put_transactions(3);
    let mut chain = Chain::new(Request::new(Source::DeadLetter));
    for _ in 0..2 * CHAIN_PROBLEMS_MAX {
        world.dead_letter.push("no letter");
    }
    chain.take(world.call(&chain.request).response);
    assert_eq!(chain.next, ChainNext::Over);
    assert_eq!(
        (chain.problems.len(), chain.problems_more),
        (CHAIN_PROBLEMS_MAX, CHAIN_PROBLEMS_MAX as u64)
    );
}

#[test]
fn a_chain_that_no_state_machine_could_pass_on_has_failed_and_says_so() {
    let request = Request::new(Source::DeadLetter);
    let shares = plan(&request, &shards(), 1, START_MS).unwrap().generations;
    let begun = shares[0][0].request.cursor.clone().unwrap();
    let answer = |seen: usize| Response {
        account: Tally {
            messages: 1,
            ..Tally::default()
        },
        cursor: Some(Cursor {
            seen: (0..seen).map(|at| format!("{at:016x}")).collect(),
            ..begun.clone()
        }),
        stopped: Stopped::Deadline,
        problems: Vec::new(),
    };
    let mut chain = Chain::new(request);
    chain.take(answer(9_000));
    assert!(chain.is_open() && chain.request.cursor.is_some());
    chain.take(answer(SEEN_MESSAGES_MAX));
    assert_eq!((chain.next, &chain.request.cursor), (ChainNext::Failed, &None));
    assert_eq!(chain.account.messages, 2, "what it did stays counted");
    assert!(chain.problems[0].detail.contains("without --parallel"), "{chain:?}");
}

#[test]
fn what_cannot_be_cut_is_refused_with_its_reason() {
    let cut = |request: &Request| plan(request, &shards(), 4, START_MS).unwrap_err();
    assert_eq!(cut(&Request::new(Source::Quarantine)), Uncut::Quarantine);
    let dry = Request {
        dry_run: true,
        ..Request::new(Source::DeadLetter)
    };
    assert_eq!(cut(&dry), Uncut::DryLetters);
    let bounded = Request {
        records_max: Some(5),
        ..range(0, 1)
    };
    assert_eq!(cut(&bounded), Uncut::RecordsMax);
    let mut of_numbers = range(0, 1);
    of_numbers.range.as_mut().unwrap().from_sequence_number = Some("5".to_owned());
    assert_eq!(cut(&of_numbers), Uncut::NoTimes);
    assert_eq!(
        cut(&Request {
            range: Some(RangeRequest::default()),
            ..Request::new(Source::Range)
        }),
        Uncut::NoTimes
    );
    let mut of_shard = range(0, 1);
    of_shard.range.as_mut().unwrap().shard_id = Some("shardId-9".to_owned());
    assert_eq!(cut(&of_shard), Uncut::NoShard);
    of_shard.range.as_mut().unwrap().shard_id = Some(SHARDS[3].to_owned());
    let plan = plan(&of_shard, &shards(), 4, START_MS).unwrap();
    assert_eq!(plan.generations.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_chain_is_judged_before_anything_is_read() {
    let chain = |change: &dyn Fn(&mut Chain)| {
        let mut chain = plan(&range(0, 10 * HOUR_MS), &shards()[..1], 1, START_MS)
            .unwrap()
            .generations
            .remove(0)
            .remove(0);
        change(&mut chain);
        Asked::parse(&serde_json::json!({ "chain": chain }).to_string())
            .map(|_| ())
            .map_err(|error| error.detail)
    };
    chain(&|_| {}).unwrap();
    assert!(
        chain(&|chain| chain.next = ChainNext::Over)
            .unwrap_err()
            .contains("chain.next")
    );
    assert!(
        chain(&|chain| chain.request.range = None)
            .unwrap_err()
            .contains("range")
    );
    let cut =
        |change: fn(&mut RangeRequest)| chain(&|chain| change(chain.request.range.as_mut().unwrap())).unwrap_err();
    assert!(cut(|range| range.shard_id = None).contains("range.cut"));
    assert!(cut(|range| range.cut.as_mut().unwrap().begin_ms = Some(i64::MAX)).contains("range.cut"));
    assert!(cut(|range| range.cut.as_mut().unwrap().begin_ms = Some(-1)).contains("1970"));
    let share = |request: Request| {
        Asked::parse(&serde_json::to_string(&request).unwrap())
            .unwrap_err()
            .detail
    };
    let shared = |index, of| Request {
        share: Some(QueueShare { index, of }),
        ..Request::new(Source::DeadLetter)
    };
    assert!(share(shared(3, 3)).contains("share"));
    assert!(
        share(Request {
            dry_run: true,
            ..shared(0, 2)
        })
        .contains("share")
    );
    assert!(
        share(Request {
            source: Source::Quarantine,
            ..shared(0, 2)
        })
        .contains("share")
    );
    assert!(
        Asked::parse("{\"chain\": {\"card\": \"4111111111111111\"}}")
            .is_err_and(|error| !error.detail.contains("4111"))
    );
}
