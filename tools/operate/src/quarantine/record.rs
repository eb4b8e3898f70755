//! A refused record, put together from its messages. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tidemark_aws::admin::QueueMessage;
use tidemark_domain::contract::mask_card_numbers;
use xxhash_rust::xxh3::xxh3_64;

use super::args::FilterArgs;
use crate::account::dropped::Name;
use crate::account::message::Malformed;

/// Bits of an id that are shown, as hexadecimal digits: among 100,000 records two of the same are as good as excluded, and `drop`
/// names records by more.
const ID_BITS: u32 = 48;

/// A message, as the engine writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Why it was refused.
    code: String,
    /// The same for a person.
    #[serde(default)]
    detail: String,
    shard_id: String,
    sequence_number: String,
    #[serde(default)]
    sub_sequence_number: Option<u32>,
    #[serde(default)]
    partition_key: Option<String>,
    #[serde(default)]
    record_partition_key: Option<String>,
    #[serde(default)]
    arrival_ms: Option<i64>,
    #[serde(default)]
    payload_bytes: u64,
    #[serde(default)]
    masked: bool,
    #[serde(default = "one")]
    part: u32,
    #[serde(default = "one")]
    parts: u32,
    #[serde(default)]
    payload_base64: String,
}

fn one() -> u32 {
    1
}

/// A short id of a record, for a person to type.
#[must_use]
pub fn id_of(name: &Name) -> String {
    let sub = name.sub_sequence_number.map_or_else(String::new, |sub| sub.to_string());
    let key = |key: &Option<String>| key.clone().unwrap_or_default();
    let parts = [
        name.shard_id.clone(),
        name.sequence_number.clone(),
        sub,
        key(&name.partition_key),
        key(&name.record_partition_key),
    ];
    format!("{:012x}", xxh3_64(parts.join("\u{0}").as_bytes()) >> (64 - ID_BITS))
}

/// A refused record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRecord {
    /// A short name.
    pub id: String,
    /// Where it is in the stream.
    #[serde(flatten)]
    pub name: Name,
    /// Why it was refused, as a code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: Option<i64>,
    /// When it went into the queue, ms since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Whether card numbers were masked in it.
    pub masked: bool,
    /// The card that the payload names, where it can be read so far.
    pub card_id: Option<String>,
    /// Whether each of its messages is there.
    pub whole: bool,
    /// Receipts of its messages: what a delete must name.
    #[serde(skip)]
    pub receipts: Vec<String>,
    /// Its payload by part.
    #[serde(skip)]
    parts: BTreeMap<u32, Vec<u8>>,
    #[serde(skip)]
    parts_total: u32,
}

impl RefusedRecord {
    /// Its payload, masked once more: what was put there by an older release is masked by today's rules.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self.parts.values().flatten().copied().collect();
        mask_card_numbers(&bytes).into_owned()
    }

    fn finish(&mut self, keep_payload: bool) {
        self.whole = u32::try_from(self.parts.len()) == Ok(self.parts_total);
        let payload: serde_json::Value = serde_json::from_slice(&self.payload()).unwrap_or_default();
        self.card_id = payload["card_id"].as_str().map(str::to_owned);
        if !keep_payload {
            self.parts.clear();
        }
    }
}

/// Refused records as they are received, and what else was there.
#[derive(Debug, Default)]
pub struct Gathered {
    records: BTreeMap<Name, RefusedRecord>,
    /// Messages that are none of ours, by error code.
    pub malformed: BTreeMap<String, u64>,
    /// How many messages were received.
    pub messages: u64,
}

impl Gathered {
    /// Takes a message.
    pub fn take(&mut self, queued: QueueMessage) {
        self.messages += 1;
        let message: Message = match serde_json::from_str(&queued.body) {
            Ok(message) => message,
            Err(error) => {
                let why = if error.is_data() {
                    Malformed::OtherShape
                } else {
                    Malformed::NotJson
                };
                *self.malformed.entry(why.code().to_owned()).or_default() += 1;
                return;
            }
        };
        let name = Name {
            shard_id: message.shard_id,
            sequence_number: message.sequence_number,
            sub_sequence_number: message.sub_sequence_number,
            partition_key: message.partition_key,
            record_partition_key: message.record_partition_key,
        };
        let record = self.records.entry(name.clone()).or_insert_with(|| RefusedRecord {
            id: id_of(&name),
            name,
            code: message.code,
            detail: message.detail,
            arrival_ms: message.arrival_ms,
            sent_ms: queued.sent_ms,
            payload_bytes: message.payload_bytes,
            masked: message.masked,
            card_id: None,
            whole: false,
            receipts: Vec::new(),
            parts: BTreeMap::new(),
            parts_total: message.parts,
        });
        record.sent_ms = record.sent_ms.min(queued.sent_ms);
        record.masked |= message.masked;
        record.receipts.push(queued.receipt);
        // A record that was quarantined twice has two messages for each part: either will do.
        let bytes = STANDARD.decode(message.payload_base64).unwrap_or_default();
        record.parts.entry(message.part).or_insert(bytes);
    }

    /// The records that fit, the newest first.
    #[must_use]
    pub fn records(self, filter: &FilterArgs, keep_payload: bool) -> Vec<RefusedRecord> {
        let mut records: Vec<RefusedRecord> = self
            .records
            .into_values()
            .filter(|record| fits(record, filter))
            .map(|mut record| {
                record.finish(keep_payload);
                record
            })
            .collect();
        records.sort_by(|a, b| b.sent_ms.cmp(&a.sent_ms).then_with(|| a.name.cmp(&b.name)));
        records
    }
}

fn fits(record: &RefusedRecord, filter: &FilterArgs) -> bool {
    let one_of = |wanted: &[String], is: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| is(one));
    one_of(&filter.reason, &|reason| record.code == reason)
        && filter
            .key
            .as_ref()
            .is_none_or(|key| record.name.partition_key.as_ref() == Some(key))
        && filter.shard.as_ref().is_none_or(|shard| record.name.shard_id == *shard)
        && (!filter.masked || record.masked)
        && one_of(&filter.id, &|id| record.id == id || record.name.sequence_number == id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(number: u32, part: u32, parts: u32, payload: &str) -> QueueMessage {
        let body = json!({
            "schema": "quarantine", "version": 1, "code": "not_json", "detail": "why", "stream": "s",
            "shard_id": "shardId-000000000000", "sequence_number": number.to_string(), "partition_key": "till-7",
            "arrival_ms": 5, "payload_bytes": payload.len(), "masked": number == 3, "part": part, "parts": parts,
            "payload_base64": STANDARD.encode(payload),
        });
        QueueMessage {
            id: format!("{number}-{part}"),
            receipt: format!("r{number}-{part}"),
            body: body.to_string(),
            receive_count: 1,
            sent_ms: i64::from(number),
        }
    }

    fn gathered() -> Gathered {
        let mut gathered = Gathered::default();
        for queued in [
            message(1, 2, 2, r#"d":"c-1"}"#),
            message(1, 1, 2, r#"{"card_i"#),
            message(2, 1, 2, "half"),
            message(3, 1, 1, "x 4111111111111111 y"),
            QueueMessage {
                body: "no JSON".to_owned(),
                ..message(9, 1, 1, "")
            },
        ] {
            gathered.take(queued);
        }
        gathered
    }

    #[test]
    fn a_record_is_put_together_from_its_messages_in_any_order() {
        let gathered = gathered();
        assert_eq!((gathered.messages, gathered.malformed.get("TM-5003")), (5, Some(&1)));
        let records = gathered.records(&FilterArgs::default(), true);
        let brief: Vec<_> = records
            .iter()
            .map(|record| {
                (
                    record.name.sequence_number.as_str(),
                    record.whole,
                    record.receipts.len(),
                )
            })
            .collect();
        assert_eq!(
            brief,
            [("3", true, 1), ("2", false, 1), ("1", true, 2)],
            "the newest first"
        );
        assert_eq!(records[2].card_id.as_deref(), Some("c-1"));
        let payload = String::from_utf8(records[0].payload()).unwrap();
        assert!(
            !payload.contains("411111"),
            "masked whatever the message had: {payload}"
        );
    }

    #[test]
    fn filters_all_have_to_fit_and_an_id_names_one_record() {
        let all = gathered().records(&FilterArgs::default(), false);
        let ids: Vec<_> = all.iter().map(|record| record.id.clone()).collect();
        let only = |filter: FilterArgs| gathered().records(&filter, false).len();
        assert_eq!(
            only(FilterArgs {
                id: vec![ids[1].clone()],
                ..FilterArgs::default()
            }),
            1
        );
        assert_eq!(
            only(FilterArgs {
                id: vec!["1".to_owned()],
                ..FilterArgs::default()
            }),
            1
        );
        assert_eq!(
            only(FilterArgs {
                masked: true,
                ..FilterArgs::default()
            }),
            1
        );
        assert_eq!(
            only(FilterArgs {
                reason: vec!["not_json".to_owned()],
                ..FilterArgs::default()
            }),
            3
        );
        let other = FilterArgs {
            masked: true,
            key: Some("till-8".to_owned()),
            ..FilterArgs::default()
        };
        assert_eq!(only(other), 0);
        assert!(FilterArgs::default().is_open());
    }
}
