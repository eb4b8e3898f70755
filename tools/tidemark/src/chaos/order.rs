//! The order in which records were applied when some of them went through the dead-letter queue.
//!
//! Live, a card's events apply in stream order. What a batch that was given up left undone is applied by the redrive, so
//! after everything live, in stream order again: a redrive reads the letters of a shard in one walk (as many letters as one
//! group holds). The recomputation needs that order: an event's score is as
//! of its own event time, over the events that the card had when it was applied.

use std::collections::HashMap;

use tidemark_domain::contract::Bounds;

use crate::account::{Accepted, Claim, Evidence, Record, has_taken_effect};
use crate::oracle::ActualOutcome;

/// Orders records, given in stream order, by when they were applied. `before` is the evidence after the live traffic and
/// before the redrive.
#[must_use]
pub fn as_applied(records: Vec<Accepted>, before: &Evidence, bounds: &Bounds) -> Vec<Accepted> {
    let claimed: Vec<Record> = records.iter().map(|record| Record::of(record, bounds)).collect();
    let copies = Copies::of(&claimed, before);
    let mut live = Vec::with_capacity(records.len());
    let mut redriven = Vec::new();
    for (place, record) in records.into_iter().enumerate() {
        let given_up = before.dead.iter().any(|range| range.holds(&claimed[place]));
        if given_up && !applied_live(place, &claimed, before, &copies) {
            redriven.push(record);
        } else {
            live.push(record);
        }
    }
    live.extend(redriven);
    live
}

/// Whether a record of a range that was given up had been applied before that, at its own place.
fn applied_live(place: usize, records: &[Record], before: &Evidence, copies: &Copies<'_>) -> bool {
    let record = &records[place];
    if before.refusal_of(record).is_some() {
        return true;
    }
    match &record.claim {
        Claim::Transaction {
            card_id,
            event_id,
            time_ms,
        } => {
            let in_state = || {
                let facts = before.cards.get(&**card_id);
                facts.is_some_and(|facts| facts.has_event(event_id, *time_ms))
            };
            (before.outcomes.contains_key(&**event_id) || in_state()) && !copies.a_later_one_was_first(place, records)
        }
        Claim::Profile { .. } | Claim::Label { .. } => has_taken_effect(record, before),
        // Refused, and not in quarantine yet: it has no effect wherever it stands.
        Claim::Refused => true,
    }
}

/// Which records carry the same event, and when each event was applied among those of its card.
struct Copies<'e> {
    /// Places that no message holds, by event id, in stream order.
    live: HashMap<&'e str, Vec<usize>>,
    /// Events of the card before it, by event id.
    applied_as: HashMap<String, u64>,
}

impl<'e> Copies<'e> {
    fn of(records: &'e [Record], before: &Evidence) -> Self {
        let mut live: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, record) in records.iter().enumerate() {
            if let Some(event_id) = record.event_id()
                && !before.dead.iter().any(|range| range.holds(record))
            {
                live.entry(event_id).or_default().push(place);
            }
        }
        let parsed = before.outcomes.iter().filter_map(|(id, outcome)| {
            let outcome: ActualOutcome = serde_json::from_slice(&outcome.bytes).ok()?;
            Some((id.clone(), outcome.state_version))
        });
        Self {
            live,
            applied_as: parsed.collect(),
        }
    }

    /// Whether the event at `place`, whose record was given up, was applied by a copy that came later in the stream: some
    /// live event of the card between the two was applied before it.
    fn a_later_one_was_first(&self, place: usize, records: &[Record]) -> bool {
        let own = &records[place];
        let Some(own_id) = own.event_id() else { return false };
        let later = self.live.get(own_id).into_iter().flatten();
        let Some(later) = later.copied().find(|at| *at > place) else {
            return false;
        };
        let Some(own_as) = self.applied_as.get(own_id) else {
            return false;
        };
        records[place + 1..later].iter().any(|other| {
            let other_as = other.event_id().and_then(|id| self.applied_as.get(id));
            other.card_id() == own.card_id() && other_as.is_some_and(|other_as| other_as < own_as)
        })
    }
}
