//! What the calls of one batch share: its limits, its snapshot, and the report that they count in.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;

use crate::budget::{RetryBudget, TimeBounds};
use crate::config::{EngineConfig, WRITES_BYTES_MAX, WRITES_IN_CALL_MAX};
use crate::desk::{Desk, serve};
use crate::directives::Directives;
use crate::lock::lock;
use crate::port::{Answers, Clock, Commit, Metered, PortError, StateWrite};
use crate::portion::CallLimit;
use crate::report::{BatchReport, Returned};
use crate::retry::repeat;

/// Where writes are handed in that share calls.
pub(crate) type WriteDesk<W, T> = Desk<Arc<W>, Result<T, PortError>>;

/// A sealed segment of a card.
pub(crate) type SegmentPlace = (CardId, SegmentKey);

/// One batch under way: what bounds it, what judges it, and what its steps have counted so far.
pub(crate) struct BatchContext<'e, C> {
    pub(crate) clock: &'e C,
    pub(crate) config: &'e EngineConfig,
    pub(crate) bounds: TimeBounds,
    pub(crate) directives: Directives,
    /// Where cards hand their writes in.
    pub(crate) commits: WriteDesk<StateWrite, Commit>,
    /// Where cards ask for sealed segments.
    pub(crate) segments: Desk<SegmentPlace, Result<Vec<u8>, Returned>>,
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
            commits: Desk::default(),
            segments: Desk::default(),
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

    /// Runs `callers` to their end; the writes that they hand in meanwhile go out together, in calls of `write`, until it
    /// `is_late`. A write counts as many bytes as `bytes_of` says.
    pub(crate) async fn serve_writes<W, T, F, R>(
        &self,
        desk: &WriteDesk<W, T>,
        bytes_of: fn(&Arc<W>) -> usize,
        is_late: fn(&Self) -> bool,
        write: impl Fn(Vec<Arc<W>>) -> F,
        callers: impl Future<Output = R>,
    ) -> R
    where
        F: Future<Output = Answers<T>>,
    {
        let limit = CallLimit {
            items_max: WRITES_IN_CALL_MAX,
            bytes_max: WRITES_BYTES_MAX,
            bytes_of,
        };
        let call = |writes: Vec<Arc<W>>| {
            let (count, answers) = (writes.len(), write(writes));
            async move { self.each_answer(count, answers.await) }
        };
        serve(desk, &limit, self.write_calls_max(), || is_late(self), call, callers).await
    }

    /// The answer to each of the writes of a call, counting what the call cost.
    fn each_answer<T>(&self, writes: usize, answers: Answers<T>) -> Vec<Result<T, PortError>> {
        let error = match answers {
            Ok(answers) if answers.value.len() == writes => return self.metered(answers),
            Ok(_) => PortError::Unavailable("an answer for another number of writes".to_owned()),
            Err(error) => error,
        };
        std::iter::repeat_with(|| Err(error.clone())).take(writes).collect()
    }

    /// Hands a write in, and again as any call, until it is answered; and whether an earlier try, of which nobody knows, may be
    /// what answers it now. `failed` is what a write is that was tried in vain.
    pub(crate) async fn write<W, T>(
        &self,
        desk: &WriteDesk<W, T>,
        write: &Arc<W>,
        until_ms: i64,
        failed: Returned,
    ) -> Result<(T, bool), Returned> {
        let (may_be_ours, is_late) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let call = move || async move {
            let Some(answer) = desk.ask(Arc::clone(write)).await else {
                is_late.store(true, Ordering::Relaxed);
                return Err(PortError::Permanent("the write was not begun".to_owned()));
            };
            if answer.as_ref().is_err_and(PortError::may_have_happened) {
                may_be_ours.store(true, Ordering::Relaxed);
            }
            answer
        };
        match self.with_retries(until_ms, call).await {
            Ok(answer) => Ok((answer, may_be_ours.load(Ordering::Relaxed))),
            Err(_) if is_late.load(Ordering::Relaxed) => Err(Returned::Deadline),
            Err(PortError::Permanent(_)) => Err(Returned::StoreRefused),
            Err(_) => Err(failed),
        }
    }

    /// Calls with many writes that may be under way at once.
    fn write_calls_max(&self) -> usize {
        self.config.commits_concurrent_max.div_ceil(WRITES_IN_CALL_MAX)
    }

    /// Whether it is too late to begin a card or to repeat a write.
    pub(crate) fn is_stopped(&self) -> bool {
        self.clock.now_ms() >= self.bounds.stop_at_ms
    }

    /// Whether it is too late for any call.
    pub(crate) fn is_past_last_call(&self) -> bool {
        self.clock.now_ms() >= self.bounds.last_call_at_ms
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
