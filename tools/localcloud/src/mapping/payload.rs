//! The payload: Kinesis records as Lambda gets them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tidemark_aws::admin::ShardRecord;

use crate::esm::EsmRecord;
use crate::server::ACCOUNT;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis<'a> {
    kinesis_schema_version: &'static str,
    partition_key: &'a str,
    sequence_number: &'a str,
    data: String,
    approximate_arrival_timestamp: f64,
}

#[derive(Serialize)]
struct Record<'a> {
    kinesis: Kinesis<'a>,
    #[serde(rename = "eventSource")]
    event_source: &'static str,
    #[serde(rename = "eventVersion")]
    event_version: &'static str,
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventName")]
    event_name: &'static str,
    #[serde(rename = "invokeIdentityArn")]
    invoke_identity_arn: String,
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
}

/// A record with its part of the payload.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53")]
pub(super) fn record(record: &ShardRecord, shard: &str, stream_arn: &str, region: &str) -> EsmRecord {
    let event = Record {
        kinesis: Kinesis {
            kinesis_schema_version: "1.0",
            partition_key: &record.partition_key,
            sequence_number: &record.sequence_number,
            data: STANDARD.encode(&record.data),
            approximate_arrival_timestamp: record.arrival_ms as f64 / 1000.0,
        },
        event_source: "aws:kinesis",
        event_version: "1.0",
        event_id: format!("{shard}:{}", record.sequence_number),
        event_name: "aws:kinesis:record",
        invoke_identity_arn: format!("arn:aws:iam::{ACCOUNT}:role/local"),
        aws_region: region,
        event_source_arn: stream_arn,
    };
    EsmRecord {
        sequence_number: record.sequence_number.clone(),
        partition_key: record.partition_key.clone(),
        arrival_ms: record.arrival_ms,
        // Text, numbers and nothing else: it serialises.
        body: serde_json::to_vec(&event).unwrap_or_default(),
    }
}

/// The payload of a batch.
pub(super) fn payload(records: &[Arc<EsmRecord>]) -> Vec<u8> {
    let mut payload = b"{\"Records\":[".to_vec();
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            payload.push(b',');
        }
        payload.extend_from_slice(&record.body);
    }
    payload.extend_from_slice(b"]}");
    payload
}
