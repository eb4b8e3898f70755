//! Applying an event to a card's state: the fold that every path (live, redrive, file) goes through.
//!
//! A state is the fold of its distinct accepted events in their order of arrival (I2). A duplicate changes nothing and
//! finds its stored outcome (I3); an event that can't be told from a duplicate any more is refused.

mod label;

use crate::event::Transaction;
use crate::history::sealed::{HeadLimits, Seal, SegmentKey};
use crate::history::{Entry, Found, History, HistoryKey, UNPRICED, high, low};
use crate::measure::{Observed, Sweep};
use crate::model::{Inputs, judge};
use crate::outcome::{OverrideAction, StoredOutcome};
use crate::policy::Policy;
use crate::refusal::{Refusal, RefusalCode};

pub use label::{LabelAnswer, Taught, fold_label};

/// What a transaction did to its card.
#[derive(Clone, Debug, PartialEq)]
pub enum FoldAnswer {
    /// It counts now.
    Scored {
        /// What the card keeps of it.
        entry: Box<Entry>,
    },
    /// It counted already; the state is as it was.
    Duplicate {
        /// What the card keeps of it.
        entry: Box<Entry>,
    },
    /// The card's history can't take it; the state is as it was.
    Refused(Refusal),
    /// The fold can't decide without these segments. The state is unchanged: once it has them, the same call goes further.
    NeedsSegments(Vec<SegmentKey>),
}

/// Scores a transaction as of its own event time and puts it where that time belongs.
///
/// In this order: a duplicate (same id and same event time: [`HistoryKey`]) is found, in the head or in a sealed segment; what lies at or
/// below the card's floor, or at or beyond the policy's dedupe horizon behind the card's newest event (for an import, at or beyond its
/// retention), is refused; the
/// event is scored on the history at or before its time; it is inserted after those of equal time; what is older than the
/// policy's retention is dropped; what is over the limits of events and bytes is sealed from the oldest on.
///
/// Which segments that takes follows from the state, the event and the policy alone, and so does what is made of them:
/// whatever else is at hand, the outcome is the same.
pub fn fold_transaction<'a>(
    state: &mut History,
    tx: &Transaction,
    inputs: impl Into<Inputs<'a>>,
    policy: &Policy,
) -> FoldAnswer {
    fold_overridden(state, tx, inputs, policy, None)
}

/// As [`fold_transaction`]; where an override is given, it makes the decision if the event counts now, and otherwise a list of the policy
/// that overrides the card's decisions.
pub fn fold_overridden<'a>(
    state: &mut History,
    tx: &Transaction,
    inputs: impl Into<Inputs<'a>>,
    policy: &Policy,
    decided: Option<OverrideAction>,
) -> FoldAnswer {
    let event = Observed::new(tx, policy);
    let time_ms = event.key.time_ms;
    let newest_ms = state.newest_ms().map_or(time_ms, |newest_ms| newest_ms.max(time_ms));
    let aged_ms = newest_ms.saturating_sub(policy.retention_ms());
    match find(state, event.key, aged_ms) {
        Found::Here(entry) => {
            let entry = Box::new(entry.clone());
            return FoldAnswer::Duplicate { entry };
        }
        Found::Needs(keys) => return FoldAnswer::NeedsSegments(keys),
        Found::Nowhere => {}
    }
    if state.floor_ms.is_some_and(|floor_ms| time_ms <= floor_ms) {
        return beyond("occurred_at_ms: before the history that this card keeps");
    }
    if time_ms <= newest_ms.saturating_sub(policy.reach_ms()) {
        return beyond(if policy.takes_history {
            "occurred_at_ms: further behind the card's newest event than anything is kept"
        } else {
            "occurred_at_ms: further behind the card's newest event than the dedupe horizon"
        });
    }
    let seal = state.seal_next(HeadLimits {
        events_max: policy.head_events_max,
        bytes_max: policy.head_bytes_max,
    });
    let sweep = Sweep::new(&event, event.judge);
    let keys = needed(state, &sweep, event.key, seal);
    if !keys.is_empty() {
        return FoldAnswer::NeedsSegments(keys);
    }
    let inputs = inputs.into().used_for(&event);
    let measured = sweep.measure(state, inputs.profile.known(), inputs.keys);
    let mut outcome = judge(&event, inputs, &measured);
    if let Some(action) = decided.or_else(|| policy.lists.decided(&tx.card_id, time_ms)) {
        outcome.override_by(action);
    }
    let entry = new_entry(&event, state.next_seq, outcome);
    match state.insert(entry, aged_ms, seal) {
        Some(entry) => FoldAnswer::Scored { entry },
        // The search went the same way, so that everything on it is at hand.
        None => beyond("occurred_at_ms: among sealed events that are not at hand"),
    }
}

/// Segments without which an event can be neither scored nor kept, each once.
fn needed(state: &History, sweep: &Sweep<'_>, key: HistoryKey, seal: Seal) -> Vec<SegmentKey> {
    if state.sealed.is_empty() {
        return Vec::new();
    }
    let mut keys = sweep.unread(state);
    keys.extend(state.unread_for_insert(key.order(), seal));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Segments that the policy's windows need for an event and that are not at hand: those that an edge of a window divides,
/// and those that hold more merchants, countries or devices than their sums name, where features are made of these.
/// Empty for every card without sealed segments.
#[must_use]
pub fn segments_of_windows(state: &History, tx: &Transaction, policy: &Policy) -> Vec<SegmentKey> {
    if state.sealed.is_empty() {
        return Vec::new();
    }
    let event = Observed::new(tx, policy);
    Sweep::new(&event, event.judge).unread(state)
}

/// The entry of an event. Sealed ones at or before `aged_ms` count as dropped.
fn find(state: &History, key: HistoryKey, aged_ms: i64) -> Found<&Entry> {
    let at = state.entries.partition_point(|entry| entry.time_ms <= key.time_ms);
    let same_time = state.entries[..at]
        .iter()
        .rev()
        .take_while(|entry| entry.time_ms == key.time_ms);
    if let Some(entry) = same_time.into_iter().find(|entry| key.matches(entry)) {
        return Found::Here(entry);
    }
    if key.time_ms > aged_ms && state.is_sealed(key.order()) {
        state.find_sealed(key)
    } else {
        Found::Nowhere
    }
}

fn beyond(detail: &str) -> FoldAnswer {
    FoldAnswer::Refused(Refusal::new(RefusalCode::BeyondHorizon, detail))
}

fn new_entry(event: &Observed<'_>, seq: u64, outcome: StoredOutcome) -> Entry {
    let (tx, key) = (event.tx, event.key);
    Entry {
        links: event.links.clone(),
        category: event.category,
        time_ms: key.time_ms,
        seq,
        event_fp: low(key.fingerprint),
        event_fp_high: Some(high(key.fingerprint)),
        amount_base_minor: event.amount.unwrap_or(UNPRICED),
        merchant_fp: event.merchant_fp,
        merchant_fp_high: event.merchant_fp_high,
        country: tx.country,
        device_fp: event.device_fp,
        device_fp_high: event.device_fp_high,
        place: tx.place,
        approved: tx.approved,
        outcome,
        label: None,
    }
}
