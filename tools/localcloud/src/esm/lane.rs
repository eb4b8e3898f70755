//! A lane: the records of some partition keys of one shard, one batch at a time, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::options::EsmOptions;

/// A record as the mapping sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EsmRecord {
    /// Its sequence number.
    pub sequence_number: String,
    /// Its partition key: records of one key stay in order.
    pub partition_key: String,
    /// When Kinesis took it: milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Its part of the payload. Only its length matters here.
    pub body: Vec<u8>,
}

/// The last invocation of a batch.
#[derive(Clone, Debug)]
pub(super) struct LastInvocation {
    pub request_id: String,
    /// An error was thrown, as opposed to a partial failure.
    pub error: bool,
}

/// Records that are invoked together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub records: Vec<Arc<EsmRecord>>,
    /// Failures that counted against the retries.
    pub retries_used: u32,
    /// Invocations since the batch was formed or bisected.
    pub invocations: u32,
    /// It is not to be invoked before: milliseconds since 1970-01-01T00:00:00Z.
    pub not_before_ms: i64,
    pub last: Option<LastInvocation>,
}

/// Why a batch is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

/// What a lane is busy with.
#[derive(Debug, Default)]
pub(super) enum Busy {
    #[default]
    Free,
    /// This batch is with the function.
    Invoking(Batch),
    /// This batch is given up; its message is on the way.
    Discarding(Batch),
}

/// What a lane wants done next.
#[derive(Debug)]
pub(super) enum Next {
    Invoke(Batch),
    Discard(Batch, Condition),
    /// Nothing before this time.
    Wait(i64),
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Records that belong to no batch yet, with the time at which each was read.
    buffer: VecDeque<(i64, Arc<EsmRecord>)>,
    /// Batches to be tried again, in order. They go before the buffer.
    pub retry: VecDeque<Batch>,
    pub busy: Busy,
}

impl Lane {
    pub(super) fn push(&mut self, record: Arc<EsmRecord>, now_ms: i64) {
        self.buffer.push_back((now_ms, record));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.retry.is_empty() && matches!(self.busy, Busy::Free)
    }

    /// What to do now. Takes the batch out of the lane.
    pub(super) fn next(&mut self, options: &EsmOptions, now_ms: i64) -> Next {
        if !matches!(self.busy, Busy::Free) {
            return Next::Nothing;
        }
        let batch = if let Some(first) = self.retry.front() {
            let due_ms = first.not_before_ms.min(first_expiry_ms(first, options));
            if due_ms > now_ms {
                return Next::Wait(due_ms);
            }
            self.retry.pop_front().unwrap_or_default()
        } else {
            match self.form(options, now_ms) {
                Ok(batch) => batch,
                Err(next) => return next,
            }
        };
        self.after_age(batch, options, now_ms)
    }

    /// Splits off the records that are too old; they are given up before the rest is invoked.
    fn after_age(&mut self, mut batch: Batch, options: &EsmOptions, now_ms: i64) -> Next {
        let Some(age_s_max) = options.record_age_s_max else {
            return Next::Invoke(batch);
        };
        let oldest_ms = now_ms - i64::from(age_s_max) * 1_000;
        let young = batch.records.iter().position(|record| record.arrival_ms >= oldest_ms);
        match young {
            Some(0) => Next::Invoke(batch),
            Some(index) => {
                let rest = Batch {
                    records: batch.records.split_off(index),
                    ..batch.clone()
                };
                self.retry.push_front(rest);
                Next::Discard(batch, Condition::RecordAgeExceeded)
            }
            None => Next::Discard(batch, Condition::RecordAgeExceeded),
        }
    }

    /// Forms a batch from the buffer when it is full or its window is over.
    fn form(&mut self, options: &EsmOptions, now_ms: i64) -> Result<Batch, Next> {
        let Some(&(first_read_ms, _)) = self.buffer.front() else {
            return Err(Next::Nothing);
        };
        let (mut count, mut bytes) = (0, 0);
        let mut full = false;
        for (_, record) in &self.buffer {
            // A comma goes between records.
            bytes += record.body.len() + usize::from(count > 0);
            full = count >= options.batch_size as usize || (bytes > options.payload_bytes_max && count > 0);
            if full {
                break;
            }
            count += 1;
        }
        let ready_ms = first_read_ms.saturating_add_unsigned(options.batching_window_ms);
        if !full && count < options.batch_size as usize && ready_ms > now_ms {
            return Err(Next::Wait(ready_ms));
        }
        let records = self.buffer.drain(..count).map(|(_, record)| record).collect();
        Ok(Batch {
            records,
            ..Batch::default()
        })
    }
}

/// When the first record of a batch that waits for its retry becomes too old.
fn first_expiry_ms(batch: &Batch, options: &EsmOptions) -> i64 {
    match (batch.records.first(), options.record_age_s_max) {
        (Some(record), Some(age_s)) => record.arrival_ms + i64::from(age_s) * 1_000 + 1,
        _ => i64::MAX,
    }
}
