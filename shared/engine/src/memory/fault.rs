//! Faults by script: which call fails, and how. A script serves the ports of any crate: what differs is its operations.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::lock::lock;
use crate::port::PortError;

/// A port's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `StateStore::load_states` and `StateStore::load_state`.
    LoadStates,
    /// `StateStore::load_profiles`.
    LoadProfiles,
    /// A call that holds many writes: `StateStore::commit`, `commit_keys`, `put_decisions`. Each of its writes is an operation
    /// of its own.
    WriteCall,
    /// A write of `StateStore::commit`.
    Commit,
    /// `StateStore::put_profile`.
    PutProfile,
    /// A write of `StateStore::put_decisions`.
    PutDecision,
    /// `StateStore::put_trials`.
    PutTrials,
    /// `StateStore::load_keys` and `StateStore::load_key`.
    LoadKeys,
    /// A write of `StateStore::commit_keys`.
    CommitKey,
    /// `StateStore::load_segments`.
    LoadSegments,
    /// `StateStore::put_segments`.
    PutSegments,
    /// `ScoreSink::send`.
    Send,
    /// `Quarantine::put`.
    Quarantine,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The error, and nothing happened.
    Before(PortError),
    /// It happened, but the answer is the error: an ambiguous call.
    After(PortError),
    /// Of a call that holds many writes, so many happened and the others did not; the answer is the error.
    Amid(usize, PortError),
    /// A read answers with what was there before the last write of each item.
    StaleRead,
    /// A commit answers that another writer won, with the item that is there (none for a card without one), and writes nothing.
    Conflict,
    /// As `Conflict`, but the store does not hand the item back.
    ConflictWithoutItem,
    /// A sink takes all but these indexes (of those that it was given).
    Partial(Vec<usize>),
    /// The process dies before the call happens: this call and all later ones never answer.
    CrashBefore,
    /// The process dies after the call happened: this call and all later ones never answer.
    CrashAfter,
}

/// A script of faults, shared by the ports of one engine or redrive. Calls are numbered from 0 over all of them, in order.
#[derive(Clone, Debug)]
pub struct Faults<O = Op> {
    inner: Arc<Mutex<Inner<O>>>,
}

#[derive(Debug)]
struct Inner<O> {
    rules: Vec<Rule<O>>,
    calls: Vec<O>,
    calls_of: Vec<(O, u64)>,
    calls_all: u64,
    crashed: bool,
    yields: bool,
}

#[derive(Debug)]
struct Rule<O> {
    op: Option<O>,
    calls: Range<u64>,
    fault: Fault,
}

impl<O> Default for Faults<O> {
    fn default() -> Self {
        let inner = Inner {
            rules: Vec::new(),
            calls: Vec::new(),
            calls_of: Vec::new(),
            calls_all: 0,
            crashed: false,
            yields: false,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }
}

impl<O: Copy + Eq> Faults<O> {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Lets the call with this number fail (numbered from 0 over all operations).
    pub fn at_call(&self, call: u64, fault: Fault) {
        self.add(None, call..call + 1, fault);
    }

    /// Lets calls of one operation fail (numbered from 0 within that operation). The rule added last counts.
    pub fn at(&self, op: O, calls: Range<u64>, fault: Fault) {
        self.add(Some(op), calls, fault);
    }

    /// Drops all rules and wakes from a crash: what a new process finds. Calls go on being counted.
    pub fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.rules.clear();
        inner.crashed = false;
    }

    /// Lets every call give way once before it happens and once before it answers, so that a test which polls by hand
    /// chooses how calls of several engines or runs interleave, and where one dies.
    pub fn give_way(&self) {
        lock(&self.inner).yields = true;
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<O> {
        lock(&self.inner).calls.clone()
    }

    /// How often an operation was called.
    #[must_use]
    pub fn count(&self, op: O) -> u64 {
        let inner = lock(&self.inner);
        let of_op = inner.calls_of.iter().find(|(of, _)| *of == op);
        of_op.map_or(0, |(_, calls)| *calls)
    }

    /// Whether a crash was played.
    #[must_use]
    pub fn crashed(&self) -> bool {
        lock(&self.inner).crashed
    }

    fn add(&self, op: Option<O>, calls: Range<u64>, fault: Fault) {
        lock(&self.inner).rules.push(Rule { op, calls, fault });
    }

    /// Begins a call: counts it, and says what is to happen to it, if anything is. Never answers once crashed.
    ///
    /// # Errors
    /// When the call fails before it happens.
    pub async fn begin(&self, op: O) -> Result<Option<Fault>, PortError> {
        self.maybe_yield().await;
        match self.draw(op) {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::CrashBefore) => std::future::pending().await,
            fault => Ok(fault),
        }
    }

    /// Ends a call that happened: an ambiguous one answers with its error, a crash never answers.
    ///
    /// # Errors
    /// When the call fails after it happened.
    pub async fn finish(&self, fault: Option<Fault>) -> Result<(), PortError> {
        self.maybe_yield().await;
        match fault {
            Some(Fault::After(error) | Fault::Amid(_, error)) => Err(error),
            Some(Fault::CrashAfter) => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn maybe_yield(&self) {
        if !lock(&self.inner).yields {
            return;
        }
        let mut yielded = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn draw(&self, op: O) -> Option<Fault> {
        let mut inner = lock(&self.inner);
        if inner.crashed {
            return Some(Fault::CrashBefore);
        }
        let (call, call_of) = inner.count(op);
        let hit = |rule: &&Rule<O>| match rule.op {
            None => rule.calls.contains(&call),
            Some(of) => of == op && rule.calls.contains(&call_of),
        };
        let fault = inner.rules.iter().rev().find(hit).map(|rule| rule.fault.clone());
        inner.crashed = matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter));
        fault
    }
}

impl<O: Copy + Eq> Inner<O> {
    /// Counts a call: its number over all operations, and within its own.
    fn count(&mut self, op: O) -> (u64, u64) {
        // A run of a million calls should not be remembered for ever.
        if self.calls.len() < CALLS_KEPT_MAX {
            self.calls.push(op);
        }
        let call = self.calls_all;
        self.calls_all += 1;
        match self.calls_of.iter_mut().find(|(of, _)| *of == op) {
            Some((_, calls)) => {
                *calls += 1;
                (call, *calls - 1)
            }
            None => {
                self.calls_of.push((op, 1));
                (call, 0)
            }
        }
    }
}

/// Calls that [`Faults::calls`] remembers.
const CALLS_KEPT_MAX: usize = 100_000;
