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
//! 6. times against arrival: `future_timestamp`, `too_late`.

pub mod aggregate;
mod build;
mod card_number;
mod country;
mod currency;
mod field;
mod outcome_schema;
mod read;
mod wire;

pub use card_number::mask_card_numbers;
pub use wire::{encode, schemas};

use crate::event::Event;
use crate::refusal::{Refusal, RefusalCode};

/// The highest merchant category code.
pub const MCC_MAX: u16 = 9999;
/// The largest mean or deviation in a profile, minor units of the base currency.
pub const SPEND_MINOR_MAX: f64 = 1e15;
/// The largest usual number of transactions a day in a profile.
pub const TRANSACTIONS_PER_DAY_MAX: f64 = 1e6;
/// The first time that is taken for milliseconds: 1973-03-03. The same moment in seconds is the year 5138, so that no
/// seconds of our time reach it.
pub const TIME_MS_START: i64 = 100_000_000_000;
/// The first time that is too far for milliseconds: the year 5138. In microseconds it is 1973-03-03, so that all
/// microseconds of our time lie beyond it.
pub const TIME_MS_END: i64 = 100_000_000_000_000;
/// Steps of the grid of places in a degree.
const PLACE_SCALE: f64 = 10_000.0;

/// Names and versions of transactions.
mod transaction_v {
    pub(super) const NAME: &str = "transaction";
    pub(super) const V1: u32 = 1;
    pub(super) const V2: u32 = 2;
}

/// Name and version of profiles.
mod profile_v {
    pub(super) const NAME: &str = "profile";
    pub(super) const V1: u32 = 1;
}

/// Name and version of labels.
mod label_v {
    pub(super) const NAME: &str = "label";
    pub(super) const V1: u32 = 1;
}

/// What the contract accepts, where a policy may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest payload, bytes.
    pub payload_bytes_max: usize,
    /// The deepest nesting of arrays and objects; the event itself is the first level. Beyond 127 no text can be read,
    /// whatever is set here.
    pub nesting_max: usize,
    /// How far event time may be ahead of arrival, ms; that far is accepted.
    pub skew_ms: i64,
    /// How far a transaction's event time may be behind arrival, ms; that far is accepted.
    pub lateness_ms: i64,
    /// The largest amount, minor units of its currency.
    pub amount_minor_max: u64,
}

impl Bounds {
    /// The bounds of the built-in policy.
    pub const BUILT_IN: Self = Self {
        payload_bytes_max: 64 * 1024,
        nesting_max: 16,
        skew_ms: 5 * 60 * 1000,
        lateness_ms: 2 * 24 * 60 * 60 * 1000,
        amount_minor_max: 1_000_000_000_000,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::BUILT_IN
    }
}

/// An accepted payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What it says.
    pub event: Event,
    /// Members of its top level that its schema and version do not know; tolerated.
    pub unknown_fields: u32,
}

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
    let members = read::read(text, bounds.nesting_max).map_err(|error| unreadable(read::sort(text, &error), bounds))?;
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
    build::build(&members, arrival_ms, bounds)
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
