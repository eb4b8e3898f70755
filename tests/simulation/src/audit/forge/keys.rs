//! What is forged in the items of keys.

use reconcile::{Claim, Record};
use tidemark_domain::event::Verdict;
use tidemark_domain::history::Entry;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory, event_identity};
use tidemark_engine::port::KeyId;

use super::{Forgery, LOOKS_MAX};
use crate::audit::Inputs;
use crate::dice::Dice;

/// A fraud of an event whose record is in the range, as its key holds it and its card says, with the name of the label's record.
struct Found {
    key: KeyId,
    label: LabelledEvent,
    record: String,
}

/// The entry that a card has of a label's event, where it has one with that label.
fn entry_of(inputs: &Inputs, record: &Record) -> Option<Entry> {
    let Claim::Label {
        card_id,
        event_id,
        verdict,
        known_since_ms,
        ..
    } = &record.claim
    else {
        return None;
    };
    let state = inputs.cards.get(card_id)?.whole_state().ok().flatten()?;
    let entries: Vec<Entry> = state
        .all_entries()
        .into_iter()
        .filter(|entry| entry.mark().has_id(event_id))
        .cloned()
        .collect();
    let [entry] = entries.as_slice() else { return None };
    (entry.label == Some((*verdict, *known_since_ms))).then(|| entry.clone())
}

/// A fraud that a key has to hold: of the last label of an event that its card knows.
fn any_fraud(inputs: &Inputs, dice: &mut Dice) -> Option<Found> {
    let is_fraud = |record: &&Record| {
        matches!(
            &record.claim,
            Claim::Label {
                verdict: Verdict::Fraud,
                ..
            }
        )
    };
    let labels: Vec<&Record> = inputs.records.iter().filter(is_fraud).collect();
    let from = usize::try_from(dice.below(labels.len().max(1) as u64)).ok()?;
    (0..labels.len().min(LOOKS_MAX))
        .map(|step| labels[(from + step * 7) % labels.len()])
        .find_map(|record| {
            let Claim::Label {
                card_id,
                event_id,
                known_since_ms,
                ..
            } = &record.claim
            else {
                return None;
            };
            let in_queue = inputs
                .quarantined
                .iter()
                .any(|note| note.sequence_number == *record.sequence_number && note.shard_id == *record.shard_id);
            let is_elsewhere = in_queue
                || inputs.dead.iter().any(|range| range.holds(record))
                || inputs.unrecoverable.iter().any(|(range, _)| range.holds(record));
            let entry = entry_of(inputs, record).filter(|_| !is_elsewhere)?;
            let is_its = |record: &Record| {
                record.event().is_some_and(|event| {
                    event.card_id == *card_id && event.event_id == *event_id && event.occurred_at_ms == entry.time_ms
                })
            };
            if !inputs.records.iter().any(is_its) {
                return None;
            }
            let terms = inputs.keys_in_force.since(record.arrival_ms);
            let terms = terms.iter().find(|terms| terms.name.as_str() == "terminal")?;
            let key = KeyId {
                name: terms.name,
                identity: entry.merchant_identity()?,
            };
            let history = LabelledHistory::decode(inputs.keys.get(&key)?).ok()?;
            let event = event_identity(card_id, event_id);
            let of_event = history.of_event((entry.time_ms, event));
            let label = of_event
                .iter()
                .find(|label| label.known_since_ms == *known_since_ms && label.verdict == Verdict::Fraud)?;
            Some(Found {
                key,
                label: *label,
                record: record.name(),
            })
        })
}

/// Takes a label away, changes it, or adds one; what the audit has to name.
pub(super) fn label_forged(inputs: &mut Inputs, forgery: Forgery, dice: &mut Dice) -> Option<String> {
    let found = any_fraud(inputs, dice)?;
    let old = LabelledHistory::decode(inputs.keys.get(&found.key)?).ok()?;
    let mut new = LabelledHistory::default();
    let of_event = |label: &LabelledEvent| label.event_key() == found.label.event_key();
    let is_it = |label: &LabelledEvent| {
        of_event(label) && label.known_since_ms == found.label.known_since_ms && label.verdict == Verdict::Fraud
    };
    let is_forged = forgery == Forgery::KeyLabelForged;
    for label in old.labels() {
        // What says less of the same label goes with it.
        if !is_it(label) || forgery == Forgery::KeyLabelInvented {
            let _ = new.add(*label);
        }
    }
    let twisted = LabelledEvent {
        // Known since later than its card says: as if nobody had known it for a while.
        known_since_ms: found.label.known_since_ms + 1 + i64::try_from(dice.below(1_000)).unwrap_or(0),
        ..found.label
    };
    let name = match forgery {
        Forgery::KeyLabelRemoved => found.record,
        _ if is_forged => {
            let _ = new.add(twisted);
            found.key.to_string()
        }
        _ => {
            let (time_ms, event) = unlabelled(inputs)?;
            let _ = new.add(LabelledEvent {
                time_ms,
                event,
                ..twisted
            });
            found.key.to_string()
        }
    };
    inputs.keys.insert(found.key, new.encode());
    Some(name)
}

/// An event of the range that no label speaks of, and that its card holds without one.
fn unlabelled(inputs: &Inputs) -> Option<(i64, u64)> {
    inputs.records.iter().rev().filter_map(Record::event).find_map(|event| {
        let state = inputs.cards.get(&event.card_id)?.whole_state().ok().flatten()?;
        let mut entries = state.all_entries().into_iter();
        let is_bare =
            |entry: &Entry| entry.mark().is_of(&event.event_id, event.occurred_at_ms) && entry.label.is_none();
        entries
            .any(is_bare)
            .then(|| (event.occurred_at_ms, event_identity(&event.card_id, &event.event_id)))
    })
}

/// A key's item that is gone, or of which a byte is lost.
pub(super) fn key_forged(inputs: &mut Inputs, forgery: Forgery, dice: &mut Dice) -> Option<String> {
    let found = any_fraud(inputs, dice)?;
    if forgery == Forgery::KeyLost {
        inputs.keys.remove(&found.key);
        return Some(found.record);
    }
    inputs.keys.get_mut(&found.key)?.pop();
    Some(found.key.to_string())
}
