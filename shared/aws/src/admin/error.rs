//! What can go wrong for a tool, by what may be done about it.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tidemark_engine::port::PortError;

/// A failed call of a tool.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// No such stream, shard, table or queue.
    #[error("{operation}: not found")]
    NotFound {
        /// The call.
        operation: String,
    },
    /// It is there already, or it is just being created or deleted.
    #[error("{operation}: exists already or is in use")]
    InUse {
        /// The call.
        operation: String,
    },
    /// The shard iterator is older than five minutes: take a new one after the last record seen.
    #[error("{operation}: the shard iterator has expired")]
    IteratorExpired {
        /// The call.
        operation: String,
    },
    /// Reading was to go on after a record that has left the stream: what followed it may be gone, too.
    #[error(
        "stream {stream}, shard {shard_id}: record {number} was read before and has left the stream, so that records after it may \
         be gone unread; the reading was slower than the stream's retention"
    )]
    Overtaken {
        /// The stream.
        stream: String,
        /// The shard.
        shard_id: String,
        /// The record's sequence number.
        number: String,
    },
    /// What was waited for did not come within the time.
    #[error("{operation}: not done within {waited_ms} ms")]
    NotReady {
        /// The call.
        operation: String,
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// Records that were not taken after every retry.
    #[error("{not_taken} of {sent} records were not taken: {cause}")]
    Partial {
        /// How many were not taken.
        not_taken: usize,
        /// How many were sent.
        sent: usize,
        /// The code of the last refusal.
        cause: String,
    },
    /// A function that was invoked failed.
    #[error("function {function} failed: {error_type}: {message}")]
    FunctionFailed {
        /// Its name.
        function: String,
        /// The type it gave its error.
        error_type: String,
        /// What it said.
        message: String,
    },
    /// A service refused, with its own code and words.
    #[error("{operation}: {code}: {message}")]
    Refused {
        /// The call.
        operation: String,
        /// The service's code.
        code: String,
        /// What it said.
        message: String,
    },
    /// Any other failure; whether it passes is told by [`PortError::is_transient`].
    #[error(transparent)]
    Call(#[from] PortError),
}

impl AdminError {
    /// Whether trying the same call again may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotReady { .. } | Self::Partial { .. } => true,
            Self::Call(error) => error.is_transient(),
            Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::IteratorExpired { .. }
            | Self::Overtaken { .. }
            | Self::FunctionFailed { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the credentials were good once and are no longer.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if is_expired(code))
    }
}

/// Whether a code says that the credentials are no longer good.
pub(super) fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException" | "RequestExpired")
}

/// What a failed call means to a tool. `operation` names it in the error.
pub(super) fn admin_error<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> AdminError {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .unwrap_or_default();
    let operation_owned = || operation.to_owned();
    match code {
        "ResourceNotFoundException" | "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
            AdminError::NotFound {
                operation: operation_owned(),
            }
        }
        "ResourceInUseException" | "QueueNameExists" => AdminError::InUse {
            operation: operation_owned(),
        },
        "ExpiredIteratorException" => AdminError::IteratorExpired {
            operation: operation_owned(),
        },
        _ => AdminError::Call(crate::error::classify(operation, error)),
    }
}
