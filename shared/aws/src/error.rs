//! From the SDK's errors to the ports': by type, status and the protocol's error code, never by text.

use std::sync::Mutex;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tidemark_engine::port::PortError;
use tidemark_telemetry::ErrorCode;

/// Codes by which a service asks to slow down.
const THROTTLING_CODES: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "LimitExceededException",
    "KMSThrottlingException",
    "AWS.SimpleQueueService.RequestThrottled",
    "OverLimit",
    "SlowDown",
];

/// Codes of failures that pass: a conflict inside the service, credentials that are being renewed, a clock that is being set.
const PASSING_CODES: &[&str] = &[
    "TransactionConflictException",
    "TransactionConflict",
    "ReplicatedWriteConflictException",
    "TransactionInProgressException",
    "InternalServerError",
    "InternalFailure",
    "InternalFailureException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
];

/// Codes of a call that took too long inside the service.
const TIMEOUT_CODES: &[&str] = &["RequestTimeout", "RequestTimeoutException"];

/// Codes whose message is shown: it names roles, actions and resources, which is what it takes to put them right. No
/// other message is (a validation message may quote an item's values, I9).
const SHOWN_CODES: &[&str] = &[
    "AccessDeniedException",
    "AccessDenied",
    "ResourceNotFoundException",
    "ResourceNotFound",
    "AWS.SimpleQueueService.NonExistentQueue",
];

/// What a failed call means to the engine. `operation` names it in the error. The failure is logged here, because the engine
/// counts failures and keeps no text.
pub(crate) fn classify<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> PortError {
    told(sort(operation, error))
}

/// As [`classify`], of a statement that failed in a call that did not: a batch of statements answers with HTTP 200.
pub(crate) fn classify_statement(operation: &str, code: Option<&str>, message: Option<&str>) -> PortError {
    told(from_code(operation, code, message, 200))
}

fn told(failure: PortError) -> PortError {
    if let Some(times) = REPEATS.count(&failure.to_string()) {
        if failure.is_transient() {
            tracing::warn!(times, "{failure}");
        } else {
            tracing::error!(code = ErrorCode::ServiceRefused.as_str(), times, "{failure}");
        }
    }
    failure
}

/// The last failure of this process and how often it came in a row.
static REPEATS: Repeats = Repeats(Mutex::new((String::new(), 0)));

/// Keeps a failure that repeats, thousands of times in one batch perhaps, from filling the log.
struct Repeats(Mutex<(String, u64)>);

impl Repeats {
    /// How often `text` has come in a row, where that is worth a line: the first time, then at each power of two.
    fn count(&self, text: &str) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.0 != text {
            *last = (text.to_owned(), 0);
        }
        last.1 += 1;
        last.1.is_power_of_two().then_some(last.1)
    }
}

fn sort<E: ProvideErrorMetadata>(operation: &str, error: &SdkError<E, HttpResponse>) -> PortError {
    match error {
        SdkError::TimeoutError(_) => PortError::Timeout(format!("{operation}: no answer within the attempt's time")),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            PortError::Timeout(format!("{operation}: no answer within the connection's time"))
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            PortError::Permanent(format!("{operation}: the request could not be sent as it is"))
        }
        SdkError::DispatchFailure(failure) => {
            let cause = if failure.is_io() {
                "connection failed"
            } else {
                "not sent (credentials or connection)"
            };
            PortError::Unavailable(format!("{operation}: {cause}"))
        }
        SdkError::ResponseError(_) => PortError::Unavailable(format!("{operation}: the answer could not be read")),
        SdkError::ServiceError(service) => from_code(
            operation,
            service.err().code(),
            service.err().message(),
            service.raw().status().as_u16(),
        ),
        _ => PortError::Permanent(format!("{operation}: the request could not be built")),
    }
}

fn from_code(operation: &str, code: Option<&str>, message: Option<&str>, status: u16) -> PortError {
    let code = code.unwrap_or("no error code");
    let text = match message {
        Some(message) if SHOWN_CODES.contains(&code) => format!("{operation}: {code} (HTTP {status}): {message}"),
        _ => format!("{operation}: {code} (HTTP {status})"),
    };
    if is_throttling(code) || status == 429 {
        PortError::Throttled(text)
    } else if TIMEOUT_CODES.contains(&code) {
        PortError::Timeout(text)
    } else if PASSING_CODES.contains(&code) || status >= 500 {
        PortError::Unavailable(text)
    } else {
        PortError::Permanent(text)
    }
}

/// Whether a code asks to slow down.
pub(crate) fn is_throttling(code: &str) -> bool {
    THROTTLING_CODES.contains(&code)
}

/// Whether a code is of a failure that passes.
pub(crate) fn is_passing(code: &str) -> bool {
    PASSING_CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_decide() {
        let of = |code: Option<&str>, status| from_code("PutItem", code, Some("secret value"), status);
        assert!(matches!(
            of(Some("ProvisionedThroughputExceededException"), 400),
            PortError::Throttled(_)
        ));
        assert!(matches!(of(Some("ThrottlingException"), 400), PortError::Throttled(_)));
        assert!(matches!(of(Some("RequestLimitExceeded"), 400), PortError::Throttled(_)));
        assert!(matches!(of(None, 429), PortError::Throttled(_)));
        assert!(matches!(
            of(Some("RequestTimeoutException"), 408),
            PortError::Timeout(_)
        ));
        assert!(matches!(
            of(Some("InternalServerError"), 500),
            PortError::Unavailable(_)
        ));
        assert!(matches!(of(Some("Unheard"), 503), PortError::Unavailable(_)));
        assert!(matches!(
            of(Some("ExpiredTokenException"), 400),
            PortError::Unavailable(_)
        ));
        assert!(matches!(of(Some("ValidationException"), 400), PortError::Permanent(_)));
        assert!(matches!(of(None, 403), PortError::Permanent(_)));
    }

    #[test]
    fn a_failure_that_repeats_is_logged_ever_less_often_and_a_new_one_at_once() {
        let repeats = Repeats(Mutex::default());
        let lines: Vec<u64> = (0..100).filter_map(|_| repeats.count("a")).collect();
        assert_eq!(lines, [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(repeats.count("b"), Some(1));
        assert_eq!(repeats.count("a"), Some(1));
    }

    #[test]
    fn a_message_is_shown_only_where_it_names_resources() {
        let validation = from_code(
            "PutItem",
            Some("ValidationException"),
            Some("value 4111111111111111"),
            400,
        );
        assert!(!validation.to_string().contains("4111"));
        let denied = from_code("PutItem", Some("AccessDeniedException"), Some("role r may not"), 400);
        assert!(denied.to_string().contains("role r may not"));
    }
}
