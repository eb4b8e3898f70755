//! Objects of a bucket: dead letters that Lambda wrote with their payload. Pure.
//!
//! ```text
//! aws/lambda/<the mapping's UUID>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<a random UUID>
//! {"requestContext": …, "KinesisBatchInfo": …, "payload": "{\"Records\":[{\"kinesis\":{…},\"eventID\":…,\"eventSourceARN\":…},…]}"}
//! ```
//!
//! All but the member `payload` is what a message of the queue says. `payload` is a text: the event as the function got it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tidemark_telemetry::ErrorCode;
use xxhash_rust::xxh3::xxh3_64;

use crate::letter::{Letter, Rejection, is_shard_id};
use crate::number::{is_before, is_sequence_number};
use crate::port::StreamRecord;

/// How the names of all letters begin.
pub const KEYS_PREFIX: &str = "aws/lambda/";
/// Bytes of a name at most (S3's limit).
pub const KEY_BYTES_MAX: usize = 1024;
/// Seconds of the year 9999's end, since 1970-01-01T00:00:00Z.
const SECONDS_MAX: f64 = 253_402_300_799.0;
/// The shape of a name's day and time; `0` stands for a digit.
const DAY: &str = "0000/00/00";
const TIME: &str = "0000-00-00T00.00.00";

/// A name that Lambda gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterKey<'a> {
    /// The shard that the batch was read from.
    pub shard_id: &'a str,
    /// The second in which it was given up, and what tells it from others of that second: names of a shard sort by it.
    pub given_up: &'a str,
}

impl<'a> LetterKey<'a> {
    /// Reads a name; `None`: Lambda gives none like it.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        let rest = key.strip_prefix(KEYS_PREFIX).filter(|_| key.len() <= KEY_BYTES_MAX)?;
        let (mapping, rest) = rest.split_once('/')?;
        let (shard_id, rest) = rest.split_once('/')?;
        let (day, given_up) = rest.split_at_checked(DAY.len())?;
        let given_up = given_up.strip_prefix('/')?;
        let (time, random) = given_up.split_at_checked(TIME.len())?;
        let is_whole = is_id(mapping)
            && is_shard_id(shard_id)
            && has_shape(day, DAY)
            && has_shape(time, TIME)
            && random.strip_prefix('-').is_some_and(is_id);
        is_whole.then_some(Self { shard_id, given_up })
    }
}

/// A UUID, as far as its letters go.
fn is_id(text: &str) -> bool {
    (1..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, of_shape)| match of_shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// A name as it may be shown: one that Lambda did not give may hold anything, so its fingerprint stands for it (I9).
#[must_use]
pub fn shown(key: &str) -> Cow<'_, str> {
    if LetterKey::parse(key).is_some() {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("object {:016x}", xxh3_64(key.as_bytes())))
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    payload: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<EventRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    kinesis: KinesisPart,
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventSourceARN")]
    source_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KinesisPart {
    partition_key: String,
    sequence_number: String,
    data: String,
    /// Seconds with a fraction.
    approximate_arrival_timestamp: f64,
}

/// The records of a letter, out of the object that holds it, in their order.
///
/// # Errors
/// When it holds no payload, or the payload is not the batch of which the letter speaks.
pub fn records(text: &str, letter: &Letter) -> Result<Vec<StreamRecord>, Rejection> {
    let whole: Whole<'_> = serde_json::from_str(text).map_err(|_| unusable("payload: expected a text"))?;
    let Some(payload) = whole.payload else {
        return Err(unusable("payload: it is not there"));
    };
    let event: Event = serde_json::from_str(&payload).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unusable(format!(
            "payload: not a batch of the stream at line {line}, column {column}"
        ))
    })?;
    let records: Vec<StreamRecord> = event
        .records
        .into_iter()
        .map(|record| taken(record, letter))
        .collect::<Result<_, _>>()?;
    let is_ordered = records
        .windows(2)
        .all(|pair| is_before(&pair[0].sequence_number, &pair[1].sequence_number));
    let first = records.first().map(|record| &record.sequence_number);
    let last = records.last().map(|record| &record.sequence_number);
    let is_batch = records.len() as u64 == letter.records
        && is_ordered
        && first == Some(&letter.start)
        && last == Some(&letter.end);
    if is_batch {
        Ok(records)
    } else {
        let found = records.len();
        let detail = format!(
            "payload: its {found} records are not the batch of {} that the letter names",
            letter.records
        );
        Err(unusable(detail))
    }
}

fn taken(record: EventRecord, letter: &Letter) -> Result<StreamRecord, Rejection> {
    let KinesisPart {
        partition_key,
        sequence_number,
        data,
        approximate_arrival_timestamp: arrival_s,
    } = record.kinesis;
    let named = record.event_id.split_once(':');
    if record.source_arn != letter.stream_arn || named != Some((&letter.shard_id, &sequence_number)) {
        return Err(unusable("payload: a record of another stream, shard or number"));
    }
    if !is_sequence_number(&sequence_number) {
        return Err(unusable("payload: a sequence number that is none"));
    }
    let data = STANDARD
        .decode(&data)
        .map_err(|_| unusable("payload: data that is not base64"))?;
    let arrival_ms =
        arrival_ms_of_payload(arrival_s).ok_or_else(|| unusable("payload: a time of arrival that is none"))?;
    Ok(StreamRecord {
        sequence_number,
        partition_key,
        arrival_ms,
        data,
    })
}

/// The nearest millisecond of a time as Lambda's event gives it, seconds with a fraction; `None` where it is no time from 1970 to 9999.
/// The score function's own rounding is beyond this crate's reach (shared/aws has it, and a test that both say the same).
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "a time of these centuries fits")]
pub fn arrival_ms_of_payload(seconds: f64) -> Option<i64> {
    (0.0..=SECONDS_MAX)
        .contains(&seconds)
        .then(|| (seconds * 1_000.0).round() as i64)
}

fn unusable(detail: impl Into<String>) -> Rejection {
    Rejection::new(ErrorCode::LetterPayloadUnusable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_arrival_are_those_of_the_millisecond() {
        for ms in [0, 999, 1_545_084_650_987, 1_795_399_200_001, 253_402_300_798_999] {
            let seconds: f64 = format!("{}.{:03}", ms / 1_000, ms % 1_000).parse().unwrap();
            assert_eq!(arrival_ms_of_payload(seconds), Some(ms));
        }
        for none in [-0.001, 253_402_300_800.0, f64::NAN, f64::INFINITY] {
            assert_eq!(arrival_ms_of_payload(none), None);
        }
    }
}
