//! Kinesis: create, reshard, put in batches.

use std::time::Duration;

use aws_sdk_kinesis::client::customize::CustomizableOperation;
use aws_sdk_kinesis::config::Builder as Overrides;
use aws_sdk_kinesis::operation::list_shards::ListShardsOutput;
use aws_sdk_kinesis::operation::put_records::builders::PutRecordsFluentBuilder;
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};

use super::error::{AdminError, admin_error};
use super::{Admin, STATUS_POLL_INTERVAL, STATUS_POLLS_MAX, call_timeout, pause};
use crate::limits::{PUT_BYTES_MAX, PUT_RECORDS_MAX};

/// Calls in a row for one batch of records that take nothing.
const PUT_ROUNDS_MAX: u32 = 10;
/// Wait before the second call of a batch; it doubles up to [`PUT_BACKOFF_MAX`].
const PUT_BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between calls of a batch.
const PUT_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Pages of ListShards that are read: 1,000 shards each.
const SHARD_PAGES_MAX: u32 = 100;

/// A PutRecords with the timeouts of a tool.
type PutCall = CustomizableOperation<PutRecordsOutput, PutRecordsError, PutRecordsFluentBuilder>;

/// A shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard or shards it came from by a split or a merge.
    pub parents: Vec<String>,
    /// Whether it takes no more records.
    pub closed: bool,
    /// The first hash key of its range, as a decimal number.
    pub hash_from: String,
    /// The last hash key of its range, as a decimal number.
    pub hash_to: String,
}

/// A stream as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its ARN.
    pub arn: String,
    /// Whether it takes and gives records now.
    pub active: bool,
    /// How long it keeps a record, in hours.
    pub retention_h: u32,
}

/// A record to put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRecord {
    /// Decides its shard and its order.
    pub partition_key: String,
    /// Its bytes, up to 1 MiB with the key.
    pub data: Vec<u8>,
}

impl Admin {
    /// Creates a stream and waits until it is active. A stream that exists already is left as it is.
    pub async fn create_stream(&self, stream: &str, shards: u32) -> Result<(), AdminError> {
        let count = i32::try_from(shards).unwrap_or(i32::MAX);
        let answer = self
            .clients
            .kinesis
            .create_stream()
            .stream_name(stream)
            .shard_count(count)
            .send()
            .await;
        match answer.map_err(|error| admin_error("CreateStream", &error)) {
            Ok(_) | Err(AdminError::InUse { .. }) => self.wait_for_stream(stream).await,
            Err(error) => Err(error),
        }
    }

    pub(super) async fn wait_for_stream(&self, stream: &str) -> Result<(), AdminError> {
        for _ in 0..STATUS_POLLS_MAX {
            if self.stream_info(stream).await?.active {
                return Ok(());
            }
            pause(STATUS_POLL_INTERVAL).await;
        }
        Err(AdminError::NotReady {
            operation: format!("CreateStream {stream}"),
            waited_ms: u64::from(STATUS_POLLS_MAX) * 200,
        })
    }

    /// What a stream is: its ARN, whether it is active, and its retention.
    pub async fn stream_info(&self, stream: &str) -> Result<StreamInfo, AdminError> {
        self.patiently(|| self.stream_info_once(stream)).await
    }

    async fn stream_info_once(&self, stream: &str) -> Result<StreamInfo, AdminError> {
        let answer = self
            .clients
            .kinesis
            .describe_stream_summary()
            .stream_name(stream)
            .send()
            .await;
        let answer = answer.map_err(|error| admin_error("DescribeStreamSummary", &error))?;
        let summary = answer.stream_description_summary();
        Ok(summary.map_or_else(Default::default, |s| StreamInfo {
            arn: s.stream_arn().to_owned(),
            active: *s.stream_status() == StreamStatus::Active,
            retention_h: u32::try_from(s.retention_period_hours()).unwrap_or_default(),
        }))
    }

    /// The ARN of a stream.
    pub async fn stream_arn(&self, stream: &str) -> Result<String, AdminError> {
        Ok(self.stream_info(stream).await?.arn)
    }

    /// All shards of a stream, open and closed.
    pub async fn list_shards(&self, stream: &str) -> Result<Vec<Shard>, AdminError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..SHARD_PAGES_MAX {
            let answer = self.patiently(|| self.shard_page(stream, token.as_deref())).await?;
            shards.extend(answer.shards().iter().map(shard_from));
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(shards)
    }

    async fn shard_page(&self, stream: &str, token: Option<&str>) -> Result<ListShardsOutput, AdminError> {
        let call = self.clients.kinesis.list_shards();
        let call = match token {
            Some(token) => call.next_token(token),
            None => call.stream_name(stream),
        };
        call.send().await.map_err(|error| admin_error("ListShards", &error))
    }

    /// Splits a shard at a hash key (a decimal number inside its range).
    pub async fn split_shard(&self, stream: &str, shard_id: &str, hash_key: &str) -> Result<(), AdminError> {
        let call = self
            .clients
            .kinesis
            .split_shard()
            .stream_name(stream)
            .shard_to_split(shard_id);
        call.new_starting_hash_key(hash_key)
            .send()
            .await
            .map_err(|error| admin_error("SplitShard", &error))?;
        self.wait_for_stream(stream).await
    }

    /// Merges two shards whose ranges touch.
    pub async fn merge_shards(&self, stream: &str, shard_id: &str, adjacent_id: &str) -> Result<(), AdminError> {
        let call = self
            .clients
            .kinesis
            .merge_shards()
            .stream_name(stream)
            .shard_to_merge(shard_id);
        call.adjacent_shard_to_merge(adjacent_id)
            .send()
            .await
            .map_err(|error| admin_error("MergeShards", &error))?;
        self.wait_for_stream(stream).await
    }

    /// Puts records in calls of at most 500 and 5 MiB; what a call did not take is sent again, in order, with growing waits.
    /// Records of one key stay in order unless Kinesis refuses one of them and takes a later one.
    /// The answer holds the sequence number of each record, in the order given.
    pub async fn put_records(&self, stream: &str, records: &[PutRecord]) -> Result<Vec<String>, AdminError> {
        let mut numbers = Vec::with_capacity(records.len());
        let mut rest = records;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch_len(rest));
            numbers.extend(self.put_batch(stream, batch).await?);
            rest = later;
        }
        Ok(numbers)
    }

    async fn put_batch(&self, stream: &str, batch: &[PutRecord]) -> Result<Vec<String>, AdminError> {
        let mut numbers = vec![String::new(); batch.len()];
        let mut pending: Vec<usize> = (0..batch.len()).collect();
        let mut wait = PUT_BACKOFF_FIRST;
        let mut cause = String::new();
        let mut fruitless = 0;
        while fruitless < PUT_ROUNDS_MAX {
            let before = pending.len();
            match self.put_once(stream, batch, &pending).await {
                Ok(answer) => pending = keep_taken(&answer, &pending, &mut numbers, &mut cause),
                Err(error) if error.is_transient() => cause = error.to_string(),
                Err(error) => return Err(error),
            }
            // A call that took some is progress, and the next one is not long in coming.
            match pending.len() {
                0 => return Ok(numbers),
                left if left < before => (fruitless, wait) = (0, PUT_BACKOFF_FIRST),
                _ => fruitless += 1,
            }
            pause(wait).await;
            wait = (wait * 2).min(PUT_BACKOFF_MAX);
        }
        Err(AdminError::Partial {
            not_taken: pending.len(),
            sent: batch.len(),
            cause,
        })
    }

    async fn put_once(
        &self,
        stream: &str,
        batch: &[PutRecord],
        which: &[usize],
    ) -> Result<PutRecordsOutput, AdminError> {
        let records = which.iter().filter_map(|&index| batch.get(index));
        let call = self.put_request(stream, records)?;
        call.send().await.map_err(|error| admin_error("PutRecords", &error))
    }

    /// One PutRecords of these records.
    pub(super) fn put_request<'r>(
        &self,
        stream: &str,
        records: impl Iterator<Item = &'r PutRecord>,
    ) -> Result<PutCall, AdminError> {
        let mut entries = Vec::new();
        for record in records {
            let entry = PutRecordsRequestEntry::builder()
                .partition_key(&record.partition_key)
                .data(Blob::new(record.data.as_slice()))
                .build();
            entries.push(entry.map_err(|error| {
                AdminError::Call(tidemark_engine::port::PortError::Permanent(format!(
                    "PutRecords: {error}"
                )))
            })?);
        }
        let call = self
            .clients
            .kinesis
            .put_records()
            .stream_name(stream)
            .set_records(Some(entries))
            .customize();
        Ok(call.config_override(Overrides::new().timeout_config(call_timeout())))
    }
}

/// Notes the numbers of the records that were taken, and says which were not.
fn keep_taken(answer: &PutRecordsOutput, pending: &[usize], numbers: &mut [String], cause: &mut String) -> Vec<usize> {
    let mut not_taken = Vec::new();
    for (position, &index) in pending.iter().enumerate() {
        let result = answer.records().get(position);
        match (result.and_then(|r| r.sequence_number()), numbers.get_mut(index)) {
            (Some(number), Some(slot)) => number.clone_into(slot),
            _ => {
                cause.clear();
                cause.push_str(
                    result
                        .and_then(|r| r.error_code())
                        .unwrap_or("no answer for the record"),
                );
                not_taken.push(index);
            }
        }
    }
    not_taken
}

/// How many records from the start fit in one call; at least one.
fn batch_len(records: &[PutRecord]) -> usize {
    let mut bytes = 0usize;
    for (index, record) in records.iter().enumerate() {
        bytes += record.data.len() + record.partition_key.len();
        if index >= PUT_RECORDS_MAX || bytes > PUT_BYTES_MAX {
            return index.max(1);
        }
    }
    records.len()
}

fn shard_from(shard: &aws_sdk_kinesis::types::Shard) -> Shard {
    let range = shard.hash_key_range();
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    Shard {
        id: shard.shard_id().to_owned(),
        parents: parents.into_iter().flatten().map(str::to_owned).collect(),
        closed: shard
            .sequence_number_range()
            .is_some_and(|r| r.ending_sequence_number().is_some()),
        hash_from: range.map(|r| r.starting_hash_key().to_owned()).unwrap_or_default(),
        hash_to: range.map(|r| r.ending_hash_key().to_owned()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize) -> PutRecord {
        PutRecord {
            partition_key: "k".to_owned(),
            data: vec![0; bytes],
        }
    }

    #[test]
    fn a_call_has_at_most_500_records_and_5_mib() {
        assert_eq!(batch_len(&vec![record(1); 501]), 500);
        assert_eq!(batch_len(&vec![record(1024 * 1024 - 1); 6]), 5, "the key counts too");
        assert_eq!(batch_len(&vec![record(1024 * 1024); 6]), 4);
        assert_eq!(
            batch_len(&[record(6 * 1024 * 1024)]),
            1,
            "too large for Kinesis: it shall say so, not we loop"
        );
    }

    #[test]
    fn only_what_was_not_taken_is_sent_again() {
        use aws_sdk_kinesis::types::PutRecordsResultEntry;
        let taken = |n: &str| PutRecordsResultEntry::builder().sequence_number(n).build();
        let refused = PutRecordsResultEntry::builder()
            .error_code("ProvisionedThroughputExceededException")
            .build();
        let answer = PutRecordsOutput::builder()
            .records(taken("11"))
            .records(refused)
            .records(taken("13"))
            .build()
            .unwrap();
        let mut numbers = vec![String::new(); 5];
        let mut cause = String::new();
        assert_eq!(keep_taken(&answer, &[0, 2, 4], &mut numbers, &mut cause), vec![2]);
        assert_eq!(numbers, ["11", "", "", "", "13"]);
        assert_eq!(cause, "ProvisionedThroughputExceededException");
    }
}
