//! Dead letters: what Lambda writes when a mapping gives a batch up. Metadata only: the records are still in the stream, as
//! long as it keeps them. Pure.

use serde_json::Value;
use tidemark_telemetry::ErrorCode;

use crate::limits::{LETTER_RECORDS_MAX, SHARD_ID_CHARS_MAX};
use crate::number::{is_before, is_sequence_number};

/// Which stream the function redrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    stream: String,
}

impl Home {
    /// A stream by its ARN, or by its name alone.
    #[must_use]
    pub fn new(stream: impl Into<String>) -> Self {
        Self { stream: stream.into() }
    }

    /// The ARN or name.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Whether an ARN is this stream's. With a name alone, account and region are not compared.
    #[must_use]
    pub fn is(&self, arn: &str) -> bool {
        if self.stream.starts_with("arn:") {
            return self.stream == arn;
        }
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        matches!(parts.as_slice(), ["arn", _, "kinesis", _, _, resource]
            if resource.strip_prefix("stream/") == Some(&self.stream))
    }
}

/// A batch that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// ARN of its stream, as live records name it.
    pub stream_arn: String,
    /// The shard that it was read from.
    pub shard_id: String,
    /// Its first record.
    pub start: String,
    /// Its last record.
    pub end: String,
    /// How many records it had.
    pub records: u64,
    /// Why it was given up; empty where the letter does not say.
    pub condition: String,
}

/// Why a message is no work for this function. The sentence names fields, never their values (I9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its page in docs/errors.
    pub code: ErrorCode,
    /// What is wrong.
    pub detail: String,
}

impl Rejection {
    /// A rejection.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl Letter {
    /// Reads a message of the dead-letter queue.
    ///
    /// # Errors
    /// When it is not JSON, not of this shape, of another stream, or names no range.
    pub fn parse(body: &str, home: &Home) -> Result<Self, Rejection> {
        let value: Value = serde_json::from_str(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Rejection::new(
                ErrorCode::LetterNotJson,
                format!("not JSON at line {line}, column {column}"),
            )
        })?;
        let letter = Self::read(&value)?;
        if !home.is(&letter.stream_arn) {
            let detail = "KinesisBatchInfo.streamArn: another stream than this function's";
            return Err(Rejection::new(ErrorCode::LetterForeign, detail));
        }
        for (field, number) in [
            ("startSequenceNumber", &letter.start),
            ("endSequenceNumber", &letter.end),
        ] {
            if !is_sequence_number(number) {
                let detail = format!("KinesisBatchInfo.{field}: not a sequence number");
                return Err(Rejection::new(ErrorCode::SequenceNumberInvalid, detail));
            }
        }
        if is_before(&letter.end, &letter.start) {
            let detail = "KinesisBatchInfo: endSequenceNumber is lower than startSequenceNumber";
            return Err(Rejection::new(ErrorCode::LetterInverted, detail));
        }
        Ok(letter)
    }

    fn read(value: &Value) -> Result<Self, Rejection> {
        let batch = &value["KinesisBatchInfo"];
        if !batch.is_object() {
            return Err(misshapen("KinesisBatchInfo: expected an object"));
        }
        let text = |field: &str| {
            let text = batch[field].as_str().map(str::to_owned);
            text.ok_or_else(|| misshapen(&format!("KinesisBatchInfo.{field}: expected a text")))
        };
        let shard_id = text("shardId")?;
        if !is_shard_id(&shard_id) {
            return Err(misshapen("KinesisBatchInfo.shardId: not the id of a shard"));
        }
        let records = batch["batchSize"].as_u64();
        let records = records.filter(|records| (1..=LETTER_RECORDS_MAX).contains(records));
        let condition = value["requestContext"]["condition"].as_str();
        Ok(Self {
            stream_arn: text("streamArn")?,
            shard_id,
            start: text("startSequenceNumber")?,
            end: text("endSequenceNumber")?,
            records: records
                .ok_or_else(|| misshapen("KinesisBatchInfo.batchSize: expected a whole number from 1 to 10000"))?,
            condition: condition.unwrap_or_default().to_owned(),
        })
    }
}

/// Whether a text can be the id of a shard.
#[must_use]
pub fn is_shard_id(text: &str) -> bool {
    (1..=SHARD_ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn misshapen(detail: &str) -> Rejection {
    Rejection::new(ErrorCode::LetterMisshapen, detail)
}

/// When the stream took the first record of a letter, milliseconds since 1970-01-01T00:00:00Z; `None` where the message does not say
/// so as Lambda does.
#[must_use]
pub fn first_arrival_ms(body: &str) -> Option<i64> {
    let message: Value = serde_json::from_str(body).ok()?;
    civil_ms(message["KinesisBatchInfo"]["approximateArrivalOfFirstRecord"].as_str()?)
}

/// A time as Lambda writes it: `2026-11-23T02:00:00.250Z`.
fn civil_ms(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[i64; 3]> {
        let parts: Vec<i64> = text
            .split(separator)
            .map(|part| part.parse::<u32>().ok().map(i64::from))
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
    let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // Days since 1970 by Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the day that is
    // sometimes there is a year's last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_since_when_its_records_wait() {
        let body = |time: &str| {
            serde_json::json!({ "KinesisBatchInfo": { "approximateArrivalOfFirstRecord": time } }).to_string()
        };
        for (time, ms) in [
            ("2026-11-23T02:00:00.250Z", 1_795_399_200_250),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.9Z", 951_868_799_900),
        ] {
            assert_eq!(first_arrival_ms(&body(time)), Some(ms), "{time}");
        }
        let wrong = [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-23T02:00:00",
            "2026-11-23T02:00Z",
            "2026-11-23T25:00:00Z",
        ];
        for time in wrong {
            assert_eq!(first_arrival_ms(&body(time)), None, "{time}");
        }
        assert_eq!(first_arrival_ms("no JSON"), None);
    }
}
