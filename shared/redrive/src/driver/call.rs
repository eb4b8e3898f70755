//! Calls of the ports, repeated while that may help and there is time.

use std::future::Future;

use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::retry::{self, ends_ms};
use tidemark_telemetry::ErrorCode;

use super::one_call::Call;
use super::redrive::Redrive;
use crate::api::{Problem, Stopped};
use crate::limits::ATTEMPTS_MAX;
use crate::port::{Inbox, Processor, ShardReader};
use crate::rate::BACKOFF;

/// Whether a failed call may be repeated, and what it says.
pub(super) trait Failure {
    /// The failure of the port, where it is one.
    fn port(&self) -> Option<&PortError>;
}

impl Failure for PortError {
    fn port(&self) -> Option<&PortError> {
        Some(self)
    }
}

impl Failure for crate::port::ReadError {
    fn port(&self) -> Option<&PortError> {
        match self {
            Self::Call(error) => Some(error),
            Self::Expired | Self::Position | Self::NoShard => None,
        }
    }
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// Calls until it succeeds, or until repeating is no use or too late. `until_ms` is no longer waited for.
    pub(super) async fn repeat<T, E, F, O>(&self, call: &mut Call<'_>, until_ms: i64, attempt: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn() -> O,
        O: Future<Output = Result<T, E>>,
    {
        retry::repeat(&self.clock, attempt, |error: &E, failed| {
            let port = error.port();
            call.stats.throttles += u64::from(matches!(port, Some(PortError::Throttled(_))));
            let may_help = port.is_some_and(PortError::is_transient) && failed < ATTEMPTS_MAX;
            let pause_ms = BACKOFF.full_jitter_ms(failed, self.clock.random());
            if !may_help || ends_ms(self.clock.now_ms(), pause_ms) >= until_ms {
                return None;
            }
            call.stats.retries += 1;
            Some(pause_ms)
        })
        .await
    }

    /// Stops the call because a service failed.
    pub(super) fn interrupt(call: &mut Call<'_>, error: &PortError) {
        if call.is_stopped() {
            return;
        }
        let (code, stopped) = match error {
            PortError::Throttled(_) => (ErrorCode::ReadsThrottled, Stopped::Throttled),
            PortError::Permanent(_) => (ErrorCode::ServiceRefused, Stopped::Error),
            PortError::Timeout(_) | PortError::Unavailable(_) => (ErrorCode::RedriveInterrupted, Stopped::Error),
        };
        call.problem(Problem::new(code, None, error.to_string()));
        call.stop(stopped);
    }
}
