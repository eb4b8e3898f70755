//! What producers send: transactions, profiles, labels, broken records, and the same event again.

mod labels;
mod names;
mod payload;

use std::collections::BTreeMap;

use tidemark_domain::contract::aggregate::{Aggregator, PackedRecord};
use tidemark_domain::lifetime::HISTORY_MS;

use crate::dice::Dice;
use crate::draws::{Draw, Draws};
use crate::world::START_MS;

pub use names::{card, twins};
pub use payload::transaction;

const DAY_MS: i64 = 86_400_000;
/// Bytes of an aggregated record at most.
const AGGREGATE_BYTES_MAX: usize = 50 * 1024;

/// A record on its way to the stream.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When the stream takes it, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Its partition key: the card, or what a producer took in its place.
    pub key: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// What a seed's traffic is like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Records, of every kind together.
    pub events: usize,
    /// Cards they belong to.
    pub cards: u64,
    /// How long producers send, ms.
    pub span_ms: i64,
    /// Share of records that repeat an earlier transaction (a producer's retry), byte for byte.
    pub duplicates: f64,
    /// Share of transactions whose event time lies well before others of their card.
    pub reordered: f64,
    /// Share of records that the contract refuses.
    pub broken: f64,
    /// Share of records that are profiles.
    pub profiles: f64,
    /// Share of records that are labels.
    pub labels: f64,
    /// Share of records that are the first card's, beyond its own share.
    pub hot: f64,
    /// What else the seed has.
    pub draws: Draws,
    /// Whether transactions and labels name links.
    pub has_links: bool,
}

impl Mix {
    /// A mix of the seed.
    #[must_use]
    pub fn draw(dice: &mut Dice, events: usize, draws: Draws) -> Self {
        let share = |dice: &mut Dice, most: f64| {
            let tenths = dice.below(11);
            #[allow(clippy::cast_precision_loss, reason = "0 to 10")]
            let part = tenths as f64 / 10.0;
            part * most
        };
        let minutes_ms = i64::try_from(dice.between(20, 1_200)).unwrap_or(20) * 1_000;
        let days = *dice.pick(&[2, 8, 45]);
        // What a state outlives is counted in months.
        let months = *dice.pick(&[45, 500, 900]);
        let span_ms = match (draws.has(Draw::Ttl), draws.has(Draw::Days)) {
            (true, _) => months * DAY_MS,
            (false, true) => days * DAY_MS,
            (false, false) => minutes_ms,
        };
        let hot = *dice.pick(&[0.4, 0.7, 0.9]);
        Self {
            events,
            cards: dice.between(8, 60),
            span_ms,
            duplicates: share(dice, 0.25),
            reordered: share(dice, 0.3),
            broken: share(dice, 0.06),
            profiles: share(dice, 0.08),
            labels: share(dice, 0.08),
            hot: if draws.has(Draw::Hot) { hot } else { 0.0 },
            draws,
            has_links: false,
        }
    }
}

/// A transaction that was sent, for whoever repeats it or speaks of it.
#[derive(Clone, Debug)]
struct Past {
    card: String,
    event: String,
    time_ms: i64,
    sent: usize,
}

/// The traffic, in the order the stream takes it.
#[must_use]
pub fn generate(dice: &mut Dice, mix: &Mix) -> Vec<Sent> {
    let mut maker = Maker {
        mix,
        sent: Vec::with_capacity(mix.events),
        past: Vec::new(),
        versions: BTreeMap::new(),
    };
    let events = i64::try_from(mix.events.max(1)).unwrap_or(1);
    for number in 0..mix.events {
        let at_ms = START_MS + i64::try_from(number).unwrap_or(0) * mix.span_ms / events;
        let sent = maker.next(dice, number, at_ms);
        maker.sent.push(sent);
    }
    let mut sent = maker.sent;
    if mix.draws.has(Draw::Labels) {
        labels::add(dice, &mut sent, &maker.past);
    }
    if mix.draws.has(Draw::Aggregates) {
        aggregated(dice, sent)
    } else {
        sent
    }
}

struct Maker<'m> {
    mix: &'m Mix,
    sent: Vec<Sent>,
    past: Vec<Past>,
    versions: BTreeMap<String, u64>,
}

impl Maker<'_> {
    fn next(&mut self, dice: &mut Dice, number: usize, at_ms: i64) -> Sent {
        let mix = self.mix;
        let hot = dice.chance(mix.hot);
        let card = dice.below(mix.cards);
        let card = self.awake(if hot { 1 } else { card }, number);
        let card = names::card(card, mix.draws.has(Draw::OddIds));
        if dice.chance(mix.duplicates) && !self.past.is_empty() {
            let again = &self.sent[self.any_past(dice).sent];
            return Sent { at_ms, ..again.clone() };
        }
        let data = if dice.chance(mix.broken) {
            payload::broken(dice, &card)
        } else if dice.chance(mix.profiles) {
            let version = self.versions.entry(card.clone()).or_default();
            // Seldom an old one comes late.
            *version += 1;
            payload::profile(&card, if dice.chance(0.1) { 1 } else { *version })
        } else if dice.chance(mix.labels) && !self.past.is_empty() {
            let of = self.any_past(dice).clone();
            let key = self.key(dice, &of.card, number);
            let data = payload::label(&of.card, &of.event, dice, at_ms);
            return Sent { at_ms, key, data };
        } else {
            return self.transaction(dice, card, number, at_ms);
        };
        let key = self.key(dice, &card, number);
        Sent { at_ms, key, data }
    }

    /// The card, or its neighbour while the card is silent: over the longest times a third of the cards falls silent for longer
    /// than any state is kept, and comes back.
    fn awake(&self, card: u64, number: usize) -> u64 {
        let edge = self.mix.events / 20;
        let is_silent = card.is_multiple_of(3) && (edge..self.mix.events - edge).contains(&number);
        let is_long = self.mix.draws.has(Draw::Ttl) && self.mix.span_ms / 10 * 9 > HISTORY_MS + 7 * DAY_MS;
        card + u64::from(is_silent && is_long)
    }

    /// An earlier transaction; over long times mostly a recent one.
    fn any_past(&self, dice: &mut Dice) -> &Past {
        let from = if self.mix.draws.has(Draw::Days) && dice.chance(0.8) {
            self.past.len().saturating_sub(40)
        } else {
            0
        };
        dice.pick(&self.past[from..])
    }

    fn transaction(&mut self, dice: &mut Dice, card: String, number: usize, at_ms: i64) -> Sent {
        let draws = self.mix.draws;
        let back_ms = if dice.chance(self.mix.reordered) {
            // Over long times some come later than the contract takes.
            let most_ms = if draws.has(Draw::Days) { 200_000_000 } else { 600_000 };
            dice.below(most_ms)
        } else {
            dice.below(50)
        };
        let mut past = Past {
            card,
            event: names::event(number, draws.has(Draw::OddIds), dice),
            time_ms: at_ms - i64::try_from(back_ms).unwrap_or(0),
            sent: self.sent.len(),
        };
        if draws.has(Draw::ReusedIds) && !self.past.is_empty() && dice.chance(0.1) {
            self.reuse(dice, &mut past);
        }
        let mut data = transaction(&past.card, &past.event, past.time_ms, dice);
        if draws.has(Draw::Labels) {
            data = payload::at_few(data, dice);
        }
        if self.mix.has_links {
            data = payload::linked(data);
        }
        let key = self.key(dice, &past.card, number);
        self.past.push(past);
        Sent { at_ms, key, data }
    }

    /// An id that is used already: on another card, at another time, or by one that looks the same to a fingerprint.
    fn reuse(&self, dice: &mut Dice, past: &mut Past) {
        let other = dice.pick(&self.past[self.past.len().saturating_sub(40)..]).clone();
        match dice.below(4) {
            0 => past.event = other.event,
            1 => (past.event, past.time_ms) = (other.event, other.time_ms),
            2 => (past.card, past.event) = (other.card, other.event),
            _ => {
                let twins = twins();
                let is_first = other.event != twins.0;
                past.event.clone_from(if is_first { &twins.0 } else { &twins.1 });
                if !is_first {
                    (past.card, past.time_ms) = (other.card, other.time_ms);
                }
            }
        }
    }

    /// The partition key. A part of the producers takes another than the card.
    fn key(&self, dice: &mut Dice, card: &str, number: usize) -> String {
        if self.mix.draws.has(Draw::Keys) && dice.chance(0.3) {
            return format!("key-{}", number % 7);
        }
        card.to_owned()
    }
}

/// An aggregate that a producer fills.
struct Open {
    parts: Vec<Vec<u8>>,
    wanted: u64,
    since_ms: i64,
}

/// A producer keeps no aggregate open for longer, ms: its records would come too late.
const OPEN_MS_MAX: i64 = 12 * 3_600_000;

/// Aggregates, as a producer does for one key: its records stay in order.
fn aggregated(dice: &mut Dice, sent: Vec<Sent>) -> Vec<Sent> {
    let share = *dice.pick(&[0.05, 0.3, 0.8]);
    let most = *dice.pick(&[4, 20, 120]);
    let last_ms = sent.last().map_or(START_MS, |sent| sent.at_ms);
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    let mut out: Vec<Sent> = Vec::new();
    for sent in sent {
        while let Some(key) = open
            .iter()
            .find(|(_, aggregate)| sent.at_ms - aggregate.since_ms > OPEN_MS_MAX)
            .map(|(key, _)| key.clone())
        {
            let parts = open.remove(&key).map(|open| open.parts).unwrap_or_default();
            out.push(packed(dice, key, &parts, sent.at_ms));
        }
        if !open.contains_key(&sent.key) && !dice.chance(share) {
            out.push(sent);
            continue;
        }
        let aggregate = open.entry(sent.key.clone()).or_insert_with(|| Open {
            parts: Vec::new(),
            wanted: dice.between(2, most),
            since_ms: sent.at_ms,
        });
        aggregate.parts.push(sent.data);
        if aggregate.parts.len() as u64 >= aggregate.wanted {
            let parts = open.remove(&sent.key).map(|open| open.parts).unwrap_or_default();
            out.push(packed(dice, sent.key, &parts, sent.at_ms));
        }
    }
    for (key, aggregate) in open {
        out.push(packed(dice, key, &aggregate.parts, last_ms));
    }
    out
}

fn packed(dice: &mut Dice, key: String, parts: &[Vec<u8>], at_ms: i64) -> Sent {
    let mut data = write(&key, parts);
    if dice.chance(0.05) {
        // Somebody aggregates what is an aggregate already.
        data = write(&key, &[data, b"not json".to_vec()]);
    }
    if dice.chance(0.02) {
        // A bit turns on the way.
        let at = data.len() / 2;
        data[at] ^= 1;
    }
    Sent { at_ms, key, data }
}

fn write(key: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut aggregator = Aggregator::new();
    for part in parts {
        let record = PackedRecord {
            partition_key: key,
            explicit_hash_key: None,
            data: part,
        };
        // Records of some hundred bytes: a hundred of them are far below the limit.
        let _ = aggregator.push(&record, AGGREGATE_BYTES_MAX * 2);
    }
    aggregator.finish()
}
