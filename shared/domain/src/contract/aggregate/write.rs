//! Aggregating user records, as the KPL does: for `tidemark send --aggregate`, the simulation and tests.

use std::collections::BTreeMap;

use super::format::{
    AGGREGATE_DIGEST_BYTES, AGGREGATE_MAGIC, AGGREGATE_USER_RECORDS_MAX, PackedRecord, digest_of, field,
};
use super::protobuf::wire_type;

/// Collects user records until they are written as one aggregated record.
#[derive(Clone, Debug, Default)]
pub struct Aggregator {
    partition_keys: Table,
    hash_keys: Table,
    records: Vec<u8>,
    user_records: usize,
}

/// Keys, each once, in order of their first use.
#[derive(Clone, Debug, Default)]
struct Table {
    index: BTreeMap<String, u64>,
    fields: Vec<u8>,
}

impl Aggregator {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many user records it holds.
    #[must_use]
    pub const fn user_records(&self) -> usize {
        self.user_records
    }

    /// Bytes of the aggregated record that it would be written as now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let message = self.partition_keys.fields.len() + self.hash_keys.fields.len() + self.records.len();
        AGGREGATE_MAGIC.len() + message + AGGREGATE_DIGEST_BYTES
    }

    /// Takes a user record if, with it, the aggregated record has at most `bytes_max` bytes and no more user records than
    /// a reader takes; whether it did.
    pub fn push(&mut self, record: &PackedRecord<'_>, bytes_max: usize) -> bool {
        if self.user_records == AGGREGATE_USER_RECORDS_MAX {
            return false;
        }
        let (partition_key, new_partition_key) = self
            .partition_keys
            .look_up(field::PARTITION_KEY_TABLE, record.partition_key);
        let hash_key = record
            .explicit_hash_key
            .map(|key| self.hash_keys.look_up(field::EXPLICIT_HASH_KEY_TABLE, key));
        let mut inner = Vec::with_capacity(record.data.len() + 16);
        put_number(&mut inner, field::PARTITION_KEY_INDEX, partition_key);
        if let Some((index, _)) = &hash_key {
            put_number(&mut inner, field::EXPLICIT_HASH_KEY_INDEX, *index);
        }
        put_bytes(&mut inner, field::DATA, record.data);
        let mut outer = Vec::with_capacity(inner.len() + 8);
        put_bytes(&mut outer, field::RECORDS, &inner);
        let new_hash_key = hash_key.and_then(|(_, new)| new);
        let new_keys = [&new_partition_key, &new_hash_key].into_iter().flatten();
        let added = outer.len() + new_keys.map(Vec::len).sum::<usize>();
        if self.bytes() + added > bytes_max {
            return false;
        }
        self.partition_keys.learn(record.partition_key, new_partition_key);
        self.hash_keys
            .learn(record.explicit_hash_key.unwrap_or_default(), new_hash_key);
        self.records.extend(outer);
        self.user_records += 1;
        true
    }

    /// The aggregated record. It is one that a reader accepts when at least one user record was taken.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut record = Vec::with_capacity(self.bytes());
        record.extend(AGGREGATE_MAGIC);
        record.extend(self.partition_keys.fields);
        record.extend(self.hash_keys.fields);
        record.extend(self.records);
        let digest = digest_of(&record[AGGREGATE_MAGIC.len()..]);
        record.extend(digest);
        record
    }
}

impl Table {
    /// A key's index, and its field when it is not in the table yet.
    fn look_up(&self, number: u32, key: &str) -> (u64, Option<Vec<u8>>) {
        if let Some(index) = self.index.get(key) {
            return (*index, None);
        }
        let mut bytes = Vec::with_capacity(key.len() + 4);
        put_bytes(&mut bytes, number, key.as_bytes());
        (self.index.len() as u64, Some(bytes))
    }

    fn learn(&mut self, key: &str, field: Option<Vec<u8>>) {
        if let Some(field) = field {
            self.index.insert(key.to_owned(), self.index.len() as u64);
            self.fields.extend(field);
        }
    }
}

fn put_number(to: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(to, (u64::from(number) << 3) | wire_type::VARINT);
    put_varint(to, value);
}

fn put_bytes(to: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(to, (u64::from(number) << 3) | wire_type::LENGTH);
    put_varint(to, value.len() as u64);
    to.extend(value);
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
