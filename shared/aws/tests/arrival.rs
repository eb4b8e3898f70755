//! Arrival times in the service's own JSON: seconds with a fraction, of which half of all milliseconds are not exact.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::support::{Answer, serve_at};
use serde_json::{Value, json};
use tidemark_aws::admin::{Admin, ReadFrom};
use tidemark_aws::{AwsSettings, KinesisReader, connect};
use tidemark_redrive::port::ShardReader;

/// AWS's example of an event has 1545084650.987; the milliseconds around it, and some of other years.
fn arrivals_ms() -> impl Iterator<Item = i64> {
    let years = [
        1_545_084_650_987,
        1_700_000_000_000,
        1_795_399_200_250,
        4_102_444_800_001,
    ];
    years
        .into_iter()
        .flat_map(|first_ms| (0..2_500).map(move |more| first_ms + more * 7))
}

/// A page as GetRecords gives it. Some clouds write the time in scientific notation.
fn page(is_scientific: bool) -> Value {
    let record = |(at, ms): (usize, i64)| {
        let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let text = if is_scientific {
            format!("{:.12}E9", text.parse::<f64>().unwrap() / 1e9)
        } else {
            text
        };
        let time: Value = serde_json::from_str(&text).unwrap();
        json!({ "SequenceNumber": at.to_string(), "PartitionKey": "k", "Data": "aGk=", "ApproximateArrivalTimestamp": time })
    };
    let records: Vec<Value> = arrivals_ms().enumerate().map(record).collect();
    json!({ "Records": records, "MillisBehindLatest": 0, "NextShardIterator": "next" })
}

#[tokio::test]
async fn the_redrive_and_the_tools_read_the_millisecond_that_the_service_wrote() {
    for is_scientific in [false, true] {
        let page = page(is_scientific);
        let (endpoint, _) = serve_at(move |_, operation, _| match operation {
            "GetShardIterator" => Answer::Json(200, json!({ "ShardIterator": "iterator" })),
            _ => Answer::Json(200, page.clone()),
        })
        .await;
        let settings = AwsSettings::local("eu-west-1", &endpoint, None);
        let reader = KinesisReader::new(connect(&settings).await.kinesis, "s");
        let redriven = reader.records("iterator", 10_000).await.unwrap();
        let admin = Admin::connect(&settings).await;
        let iterator = admin.iterator("s", "shardId-000000000000", &ReadFrom::Oldest).await;
        let read = admin.records(&iterator.unwrap(), 10_000).await.unwrap();
        assert!(redriven.records.len() >= 10_000 && read.records.len() == redriven.records.len());
        for ((redriven, read), ms) in redriven.records.iter().zip(&read.records).zip(arrivals_ms()) {
            assert_eq!((redriven.arrival_ms, read.arrival_ms), (ms, ms));
        }
    }
}
