//! Records that an operator took out of the quarantine, as the table keeps them under `audit`: which, by whom, when and why.
//!
//! ```text
//! pk (S)   sk (S)                                          attributes
//! audit    quarantine-drop#<ms, 15 digits>#<id>#<chunk>    at (N), who (S), reason (S), count (N), records (S: JSON)
//! ```
//! An item is written before its messages are deleted, and never changed. After a crash in between the messages are still there
//! beside it, which changes no account: both say that the record ended in quarantine.

use serde::{Deserialize, Serialize};
use tidemark_aws::admin::{Admin, AdminError, Item, ItemValue};

/// The partition of operators' records.
pub const PARTITION: &str = "audit";
/// What the sort keys of drops begin with.
pub const PREFIX: &str = "quarantine-drop#";

/// Which record of a stream: no two have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// Its shard.
    pub shard_id: String,
    /// Its sequence number.
    pub sequence_number: String,
    /// Its place in an aggregated record.
    pub sub_sequence_number: Option<u32>,
    /// Its partition key, masked as a quarantine message has it; `None` where that does not say.
    pub partition_key: Option<String>,
    /// Of a part of an aggregate: the partition key of the record that it came in, likewise.
    #[serde(default)]
    pub record_partition_key: Option<String>,
}

/// A record that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Where it is in the stream.
    #[serde(flatten)]
    pub name: Name,
    /// Why it had been refused.
    pub code: String,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: Option<i64>,
}

/// What one item of the table says was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// Its key in the table.
    pub key: String,
    /// When it was dropped, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Who dropped it.
    pub who: String,
    /// Why it was dropped.
    pub why: String,
    /// Which records.
    pub records: Vec<Dropped>,
}

/// Everything that was ever dropped, in order.
///
/// # Errors
/// When the table can't be read.
pub async fn read(admin: &Admin, table: &str) -> Result<Vec<Drop>, AdminError> {
    let items = admin.partition_from(table, PARTITION, PREFIX).await?;
    Ok(items.iter().filter_map(drop_of).collect())
}

fn drop_of(item: &Item) -> Option<Drop> {
    let text = |name: &str| match item.get(name) {
        Some(ItemValue::Text(text) | ItemValue::Number(text)) => Some(text.clone()),
        _ => None,
    };
    Some(Drop {
        key: text("sk")?,
        at_ms: text("at")?.parse().ok()?,
        who: text("who")?,
        why: text("reason")?,
        records: serde_json::from_str(&text("records")?).ok()?,
    })
}
