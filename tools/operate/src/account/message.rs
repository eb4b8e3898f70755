//! What the messages of the queues say. Pure.

use serde_json::Value;

use super::SequenceRange;

/// A batch that waits in the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where its records are.
    pub range: SequenceRange,
    /// How many records the batch had.
    pub records: u64,
    /// Why the mapping gave it up.
    pub condition: String,
    /// When the stream took its first record, ms since 1970-01-01T00:00:00Z, as far as the message says.
    pub first_arrival_ms: Option<i64>,
    /// The stream, by its name.
    pub stream: String,
}

/// Why a message can't be redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not JSON.
    NotJson,
    /// It is JSON of another shape.
    OtherShape,
    /// It names another stream.
    OtherStream,
    /// Its range starts after its end.
    Reversed,
    /// A sequence number is none.
    SequenceNumber,
}

/// Digits of a sequence number, at most: Kinesis has 56, a message may say anything.
pub const SEQUENCE_DIGITS_MAX: usize = 128;

impl Malformed {
    /// Its code, which has a page in docs/errors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "TM-5003",
            Self::OtherShape => "TM-5004",
            Self::OtherStream => "TM-5005",
            Self::Reversed => "TM-5007",
            Self::SequenceNumber => "TM-5006",
        }
    }
}

/// Whether a text is a sequence number.
#[must_use]
pub fn is_sequence_number(text: &str) -> bool {
    (1..=SEQUENCE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a message of the dead-letter queue.
///
/// # Errors
/// Why it is none of this stream's mapping.
pub fn dead_letter(body: &str, stream: &str) -> Result<DeadLetter, Malformed> {
    let message: Value = serde_json::from_str(body).map_err(|_| Malformed::NotJson)?;
    let batch = &message["KinesisBatchInfo"];
    let text = |field: &str| batch[field].as_str().ok_or(Malformed::OtherShape);
    let arn = text("streamArn")?;
    let range = SequenceRange {
        shard_id: text("shardId")?.to_owned(),
        start: text("startSequenceNumber")?.to_owned(),
        end: text("endSequenceNumber")?.to_owned(),
    };
    let records = batch["batchSize"].as_u64().ok_or(Malformed::OtherShape)?;
    let named = arn.rsplit('/').next().unwrap_or_default();
    if named != stream {
        return Err(Malformed::OtherStream);
    }
    if !is_sequence_number(&range.start) || !is_sequence_number(&range.end) {
        return Err(Malformed::SequenceNumber);
    }
    if tidemark_engine::record::compare_sequence_numbers(&range.start, &range.end).is_gt() {
        return Err(Malformed::Reversed);
    }
    let arrival = batch["approximateArrivalOfFirstRecord"].as_str();
    Ok(DeadLetter {
        range,
        records,
        condition: message["requestContext"]["condition"]
            .as_str()
            .unwrap_or("unknown")
            .to_owned(),
        first_arrival_ms: arrival
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_millisecond),
        stream: named.to_owned(),
    })
}

/// A refused record in the quarantine; a large one lies in several messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedMessage {
    /// The record.
    pub sequence_number: String,
    /// Its place in an aggregated record; `None`: it is a record of its own, or an aggregate that was refused whole.
    pub sub_sequence_number: Option<u32>,
    /// Its shard.
    pub shard_id: String,
    /// Why it was refused.
    pub code: String,
    /// Its partition key, card numbers masked; a part of an aggregate has its own.
    pub partition_key: Option<String>,
    /// Of a part of an aggregate, the key of the record that it came in; older messages do not say.
    pub record_partition_key: Option<String>,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: Option<i64>,
    /// Whether this is the first message of the record.
    pub first_part: bool,
    /// The message's number among those of the record, from 1.
    pub part: u32,
    /// How many messages hold the record.
    pub parts: u32,
}

/// Reads a message of the quarantine queue.
///
/// # Errors
/// Why it is none.
pub fn refused(body: &str) -> Result<RefusedMessage, Malformed> {
    let message: Value = serde_json::from_str(body).map_err(|_| Malformed::NotJson)?;
    let text = |field: &str| message[field].as_str().map(str::to_owned).ok_or(Malformed::OtherShape);
    let optional = |field: &str| message[field].as_str().map(str::to_owned);
    let number = |field: &str| message[field].as_u64().and_then(|number| u32::try_from(number).ok());
    Ok(RefusedMessage {
        sequence_number: text("sequence_number")?,
        sub_sequence_number: number("sub_sequence_number"),
        shard_id: text("shard_id")?,
        code: text("code")?,
        partition_key: optional("partition_key"),
        record_partition_key: optional("record_partition_key"),
        arrival_ms: message["arrival_ms"].as_i64(),
        first_part: number("part").unwrap_or(1) == 1,
        part: number("part").unwrap_or(1),
        parts: number("parts").unwrap_or(1),
    })
}

/// A message that was moved to the unrecoverable queue: the whole message, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecoverable {
    /// Its id in the queue it came from: a crash of a redrive may leave two copies of one message.
    pub message_id: String,
    /// Why, as a code.
    pub reason: String,
    /// The records that it names, if it names any.
    pub range: Option<SequenceRange>,
    /// How many of its records are lost.
    pub records: u64,
}

/// Reads a message of the unrecoverable queue. One that says nothing counts as one message of unknown reason.
#[must_use]
pub fn unrecoverable(body: &str) -> Unrecoverable {
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    // The message that was moved stands in it as text, since it may be no JSON at all.
    let moved: Value = serde_json::from_str(message["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let batch = &moved["KinesisBatchInfo"];
    let dead = text(batch, "shardId").zip(text(batch, "startSequenceNumber").zip(text(batch, "endSequenceNumber")));
    let range = dead.map(|(shard_id, (start, end))| SequenceRange { shard_id, start, end });
    let single = || {
        let (shard_id, number) = text(&moved, "shard_id").zip(text(&moved, "sequence_number"))?;
        Some(SequenceRange {
            shard_id,
            start: number.clone(),
            end: number,
        })
    };
    let range = range.or_else(single);
    let expected = message["expected"].as_u64();
    let lost = expected.map(|expected| expected.saturating_sub(message["found"].as_u64().unwrap_or(0)));
    Unrecoverable {
        message_id: text(&message, "message_id").unwrap_or_default(),
        reason: text(&message, "code").unwrap_or_else(|| "unknown".to_owned()),
        records: lost.unwrap_or_else(|| u64::from(range.is_some())),
        range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(change: impl FnOnce(&mut Value)) -> String {
        let mut message = serde_json::json!({
            "requestContext": { "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4 },
            "KinesisBatchInfo": {
                "shardId": "shardId-000000000001",
                "startSequenceNumber": "9",
                "endSequenceNumber": "10",
                "approximateArrivalOfFirstRecord": "2026-11-23T02:00:00.250Z",
                "batchSize": 2,
                "streamArn": "arn:aws:kinesis:eu-west-1:000000000000:stream/tidemark-transactions",
            },
        });
        change(&mut message);
        message.to_string()
    }

    fn read(body: &str) -> Result<DeadLetter, Malformed> {
        dead_letter(body, "tidemark-transactions")
    }

    #[test]
    fn a_notice_names_its_records() {
        let letter = read(&notice(|_| {})).unwrap();
        assert_eq!(
            (letter.records, letter.condition.as_str()),
            (2, "RetryAttemptsExhausted")
        );
        assert_eq!(letter.first_arrival_ms, Some(1_795_399_200_250));
        assert_eq!(
            letter.range.start, "9",
            "numbers are compared as numbers: 9 is before 10"
        );
    }

    #[test]
    fn what_can_not_be_redriven_has_a_code() {
        assert_eq!(read("{"), Err(Malformed::NotJson));
        assert_eq!(read("[]"), Err(Malformed::OtherShape));
        assert_eq!(
            read(&notice(|m| m["KinesisBatchInfo"]["batchSize"] = "2".into())),
            Err(Malformed::OtherShape)
        );
        let other = "arn:aws:kinesis:eu-west-1:000000000000:stream/other";
        assert_eq!(
            read(&notice(|m| m["KinesisBatchInfo"]["streamArn"] = other.into())),
            Err(Malformed::OtherStream)
        );
        assert_eq!(
            read(&notice(|m| m["KinesisBatchInfo"]["endSequenceNumber"] = "8".into())),
            Err(Malformed::Reversed)
        );
        for absurd in ["9".repeat(10_000), String::new(), "-1".to_owned(), "1e9".to_owned()] {
            let body = notice(|m| m["KinesisBatchInfo"]["endSequenceNumber"] = absurd.into());
            assert_eq!(read(&body), Err(Malformed::SequenceNumber));
        }
    }

    #[test]
    fn a_moved_message_keeps_its_records_and_its_reason() {
        let body = serde_json::json!({
            "schema": "unrecoverable", "version": 1, "code": "TM-5009", "reason": "why", "source": "dead_letter",
            "message_id": "m", "sent_ms": 1, "moved_ms": 2, "expected": 5, "found": 3, "body": notice(|_| {}),
        })
        .to_string();
        let moved = unrecoverable(&body);
        assert_eq!((moved.reason.as_str(), moved.records), ("TM-5009", 2));
        assert_eq!(moved.range.map(|range| range.end), Some("10".to_owned()));
        assert_eq!(unrecoverable("no JSON").records, 0);
    }
}
