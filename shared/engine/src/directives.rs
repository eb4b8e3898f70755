//! What the control plane says, as one batch sees it: a batch is judged by one snapshot from its first record to its last.

use std::sync::Arc;

use tidemark_domain::control::{Mode, Overrides, Rollout};
use tidemark_domain::event::Transaction;
use tidemark_domain::mapped::MapsInForce;
use tidemark_domain::policy::Policy;

/// A policy that is tried beside the active one.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Which version it is, for which share of the cards.
    pub rollout: Rollout,
}

/// A snapshot of the control plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Directives {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// What is tried beside it.
    pub candidate: Option<Candidate>,
    /// How to work.
    pub mode: Mode,
    /// What somebody decided for single cards.
    pub overrides: Arc<Overrides>,
    /// The published maps; `None`: no map was ever in force.
    pub maps: Option<MapsInForce>,
}

impl Directives {
    /// Whether a transaction is scored with its card's profile: not in the mode `degraded`, and not where every policy that
    /// scores it holds it for low risk.
    #[must_use]
    pub fn wants_profile(&self, tx: &Transaction) -> bool {
        let by = |policy: &Policy| policy.low_risk_for(tx).is_none();
        let by_candidate = |candidate: &Candidate| candidate.rollout.holds(&tx.card_id) && by(&candidate.policy);
        self.mode != Mode::Degraded && (by(&self.policy) || self.candidate.as_ref().is_some_and(by_candidate))
    }

    /// What holds where there is no control plane: this policy, live, nothing else.
    #[must_use]
    pub fn standing(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            candidate: None,
            mode: Mode::Live,
            overrides: Arc::default(),
            maps: None,
        }
    }
}

/// Who judges: the snapshot, and a clock to measure policies by.
pub(crate) struct Judge<'a> {
    pub(crate) directives: &'a Directives,
    /// Nanoseconds; only differences matter.
    pub(crate) now_ns: &'a (dyn Fn() -> i64 + Sync),
}
