//! What every process of a run shares: time, the services, the faults, the trace.

mod fault;
pub mod files;
mod keys;
pub mod known;
pub mod limits;
pub mod queue;
mod stores;
pub mod tables;
mod trace;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tidemark_engine::port::PortError;

pub use fault::{Fault, FaultPlan, Op};
pub use stores::{ControlStore, Rules, SentOutcome, Stores};
use trace::Trace;

use crate::dice::Dice;

/// When a run begins, ms since 1970-01-01T00:00:00Z.
pub const START_MS: i64 = 1_790_000_000_000;

/// Everything that one run shares.
#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    now_ms: i64,
    timers: BTreeMap<(i64, u64), Waker>,
    timer_count: u64,
    dice: Dice,
    faults: FaultPlan,
    calls: u64,
    injected: BTreeMap<Fault, u64>,
    slow_share: f64,
    stall_ms: i64,
    pub stores: Stores,
    trace: Trace,
}

/// A process's life: once it crashed nothing of it goes on.
#[derive(Clone, Debug, Default)]
pub struct Life(Arc<AtomicBool>);

impl Life {
    /// Whether it crashed.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn crash(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A call under way.
pub(crate) struct Ticket {
    pub fault: Option<Fault>,
    /// Which items a partial answer leaves out, as bits of their index; and where a call of writes is cut.
    pub left_out: u64,
    apply_at_ms: i64,
    answer_at_ms: i64,
}

impl Ticket {
    /// How many of so many writes happen.
    pub fn reached(&self, writes: usize) -> usize {
        match self.fault {
            Some(Fault::Cut | Fault::CrashAmid) => {
                usize::try_from(self.left_out % (writes as u64 + 1)).unwrap_or(writes)
            }
            _ => writes,
        }
    }
}

impl World {
    /// A world at [`START_MS`]. A call that stalls does so for `stall_ms`.
    #[must_use]
    pub fn new(dice: Dice, faults: FaultPlan, slow_share: f64, stall_ms: i64, keep_lines: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                now_ms: START_MS,
                timers: BTreeMap::new(),
                timer_count: 0,
                dice,
                faults,
                calls: 0,
                injected: BTreeMap::new(),
                slow_share,
                stall_ms,
                stores: Stores::default(),
                trace: Trace::new(keep_lines),
            }),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // One thread runs a world; a panic in it has ended the run.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, ms since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.lock().now_ms
    }

    /// Looks at what the services hold, or changes it, without a call.
    pub fn with<T>(&self, act: impl FnOnce(&mut Stores) -> T) -> T {
        let mut inner = self.lock();
        inner.stores.now_ms = inner.now_ms;
        act(&mut inner.stores)
    }

    /// Takes what the services hold, at a run's end.
    #[must_use]
    pub fn take_stores(&self) -> Stores {
        std::mem::take(&mut self.lock().stores)
    }

    /// No more faults from here on.
    pub fn calm(&self) {
        self.lock().faults = FaultPlan::Drawn(Vec::new());
    }

    /// Calls of ports so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Faults so far, by kind.
    #[must_use]
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.lock().injected.clone()
    }

    /// Writes a line into the trace.
    pub fn note(&self, line: std::fmt::Arguments<'_>) {
        let mut inner = self.lock();
        let now_ms = inner.now_ms;
        inner.trace.add(now_ms, line);
    }

    /// The trace's hash, and its lines where they are kept.
    #[must_use]
    pub fn trace(&self) -> (u64, Vec<String>) {
        let mut inner = self.lock();
        (inner.trace.hash.digest(), std::mem::take(&mut inner.trace.lines))
    }

    /// When the next timer ends.
    #[must_use]
    pub fn next_timer_ms(&self) -> Option<i64> {
        self.lock().timers.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Lets time pass, and wakes whoever waited for it.
    pub fn advance_to(&self, to_ms: i64) {
        let due = {
            let mut inner = self.lock();
            inner.now_ms = inner.now_ms.max(to_ms);
            let after = (inner.now_ms + 1, 0);
            let later = inner.timers.split_off(&after);
            std::mem::replace(&mut inner.timers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Begins a call: says whether and how it fails, and how long it takes.
    fn begin(&self, op: Op, who: &str) -> Ticket {
        let mut inner = self.lock();
        let call = inner.calls;
        inner.calls += 1;
        let fault = inner.draw(op, call);
        if let Some(fault) = fault {
            *inner.injected.entry(fault).or_default() += 1;
        }
        let there_ms = inner.way_ms();
        let back_ms = inner.way_ms();
        let stall_ms = if fault == Some(Fault::Stall) { inner.stall_ms } else { 0 };
        let left_out = inner.dice.any();
        let now_ms = inner.now_ms;
        inner.trace.add(
            now_ms,
            format_args!("{who} call {call} {op:?} {fault:?} {there_ms} {back_ms}"),
        );
        Ticket {
            fault,
            left_out,
            apply_at_ms: now_ms + there_ms + stall_ms,
            answer_at_ms: now_ms + there_ms + stall_ms + back_ms,
        }
    }

    /// Waits until a time.
    pub(crate) async fn until(&self, at_ms: i64) {
        std::future::poll_fn(|context| {
            let mut inner = self.lock();
            if inner.now_ms >= at_ms {
                return Poll::Ready(());
            }
            let number = inner.timer_count;
            inner.timer_count += 1;
            inner.timers.insert((at_ms, number), context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// A call from beginning to end. What is applied may itself refuse, as a service does that has a limit.
    pub(crate) async fn call<T, E: From<PortError>>(
        &self,
        op: Op,
        who: &str,
        life: &Life,
        apply: impl FnOnce(&mut Stores, &Ticket) -> Result<T, E>,
    ) -> Result<T, E> {
        let ticket = self.begin(op, who);
        let fault = ticket.fault;
        self.until(ticket.apply_at_ms).await;
        match fault {
            Some(Fault::CrashBefore) => return self.die(life).await,
            Some(Fault::TimeoutBefore | Fault::Throttle | Fault::Unavailable) => {
                self.until(ticket.answer_at_ms).await;
                let error = fault.and_then(Fault::error);
                return Err(error.unwrap_or_else(|| PortError::Unavailable(String::new())).into());
            }
            _ => {}
        }
        let value = self.with(|stores| apply(stores, &ticket));
        if matches!(fault, Some(Fault::CrashAfter | Fault::CrashAmid)) {
            return self.die(life).await;
        }
        self.until(ticket.answer_at_ms).await;
        match fault.and_then(Fault::error) {
            Some(error) => Err(error.into()),
            None => value,
        }
    }

    async fn die<T>(&self, life: &Life) -> T {
        life.crash();
        std::future::pending().await
    }

    pub(crate) fn random(&self) -> u64 {
        self.lock().dice.any()
    }
}

impl Inner {
    fn draw(&mut self, op: Op, call: u64) -> Option<Fault> {
        match &self.faults {
            FaultPlan::At(at) => at.get(&call).copied().filter(|fault| fault.fits(op)),
            FaultPlan::Drawn(kinds) => {
                let mut chosen = None;
                for (fault, share) in kinds {
                    // Every kind draws, so that leaving one out does not move the others.
                    if self.dice.chance(*share) && fault.fits(op) {
                        chosen = Some(*fault);
                    }
                }
                chosen
            }
        }
    }

    /// One way of a call: a few milliseconds, seldom much more.
    fn way_ms(&mut self) -> i64 {
        let slow = self.slow_share > 0.0 && self.dice.chance(self.slow_share);
        let most = if slow { 4_000 } else { 12 };
        i64::try_from(self.dice.between(1, most)).unwrap_or(1)
    }
}
