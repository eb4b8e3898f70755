//! A call of a port under the batch's limits: repeated while it may help, the budget lasts and there is time; counted.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::budget::{RetryBudget, TimeBounds};
use crate::config::EngineConfig;
use crate::directives::Directives;
use crate::port::{Clock, Metered, PortError, Units};

/// Counts and budget of one batch, shared by all that is under way for it.
#[derive(Debug)]
pub(crate) struct BatchContext {
    pub(crate) bounds: TimeBounds,
    pub(crate) directives: Directives,
    tally: Mutex<Tally>,
}

/// What calls add up to.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) budget: RetryBudget,
    pub(crate) units: Units,
    pub(crate) commits: u64,
    pub(crate) segments_read: u64,
    pub(crate) segments_written: u64,
    pub(crate) commit_failures: u64,
    pub(crate) conflicts: u64,
    pub(crate) retries: u64,
    pub(crate) throttles: u64,
    pub(crate) timeouts: u64,
    pub(crate) breaker_rejected: u64,
}

impl BatchContext {
    /// A batch that nothing was done for yet.
    pub(crate) fn new(deadline_ms: i64, config: &EngineConfig, directives: Directives) -> Self {
        let tally = Tally {
            budget: RetryBudget::new(config),
            units: Units::default(),
            commits: 0,
            segments_read: 0,
            segments_written: 0,
            commit_failures: 0,
            conflicts: 0,
            retries: 0,
            throttles: 0,
            timeouts: 0,
            breaker_rejected: 0,
        };
        Self {
            bounds: TimeBounds::new(deadline_ms, config),
            directives,
            tally: Mutex::new(tally),
        }
    }

    /// The counts. Never held over an await.
    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Unpacks an answer, counting what it cost.
    pub(crate) fn metered<T>(&self, answer: Metered<T>) -> T {
        self.tally().units += answer.units;
        answer.value
    }

    /// Counts a failed call and says how long to wait before the next, if there may be one.
    pub(crate) fn pause_after<C: Clock>(
        &self,
        error: Option<&PortError>,
        failed: u32,
        until_ms: i64,
        clock: &C,
    ) -> Option<u64> {
        let mut tally = self.tally();
        match error {
            Some(PortError::Throttled(_)) => tally.throttles += 1,
            Some(PortError::Timeout(_)) => tally.timeouts += 1,
            Some(PortError::Unavailable(_) | PortError::Permanent(_)) | None => {}
        }
        if error.is_some_and(|error| !error.is_transient()) {
            return None;
        }
        let pause_ms = tally.budget.take(failed, clock.now_ms(), until_ms, clock.random())?;
        tally.retries += 1;
        Some(pause_ms)
    }
}

/// Calls until it succeeds, or until repeating is no use, over the budget (`attempts_max` for this call, the batch's for
/// all) or too late. The last error is handed on.
pub(crate) async fn with_retries<T, C, F, R>(
    context: &BatchContext,
    clock: &C,
    attempts_max: u32,
    until_ms: i64,
    call: F,
) -> Result<T, PortError>
where
    C: Clock,
    F: Fn() -> R,
    R: Future<Output = Result<T, PortError>>,
{
    let mut failed = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        let pause = if failed < attempts_max {
            context.pause_after(Some(&error), failed, until_ms, clock)
        } else {
            // Counted, but not repeated.
            context.pause_after(Some(&error), failed, i64::MIN, clock)
        };
        match pause {
            Some(pause_ms) => clock.sleep_ms(pause_ms).await,
            None => return Err(error),
        }
    }
}

/// Locks; a panic in another batch leaves counts and caches whole, since neither is ever half changed over a call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
