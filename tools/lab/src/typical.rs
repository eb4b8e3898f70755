//! Bytes of state for typical cards, scored by the built-in policy.
//!
//! A typical card: purchases as a Poisson process over 30 days with times in ms; a third as many merchants as events (at
//! most 25, at least 3), used by Zipf's law; most of them at a place of the card's town, a few abroad; amounts lognormal
//! with a mean of 50; two devices on half of the events; one in 25 declined; a profile that is known.

use tidemark_domain::event::{Channel, Country, Currency, Links, Place, Profile, Transaction};
use tidemark_domain::fold::{FoldAnswer, fold_transaction};
use tidemark_domain::history::{History, STATE_BYTES_MAX};
use tidemark_domain::id::{CardId, DeviceId, EventId, MerchantId};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

use crate::dice::SplitMix;

/// Events of the cards that are measured.
pub const EVENTS: [usize; 4] = [10, 60, 150, 400];
/// Cards of each size.
pub const CARDS: u64 = 100;
/// What a DynamoDB item of a state takes besides the state's bytes, for a card id of 36 characters: 40 for the partition
/// key, 3 for the sort key, 1 for the name of the bytes, 5 for the version, 9 for the expiry, and 2 to spare.
pub const ITEM_BYTES: usize = 60;

const MS_PER_DAY: i64 = 86_400_000;
const MS_PER_30_DAYS: f64 = 30.0 * MS_PER_DAY as f64;
const START_MS: i64 = 1_780_000_000_000;
const AMOUNT_LOG_MEAN: f64 = 8.0;
const AMOUNT_LOG_DEVIATION: f64 = 1.0;

/// Pairs of events on the card and bytes of its state: the largest of [`CARDS`] cards.
#[must_use]
pub fn run() -> Vec<(usize, usize)> {
    EVENTS
        .iter()
        .map(|events| (*events, measure(*events).into_iter().max().unwrap_or(0)))
        .collect()
}

/// The bytes of the state of each of [`CARDS`] cards with so many events.
#[must_use]
pub fn measure(events: usize) -> Vec<usize> {
    (0..CARDS)
        .map(|seed| typical_card(events, seed).encode().len())
        .collect()
}

/// A typical card of so many events.
#[must_use]
pub fn typical_card(events: usize, seed: u64) -> History {
    // Nothing is sealed: what is measured is what events take.
    let policy = Policy {
        head_bytes_max: STATE_BYTES_MAX,
        ..Policy::default_policy()
    };
    let mut dice = Dice::plain(seed);
    let merchants = merchants(&mut dice, (events / 3).clamp(3, 25));
    let profile = Profile {
        card_id: id(CardId::new("card-1")),
        version: 3,
        usual_country: id(Country::new("FR")),
        spend_mean_minor: 5_000.0,
        spend_deviation_minor: 6_000.0,
        transactions_per_day: events as f64 / 30.0,
        account_opened_at_ms: START_MS - 100_000_000_000,
        updated_at_ms: None,
    };
    let mut state = History::default();
    let mut time_ms = START_MS;
    for number in 0..events {
        time_ms += (dice.exponential(1.0) * MS_PER_30_DAYS / events as f64) as i64;
        let tx = transaction(&mut dice, &merchants, number, time_ms);
        let applied = fold_transaction(&mut state, &tx, ProfileInput::Known(&profile), &policy);
        assert!(
            matches!(applied, FoldAnswer::Scored { .. }),
            "event {number} of a typical card: {applied:?}"
        );
    }
    state
}

/// The events of a typical card that has so many a day, as the contract's JSON with their times (ms since 1970-01-01T00:00:00Z), in
/// the order of their times.
pub fn stream(events_per_day: f64, days: u32, seed: u64) -> impl Iterator<Item = (i64, Vec<u8>)> {
    let mut dice = Dice::plain(seed);
    let a_month = (events_per_day * 30.0) as usize;
    let merchants = merchants(&mut dice, (a_month / 3).clamp(3, 25));
    let end_ms = START_MS + i64::from(days) * MS_PER_DAY;
    let mut time_ms = START_MS;
    (0..).map_while(move |number| {
        time_ms += (dice.exponential(1.0) * MS_PER_DAY as f64 / events_per_day) as i64;
        let tx = transaction(&mut dice, &merchants, number, time_ms);
        (time_ms < end_ms).then(|| (time_ms, json(&tx)))
    })
}

/// Version 2 of the contract, with a place where there is one.
fn json(tx: &Transaction) -> Vec<u8> {
    let degrees = |degrees_e4: i32| f64::from(degrees_e4) / 10_000.0;
    let mut event = serde_json::json!({
        "schema": "transaction", "version": 2, "event_id": tx.event_id.as_str(), "card_id": tx.card_id.as_str(),
        "occurred_at_ms": tx.occurred_at_ms, "amount_minor": tx.amount_minor, "currency": tx.currency.as_str(),
        "merchant_id": tx.merchant_id.as_str(), "mcc": tx.mcc, "country": tx.country.as_str(),
        "channel": "point_of_sale", "approved": tx.approved,
    });
    if let Some(device) = &tx.device_id {
        event["device_id"] = device.as_str().into();
    }
    if let Some(place) = tx.place {
        event["latitude"] = degrees(place.latitude_e4).into();
        event["longitude"] = degrees(place.longitude_e4).into();
    }
    event.to_string().into_bytes()
}

fn transaction(dice: &mut Dice, merchants: &[Merchant], number: usize, time_ms: i64) -> Transaction {
    let merchant = zipf(dice, merchants);
    let amount = (AMOUNT_LOG_MEAN + AMOUNT_LOG_DEVIATION * dice.normal()).exp();
    let device = if dice.unit() < 0.8 { "device-1" } else { "device-2" };
    let is_v2 = dice.unit() < 0.9;
    Transaction {
        event_id: id(EventId::new(&format!("event-{number}-{:x}", dice.any()))),
        card_id: id(CardId::new("card-1")),
        occurred_at_ms: time_ms,
        amount_minor: (amount as u64).max(1),
        currency: id(Currency::new("EUR")),
        merchant_id: merchant.id.clone(),
        mcc: 5411,
        country: merchant.country,
        channel: Channel::PointOfSale,
        approved: dice.unit() >= 0.04,
        device_id: (dice.unit() < 0.5).then(|| id(DeviceId::new(device))),
        links: Links::NONE,
        account_opened_at_ms: None,
        place: merchant.place.filter(|_| is_v2),
    }
}

struct Merchant {
    id: MerchantId,
    country: Country,
    place: Option<Place>,
}

fn merchants(dice: &mut Dice, count: usize) -> Vec<Merchant> {
    let (latitude, longitude) = (48.0 + dice.normal(), 2.0 + dice.normal());
    (0..count)
        .map(|_| {
            let degrees_e4 = |dice: &mut Dice, centre: f64| ((centre + 0.1 * dice.normal()) * 10_000.0) as i32;
            let place = Place {
                latitude_e4: degrees_e4(dice, latitude),
                longitude_e4: degrees_e4(dice, longitude),
            };
            Merchant {
                id: id(MerchantId::new(&format!("merchant-{:x}", dice.any()))),
                country: id(Country::new(if dice.unit() < 0.05 { "DE" } else { "FR" })),
                place: (dice.unit() < 0.8).then_some(place),
            }
        })
        .collect()
}

/// The names above are valid.
fn id<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => unreachable!("a name of the typical card is not valid"),
    }
}

/// The dice of a typical card.
type Dice = crate::dice::Dice<SplitMix>;

/// One of the items by Zipf's law.
fn zipf<'a, T>(dice: &mut Dice, items: &'a [T]) -> &'a T {
    let weight = |index: usize| 1.0 / (index as f64 + 1.0);
    let mut left = dice.unit() * (0..items.len()).map(weight).sum::<f64>();
    let found = (0..items.len() - 1).find(|index| {
        left -= weight(*index);
        left < 0.0
    });
    &items[found.unwrap_or(items.len() - 1)]
}
