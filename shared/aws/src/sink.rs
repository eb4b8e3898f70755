//! [`ScoreSink`] on a Kinesis stream.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use futures_util::{StreamExt, stream};
use tidemark_engine::port::{OutcomeRecord, PortError, ScoreSink};

use crate::chunk::chunks;
use crate::error::classify;
use crate::limits;

/// The scores stream.
#[derive(Clone, Debug)]
pub struct KinesisSink {
    client: Client,
    stream: String,
}

impl KinesisSink {
    /// A sink on `stream`, by name.
    #[must_use]
    pub fn new(client: Client, stream: impl Into<String>) -> Self {
        Self {
            client,
            stream: stream.into(),
        }
    }

    /// One PutRecords; the positions (within `outcomes`) that Kinesis did not take.
    async fn put(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        let mut records = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let record = PutRecordsRequestEntry::builder()
                .data(Blob::new(outcome.bytes.clone()))
                .partition_key(outcome.card_id.as_str())
                .build()
                .map_err(|_| PortError::Permanent("PutRecords: an outcome without data or key".to_owned()))?;
            records.push(record);
        }
        let answer = self
            .client
            .put_records()
            .stream_name(&self.stream)
            .set_records(Some(records))
            .send()
            .await;
        let answer = answer.map_err(|error| classify("PutRecords", &error))?;
        // The answer has one entry a record, in order. A missing entry is a record of unknown fate: sent again.
        let taken = answer.records();
        Ok((0..outcomes.len())
            .filter(|at| {
                taken
                    .get(*at)
                    .is_none_or(|entry| entry.error_code().is_some() || entry.sequence_number().is_none())
            })
            .collect())
    }
}

impl ScoreSink for KinesisSink {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        let size = |outcome: &OutcomeRecord| outcome.bytes.len() + outcome.card_id.as_str().len();
        let ranges = chunks(outcomes, limits::PUT_RECORDS_MAX, limits::PUT_BYTES_MAX, size);
        let calls = ranges
            .iter()
            .map(|range| async { (range.clone(), self.put(&outcomes[range.clone()]).await) });
        let answers: Vec<_> = stream::iter(calls.collect::<Vec<_>>())
            .buffered(limits::PUTS_IN_FLIGHT_MAX)
            .collect()
            .await;
        crate::chunk::merge(answers)
    }
}
