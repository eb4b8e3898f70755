//! The payload: Kinesis records as Lambda gets them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidemark_aws::admin::ShardRecord;

use crate::account::ACCOUNT;
use crate::esm::EsmRecord;

/// A record with its part of the payload.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53")]
pub(super) fn record(record: &ShardRecord, shard: &str, stream_arn: &str, region: &str) -> EsmRecord {
    let (number, key) = (&record.sequence_number, Value::from(record.partition_key.as_str()));
    let time = record.arrival_ms as f64 / 1000.0;
    let mut body = format!(
        "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":{key},\"sequenceNumber\":\"{number}\",\
         \"approximateArrivalTimestamp\":{time:.3},\"data\":\""
    );
    // Base64 needs no escaping; looking for it took a quarter of the mapping's time in the development profile.
    STANDARD.encode_string(&record.data, &mut body);
    body.push_str(&format!(
        "\"}},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"{shard}:{number}\",\
         \"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::{ACCOUNT}:role/local\",\
         \"awsRegion\":\"{region}\",\"eventSourceARN\":\"{stream_arn}\"}}"
    ));
    EsmRecord {
        sequence_number: record.sequence_number.clone(),
        partition_key: record.partition_key.clone(),
        arrival_ms: record.arrival_ms,
        body: body.into_bytes(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_has_lambdas_shape() {
        let read = ShardRecord {
            sequence_number: "49".to_owned(),
            partition_key: "quote \" and \n".to_owned(),
            arrival_ms: 1_545_084_650_987,
            data: b"hi".to_vec(),
        };
        let one = Arc::new(record(
            &read,
            "shardId-000000000000",
            "arn:aws:kinesis:eu-west-1:000000000000:stream/s",
            "eu-west-1",
        ));
        let event: Value = serde_json::from_slice(&payload(&[Arc::clone(&one), one])).unwrap();
        let expected = serde_json::json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "quote \" and \n", "sequenceNumber": "49", "data": "aGk=",
                "approximateArrivalTimestamp": 1_545_084_650.987,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shardId-000000000000:49",
            "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
            "awsRegion": "eu-west-1", "eventSourceARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/s",
        });
        assert_eq!(event, serde_json::json!({ "Records": [expected.clone(), expected] }));
    }
}
