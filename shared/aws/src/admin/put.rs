//! Kinesis: one PutRecords, tried once, with what became of each record.
//!
//! Whoever must keep the order of a key's records decides by this answer what to send next;
//! [`Admin::put_records`] decides by itself, and keeps no such order.

use aws_sdk_kinesis::types::PutRecordsResultEntry;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::error::admin_error;
use super::stream::PutRecord;
use super::{Admin, AdminError};

/// Codes by which Kinesis refuses a whole call for what one of its records is (or for its stream's name).
const CONTENT_CODES: [&str; 2] = ["ValidationException", "InvalidArgumentException"];

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in the stream.
    Taken,
    /// It is not, and may be sent again: the service's code.
    NotTaken(String),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutAnswer {
    /// Of each record, in the order given.
    Each(Vec<Put>),
    /// Nothing of it was taken, because at least one record can't be: the service's code.
    Refused(String),
}

impl Admin {
    /// Puts at most 500 records and 5 MiB in one call, which is tried once. A record that the answer is too short for was not taken.
    ///
    /// # Errors
    /// When the call as a whole fails, but for what its records hold. After a failure that passes
    /// ([`AdminError::is_transient`]) nobody knows whether the records were taken.
    pub async fn put_call<'r>(
        &self,
        stream: &str,
        records: impl Iterator<Item = &'r PutRecord>,
    ) -> Result<PutAnswer, AdminError> {
        let error = match self.put_request(stream, records)?.send().await {
            Ok(answer) => return Ok(PutAnswer::Each(answer.records().iter().map(put_of).collect())),
            Err(error) => error,
        };
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        match code {
            Some(code) if CONTENT_CODES.contains(&code) => Ok(PutAnswer::Refused(code.to_owned())),
            _ => Err(admin_error("PutRecords", &error)),
        }
    }
}

fn put_of(result: &PutRecordsResultEntry) -> Put {
    match (result.sequence_number(), result.error_code()) {
        (Some(_), _) => Put::Taken,
        (None, code) => Put::NotTaken(code.unwrap_or("no sequence number").to_owned()),
    }
}
