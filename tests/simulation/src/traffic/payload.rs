//! The records' bytes.

use tidemark_domain::id::fingerprint64;

use crate::dice::Dice;

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A transaction; now and then one that raises an alert.
#[must_use]
pub fn transaction(card: &str, event: &str, time_ms: i64, dice: &mut Dice) -> Vec<u8> {
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
        r#"{{"schema":"transaction","version":2,"event_id":{},"card_id":{},"occurred_at_ms":{time_ms},"amount_minor":{amount},"currency":"EUR","merchant_id":"m{merchant}","mcc":5411,"country":"{country}","channel":"ecommerce","approved":{approved}}}"#,
        quoted(event),
        quoted(card)
    )
    .into_bytes()
}

/// The transaction at one of a few merchants, mostly with one of a few devices.
pub(super) fn at_few(data: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&data) else {
        return data;
    };
    value["merchant_id"] = format!("m{}", dice.below(6)).into();
    if dice.chance(0.7) {
        value["device_id"] = format!("d{}", dice.below(5)).into();
    }
    value.to_string().into_bytes()
}

/// The transaction with links, unless its producer is one of those that name none. Nothing is drawn: it follows from the event.
pub(super) fn linked(data: Vec<u8>) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&data) else {
        return data;
    };
    let number = fingerprint64(value["event_id"].as_str().unwrap_or_default());
    if number.is_multiple_of(4) {
        return data;
    }
    value["version"] = 3.into();
    value["links"] = serde_json::json!({ "ip": format!("10.0.0.{}", number / 4 % 5) });
    if number.is_multiple_of(3) {
        // The policies have no key by it.
        value["links"]["account"] = format!("account-{}", number / 4 % 3).into();
    }
    value.to_string().into_bytes()
}

/// What a label is to say.
pub(super) struct Said<'a> {
    pub(super) card: &'a str,
    pub(super) event: &'a str,
    pub(super) verdict: &'a str,
    pub(super) known_since_ms: i64,
    /// From version 2 on: when the event happened, and where, as far as that is said.
    pub(super) of: Option<Happened<'a>>,
}

/// What a label says of its event besides its id.
pub(super) struct Happened<'a> {
    pub(super) time_ms: i64,
    pub(super) merchant: Option<&'a str>,
    pub(super) device: Option<&'a str>,
    pub(super) links: Option<&'a serde_json::Value>,
}

pub(super) fn said(said: &Said<'_>) -> Vec<u8> {
    let mut value = serde_json::json!({
        "schema": "label", "version": 1, "event_id": said.event, "card_id": said.card, "verdict": said.verdict,
        "known_since_ms": said.known_since_ms,
    });
    if let Some(of) = &said.of {
        value["version"] = 2.into();
        value["occurred_at_ms"] = of.time_ms.into();
        if let Some(merchant) = of.merchant {
            value["merchant_id"] = merchant.into();
        }
        if let Some(device) = of.device {
            value["device_id"] = device.into();
        }
        if let Some(links) = of.links {
            value["links"] = links.clone();
        }
    }
    value.to_string().into_bytes()
}

pub(super) fn profile(card: &str, version: u64) -> Vec<u8> {
    // One version has one content, as a producer of profiles guarantees.
    let mean = 1_000 + 137 * version;
    format!(
        r#"{{"schema":"profile","version":1,"card_id":{},"profile_version":{version},"usual_country":"FR","spend_mean_minor":{mean}.0,"spend_deviation_minor":900.5,"transactions_per_day":2.5,"account_opened_at_ms":1500000000000}}"#,
        quoted(card)
    )
    .into_bytes()
}

pub(super) fn label(card: &str, event: &str, dice: &mut Dice, at_ms: i64) -> Vec<u8> {
    let verdict = if dice.chance(0.5) { "fraud" } else { "cleared" };
    // Seldom for an event that nobody ever sent.
    let event = if dice.chance(0.1) { "never-sent" } else { event };
    format!(
        r#"{{"schema":"label","version":1,"event_id":{},"card_id":{},"verdict":"{verdict}","known_since_ms":{at_ms}}}"#,
        quoted(event),
        quoted(card)
    )
    .into_bytes()
}

pub(super) fn broken(dice: &mut Dice, card: &str) -> Vec<u8> {
    let card = quoted(card);
    match dice.below(4) {
        0 => b"not json".to_vec(),
        1 => format!(r#"{{"schema":"transaction","version":9,"card_id":{card}}}"#).into_bytes(),
        2 => vec![0xff, 0xfe, 0x00],
        _ => format!(r#"{{"schema":"transaction","version":2,"event_id":"","card_id":{card}}}"#).into_bytes(),
    }
}
