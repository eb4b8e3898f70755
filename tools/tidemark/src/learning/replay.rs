//! A history through the real engine, event by event: what each was worth as of its own time, with labels as of when they were known.
//!
//! Transactions and profiles come in the order of the file, which must be that of event time. Labels come when they count: before the
//! first transaction that is not older. So nothing that was not known then is in any value, wherever the file has its labels.

use std::io::BufRead;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use terminal::chunk::LineChunk;
use terminal::glance::Kind;
use terminal::input::EventFile;
use terminal::lines::{Lines, LinesError};
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::policy::{Policy, base_amount};

use super::LearningError;
use super::labels::{Labels, event_number};
use crate::score_file::{Arrival, LineEnd, Scorer};

/// How much earlier than it counts a label may be taken, ms.
const EARLY_MS: i64 = 7 * 86_400_000;

/// An event that was scored.
#[derive(Clone, Debug)]
pub struct Scored {
    /// What names it, as a number.
    pub event: u64,
    /// What the producer calls it.
    pub event_id: String,
    /// Its card's token.
    pub card_id: String,
    /// Its card, as a number.
    pub card: u64,
    /// Event time, ms since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// Its amount, base minor units; 0 where the policy has no rate.
    pub amount_minor: u64,
    /// The score.
    pub score: u16,
    /// The decision, as it is written.
    pub decision: String,
    /// The tier, as it is written.
    pub tier: String,
    /// The rules that held, and those that held and only watch.
    pub rules: Vec<String>,
    /// The values of the policy's features, in its order.
    pub values: Vec<Option<f64>>,
    /// The outcome, as it is sent.
    pub outcome: Vec<u8>,
}

/// The lines of a file.
///
/// # Errors
/// When it can't be read.
pub fn lines(file: impl Into<EventFile>, policy: &Policy) -> Result<Lines<Box<dyn BufRead + Send>>, LinesError> {
    file.into().lines(policy.bounds.payload_bytes_max)
}

/// Replays a file until a time (ms since 1970-01-01T00:00:00Z), and hands over each transaction that counts. Outcomes carry the values of
/// all features.
///
/// # Errors
/// When the file can't be read or is out of order, or what `take` says.
pub fn replay(
    file: impl Into<EventFile>,
    policy: &Policy,
    labels: &Labels,
    until_ms: i64,
    take: impl FnMut(Scored) -> Result<(), LearningError>,
) -> Result<(), LearningError> {
    run(true, file, policy, labels, until_ms, take)
}

/// The same for whoever needs no values: outcomes carry them only where the policy says so, and no state has to keep them.
///
/// # Errors
/// As [`replay`].
pub fn rescore(
    file: impl Into<EventFile>,
    policy: &Policy,
    labels: &Labels,
    until_ms: i64,
    take: impl FnMut(Scored) -> Result<(), LearningError>,
) -> Result<(), LearningError> {
    run(false, file, policy, labels, until_ms, take)
}

fn run(
    with_values: bool,
    file: impl Into<EventFile>,
    policy: &Policy,
    labels: &Labels,
    until_ms: i64,
    mut take: impl FnMut(Scored) -> Result<(), LearningError>,
) -> Result<(), LearningError> {
    let mut run = Replay {
        scorer: Scorer::new(policy.clone(), with_values, Arrival::AtEventTime),
        chunk: LineChunk::default(),
        policy,
        pending: labels.all.iter().peekable(),
        after_label: false,
        newest_ms: i64::MIN,
    };
    let mut lines = lines(file, policy)?;
    while let Some((number, line)) = lines.next()? {
        let Ok(payload) = line else { continue };
        if Kind::is_label(payload) {
            continue;
        }
        let time_ms = time_of(payload);
        if let Some(time_ms) = time_ms {
            if time_ms >= until_ms {
                break;
            }
            if time_ms < run.newest_ms {
                return Err(LearningError::OutOfOrder {
                    line: number,
                    behind_ms: run.newest_ms - time_ms,
                });
            }
            run.newest_ms = time_ms;
            run.learn_until(time_ms, &mut take)?;
        }
        run.push(number, payload, false, &mut take)?;
    }
    run.flush(&mut take)
}

struct Replay<'a, L: Iterator> {
    scorer: Scorer,
    chunk: LineChunk,
    policy: &'a Policy,
    pending: std::iter::Peekable<L>,
    after_label: bool,
    newest_ms: i64,
}

impl<'a, L: Iterator<Item = &'a super::labels::Known>> Replay<'a, L> {
    /// Takes the labels that count by a time, ms. Where labels teach keys, a batch ends at each of them; so those of the time after it
    /// are taken along, as long as nobody can tell.
    fn learn_until(
        &mut self,
        time_ms: i64,
        take: &mut impl FnMut(Scored) -> Result<(), LearningError>,
    ) -> Result<(), LearningError> {
        if self.pending.peek().is_none_or(|label| label.from_ms > time_ms) {
            return Ok(());
        }
        let mut early = if self.scorer.learns() {
            self.scorer.room_in_keys()
        } else {
            0
        };
        while let Some(label) = self.pending.peek().copied() {
            if label.from_ms > time_ms && (early == 0 || !self.may_come_early(label, time_ms)) {
                break;
            }
            // One that is due takes its place in its keys too.
            early = early.saturating_sub(1);
            self.pending.next();
            self.push(0, &label.to_line(), true, take)?;
        }
        Ok(())
    }

    fn may_come_early(&self, label: &super::labels::Known, time_ms: i64) -> bool {
        label.from_ms < time_ms.saturating_add(EARLY_MS)
            && label.may_come_early(time_ms, self.policy.retention_ms())
            && self.scorer.keeps_whole(label.card_id())
    }

    fn push(
        &mut self,
        number: u64,
        payload: &[u8],
        is_label: bool,
        take: &mut impl FnMut(Scored) -> Result<(), LearningError>,
    ) -> Result<(), LearningError> {
        // What labels teach the keys, events after them find: a batch reads its keys before it teaches any.
        if (self.after_label && !is_label && self.scorer.learns()) || self.chunk.is_full() {
            self.flush(take)?;
        }
        self.after_label = is_label;
        self.chunk.push(number, Ok(payload));
        Ok(())
    }

    fn flush(&mut self, take: &mut impl FnMut(Scored) -> Result<(), LearningError>) -> Result<(), LearningError> {
        let ends = self.scorer.score(&self.chunk)?;
        for (at, end) in ends.into_iter().enumerate() {
            if let LineEnd::Outcome(outcome) = end {
                let payload = self.chunk.text(at).unwrap_or_default();
                take(scored(outcome, payload, self.policy)?)?;
            }
        }
        self.chunk.clear();
        Ok(())
    }
}

/// When a transaction happened; `None` for any other line.
#[must_use]
pub fn time_of(payload: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Timed {
        schema: Kind,
        occurred_at_ms: i64,
    }
    let timed = serde_json::from_slice::<Timed>(payload).ok()?;
    (timed.schema == Kind::Transaction).then_some(timed.occurred_at_ms)
}

/// What is read of an outcome.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    event_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    card_id: std::borrow::Cow<'a, str>,
    occurred_at_ms: i64,
    score: u16,
    decision: String,
    tier: String,
    #[serde(default)]
    rules: Rules,
    #[serde(default)]
    features: Values,
}

/// The rules that an outcome names.
#[derive(Default, Deserialize)]
struct Rules {
    #[serde(default)]
    held: Vec<String>,
    #[serde(default)]
    observed: Vec<String>,
}

/// The values of an object, in its order.
#[derive(Default)]
struct Values(Vec<Option<f64>>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some((_, value)) = map.next_entry::<IgnoredAny, Option<f64>>()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn scored(outcome: Vec<u8>, payload: &[u8], policy: &Policy) -> Result<Scored, LearningError> {
    let read: Outcome<'_> = serde_json::from_slice(&outcome).map_err(LearningError::Outcome)?;
    Ok(Scored {
        event: event_number(&read.card_id, &read.event_id),
        card: fingerprint64(&read.card_id),
        event_id: read.event_id.into_owned(),
        card_id: read.card_id.into_owned(),
        time_ms: read.occurred_at_ms,
        amount_minor: amount_of(payload, policy),
        score: read.score,
        decision: read.decision,
        tier: read.tier,
        rules: [read.rules.held, read.rules.observed].concat(),
        values: read.features.0,
        outcome,
    })
}

/// The amount of a transaction, base minor units; 0 where the policy has no rate.
#[must_use]
pub fn amount_of(payload: &[u8], policy: &Policy) -> u64 {
    #[derive(Deserialize)]
    struct Money<'a> {
        amount_minor: u64,
        currency: &'a str,
    }
    match serde_json::from_slice::<Money<'_>>(payload) {
        // Most amounts are in the base currency.
        Ok(money) if money.currency == policy.currency.base.as_str() => money.amount_minor,
        _ => {
            let mut bounds = policy.bounds;
            (bounds.skew_ms, bounds.lateness_ms) = (i64::MAX / 4, i64::MAX / 4);
            match contract::decode(payload, 0, &bounds).map(|decoded| decoded.event) {
                Ok(Event::Transaction(tx)) => base_amount(&tx, policy).unwrap_or(0),
                _ => 0,
            }
        }
    }
}
