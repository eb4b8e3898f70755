//! Who changed something, when and why.

use serde::{Deserialize, Serialize};

use crate::contract::mask_card_numbers;

/// The longest reason of a change, bytes.
pub const REASON_BYTES_MAX: usize = 500;
/// The longest name of an operator, bytes.
pub const WHO_BYTES_MAX: usize = 128;

/// Who changed something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z, by the clock of whoever made the change.
    pub at_ms: i64,
    /// Who made the change.
    pub who: String,
    /// Why it was made, in the words of who made it.
    pub reason: String,
}

impl Stamp {
    /// A stamp, when name and reason are such as can be kept: neither empty nor too long, one line, without a card number.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(at_ms: i64, who: &str, reason: &str) -> Result<Self, StampError> {
        Ok(Self {
            at_ms,
            who: checked("who", who, WHO_BYTES_MAX)?,
            reason: checked("reason", reason, REASON_BYTES_MAX)?,
        })
    }
}

/// What is wrong with a name or a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Nothing but space.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Over its limit.
    #[error("{0} has more than {1} bytes")]
    TooLong(&'static str, usize),
    /// A line break or another control character.
    #[error("{0} holds a control character; write one line")]
    NotOneLine(&'static str),
    /// It is kept for ever and shown to everybody (I9).
    #[error("{0} holds a card number, which is never kept")]
    CardNumber(&'static str),
}

fn checked(field: &'static str, text: &str, bytes_max: usize) -> Result<String, StampError> {
    let text = text.trim();
    if text.is_empty() {
        Err(StampError::Empty(field))
    } else if text.len() > bytes_max {
        Err(StampError::TooLong(field, bytes_max))
    } else if text.chars().any(char::is_control) {
        Err(StampError::NotOneLine(field))
    } else if matches!(mask_card_numbers(text.as_bytes()), std::borrow::Cow::Owned(_)) {
        Err(StampError::CardNumber(field))
    } else {
        Ok(text.to_owned())
    }
}
