//! What an answer or an error means for the batch: partial failure, retries, bisect.

use super::*;

#[test]
fn a_partial_failure_starts_again_at_the_lowest_number_with_every_later_record() {
    let mut bench = Bench::new(reporting());
    bench.put_numbers(1..=5);
    bench.poll();
    bench.answer(&failures(&[4, 2]));
    assert_eq!(bench.checkpoint(), Some(1));
    assert_eq!(bench.next(), [2, 3, 4, 5], "3 and 5 come again although they succeeded");
    bench.answer(&failures(&[5]));
    assert_eq!(bench.next(), [5]);
    bench.answer(&failures(&[]));
    assert_eq!(bench.checkpoint(), Some(5));
    assert_eq!(
        (bench.esm.stats().partial_failures, bench.esm.stats().records_done),
        (2, 5)
    );
}

#[test]
fn numbers_of_different_length_compare_as_numbers() {
    let mut bench = Bench::new(reporting());
    let record = |text: &str| EsmRecord {
        sequence_number: text.to_owned(),
        partition_key: "k".to_owned(),
        arrival_ms: bench.now_ms,
        body: Vec::new(),
    };
    let records = ["998", "999", "1000"].map(record).to_vec();
    bench.esm.accept("a", records, bench.now_ms);
    let [Action::Invoke { batch_id, .. }] = &bench.esm.poll(bench.now_ms)[..] else {
        panic!("one batch")
    };
    bench.esm.invoked(
        *batch_id,
        &answered(r#"{"batchItemFailures":[{"itemIdentifier":"1000"}]}"#),
        bench.now_ms,
    );
    assert_eq!(bench.esm.checkpoints().next(), Some(("a", "999")));
}

#[test]
fn an_empty_or_null_answer_or_list_is_success() {
    for response in [
        "",
        "null",
        "{}",
        r#"{"batchItemFailures":null}"#,
        r#"{"batchItemFailures":[]}"#,
    ] {
        let mut bench = Bench::new(reporting());
        bench.put_numbers(1..=3);
        bench.poll();
        bench.answer(response);
        assert_eq!(bench.checkpoint(), Some(3), "answer {response:?}");
        assert!(bench.esm.is_idle());
    }
}

#[test]
fn an_identifier_that_is_unknown_empty_null_or_misspelt_fails_the_whole_batch() {
    let unknown = failures(&[99]);
    let mixed = failures(&[2, 99]);
    for response in [
        unknown.as_str(),
        &mixed,
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
        r#"{"batchItemFailures":[{"itemidentifier":"49000000000000000000000000000000000000000000000000000000000002"}]}"#,
        r#"{"batchItemFailures":["x"]}"#,
        r#"{"batchItemFailures":"x"}"#,
        "\"done\"",
        "not JSON",
    ] {
        let mut bench = Bench::new(reporting());
        bench.put_numbers(1..=3);
        bench.poll();
        bench.answer(response);
        assert_eq!(bench.checkpoint(), None, "answer {response:?}");
        assert_eq!(bench.next(), [1, 2, 3], "answer {response:?}");
        assert_eq!((bench.esm.stats().failures, bench.esm.stats().partial_failures), (1, 0));
    }
}

#[test]
fn without_report_batch_item_failures_the_answer_does_not_matter() {
    let mut bench = Bench::new(EsmOptions {
        report_item_failures: false,
        ..reporting()
    });
    bench.put_numbers(1..=3);
    bench.poll();
    bench.answer(&failures(&[2]));
    assert_eq!(bench.checkpoint(), Some(3));
}

#[test]
fn retries_wait_twice_as_long_each_time_up_to_a_limit() {
    let mut bench = Bench::new(EsmOptions {
        backoff_ms_first: 100,
        backoff_ms_max: 350,
        ..reporting()
    });
    bench.put_numbers(1..=1);
    bench.poll();
    for expected_ms in [100, 200, 350, 350] {
        bench.fail();
        assert!(bench.poll().is_empty());
        assert_eq!(bench.esm.wake_ms(), Some(bench.now_ms + expected_ms));
        assert!(bench.later(expected_ms - 1).is_empty());
        assert_eq!(bench.later(1), [vec![1]]);
    }
}

#[test]
fn without_a_retry_limit_a_bad_record_blocks_its_shard_for_good() {
    let mut bench = Bench::new(EsmOptions {
        batch_size: 1,
        ..reporting()
    });
    bench.put_numbers(1..=2);
    bench.poll();
    for _ in 0..200 {
        bench.fail();
        assert_eq!(bench.next(), [1]);
    }
    assert_eq!((bench.checkpoint(), bench.notices.len()), (None, 0));
}

#[test]
fn a_throttled_invocation_is_no_attempt() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(0),
        ..reporting()
    });
    bench.put_numbers(1..=1);
    bench.poll();
    for _ in 0..5 {
        let call = bench.calls[0].clone();
        bench.finish(&call, &InvokeOutcome::NotRun);
        assert_eq!(bench.next(), [1]);
    }
    assert_eq!((bench.esm.stats().throttles, bench.esm.stats().invocations), (5, 0));
    bench.fail();
    assert_eq!(bench.notices[0].1["requestContext"]["approximateInvokeCount"], 1);
}

#[test]
fn bisect_halves_a_failed_batch_in_order_and_uses_up_no_retry() {
    let options = EsmOptions {
        bisect_on_error: true,
        retries_max: Some(1),
        ..reporting()
    };
    let mut bench = Bench::new(options);
    bench.put_numbers(1..=5);
    assert_eq!(bench.poll(), [vec![1, 2, 3, 4, 5]]);
    // Record 4 is poison.
    let mut seen = Vec::new();
    for _ in 0..20 {
        if bench.calls.is_empty() {
            break;
        }
        let records = bench.calls[0].records.clone();
        seen.push(records.clone());
        if records.contains(&4) {
            bench.fail();
        } else {
            bench.answer("null");
        }
        if !bench.notices.is_empty() || (bench.poll().is_empty() && bench.esm.wake_ms().is_some()) {
            bench.later(10_000);
        }
        if !bench.notices.is_empty() {
            bench.take_notice();
            bench.poll();
        }
    }
    let expected: [&[u64]; 6] = [&[1, 2, 3, 4, 5], &[1, 2, 3], &[4, 5], &[4], &[4], &[5]];
    assert_eq!(seen, expected, "4 alone is tried twice: once, and its one retry");
    assert_eq!(bench.esm.stats().bisections, 2);
    assert_eq!(
        (bench.esm.stats().records_done, bench.esm.stats().records_discarded),
        (4, 1)
    );
    assert_eq!(bench.checkpoint(), Some(5));
}

#[test]
fn with_bisect_a_partial_failure_cuts_at_the_number_and_uses_up_no_retry() {
    let mut bench = Bench::new(EsmOptions {
        bisect_on_error: true,
        retries_max: Some(0),
        ..reporting()
    });
    bench.put_numbers(1..=5);
    bench.poll();
    bench.answer(&failures(&[3]));
    assert_eq!(
        bench.poll(),
        [vec![3, 4, 5]],
        "the rest, at once, although no retry is allowed"
    );
    bench.answer(&failures(&[4]));
    assert_eq!(bench.poll(), [vec![4, 5]]);
    bench.answer(&failures(&[4]));
    assert!(
        bench.poll().is_empty(),
        "nothing was cut off: that is an attempt, and there are none left"
    );
    let notice = bench.take_notice();
    assert_eq!(notice["KinesisBatchInfo"]["batchSize"], 2);
    assert_eq!(bench.checkpoint(), Some(5));
}

#[test]
fn without_bisect_a_partial_failure_uses_up_a_retry() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(1),
        ..reporting()
    });
    bench.put_numbers(1..=3);
    bench.poll();
    bench.answer(&failures(&[2]));
    assert_eq!(bench.next(), [2, 3]);
    bench.answer(&failures(&[3]));
    assert!(bench.poll().is_empty());
    assert_eq!(bench.take_notice()["requestContext"]["approximateInvokeCount"], 2);
}
