//! Where outcomes and bad payloads go, in memory.

use std::sync::{Arc, Mutex};

use super::fault::{Fault, Faults, Op};
use crate::lock::lock;
use crate::port::{OutcomeRecord, PortError, Quarantine, QuarantineMessage, ScoreSink};

/// Outcomes, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    taken: Arc<Mutex<Vec<OutcomeRecord>>>,
    faults: Faults,
}

impl MemorySink {
    /// A sink whose calls follow a script.
    #[must_use]
    pub fn with_faults(faults: Faults) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// A copy of what was taken so far.
    #[must_use]
    pub fn outcomes(&self) -> Vec<OutcomeRecord> {
        lock(&self.taken).clone()
    }

    /// What was taken since the last call of this.
    #[must_use]
    pub fn take(&self) -> Vec<OutcomeRecord> {
        std::mem::take(&mut *lock(&self.taken))
    }
}

impl ScoreSink for MemorySink {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        take_some(&self.taken, &self.faults, Op::Send, outcomes).await
    }
}

/// Quarantined messages, in the order they were taken.
#[derive(Clone, Debug, Default)]
pub struct MemoryQuarantine {
    taken: Arc<Mutex<Vec<QuarantineMessage>>>,
    faults: Faults,
}

impl MemoryQuarantine {
    /// A quarantine whose calls follow a script.
    #[must_use]
    pub fn with_faults(faults: Faults) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// A copy of what was taken so far.
    #[must_use]
    pub fn messages(&self) -> Vec<QuarantineMessage> {
        lock(&self.taken).clone()
    }

    /// What was taken since the last call of this.
    #[must_use]
    pub fn take(&self) -> Vec<QuarantineMessage> {
        std::mem::take(&mut *lock(&self.taken))
    }
}

impl Quarantine for MemoryQuarantine {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        take_some(&self.taken, &self.faults, Op::Quarantine, messages).await
    }
}

async fn take_some<T: Clone>(
    taken: &Mutex<Vec<T>>,
    faults: &Faults,
    op: Op,
    items: &[T],
) -> Result<Vec<usize>, PortError> {
    let fault = faults.begin(op).await?;
    let left = match &fault {
        Some(Fault::Partial(left)) => left.iter().copied().filter(|index| *index < items.len()).collect(),
        _ => Vec::new(),
    };
    let kept = items
        .iter()
        .enumerate()
        .filter(|(index, _)| !left.contains(index))
        .map(|(_, item)| item.clone());
    lock(taken).extend(kept);
    faults.finish(fault).await?;
    Ok(left)
}
