//! What the simulator takes away or forges on purpose, and what the audit has to name then.

mod keys;

use std::sync::Arc;

use reconcile::{Accepted, QuarantineNote, Record, SequenceRange};
use serde_json::Value;
use tidemark_domain::history::History;
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::outcome::Decision;

use super::Inputs;
use crate::dice::Dice;
use crate::world::Stores;

/// Something that is taken away or forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forgery {
    /// Every copy of an event's outcome is removed.
    OutcomeRemoved,
    /// An outcome has other bytes.
    OutcomeForged,
    /// An outcome for an event that nobody sent.
    OutcomeInvented,
    /// A card's item is that of its version before.
    HistoryRolledBack,
    /// A card's items are gone.
    CardLost,
    /// Another card's event with the id of one that has its outcome: it was never processed.
    ForeignEvent,
    /// The same id at another time: never processed.
    LaterEvent,
    /// The messages of a refused record are removed from the quarantine.
    QuarantineRemoved,
    /// A dead letter is dropped, whose record has no other end.
    LetterDropped,
    /// An alert's recorded decision is removed.
    DecisionRemoved,
    /// A label is removed from a key's item.
    KeyLabelRemoved,
    /// A label in a key's item says something else.
    KeyLabelForged,
    /// A key's item has a label of an event that no label speaks of.
    KeyLabelInvented,
    /// A key's item is gone.
    KeyLost,
    /// A key's item can't be read.
    KeyDamaged,
}

impl Forgery {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::OutcomeRemoved,
        Self::OutcomeForged,
        Self::OutcomeInvented,
        Self::HistoryRolledBack,
        Self::CardLost,
        Self::ForeignEvent,
        Self::LaterEvent,
        Self::QuarantineRemoved,
        Self::LetterDropped,
        Self::DecisionRemoved,
        // Of keys: where labels teach them.
        Self::KeyLabelRemoved,
        Self::KeyLabelForged,
        Self::KeyLabelInvented,
        Self::KeyLost,
        Self::KeyDamaged,
    ];
    /// Those of keys.
    pub const OF_KEYS: [Self; 5] = [
        Self::KeyLabelRemoved,
        Self::KeyLabelForged,
        Self::KeyLabelInvented,
        Self::KeyLost,
        Self::KeyDamaged,
    ];

    /// One of them, as a seed draws it; of keys only where labels teach them.
    pub fn draw(dice: &mut Dice, has_labels: bool) -> Self {
        if has_labels && dice.chance(0.8) {
            return *dice.pick(&Self::OF_KEYS);
        }
        *dice.pick(&Self::ALL[..Self::ALL.len() - Self::OF_KEYS.len()])
    }
}

/// A number that no record of a run has.
const FORGED_NUMBER: &str = "777777777777";
/// Outcomes that are looked at for one that can be forged.
const LOOKS_MAX: usize = 60;

/// Forges; what the audit has to name. `None`: the run has nothing of this kind.
pub fn forge(inputs: &mut Inputs, forgery: Forgery, stores: &Stores, dice: &mut Dice) -> Option<String> {
    match forgery {
        Forgery::OutcomeRemoved => outcome_removed(inputs, dice),
        Forgery::OutcomeForged => outcome_forged(inputs, dice),
        Forgery::OutcomeInvented => outcome_invented(inputs, dice),
        Forgery::HistoryRolledBack => rolled_back(inputs, stores, dice),
        Forgery::CardLost => card_lost(inputs, dice),
        Forgery::ForeignEvent => foreign_event(inputs, dice, false),
        Forgery::LaterEvent => foreign_event(inputs, dice, true),
        Forgery::QuarantineRemoved => quarantine_removed(inputs, dice),
        Forgery::LetterDropped => letter_dropped(inputs, dice),
        Forgery::DecisionRemoved => decision_removed(inputs, dice),
        Forgery::KeyLabelRemoved | Forgery::KeyLabelForged | Forgery::KeyLabelInvented => {
            keys::label_forged(inputs, forgery, dice)
        }
        Forgery::KeyLost | Forgery::KeyDamaged => keys::key_forged(inputs, forgery, dice),
    }
}

/// The event of an outcome.
fn event_of(bytes: &[u8]) -> Option<EventKey> {
    Some(reconcile::Outcome::read(0, bytes).ok()?.event)
}

/// An outcome of an event that its card's history still holds, of whose records one at least is in the stream and none in a
/// queue.
fn any_outcome(inputs: &Inputs, dice: &mut Dice, wanted: &str) -> Option<(usize, EventKey)> {
    let count = inputs.outcomes.len();
    let from = usize::try_from(dice.below(count.max(1) as u64)).ok()?;
    (0..count.min(LOOKS_MAX))
        .map(|step| (from + step * 7) % count)
        .find_map(|at| {
            let bytes = &inputs.outcomes[at].1;
            if !wanted.is_empty() && !bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
                return None;
            }
            let event = event_of(bytes)?;
            (is_plain(inputs, &event) && is_kept(inputs, &event)).then_some((at, event))
        })
}

/// Whether the card's history holds an event, and would show it when it was gone.
fn is_kept(inputs: &Inputs, event: &EventKey) -> bool {
    let keeps = inputs
        .horizon
        .is_some_and(|horizon| event.occurred_at_ms.saturating_add(horizon.kept_ms) > horizon.now_ms);
    let stored = inputs.cards.get(&event.card_id).filter(|_| keeps);
    let state = stored.and_then(|stored| stored.whole_state().ok().flatten());
    state.is_some_and(|state| {
        let above_floor = state.floor_ms().is_none_or(|floor_ms| event.occurred_at_ms > floor_ms);
        let mut entries = state.all_entries().into_iter();
        above_floor && entries.any(|entry| entry.mark().is_of(&event.event_id, event.occurred_at_ms))
    })
}

/// Whether a record of the event is in the stream, none in a queue, and all arrived when outcomes were sent.
fn is_plain(inputs: &Inputs, event: &EventKey) -> bool {
    let in_queue = |record: &Record| {
        let number = &*record.sequence_number;
        let noted = |note: &QuarantineNote| note.sequence_number == number && note.shard_id == *record.shard_id;
        inputs.quarantined.iter().any(noted)
            || inputs.dead.iter().any(|range| range.holds(record))
            || inputs.unrecoverable.iter().any(|(range, _)| range.holds(record))
    };
    let withheld = |record: &Record| inputs.withheld.iter().any(|(_, end_ms)| record.arrival_ms < *end_ms);
    let of_event = inputs.records.iter().filter(|record| record.event() == Some(event));
    let mut of_event = of_event.peekable();
    of_event.peek().is_some() && of_event.all(|record| !in_queue(record) && !withheld(record))
}

fn outcome_removed(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let (_, event) = any_outcome(inputs, dice, "")?;
    inputs
        .outcomes
        .retain(|(_, bytes)| event_of(bytes).as_ref() != Some(&event));
    Some(event.to_string())
}

fn outcome_forged(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let (at, event) = any_outcome(inputs, dice, "")?;
    let text = String::from_utf8(inputs.outcomes[at].1.to_vec()).ok()?;
    let forged = text.replacen(r#""score":"#, r#""score":1"#, 1);
    let whole = dice.chance(0.5);
    // One copy, or all of them.
    for (other, (_, bytes)) in inputs.outcomes.iter_mut().enumerate() {
        if other == at || (whole && event_of(bytes).as_ref() == Some(&event)) {
            *bytes = forged.as_bytes().into();
        }
    }
    Some(event.to_string())
}

fn outcome_invented(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let (at, event) = any_outcome(inputs, dice, r#""decision":"pass""#)?;
    let mut value: Value = serde_json::from_slice(&inputs.outcomes[at].1).ok()?;
    value["event_id"] = "nobody-sent-this".into();
    let bytes: Arc<[u8]> = value.to_string().into_bytes().into();
    inputs.outcomes.push((inputs.outcomes[at].0, bytes));
    let event = EventKey::new(event.card_id.as_str(), "nobody-sent-this", event.occurred_at_ms);
    event.map(|event| event.to_string())
}

/// The state before the last write, where that write brought an event whose outcome was sent.
fn rolled_back(inputs: &mut Inputs, stores: &Stores, dice: &mut Dice) -> Option<String> {
    let (_, event) = any_outcome(inputs, dice, "")?;
    let card = &event.card_id;
    let before = stores.tables.states.get(card.as_str())?.before.clone()?;
    let old = History::decode(&before.bytes).ok()?;
    let life = stores.tables.lives.get(card.as_str())?.last()?;
    let mut of_card: Vec<EventKey> = inputs
        .outcomes
        .iter()
        .filter_map(|(_, bytes)| event_of(bytes))
        .collect();
    of_card.retain(|event| event.card_id == *card);
    let name = life
        .accepted
        .iter()
        .filter(|accepted| accepted.entry.seq >= old.next_seq())
        .filter(|accepted| old.floor_ms().is_none_or(|floor_ms| accepted.entry.time_ms > floor_ms))
        .filter_map(|accepted| {
            let is_it = |event: &&EventKey| accepted.entry.mark().is_of(&event.event_id, event.occurred_at_ms);
            of_card.iter().find(is_it)
        })
        .find(|event| is_kept(inputs, event))?
        .to_string();
    inputs.cards.get_mut(card)?.state = Some(before.bytes);
    Some(name)
}

fn card_lost(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let (_, event) = any_outcome(inputs, dice, "")?;
    let card = inputs.cards.get_mut(&event.card_id)?;
    card.state = None;
    card.segments.clear();
    Some(event.to_string())
}

/// A record that nobody processed. It has the id of an event that was: of another card, or of the same at another time.
fn foreign_event(inputs: &mut Inputs, dice: &mut Dice, is_later: bool) -> Option<String> {
    let (_, event) = any_outcome(inputs, dice, "")?;
    let event = if is_later {
        EventKey {
            occurred_at_ms: event.occurred_at_ms + 1,
            ..event
        }
    } else {
        EventKey {
            card_id: CardId::new("another-card")?,
            ..event
        }
    };
    let is_there = |record: &Record| record.event() == Some(&event);
    if inputs.records.iter().any(is_there) || is_kept(inputs, &event) {
        return None;
    }
    let record = unprocessed(inputs, &event)?;
    // Its outcome could be withheld, as far as anybody knows.
    if inputs.withheld.iter().any(|(_, end_ms)| record.arrival_ms < *end_ms) {
        return None;
    }
    let name = record.name();
    inputs.records.push(record);
    Some(name)
}

fn unprocessed(inputs: &Inputs, event: &EventKey) -> Option<Record> {
    let quoted = |text: &str| Value::from(text).to_string();
    let payload = format!(
        r#"{{"schema":"transaction","version":2,"event_id":{},"card_id":{},"occurred_at_ms":{},"amount_minor":100,"currency":"EUR","merchant_id":"m1","mcc":5411,"country":"FR","channel":"ecommerce","approved":true}}"#,
        quoted(event.event_id.as_str()),
        quoted(event.card_id.as_str()),
        event.occurred_at_ms
    );
    let accepted = Accepted {
        shard_id: inputs.records.first()?.shard_id.clone(),
        sequence_number: FORGED_NUMBER.to_owned(),
        partition_key: event.card_id.to_string(),
        arrival_ms: event.occurred_at_ms + 1_000,
        payload: payload.into_bytes(),
    };
    let record = Record::of(&accepted, inputs.bounds.as_ref()?);
    (record.event() == Some(event)).then_some(record)
}

fn quarantine_removed(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let notes = inputs.quarantined.len();
    let from = usize::try_from(dice.below(notes.max(1) as u64)).ok()?;
    let (note, record) = (0..notes).map(|step| (from + step) % notes).find_map(|at| {
        let note = &inputs.quarantined[at];
        let of_note = |record: &&Record| {
            *record.sequence_number == *note.sequence_number
                && *record.shard_id == *note.shard_id
                && record.sub_sequence_number == note.sub_sequence_number
        };
        let record = inputs.records.iter().find(of_note)?;
        // A record that some policy takes may have had its effect before or after it was refused.
        let is_poison = record.card_id().is_none() && record.beyond_bounds.is_none();
        let is_elsewhere = inputs.dead.iter().any(|range| range.holds(record))
            || inputs.unrecoverable.iter().any(|(range, _)| range.holds(record));
        (is_poison && !is_elsewhere).then(|| (note.clone(), record.clone()))
    })?;
    inputs.quarantined.retain(|other| {
        (&other.sequence_number, &other.shard_id, other.sub_sequence_number)
            != (&note.sequence_number, &note.shard_id, note.sub_sequence_number)
    });
    Some(record.name())
}

/// A record that was given up: with its letter all is well, and the letter is dropped.
fn letter_dropped(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let name = foreign_event(inputs, dice, false)?;
    let shard_id = inputs.records.last()?.shard_id.to_string();
    let mut with_letter = inputs.clone();
    with_letter.dead.push(SequenceRange {
        shard_id,
        start: FORGED_NUMBER.to_owned(),
        end: FORGED_NUMBER.to_owned(),
    });
    let judgement = with_letter.judge().ok()?;
    if super::is_named(&judgement, &name) {
        return Some("nothing of a record that waits in the dead-letter queue, and something was".to_owned());
    }
    Some(name)
}

fn decision_removed(inputs: &mut Inputs, dice: &mut Dice) -> Option<String> {
    let alert = format!(r#""decision":"{}""#, Decision::Alert.as_str());
    let (_, event) = any_outcome(inputs, dice, &alert)?;
    let card = inputs.cards.get_mut(&event.card_id)?;
    card.decisions
        .retain(|outcome| event_of(outcome).as_ref() != Some(&event));
    Some(event.to_string())
}
