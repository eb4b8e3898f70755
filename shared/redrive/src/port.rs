//! The ports of a redrive: the stream, the queues, the bucket of letters, the engine. `shared/aws` has the first three on Kinesis,
//! SQS and S3; tests have them in memory.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use tidemark_engine::port::{Clock, PortError, Quarantine, ScoreSink, StateStore};
use tidemark_engine::{BatchReport, Engine, InRecord};

use crate::shards::ShardInfo;

/// Where reading of a shard begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record that is kept.
    Oldest,
    /// This record.
    At(String),
    /// The record after this one.
    After(String),
    /// The first record that arrived at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    Time(i64),
}

/// A record as it was read from a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its sequence number.
    pub sequence_number: String,
    /// Its partition key.
    pub partition_key: String,
    /// When Kinesis took it: milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl StreamRecord {
    /// The record as the engine takes it, of that stream (its ARN) and shard.
    #[must_use]
    pub fn of_shard<'a>(&'a self, stream: &'a str, shard_id: &'a str) -> InRecord<'a> {
        InRecord {
            stream,
            shard_id,
            sequence_number: &self.sequence_number,
            of_aggregate: None,
            partition_key: &self.partition_key,
            arrival_ms: self.arrival_ms,
            data: &self.data,
        }
    }
}

/// A page of records. An empty one is not the end.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records, in order.
    pub records: Vec<StreamRecord>,
    /// Where to go on; `None` after the last record of a closed shard.
    pub next: Option<String>,
    /// How far the page's end is behind the newest record, milliseconds.
    pub behind_ms: i64,
}

/// Why a read failed, by what may be done about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The iterator is older than five minutes: a new one, after the last record seen.
    #[error("the iterator has expired")]
    Expired,
    /// The sequence number is past retention, or was never one of this shard.
    #[error("the position is not one of the shard")]
    Position,
    /// There is no such shard.
    #[error("no such shard")]
    NoShard,
    /// Any other failure.
    #[error(transparent)]
    Call(#[from] PortError),
}

/// A stream that is read by shard.
pub trait ShardReader: Send + Sync {
    /// All shards, open and closed.
    fn shards(&self) -> impl Future<Output = Result<Vec<ShardInfo>, PortError>> + Send;

    /// An iterator on a shard.
    fn iterator(&self, shard_id: &str, from: &ReadFrom) -> impl Future<Output = Result<String, ReadError>> + Send;

    /// Up to `records_max` records from an iterator on.
    fn records(&self, iterator: &str, records_max: u32) -> impl Future<Output = Result<Page, ReadError>> + Send;
}

/// A message that was received. It comes again when it is not deleted before it is visible again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// What a deletion must name.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// When it was sent: milliseconds since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
}

/// A queue.
pub trait Inbox: Send + Sync {
    /// Up to `messages_max` (at most ten) messages, hidden from others for `hidden_s` seconds; waits up to `wait_s` seconds for
    /// the first.
    fn receive(
        &self,
        messages_max: usize,
        wait_s: u32,
        hidden_s: u32,
    ) -> impl Future<Output = Result<Vec<Received>, PortError>> + Send;

    /// Deletes received messages; the answer names (by index) those that were not. A receipt that is no longer good counts
    /// as deleted: its message is somebody else's now.
    fn delete(&self, receipts: &[String]) -> impl Future<Output = Result<Vec<usize>, PortError>> + Send;

    /// Makes received messages visible at once. A receipt that is no longer good is left alone.
    fn release(&self, receipts: &[String]) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Sends one message.
    fn send(&self, body: &str) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// An object of a bucket, as a list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub key: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was written: milliseconds since 1970-01-01T00:00:00Z.
    pub written_ms: i64,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects, by their names' order in bytes.
    pub objects: Vec<ObjectInfo>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// What a call of a bucket will answer.
pub type BucketAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// A bucket of dead letters with their payloads. A deployment may be without one, and each of its calls is a long one: so it stands
/// behind a pointer, and no other type changes with it.
pub trait LetterBucket: Debug + Send + Sync {
    /// A page of the letters, from behind `after` on. Names that do not begin as Lambda's do are not listed.
    fn list<'a>(&'a self, after: Option<&'a str>) -> BucketAnswer<'a, ObjectPage>;

    /// What an object holds; `None`: it is not there.
    fn get<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, Option<Vec<u8>>>;

    /// Deletes an object. One that is not there counts as deleted.
    fn delete<'a>(&'a self, key: &'a str) -> BucketAnswer<'a, ()>;
}

/// What takes records to their end.
pub trait Processor: Send + Sync {
    /// Takes a batch to its end, or as far as `deadline_ms` (milliseconds since 1970-01-01T00:00:00Z) allows.
    fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> impl Future<Output = BatchReport> + Send;
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Processor for Engine<S, K, Q, C> {
    async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        Self::process(self, batch, deadline_ms).await
    }
}
