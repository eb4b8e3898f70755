//! The payload that Lambda's Kinesis mapping hands over, read without copying what can be borrowed.
//!
//! AWS builds this payload, so every record is well formed. Should one not be, it must neither be lost nor block its shard
//! (I1, I7): where its sequence number is known it goes on as a payload that the contract refuses, and so ends in
//! quarantine, whole; where not, the batch fails with a named error.

mod base64;
mod quick;

use std::borrow::Cow;
use std::ops::Range;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidemark_aws::arrival_ms_of_seconds;
use tidemark_engine::InRecord;

/// Stands before the JSON of a record that is not a Kinesis record, in the quarantined payload. No JSON value begins so:
/// the contract refuses it whatever follows.
pub const MALFORMED_NOTE: &str = "not a Kinesis record: ";

/// What a record takes in an invocation's payload, bytes; the list's first size.
const RECORD_BYTES_TYPICAL: usize = 1_000;

/// Why a payload cannot be taken record by record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or without a list of records. Says where, never what (I9).
    #[error("the payload is not a Kinesis event (line {line}, column {column})")]
    Unreadable {
        /// Line, from 1; 0 where there is no place to name.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A record without a sequence number.
    #[error("the record at position {position} of the batch has no sequence number")]
    Unnamed {
        /// Its position, from 0.
        position: usize,
    },
}

/// The records of one invocation.
#[derive(Debug)]
pub struct Batch<'a> {
    records: Vec<Record<'a>>,
    /// All payloads, one after the other: one allocation for the batch.
    payloads: Vec<u8>,
    malformed: usize,
}

#[derive(Debug)]
struct Record<'a> {
    stream: Cow<'a, str>,
    /// `shardId-…:<sequence number>`
    event_id: Cow<'a, str>,
    sequence_number: Cow<'a, str>,
    partition_key: Cow<'a, str>,
    arrival_ms: i64,
    payload: Range<usize>,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<WireRecord<'a>>,
}

#[derive(Deserialize)]
struct WireRecord<'a> {
    #[serde(borrow)]
    kinesis: WireKinesis<'a>,
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    #[serde(rename = "eventSourceARN", borrow)]
    event_source_arn: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKinesis<'a> {
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    approximate_arrival_timestamp: f64,
}

/// A record of which nothing is taken for granted.
#[derive(Deserialize)]
struct LooseEvent<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<&'a RawValue>,
}

impl<'a> Batch<'a> {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// When it is not a Kinesis event, or when one of its records cannot even be named.
    pub fn parse(json: &'a str) -> Result<Self, EventError> {
        let mut quick = Self::with_capacity(json.len() / RECORD_BYTES_TYPICAL, json.len());
        match quick::read(json, &mut quick) {
            Some(()) => Ok(quick),
            None => Self::parse_any(json),
        }
    }

    fn parse_any(json: &'a str) -> Result<Self, EventError> {
        match serde_json::from_str::<WireEvent<'a>>(json) {
            Ok(event) => {
                let mut batch = Self::with_capacity(event.records.len(), json.len());
                for (position, record) in event.records.into_iter().enumerate() {
                    batch.push(record, position, None)?;
                }
                Ok(batch)
            }
            Err(_) => Self::parse_loosely(json),
        }
    }

    fn with_capacity(records: usize, json_bytes: usize) -> Self {
        // Base64 takes four bytes for three, and the payloads are less than the whole.
        Self {
            records: Vec::with_capacity(records),
            payloads: Vec::with_capacity(json_bytes / 4 * 3),
            malformed: 0,
        }
    }

    /// Record by record, for a payload in which some record is not as it should be.
    fn parse_loosely(json: &'a str) -> Result<Self, EventError> {
        let event: LooseEvent<'a> = serde_json::from_str(json).map_err(|error| EventError::Unreadable {
            line: error.line(),
            column: error.column(),
        })?;
        let mut batch = Self::with_capacity(event.records.len(), json.len());
        for (position, raw) in event.records.into_iter().enumerate() {
            match serde_json::from_str::<WireRecord<'a>>(raw.get()) {
                Ok(record) => batch.push(record, position, Some(raw))?,
                Err(_) => batch.push_malformed(raw, position)?,
            }
        }
        Ok(batch)
    }

    fn push(&mut self, record: WireRecord<'a>, position: usize, raw: Option<&'a RawValue>) -> Result<(), EventError> {
        let WireKinesis {
            partition_key,
            sequence_number,
            data,
            approximate_arrival_timestamp,
        } = record.kinesis;
        if !is_sequence_number(&sequence_number) {
            return Err(EventError::Unnamed { position });
        }
        let start = self.payloads.len();
        let arrival_ms = arrival_ms_of_seconds(approximate_arrival_timestamp);
        if arrival_ms.is_none() || STANDARD.decode_vec(data.as_bytes(), &mut self.payloads).is_err() {
            self.payloads.truncate(start);
            self.payloads.extend_from_slice(MALFORMED_NOTE.as_bytes());
            self.payloads
                .extend_from_slice(raw.map_or(data.as_bytes(), |raw| raw.get().as_bytes()));
            self.malformed += 1;
        }
        self.records.push(Record {
            stream: record.event_source_arn,
            event_id: record.event_id,
            sequence_number,
            partition_key,
            arrival_ms: arrival_ms.unwrap_or_default(),
            payload: start..self.payloads.len(),
        });
        Ok(())
    }

    fn push_malformed(&mut self, raw: &'a RawValue, position: usize) -> Result<(), EventError> {
        let unnamed = EventError::Unnamed { position };
        let value: serde_json::Value = serde_json::from_str(raw.get()).map_err(|_| unnamed.clone())?;
        let text = |field: &serde_json::Value| Cow::Owned(field.as_str().unwrap_or_default().to_owned());
        let sequence_number: Cow<'a, str> = text(&value["kinesis"]["sequenceNumber"]);
        if !is_sequence_number(&sequence_number) {
            return Err(unnamed);
        }
        let start = self.payloads.len();
        self.payloads.extend_from_slice(MALFORMED_NOTE.as_bytes());
        self.payloads.extend_from_slice(raw.get().as_bytes());
        self.malformed += 1;
        self.records.push(Record {
            stream: text(&value["eventSourceARN"]),
            event_id: text(&value["eventID"]),
            sequence_number,
            partition_key: text(&value["kinesis"]["partitionKey"]),
            arrival_ms: value["kinesis"]["approximateArrivalTimestamp"]
                .as_f64()
                .and_then(arrival_ms_of_seconds)
                .unwrap_or_default(),
            payload: start..self.payloads.len(),
        });
        Ok(())
    }

    /// The records, as the engine takes them.
    #[must_use]
    pub fn records(&self) -> Vec<InRecord<'_>> {
        self.records
            .iter()
            .map(|record| InRecord {
                stream: &record.stream,
                shard_id: record.event_id.split_once(':').map_or("", |(shard, _)| shard),
                sequence_number: &record.sequence_number,
                of_aggregate: None,
                partition_key: &record.partition_key,
                arrival_ms: record.arrival_ms,
                data: &self.payloads[record.payload.clone()],
            })
            .collect()
    }

    /// Records that are not as Kinesis makes them; they end in quarantine.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.malformed
    }
}

/// A sequence number is decimal: any other identifier in the answer would fail the whole batch, for ever.
fn is_sequence_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Data as the service writes it.
#[cfg(test)]
fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(sequence_number: &str, data: &str) -> serde_json::Value {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "card \"1\"",
                "sequenceNumber": sequence_number,
                "data": data,
                "approximateArrivalTimestamp": 1_545_084_650.987,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("shardId-000000000006:{sequence_number}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
            "awsRegion": "us-east-2",
            "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
        })
    }

    fn event(records: &[serde_json::Value]) -> String {
        json!({ "Records": records }).to_string()
    }

    #[test]
    fn a_record_is_read_whole() {
        let json = event(&[record(
            "49590338271490256608559692538361571095921575989136588898",
            "aGVsbG8=",
        )]);
        let batch = Batch::parse(&json).unwrap();
        let records = batch.records();
        assert_eq!(records.len(), 1);
        assert_eq!(
            records[0].stream,
            "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
        );
        assert_eq!(records[0].shard_id, "shardId-000000000006");
        assert_eq!(
            records[0].sequence_number,
            "49590338271490256608559692538361571095921575989136588898"
        );
        assert_eq!(records[0].partition_key, "card \"1\"");
        assert_eq!(records[0].arrival_ms, 1_545_084_650_987);
        assert_eq!(records[0].data, b"hello");
        assert_eq!(batch.malformed(), 0);
    }

    #[test]
    fn arrival_is_the_millisecond_that_the_service_wrote_in_whatever_way_records_are_read() {
        for first_ms in [1_545_084_650_987_i64, 1_700_000_000_000, 4_102_444_800_001] {
            let all_ms: Vec<i64> = (0..2_500).map(|more| first_ms + more * 7).collect();
            for is_loose in [false, true] {
                let mut records: Vec<serde_json::Value> = all_ms
                    .iter()
                    .map(|ms| {
                        let mut record = record("1", "YQ==");
                        let seconds = format!("{}.{:03}", ms / 1_000, ms % 1_000);
                        record["kinesis"]["approximateArrivalTimestamp"] = serde_json::from_str(&seconds).unwrap();
                        record
                    })
                    .collect();
                let mut broken = record("2", "YQ==");
                broken["kinesis"]["data"] = json!(17);
                if is_loose {
                    records.push(broken);
                }
                let json = event(&records);
                let batch = Batch::parse(&json).unwrap();
                let read_ms: Vec<i64> = batch.records().iter().map(|record| record.arrival_ms).collect();
                assert_eq!(read_ms[..all_ms.len()], all_ms);
            }
        }
    }

    #[test]
    fn payloads_keep_apart() {
        let json = event(&[record("1", "YQ=="), record("2", ""), record("3", "YmM=")]);
        let batch = Batch::parse(&json).unwrap();
        let data: Vec<&[u8]> = batch.records().iter().map(|record| record.data).collect();
        assert_eq!(data, [b"a" as &[u8], b"", b"bc"]);
    }

    #[test]
    fn data_that_is_not_base64_goes_on_as_a_payload_that_is_refused() {
        let json = event(&[
            record("1", "YQ=="),
            record("2", "{\"schema\":\"transaction\"}"),
            record("3", "YQ=="),
        ]);
        let batch = Batch::parse(&json).unwrap();
        let records = batch.records();
        assert_eq!(batch.malformed(), 1);
        assert_eq!(records[1].data, b"not a Kinesis record: {\"schema\":\"transaction\"}");
        assert_eq!((records[0].data, records[2].data), (b"a" as &[u8], b"a" as &[u8]));
    }

    #[test]
    fn a_record_with_missing_or_mistyped_fields_keeps_its_place_and_its_bytes() {
        let mut broken = record("2", "YQ==");
        broken["kinesis"]["data"] = json!(17);
        let mut late = record("3", "YQ==");
        late["kinesis"]["approximateArrivalTimestamp"] = json!(-1.0);
        let json = event(&[record("1", "YQ=="), broken, late]);
        let batch = Batch::parse(&json).unwrap();
        let records = batch.records();
        assert_eq!(batch.malformed(), 2);
        assert_eq!(records[1].sequence_number, "2");
        assert!(records[1].data.starts_with(MALFORMED_NOTE.as_bytes()));
        assert!(std::str::from_utf8(records[1].data).unwrap().contains("\"data\":17"));
        assert!(records[2].data.starts_with(MALFORMED_NOTE.as_bytes()));
    }

    #[test]
    fn a_record_without_a_sequence_number_fails_the_batch_by_name() {
        let mut unnamed = record("2", "YQ==");
        unnamed["kinesis"]["sequenceNumber"] = json!(null);
        let json = event(&[record("1", "YQ=="), unnamed]);
        assert_eq!(Batch::parse(&json).unwrap_err(), EventError::Unnamed { position: 1 });
        let json = event(&[record("not-a-number", "YQ==")]);
        assert_eq!(Batch::parse(&json).unwrap_err(), EventError::Unnamed { position: 0 });
    }

    #[test]
    fn what_is_no_kinesis_event_is_refused_without_its_content() {
        for json in [
            "",
            "[]",
            "{\"Records\":4111111111111111}",
            "{\"detail\":\"secret\"}",
            "{\"Records\":[",
            "null",
        ] {
            let error = Batch::parse(json).unwrap_err();
            assert!(matches!(error, EventError::Unreadable { .. }), "{json}: {error}");
            assert!(!error.to_string().contains("4111") && !error.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_empty_batch_is_a_batch() {
        assert!(Batch::parse("{\"Records\":[]}").unwrap().records().is_empty());
    }
}
