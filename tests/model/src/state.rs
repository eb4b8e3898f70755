//! A state of the model, what can come next, and what was seen on the way.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use crate::item::{ItemId, OutcomeId};
use crate::process::{LifeId, Write};
use crate::scenario::Source;

/// How many workers the model has.
pub const WORKERS: usize = 2;

/// A delivery that a worker has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    /// Who delivered it, and who waits for the answer.
    pub source: Source,
    /// Whether nobody waits any more: the worker is a zombie.
    pub abandoned: bool,
}

/// A worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker {
    /// All that it knows.
    pub life: LifeId,
    /// What it does.
    pub job: Option<Job>,
}

/// How far a source is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The batch to deliver next.
    pub batch: u8,
    /// The record of it to begin with.
    pub from: u8,
    /// Whether a worker has it in hand.
    pub is_out: bool,
    /// Whether the source gave up ([`NoRedelivery`](crate::world::Variant::NoRedelivery)).
    pub gave_up: bool,
    /// Deliveries so far.
    pub deliveries: u8,
}

impl Progress {
    /// Whether every record is settled.
    #[must_use]
    pub fn is_done(&self, source: Source) -> bool {
        usize::from(self.batch) == source.batches().len()
    }
}

/// A state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Every item that was the card's, in order; the last one is what the store holds, unless a restore took it away.
    pub history: Vec<ItemId>,
    /// The places in `history` of the first items that were written after a restore.
    pub restored: Vec<usize>,
    /// Whether nothing was written since a restore: the store holds no item.
    pub is_gone: bool,
    /// Writes that nobody waits for any more, and that may still arrive at the store. Sorted.
    pub late: Vec<Write>,
    /// Distinct outcomes in the scores stream. Sorted.
    pub sent: Vec<OutcomeId>,
    /// The workers. Sorted: they are alike, so which is which does not matter.
    pub workers: [Worker; WORKERS],
    /// The sources, by [`Source::index`].
    pub sources: [Progress; 2],
    /// Faults so far.
    pub faults: u8,
}

impl World {
    /// The item that the store holds.
    #[must_use]
    pub fn current(&self) -> Option<ItemId> {
        self.history.last().copied().filter(|_| !self.is_gone)
    }

    /// After how many writes a read may find the card: none, or any number since the last restore. (Who read before the restore
    /// has it warm.)
    pub fn readable(&self) -> impl Iterator<Item = usize> + use<> {
        let since = self.restored.last().map_or(0, |place| *place);
        let last = if self.is_gone { since } else { self.history.len() };
        std::iter::once(0).chain(since + 1..=last)
    }
}

/// What can happen next. Workers are named by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A source hands a batch to a free worker.
    Deliver(Source, usize),
    /// A worker reads the item that was current after so many writes: reads are eventually consistent.
    Read(usize, usize),
    /// The store judges a worker's write, and the answer arrives.
    Commit(usize),
    /// A late write arrives at the store.
    Land(usize),
    /// The scores stream takes a worker's outcomes.
    Send(usize),
    /// Fault: the store answers a conflict without the winner.
    WithholdWinner(usize),
    /// Fault: no answer to a write in time. It may arrive later, or never.
    LoseCommit(usize),
    /// Fault: the outcomes are taken, the answer is lost.
    LoseSendAnswer(usize),
    /// Fault: the outcomes are not taken, and no answer comes.
    LoseSend(usize),
    /// Fault: only the first outcome is taken.
    SendFirst(usize),
    /// Fault: a worker is killed before its call leaves it, or while it is idle.
    Kill(usize),
    /// Fault: a worker is killed after its call left it. A write may arrive later, or never; outcomes are taken.
    KillAfterCall(usize),
    /// Fault: the source does not wait for the worker any longer. It goes on as a zombie.
    Abandon(usize),
    /// An operator puts the card back to what it was before its first event, so that the numbers of its versions begin anew.
    Restore,
}

/// How often what matters was seen: properties that hold because nothing happened would prove nothing.
#[derive(Debug, Default)]
pub struct Seen {
    /// Reads of a state that was not the store's any more.
    pub stale_reads: AtomicU64,
    /// Writes that lost against another writer.
    pub conflicts: AtomicU64,
    /// Writes that were tried again and found themselves as the winner.
    pub own_winners: AtomicU64,
    /// Writes that landed after nobody waited for them.
    pub landed_late: AtomicU64,
    /// Late writes that came too late.
    pub late_losers: AtomicU64,
    /// Writes tried by zombies.
    pub zombie_writes: AtomicU64,
    /// Batches given back in part or whole.
    pub given_back: AtomicU64,
    /// Outcomes that were sent once more.
    pub sent_again: AtomicU64,
    /// Writes that named a number which the store had, of another item.
    pub other_tags: AtomicU64,
    /// Batches for which the process had the state warm.
    pub warm_starts: AtomicU64,
    /// What the model did not expect of the engine.
    pub surprises: Mutex<Vec<String>>,
}
