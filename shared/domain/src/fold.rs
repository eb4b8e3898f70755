//! Applying an event to a card's state: the fold that every path (live, redrive, file) goes through.
//!
//! A state is the fold of its distinct accepted events in their order of arrival (I2). A duplicate changes nothing and
//! finds its stored outcome (I3); an event that can't be told from a duplicate any more is refused.

use crate::card::{CardState, Entry};
use crate::control::OverrideAction;
use crate::event::{Label, Transaction};
use crate::id::fingerprint32;
use crate::policy::Policy;
use crate::refusal::{Refusal, RefusalCode};
use crate::score::{ProfileInput, base_amount, score};

/// What a transaction did to its card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It counts now.
    Scored {
        /// Where it is in the card's entries.
        index: usize,
    },
    /// It counted already; the state is as it was.
    Duplicate {
        /// Where it is in the card's entries.
        index: usize,
    },
    /// The card's history can't take it; the state is as it was.
    Refused(Refusal),
}

/// What a label did to its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelApplied {
    /// It is kept with its event now.
    Recorded,
    /// The same one, or a more recent one, was kept already; the state is as it was.
    Already,
    /// The card's history does not hold its event; the state is as it was.
    UnknownEvent,
}

/// Scores a transaction as of its own event time and puts it where that time belongs.
///
/// In this order: a duplicate (same id and same event time) is found; what lies at or below the card's floor, or at or
/// beyond the policy's dedupe horizon behind the card's newest event, is refused; the event is scored on the history at
/// or before its time; it is inserted after those of equal time; what is older than the policy's retention is dropped;
/// what is over the limits of events and bytes is dropped from the oldest on, and counted. An event that would have to
/// be dropped at once is refused instead, since nothing would know its duplicate.
pub fn apply_transaction(
    state: &mut CardState,
    tx: &Transaction,
    profile: ProfileInput<'_>,
    policy: &Policy,
) -> Applied {
    apply_overridden(state, tx, profile, policy, None)
}

/// As [`apply_transaction`]; where an override is given, it makes the decision if the event counts now.
pub fn apply_overridden(
    state: &mut CardState,
    tx: &Transaction,
    profile: ProfileInput<'_>,
    policy: &Policy,
    decided: Option<OverrideAction>,
) -> Applied {
    let time_ms = tx.occurred_at_ms;
    let event_fp = fingerprint32(tx.event_id.as_str());
    let at = state.entries.partition_point(|entry| entry.time_ms <= time_ms);
    let same_time = state.entries[..at]
        .iter()
        .rev()
        .take_while(|entry| entry.time_ms == time_ms);
    if let Some(back) = same_time
        .enumerate()
        .find_map(|(back, entry)| (entry.event_fp == event_fp).then_some(back))
    {
        return Applied::Duplicate { index: at - 1 - back };
    }
    if state.floor_ms.is_some_and(|floor_ms| time_ms <= floor_ms) {
        return beyond("occurred_at_ms: before the history that this card keeps");
    }
    let newest_ms = state.entries.last().map_or(time_ms, |entry| entry.time_ms.max(time_ms));
    if time_ms <= newest_ms.saturating_sub(policy.dedupe_horizon_ms) {
        return beyond("occurred_at_ms: further behind the card's newest event than the dedupe horizon");
    }
    let mut outcome = score(state, tx, profile, policy);
    if let Some(action) = decided {
        outcome.override_by(action);
    }
    let entry = new_entry(state, tx, event_fp, outcome, policy);
    let aged_ms = newest_ms.saturating_sub(policy.retention_ms());
    match state.insert(at, entry, aged_ms, policy.head_events_max) {
        Some(index) => Applied::Scored { index },
        None => beyond("occurred_at_ms: older than everything that this card's full head keeps"),
    }
}

/// Keeps a label with the event it speaks of.
///
/// Of two labels the one that is known since later wins; known since the same time, `cleared` wins over `fraud`. So the
/// order in which labels arrive does not matter. Of several events with one id the latest is meant.
/// An outcome never changes by a label.
pub fn apply_label(state: &mut CardState, label: &Label) -> LabelApplied {
    let event_fp = fingerprint32(label.event_id.as_str());
    let found = state.entries.iter_mut().rev().find(|entry| entry.event_fp == event_fp);
    let Some(entry) = found else {
        return LabelApplied::UnknownEvent;
    };
    let rank = |verdict, known_since_ms| (known_since_ms, verdict as u8);
    let is_newer = entry
        .label
        .is_none_or(|(verdict, since_ms)| rank(verdict, since_ms) < rank(label.verdict, label.known_since_ms));
    if !is_newer {
        return LabelApplied::Already;
    }
    entry.label = Some((label.verdict, label.known_since_ms));
    LabelApplied::Recorded
}

fn beyond(detail: &str) -> Applied {
    Applied::Refused(Refusal::new(RefusalCode::BeyondHorizon, detail))
}

fn new_entry(
    state: &CardState,
    tx: &Transaction,
    event_fp: u32,
    outcome: crate::outcome::StoredOutcome,
    policy: &Policy,
) -> Entry {
    Entry {
        time_ms: tx.occurred_at_ms,
        seq: state.next_seq,
        event_fp,
        amount_base_minor: base_amount(tx, policy).0,
        merchant_fp: fingerprint32(tx.merchant_id.as_str()),
        country: tx.country,
        device_fp: tx.device_id.as_ref().map(|device| fingerprint32(device.as_str())),
        place: tx.place,
        approved: tx.approved,
        outcome,
        label: None,
    }
}
