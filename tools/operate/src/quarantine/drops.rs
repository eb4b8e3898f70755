//! Writes down what is dropped, before it is: see `account/dropped.rs` for where and how.

use terminal::error::CliError;
use tidemark_aws::admin::{Admin, Item, ItemValue};
use xxhash_rust::xxh3::xxh3_64;

use super::record::RefusedRecord;
use crate::account::dropped::{Dropped, PARTITION, PREFIX};

/// Records of one item.
const RECORDS_MAX: usize = 500;
/// Bytes of the records of one item: DynamoDB takes 400 KB.
const RECORDS_BYTES_MAX: usize = 200 * 1024;
/// Bytes of the reason and the name that are kept.
const TEXT_BYTES_MAX: usize = 1_024;

/// The items that say what is dropped, each with the records that it names.
#[must_use]
pub(super) fn plan<'a>(
    records: &'a [RefusedRecord],
    who: &str,
    why: &str,
    at_ms: i64,
) -> Vec<(Item, &'a [RefusedRecord])> {
    let id = xxh3_64(format!("{who} {why} {}", std::process::id()).as_bytes());
    let mut items = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(chunk_len(rest));
        let text: Vec<_> = chunk.iter().map(dropped).collect();
        let key = format!("{PREFIX}{:015}#{id:016x}#{:05}", at_ms.max(0), items.len());
        let texts = [
            ("pk", PARTITION.to_owned()),
            ("sk", key),
            ("who", cut(who)),
            ("reason", cut(why)),
            ("records", serde_json::json!(text).to_string()),
        ];
        let mut item: Item = texts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), ItemValue::Text(value)))
            .collect();
        item.insert("at".to_owned(), ItemValue::Number(at_ms.to_string()));
        item.insert("count".to_owned(), ItemValue::Number(chunk.len().to_string()));
        items.push((item, chunk));
        rest = later;
    }
    items
}

fn dropped(record: &RefusedRecord) -> Dropped {
    Dropped {
        name: record.name.clone(),
        code: record.code.clone(),
        arrival_ms: record.arrival_ms,
    }
}

fn chunk_len(records: &[RefusedRecord]) -> usize {
    let mut bytes = 0;
    for (at, record) in records.iter().enumerate() {
        bytes += serde_json::json!(dropped(record)).to_string().len();
        if at >= RECORDS_MAX || bytes > RECORDS_BYTES_MAX {
            return at.max(1);
        }
    }
    records.len()
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Says in the table that these records are dropped now.
pub(super) async fn write(admin: &Admin, table: &str, item: &Item) -> Result<(), CliError> {
    let taken = match admin.put_new_item(table, item).await {
        Ok(true) => return Ok(()),
        Ok(false) => "there is one under its key already".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(CliError::service(
        "audit_record",
        format!("what is dropped could not be written to {table}: {taken}"),
        "Check --table, AWS_ENDPOINT_URL_DYNAMODB and the right to write. What was not written is still in quarantine: run it again.",
    ))
}
