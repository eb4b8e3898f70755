//! Records that the Kinesis Producer Library (KPL) aggregated: many user records in one record of the stream.
//!
//! ```text
//! F3 89 9A C2 | protobuf AggregatedRecord                                   | MD5 of the protobuf, 16 bytes
//!             | 1: partition_key_table      repeated string                 |
//!             | 2: explicit_hash_key_table  repeated string                 |
//!             | 3: records                  repeated Record                 |
//!             |      1: partition_key_index      uint64, required           |
//!             |      2: explicit_hash_key_index  uint64, optional           |
//!             |      3: data                     bytes, required            |
//!             |      4: tags                     repeated, of no use to us  |
//! ```
//!
//! The magic is no UTF-8, so no event begins with it: what does so is an aggregate or it is nothing. That is why one whose
//! digest is wrong is refused as a whole, while Amazon's own consumer library hands it on as a plain record: here, a plain
//! record of these bytes could only be refused too, under a code that says less.

mod format;
mod protobuf;
mod write;

use crate::refusal::{Refusal, RefusalCode};

use self::format::{digest_of, field};
use self::protobuf::{Malformed, Reader, Value};

pub use self::format::{AGGREGATE_DIGEST_BYTES, AGGREGATE_MAGIC, AGGREGATE_USER_RECORDS_MAX, PackedRecord};
pub use self::write::Aggregator;

/// Takes a record apart: its user records in the producer's order, at least one and at most
/// [`AGGREGATE_USER_RECORDS_MAX`]; `None` for a record that is not aggregated.
///
/// # Errors
/// For the whole record, once it begins with the magic: `aggregate_digest` when the digest at its end is not that of what
/// it holds (forged, or cut), `aggregate_malformed` when that is no protobuf of the shape above, points beyond a table or
/// holds no record, `aggregate_too_many` beyond the limit.
pub fn take_apart(record: &[u8]) -> Result<Option<Vec<PackedRecord<'_>>>, Refusal> {
    let Some(signed) = record.strip_prefix(&AGGREGATE_MAGIC) else {
        return Ok(None);
    };
    let (message, digest) = signed
        .split_last_chunk::<AGGREGATE_DIGEST_BYTES>()
        .ok_or_else(wrong_digest)?;
    if digest_of(message) != *digest {
        return Err(wrong_digest());
    }
    let tables = Tables::read(message).map_err(|flaw| refusal(&flaw))?;
    tables.user_records().map(Some).map_err(|flaw| refusal(&flaw))
}

/// What is wrong with a message whose digest is right.
enum Flaw {
    Malformed(&'static str),
    TooMany,
}

impl From<Malformed> for Flaw {
    fn from(_: Malformed) -> Self {
        Self::Malformed("payload: expected the protobuf message of an aggregated record between magic and digest")
    }
}

fn wrong_digest() -> Refusal {
    Refusal::new(
        RefusalCode::AggregateDigest,
        "payload: expected an aggregated record to end with the MD5 digest of what it holds",
    )
}

fn refusal(flaw: &Flaw) -> Refusal {
    match flaw {
        Flaw::Malformed(expected) => Refusal::new(RefusalCode::AggregateMalformed, *expected),
        Flaw::TooMany => Refusal::new(
            RefusalCode::AggregateTooMany,
            format!("payload: expected at most {AGGREGATE_USER_RECORDS_MAX} user records in an aggregated record"),
        ),
    }
}

/// The message's three lists. Protobuf lets fields come in any order, so indexes are looked up once all is read.
#[derive(Default)]
struct Tables<'a> {
    partition_keys: Vec<&'a str>,
    hash_keys: Vec<&'a str>,
    records: Vec<Indexed<'a>>,
}

/// A user record whose keys are still indexes.
#[derive(Default)]
struct Indexed<'a> {
    partition_key: Option<u64>,
    hash_key: Option<u64>,
    data: Option<&'a [u8]>,
}

impl<'a> Tables<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Flaw> {
        let mut tables = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = reader.next_field()? {
            match number {
                field::PARTITION_KEY_TABLE => push(&mut tables.partition_keys, value.text()?)?,
                field::EXPLICIT_HASH_KEY_TABLE => push(&mut tables.hash_keys, value.text()?)?,
                field::RECORDS => push(&mut tables.records, Indexed::read(value)?)?,
                // A later version of the library may say more.
                _ => {}
            }
        }
        Ok(tables)
    }

    fn user_records(&self) -> Result<Vec<PackedRecord<'a>>, Flaw> {
        if self.records.is_empty() {
            return Err(Flaw::Malformed(
                "payload: expected an aggregated record to hold at least one user record",
            ));
        }
        self.records.iter().map(|record| self.user_record(record)).collect()
    }

    fn user_record(&self, record: &Indexed<'a>) -> Result<PackedRecord<'a>, Flaw> {
        const BEYOND: Flaw = Flaw::Malformed("payload: expected indexes within the tables of the aggregated record");
        let missing = Flaw::Malformed("payload: expected a partition key and data in each user record");
        let (Some(partition_key), Some(data)) = (record.partition_key, record.data) else {
            return Err(missing);
        };
        Ok(PackedRecord {
            partition_key: at(&self.partition_keys, partition_key).ok_or(BEYOND)?,
            explicit_hash_key: match record.hash_key {
                Some(hash_key) => Some(at(&self.hash_keys, hash_key).ok_or(BEYOND)?),
                None => None,
            },
            data,
        })
    }
}

impl<'a> Indexed<'a> {
    fn read(value: Value<'a>) -> Result<Self, Malformed> {
        let mut record = Self::default();
        let mut reader = Reader::new(value.bytes()?);
        while let Some((number, value)) = reader.next_field()? {
            // Of a field that comes twice the last one counts: protobuf's rule.
            match number {
                field::PARTITION_KEY_INDEX => record.partition_key = Some(value.number()?),
                field::EXPLICIT_HASH_KEY_INDEX => record.hash_key = Some(value.number()?),
                field::DATA => record.data = Some(value.bytes()?),
                _ => {}
            }
        }
        Ok(record)
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Flaw> {
    if list.len() == AGGREGATE_USER_RECORDS_MAX {
        return Err(Flaw::TooMany);
    }
    list.push(item);
    Ok(())
}

fn at<'a>(table: &[&'a str], index: u64) -> Option<&'a str> {
    table.get(usize::try_from(index).ok()?).copied()
}
