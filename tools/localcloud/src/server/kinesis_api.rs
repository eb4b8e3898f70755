//! Kinesis's protocol (JSON 1.1) over [`Streams`].

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::fault::{Fault, fault};
use super::kinesis::{Position, RECORD_BYTES_MAX, SHARDS_MAX, Shard, Start, Stored, Streams, number_from, number_text};
use super::kinesis_describe as describe;

/// Records of one PutRecords.
const PUT_RECORDS_MAX: usize = 500;
/// Bytes of data and keys of one PutRecords. AWS takes 5 MiB, or 10 MiB since 2025.
const PUT_BYTES_MAX: usize = 5 << 20;
/// Bytes of a partition key.
const KEY_BYTES_MAX: usize = 256;
/// Bytes of a record in an answer besides its data: numbers, names and a key, roughly.
const RECORD_FRAME_BYTES: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Request {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_count: Option<u32>,
    shard_id: Option<String>,
    shard_iterator_type: Option<String>,
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
    shard_iterator: Option<String>,
    limit: Option<usize>,
    exclusive_start_shard_id: Option<String>,
    shard_to_split: Option<String>,
    new_starting_hash_key: Option<String>,
    shard_to_merge: Option<String>,
    adjacent_shard_to_merge: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    partition_key: String,
    data: String,
    #[serde(default)]
    explicit_hash_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecords {
    #[serde(default)]
    stream_name: Option<String>,
    #[serde(rename = "StreamARN", default)]
    stream_arn: Option<String>,
    records: Vec<Entry>,
}

/// Answers one call. Of each shard, the caller's reads are refused beyond `reads_max` in a second; `None`: they are not
/// counted.
pub(crate) fn call(
    streams: &mut Streams,
    region: &str,
    operation: &str,
    body: &[u8],
    reads_max: Option<u32>,
    now_ms: i64,
) -> Result<Vec<u8>, Fault> {
    if operation == "PutRecords" {
        return put_records(streams, &parse(body)?, now_ms);
    }
    if operation == "PutRecord" {
        return put_record(streams, body, now_ms);
    }
    let request: Request = parse(body)?;
    let value = match operation {
        "GetRecords" => return get_records(streams, &request, reads_max, now_ms),
        "GetShardIterator" => shard_iterator(streams, &request, now_ms)?,
        "CreateStream" => {
            streams.create(&name(&request)?, request.shard_count.unwrap_or(1))?;
            json!({})
        }
        "DeleteStream" => {
            let name = name(&request)?;
            streams.stream(&name)?;
            streams.by_name.remove(&name);
            json!({})
        }
        "DescribeStreamSummary" => describe::summary(streams, &name(&request)?, region)?,
        "DescribeStream" => {
            let after = request.exclusive_start_shard_id.as_deref();
            describe::description(streams, &name(&request)?, region, (after, request.limit))?
        }
        "DescribeLimits" => json!({
            "ShardLimit": SHARDS_MAX, "OpenShardCount": streams.by_name.values().map(describe::open_shards).sum::<usize>(),
            "OnDemandStreamCount": 0, "OnDemandStreamCountLimit": 0,
        }),
        "ListTagsForStream" => {
            streams.stream(&name(&request)?)?;
            json!({ "Tags": [], "HasMoreTags": false })
        }
        "ListStreamConsumers" => json!({ "Consumers": [] }),
        "ListShards" => {
            let stream = streams.stream(&name(&request)?)?;
            json!({ "Shards": stream.shards.iter().map(describe::shard_out).collect::<Vec<_>>() })
        }
        "ListStreams" => {
            let summaries = streams.by_name.keys().map(|name| describe::stream_out(name, region));
            json!({
                "StreamNames": streams.by_name.keys().collect::<Vec<_>>(), "HasMoreStreams": false,
                "StreamSummaries": summaries.collect::<Vec<_>>(),
            })
        }
        "SplitShard" => {
            let hash = number("NewStartingHashKey", request.new_starting_hash_key.as_deref())?;
            let shard = text("ShardToSplit", request.shard_to_split.as_deref())?;
            streams.stream_mut(&name(&request)?)?.split(shard, hash)?;
            json!({})
        }
        "MergeShards" => {
            let shard = text("ShardToMerge", request.shard_to_merge.as_deref())?;
            let adjacent = text("AdjacentShardToMerge", request.adjacent_shard_to_merge.as_deref())?;
            streams.stream_mut(&name(&request)?)?.merge(shard, adjacent)?;
            json!({})
        }
        _ => {
            return fault(
                "UnknownOperationException",
                format!("The local Kinesis has no {operation}"),
            );
        }
    };
    Ok(value.to_string().into_bytes())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault {
        code: "SerializationException",
        message: format!("the request does not parse: {error}"),
    })
}

fn name(request: &Request) -> Result<String, Fault> {
    stream_name(request.stream_name.as_deref(), request.stream_arn.as_deref())
}

fn stream_name(name: Option<&str>, arn: Option<&str>) -> Result<String, Fault> {
    match (name, arn.and_then(|arn| arn.rsplit_once('/'))) {
        (Some(name), _) | (None, Some((_, name))) => Ok(name.to_owned()),
        (None, None) => fault("InvalidArgumentException", "StreamName or StreamARN is required"),
    }
}

fn text<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, Fault> {
    match value {
        Some(value) => Ok(value),
        None => fault("ValidationException", format!("{field} is required")),
    }
}

fn number(field: &str, value: Option<&str>) -> Result<u128, Fault> {
    match text(field, value)?.parse() {
        Ok(number) => Ok(number),
        Err(_) => fault(
            "InvalidArgumentException",
            format!("{field} is not a decimal number of 128 bits"),
        ),
    }
}

/// Puts one record; the error is this record's alone.
fn put_entry(streams: &mut Streams, stream: &str, entry: &Entry, now_ms: i64) -> Result<(String, String), Fault> {
    let hash = entry
        .explicit_hash_key
        .as_deref()
        .map(|key| number("ExplicitHashKey", Some(key)))
        .transpose()?;
    let stream = streams.stream_mut(stream)?;
    let (shard, number) = stream.put(entry.partition_key.clone(), hash, entry.data.clone(), now_ms)?;
    Ok((shard.to_owned(), number_text(number)))
}

/// The size of a record that may be put.
fn check_entry(entry: &Entry) -> Result<usize, Fault> {
    let Ok(data) = STANDARD.decode(&entry.data) else {
        return fault("SerializationException", "Data is not base64");
    };
    let bytes = data.len() + entry.partition_key.len();
    if entry.partition_key.is_empty() || entry.partition_key.chars().count() > KEY_BYTES_MAX {
        return fault("ValidationException", "PartitionKey must have 1 to 256 characters");
    }
    if bytes > RECORD_BYTES_MAX {
        return fault(
            "ValidationException",
            "Data and PartitionKey must have at most 1048576 bytes together",
        );
    }
    Ok(bytes)
}

fn put_record(streams: &mut Streams, body: &[u8], now_ms: i64) -> Result<Vec<u8>, Fault> {
    let entry: Entry = parse(body)?;
    let stream = name(&parse(body)?)?;
    check_entry(&entry)?;
    let (shard, number) = put_entry(streams, &stream, &entry, now_ms)?;
    Ok(json!({ "ShardId": shard, "SequenceNumber": number })
        .to_string()
        .into_bytes())
}

fn put_records(streams: &mut Streams, request: &PutRecords, now_ms: i64) -> Result<Vec<u8>, Fault> {
    let stream = stream_name(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
    streams.stream(&stream)?;
    if request.records.is_empty() || request.records.len() > PUT_RECORDS_MAX {
        return fault("ValidationException", "Records must have 1 to 500 members");
    }
    let mut bytes = 0;
    for entry in &request.records {
        bytes += check_entry(entry)?;
    }
    if bytes > PUT_BYTES_MAX {
        return fault("InvalidArgumentException", "Records exceed 5 MiB");
    }
    let mut failed = 0;
    let mut results = Vec::with_capacity(request.records.len());
    for entry in &request.records {
        results.push(match put_entry(streams, &stream, entry, now_ms) {
            Ok((shard, number)) => json!({ "ShardId": shard, "SequenceNumber": number }),
            Err(error) => {
                failed += 1;
                json!({ "ErrorCode": error.code, "ErrorMessage": error.message })
            }
        });
    }
    Ok(json!({ "FailedRecordCount": failed, "Records": results })
        .to_string()
        .into_bytes())
}

fn shard_iterator(streams: &Streams, request: &Request, now_ms: i64) -> Result<Value, Fault> {
    let sequence = || {
        let text = text("StartingSequenceNumber", request.starting_sequence_number.as_deref())?;
        match number_from(text) {
            Some(number) => Ok(number),
            None => fault(
                "InvalidArgumentException",
                "StartingSequenceNumber is not one of this stream",
            ),
        }
    };
    let start = match request.shard_iterator_type.as_deref() {
        Some("TRIM_HORIZON") => Start::Oldest,
        Some("LATEST") => Start::Latest,
        Some("AT_SEQUENCE_NUMBER") => Start::At(sequence()?),
        Some("AFTER_SEQUENCE_NUMBER") => Start::After(sequence()?),
        Some("AT_TIMESTAMP") => Start::Time(millis(request.timestamp.unwrap_or_default())),
        _ => return fault("InvalidArgumentException", "ShardIteratorType is unknown"),
    };
    let shard = text("ShardId", request.shard_id.as_deref())?;
    let at = streams.iterator(&name(request)?, shard, start, now_ms)?;
    Ok(json!({ "ShardIterator": token(&at) }))
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a saturating cast of a time in seconds with a fraction"
)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53")]
fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

fn token(at: &Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}|{}|{}|{}", at.stream, at.shard, at.number, at.issued_ms))
}

fn position(token: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let mut parts = std::str::from_utf8(&bytes).ok()?.split('|');
    let (stream, shard) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(Position {
        stream,
        shard,
        number: parts.next()?.parse().ok()?,
        issued_ms: parts.next()?.parse().ok()?,
    })
}

fn get_records(
    streams: &mut Streams,
    request: &Request,
    reads_max: Option<u32>,
    now_ms: i64,
) -> Result<Vec<u8>, Fault> {
    let Some(at) = position(text("ShardIterator", request.shard_iterator.as_deref())?) else {
        return fault("InvalidArgumentException", "ShardIterator is not one of ours");
    };
    if let Some(reads_max) = reads_max {
        let shard = streams.stream_mut(&at.stream)?.shard_mut(&at.shard)?;
        shard.limit.take_read(&at.shard, reads_max, now_ms)?;
    }
    let page = streams.read(&at, request.limit.unwrap_or(usize::MAX), now_ms)?;
    let page_bytes: usize = page.records.iter().map(|record| record.bytes()).sum();
    let mut out = Vec::with_capacity(
        page.records
            .iter()
            .map(|record| record.data_base64.len() + RECORD_FRAME_BYTES)
            .sum(),
    );
    out.extend_from_slice(b"{\"Records\":[");
    for (index, record) in page.records.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        write_record(&mut out, record);
    }
    write!(out, "],\"MillisBehindLatest\":{}", page.behind_ms).map_err(|error| internal(&error))?;
    if let Some(next) = &page.next {
        write!(out, ",\"NextShardIterator\":\"{}\"", token(next)).map_err(|error| internal(&error))?;
    }
    if !page.children.is_empty() {
        let children = page.children.iter().map(|shard| child_out(shard)).collect::<Vec<_>>();
        write!(out, ",\"ChildShards\":{}", Value::Array(children)).map_err(|error| internal(&error))?;
    }
    out.push(b'}');
    if reads_max.is_some() {
        let shard = streams.stream_mut(&at.stream)?.shard_mut(&at.shard)?;
        shard.limit.give(page_bytes as u64, now_ms);
    }
    Ok(out)
}

/// Writes a record's fields. The data was checked to be base64 when it came, so it needs no escaping, and none is looked
/// for: that took half of the time of a demo in the development profile.
fn write_record(out: &mut Vec<u8>, record: &Stored) {
    let (number, key) = (number_text(record.number), Value::from(record.partition_key.as_str()));
    let time = seconds(record.arrival_ms);
    let fields =
        format!("\"SequenceNumber\":\"{number}\",\"ApproximateArrivalTimestamp\":{time:.3},\"PartitionKey\":{key}");
    out.extend_from_slice(fields.as_bytes());
    out.extend_from_slice(b",\"Data\":\"");
    out.extend_from_slice(record.data_base64.as_bytes());
    out.extend_from_slice(b"\"}");
}

fn child_out(shard: &Shard) -> Value {
    let mut out = describe::shard_out(shard);
    out["ParentShards"] = json!(shard.parents);
    out
}

fn internal(error: &std::io::Error) -> Fault {
    Fault {
        code: "InternalFailure",
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(streams: &mut Streams, operation: &str, body: &Value) -> Result<Value, Fault> {
        call(
            streams,
            "eu-west-1",
            operation,
            body.to_string().as_bytes(),
            None,
            1_500,
        )
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    fn code(answer: Result<Value, Fault>) -> &'static str {
        answer.unwrap_err().code
    }

    #[test]
    fn what_is_put_is_read_back_in_the_protocols_shape() {
        let mut streams = Streams::default();
        ask(
            &mut streams,
            "CreateStream",
            &json!({"StreamName": "s", "ShardCount": 1}),
        )
        .unwrap();
        let put = json!({"StreamName": "s", "Records": [{"PartitionKey": "k", "Data": "aGk="}]});
        let answer = ask(&mut streams, "PutRecords", &put).unwrap();
        assert_eq!(answer["FailedRecordCount"], 0);
        let number = answer["Records"][0]["SequenceNumber"].clone();
        let at = json!({"StreamARN": describe::stream_arn("eu-west-1", "s"), "ShardId": "shardId-000000000000",
            "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number});
        let iterator = ask(&mut streams, "GetShardIterator", &at).unwrap()["ShardIterator"].clone();
        let page = ask(
            &mut streams,
            "GetRecords",
            &json!({"ShardIterator": iterator, "Limit": 10}),
        )
        .unwrap();
        let expected =
            json!({"SequenceNumber": number, "ApproximateArrivalTimestamp": 1.5, "PartitionKey": "k", "Data": "aGk="});
        assert_eq!(page["Records"], json!([expected]));
        assert!(page["NextShardIterator"].is_string());
    }

    #[test]
    fn kinesis_limits_hold_here_too() {
        let mut streams = Streams::default();
        ask(
            &mut streams,
            "CreateStream",
            &json!({"StreamName": "s", "ShardCount": 1}),
        )
        .unwrap();
        let records = |count: usize, data: String| json!({"StreamName": "s", "Records": vec![json!({"PartitionKey": "k", "Data": data}); count]});
        assert!(ask(&mut streams, "PutRecords", &records(500, "aGk=".to_owned())).is_ok());
        assert_eq!(
            code(ask(&mut streams, "PutRecords", &records(501, "aGk=".to_owned()))),
            "ValidationException"
        );
        let large = STANDARD.encode(vec![0u8; RECORD_BYTES_MAX - 1]);
        assert!(ask(&mut streams, "PutRecords", &records(1, large.clone())).is_ok());
        assert_eq!(
            code(ask(&mut streams, "PutRecords", &records(6, large))),
            "InvalidArgumentException"
        );
        let too_large = STANDARD.encode(vec![0u8; RECORD_BYTES_MAX]);
        assert_eq!(
            code(ask(&mut streams, "PutRecords", &records(1, too_large))),
            "ValidationException"
        );
        assert_eq!(
            code(ask(&mut streams, "PutRecords", &records(1, "?".to_owned()))),
            "SerializationException"
        );
        assert_eq!(
            code(ask(&mut streams, "ListShards", &json!({"StreamName": "t"}))),
            "ResourceNotFoundException"
        );
        assert_eq!(
            code(ask(&mut streams, "CreateStream", &json!({"StreamName": "s"}))),
            "ResourceInUseException"
        );
        assert_eq!(
            code(ask(&mut streams, "AddTagsToStream", &json!({}))),
            "UnknownOperationException"
        );
    }
}
