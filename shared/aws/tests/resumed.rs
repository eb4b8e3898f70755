//! Reading goes on after a record: where that record has left the stream, nothing that may be missing is taken for the end.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::support::{Answer, serve_at};
use serde_json::{Value, json};
use tidemark_aws::AwsSettings;
use tidemark_aws::admin::{Admin, AdminError, ReadFrom};

/// A page of these records as GetRecords gives it, so far behind the newest one.
fn page(numbers: &[u64], behind_ms: i64) -> Value {
    let records: Vec<Value> = numbers
        .iter()
        .map(|at| json!({ "SequenceNumber": at.to_string(), "PartitionKey": "k", "Data": "aGk=", "ApproximateArrivalTimestamp": 1.5 }))
        .collect();
    json!({ "Records": records, "MillisBehindLatest": behind_ms, "NextShardIterator": "next" })
}

/// What is read after record 7 from a shard that gives these pages, the last of them for ever: its numbers, or that it was
/// overtaken.
async fn read_after_7(pages: Vec<Value>) -> Result<Vec<u64>, AdminError> {
    let reads = std::sync::atomic::AtomicUsize::new(0);
    let (endpoint, _) = serve_at(move |_, operation, body| match operation {
        "GetShardIterator" => {
            assert_eq!(body["ShardIteratorType"], "AT_SEQUENCE_NUMBER", "{body}");
            assert_eq!(body["StartingSequenceNumber"], "7", "{body}");
            Answer::Json(200, json!({ "ShardIterator": "iterator" }))
        }
        _ => {
            let at = reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Answer::Json(200, pages[at.min(pages.len() - 1)].clone())
        }
    })
    .await;
    let admin = Admin::connect(&AwsSettings::local("eu-west-1", &endpoint, None)).await;
    let mut iterator = admin
        .iterator("s", "shardId-000000000000", &ReadFrom::After("7".to_owned()))
        .await?;
    let mut numbers = Vec::new();
    for _ in 0..6 {
        let page = admin.records(&iterator, 100).await?;
        numbers.extend(
            page.records
                .iter()
                .map(|record| record.sequence_number.parse::<u64>().unwrap()),
        );
        iterator = page.next.unwrap();
    }
    Ok(numbers)
}

#[tokio::test]
async fn what_follows_comes_once_and_without_the_record_itself() {
    assert_eq!(
        read_after_7(vec![page(&[7, 8], 5), page(&[9], 0), page(&[], 0)])
            .await
            .unwrap(),
        [8, 9]
    );
    // A page may be empty before the record comes, also at what seems to be the tip.
    let slow = vec![
        page(&[], 5),
        page(&[], 5),
        page(&[], 5),
        page(&[], 0),
        page(&[7], 5),
        page(&[8], 0),
        page(&[], 0),
    ];
    assert_eq!(read_after_7(slow).await.unwrap(), [8]);
}

#[tokio::test]
async fn a_record_that_left_the_stream_is_told_and_is_no_end() {
    for pages in [vec![page(&[9, 10], 0)], vec![page(&[], 0)]] {
        let error = read_after_7(pages).await.unwrap_err();
        assert!(
            matches!(&error, AdminError::Overtaken { stream, number, .. } if stream == "s" && number == "7"),
            "{error}"
        );
        assert!(!error.is_transient());
    }
}
