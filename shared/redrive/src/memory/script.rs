//! Faults by script: which call fails, and how.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use tidemark_engine::port::PortError;

use super::lock;

/// A port's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `ShardReader::shards`.
    Shards,
    /// `ShardReader::iterator`.
    Iterator,
    /// `ShardReader::records`.
    Records,
    /// `Inbox::receive`.
    Receive,
    /// `Inbox::delete`.
    Delete,
    /// `Inbox::release`.
    Release,
    /// `Inbox::send`.
    Send,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The error, and nothing happened.
    Before(PortError),
    /// It happened, but the answer is the error: an ambiguous call.
    After(PortError),
}

/// A script of faults, shared by the ports it was given to. Calls of an operation are numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Script {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<(Op, Range<u64>, Fault)>,
    calls: BTreeMap<Op, u64>,
    yields: bool,
}

impl Script {
    /// Lets calls of one operation fail. The rule added last counts.
    pub fn at(&self, op: Op, calls: Range<u64>, fault: Fault) {
        lock(&self.inner).rules.push((op, calls, fault));
    }

    /// Drops all rules. Calls go on being counted.
    pub fn clear(&self) {
        lock(&self.inner).rules.clear();
    }

    /// Lets every call give way once before it happens and once before it answers: a test that polls by hand chooses how runs
    /// interleave, and where one dies.
    pub fn give_way(&self) {
        lock(&self.inner).yields = true;
    }

    /// How often an operation was called.
    #[must_use]
    pub fn count(&self, op: Op) -> u64 {
        lock(&self.inner).calls.get(&op).copied().unwrap_or_default()
    }

    /// Counts a call and says how it fails, if it does.
    pub(super) async fn next(&self, op: Op) -> Result<Option<PortError>, PortError> {
        self.maybe_yield().await;
        let mut inner = lock(&self.inner);
        let call = inner.calls.entry(op).or_default();
        let number = *call;
        *call += 1;
        let hit = inner
            .rules
            .iter()
            .rev()
            .find(|(of, calls, _)| *of == op && calls.contains(&number));
        match hit.map(|(_, _, fault)| fault.clone()) {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => Ok(Some(error)),
            None => Ok(None),
        }
    }

    /// Ends a call that happened.
    pub(super) async fn finish(&self, after: Option<PortError>) -> Result<(), PortError> {
        self.maybe_yield().await;
        after.map_or(Ok(()), Err)
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
}
