//! The contract: bytes in, an [`Event`] or a [`Refusal`] out.
//!
//! Decoding is a pure function of the payload, its arrival time and the bounds. A payload with several faults always gets
//! the same code, the first of this order:
//! 1. bytes: `too_large`, `empty`, `not_utf8`;
//! 2. text: `not_json`, `number_out_of_range` for a number that no reader of JSON can take, `too_deep` beyond the depth that
//!    can be read at all — whichever comes first in the text;
//! 3. anywhere in the text: `card_number`, `too_deep`, `duplicate_key`;
//! 4. `schema`, then `version`;
//! 5. the fields, in the order of docs/reference/contract.md: missing, mistyped, then the value;
//! 6. times against arrival and each other: `future_timestamp`, `too_late`, `account_after_event`.

pub mod aggregate;
mod bounds;
mod build;
mod card_number;
mod country;
mod currency;
mod field;
mod links;
mod outcome_schema;
mod quick;
mod read;
mod wire;

pub use bounds::{Bounds, Decoded, MCC_MAX, SPEND_MINOR_MAX, TIME_MS_END, TIME_MS_START, TRANSACTIONS_PER_DAY_MAX};
pub use card_number::mask_card_numbers;
pub use wire::{encode, schemas};

use crate::refusal::{Refusal, RefusalCode};

/// Reads and checks a payload.
///
/// `arrival_ms` is when Kinesis took the record (milliseconds since 1970-01-01T00:00:00Z), never a clock's time, so that the
/// same record always gets the same answer.
///
/// # Errors
/// The first refusal in the order that this module describes. Its text names fields and expectations, never a value (I9).
pub fn decode(payload: &[u8], arrival_ms: i64, bounds: &Bounds) -> Result<Decoded, Refusal> {
    if payload.len() > bounds.payload_bytes_max {
        let detail = format!("payload: expected at most {} bytes", bounds.payload_bytes_max);
        return Err(Refusal::new(RefusalCode::TooLarge, detail));
    }
    if payload.trim_ascii().is_empty() {
        return Err(Refusal::new(
            RefusalCode::Empty,
            "payload: expected one JSON object, found nothing",
        ));
    }
    let text =
        std::str::from_utf8(payload).map_err(|_| Refusal::new(RefusalCode::NotUtf8, "payload: expected UTF-8"))?;
    let mut members = read::Members::none(read::Flaws::default());
    if quick::read(text, bounds.nesting_max, &mut members).is_some() {
        let decoded = decode_members(&members, arrival_ms, bounds);
        quick::forget(members);
        return decoded;
    }
    let members = read::read(text, bounds.nesting_max).map_err(|error| unreadable(read::sort(text, &error), bounds))?;
    decode_members(&members, arrival_ms, bounds)
}

fn decode_members(members: &read::Members<'_>, arrival_ms: i64, bounds: &Bounds) -> Result<Decoded, Refusal> {
    if members.flaws.card_number {
        return Err(Refusal::new(
            RefusalCode::CardNumber,
            "payload: expected no string that looks like a card number",
        ));
    }
    if members.flaws.too_deep {
        return Err(unreadable(read::Unreadable::TooDeep, bounds));
    }
    if members.flaws.duplicate_key {
        return Err(Refusal::new(
            RefusalCode::DuplicateKey,
            "payload: expected each key once in its object",
        ));
    }
    build::build(members, arrival_ms, bounds)
}

fn unreadable(why: read::Unreadable, bounds: &Bounds) -> Refusal {
    match why {
        read::Unreadable::NotJson => Refusal::new(
            RefusalCode::NotJson,
            "payload: expected one JSON object and nothing after it",
        ),
        read::Unreadable::TooDeep => Refusal::new(
            RefusalCode::TooDeep,
            format!(
                "payload: expected at most {} levels of arrays and objects",
                bounds.nesting_max
            ),
        ),
        read::Unreadable::Number => Refusal::new(
            RefusalCode::NumberOutOfRange,
            "payload: expected numbers that a 64-bit float can hold, and neither NaN nor Infinity",
        ),
    }
}
