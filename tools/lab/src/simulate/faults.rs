//! Everything that the contract refuses, each with the code that it must get.

use tidemark_domain::refusal::RefusalCode::{self, *};

use super::draft::Draft;
use super::render::{self, Names};
use super::{HOUR_MS, SimConfig};

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// These bytes, nothing else.
    Whole(&'static [u8]),
    /// A field's JSON value is this text.
    Set(&'static str, &'static str),
    /// A field is left out.
    Drop(&'static str),
    /// A field is added: name and JSON value.
    Add(&'static str, &'static str),
    /// Padded in an unknown field until it is this many bytes over the limit.
    Oversize(usize),
    /// This many arrays in one another beyond the limit, in an unknown field.
    Nested(usize),
    /// An identifier one byte too long.
    Overlong(&'static str),
    /// Cut off in the middle.
    CutOff,
    /// A byte in a string that no UTF-8 has.
    BadByte,
    /// One over the largest amount.
    AmountOverLimit,
    /// Its own event time in another unit: divided by this.
    DividedTime(i64),
    /// Its own event time in microseconds.
    Microseconds,
    /// Ahead of arrival by the skew bound and this many hours.
    Ahead(i64),
    /// Older than the lateness bound by this many hours.
    Behind(i64),
    /// As version 3, with an id under each of these names.
    Links(&'static [&'static str]),
    /// As version 3, of an account that was opened just before arrival, and after the event by the skew bound and so many milliseconds.
    OpenedAfter(i64),
    /// A whole JSON text in which `CARD` stands for the card's id and `EVENT` for an event's.
    Text(&'static str),
}

use Fault::*;

/// Every fault, in turn: what is wrong, and the code it must be refused with.
pub(super) const FAULTS: &[(Fault, RefusalCode)] = &[
    (Oversize(1), TooLarge),
    (Oversize(40_000), TooLarge),
    (Whole(b""), Empty),
    (BadByte, NotUtf8),
    // The first bytes of a record that a KPL producer aggregated.
    (Whole(b"\xF3\x89\x9A\xC2\x0A\x04card"), NotUtf8),
    (CutOff, NotJson),
    (Whole(b"[1,2,3]"), NotJson),
    (Whole(b"\"transaction\""), NotJson),
    (Whole(b"card,amount\nc1,100\n"), NotJson),
    (Whole(b"{'schema':'transaction'}"), NotJson),
    (Nested(1), TooDeep),
    (Nested(200), TooDeep),
    (Add("amount_minor", "1"), DuplicateKey),
    (Add("extra", "{\"a\":1,\"b\":2,\"a\":3}"), DuplicateKey),
    (Drop("event_id"), MissingField),
    (Drop("card_id"), MissingField),
    (Drop("occurred_at_ms"), MissingField),
    (Drop("amount_minor"), MissingField),
    (Drop("currency"), MissingField),
    (Drop("approved"), MissingField),
    (Drop("schema"), MissingField),
    (Set("amount_minor", "\"1200\""), MistypedField),
    (Set("approved", "\"yes\""), MistypedField),
    (Set("card_id", "17"), MistypedField),
    (Set("merchant_id", "null"), MistypedField),
    (Set("schema", "\"refund\""), UnknownSchema),
    (Set("version", "99"), UnknownVersion),
    (Set("event_id", "\"\""), EmptyId),
    (Set("card_id", "\"\""), EmptyId),
    (Overlong("event_id"), OverlongId),
    (Overlong("merchant_id"), OverlongId),
    (Set("event_id", "\"a\\u001b[2K\\n\""), UnprintableId),
    (
        Links(&[
            "ip", "account", "email", "phone", "address", "cookie", "session", "user", "basket",
        ]),
        TooManyLinks,
    ),
    (Links(&["IP"]), LinkName),
    (Set("amount_minor", "0"), AmountNotPositive),
    (Set("amount_minor", "-1250"), AmountNotPositive),
    (AmountOverLimit, AmountTooLarge),
    (Set("amount_minor", "12.5"), AmountFraction),
    (Set("amount_minor", "1e400"), NumberOutOfRange),
    (Set("amount_minor", "NaN"), NumberOutOfRange),
    (Set("latitude", "-Infinity"), NumberOutOfRange),
    (Set("mcc", "10000"), NumberOutOfRange),
    (Set("currency", "\"XQQ\""), UnknownCurrency),
    (Set("currency", "\"eur\""), UnknownCurrency),
    (Set("country", "\"ZZ\""), UnknownCountry),
    (Set("country", "\"fr\""), UnknownCountry),
    (DividedTime(1_000), TimeUnit),
    (Microseconds, TimeUnit),
    (Ahead(24), FutureTimestamp),
    (Ahead(2_400), FutureTimestamp),
    (Behind(1), TooLate),
    (Behind(1_000), TooLate),
    (OpenedAfter(1), AccountAfterEvent),
    (Set("merchant_id", "\"4111111111111111\""), CardNumber),
    (Set("card_id", "\"5500-0000-0000-0004\""), CardNumber),
    (Add("note", "\"paid with 3782 822463 10005 by phone\""), CardNumber),
    (
        Text(
            "{\"schema\":\"profile\",\"version\":1,\"card_id\":\"CARD\",\"profile_version\":9,\"usual_country\":\"FR\",\
             \"spend_mean_minor\":1e400,\"spend_deviation_minor\":10,\"transactions_per_day\":2,\
             \"account_opened_at_ms\":1500000000000}",
        ),
        NumberOutOfRange,
    ),
    (
        Text("{\"schema\":\"label\",\"version\":1,\"event_id\":\"EVENT\",\"card_id\":\"CARD\",\"verdict\":\"fraud\"}"),
        MissingField,
    ),
];

/// Writes a broken record: its partition key, its bytes, and the code it must get. `sent_ms` is when it would be sent.
pub(super) fn write(
    config: &SimConfig,
    names: &Names,
    (of, draft): (u32, &Draft),
    fault: usize,
    variant: u32,
    sent_ms: i64,
) -> (String, Vec<u8>, RefusalCode) {
    let (what, code) = FAULTS[fault % FAULTS.len()];
    let key = names.card(draft.card);
    let mut sound = draft.clone();
    // Version 2 has every field there is to break.
    sound.legacy = false;
    let mut fields = Fields::of(&render::transaction(names, of, &sound, None));
    fields.set("event_id", format!("\"{}\"", names.broken(fault, variant)));
    let payload = match what {
        Whole(bytes) => bytes.to_vec(),
        Text(text) => text
            .replace("CARD", &key)
            .replace("EVENT", &names.broken(fault, variant))
            .into_bytes(),
        CutOff => {
            let mut bytes = fields.write();
            bytes.truncate(bytes.len() / 2);
            bytes
        }
        BadByte => {
            fields.set("merchant_id", "\"shop-?\"".to_owned());
            let mut bytes = fields.write();
            for byte in bytes.iter_mut().filter(|byte| **byte == b'?') {
                *byte = 0xFF;
            }
            bytes
        }
        Oversize(over) => {
            let room =
                (config.bounds.payload_bytes_max + over).saturating_sub(fields.write().len() + ",\"pad\":\"\"".len());
            fields.add("pad", format!("\"{}\"", "x".repeat(room)));
            fields.write()
        }
        _ => {
            fields.apply(what, config, sent_ms, draft.occurred_ms);
            fields.write()
        }
    };
    (key, payload, code)
}

/// The members of a flat JSON object, as text.
struct Fields(Vec<(String, String)>);

impl Fields {
    /// Takes the simulation's own JSON apart.
    fn of(json: &[u8]) -> Self {
        let map: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap_or_default();
        Self(map.into_iter().map(|(name, value)| (name, value.to_string())).collect())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.add(name, value),
        }
    }

    fn add(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned(), value));
    }

    fn apply(&mut self, fault: Fault, config: &SimConfig, sent_ms: i64, occurred_ms: i64) {
        match fault {
            Set(name, value) => self.set(name, value.to_owned()),
            Drop(name) => self.0.retain(|(known, _)| known != name),
            Add(name, value) => self.add(name, value.to_owned()),
            Nested(over) => {
                let depth = config.bounds.nesting_max + over;
                self.add("extra", format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
            }
            Overlong(name) => {
                self.set(
                    name,
                    format!("\"{}\"", "y".repeat(tidemark_domain::id::ID_BYTES_MAX + 1)),
                );
            }
            AmountOverLimit => self.set("amount_minor", (config.bounds.amount_minor_max + 1).to_string()),
            DividedTime(by) => self.set("occurred_at_ms", (occurred_ms / by).to_string()),
            Microseconds => self.set("occurred_at_ms", (occurred_ms * 1_000).to_string()),
            Links(names) => {
                let links: Vec<String> = names.iter().map(|name| format!("\"{name}\":\"id\"")).collect();
                self.set("version", "3".to_owned());
                self.add("links", format!("{{{}}}", links.join(",")));
            }
            OpenedAfter(by_ms) => {
                let opened_ms = sent_ms - by_ms;
                self.set("version", "3".to_owned());
                self.set(
                    "occurred_at_ms",
                    (opened_ms - config.bounds.skew_ms - by_ms).to_string(),
                );
                self.add("account_opened_at_ms", opened_ms.to_string());
            }
            // From "now", not from when it is sent: the run may reach the stream any time after now.
            Ahead(hours) => {
                self.set(
                    "occurred_at_ms",
                    (config.sent_by_ms + config.bounds.skew_ms + hours * HOUR_MS).to_string(),
                );
            }
            Behind(hours) => {
                self.set(
                    "occurred_at_ms",
                    (sent_ms - config.bounds.lateness_ms - hours * HOUR_MS).to_string(),
                );
            }
            Whole(_) | Text(_) | CutOff | BadByte | Oversize(_) => {}
        }
    }

    fn write(&self) -> Vec<u8> {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    }
}
