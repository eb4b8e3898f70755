//! The history of a key, which is a card today: its recent events in event-time order, which are windows, dedupe record and
//! outcome record at once, and references to the sealed segments that hold the events before them. A card's state, in
//! documents and items, is its history as it is stored.

mod bits;
mod check;
pub mod codec;
mod entry;
mod error;
mod forest;
mod head;
mod identity;
mod insert;
mod limits;
mod reading;
pub mod sealed;
mod sealing;
pub(crate) mod sketch;
mod spelt;
mod state;

pub use entry::{BASE_AMOUNT_MAX, Entry, UNPRICED};
pub use error::CodecError;
pub use identity::{EventMark, HistoryKey};
pub use limits::{HEAD_EVENTS_LIMIT, STATE_BYTES_MAX};
pub use state::{History, Truncation};

pub(crate) use forest::{Cuts, Found, Piece};
pub(crate) use identity::{high, low};
