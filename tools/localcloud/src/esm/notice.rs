//! The on-failure message: metadata only, in the exact shape that AWS sends to SQS.

use serde_json::{Value, json};

use super::lane::{Batch, Condition};
use crate::clock::iso;

/// What a message names.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    pub stream_arn: String,
    pub function_arn: String,
}

/// The message for a batch that is given up. `None` for a batch without records.
pub(super) fn notice(
    parties: &Parties,
    shard: &str,
    batch: &Batch,
    condition: Condition,
    now_ms: i64,
) -> Option<String> {
    let (first, last) = (batch.records.first()?, batch.records.last()?);
    let request_id = batch.last.as_ref().map_or("", |last| &last.request_id);
    let mut message = json!({
        "requestContext": {
            "requestId": request_id,
            "functionArn": parties.function_arn,
            "condition": match condition {
                Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
                Condition::RecordAgeExceeded => "RecordAgeExceeded",
            },
            "approximateInvokeCount": batch.invocations,
        },
        "version": "1.0",
        "timestamp": iso(now_ms),
        "KinesisBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": iso(first.arrival_ms),
            "approximateArrivalOfLastRecord": iso(last.arrival_ms),
            "batchSize": batch.records.len(),
            "streamArn": parties.stream_arn,
        },
    });
    if condition == Condition::RetryAttemptsExhausted {
        let error = batch.last.as_ref().is_some_and(|last| last.error);
        message["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": if error { Value::from("Unhandled") } else { Value::Null },
        });
    }
    Some(message.to_string())
}
