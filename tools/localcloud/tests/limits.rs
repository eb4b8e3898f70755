//! AWS's limits by the second, as clients meet them: what is over is refused, the rest is taken, and all of it may be lifted.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::bench::Bench;
use localcloud::{FaultKind, FaultPlan, LocalConfig, Service};
use tidemark_aws::{DynamoStore, KinesisReader, KinesisSink, connect};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{OutcomeRecord, PortError, ScoreSink, SegmentItem, StateStore};
use tidemark_redrive::port::{ReadError, ReadFrom, ShardReader};

impl Bench {
    /// Sends outcomes at once; how many the stream left out.
    async fn left_of(&self, count: usize, bytes: usize) -> usize {
        let outcome = |at| OutcomeRecord {
            card_id: CardId::new(&format!("card-{at}")).unwrap(),
            bytes: vec![b'x'; bytes],
        };
        let outcomes: Vec<OutcomeRecord> = (0..count).map(outcome).collect();
        let clients = connect(&self.cloud.aws_settings()).await;
        let sink = KinesisSink::new(clients.kinesis, &self.names.scores_stream);
        sink.send(&outcomes).await.unwrap().len()
    }

    async fn reader(&self) -> KinesisReader {
        let clients = connect(&self.cloud.aws_settings()).await;
        KinesisReader::new(clients.kinesis, &self.names.transactions_stream)
    }

    /// Writes a dozen segments of 200 write units each to a card.
    async fn segments(&self, card: &str) -> Result<(), PortError> {
        let segment = |number| SegmentItem {
            card_id: CardId::new(card).unwrap(),
            key: SegmentKey(number),
            bytes: vec![b'x'; 200_000],
            expires_at_s: 2_000_000_000,
        };
        let segments: Vec<SegmentItem> = (0..12).map(segment).collect();
        let clients = connect(&self.cloud.aws_settings()).await;
        let store = DynamoStore::new(clients.dynamodb, &self.names.table);
        store.put_segments(&segments).await.map(|_| ())
    }
}

#[tokio::test]
async fn a_shard_takes_a_thousand_records_and_a_mebibyte_a_second() {
    let bench = Bench::new(|config| config).await;
    // However slow this machine is, a call of 20,000 comes in less than twenty seconds.
    let left = bench.left_of(20_000, 10).await;
    assert!(left > 0 && left <= 19_000, "{left}");
    let bench = Bench::new(|config| config).await;
    let left = bench.left_of(400, 100_000).await;
    assert!(left > 0 && left <= 391, "{left}");
    let bench = Bench::new(LocalConfig::without_aws_limits).await;
    assert_eq!(bench.left_of(20_000, 10).await, 0);
}

#[tokio::test]
async fn a_shard_gives_five_reads_a_second() {
    let refused = async |bench: &Bench| {
        let reader = bench.reader().await;
        let shard = &reader.shards().await.unwrap()[0].id;
        let iterator = reader.iterator(shard, &ReadFrom::Oldest).await.unwrap();
        let mut refused = 0;
        for _ in 0..200 {
            match reader.records(&iterator, 1).await {
                Ok(_) => {}
                Err(ReadError::Call(PortError::Throttled(_))) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        refused
    };
    assert!(refused(&Bench::new(|config| config).await).await > 0);
    assert_eq!(refused(&Bench::new(LocalConfig::without_aws_limits).await).await, 0);
}

#[tokio::test]
async fn a_partition_takes_a_thousand_write_units_a_second_and_others_do_not_wait() {
    let bench = Bench::new(|config| config).await;
    assert!(matches!(bench.segments("hot").await, Err(PortError::Throttled(_))));
    let clients = connect(&bench.cloud.aws_settings()).await;
    let store = DynamoStore::new(clients.dynamodb, &bench.names.table);
    let cool = SegmentItem {
        card_id: CardId::new("cool").unwrap(),
        key: SegmentKey(1),
        bytes: vec![b'x'; 200_000],
        expires_at_s: 2_000_000_000,
    };
    store.put_segments(&[cool]).await.unwrap();
    let bench = Bench::new(LocalConfig::without_aws_limits).await;
    bench.segments("hot").await.unwrap();
}

#[tokio::test]
async fn a_read_may_meet_the_limit_of_the_streams_key() {
    let bench = Bench::new(|config| config.with_faults(1)).await;
    let reader = bench.reader().await;
    let shard = &reader.shards().await.unwrap()[0].id;
    let iterator = reader.iterator(shard, &ReadFrom::Oldest).await.unwrap();
    let faults = bench.cloud.faults().unwrap();
    faults.add(
        FaultPlan::new(Service::Kinesis, FaultKind::KmsThrottle, 1.0)
            .on("GetRecords")
            .at_most(1),
    );
    let refused = reader.records(&iterator, 1).await.unwrap_err();
    assert!(
        matches!(&refused, ReadError::Call(PortError::Throttled(text)) if text.contains("KMSThrottlingException")),
        "{refused}"
    );
    reader.records(&iterator, 1).await.unwrap();
    assert_eq!(
        faults.counts()[&(Service::Kinesis, "GetRecords".to_owned(), "kms_throttle")],
        1
    );
}
