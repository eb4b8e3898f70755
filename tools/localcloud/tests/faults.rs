//! The fault layer as clients meet it: what is refused, what is applied without an answer, what comes late, what is counted.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::time::Instant;

use localcloud::{FaultKind, FaultPlan, Faults, LocalCloud, LocalConfig, Names, Provisioned, Service};
use tidemark_aws::admin::{AdminError, PutRecord, ReadFrom};

struct Bench {
    cloud: LocalCloud,
    names: Names,
    made: Provisioned,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(LocalConfig::new(folder.path()).with_faults(1))
            .await
            .unwrap();
        let names = Names {
            shards: 1,
            ..Names::default()
        };
        let made = cloud.provision(&names).await.unwrap();
        Self {
            cloud,
            names,
            made,
            _folder: folder,
        }
    }

    fn faults(&self) -> &Faults {
        self.cloud.faults().unwrap()
    }

    fn plan(&self, plan: FaultPlan) {
        self.faults().clear();
        self.faults().add(plan);
    }

    async fn send(&self, body: &str) -> Result<String, AdminError> {
        self.cloud.admin().send(&self.made.quarantine_queue_url, body).await
    }

    async fn waiting(&self) -> u64 {
        self.faults().clear();
        let depth = self.cloud.admin().queue_depth(&self.made.quarantine_queue_url).await;
        depth.unwrap().visible
    }

    async fn scan(&self) -> Result<usize, AdminError> {
        let page = self.cloud.admin().scan(&self.names.table, None).await;
        page.map(|page| page.items.len())
    }

    async fn put(&self, records: u32) -> Result<Vec<String>, AdminError> {
        let record = |n: u32| PutRecord {
            partition_key: format!("k{n}"),
            data: n.to_string().into_bytes(),
        };
        let records: Vec<_> = (0..records).map(record).collect();
        let admin = self.cloud.admin();
        admin.put_records(&self.names.transactions_stream, &records).await
    }

    async fn stored(&self) -> usize {
        self.faults().clear();
        let (admin, stream) = (self.cloud.admin(), &self.names.transactions_stream);
        let shards = admin.list_shards(stream).await.unwrap();
        let iterator = admin.iterator(stream, &shards[0].id, &ReadFrom::Oldest).await.unwrap();
        admin.records(&iterator, 10_000).await.unwrap().records.len()
    }
}

/// A service's plan, each kind, and whether the message is in the queue afterwards.
#[tokio::test]
async fn what_is_refused_is_not_applied_and_a_lost_answer_is() {
    let bench = Bench::new().await;
    let cases = [
        (FaultKind::Error500, false),
        (FaultKind::Throttle, false),
        (FaultKind::DropBefore, false),
        (FaultKind::Down, false),
        (FaultKind::DropAfterApply, true),
    ];
    let mut expected = 0;
    for (kind, applied) in cases {
        bench.plan(FaultPlan::new(Service::Sqs, kind, 1.0));
        let error = bench.send("m").await.unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error}");
        expected += u64::from(applied);
        assert_eq!(bench.waiting().await, expected, "{kind:?}");
    }
    bench.send("m").await.unwrap();
    assert_eq!(bench.waiting().await, expected + 1, "without a plan everything passes");
    let counts = bench.faults().counts();
    for (kind, _) in cases {
        let key = (Service::Sqs, "SendMessage".to_owned(), kind.name());
        assert_eq!(counts.get(&key), Some(&1), "{kind:?} in {counts:?}");
    }
}

#[tokio::test]
async fn the_table_has_the_same_layer_in_front() {
    let bench = Bench::new().await;
    assert_eq!(bench.scan().await.unwrap(), 0);
    for kind in [
        FaultKind::Error500,
        FaultKind::Throttle,
        FaultKind::DropBefore,
        FaultKind::DropAfterApply,
        FaultKind::Down,
    ] {
        bench.plan(FaultPlan::new(Service::DynamoDb, kind, 1.0));
        let error = bench.scan().await.unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error}");
    }
    bench.plan(FaultPlan::down(Service::DynamoDb).on("PutItem"));
    assert_eq!(bench.scan().await.unwrap(), 0, "another operation passes");
    bench.plan(FaultPlan::down(Service::DynamoDb).at("another-table"));
    assert_eq!(bench.scan().await.unwrap(), 0, "another table passes");
    bench.plan(FaultPlan::down(Service::DynamoDb).at(&bench.names.table));
    assert!(bench.scan().await.is_err());
}

#[tokio::test]
async fn a_delayed_answer_comes_late() {
    let bench = Bench::new().await;
    bench.plan(FaultPlan::new(Service::DynamoDb, FaultKind::Delay { ms: 150 }, 1.0));
    let began = Instant::now();
    bench.scan().await.unwrap();
    assert!(began.elapsed().as_millis() >= 150);
}

#[tokio::test]
async fn a_producer_that_tries_again_after_a_lost_answer_doubles_its_records() {
    let bench = Bench::new().await;
    bench.plan(FaultPlan::new(Service::Kinesis, FaultKind::DropAfterApply, 1.0).at_most(1));
    bench.put(20).await.unwrap();
    assert_eq!(bench.stored().await, 40);
}

#[tokio::test]
async fn refused_records_of_a_batch_are_sent_again_and_no_other() {
    let bench = Bench::new().await;
    bench.plan(FaultPlan::new(Service::Kinesis, FaultKind::Partial { share: 0.3 }, 1.0));
    let numbers = bench.put(100).await.unwrap();
    assert!(numbers.iter().all(|number| !number.is_empty()));
    assert_eq!(bench.stored().await, 100);
    let counts = bench.faults().counts();
    assert!(
        counts[&(Service::Kinesis, "PutRecords".to_owned(), "partial")] >= 2,
        "{counts:?}"
    );
}

#[tokio::test]
async fn a_shard_gives_so_many_reads_a_second_where_that_is_asked_for() {
    let bench = Bench::new().await;
    bench.put(1).await.unwrap();
    let (admin, stream) = (bench.cloud.admin(), &bench.names.transactions_stream);
    let shards = admin.list_shards(stream).await.unwrap();
    let iterator = admin.iterator(stream, &shards[0].id, &ReadFrom::Oldest).await.unwrap();
    // One a second and not the five of AWS, so that a slow machine meets it too.
    bench.faults().limit_reads(Some(1));
    let mut refused = 0;
    for _ in 0..20 {
        match admin.records(&iterator, 1).await {
            Ok(page) => assert_eq!(page.records.len(), 1),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(bench.stored().await, 1, "without the limit again");
}
