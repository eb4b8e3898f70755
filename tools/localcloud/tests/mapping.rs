//! The mapping over the local Kinesis and SQS, with a stand-in for the function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use futures_util::future::BoxFuture;
use localcloud::{
    EsmOptions, Invocation, InvokeError, Invoker, LocalCloud, LocalConfig, MappingSpec, Names, Provisioned,
    StartingPosition,
};
use serde_json::{Value, json};
use tidemark_aws::admin::PutRecord;
use tidemark_redrive::port::LetterBucket as _;

const PATIENCE_MS: u64 = 60_000;

/// Takes every record but `poison`, and remembers what it took: shard, key, data.
#[derive(Clone, Default)]
struct Taker {
    taken: Arc<Mutex<Vec<(String, String, String)>>>,
    invocations: Arc<Mutex<u64>>,
}

impl Taker {
    fn take(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        *self.invocations.lock().unwrap() += 1;
        let event: Value = serde_json::from_slice(payload).unwrap();
        for record in event["Records"].as_array().unwrap() {
            let kinesis = &record["kinesis"];
            let data = base64::engine::general_purpose::STANDARD
                .decode(kinesis["data"].as_str().unwrap())
                .unwrap();
            if data == b"poison" {
                let failed = json!({"batchItemFailures": [{"itemIdentifier": kinesis["sequenceNumber"]}]});
                return Ok(failed.to_string().into_bytes());
            }
            let (shard, _) = record["eventID"].as_str().unwrap().split_once(':').unwrap();
            let key = kinesis["partitionKey"].as_str().unwrap().to_owned();
            let entry = (shard.to_owned(), key, String::from_utf8(data).unwrap());
            self.taken.lock().unwrap().push(entry);
        }
        Ok(b"null".to_vec())
    }

    /// What was taken, by key, in the order in which it was taken.
    fn by_key(&self) -> BTreeMap<String, Vec<String>> {
        let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, key, data) in self.taken.lock().unwrap().iter() {
            by_key.entry(key.clone()).or_default().push(data.clone());
        }
        by_key
    }
}

impl Invoker for Taker {
    fn invoke(&self, payload: Vec<u8>) -> BoxFuture<'static, Invocation> {
        let taker = self.clone();
        Box::pin(async move {
            Invocation {
                request_id: "r".to_owned(),
                result: taker.take(&payload),
            }
        })
    }

    fn arn(&self) -> String {
        "arn:aws:lambda:eu-west-1:000000000000:function:taker".to_owned()
    }
}

struct Bench {
    cloud: LocalCloud,
    names: Names,
    made: Provisioned,
    taker: Taker,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(config: impl FnOnce(LocalConfig) -> LocalConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(config(LocalConfig::new(folder.path())))
            .await
            .unwrap();
        let names = Names::default();
        let made = cloud.provision(&names).await.unwrap();
        Self {
            cloud,
            names,
            made,
            taker: Taker::default(),
            _folder: folder,
        }
    }

    /// Puts records `from..to` over 50 keys, numbered.
    async fn put(&self, from: u32, to: u32) {
        let record = |n: u32| PutRecord {
            partition_key: format!("k{}", n % 50),
            data: n.to_string().into_bytes(),
        };
        let records: Vec<_> = (from..to).map(record).collect();
        self.cloud
            .admin()
            .put_records(&self.names.transactions_stream, &records)
            .await
            .unwrap();
    }

    fn spec(&self) -> MappingSpec {
        let mut spec = MappingSpec::new(&self.names.transactions_stream, self.taker.clone());
        spec.options = EsmOptions {
            report_item_failures: true,
            ..EsmOptions::default()
        };
        spec
    }

    /// Every record of `from..to` was taken once, each key in order.
    fn assert_taken(&self, from: u32, to: u32) {
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for n in from..to {
            expected.entry(format!("k{}", n % 50)).or_default().push(n.to_string());
        }
        assert_eq!(self.taker.by_key(), expected);
    }
}

#[tokio::test]
async fn every_record_reaches_the_function_once_and_keys_stay_in_order() {
    let bench = Bench::new().await;
    let mut spec = bench.spec();
    spec.options.parallelization_factor = 4;
    let mapping = bench.cloud.start_mapping(spec).await.unwrap();
    bench.put(0, 3_000).await;
    mapping.drained(PATIENCE_MS).await.unwrap();
    bench.assert_taken(0, 3_000);
    let stats = mapping.stats();
    assert_eq!(
        (stats.esm.records_read, stats.esm.records_done, stats.in_flight),
        (3_000, 3_000, 0)
    );
    assert_eq!(stats.esm.invocations, *bench.taker.invocations.lock().unwrap());
}

#[tokio::test]
async fn a_split_and_a_merge_keep_keys_in_order_and_lose_nothing() {
    let bench = Bench::new().await;
    let admin = bench.cloud.admin();
    let stream = &bench.names.transactions_stream;
    bench.put(0, 1_000).await;
    let shards = admin.list_shards(stream).await.unwrap();
    admin
        .split_shard(stream, &shards[0].id, &(1u128 << 100).to_string())
        .await
        .unwrap();
    bench.put(1_000, 2_000).await;
    let mapping = bench.cloud.start_mapping(bench.spec()).await.unwrap();
    bench.put(2_000, 3_000).await;
    admin.merge_shards(stream, &shards[1].id, &shards[2].id).await.unwrap();
    bench.put(3_000, 4_000).await;
    mapping.drained(PATIENCE_MS).await.unwrap();
    bench.assert_taken(0, 4_000);
    let shards = admin.list_shards(stream).await.unwrap();
    assert_eq!(
        (shards.len(), shards.iter().filter(|shard| shard.closed).count()),
        (7, 3)
    );
}

#[tokio::test]
async fn a_batch_that_keeps_failing_ends_in_the_queue_and_the_shard_goes_on() {
    let bench = Bench::new().await;
    let mut spec = bench.spec();
    spec.options = EsmOptions {
        retries_max: Some(2),
        bisect_on_error: true,
        batch_size: 10,
        ..spec.options
    };
    spec.on_failure_queue_url = Some(bench.made.dead_letter_queue_url.clone());
    let mapping = bench.cloud.start_mapping(spec).await.unwrap();
    let record = |data: &str| PutRecord {
        partition_key: "k".to_owned(),
        data: data.as_bytes().to_vec(),
    };
    let batch = [record("before"), record("poison")];
    let numbers = bench
        .cloud
        .admin()
        .put_records(&bench.names.transactions_stream, &batch)
        .await
        .unwrap();
    mapping.drained(PATIENCE_MS).await.unwrap();
    let after = [record("after")];
    bench
        .cloud
        .admin()
        .put_records(&bench.names.transactions_stream, &after)
        .await
        .unwrap();
    mapping.drained(PATIENCE_MS).await.unwrap();
    assert_eq!(bench.taker.by_key()["k"], ["before", "after"]);
    let queue = &bench.made.dead_letter_queue_url;
    let messages = bench.cloud.admin().receive(queue, 10, 1, 30).await.unwrap();
    assert_eq!(messages.len(), 1);
    let notice: Value = serde_json::from_str(&messages[0].body).unwrap();
    assert_eq!(notice["KinesisBatchInfo"]["startSequenceNumber"], numbers[1]);
    assert_eq!(notice["KinesisBatchInfo"]["batchSize"], 1);
    assert_eq!(
        notice["KinesisBatchInfo"]["streamArn"],
        bench.made.transactions_stream_arn
    );
    assert_eq!(notice["requestContext"]["approximateInvokeCount"], 3);
    bench.cloud.admin().delete(queue, &messages[0].receipt).await.unwrap();
    assert_eq!(
        bench.cloud.admin().queue_depth(queue).await.unwrap(),
        Default::default()
    );
}

/// The same JSON as the message of the queue, under a name as Lambda gives it, with the event as the function got it.
#[tokio::test]
async fn a_batch_that_keeps_failing_ends_in_the_bucket_with_its_payload() {
    let bench = Bench::new().await;
    let mut spec = bench.spec();
    spec.options = EsmOptions {
        retries_max: Some(0),
        batch_size: 10,
        ..spec.options
    };
    spec.on_failure_bucket = Some(bench.made.letter_bucket.clone());
    let mapping = bench.cloud.start_mapping(spec).await.unwrap();
    let poison = [PutRecord {
        partition_key: "k".to_owned(),
        data: b"poison".to_vec(),
    }];
    let admin = bench.cloud.admin();
    let stream = &bench.names.transactions_stream;
    let numbers = admin.put_records(stream, &poison).await.unwrap();
    mapping.drained(PATIENCE_MS).await.unwrap();

    let bucket = admin.letter_bucket("tidemark").await.unwrap();
    let page = bucket.letters(None).await.unwrap().unwrap();
    assert_eq!((page.objects.len(), page.more), (1, false));
    let key = &page.objects[0].key;
    let name = tidemark_redrive::object::LetterKey::parse(key).unwrap_or_else(|| panic!("{key}"));
    let bytes = bucket.get(key).await.unwrap().unwrap();
    let object: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(object["KinesisBatchInfo"]["startSequenceNumber"], numbers[0]);
    assert_eq!(object["KinesisBatchInfo"]["shardId"], name.shard_id);
    assert_eq!(object["requestContext"]["condition"], "RetryAttemptsExhausted");
    let home = tidemark_redrive::Home::new(stream.clone());
    let text = String::from_utf8(bytes).unwrap();
    let letter = tidemark_redrive::letter::Letter::parse(&text, &home).unwrap();
    let records = tidemark_redrive::object::records(&text, &letter).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].data.as_slice(), records[0].partition_key.as_str()),
        (&b"poison"[..], "k")
    );
    let empty = admin.queue_depth(&bench.made.dead_letter_queue_url).await.unwrap();
    assert_eq!(empty, Default::default(), "a mapping has one destination");

    bucket.delete(key).await.unwrap();
    bucket.delete(key).await.unwrap();
    assert_eq!(bucket.get(key).await.unwrap(), None);
    assert_eq!(bucket.letters(None).await.unwrap().unwrap().objects, []);
    assert_eq!(
        admin
            .letter_bucket("another")
            .await
            .unwrap()
            .letters(None)
            .await
            .unwrap(),
        None
    );
}

/// A list goes on behind a name, whatever letters are in it.
#[tokio::test]
async fn objects_are_listed_in_the_order_of_their_names_page_by_page() {
    let bench = Bench::new().await;
    let admin = bench.cloud.admin();
    let bucket = admin.letter_bucket("tidemark").await.unwrap();
    let key = |at: usize| format!("aws/lambda/a+b&c d<é>/{at:04}");
    for at in 0..1_003 {
        admin
            .put_object(bucket.name(), &key(at), "000000000000", b"{}")
            .await
            .unwrap();
    }
    admin
        .put_object(bucket.name(), "elsewhere", "000000000000", b"")
        .await
        .unwrap();
    let mut listed: Vec<String> = Vec::new();
    loop {
        let page = bucket
            .letters(listed.last().map(String::as_str))
            .await
            .unwrap()
            .unwrap();
        listed.extend(page.objects.into_iter().map(|object| object.key));
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, (0..1_003).map(key).collect::<Vec<_>>());
    assert_eq!(bucket.get(&key(7)).await.unwrap().as_deref(), Some(&b"{}"[..]));
}

#[tokio::test]
async fn latest_begins_after_the_start_and_trim_horizon_at_the_oldest() {
    let bench = Bench::new().await;
    bench.put(0, 100).await;
    let mut spec = bench.spec();
    spec.options.starting_position = StartingPosition::Latest;
    let mapping = bench.cloud.start_mapping(spec).await.unwrap();
    bench.put(100, 200).await;
    mapping.drained(PATIENCE_MS).await.unwrap();
    bench.assert_taken(100, 200);
    drop(mapping);
    bench.taker.taken.lock().unwrap().clear();
    let mapping = bench.cloud.start_mapping(bench.spec()).await.unwrap();
    mapping.drained(PATIENCE_MS).await.unwrap();
    bench.assert_taken(0, 200);
}

#[tokio::test]
async fn a_mapping_that_stops_and_starts_again_goes_on_after_its_checkpoints() {
    let bench = Bench::new().await;
    let mapping = bench.cloud.start_mapping(bench.spec()).await.unwrap();
    bench.put(0, 500).await;
    mapping.drained(PATIENCE_MS).await.unwrap();
    let checkpoints = mapping.stop().await;
    assert_eq!(checkpoints.len(), 4);
    bench.put(500, 1_000).await;
    let mut spec = bench.spec();
    spec.resume_after = checkpoints;
    let mapping = bench.cloud.start_mapping(spec).await.unwrap();
    mapping.drained(PATIENCE_MS).await.unwrap();
    bench.assert_taken(0, 1_000);
}

#[tokio::test]
async fn a_mapping_that_cannot_drain_says_so_in_time() {
    let bench = Bench::new().await;
    let mapping = bench.cloud.start_mapping(bench.spec()).await.unwrap();
    let poison = PutRecord {
        partition_key: "k".to_owned(),
        data: b"poison".to_vec(),
    };
    bench
        .cloud
        .admin()
        .put_records(&bench.names.transactions_stream, &[poison])
        .await
        .unwrap();
    let error = mapping.drained(500).await.unwrap_err();
    assert!(error.to_string().contains("not done within 500 ms"), "{error}");
}

/// Not a test: `cargo test -p localcloud --test all -- --ignored --nocapture throughput` prints what the local Kinesis
/// and the mapping carry.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let bench = Bench::with(LocalConfig::without_aws_limits).await;
    for (bytes, count) in [(400usize, 50_000u32), (65_536, 2_000), (1_000_000, 60)] {
        let mut spec = bench.spec();
        spec.options = EsmOptions {
            starting_position: StartingPosition::Latest,
            batch_size: 500,
            ..spec.options
        };
        let mapping = bench.cloud.start_mapping(spec).await.unwrap();
        let record = |n: u32| PutRecord {
            partition_key: format!("k{}", n % 997),
            data: vec![b'x'; bytes],
        };
        let records: Vec<_> = (0..count).map(record).collect();
        let began = std::time::Instant::now();
        bench
            .cloud
            .admin()
            .put_records(&bench.names.transactions_stream, &records)
            .await
            .unwrap();
        let put = began.elapsed();
        mapping.drained(PATIENCE_MS).await.unwrap();
        let through = began.elapsed();
        println!(
            "{count} records of {bytes} bytes: put {:.0}/s, put and taken {:.0}/s",
            f64::from(count) / put.as_secs_f64(),
            f64::from(count) / through.as_secs_f64()
        );
    }
}
