//! Applying a label: it is kept with the event it speaks of, and teaches the keys of that event.

use crate::event::{Label, Verdict};
use crate::history::sealed::SegmentKey;
use crate::history::{Entry, Found, History, HistoryKey};
use crate::id::fingerprint64;
use crate::labelled::{LabelledEvent, event_identity};
use crate::policy::{KeyField, Policy};

/// What a label did to its card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelAnswer {
    /// It is kept with its event now.
    Recorded(Taught),
    /// The same one, or a more recent one, was kept already; the state is as it was.
    Already(Taught),
    /// The card has forgotten the event, but the label says enough of it to teach its keys. The state is as it was.
    Forgotten(Taught),
    /// The card's history does not hold its event; the state is as it was.
    UnknownEvent,
    /// The fold can't decide without these segments. The state is unchanged: once it has them, the same call goes further.
    NeedsSegments(Vec<SegmentKey>),
}

/// What a label teaches the keys of its event. Whether the card knew the label already does not matter: a crash may lie between the
/// card's write and those of its keys, and a key takes no label twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taught {
    /// The keys that the event is known to name, each once: the member that names it, and `fingerprint64` of its id.
    named: Vec<(KeyField, u64)>,
    /// The labels, at most two: the one that came, and the one that the card has. None where a card that knew of no fraud learns that
    /// its event is cleared. A key takes one that says `cleared` only where a label called its event fraud
    /// ([`LabelledHistory::learn`](crate::labelled::LabelledHistory::learn)): a card that has one already can't say whether it took a
    /// fraud's place.
    pub labels: Vec<LabelledEvent>,
}

impl Taught {
    /// The identity that the event has for a key of this field; `None`: it names none, or that is not known.
    #[must_use]
    pub fn identity(&self, field: KeyField) -> Option<u64> {
        let found = self.named.iter().find(|(other, _)| *other == field);
        found.map(|(_, identity)| *identity)
    }

    fn of_entry(entry: &Entry, label: &Label, kept: Option<(Verdict, i64)>) -> Self {
        let event = event_identity(&label.card_id, &label.event_id);
        let one = |(verdict, known_since_ms)| LabelledEvent {
            time_ms: entry.time_ms,
            event,
            known_since_ms,
            verdict,
            explained: Some(entry.outcome.explained),
        };
        // What the card knows goes before what the label says.
        let mut named: Vec<(KeyField, u64)> = KeyField::kept_in(entry).collect();
        for (field, identity) in KeyField::named_by(label) {
            if named.iter().all(|(known, _)| *known != field) {
                named.push((field, identity));
            }
        }
        Self {
            named,
            labels: each_once([Some((label.verdict, label.known_since_ms)), kept].map(|found| found.map(one))),
        }
    }

    /// Of an event without a label before: one that says `cleared` takes nothing back.
    fn newly(mut self, kept: Option<(Verdict, i64)>) -> Self {
        if kept.is_none() {
            self.labels.retain(|label| label.verdict == Verdict::Fraud);
        }
        self
    }

    /// Of a label that says of which event it is.
    fn of_label(label: &Label, time_ms: i64) -> Self {
        let one = LabelledEvent {
            time_ms,
            event: event_identity(&label.card_id, &label.event_id),
            known_since_ms: label.known_since_ms,
            verdict: label.verdict,
            explained: None,
        };
        Self {
            named: KeyField::named_by(label).collect(),
            labels: vec![one],
        }
    }
}

fn each_once(labels: [Option<LabelledEvent>; 2]) -> Vec<LabelledEvent> {
    let mut labels: Vec<LabelledEvent> = labels.into_iter().flatten().collect();
    labels.dedup();
    labels
}

/// Keeps a label with the event it speaks of.
///
/// Of two labels the one that is known since later wins; known since the same time, `cleared` wins over `fraud`. So the
/// order in which labels arrive does not matter. Of several events with one id the one at the time that the label names is meant, or
/// else the latest. Among sealed events only the newest [`LABEL_LEAVES_MAX`](crate::history::sealed::LABEL_LEAVES_MAX) leaves are
/// searched by id alone, and none that is older than the policy's retention.
/// An outcome never changes by a label.
pub fn fold_label(state: &mut History, label: &Label, policy: &Policy) -> LabelAnswer {
    let fingerprint = fingerprint64(label.event_id.as_str());
    let is_meant =
        |entry: &Entry| entry.is_of(fingerprint) && label.occurred_at_ms.is_none_or(|time_ms| entry.time_ms == time_ms);
    if let Some(entry) = state.entries.iter_mut().rev().find(|entry| is_meant(entry)) {
        let taught = Taught::of_entry(entry, label, entry.label);
        if !is_newer(entry, label) {
            return LabelAnswer::Already(taught);
        }
        let kept = entry.label.replace((label.verdict, label.known_since_ms));
        state.size.forget();
        return LabelAnswer::Recorded(taught.newly(kept));
    }
    match fold_sealed_label(state, label, fingerprint, policy) {
        LabelAnswer::UnknownEvent => forgotten(state, label, policy),
        applied => applied,
    }
}

fn fold_sealed_label(state: &mut History, label: &Label, fingerprint: u64, policy: &Policy) -> LabelAnswer {
    let newest_ms = state.newest_ms().unwrap_or(i64::MIN);
    let aged_ms = newest_ms.saturating_sub(policy.retention_ms());
    let key = match label.occurred_at_ms {
        Some(time_ms) if time_ms <= aged_ms => return LabelAnswer::UnknownEvent,
        Some(time_ms) => HistoryKey { time_ms, fingerprint },
        None => match state.find_id(fingerprint, aged_ms) {
            Found::Here(key) => key,
            Found::Nowhere => return LabelAnswer::UnknownEvent,
            Found::Needs(keys) => return LabelAnswer::NeedsSegments(keys),
        },
    };
    let (taught, kept, is_newer) = match state.find_sealed(key) {
        Found::Here(entry) => (
            Taught::of_entry(entry, label, entry.label),
            entry.label,
            is_newer(entry, label),
        ),
        Found::Nowhere => return LabelAnswer::UnknownEvent,
        Found::Needs(keys) => return LabelAnswer::NeedsSegments(keys),
    };
    if !is_newer {
        return LabelAnswer::Already(taught);
    }
    let known = Some((label.verdict, label.known_since_ms));
    match state.change_sealed(key, &|entry| entry.label = known) {
        Some(()) => LabelAnswer::Recorded(taught.newly(kept)),
        None => LabelAnswer::UnknownEvent,
    }
}

/// What a label teaches whose event is too old for its card to know it still. One that could be known is not taken for forgotten: it
/// may come yet, and then it has a card.
fn forgotten(state: &History, label: &Label, policy: &Policy) -> LabelAnswer {
    let Some(time_ms) = label.occurred_at_ms else {
        return LabelAnswer::UnknownEvent;
    };
    let newest_ms = state.newest_ms().unwrap_or(i64::MIN).max(label.known_since_ms);
    let is_aged = time_ms <= newest_ms.saturating_sub(policy.retention_ms());
    let taught = Taught::of_label(label, time_ms);
    // Where it teaches no key, nothing at all would become of it.
    let is_of_use = policy.keys.iter().any(|key| taught.identity(key.field).is_some());
    if is_of_use && (is_aged || state.floor_ms.is_some_and(|floor_ms| time_ms <= floor_ms)) {
        LabelAnswer::Forgotten(taught)
    } else {
        LabelAnswer::UnknownEvent
    }
}

/// Whether a label outranks the one that its event has.
fn is_newer(entry: &Entry, label: &Label) -> bool {
    let rank = |verdict, known_since_ms| (known_since_ms, verdict as u8);
    entry
        .label
        .is_none_or(|(verdict, since_ms)| rank(verdict, since_ms) < rank(label.verdict, label.known_since_ms))
}
