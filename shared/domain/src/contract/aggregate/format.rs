//! The format of aggregated records: magic, fields and digest.

use md5::{Digest, Md5};

/// What an aggregated record begins with.
pub const AGGREGATE_MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// Bytes of the digest that an aggregated record ends with.
pub const AGGREGATE_DIGEST_BYTES: usize = 16;
/// User records in one aggregate, and keys in each of its tables. The shortest event that the contract accepts takes over a
/// hundred bytes, so that no aggregate of events within Kinesis' classic record limit of 1 MiB has more.
pub const AGGREGATE_USER_RECORDS_MAX: usize = 10_000;

/// Field numbers of the protobuf messages.
pub(super) mod field {
    pub(in crate::contract::aggregate) const PARTITION_KEY_TABLE: u32 = 1;
    pub(in crate::contract::aggregate) const EXPLICIT_HASH_KEY_TABLE: u32 = 2;
    pub(in crate::contract::aggregate) const RECORDS: u32 = 3;
    pub(in crate::contract::aggregate) const PARTITION_KEY_INDEX: u32 = 1;
    pub(in crate::contract::aggregate) const EXPLICIT_HASH_KEY_INDEX: u32 = 2;
    pub(in crate::contract::aggregate) const DATA: u32 = 3;
}

/// What a producer put, borrowed from the record that it was aggregated into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedRecord<'a> {
    /// Its own partition key; the aggregate went to the stream under that of one of its records.
    pub partition_key: &'a str,
    /// Its own explicit hash key, a decimal number of 128 bits as text. Not checked: nothing here is routed by it.
    pub explicit_hash_key: Option<&'a str>,
    /// The payload.
    pub data: &'a [u8],
}

/// The digest of a protobuf message.
pub(super) fn digest_of(message: &[u8]) -> [u8; AGGREGATE_DIGEST_BYTES] {
    Md5::digest(message).into()
}
