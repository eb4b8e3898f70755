//! How batches are formed: size, window, payload.

use super::*;
use crate::error::LocalError;

#[test]
fn a_batch_has_at_most_batch_size_records_and_takes_what_is_there_without_a_window() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 3,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=7);
    assert_eq!(bench.poll(), [vec![1, 2, 3]]);
    bench.answer("null");
    assert_eq!(bench.poll(), [vec![4, 5, 6]]);
    bench.answer("null");
    assert_eq!(bench.poll(), [vec![7]], "without a window nothing waits for more");
    bench.answer("null");
    assert!(bench.poll().is_empty());
    assert!(bench.esm.is_idle());
    assert_eq!((bench.esm.stats().batches, bench.esm.stats().records_done), (3, 7));
}

#[test]
fn a_batching_window_runs_from_the_first_record_and_ends_early_when_the_batch_is_full() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 3,
        batching_window_ms: 500,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=1);
    assert!(bench.poll().is_empty());
    assert_eq!(bench.esm.wake_ms(), Some(bench.now_ms + 500));
    assert!(bench.later(300).is_empty());
    bench.put_numbers(2..=2);
    assert!(bench.later(199).is_empty(), "one millisecond before the window's end");
    assert_eq!(
        bench.later(1),
        [vec![1, 2]],
        "500 ms after record 1, not after record 2"
    );
    bench.answer("null");
    bench.put_numbers(3..=5);
    assert_eq!(bench.poll(), [vec![3, 4, 5]], "full before the window's end");
}

#[test]
fn a_full_window_of_the_rest_begins_when_its_first_record_was_read() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 2,
        batching_window_ms: 500,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=3);
    assert_eq!(bench.poll(), [vec![1, 2]]);
    bench.answer("null");
    assert!(bench.later(499).is_empty());
    assert_eq!(bench.later(1), [vec![3]]);
}

#[test]
fn a_payload_stays_within_its_limit_with_the_commas_counted() {
    // Two records of 10 bytes and the comma between them are 21.
    let mut bench = Bench::new(EsmOptions {
        payload_bytes_max: 21,
        batching_window_ms: 9_000,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=3);
    assert_eq!(
        bench.poll(),
        [vec![1, 2]],
        "a full payload does not wait for the window"
    );
    let mut bench = Bench::new(EsmOptions {
        payload_bytes_max: 20,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=3);
    assert_eq!(bench.poll(), [vec![1]]);
    let mut bench = Bench::new(EsmOptions {
        payload_bytes_max: 9,
        ..EsmOptions::default()
    });
    bench.put_numbers(1..=3);
    assert_eq!(
        bench.poll(),
        [vec![1]],
        "a record above the limit goes alone; it must not block the shard"
    );
}

#[test]
fn shards_are_worked_side_by_side_and_each_has_one_batch_at_a_time() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 1,
        ..EsmOptions::default()
    });
    bench.esm.add_shard("b", &[]);
    bench.put("a", &[(1, "k"), (2, "k")]);
    bench.put("b", &[(3, "k"), (4, "k")]);
    assert_eq!(bench.poll(), [vec![1], vec![3]]);
    assert!(bench.poll().is_empty(), "both shards are busy");
    let of_b = bench.calls[1].clone();
    assert_eq!(of_b.shard, "b");
    bench.finish(&of_b, &answered("null"));
    assert_eq!(bench.poll(), [vec![4]], "b goes on while a is still busy");
}

#[test]
fn a_shard_is_not_read_further_than_its_limit_while_the_function_is_behind() {
    let mut bench = Bench::new(EsmOptions::default());
    bench.put_numbers(1..=19_999);
    assert_eq!(bench.esm.readable().count(), 1);
    bench.put_numbers(20_000..=20_000);
    assert_eq!(bench.esm.readable().count(), 0);
    bench.poll();
    bench.answer("null");
    assert_eq!(bench.esm.readable().count(), 1);
}

#[test]
fn options_outside_awss_limits_are_refused() {
    let refused = |options: EsmOptions| match options.check() {
        Err(LocalError::Option { option, .. }) => option,
        other => panic!("{other:?}"),
    };
    let base = EsmOptions::default;
    assert!(base().check().is_ok());
    assert_eq!(
        refused(EsmOptions {
            batch_size: 0,
            ..base()
        }),
        "BatchSize"
    );
    assert_eq!(
        refused(EsmOptions {
            batch_size: 10_001,
            ..base()
        }),
        "BatchSize"
    );
    assert_eq!(
        refused(EsmOptions {
            parallelization_factor: 11,
            ..base()
        }),
        "ParallelizationFactor"
    );
    assert_eq!(
        refused(EsmOptions {
            retries_max: Some(10_001),
            ..base()
        }),
        "MaximumRetryAttempts"
    );
    assert_eq!(
        refused(EsmOptions {
            record_age_s_max: Some(604_801),
            ..base()
        }),
        "MaximumRecordAgeInSeconds"
    );
    assert!(
        refused(EsmOptions {
            batching_window_ms: 300_001,
            ..base()
        })
        .starts_with("MaximumBatchingWindow")
    );
    assert_eq!(
        refused(EsmOptions {
            payload_bytes_max: 6 << 20,
            ..base()
        }),
        "payload_bytes_max"
    );
}
