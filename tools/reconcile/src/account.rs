//! The account (I1): every record that the stream accepted, and where it ended.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::dead::DeadLetters;
use crate::evidence::{Effect, Evidence};
use crate::record::{Claim, Record};
use crate::seen::Seen;

/// At most so many records without evidence are named.
pub const EXAMPLES_MAX: usize = 1_000;

/// The account: `accepted` is the sum of all ends that follow it, or something is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Records that the stream accepted; each of those in an aggregated record counts.
    pub accepted: u64,
    /// Transactions whose first record counts: it got an outcome, or its card's history holds it.
    pub scored: u64,
    /// Of these, transactions that only their cards' histories show: their outcomes were withheld, or are no longer kept.
    pub by_history: u64,
    /// Further records of an event that counted once.
    pub duplicate: u64,
    /// Profiles and labels that stand in the table.
    pub applied: u64,
    /// Labels of events that their cards' histories no longer hold, and events without an outcome (it was withheld, or is no
    /// longer kept) that have left their cards' histories: nothing can show them any more.
    pub no_longer_shown: u64,
    /// Records in quarantine, by reason code.
    pub quarantined: BTreeMap<String, u64>,
    /// Records that wait in the dead-letter queue.
    pub dead_lettered: u64,
    /// Records in the unrecoverable queue, by reason.
    pub unrecoverable: BTreeMap<String, u64>,
    /// Records without evidence that are too young for it.
    pub pending: u64,
    /// Records without evidence: 0, or invariant I1 is broken.
    pub unaccounted: u64,
    /// The first of those without evidence, by name.
    pub unaccounted_examples: Vec<String>,
    /// The same with what is known of them, in sentences.
    #[serde(skip)]
    pub unaccounted_because: Vec<String>,
}

/// What a reconciliation finds of one record: its end, or what there is in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Scored {
        by_history: bool,
    },
    Duplicate,
    Applied,
    NoLongerShown,
    Quarantined(String),
    DeadLettered,
    Unrecoverable(String),
    Pending,
    /// And what is known of it.
    Nowhere(String),
}

impl Account {
    /// Counts records, given in stream order, by their evidence.
    #[must_use]
    pub fn of(records: impl Iterator<Item = impl Borrow<Record>>, evidence: &Evidence) -> Self {
        let mut account = Self::default();
        let mut seen = Seen::unbounded();
        let dead = DeadLetters::of(&evidence.dead);
        for record in records {
            let record = record.borrow();
            let effect = evidence.effect_of(record);
            account.take(record, finding_of(record, effect, evidence, &dead, &mut seen));
        }
        account
    }

    pub(crate) fn take(&mut self, record: &Record, finding: Finding) {
        self.accepted += 1;
        match finding {
            Finding::Scored { by_history } => {
                self.scored += 1;
                self.by_history += u64::from(by_history);
            }
            Finding::Duplicate => self.duplicate += 1,
            Finding::Applied => self.applied += 1,
            Finding::NoLongerShown => self.no_longer_shown += 1,
            Finding::Quarantined(code) => *self.quarantined.entry(code).or_default() += 1,
            Finding::DeadLettered => self.dead_lettered += 1,
            Finding::Unrecoverable(reason) => *self.unrecoverable.entry(reason).or_default() += 1,
            Finding::Pending => self.pending += 1,
            Finding::Nowhere(known) => {
                self.unaccounted += 1;
                if self.unaccounted_examples.len() < EXAMPLES_MAX {
                    let name = record.name();
                    self.unaccounted_because.push(format!("record {name} {known}"));
                    self.unaccounted_examples.push(name);
                }
            }
        }
    }

    /// Records in quarantine, all reasons together.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Records in the unrecoverable queue, all reasons together.
    #[must_use]
    pub fn unrecoverable_total(&self) -> u64 {
        self.unrecoverable.values().sum()
    }
}

/// What is found of a record. `seen` are the claims of those before it that took effect.
pub(crate) fn finding_of(
    record: &Record,
    effect: Effect,
    evidence: &Evidence,
    dead: &DeadLetters<'_>,
    seen: &mut Seen,
) -> Finding {
    if let Some(code) = evidence.quarantined.refusal_of(record) {
        return Finding::Quarantined(code.to_owned());
    }
    match effect {
        Effect::Shown | Effect::InHistory => return taken(record, effect, seen),
        Effect::NotSent | Effect::NoLongerShown | Effect::Untaught(_) | Effect::Absent => {}
    }
    if dead.hold(record) {
        return Finding::DeadLettered;
    }
    let reason = evidence.unrecoverable.iter().find(|(range, _)| range.holds(record));
    if let Some((_, reason)) = reason {
        return Finding::Unrecoverable(reason.clone());
    }
    let is_young = |from_ms| record.arrival_ms >= from_ms;
    if evidence.pending_from_ms.is_some_and(is_young) {
        return Finding::Pending;
    }
    match (effect, evidence.quarantined.cut(record)) {
        (_, Some((found, parts))) => Finding::Nowhere(format!(
            "is in quarantine in part: {found} of its {parts} messages"
        )),
        (Effect::NoLongerShown, None) => Finding::NoLongerShown,
        (Effect::Untaught(key), None) => Finding::Nowhere(format!(
            "has not its end: its card knows it, and the key {key} does not have it"
        )),
        (Effect::NotSent, None) => Finding::Nowhere(
            "counts in its card's stored history, but its outcome is not in the scores stream, and it is in no queue".to_owned(),
        ),
        (_, None) if record.beyond_bounds.is_some() => Finding::Nowhere(
            "is nowhere: the policy in force when it arrived refuses it, it is not in quarantine, and nothing shows that it counted afterwards".to_owned(),
        ),
        (_, None) => Finding::Nowhere("is nowhere: no outcome, no effect, in no queue".to_owned()),
    }
}

fn taken(record: &Record, effect: Effect, seen: &mut Seen) -> Finding {
    let claim = record.widest_claim();
    let is_first = seen.insert(claim);
    match (claim, is_first) {
        (_, false) => Finding::Duplicate,
        (Claim::Transaction(_), true) => Finding::Scored {
            by_history: effect == Effect::InHistory,
        },
        (_, true) => Finding::Applied,
    }
}
