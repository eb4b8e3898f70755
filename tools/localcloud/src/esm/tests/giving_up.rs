//! When a batch is given up, and what the destination is told.

use serde_json::json;

use super::*;

#[test]
fn after_its_retries_a_batch_goes_to_the_destination_in_the_exact_shape() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(3),
        batch_size: 2,
        ..reporting()
    });
    bench.now_ms = 1_767_225_599_001;
    bench.put_numbers(7..=7);
    bench.now_ms += 1_000;
    bench.put_numbers(8..=8);
    bench.poll();
    for attempt in 1..=4 {
        assert_eq!(bench.calls[0].records, [7, 8], "attempt {attempt}");
        assert!(bench.notices.is_empty());
        bench.fail();
        if attempt < 4 {
            bench.next();
        }
    }
    assert!(bench.later(100_000).is_empty(), "no fifth attempt");
    let timestamp = "2026-01-01T00:00:00.351Z"; // The three waits: 50, 100 and 200 ms.
    assert_eq!(
        bench.notices[0].1,
        json!({
            "requestContext": {
                "requestId": "r-1",
                "functionArn": FUNCTION,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 4,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": timestamp,
            "KinesisBatchInfo": {
                "shardId": "a",
                "startSequenceNumber": number(7),
                "endSequenceNumber": number(8),
                "approximateArrivalOfFirstRecord": "2025-12-31T23:59:59.001Z",
                "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.001Z",
                "batchSize": 2,
                "streamArn": STREAM,
            },
        })
    );
}

#[test]
fn after_a_partial_failure_the_function_error_is_null() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(0),
        ..reporting()
    });
    bench.put_numbers(1..=3);
    bench.poll();
    bench.answer(&failures(&[2]));
    let notice = bench.take_notice();
    assert_eq!(notice["responseContext"]["functionError"], Value::Null);
    assert_eq!(notice["responseContext"]["statusCode"], 200);
    let info = &notice["KinesisBatchInfo"];
    assert_eq!(
        (&info["startSequenceNumber"], &info["batchSize"]),
        (&json!(number(2)), &json!(2))
    );
    assert_eq!(
        (bench.esm.stats().records_done, bench.esm.stats().records_discarded),
        (1, 2)
    );
}

#[test]
fn records_above_the_maximum_age_are_given_up_and_younger_ones_go_on() {
    let mut bench = Bench::new(EsmOptions {
        record_age_s_max: Some(60),
        ..reporting()
    });
    bench.put_numbers(1..=2);
    bench.now_ms += 50_000;
    bench.put_numbers(3..=3);
    bench.poll();
    bench.fail();
    bench.now_ms += 10_001;
    assert!(bench.poll().is_empty(), "the lane waits for the destination");
    let notice = bench.take_notice();
    assert_eq!(notice["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(notice["requestContext"]["approximateInvokeCount"], 1);
    assert!(notice.get("responseContext").is_none(), "AWS leaves it out");
    assert_eq!(notice["KinesisBatchInfo"]["batchSize"], 2);
    assert_eq!(bench.poll(), [vec![3]]);
    assert_eq!(bench.checkpoint(), Some(2));
}

#[test]
fn a_record_of_exactly_the_maximum_age_is_still_invoked() {
    let mut bench = Bench::new(EsmOptions {
        record_age_s_max: Some(60),
        ..reporting()
    });
    bench.put_numbers(1..=1);
    assert_eq!(bench.later(60_000), [vec![1]]);
    let mut bench = Bench::new(EsmOptions {
        record_age_s_max: Some(60),
        ..reporting()
    });
    bench.put_numbers(1..=1);
    assert!(bench.later(60_001).is_empty());
    let notice = bench.take_notice();
    assert_eq!(
        notice["requestContext"]["approximateInvokeCount"], 0,
        "too old before it was ever invoked"
    );
}

#[test]
fn a_wait_for_a_retry_ends_when_the_record_becomes_too_old() {
    let options = EsmOptions {
        record_age_s_max: Some(60),
        backoff_ms_first: 600_000,
        backoff_ms_max: 600_000,
        ..reporting()
    };
    let mut bench = Bench::new(options);
    bench.put_numbers(1..=1);
    bench.poll();
    bench.fail();
    bench.poll();
    assert_eq!(bench.esm.wake_ms(), Some(bench.now_ms + 60_001));
    assert!(bench.later(60_001).is_empty());
    assert_eq!(bench.take_notice()["requestContext"]["condition"], "RecordAgeExceeded");
    assert!(bench.esm.is_idle());
}

#[test]
fn without_a_destination_a_batch_is_given_up_at_once_and_the_shard_goes_on() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(0),
        batch_size: 1,
        on_failure: false,
        ..reporting()
    });
    bench.put_numbers(1..=2);
    bench.poll();
    bench.fail();
    assert!(bench.notices.is_empty());
    assert_eq!(bench.poll(), [vec![2]]);
    assert_eq!((bench.checkpoint(), bench.esm.stats().records_discarded), (Some(1), 1));
}

#[test]
fn the_checkpoint_waits_until_the_destination_has_the_message() {
    let mut bench = Bench::new(EsmOptions {
        retries_max: Some(0),
        batch_size: 1,
        ..reporting()
    });
    bench.put_numbers(1..=2);
    bench.poll();
    bench.fail();
    assert!(bench.later(1_000_000).is_empty(), "the shard does not go on");
    assert_eq!((bench.checkpoint(), bench.esm.is_idle()), (None, false));
    bench.take_notice();
    assert_eq!(bench.checkpoint(), Some(1));
    assert_eq!(bench.poll(), [vec![2]]);
    assert_eq!(bench.esm.stats().on_failure_sent, 1);
}
