//! Order: per key under the parallelization factor, parents before children, the checkpoint.

use super::*;
use crate::esm::shard::lane_of;

/// Two keys that fall in different lanes of two.
fn two_keys() -> (&'static str, &'static str) {
    let other = ["b", "c", "d", "e", "f"]
        .into_iter()
        .find(|key| lane_of(key, 2) != lane_of("a", 2));
    ("a", other.unwrap())
}

#[test]
fn with_a_parallelization_factor_keys_go_side_by_side_and_each_key_in_order() {
    let (x, y) = two_keys();
    let mut bench = Bench::new(EsmOptions {
        parallelization_factor: 2,
        batch_size: 1,
        ..reporting()
    });
    bench.put("a", &[(1, x), (2, x), (3, y), (4, y)]);
    let mut started = bench.poll();
    started.sort();
    assert_eq!(started, [vec![1], vec![3]], "one batch of each lane at a time");
    let of_y = bench.calls.iter().find(|call| call.records == [3]).unwrap().clone();
    bench.finish(&of_y, &answered("null"));
    assert_eq!(bench.poll(), [vec![4]], "2 waits for 1: they share a key");
}

#[test]
fn a_poison_record_holds_up_its_own_lane_only() {
    let (x, y) = two_keys();
    let mut bench = Bench::new(EsmOptions {
        parallelization_factor: 2,
        batch_size: 1,
        ..reporting()
    });
    bench.put("a", &[(1, x), (2, y), (3, x), (4, y), (5, y)]);
    bench.poll();
    for _ in 0..50 {
        let Some(call) = bench.calls.first().cloned() else {
            break;
        };
        let outcome = if call.records == [1] {
            failed()
        } else {
            answered("null")
        };
        bench.finish(&call, &outcome);
        bench.later(2_000);
    }
    assert_eq!(
        bench.esm.stats().records_done,
        3,
        "2, 4 and 5 are done; 3 waits behind 1"
    );
    assert_eq!(bench.checkpoint(), None, "the checkpoint waits for 1");
}

#[test]
fn the_checkpoint_is_the_last_number_up_to_which_all_lanes_are_done() {
    let (x, y) = two_keys();
    let mut bench = Bench::new(EsmOptions {
        parallelization_factor: 2,
        batch_size: 1,
        ..reporting()
    });
    bench.put("a", &[(1, x), (2, y), (3, x)]);
    bench.poll();
    let call = |bench: &Bench, n: u64| bench.calls.iter().find(|call| call.records == [n]).unwrap().clone();
    let second = call(&bench, 2);
    bench.finish(&second, &answered("null"));
    assert_eq!(bench.checkpoint(), None);
    let first = call(&bench, 1);
    bench.finish(&first, &answered("null"));
    assert_eq!(bench.checkpoint(), Some(2));
}

#[test]
fn every_lane_is_used() {
    let used: std::collections::BTreeSet<usize> = (0..200).map(|n| lane_of(&format!("card-{n}"), 10)).collect();
    assert_eq!(used.len(), 10);
}

#[test]
fn a_shards_children_begin_when_its_last_record_is_done() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 1,
        ..reporting()
    });
    bench.esm.add_shard("left", &["a".to_owned()]);
    bench.esm.add_shard("right", &["a".to_owned()]);
    let readable = |bench: &Bench| bench.esm.readable().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(readable(&bench), ["a"]);
    bench.put_numbers(1..=2);
    bench.esm.close_shard("a");
    assert!(readable(&bench).is_empty(), "read to its end, but not done");
    bench.poll();
    bench.answer("null");
    bench.poll();
    assert!(readable(&bench).is_empty(), "record 2 is with the function");
    bench.answer("null");
    assert_eq!(readable(&bench), ["left", "right"]);
}

#[test]
fn a_merged_shard_waits_for_both_parents_and_an_unknown_parent_is_past() {
    let mut bench = Bench::new(reporting());
    bench.esm.add_shard("b", &["long-gone".to_owned()]);
    bench.esm.add_shard("child", &["a".to_owned(), "b".to_owned()]);
    let readable = |bench: &Bench| bench.esm.readable().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(readable(&bench), ["a", "b"]);
    bench.esm.close_shard("a");
    assert_eq!(readable(&bench), ["b"]);
    bench.esm.close_shard("b");
    assert_eq!(readable(&bench), ["child"]);
    assert_eq!(bench.esm.unfinished().collect::<Vec<_>>(), ["child"]);
}

#[test]
fn a_parent_whose_last_batch_is_given_up_is_finished_once_the_destination_knows() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(0),
        ..reporting()
    });
    bench.esm.add_shard("child", &["a".to_owned()]);
    bench.put_numbers(1..=1);
    bench.esm.close_shard("a");
    bench.poll();
    bench.fail();
    assert_eq!(bench.esm.readable().count(), 0);
    bench.take_notice();
    assert_eq!(bench.esm.readable().collect::<Vec<_>>(), ["child"]);
}
