//! The real binary on the local cloud, invoked as Lambda invokes it: dead letters, a range, and texts that are not requests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its events are of now"
)]

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use localcloud::{Function, FunctionSpec, LocalCloud, LocalConfig, Names, Provisioned};
use serde_json::{Value, json};
use tidemark_aws::admin::{PutRecord, ReadFrom, ShardRecord};

/// A function's whole time; more than any test takes.
const TIMEOUT_MS: u64 = 120_000;

struct World {
    cloud: LocalCloud,
    names: Names,
    provisioned: Provisioned,
    function: Function,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(LocalConfig::new(folder.path())).await.unwrap();
        let names = Names {
            shards: 2,
            ..Names::default()
        };
        let provisioned = cloud.provision(&names).await.unwrap();
        let mut spec = FunctionSpec::new(names.redrive_function.clone(), env!("CARGO_BIN_EXE_redrive"));
        spec.env = cloud.redrive_env(&names, &provisioned);
        spec.timeout_ms = TIMEOUT_MS;
        let function = cloud.start_function(spec).await.unwrap();
        Self {
            cloud,
            names,
            provisioned,
            function,
            _folder: folder,
        }
    }

    /// Puts events, and gives the records by shard.
    async fn put(&self, events: &[Value]) -> BTreeMap<String, Vec<ShardRecord>> {
        let records: Vec<PutRecord> = events
            .iter()
            .map(|event| PutRecord {
                partition_key: event["card_id"].as_str().unwrap().to_owned(),
                data: event.to_string().into_bytes(),
            })
            .collect();
        let stream = &self.names.transactions_stream;
        self.cloud.admin().put_records(stream, &records).await.unwrap();
        self.read(stream).await
    }

    async fn read(&self, stream: &str) -> BTreeMap<String, Vec<ShardRecord>> {
        let admin = self.cloud.admin();
        let mut by_shard = BTreeMap::new();
        for shard in admin.list_shards(stream).await.unwrap() {
            let at = admin.iterator(stream, &shard.id, &ReadFrom::Oldest).await.unwrap();
            by_shard.insert(shard.id, admin.records(&at, 10_000).await.unwrap().records);
        }
        by_shard
    }

    /// Writes a letter as Lambda does for a batch that is given up.
    async fn letter(&self, shard_id: &str, records: &[ShardRecord]) {
        let (first, last) = (records.first().unwrap(), records.last().unwrap());
        let body = json!({
            "requestContext": {
                "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
                "functionArn": "arn:aws:lambda:eu-west-1:000000000000:function:tidemark-score",
                "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 21,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": null },
            "version": "1.0", "timestamp": "2026-11-23T06:00:00.000Z",
            "KinesisBatchInfo": {
                "shardId": shard_id, "startSequenceNumber": first.sequence_number, "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": "2026-11-23T05:00:00Z",
                "approximateArrivalOfLastRecord": "2026-11-23T05:00:00Z",
                "batchSize": records.len(), "streamArn": self.provisioned.transactions_stream_arn,
            },
        });
        let url = &self.provisioned.dead_letter_queue_url;
        self.cloud.admin().send(url, &body.to_string()).await.unwrap();
    }

    async fn invoke(&self, request: Value) -> Value {
        self.function.invoke(&request).await.unwrap()
    }

    async fn waiting(&self, queue_url: &str) -> u64 {
        let depth = self.cloud.admin().queue_depth(queue_url).await.unwrap();
        depth.visible + depth.in_flight
    }

    async fn outcomes(&self) -> usize {
        let by_shard = self.read(&self.names.scores_stream).await;
        by_shard.values().map(Vec::len).sum()
    }

    async fn stop(self) {
        self.function.stop().await;
        self.cloud.stop().await;
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn transactions(count: u64) -> Vec<Value> {
    let transaction = |number: u64| {
        json!({
            "schema": "transaction", "version": 2, "event_id": format!("event-{number}"), "card_id": format!("card-{}", number % 40),
            "occurred_at_ms": now_ms(), "amount_minor": 500 + number % 90, "currency": "EUR", "merchant_id": "m1",
            "mcc": 5411, "country": "FR", "channel": "ecommerce", "approved": true,
        })
    };
    (0..count).map(transaction).collect()
}

fn count(answer: &Value, field: &str) -> u64 {
    answer["account"][field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field}: {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_by_the_real_binary_and_nothing_counts_twice() {
    let world = World::start().await;
    let by_shard = world.put(&transactions(400)).await;
    for (shard_id, records) in &by_shard {
        for piece in records.chunks(30) {
            world.letter(shard_id, piece).await;
        }
    }
    let letters = world.waiting(&world.provisioned.dead_letter_queue_url).await;
    assert!(letters >= 14, "{letters}");

    let dry = world.invoke(json!({ "source": "dead_letter", "dry_run": true })).await;
    assert_eq!((count(&dry, "found"), count(&dry, "scored")), (400, 0), "{dry}");
    assert_eq!(world.waiting(&world.provisioned.dead_letter_queue_url).await, letters);
    assert_eq!(world.outcomes().await, 0, "a dry run changes nothing");

    let done = world.invoke(json!({ "source": "dead_letter" })).await;
    assert_eq!(
        (&done["stopped"], &done["cursor"]),
        (&json!("done"), &Value::Null),
        "{done}"
    );
    assert_eq!(
        (
            count(&done, "messages"),
            count(&done, "expected"),
            count(&done, "scored")
        ),
        (letters, 400, 400)
    );
    assert_eq!(world.waiting(&world.provisioned.dead_letter_queue_url).await, 0);
    assert_eq!(world.outcomes().await, 400);

    // The same again, as a range of the stream: all of it is done already.
    let again = world
        .invoke(json!({ "source": "range", "range": { "since_ms": 0 } }))
        .await;
    assert_eq!(
        (
            count(&again, "found"),
            count(&again, "already_done"),
            count(&again, "scored")
        ),
        (400, 400, 0),
        "{again}"
    );
    world.stop().await;
}

/// Records of a batch as Lambda's event has them, of which the stream has none any more: their numbers are lower than any that it has.
fn object_of(world: &World, shard_id: &str, events: &[Value]) -> Value {
    let arn = &world.provisioned.transactions_stream_arn;
    let number = |at: usize| format!("1{at:055}");
    let records: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(at, event)| {
            let seconds = now_ms() / 1_000;
            json!({
                "kinesis": {
                    "kinesisSchemaVersion": "1.0", "partitionKey": event["card_id"], "sequenceNumber": number(at),
                    "data": base64(event.to_string().as_bytes()), "approximateArrivalTimestamp": seconds,
                },
                "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("{shard_id}:{}", number(at)),
                "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::000000000000:role/score",
                "awsRegion": "eu-west-1", "eventSourceARN": arn,
            })
        })
        .collect();
    json!({
        "requestContext": { "condition": "RecordAgeExceeded", "approximateInvokeCount": 3 },
        "version": "1.0", "timestamp": "2026-11-23T06:00:00.000Z",
        "KinesisBatchInfo": {
            "shardId": shard_id, "startSequenceNumber": number(0), "endSequenceNumber": number(events.len() - 1),
            "approximateArrivalOfFirstRecord": "2026-11-23T05:00:00Z", "approximateArrivalOfLastRecord": "2026-11-23T05:00:00Z",
            "batchSize": events.len(), "streamArn": arn,
        },
        "payload": json!({ "Records": records }).to_string(),
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The drill of retention: the stream has forgotten the records, and their payload is in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_records_have_left_the_stream_is_redriven_from_its_payload_and_counts_once() {
    let world = World::start().await;
    let by_shard = world.put(&transactions(20)).await;
    let shard_id = by_shard.keys().next().unwrap();
    let events: Vec<Value> = transactions(90).split_off(50);
    let object = object_of(&world, shard_id, &events).to_string();
    let admin = world.cloud.admin();
    let bucket = admin.letter_bucket(&world.names.prefix).await.unwrap();
    let key = |at: u32| {
        format!(
            "aws/lambda/0a1b2c3d-1111-4222-8333-444455556666/{shard_id}/2026/11/23/2026-11-23T06.00.{at:02}-{at:08x}-0000-4000-8000-000000000000"
        )
    };
    admin
        .put_object(bucket.name(), &key(1), "000000000000", object.as_bytes())
        .await
        .unwrap();

    let look = world.invoke(json!({ "source": "dead_letter", "look": true })).await;
    assert_eq!(
        (count(&look, "messages"), &look["stopped"]),
        (1, &json!("done")),
        "{look}"
    );
    let done = world.invoke(json!({ "source": "dead_letter" })).await;
    assert_eq!(
        (&done["stopped"], &done["problems"]),
        (&json!("done"), &json!([])),
        "{done}"
    );
    assert_eq!(
        (
            count(&done, "messages"),
            count(&done, "expected"),
            count(&done, "scored")
        ),
        (1, 40, 40),
        "{done}"
    );
    assert_eq!((count(&done, "trimmed"), count(&done, "returned")), (0, 0));
    assert_eq!(world.outcomes().await, 40);
    assert_eq!(bucket.letters(None).await.unwrap().unwrap().objects, []);

    admin
        .put_object(bucket.name(), &key(2), "000000000000", object.as_bytes())
        .await
        .unwrap();
    let again = world.invoke(json!({ "source": "dead_letter" })).await;
    assert_eq!(
        (count(&again, "scored"), count(&again, "already_done")),
        (0, 40),
        "{again}"
    );
    assert_eq!(bucket.letters(None).await.unwrap().unwrap().objects, []);
    assert_eq!(world.waiting(&world.provisioned.unrecoverable_queue_url).await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_and_bad_requests_lose_nothing() {
    let world = World::start().await;
    let by_shard = world.put(&transactions(60)).await;
    let (shard_id, records) = by_shard.iter().max_by_key(|(_, records)| records.len()).unwrap();
    world.letter(shard_id, records).await;
    world.letter(shard_id, records).await;
    let mut gone = records.clone();
    world.letter("shardId-000000000099", &gone).await;
    gone[0].sequence_number = "9".repeat(10_000);
    world.letter(shard_id, &gone).await;
    let queue = &world.provisioned.dead_letter_queue_url;
    for body in ["not JSON", "{\"KinesisBatchInfo\":{}}"] {
        world.cloud.admin().send(queue, body).await.unwrap();
    }

    let answer = world.invoke(json!({ "source": "dead_letter" })).await;
    assert_eq!(count(&answer, "scored"), records.len() as u64, "{answer}");
    assert_eq!(
        count(&answer, "already_done"),
        records.len() as u64,
        "the same letter twice: {answer}"
    );
    assert_eq!(
        (
            count(&answer, "rejected_messages"),
            count(&answer, "unrecoverable_messages")
        ),
        (3, 1),
        "{answer}"
    );
    assert_eq!(world.waiting(queue).await, 0);
    assert_eq!(world.waiting(&world.provisioned.unrecoverable_queue_url).await, 4);
    let mut codes: Vec<&str> = answer["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["TM-5003", "TM-5004", "TM-5006", "TM-5008"]);

    for (request, code) in [
        (json!({ "source": "the queue" }), "TM-5001"),
        (
            json!({ "source": "range", "range": { "since_ms": 2, "until_ms": 1 } }),
            "TM-5002",
        ),
    ] {
        let error = world.function.invoke(&request).await.unwrap_err().to_string();
        assert!(error.contains(code), "{error}");
    }
    world.stop().await;
}
