//! What an audit found: the account, what the outcomes show, and what breaks an invariant.

use serde::Serialize;
use tidemark_domain::invariant::Invariant;

use crate::account::Account;
use crate::keys::KeyChecks;

/// Breaks that are named, of each kind of check.
pub const BREAKS_MAX: usize = 1_000;

/// What the outcomes of the range's events show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeChecks {
    /// Events with an outcome.
    pub events: u64,
    /// Outcome records of theirs, copies included.
    pub records: u64,
    /// Events whose copies differ.
    pub conflicting: u64,
    /// Outcomes that were held against the card's stored history.
    pub compared_with_state: u64,
    /// Of these, outcomes that the history gives differently.
    pub different_from_state: u64,
    /// Outcomes of events that the card's stored history should hold and does not: the card was lost or put back, or the outcome
    /// was never its own (I2).
    pub without_history: u64,
    /// Times that an event is in its card's stored history beyond the first: it counted again (I2).
    pub counted_again: u64,
    /// Alerts that were held against the recorded decision.
    pub compared_with_decision: u64,
    /// Of these, alerts whose decision is another.
    pub different_from_decision: u64,
    /// Alerts without a recorded decision, old enough for it to have expired.
    pub without_decision: u64,
    /// Alerts without a recorded decision, too young for it to have expired.
    pub decision_lost: u64,
}

impl OutcomeChecks {
    /// Adds what was found elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.records += other.records;
        self.conflicting += other.conflicting;
        self.compared_with_state += other.compared_with_state;
        self.different_from_state += other.different_from_state;
        self.without_history += other.without_history;
        self.counted_again += other.counted_again;
        self.compared_with_decision += other.compared_with_decision;
        self.different_from_decision += other.different_from_decision;
        self.without_decision += other.without_decision;
        self.decision_lost += other.decision_lost;
    }

    pub(crate) const fn broken(&self) -> u64 {
        self.conflicting
            + self.different_from_state
            + self.without_history
            + self.counted_again
            + self.different_from_decision
            + self.decision_lost
    }
}

/// One thing that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Break {
    /// Which one: of the record itself, of what counts, or of its outcome.
    pub invariant: Invariant,
    /// What, and of which record or event.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Where the records ended (I1).
    #[serde(flatten)]
    pub account: Account,
    /// What the outcomes show (I2, I3).
    pub outcomes: OutcomeChecks,
    /// What the items of keys show (I1, I2).
    pub keys: KeyChecks,
    /// Cards that were read.
    pub cards: u64,
    /// Whether I1, I2 and I3 hold for every record that is not pending. Without any record it says so of nothing: false.
    pub holds: bool,
    /// What breaks them, in words, ascending.
    pub breaks: Vec<Break>,
}

impl Judgement {
    /// How many things break an invariant.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.account.unaccounted + self.outcomes.broken() + self.keys.broken()
    }

    /// Whether there was no record to look at, and nothing is broken: that says nothing.
    #[must_use]
    pub const fn saw_nothing(&self) -> bool {
        self.account.accepted == 0 && self.broken() == 0
    }
}
