//! What every process of a run shares: time, the stores, the faults, the trace.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tidemark_domain::card::CardState;
use tidemark_domain::card::sealed::SegmentKey;
use tidemark_domain::event::Profile;
use tidemark_domain::id::EventKey;
use tidemark_engine::port::{DecisionRecord, OutcomeRecord, PortError, QuarantineMessage, StateItem};
use xxhash_rust::xxh3::Xxh3;

use crate::dice::Dice;

/// When a run begins, ms since 1970-01-01T00:00:00Z.
pub const START_MS: i64 = 1_790_000_000_000;

/// A port's operation, as the trace writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Reads states.
    LoadStates,
    /// Reads profiles.
    LoadProfiles,
    /// Reads sealed segments.
    LoadSegments,
    /// Writes sealed segments.
    PutSegments,
    /// Writes a card under its condition.
    Commit,
    /// Writes a profile.
    PutProfile,
    /// Records a decision.
    PutDecision,
    /// Sends outcomes.
    Send,
    /// Puts refused records away.
    Quarantine,
}

impl Op {
    /// Whether it only reads.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::LoadStates | Self::LoadProfiles | Self::LoadSegments)
    }

    /// Whether it takes items that may be left out one by one.
    #[must_use]
    pub fn is_batch(self) -> bool {
        matches!(self, Self::Send | Self::Quarantine)
    }
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies before the call has an effect.
    CrashBefore,
    /// The process dies after it had.
    CrashAfter,
    /// No answer in time, and no effect.
    TimeoutBefore,
    /// No answer in time, but it was applied.
    TimeoutAfter,
    /// The service asks to slow down.
    Throttle,
    /// The service failed.
    Unavailable,
    /// A read answers with what was there before the last write.
    Stale,
    /// A sink leaves some items out.
    Partial,
    /// The call hangs until long after the invocation timed out, and is applied then: a zombie's.
    Stall,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::Throttle,
        Self::Unavailable,
        Self::Stale,
        Self::Partial,
        Self::Stall,
    ];

    /// Whether it can happen to this operation.
    #[must_use]
    pub fn fits(self, op: Op) -> bool {
        match self {
            // Segments never change, and are read with strong consistency.
            Self::Stale => op.reads() && op != Op::LoadSegments,
            Self::Partial => op.is_batch(),
            _ => true,
        }
    }

    /// The error that the caller gets, where it gets one.
    pub(crate) fn error(self) -> Option<PortError> {
        match self {
            Self::TimeoutBefore | Self::TimeoutAfter => Some(PortError::Timeout("simulated".to_owned())),
            Self::Throttle => Some(PortError::Throttled("simulated".to_owned())),
            Self::Unavailable => Some(PortError::Unavailable("simulated".to_owned())),
            _ => None,
        }
    }
}

/// Where faults come from.
#[derive(Clone, Debug)]
pub enum FaultPlan {
    /// Each call draws: kinds and their shares.
    Drawn(Vec<(Fault, f64)>),
    /// These calls (numbered from 0) fail so.
    At(BTreeMap<u64, Fault>),
}

/// A card's item with what was there before, for stale reads.
#[derive(Clone, Debug)]
pub(crate) struct Versions<T> {
    pub now: T,
    pub before: Option<T>,
}

/// What the services hold.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    pub(crate) states: BTreeMap<String, Versions<StateItem>>,
    pub(crate) profiles: BTreeMap<String, Versions<Profile>>,
    /// Sealed segments by card and key.
    pub(crate) segments: BTreeMap<(String, SegmentKey), Vec<u8>>,
    /// Decisions by card and event; how often each was written.
    pub decisions: BTreeMap<EventKey, (DecisionRecord, u64)>,
    /// Outcomes in the order they were taken.
    pub outcomes: Vec<OutcomeRecord>,
    /// Refused records in the order they were taken.
    pub quarantine: Vec<QuarantineMessage>,
    /// What broke the rules of the store while it ran: lost updates, versions out of step.
    pub broken: Vec<String>,
    /// Writes that the condition refused.
    pub conflicts: u64,
    /// A control: conditions are not looked at.
    pub ignores_conditions: bool,
}

impl Stores {
    /// A card's item.
    #[must_use]
    pub fn state(&self, card: &str) -> Option<&StateItem> {
        self.states.get(card).map(|versions| &versions.now)
    }

    /// A card's state with every sealed segment at hand; `None` when something of it is missing or can't be decoded.
    #[must_use]
    pub fn whole_state(&self, card: &str) -> Option<CardState> {
        self.whole(card, &self.state(card)?.bytes)
    }

    /// The state that bytes stand for, with every sealed segment at hand.
    pub(crate) fn whole(&self, card: &str, bytes: &[u8]) -> Option<CardState> {
        let mut state = CardState::decode(bytes).ok()?;
        loop {
            let missing = state.missing_segments();
            if missing.is_empty() {
                return Some(state);
            }
            for key in missing {
                let bytes = self.segments.get(&(card.to_owned(), key))?;
                state.supply_segment(key, bytes).ok()?;
            }
        }
    }

    /// Cards with a state.
    pub fn cards(&self) -> impl Iterator<Item = &str> {
        self.states.keys().map(String::as_str)
    }

    /// A card's profile.
    #[must_use]
    pub fn profile(&self, card: &str) -> Option<&Profile> {
        self.profiles.get(card).map(|versions| &versions.now)
    }
}

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
    /// Which items a partial answer leaves out, as bits of their index.
    pub left_out: u64,
    apply_at_ms: i64,
    answer_at_ms: i64,
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

    /// A copy of what the services hold.
    #[must_use]
    pub fn stores(&self) -> Stores {
        self.lock().stores.clone()
    }

    /// Makes the store take any write: the control for I5.
    pub fn ignore_conditions(&self) {
        self.lock().stores.ignores_conditions = true;
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
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.lock();
        let now_ms = inner.now_ms;
        inner.trace.add(now_ms, line);
    }

    /// The trace's hash, and its lines where they are kept.
    #[must_use]
    pub fn trace(&self) -> (u64, Vec<String>) {
        let inner = self.lock();
        (inner.trace.hash.digest(), inner.trace.lines.clone())
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
    pub(crate) fn begin(&self, op: Op, who: &str) -> Ticket {
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
        inner.trace.add(now_ms, || {
            format!("{who} call {call} {op:?} {fault:?} {there_ms} {back_ms}")
        });
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

    /// A call from beginning to end.
    pub(crate) async fn call<T>(
        &self,
        op: Op,
        who: &str,
        life: &Life,
        apply: impl FnOnce(&mut Stores, &Ticket) -> T,
    ) -> Result<T, PortError> {
        let ticket = self.begin(op, who);
        let fault = ticket.fault;
        self.until(ticket.apply_at_ms).await;
        match fault {
            Some(Fault::CrashBefore) => return self.die(life).await,
            Some(Fault::TimeoutBefore | Fault::Throttle | Fault::Unavailable) => {
                self.until(ticket.answer_at_ms).await;
                return Err(fault
                    .and_then(Fault::error)
                    .unwrap_or_else(|| PortError::Unavailable(String::new())));
            }
            _ => {}
        }
        let value = apply(&mut self.lock().stores, &ticket);
        if fault == Some(Fault::CrashAfter) {
            return self.die(life).await;
        }
        self.until(ticket.answer_at_ms).await;
        match fault.and_then(Fault::error) {
            Some(error) => Err(error),
            None => Ok(value),
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

/// What happened, as a hash, and as lines where somebody wants to read them.
struct Trace {
    hash: Xxh3,
    keep: bool,
    lines: Vec<String>,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl Trace {
    fn new(keep: bool) -> Self {
        Self {
            hash: Xxh3::new(),
            keep,
            lines: Vec::new(),
        }
    }

    fn add(&mut self, now_ms: i64, line: impl FnOnce() -> String) {
        let line = line();
        self.hash.update(&now_ms.to_le_bytes());
        self.hash.update(line.as_bytes());
        if self.keep {
            self.lines.push(format!("{:>10} {line}", now_ms - START_MS));
        }
    }
}
