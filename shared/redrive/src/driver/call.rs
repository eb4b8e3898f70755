//! Calls of the ports, repeated while that may help and there is time.

use std::future::Future;

use tidemark_engine::port::{Clock, PortError};
use tidemark_telemetry::ErrorCode;

use super::Redrive;
use super::run::Run;
use crate::api::{Problem, Stopped};
use crate::limits::ATTEMPTS_MAX;
use crate::port::{Inbox, Processor, ShardReader};
use crate::rate::pause_ms;

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
    pub(super) async fn repeat<T, E, F, O>(&self, run: &mut Run<'_>, until_ms: i64, call: F) -> Result<T, E>
    where
        E: Failure,
        F: Fn() -> O,
        O: Future<Output = Result<T, E>>,
    {
        let mut failed = 0;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failed += 1;
            let throttled = matches!(error.port(), Some(PortError::Throttled(_)));
            run.stats.throttles += u64::from(throttled);
            let may_help = error.port().is_some_and(PortError::is_transient) && failed < ATTEMPTS_MAX;
            let pause_ms = pause_ms(failed, self.clock.random());
            let ends_ms = self
                .clock
                .now_ms()
                .saturating_add(i64::try_from(pause_ms).unwrap_or(i64::MAX));
            if !may_help || ends_ms >= until_ms {
                return Err(error);
            }
            run.stats.retries += 1;
            self.clock.sleep_ms(pause_ms).await;
        }
    }

    /// Stops the call because a service failed.
    pub(super) fn interrupt(run: &mut Run<'_>, error: &PortError) {
        if run.is_stopped() {
            return;
        }
        let (code, stopped) = match error {
            PortError::Throttled(_) => (ErrorCode::ReadsThrottled, Stopped::Throttled),
            PortError::Permanent(_) => (ErrorCode::ServiceRefused, Stopped::Error),
            PortError::Timeout(_) | PortError::Unavailable(_) => (ErrorCode::RedriveInterrupted, Stopped::Error),
        };
        run.problem(Problem::new(code, None, error.to_string()));
        run.stop(stopped);
    }
}
