//! Where a run goes on in its next call. It goes through the caller's hands as JSON, so nothing in it is trusted: at worst a
//! record is redriven twice, which changes nothing, or a call refuses it.

use serde::{Deserialize, Serialize};

use crate::source::Source;

/// The version of the cursor's shape.
pub const CURSOR_VERSION: u32 = 1;

/// Where a run goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// [`CURSOR_VERSION`].
    pub version: u32,
    /// The source of the request it belongs to.
    pub source: Source,
    /// When the run began: milliseconds since 1970-01-01T00:00:00Z. Messages sent later are another run's.
    pub started_ms: i64,
    /// Fingerprints (hexadecimal) of messages that were looked at and stay in their queue.
    #[serde(default)]
    pub seen: Vec<String>,
    /// Messages of which a part is done.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Shards of a range that are not done, in their order; the first may be begun.
    #[serde(default)]
    pub shards: Vec<ShardLeft>,
}

/// How far a message's range is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The queue's id of the message.
    pub message_id: String,
    /// Every record up to this one has its end; `None`: not even the first.
    pub after: Option<String>,
    /// Later records that have theirs too.
    pub done: Vec<String>,
    /// How many have their end.
    pub ended: u64,
    /// Whether the start of the range was found trimmed.
    pub trimmed: bool,
}

/// How far a shard of a range is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardLeft {
    /// The shard.
    pub shard_id: String,
    /// Every record up to this one has its end.
    pub after: Option<String>,
    /// Later records that have theirs too.
    pub done: Vec<String>,
}
