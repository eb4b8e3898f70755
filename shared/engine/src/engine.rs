//! The driver: carries out what the pure part decided, over the ports.

use std::sync::Arc;

use tidemark_domain::policy::Policy;

use crate::config::EngineConfig;
use crate::port::{Clock, Quarantine, ScoreSink, StateStore};
use crate::record::InRecord;
use crate::report::BatchReport;

/// Takes batches to their end. One for the life of a process: it keeps states and profiles warm.
pub struct Engine<S, K, Q, C> {
    store: S,
    sink: K,
    quarantine: Q,
    clock: C,
    policy: Arc<Policy>,
    config: EngineConfig,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// An engine with nothing warm.
    #[must_use]
    pub fn new(store: S, sink: K, quarantine: Q, clock: C, policy: Arc<Policy>, config: EngineConfig) -> Self {
        Self {
            store,
            sink,
            quarantine,
            clock,
            policy,
            config,
        }
    }

    /// Takes a batch to its end, or as far as `deadline_ms` (milliseconds since 1970-01-01T00:00:00Z) allows.
    pub async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let _ = (
            &self.store,
            &self.sink,
            &self.quarantine,
            &self.clock,
            &self.policy,
            &self.config,
            deadline_ms,
        );
        BatchReport {
            retry_from: batch.first().map(|record| record.sequence_number.to_owned()),
            ..BatchReport::default()
        }
    }
}
