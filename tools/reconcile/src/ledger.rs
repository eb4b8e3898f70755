//! What an audit of several slices has found so far.

use std::collections::{BTreeSet, HashSet};

use tidemark_domain::invariant::Invariant;

use crate::account::{Account, Finding};
use crate::judgement::{BREAKS_MAX, Break, Judgement, OutcomeChecks};
use crate::keys::{KeyAudit, KeyChecks, Suspected};
use crate::record::Record;
use crate::seen::Seen;

/// An event's time may be so far ahead of its arrival at most, ms: no policy allows more.
const AHEAD_MS_MAX: i64 = 24 * 3_600_000;

/// The findings of an audit, slice by slice: the account, what is still open, what is broken.
#[derive(Debug, Default)]
pub struct Ledger {
    account: Account,
    checks: OutcomeChecks,
    keys: KeyChecks,
    /// Labels that records said, by their hashes, and those in keys that some record has to say.
    said: HashSet<u64>,
    suspected: Vec<Suspected>,
    /// When the stream took the first record, ms since 1970-01-01T00:00:00Z.
    first_ms: Option<i64>,
    cards: u64,
    breaks: BTreeSet<Break>,
    open: Vec<Record>,
    seen: Seen,
    /// When the stream took the oldest record that can still be redriven, ms since 1970-01-01T00:00:00Z.
    oldest_dead_ms: Option<i64>,
}

impl Ledger {
    /// A ledger that tells the first record of an event from its further ones, however many lie between.
    pub(crate) fn unbounded() -> Self {
        Self {
            seen: Seen::unbounded(),
            ..Self::default()
        }
    }

    /// Records without evidence so far, in the order they came. They are to be judged again with later evidence.
    #[must_use]
    pub fn take_open(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.open)
    }

    /// The same, left where they are.
    #[must_use]
    pub fn open(&self) -> &[Record] {
        &self.open
    }

    /// Records that have their end.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.account.accepted
    }

    /// Whether everything that was entered so far holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.account.unaccounted + self.checks.broken() + self.keys.broken() == 0
    }

    /// Until when everything has its end and holds, once all that arrived before `until_ms` (ms since 1970-01-01T00:00:00Z) was
    /// entered: what is open, pending or can still be redriven has to be looked at again. `None`: something does not hold.
    #[must_use]
    pub fn done_until_ms(&self, until_ms: i64) -> Option<i64> {
        let open = self.open.iter().map(|record| record.arrival_ms);
        let oldest = open.chain(self.oldest_dead_ms).min();
        self.holds()
            .then(|| oldest.map_or(until_ms, |oldest_ms| oldest_ms.min(until_ms)))
    }

    /// Notes what labels say, and what is to be said.
    pub(crate) fn take_said(&mut self, keys: &mut KeyAudit) {
        self.said.extend(keys.said.drain());
        self.suspected.append(&mut keys.suspected);
    }

    /// Notes when the first record of a slice arrived.
    pub(crate) fn begins(&mut self, first_ms: Option<i64>) {
        self.first_ms = self.first_ms.into_iter().chain(first_ms).min();
    }

    /// Names labels that no record says, of events of the range: an event that is older may have got its labels before.
    fn name_suspected(&mut self) {
        let begins_ms = self.first_ms.unwrap_or(i64::MAX).saturating_add(AHEAD_MS_MAX);
        for suspected in std::mem::take(&mut self.suspected) {
            if suspected.time_ms >= begins_ms && !self.said.contains(&suspected.said) {
                let is_new = self.breaks.insert(Break {
                    invariant: Invariant::CountsOnce,
                    what: suspected.what,
                });
                self.keys.forged += u64::from(is_new);
            }
        }
    }

    /// What was found.
    #[must_use]
    pub fn judgement(mut self) -> Judgement {
        self.name_suspected();
        Judgement {
            holds: self.holds() && self.account.accepted > 0,
            account: self.account,
            outcomes: self.checks,
            keys: self.keys,
            cards: self.cards,
            breaks: self.breaks.into_iter().collect(),
        }
    }

    pub(crate) const fn seen(&mut self) -> &mut Seen {
        &mut self.seen
    }

    pub(crate) fn keep_open(&mut self, record: Record) {
        self.open.push(record);
    }

    pub(crate) fn enter(&mut self, record: &Record, finding: Finding) {
        if matches!(finding, Finding::DeadLettered | Finding::Pending) {
            let oldest = self.oldest_dead_ms.into_iter().chain([record.arrival_ms]).min();
            self.oldest_dead_ms = oldest;
        }
        self.account.take(record, finding);
    }

    /// Adds what a slice's outcomes, keys and cards showed.
    pub(crate) fn add(&mut self, checks: &OutcomeChecks, keys: &KeyChecks, cards: u64, breaks: BTreeSet<Break>) {
        self.checks.add(checks);
        self.keys.add(keys);
        self.cards += cards;
        for what in self.account.unaccounted_because.drain(..) {
            self.breaks.insert(Break {
                invariant: Invariant::NothingLost,
                what,
            });
        }
        self.breaks.extend(breaks);
        while self.breaks.len() > 2 * BREAKS_MAX {
            self.breaks.pop_last();
        }
    }
}
