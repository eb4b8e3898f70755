//! [`ShardReader`] on a Kinesis stream, for the redrive.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Builder as Overrides;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use tidemark_engine::port::PortError;
use tidemark_redrive::limits::GET_RECORDS_MAX;
use tidemark_redrive::port::{Page, ReadError, ReadFrom, ShardReader, StreamRecord};
use tidemark_redrive::shards::ShardInfo;

use crate::arrival::arrival_ms;
use crate::error::classify;
use crate::limits::{GET_RECORDS_TIMEOUT, LIST_SHARDS_PAGES_MAX};

/// A stream that is read by shard.
#[derive(Clone, Debug)]
pub struct KinesisReader {
    client: Client,
    stream: String,
}

impl KinesisReader {
    /// A reader of the stream called `stream`.
    #[must_use]
    pub fn new(client: Client, stream: impl Into<String>) -> Self {
        Self {
            client,
            stream: stream.into(),
        }
    }
}

impl ShardReader for KinesisReader {
    async fn shards(&self) -> Result<Vec<ShardInfo>, PortError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..LIST_SHARDS_PAGES_MAX {
            let call = self.client.list_shards();
            // Kinesis takes either the name or the token, never both.
            let call = match token.take() {
                Some(token) => call.next_token(token),
                None => call.stream_name(&self.stream),
            };
            let answer = call.send().await.map_err(|error| classify("ListShards", &error))?;
            shards.extend(answer.shards().iter().map(|shard| {
                ShardInfo {
                    id: shard.shard_id().to_owned(),
                    parents: [shard.parent_shard_id(), shard.adjacent_parent_shard_id()]
                        .into_iter()
                        .flatten()
                        .map(str::to_owned)
                        .collect(),
                }
            }));
            token = answer.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
        // A shard that was not listed would count as gone, and its records as lost.
        Err(PortError::Permanent(
            "ListShards: more shards than are listed".to_owned(),
        ))
    }

    async fn iterator(&self, shard_id: &str, from: &ReadFrom) -> Result<String, ReadError> {
        let call = self.client.get_shard_iterator();
        let call = call.stream_name(&self.stream).shard_id(shard_id);
        let call = match from {
            ReadFrom::Oldest => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            ReadFrom::At(number) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number),
            ReadFrom::After(number) => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number),
            ReadFrom::Time(time_ms) => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*time_ms)),
        };
        let answer = call.send().await.map_err(|error| {
            let is_place = matches!(from, ReadFrom::At(_) | ReadFrom::After(_));
            read_error("GetShardIterator", &error, is_place)
        })?;
        match answer.shard_iterator {
            Some(iterator) if !iterator.is_empty() => Ok(iterator),
            _ => Err(PortError::Unavailable("GetShardIterator: no iterator in the answer".to_owned()).into()),
        }
    }

    async fn records(&self, iterator: &str, records_max: u32) -> Result<Page, ReadError> {
        let limit = i32::try_from(records_max.clamp(1, GET_RECORDS_MAX)).unwrap_or(1);
        let call = self.client.get_records().shard_iterator(iterator).limit(limit);
        let call = call
            .customize()
            .config_override(Overrides::new().timeout_config(page_timeout()));
        let answer = call
            .send()
            .await
            .map_err(|error| read_error("GetRecords", &error, false))?;
        Ok(Page {
            records: answer.records.into_iter().map(record_of).collect(),
            next: answer.next_shard_iterator.filter(|next| !next.is_empty()),
            behind_ms: answer.millis_behind_latest.unwrap_or_default(),
        })
    }
}

/// A record of a page.
pub(crate) fn record_of(record: Record) -> StreamRecord {
    StreamRecord {
        sequence_number: record.sequence_number,
        partition_key: record.partition_key.unwrap_or_default(),
        arrival_ms: record
            .approximate_arrival_timestamp
            .and_then(|time| arrival_ms(&time))
            .unwrap_or_default(),
        data: record.data.into_inner(),
    }
}

/// A page has up to 10 MB.
fn page_timeout() -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(GET_RECORDS_TIMEOUT)
        .operation_attempt_timeout(GET_RECORDS_TIMEOUT)
        .operation_timeout(GET_RECORDS_TIMEOUT)
        .build()
}

/// What a failed read means. `is_place`: the call named a sequence number, which an invalid argument speaks of.
fn read_error<E: ProvideErrorMetadata>(
    operation: &str,
    error: &SdkError<E, HttpResponse>,
    is_place: bool,
) -> ReadError {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some("ExpiredIteratorException") => ReadError::Expired,
        Some("InvalidArgumentException") if is_place => ReadError::Position,
        Some("ResourceNotFoundException") => ReadError::NoShard,
        _ => classify(operation, error).into(),
    }
}
