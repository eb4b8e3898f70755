use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_795_399_200_000;
const KEPT: Kept = Kept {
    now_ms: NOW_MS,
    stream_ms: 24 * HOUR_MS,
    queue_ms: 14 * 24 * HOUR_MS,
};

fn queued(body: String, sent_ms: i64) -> QueueMessage {
    QueueMessage {
        id: sent_ms.to_string(),
        receipt: "r".to_owned(),
        body,
        receive_count: 1,
        sent_ms,
    }
}

fn notice(shard: &str, records: u64, age_h: i64) -> QueueMessage {
    let arrival = terminal::when::instant(NOW_MS - age_h * HOUR_MS);
    let body = json!({
        "requestContext": { "condition": "RetryAttemptsExhausted" },
        "KinesisBatchInfo": {
            "shardId": shard, "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": records,
            "approximateArrivalOfFirstRecord": arrival,
            "streamArn": "arn:aws:kinesis:eu-west-1:000000000000:stream/t",
        },
    });
    queued(body.to_string(), NOW_MS - age_h * HOUR_MS / 2)
}

fn content(messages: Vec<QueueMessage>) -> QueueContent {
    QueueContent {
        messages,
        ..QueueContent::default()
    }
}

#[test]
fn rows_are_by_shard_and_condition_and_the_most_urgent_comes_first() {
    let messages = vec![notice("s-1", 10, 1), notice("s-2", 5, 20), notice("s-1", 7, 3)];
    let found = dead_letters(&content(messages), &QueueContent::default(), "t", KEPT);
    assert_eq!(
        (found.messages, found.records, found.past_retention_records),
        (3, 22, 0)
    );
    let rows: Vec<_> = found
        .rows
        .iter()
        .map(|row| (row.shard_id.as_str(), row.records))
        .collect();
    assert_eq!(rows, [("s-2", 5), ("s-1", 17)]);
    assert_eq!(found.rows[0].gone_in_ms, 4 * HOUR_MS);
    assert_eq!(found.rows[1].age_ms, 3 * HOUR_MS, "the oldest of the row");
}

#[test]
fn records_past_retention_and_malformed_messages_are_told_apart() {
    let messages = vec![
        notice("s-1", 10, 25),
        notice("s-1", 1, 1),
        queued("{".to_owned(), NOW_MS),
        queued("{}".to_owned(), NOW_MS),
    ];
    let found = dead_letters(&content(messages), &QueueContent::default(), "t", KEPT);
    assert_eq!((found.records, found.past_retention_records), (11, 10));
    assert_eq!(
        found.malformed,
        BTreeMap::from([("TM-5003".to_owned(), 1), ("TM-5004".to_owned(), 1)])
    );
    let report = DlqReport {
        dead_letter: found,
        retention_h: 24,
        ..DlqReport::default()
    };
    let text = anstream::adapter::strip_str(&view::render(&report)).to_string();
    assert!(text.contains("11 records in 4 messages"), "{text}");
    assert!(
        text.contains("10 records are older than the stream's retention of 24 h"),
        "{text}"
    );
    assert!(text.contains("1 message no redrive can use: TM-5003"), "{text}");
    assert!(text.contains("past retention"), "{text}");
}

#[test]
fn a_record_in_several_messages_counts_once() {
    let part = |part: u64| {
        let body = json!({"sequence_number": "1", "shard_id": "s", "code": "not_json", "part": part, "parts": 2});
        queued(body.to_string(), NOW_MS - HOUR_MS)
    };
    let found = refusals(&content(vec![part(1), part(2)]), KEPT);
    assert_eq!((found.messages, found.records), (2, 1));
    let row = &found.rows[0];
    assert_eq!((row.code.as_str(), row.records, row.age_ms), ("not_json", 1, HOUR_MS));
}

#[test]
fn an_empty_deployment_says_so() {
    let text = anstream::adapter::strip_str(&view::render(&DlqReport::default())).to_string();
    assert_eq!(text.matches("nothing waits").count(), 2, "{text}");
    assert!(!text.contains("redrive"), "there is nothing to do: {text}");
}

#[test]
fn a_letter_in_somebodys_hands_waits_too() {
    let hidden = QueueContent {
        hidden: 1,
        ..QueueContent::default()
    };
    assert!(!dead_letters(&hidden, &QueueContent::default(), "t", KEPT).is_empty());
    assert!(dead_letters(&QueueContent::default(), &QueueContent::default(), "t", KEPT).is_empty());
}

/// An object has its payload: the stream's retention takes nothing of it.
#[test]
fn what_is_in_the_bucket_is_not_lost_when_the_stream_forgets_it() {
    let bucket = content(vec![notice("s-1", 10, 30)]);
    let found = dead_letters(&content(vec![notice("s-1", 5, 30)]), &bucket, "t", KEPT);
    assert_eq!((found.messages, found.objects, found.records), (2, 1, 15));
    assert_eq!(found.past_retention_records, 5, "those of the queue");
    let alone = dead_letters(&QueueContent::default(), &bucket, "t", KEPT);
    assert_eq!(alone.rows[0].gone_in_ms, RECORD_MS_MAX - 30 * HOUR_MS);
    let cut = QueueContent { more: true, ..bucket };
    assert!(dead_letters(&QueueContent::default(), &cut, "t", KEPT).more_messages);
}
