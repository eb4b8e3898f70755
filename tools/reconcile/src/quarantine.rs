//! Refused records as the quarantine names them: by shard, partition key and sequence number.

use std::collections::HashMap;

use tidemark_engine::port::QuarantineMessage;

use crate::record::Record;

/// What a card number's digits are masked with, in keys too.
const MASK: char = '*';

/// A message of the quarantine queue, without its payload. A large record lies in several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineNote {
    /// The record's shard.
    pub shard_id: String,
    /// Its sequence number.
    pub sequence_number: String,
    /// Its place in an aggregated record; `None`: it is a record of its own, or an aggregate that was refused whole.
    pub sub_sequence_number: Option<u32>,
    /// Its partition key, card numbers masked; `None` where the message does not say.
    pub partition_key: Option<String>,
    /// Of a part of an aggregate: the partition key of the record that it came in, masked; `None` where the message does not say.
    pub record_partition_key: Option<String>,
    /// Why it was refused.
    pub code: String,
    /// The message's number, from 1, among those of the record.
    pub part: u32,
    /// How many messages hold the record.
    pub parts: u32,
}

impl From<&QuarantineMessage> for QuarantineNote {
    fn from(message: &QuarantineMessage) -> Self {
        let code = serde_json::to_value(message.code);
        Self {
            shard_id: message.shard_id.clone(),
            sequence_number: message.sequence_number.clone(),
            sub_sequence_number: message.sub_sequence_number,
            partition_key: Some(message.partition_key.clone()),
            record_partition_key: message.record_partition_key.clone(),
            code: code
                .ok()
                .and_then(|code| Some(code.as_str()?.to_owned()))
                .unwrap_or_default(),
            part: message.part,
            parts: message.parts,
        }
    }
}

impl QuarantineNote {
    fn is_of(&self, record: &Record) -> bool {
        let same_key = |masked: &Option<String>, key: Option<&str>| match (masked, key) {
            (Some(masked), Some(key)) => is_masked_form(masked, key),
            _ => true,
        };
        self.shard_id == *record.shard_id
            && self.sub_sequence_number == record.sub_sequence_number
            && same_key(&self.partition_key, Some(&record.partition_key))
            && same_key(&self.record_partition_key, record.record_partition_key.as_deref())
    }

    fn is_part_of(&self, other: &Self) -> bool {
        self.shard_id == other.shard_id
            && self.sub_sequence_number == other.sub_sequence_number
            && self.partition_key == other.partition_key
            && self.record_partition_key == other.record_partition_key
    }
}

/// Whether a key may have been written so. What is masked may be any character: which digits are, the contract's rules say, and
/// they may have changed since.
fn is_masked_form(masked: &str, key: &str) -> bool {
    if masked == key {
        return true;
    }
    if !masked.contains(MASK) {
        return false;
    }
    let all_masked = masked.len() == key.len() && masked.chars().all(|letter| letter == MASK);
    let mut letters = masked.chars().zip(key.chars());
    let alike = masked.chars().count() == key.chars().count();
    all_masked || (alike && letters.all(|(masked, letter)| masked == MASK || masked == letter))
}

/// The refused records.
#[derive(Clone, Debug, Default)]
pub struct Quarantined {
    /// By sequence number.
    records: HashMap<String, Vec<Whole>>,
}

/// A refused record, put together from its messages.
#[derive(Clone, Debug)]
struct Whole {
    note: QuarantineNote,
    /// The numbers of its messages that were found, ascending.
    parts: Vec<u32>,
}

impl Quarantined {
    /// Notes a message. The same one may come again.
    pub fn take(&mut self, note: QuarantineNote) {
        let of_number = self.records.entry(note.sequence_number.clone()).or_default();
        let part = note.part;
        let known = of_number.iter_mut().find(|whole| whole.note.is_part_of(&note));
        if let Some(whole) = known {
            if let Err(at) = whole.parts.binary_search(&part) {
                whole.parts.insert(at, part);
            }
            return;
        }
        of_number.push(Whole {
            note,
            parts: vec![part],
        });
    }

    /// Why a record is in quarantine; `None`: it is not, or not all of it.
    #[must_use]
    pub fn refusal_of(&self, record: &Record) -> Option<&str> {
        let whole = self.whole(record)?;
        (whole.parts.len() as u64 >= u64::from(whole.note.parts)).then_some(whole.note.code.as_str())
    }

    /// How many of how many messages of a record are there, where some are missing.
    pub(crate) fn cut(&self, record: &Record) -> Option<(usize, u32)> {
        let whole = self.whole(record)?;
        let found = whole.parts.len();
        (found as u64 <= u64::from(whole.note.parts)).then_some((found, whole.note.parts))
    }

    fn whole(&self, record: &Record) -> Option<&Whole> {
        let of_number = self.records.get(&*record.sequence_number)?;
        of_number.iter().find(|whole| whole.note.is_of(record))
    }
}
