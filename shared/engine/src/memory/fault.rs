//! Faults by script: which call fails, and how.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::lock::lock;
use crate::port::PortError;

/// A port's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `StateStore::load_states`.
    LoadStates,
    /// `StateStore::load_profiles`.
    LoadProfiles,
    /// `StateStore::commit`.
    Commit,
    /// `StateStore::put_profile`.
    PutProfile,
    /// `StateStore::put_decision`.
    PutDecision,
    /// `StateStore::put_trials`.
    PutTrials,
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
    /// A read answers with what was there before the last write of each item.
    StaleRead,
    /// A commit answers that another writer won, with the item that is there (none for a card without one), and writes nothing.
    Conflict,
    /// As `Conflict`, but the store does not hand the item back.
    ConflictWithoutItem,
    /// A sink takes all but these indexes.
    Partial(Vec<usize>),
    /// The process dies before the call happens: this call and all later ones never answer.
    CrashBefore,
    /// The process dies after the call happened: this call and all later ones never answer.
    CrashAfter,
}

/// A script of faults, shared by the ports of one engine. Calls are numbered from 0 over all of them, in order.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<Rule>,
    calls: Vec<Op>,
    calls_of: [u64; 10],
    crashed: bool,
    yields: bool,
}

#[derive(Debug)]
struct Rule {
    op: Option<Op>,
    calls: Range<u64>,
    fault: Fault,
}

impl Faults {
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
    pub fn at(&self, op: Op, calls: Range<u64>, fault: Fault) {
        self.add(Some(op), calls, fault);
    }

    /// Drops all rules and wakes from a crash: what a new process finds. Calls go on being counted.
    pub fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.rules.clear();
        inner.crashed = false;
    }

    /// Lets every call give way once before it happens and once before it answers, so that a test which polls by hand
    /// chooses how calls of several engines interleave.
    pub fn give_way(&self) {
        lock(&self.inner).yields = true;
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Op> {
        lock(&self.inner).calls.clone()
    }

    /// How often an operation was called.
    #[must_use]
    pub fn count(&self, op: Op) -> u64 {
        lock(&self.inner).calls_of[op as usize]
    }

    /// Whether a crash was played.
    #[must_use]
    pub fn crashed(&self) -> bool {
        lock(&self.inner).crashed
    }

    fn add(&self, op: Option<Op>, calls: Range<u64>, fault: Fault) {
        lock(&self.inner).rules.push(Rule { op, calls, fault });
    }

    /// Counts a call and says how it fails, if it does. Never answers once crashed.
    pub(super) async fn next(&self, op: Op) -> Option<Fault> {
        self.maybe_yield().await;
        let fault = self.draw(op);
        if matches!(fault, Some(Fault::CrashBefore)) {
            std::future::pending::<()>().await;
        }
        fault
    }

    /// Ends a call that happened: an ambiguous one answers with its error, a crash never answers.
    pub(super) async fn finish(&self, fault: Option<Fault>) -> Result<(), PortError> {
        self.maybe_yield().await;
        match fault {
            Some(Fault::After(error)) => Err(error),
            Some(Fault::CrashAfter) => {
                std::future::pending::<()>().await;
                Ok(())
            }
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

    fn draw(&self, op: Op) -> Option<Fault> {
        let mut inner = lock(&self.inner);
        if inner.crashed {
            return Some(Fault::CrashBefore);
        }
        let (call, call_of) = (inner.calls.len() as u64, inner.calls_of[op as usize]);
        // A run of a million calls should not be remembered for ever.
        if inner.calls.len() < CALLS_KEPT_MAX {
            inner.calls.push(op);
        }
        inner.calls_of[op as usize] += 1;
        let hit = |rule: &&Rule| match rule.op {
            None => rule.calls.contains(&call),
            Some(of) => of == op && rule.calls.contains(&call_of),
        };
        let fault = inner.rules.iter().rev().find(hit).map(|rule| rule.fault.clone());
        inner.crashed = matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter));
        fault
    }
}

/// Calls that [`Faults::calls`] remembers.
const CALLS_KEPT_MAX: usize = 100_000;
