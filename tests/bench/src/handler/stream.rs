//! The events of all cards in turn: each as a record of Kinesis, and the states that the cards have when the stream begins.
//!
//! The cards are typical ones (`lab::typical`): 25 merchants that are used by Zipf's law, four of five of them at a place, one in 20
//! abroad; one event in 20 is at a merchant where the card never was; half of the events name a device, one in 25 is declined.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use lab::dice::Dice;
use serde_json::{Value, json};
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::History;
use tidemark_domain::id::CardId;
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;
use tidemark_engine::memory::MemoryStore;
use tidemark_engine::port::{SegmentItem, StateItem, StateStore};

/// When the stream starts, milliseconds since 1970-01-01T00:00:00Z.
pub const START_MS: i64 = 1_790_000_000_000;
/// Time between two events of one card, milliseconds: half a day.
const CARD_STEP_MS: i64 = 43_200_000;
/// Cards whose histories differ; the others begin as copies of these.
const KINDS: usize = 20;
/// Merchants that a card keeps coming back to.
const MERCHANTS: usize = 25;

/// Events of all cards in turn.
pub struct Stream {
    cards: usize,
    next: usize,
}

impl Stream {
    /// A stream whose cards have as many events in the store as their policy keeps, and two more that it dropped.
    pub fn begin(cards: usize, policy: &Policy, store: &MemoryStore) -> Result<Self, String> {
        let turns = (policy.retention_ms() / CARD_STEP_MS) as usize + 3;
        let kinds = (0..KINDS.min(cards)).map(|kind| history(kind, turns, policy));
        let kinds = kinds.collect::<Result<Vec<History>, String>>()?;
        for card in 0..cards {
            let id = CardId::new(&card_id(card)).ok_or("no card's id")?;
            let history = &kinds[card % KINDS];
            let segments = history.new_segments().map(|segment| SegmentItem {
                card_id: id.clone(),
                key: segment.key,
                bytes: segment.bytes.clone(),
                expires_at_s: i64::MAX,
            });
            let segments: Vec<SegmentItem> = segments.collect();
            let put = store.put_segments(&segments).now_or_never();
            put.ok_or("the store did not answer")?
                .map_err(|error| error.to_string())?;
            store.set_state(&id, StateItem::new(turns as u64, history.encode()));
        }
        Ok(Self {
            cards,
            next: turns * cards,
        })
    }

    /// The next invocation's payload.
    pub fn batch(&mut self, records: usize) -> String {
        let records: Vec<Value> = (0..records).map(|_| self.record()).collect();
        json!({ "Records": records }).to_string()
    }

    fn record(&mut self) -> Value {
        let number = self.next;
        self.next += 1;
        let (card, turn) = (number % self.cards, number / self.cards);
        let sequence_number = format!("{:056}", 49_590_338_271_490_256_608_u128 + number as u128);
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": card_id(card), "sequenceNumber": sequence_number,
                "data": STANDARD.encode(event(card, turn).to_string()),
                "approximateArrivalTimestamp": (time_ms(card, turn) + 200) as f64 / 1e3,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("shardId-000000000000:{sequence_number}"),
            "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::123456789012:role/score",
            "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tidemark-transactions",
        })
    }
}

fn card_id(card: usize) -> String {
    format!("card-{card:08}")
}

fn time_ms(card: usize, turn: usize) -> i64 {
    START_MS + turn as i64 * CARD_STEP_MS + (card % KINDS) as i64
}

/// What is left of a card's first turns.
fn history(card: usize, turns: usize, policy: &Policy) -> Result<History, String> {
    let mut history = History::default();
    for turn in 0..turns {
        let payload = event(card, turn).to_string();
        let decoded = contract::decode(payload.as_bytes(), time_ms(card, turn), &policy.bounds);
        let Event::Transaction(tx) = decoded.map_err(|refusal| format!("{refusal:?}"))?.event else {
            return Err("an event is no transaction".to_owned());
        };
        match fold_transaction(&mut history, &tx, ProfileInput::Absent, policy) {
            FoldAnswer::Scored { .. } => {}
            other => return Err(format!("an event was not scored: {other:?}")),
        }
    }
    Ok(history)
}

fn event(card: usize, turn: usize) -> Value {
    let kind = card % KINDS;
    let mut dice = Dice::plain((card as u64) << 32 | turn as u64);
    let merchant = dice.zipf(MERCHANTS);
    let merchant_id = if dice.chance(0.05) {
        format!("merchant-{card:06}-{turn:05}")
    } else {
        format!("merchant-{kind:02}-{merchant:03}")
    };
    let amount = libm::exp(8.0 + dice.normal()) as u64;
    let mut event = json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{card:06}-{turn:06}"), "card_id": card_id(card),
        "occurred_at_ms": time_ms(card, turn), "amount_minor": amount.max(1), "currency": "EUR",
        "merchant_id": merchant_id, "mcc": 5_411, "channel": "point_of_sale", "approved": !dice.chance(0.04),
    });
    if dice.chance(0.5) {
        event["device_id"] = format!("device-{kind:06}-{}", dice.zipf(2)).into();
    }
    // The merchant's own, whoever comes.
    let mut dice = Dice::plain((kind * MERCHANTS + merchant) as u64);
    event["country"] = if dice.chance(0.05) { "DE" } else { "FR" }.into();
    if dice.chance(0.8) {
        let mut degrees = |around: f64| libm::round((around + 0.1 * dice.normal()) * 10_000.0) / 10_000.0;
        event["latitude"] = degrees(48.0).into();
        event["longitude"] = degrees(2.0).into();
    }
    event
}
