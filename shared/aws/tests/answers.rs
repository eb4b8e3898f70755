//! The ports against answers that no emulator gives: throttles, partial failures, silence, closed connections.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use crate::support::{Answer, serve};
use serde_json::{Value, json};
use tidemark_aws::{AwsSettings, DynamoStore, KinesisSink, SqsQuarantine, Writes, connect, limits};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::port::{
    Commit, OutcomeRecord, PortError, Quarantine, QuarantineMessage, ScoreSink, SegmentItem, StateItem, StateStore,
    StateWrite,
};

fn write(at: usize) -> Arc<StateWrite> {
    Arc::new(StateWrite {
        card_id: CardId::new(&format!("card-{at}")).unwrap(),
        expected: None,
        item: StateItem::new(1, vec![1, 2, 3]),
        expires_at_s: 2_000_000_000,
    })
}

fn outcomes(count: usize, bytes: usize) -> Vec<OutcomeRecord> {
    let outcome = |at| OutcomeRecord {
        card_id: CardId::new(&format!("card-{at}")).unwrap(),
        bytes: vec![b'x'; bytes],
    };
    (0..count).map(outcome).collect()
}

fn message(payload: usize) -> QuarantineMessage {
    QuarantineMessage {
        schema: "quarantine".to_owned(),
        version: 1,
        code: RefusalCode::NotJson,
        detail: "expected one JSON object".to_owned(),
        stream: "tidemark-transactions".to_owned(),
        shard_id: "shardId-000000000000".to_owned(),
        sequence_number: "1".to_owned(),
        sub_sequence_number: None,
        partition_key: "card-1".to_owned(),
        record_partition_key: None,
        arrival_ms: 1,
        payload_bytes: payload,
        masked: false,
        part: 1,
        parts: 1,
        payload_base64: "x".repeat(payload),
    }
}

async fn commit_error(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (PortError, usize) {
    let (clients, seen) = serve(move |_, _, _| answer()).await;
    let error = DynamoStore::new(clients.dynamodb, "cards")
        .commit(&[write(1)])
        .await
        .unwrap_err();
    let calls = seen.lock().unwrap().len();
    (error, calls)
}

fn error_body(code: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "card c#card-1 and its value" })
}

#[tokio::test]
async fn failures_are_told_apart_by_type_and_each_call_is_made_once() {
    let (error, calls) = commit_error(|| Answer::Json(400, error_body("ProvisionedThroughputExceededException"))).await;
    assert!(matches!(error, PortError::Throttled(_)), "{error}");
    assert_eq!(calls, 1, "the engine owns the retries");
    let (error, _) = commit_error(|| Answer::Json(400, error_body("ThrottlingException"))).await;
    assert!(matches!(error, PortError::Throttled(_)), "{error}");
    let (error, _) = commit_error(|| Answer::Json(400, error_body("RequestLimitExceeded"))).await;
    assert!(matches!(error, PortError::Throttled(_)), "{error}");
    let (error, calls) = commit_error(|| Answer::Json(500, error_body("InternalServerError"))).await;
    assert!(matches!(error, PortError::Unavailable(_)), "{error}");
    assert_eq!(calls, 1);
    let (error, _) = commit_error(|| Answer::Json(503, json!({}))).await;
    assert!(matches!(error, PortError::Unavailable(_)), "{error}");
    let (error, _) = commit_error(|| Answer::Json(400, error_body("ValidationException"))).await;
    assert!(matches!(error, PortError::Permanent(_)), "{error}");
    assert!(
        !error.to_string().contains("card-1"),
        "a validation message may quote values: {error}"
    );
    let (error, _) = commit_error(|| Answer::Close).await;
    assert!(matches!(error, PortError::Unavailable(_)), "{error}");
}

/// Each code that a statement may fail with, beside one that succeeds: the call itself does not fail.
#[tokio::test]
async fn statements_fail_one_by_one_and_by_their_codes() {
    let codes = [
        "ConditionalCheckFailed",
        "DuplicateItem",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "InternalServerError",
        "TransactionConflict",
        "ItemCollectionSizeLimitExceeded",
        "ValidationError",
        "ResourceNotFound",
        "AccessDenied",
        "SomethingNew",
    ];
    let (clients, seen) = serve(move |_, operation, body| {
        assert_eq!(operation, "BatchExecuteStatement");
        assert_eq!(body["Statements"].as_array().unwrap().len(), codes.len() + 1);
        let failed =
            |code| json!({ "Error": { "Code": code, "Message": "card c#card-1 and its value" }, "TableName": "cards" });
        let mut responses = vec![json!({ "TableName": "cards" })];
        responses.extend(codes.map(failed));
        responses[1]["Error"]["Item"] = with_state(&json!({ "pk": { "S": "c#card-1" }, "sk": { "S": "s" } }));
        Answer::Json(
            200,
            json!({ "Responses": responses, "ConsumedCapacity": [{ "TableName": "cards", "CapacityUnits": 3.0 }] }),
        )
    })
    .await;
    let store = DynamoStore::new(clients.dynamodb, "cards");
    let writes: Vec<Arc<StateWrite>> = (0..=codes.len()).map(write).collect();
    let answers = store.commit(&writes).await.unwrap();
    assert!((answers.units.write - 3.0).abs() < f64::EPSILON);
    assert!(matches!(answers.value[0], Ok(Commit::Written)));
    for (code, answer) in codes.into_iter().zip(&answers.value[1..]) {
        let is_right = match code {
            "ConditionalCheckFailed" => matches!(answer, Ok(Commit::Conflict(Some(_)))),
            "DuplicateItem" => matches!(answer, Ok(Commit::Conflict(None))),
            "ThrottlingError" | "ProvisionedThroughputExceeded" | "RequestLimitExceeded" => {
                matches!(answer, Err(PortError::Throttled(_)))
            }
            "InternalServerError" | "TransactionConflict" => matches!(answer, Err(PortError::Unavailable(_))),
            _ => matches!(answer, Err(PortError::Permanent(_))),
        };
        assert!(is_right, "{code}: {answer:?}");
        // A validation message may quote values; one that names roles and resources is shown.
        let is_shown = matches!(answer, Err(error) if error.to_string().contains("c#card-1"));
        assert_eq!(is_shown, matches!(code, "AccessDenied" | "ResourceNotFound"), "{code}");
    }
    assert_eq!(seen.lock().unwrap().len(), 1, "the engine owns the retries");
}

/// Where no statement succeeded DynamoDB names no units: a failed condition has cost its write all the same.
#[tokio::test]
async fn conditions_that_failed_alone_are_counted_by_their_sizes() {
    let (clients, _) = serve(|_, _, _| {
        let failed = |code| json!({ "Error": { "Code": code } });
        Answer::Json(200, json!({ "Responses": [failed("ConditionalCheckFailed"), failed("DuplicateItem"), failed("ThrottlingError")] }))
    })
    .await;
    let store = DynamoStore::new(clients.dynamodb, "cards");
    let answers = store.commit(&[write(1), write(2), write(3)]).await.unwrap();
    assert!((answers.units.write - 2.0).abs() < f64::EPSILON, "{:?}", answers.units);
}

/// Where PartiQL is not allowed.
#[tokio::test]
async fn items_go_out_one_by_one_and_fail_one_by_one() {
    let (clients, seen) = serve(|_, operation, body| {
        assert_eq!(operation, "PutItem");
        match body["Item"]["pk"]["S"].as_str().unwrap() {
            "c#card-3" => Answer::Json(400, error_body("ThrottlingException")),
            "c#card-5" => Answer::Close,
            _ => Answer::Json(
                200,
                json!({ "ConsumedCapacity": { "TableName": "cards", "CapacityUnits": 1.0 } }),
            ),
        }
    })
    .await;
    let store = DynamoStore::new(clients.dynamodb, "cards").with_writes(Writes::Items);
    let writes: Vec<Arc<StateWrite>> = (0..25).map(write).collect();
    let answers = store.commit(&writes).await.unwrap();
    for (at, answer) in answers.value.iter().enumerate() {
        let is_right = match at {
            3 => matches!(answer, Err(PortError::Throttled(_))),
            5 => matches!(answer, Err(PortError::Unavailable(_))),
            _ => matches!(answer, Ok(Commit::Written)),
        };
        assert!(is_right, "{at}: {answer:?}");
    }
    assert!((answers.units.write - 23.0).abs() < f64::EPSILON);
    assert_eq!(seen.lock().unwrap().len(), 25);
}

#[tokio::test]
async fn silence_is_a_timeout_and_an_endpoint_that_is_not_there_is_unavailable() {
    let (error, calls) = commit_error(|| Answer::Silence).await;
    assert!(matches!(error, PortError::Timeout(_)), "{error}");
    assert_eq!(calls, 1);
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let clients = connect(&AwsSettings::local(
        "eu-west-1",
        &format!("http://127.0.0.1:{port}"),
        None,
    ))
    .await;
    let error = DynamoStore::new(clients.dynamodb, "cards")
        .commit(&[write(1)])
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn unprocessed_keys_are_asked_for_again_while_there_is_progress() {
    let (clients, seen) = serve(|number, _, body| {
        let keys = body["RequestItems"]["cards"]["Keys"].as_array().unwrap().clone();
        // The first two calls serve one key each and leave the rest.
        let served = if number < 2 { 1 } else { keys.len() };
        let items: Vec<Value> = keys[..served].iter().map(with_state).collect();
        let mut answer = json!({
            "Responses": { "cards": items },
            "UnprocessedKeys": {},
            "ConsumedCapacity": [{ "TableName": "cards", "CapacityUnits": 0.5 }],
        });
        if served < keys.len() {
            answer["UnprocessedKeys"]["cards"]["Keys"] = json!(keys[served..]);
        }
        Answer::Json(200, answer)
    })
    .await;
    let cards: Vec<CardId> = (0..5).map(|at| CardId::new(&format!("card-{at}")).unwrap()).collect();
    let loaded = DynamoStore::new(clients.dynamodb, "cards")
        .load_states(&cards)
        .await
        .unwrap();
    assert!(loaded.value.iter().all(Option::is_some));
    assert!((loaded.units.read - 1.5).abs() < f64::EPSILON);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].1["RequestItems"]["cards"]["ConsistentRead"], false);
    assert_eq!(seen[0].1["ReturnConsumedCapacity"], "TOTAL");
}

fn with_state(key: &Value) -> Value {
    let mut item = key.clone();
    item["b"] = json!({ "B": "AQID" });
    item["v"] = json!({ "N": "1" });
    item
}

#[tokio::test]
async fn keys_left_unprocessed_without_progress_are_a_throttle() {
    let (clients, seen) =
        serve(|_, _, body| Answer::Json(200, json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] })))
            .await;
    let cards = [CardId::new("card-1").unwrap()];
    let error = DynamoStore::new(clients.dynamodb, "cards")
        .load_states(&cards)
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Throttled(_)), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn put_records_is_cut_to_size_and_names_what_was_not_taken() {
    let (clients, seen) = serve(|_, _, body| {
        let records = body["Records"].as_array().unwrap();
        let answers: Vec<Value> = records
            .iter()
            .map(|record| match record["PartitionKey"].as_str() {
                Some("card-7" | "card-501") => json!({ "ErrorCode": "ProvisionedThroughputExceededException" }),
                _ => json!({ "SequenceNumber": "1", "ShardId": "shardId-000000000000" }),
            })
            .collect();
        Answer::Json(200, json!({ "FailedRecordCount": 1, "Records": answers }))
    })
    .await;
    let left = KinesisSink::new(clients.kinesis, "tidemark-scores")
        .send(&outcomes(700, 10))
        .await
        .unwrap();
    assert_eq!(left, [7, 501]);
    let sizes: Vec<usize> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body["Records"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 700);
    assert!(sizes.iter().all(|size| *size <= limits::PUT_RECORDS_MAX), "{sizes:?}");
}

#[tokio::test]
async fn put_records_stays_below_its_size_in_bytes() {
    let (clients, seen) = serve(|_, _, body| {
        let count = body["Records"].as_array().unwrap().len();
        Answer::Json(
            200,
            json!({ "FailedRecordCount": 0, "Records": vec![json!({ "SequenceNumber": "1" }); count] }),
        )
    })
    .await;
    let left = KinesisSink::new(clients.kinesis, "s")
        .send(&outcomes(12, 900_000))
        .await
        .unwrap();
    assert!(left.is_empty());
    let sizes: Vec<usize> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body["Records"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 12);
    assert!(
        sizes.iter().all(|size| size * 900_000 <= limits::PUT_BYTES_MAX),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn quarantine_goes_in_tens_and_names_what_was_not_taken() {
    let (clients, seen) = serve(|_, _, body| {
        let entries = body["Entries"].as_array().unwrap();
        // The calls are under way together: which comes first is open.
        let is_third = |entry: &&Value| {
            entry["MessageBody"]
                .as_str()
                .unwrap()
                .contains(r#""sequence_number":"3""#)
        };
        let (failed, taken): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(is_third);
        let taken: Vec<Value> = taken
            .iter()
            .map(|entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d" }))
            .collect();
        let failed: Vec<Value> = failed
            .iter()
            .map(|entry| json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }))
            .collect();
        Answer::Json(200, json!({ "Successful": taken, "Failed": failed }))
    })
    .await;
    let numbered = |at: usize| QuarantineMessage {
        sequence_number: at.to_string(),
        ..message(100)
    };
    let messages: Vec<QuarantineMessage> = (0..25).map(numbered).collect();
    let queue = SqsQuarantine::new(clients.sqs, "http://127.0.0.1/queue");
    assert_eq!(queue.put(&messages).await.unwrap(), [3]);
    {
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        let entries = seen.iter().flat_map(|(_, body)| body["Entries"].as_array().unwrap());
        let mut sent: Vec<QuarantineMessage> = entries
            .map(|entry| serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap())
            .collect();
        sent.sort_by_key(|message| message.sequence_number.parse::<usize>().unwrap());
        assert_eq!(sent, messages);
    }
    let large: Vec<QuarantineMessage> = (0..3).map(|_| message(100_000)).collect();
    queue.put(&large).await.unwrap();
    assert_eq!(
        seen.lock().unwrap().len(),
        5,
        "two of 100 kB fit in a call, three do not"
    );
}

fn segment(number: u64) -> SegmentItem {
    SegmentItem {
        card_id: CardId::new("card-1").unwrap(),
        key: SegmentKey(number),
        bytes: vec![1, 2, 3],
        expires_at_s: 2_000_000_000,
    }
}

#[tokio::test]
async fn unprocessed_segments_are_put_again_while_there_is_progress() {
    let (clients, seen) = serve(|_, _, body| {
        let puts = body["RequestItems"]["cards"].as_array().unwrap().clone();
        // Two of each call are taken.
        let mut answer =
            json!({ "UnprocessedItems": {}, "ConsumedCapacity": [{ "TableName": "cards", "CapacityUnits": 2.0 }] });
        if puts.len() > 2 {
            answer["UnprocessedItems"]["cards"] = json!(puts[2..]);
        }
        Answer::Json(200, answer)
    })
    .await;
    let store = DynamoStore::new(clients.dynamodb, "cards");
    let segments: Vec<SegmentItem> = (0..5).map(segment).collect();
    let put = store.put_segments(&segments).await.unwrap();
    assert!((put.units.write - 6.0).abs() < f64::EPSILON, "{:?}", put.units);
    let seen = seen.lock().unwrap();
    let sizes: Vec<usize> = seen
        .iter()
        .map(|(_, body)| body["RequestItems"]["cards"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [5, 3, 1]);
    let item = &seen[0].1["RequestItems"]["cards"][4]["PutRequest"]["Item"];
    assert_eq!(item["pk"]["S"], "c#card-1");
    assert_eq!(item["sk"]["S"], "g#0000000000000004");
    assert_eq!(item["ttl"]["N"], "2000000000");
}

#[tokio::test]
async fn segments_left_without_progress_are_a_throttle_and_many_go_in_calls_of_25() {
    let (clients, _) = serve(|_, _, body| Answer::Json(200, json!({ "UnprocessedItems": body["RequestItems"] }))).await;
    let error = DynamoStore::new(clients.dynamodb, "cards")
        .put_segments(&[segment(1)])
        .await
        .unwrap_err();
    assert!(matches!(error, PortError::Throttled(_)), "{error}");
    let (clients, seen) = serve(|_, _, _| Answer::Json(200, json!({ "UnprocessedItems": {} }))).await;
    let segments: Vec<SegmentItem> = (0..60).map(segment).collect();
    DynamoStore::new(clients.dynamodb, "cards")
        .put_segments(&segments)
        .await
        .unwrap();
    let mut sizes: Vec<usize> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body["RequestItems"]["cards"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 25, 25]);
}
