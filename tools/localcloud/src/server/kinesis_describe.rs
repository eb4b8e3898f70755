//! Streams as Kinesis describes them.

use serde_json::{Value, json};

use super::fault::Fault;
use super::kinesis::{Shard, Stream, Streams, number_text};
use crate::account::ACCOUNT;

/// Shards that one DescribeStream tells of unless it is asked for fewer.
const DESCRIBED_SHARDS_MAX: usize = 100;

/// DescribeStreamSummary.
pub(super) fn summary(streams: &Streams, name: &str, region: &str) -> Result<Value, Fault> {
    let stream = streams.stream(name)?;
    let mut summary = described(name, region);
    summary["OpenShardCount"] = json!(open_shards(stream));
    summary["ConsumerCount"] = json!(0);
    Ok(json!({ "StreamDescriptionSummary": summary }))
}

/// DescribeStream: the shards after one, as many as are asked for.
pub(super) fn description(
    streams: &Streams,
    name: &str,
    region: &str,
    (after, limit): (Option<&str>, Option<usize>),
) -> Result<Value, Fault> {
    let shards = &streams.stream(name)?.shards;
    let rest: Vec<&Shard> = shards
        .iter()
        .filter(|shard| after.is_none_or(|after| shard.id.as_str() > after))
        .collect();
    let page = &rest[..rest.len().min(limit.unwrap_or(DESCRIBED_SHARDS_MAX))];
    let mut description = described(name, region);
    description["Shards"] = page.iter().map(|shard| shard_out(shard)).collect();
    description["HasMoreShards"] = json!(page.len() < rest.len());
    Ok(json!({ "StreamDescription": description }))
}

/// What every list and description says of a stream.
pub(super) fn stream_out(name: &str, region: &str) -> Value {
    json!({
        "StreamName": name, "StreamARN": stream_arn(region, name), "StreamStatus": "ACTIVE",
        "StreamModeDetails": { "StreamMode": "PROVISIONED" }, "StreamCreationTimestamp": 0,
    })
}

/// The ARN of a local stream.
pub(super) fn stream_arn(region: &str, name: &str) -> String {
    format!("arn:aws:kinesis:{region}:{ACCOUNT}:stream/{name}")
}

/// What every list and description says of a shard.
pub(super) fn shard_out(shard: &Shard) -> Value {
    let mut range = json!({ "StartingSequenceNumber": number_text(shard.first_number) });
    if let Some(last) = shard.last_number {
        range["EndingSequenceNumber"] = Value::String(number_text(last));
    }
    let mut out = json!({
        "ShardId": shard.id, "SequenceNumberRange": range,
        "HashKeyRange": { "StartingHashKey": shard.hash_from.to_string(), "EndingHashKey": shard.hash_to.to_string() },
    });
    for (field, parent) in ["ParentShardId", "AdjacentParentShardId"]
        .into_iter()
        .zip(&shard.parents)
    {
        out[field] = Value::String(parent.clone());
    }
    out
}

fn described(name: &str, region: &str) -> Value {
    let mut out = stream_out(name, region);
    out["RetentionPeriodHours"] = json!(24);
    out["EnhancedMonitoring"] = json!([{ "ShardLevelMetrics": [] }]);
    out["EncryptionType"] = json!("NONE");
    out
}

pub(super) fn open_shards(stream: &Stream) -> usize {
    stream.shards.iter().filter(|shard| shard.last_number.is_none()).count()
}
