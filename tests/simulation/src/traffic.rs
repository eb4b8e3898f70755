//! What producers send: transactions, profiles, labels, broken records, and the same event again.

use crate::dice::Dice;
use crate::world::START_MS;

/// A record on its way to the stream.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When the stream takes it, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Its partition key: the card.
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
}

impl Mix {
    /// A mix of the seed.
    #[must_use]
    pub fn draw(dice: &mut Dice, events: usize) -> Self {
        let share = |dice: &mut Dice, most: f64| {
            let tenths = dice.below(11);
            #[allow(clippy::cast_precision_loss, reason = "0 to 10")]
            let part = tenths as f64 / 10.0;
            part * most
        };
        Self {
            events,
            cards: dice.between(8, 60),
            span_ms: i64::try_from(dice.between(20, 1_200)).unwrap_or(20) * 1_000,
            duplicates: share(dice, 0.25),
            reordered: share(dice, 0.3),
            broken: share(dice, 0.06),
            profiles: share(dice, 0.08),
            labels: share(dice, 0.08),
        }
    }
}

/// The traffic, in the order the stream takes it.
#[must_use]
pub fn generate(dice: &mut Dice, mix: &Mix) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::with_capacity(mix.events);
    let mut transactions: Vec<usize> = Vec::new();
    let mut versions = vec![0_u64; usize::try_from(mix.cards).unwrap_or(1)];
    let step_ms = (mix.span_ms / i64::try_from(mix.events.max(1)).unwrap_or(1)).max(1);
    for number in 0..mix.events {
        let at_ms = START_MS + i64::try_from(number).unwrap_or(0) * step_ms;
        let card = dice.below(mix.cards);
        let key = format!("card-{card}");
        let data = if dice.chance(mix.duplicates) && !transactions.is_empty() {
            let again = &sent[*dice.pick(&transactions)];
            let (key, data) = (again.key.clone(), again.data.clone());
            sent.push(Sent { at_ms, key, data });
            continue;
        } else if dice.chance(mix.broken) {
            broken(dice, &key)
        } else if dice.chance(mix.profiles) {
            let version = &mut versions[usize::try_from(card).unwrap_or(0)];
            // Seldom an old one comes late.
            *version += 1;
            profile(&key, if dice.chance(0.1) { 1 } else { *version })
        } else if dice.chance(mix.labels) && !transactions.is_empty() {
            let of = &sent[*dice.pick(&transactions)];
            label(&of.key, &event_id(&of.data), dice, at_ms)
        } else {
            transactions.push(sent.len());
            let back_ms = if dice.chance(mix.reordered) {
                dice.below(600_000)
            } else {
                dice.below(50)
            };
            transaction(&key, number, at_ms - i64::try_from(back_ms).unwrap_or(0), dice)
        };
        let key = serde_json::from_slice::<serde_json::Value>(&data)
            .ok()
            .and_then(|value| value["card_id"].as_str().map(str::to_owned))
            .unwrap_or(key);
        sent.push(Sent { at_ms, key, data });
    }
    sent
}

fn event_id(data: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(data)
        .ok()
        .and_then(|value| value["event_id"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A transaction; now and then one that raises an alert.
#[must_use]
pub fn transaction(card: &str, number: usize, time_ms: i64, dice: &mut Dice) -> Vec<u8> {
    let amount = if dice.chance(0.05) {
        dice.between(500_000, 9_000_000)
    } else {
        dice.between(100, 9_000)
    };
    let country = if dice.chance(0.05) {
        *dice.pick(&["JP", "BR", "US"])
    } else {
        "FR"
    };
    let approved = !dice.chance(0.1);
    let merchant = dice.below(20);
    format!(
        r#"{{"schema":"transaction","version":2,"event_id":"e{number}","card_id":"{card}","occurred_at_ms":{time_ms},"amount_minor":{amount},"currency":"EUR","merchant_id":"m{merchant}","mcc":5411,"country":"{country}","channel":"ecommerce","approved":{approved}}}"#
    )
    .into_bytes()
}

fn profile(card: &str, version: u64) -> Vec<u8> {
    // One version has one content, as a producer of profiles guarantees.
    let mean = 1_000 + 137 * version;
    format!(
        r#"{{"schema":"profile","version":1,"card_id":"{card}","profile_version":{version},"usual_country":"FR","spend_mean_minor":{mean}.0,"spend_deviation_minor":900.5,"transactions_per_day":2.5,"account_opened_at_ms":1500000000000}}"#
    )
    .into_bytes()
}

fn label(card: &str, event: &str, dice: &mut Dice, at_ms: i64) -> Vec<u8> {
    let verdict = if dice.chance(0.5) { "fraud" } else { "cleared" };
    // Seldom for an event that nobody ever sent.
    let event = if dice.chance(0.1) { "never-sent" } else { event };
    format!(
        r#"{{"schema":"label","version":1,"event_id":"{event}","card_id":"{card}","verdict":"{verdict}","known_since_ms":{at_ms}}}"#
    )
    .into_bytes()
}

fn broken(dice: &mut Dice, card: &str) -> Vec<u8> {
    match dice.below(4) {
        0 => b"not json".to_vec(),
        1 => format!(r#"{{"schema":"transaction","version":9,"card_id":"{card}"}}"#).into_bytes(),
        2 => vec![0xff, 0xfe, 0x00],
        _ => format!(r#"{{"schema":"transaction","version":2,"event_id":"","card_id":"{card}"}}"#).into_bytes(),
    }
}
