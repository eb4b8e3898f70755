//! The order in which records were applied when some of them went through the dead-letter queue.
//!
//! Live, a card's events apply in stream order. What a batch that was given up left undone is applied by the redrive, so
//! after everything live, in the order of the queue's messages. The recomputation needs that order: an event's score is as
//! of its own event time, over the events that the card had when it was applied.

use std::collections::HashMap;

use tidemark_domain::contract::{self, Bounds};
use tidemark_domain::event::Event;
use tidemark_domain::id::fingerprint32;

use crate::account::{Accepted, Evidence, label_is_stored, profile_is_stored};
use crate::oracle::ActualOutcome;

/// Orders records, given in stream order, by when they were applied. `before` is the evidence after the live traffic and
/// before the redrive; its ranges are in the queue's order.
#[must_use]
pub fn as_applied(records: Vec<Accepted>, before: &Evidence, bounds: &Bounds) -> Vec<Accepted> {
    let events: Vec<Option<Event>> = records
        .iter()
        .map(|record| contract::decode(&record.payload, record.arrival_ms, bounds).ok())
        .map(|decoded| decoded.map(|decoded| decoded.event))
        .collect();
    let copies = Copies::of(&records, &events, before);
    let mut live = Vec::with_capacity(records.len());
    let mut redriven = Vec::new();
    for (place, record) in records.into_iter().enumerate() {
        let message = before.dead.iter().position(|range| range.holds(&record));
        match message {
            Some(message) if !applied_live(place, &events, &record, before, &copies) => {
                redriven.push((message, place, record));
            }
            _ => live.push(record),
        }
    }
    redriven.sort_by_key(|(message, place, _)| (*message, *place));
    live.extend(redriven.into_iter().map(|(_, _, record)| record));
    live
}

/// Whether a record of a range that was given up had been applied before that, at its own place.
fn applied_live(
    place: usize,
    events: &[Option<Event>],
    record: &Accepted,
    before: &Evidence,
    copies: &Copies<'_>,
) -> bool {
    if before.quarantined.contains_key(&record.sequence_number) {
        return true;
    }
    match events.get(place).and_then(Option::as_ref) {
        Some(Event::Transaction(transaction)) => {
            let id = transaction.event_id.as_str();
            let fingerprint = fingerprint32(id);
            let in_state = || {
                let state = before.states.get(transaction.card_id.as_str());
                state.is_some_and(|state| {
                    let same = |entry: &tidemark_domain::card::Entry| {
                        entry.event_fp == fingerprint && entry.time_ms == transaction.occurred_at_ms
                    };
                    state.entries().iter().any(same)
                })
            };
            (before.outcomes.contains_key(id) || in_state()) && !copies.a_later_one_was_first(place, events)
        }
        Some(Event::Profile(profile)) => profile_is_stored(profile, before),
        Some(Event::Label(label)) => label_is_stored(label, before),
        // Refused, and not in quarantine yet: it has no effect wherever it stands.
        None => true,
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
    fn of(records: &[Accepted], events: &'e [Option<Event>], before: &Evidence) -> Self {
        let mut live: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, (record, event)) in records.iter().zip(events).enumerate() {
            if let Some(Event::Transaction(transaction)) = event {
                let dead = before.dead.iter().any(|range| range.holds(record));
                if !dead {
                    live.entry(transaction.event_id.as_str()).or_default().push(place);
                }
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
    fn a_later_one_was_first(&self, place: usize, events: &[Option<Event>]) -> bool {
        let Some(Some(Event::Transaction(own))) = events.get(place) else {
            return false;
        };
        let later = self.live.get(own.event_id.as_str()).into_iter().flatten();
        let Some(later) = later.copied().find(|at| *at > place) else {
            return false;
        };
        let Some(own_as) = self.applied_as.get(own.event_id.as_str()) else {
            return false;
        };
        events[place + 1..later].iter().flatten().any(|event| match event {
            Event::Transaction(other) if other.card_id == own.card_id => self
                .applied_as
                .get(other.event_id.as_str())
                .is_some_and(|other_as| other_as < own_as),
            _ => false,
        })
    }
}
