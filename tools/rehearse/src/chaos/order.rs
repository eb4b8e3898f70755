//! The order in which records were applied when some of them went through the dead-letter queue.
//!
//! A card's events apply in stream order, unless a batch was given up: part of it may have been applied by then, a copy of an
//! event may have been applied before the copy in the batch, and the rest comes with the redrive. Each outcome tells how many
//! events of its card had been accepted before it. The recomputation takes that order for cards of such batches; it counts
//! itself, so an outcome whose number is not true still shows, and every score has to be as of that order.

use std::collections::{HashMap, HashSet};

use operate::account::{Accepted, BoundsInForce, Claim, Evidence, Record};
use operate::outcome::SentOutcome;
use tidemark_domain::id::{CardId, EventKey};

/// Where a record of a given-up batch's card comes among the card's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Before its events: a profile, whose version each outcome names; a label that was refused, for there was no event yet.
    First,
    /// An event by the number of those accepted before it.
    Event(u64),
    /// After its events: copies, and labels that were recorded on their event.
    Last,
}

/// Orders records, given in stream order, by when they were applied. `before` is the evidence before the redrive: its dead
/// letters name what was given up. `after` is the evidence after it.
#[must_use]
pub fn as_applied(
    records: Vec<Accepted>,
    before: &Evidence,
    after: &Evidence,
    bounds: &BoundsInForce,
) -> Vec<Accepted> {
    let claimed: Vec<Record> = records.iter().map(|record| Record::of(record, bounds)).collect();
    let given_up = |record: &&Record| before.dead.iter().any(|range| range.holds(record));
    let cards: HashSet<&CardId> = claimed.iter().filter(given_up).filter_map(Record::card_id).collect();
    let mut numbers: HashMap<&EventKey, u64> = after
        .outcomes
        .iter()
        .filter_map(|(event, outcome)| {
            let outcome: SentOutcome = serde_json::from_slice(&outcome.bytes).ok()?;
            Some((event, outcome.state_version))
        })
        .collect();
    let (mut ordered, mut mixed) = (Vec::with_capacity(records.len()), Vec::new());
    for (record, claim) in records.into_iter().zip(&claimed) {
        if claim.card_id().is_some_and(|card| cards.contains(card)) {
            mixed.push((turn(claim, &mut numbers, after), record));
        } else {
            ordered.push(record);
        }
    }
    // Cards do not depend on each other, so that one order serves all. Stable: otherwise as in the stream.
    mixed.sort_by_key(|(turn, _)| *turn);
    ordered.extend(mixed.into_iter().map(|(_, record)| record));
    ordered
}

fn turn(record: &Record, numbers: &mut HashMap<&EventKey, u64>, after: &Evidence) -> Turn {
    match &record.claim {
        Claim::Transaction(event) => numbers.remove(event).map_or(Turn::Last, Turn::Event),
        Claim::Label { .. } if after.shows(record) => Turn::Last,
        Claim::Label { .. } | Claim::Profile { .. } | Claim::Refused => Turn::First,
    }
}
