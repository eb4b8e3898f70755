//! What the calls of one batch share: its limits, its snapshot, and the report that they count in.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::budget::{RetryBudget, TimeBounds};
use crate::config::EngineConfig;
use crate::directives::Directives;
use crate::lock::lock;
use crate::port::{Clock, Metered, PortError};
use crate::report::BatchReport;
use crate::retry::repeat;

/// One batch under way: what bounds it, what judges it, and what its steps have counted so far.
pub(crate) struct BatchContext<'e, C> {
    pub(crate) clock: &'e C,
    pub(crate) config: &'e EngineConfig,
    pub(crate) bounds: TimeBounds,
    pub(crate) directives: Directives,
    budget: Mutex<RetryBudget>,
    report: Mutex<BatchReport>,
}

impl<'e, C: Clock> BatchContext<'e, C> {
    /// A batch that nothing was done for yet.
    pub(crate) fn new(clock: &'e C, config: &'e EngineConfig, deadline_ms: i64, directives: Directives) -> Self {
        Self {
            clock,
            config,
            bounds: TimeBounds::new(deadline_ms, config),
            directives,
            budget: Mutex::new(RetryBudget::new(config)),
            report: Mutex::default(),
        }
    }

    /// The report in the making: what a step does is counted here, and nowhere else. Never held over an await.
    pub(crate) fn report(&self) -> MutexGuard<'_, BatchReport> {
        lock(&self.report)
    }

    /// What was counted.
    pub(crate) fn into_report(self) -> BatchReport {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unpacks an answer, counting what it cost.
    pub(crate) fn metered<T>(&self, answer: Metered<T>) -> T {
        self.report().units += answer.units;
        answer.value
    }

    /// Calls until it succeeds, or until repeating is no use, over the budget (that of a call, and the batch's for all) or
    /// too late. The last error is handed on.
    pub(crate) fn with_retries<T, F, R>(&self, until_ms: i64, call: F) -> impl Future<Output = Result<T, PortError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<T, PortError>>,
    {
        self.with_attempts(self.config.attempts_max, until_ms, call)
    }

    /// As [`BatchContext::with_retries`], with so many attempts, the first included.
    pub(crate) fn with_attempts<T, F, R>(
        &self,
        attempts_max: u32,
        until_ms: i64,
        call: F,
    ) -> impl Future<Output = Result<T, PortError>>
    where
        F: Fn() -> R,
        R: Future<Output = Result<T, PortError>>,
    {
        repeat(self.clock, call, move |error, failed| {
            // The last attempt is counted, but not repeated.
            let until_ms = if failed < attempts_max { until_ms } else { i64::MIN };
            self.pause_after(Some(error), failed, until_ms)
        })
    }

    /// Counts a failed call and says how long to wait before the next, if there may be one.
    pub(crate) fn pause_after(&self, error: Option<&PortError>, failed: u32, until_ms: i64) -> Option<u64> {
        let mut report = self.report();
        match error {
            Some(PortError::Throttled(_)) => report.throttles += 1,
            Some(PortError::Timeout(_)) => report.timeouts += 1,
            Some(PortError::Unavailable(_) | PortError::Permanent(_)) | None => {}
        }
        if error.is_some_and(|error| !error.is_transient()) {
            return None;
        }
        let (now_ms, random) = (self.clock.now_ms(), self.clock.random());
        let pause_ms = lock(&self.budget).take(failed, now_ms, until_ms, random)?;
        report.retries += 1;
        Some(pause_ms)
    }
}
