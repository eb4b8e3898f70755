//! What lives longer than a batch: the ports, and what stays warm in the process.

use std::sync::{Arc, Mutex};

use tidemark_domain::policy::Policy;

use crate::breaker::BreakerState;
use crate::cards::Cards;
use crate::config::{EngineConfig, SENT_REMEMBERED_MAX};
use crate::sent::SentBefore;

/// Takes batches to their end. One for the life of a process: it keeps states and profiles warm.
pub struct Engine<S, K, Q, C> {
    pub(crate) cards: Cards<S>,
    pub(crate) sink: K,
    pub(crate) quarantine: Q,
    pub(crate) clock: C,
    pub(crate) policy: Arc<Policy>,
    pub(crate) config: EngineConfig,
    pub(crate) sent_before: Mutex<SentBefore>,
}

impl<S, K, Q, C> Engine<S, K, Q, C> {
    /// An engine with nothing warm.
    #[must_use]
    pub fn new(store: S, sink: K, quarantine: Q, clock: C, policy: Arc<Policy>, config: EngineConfig) -> Self {
        Self {
            cards: Cards::new(store, &config),
            sink,
            quarantine,
            clock,
            policy,
            config,
            sent_before: Mutex::new(SentBefore::new(SENT_REMEMBERED_MAX)),
        }
    }

    /// The policy that the engine was made with.
    #[must_use]
    pub fn own_policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// The state of the breaker that guards profile reads.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.cards.profiles.breaker_state()
    }
}
