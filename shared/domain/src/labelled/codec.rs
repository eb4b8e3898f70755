//! A labelled history as bytes, format version 1.
//!
//! ```text
//! byte 0        1            9                   10         26
//! version = 1   forgotten    has a floor: 0, 1   [floor]    labels, 26 bytes each
//!               u64 LE                           i64, u64
//!
//! label  event time i64 LE │ event u64 LE │ known since i64 LE │ verdict u8 (1, 2) │ explained u8 (0 unknown, 1 no, 2 yes)
//! ```
//! A history has one spelling: labels in order, each once, above the floor, within the limits. Nothing else is read.

use crate::event::Verdict;

use super::{LABELLED_MS, LABELS_MAX, LabelledEvent, LabelledHistory};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 10;
const FLOOR_BYTES: usize = 16;
const LABEL_BYTES: usize = 26;
/// The most that a labelled history takes, bytes.
pub const BYTES_MAX: usize = HEADER_BYTES + FLOOR_BYTES + LABELS_MAX * LABEL_BYTES;

/// Why bytes are not a labelled history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelledError {
    /// A format that this build does not know.
    #[error("format version {0} of a key's labelled history is not known")]
    UnknownVersion(u8),
    /// The length is not one that such a history can have.
    #[error("{0} bytes are no labelled history")]
    Length(usize),
    /// The bytes say something that no labelled history is.
    #[error("the bytes are no labelled history: {0}")]
    Invalid(&'static str),
}

impl LabelledHistory {
    /// The history as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + FLOOR_BYTES + self.labels.len() * LABEL_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.forgotten.to_le_bytes());
        bytes.push(u8::from(self.floor.is_some()));
        if let Some((time_ms, event)) = self.floor {
            bytes.extend_from_slice(&time_ms.to_le_bytes());
            bytes.extend_from_slice(&event.to_le_bytes());
        }
        for label in &self.labels {
            bytes.extend_from_slice(&label.time_ms.to_le_bytes());
            bytes.extend_from_slice(&label.event.to_le_bytes());
            bytes.extend_from_slice(&label.known_since_ms.to_le_bytes());
            bytes.push(label.verdict as u8);
            bytes.push(match label.explained {
                None => 0,
                Some(false) => 1,
                Some(true) => 2,
            });
        }
        bytes
    }

    /// The history that the bytes stand for: any bytes give one or an error.
    ///
    /// # Errors
    /// When the bytes are not those of a labelled history of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self, LabelledError> {
        let length = LabelledError::Length(bytes.len());
        match bytes.first() {
            Some(&VERSION) => {}
            Some(version) => return Err(LabelledError::UnknownVersion(*version)),
            None => return Err(length),
        }
        let mut reader = Reader(bytes.get(1..).unwrap_or_default());
        let forgotten = reader.whole().map(u64::from_le_bytes).ok_or(length)?;
        let floor = match reader.byte().ok_or(length)? {
            0 => None,
            1 => Some(reader.floor().ok_or(length)?),
            _ => return Err(LabelledError::Invalid("a floor is there or not")),
        };
        if bytes.len() > BYTES_MAX || !reader.0.len().is_multiple_of(LABEL_BYTES) {
            return Err(length);
        }
        let mut labels = Vec::with_capacity(reader.0.len() / LABEL_BYTES);
        while !reader.0.is_empty() {
            labels.push(reader.label()?);
        }
        let history = Self {
            labels,
            forgotten,
            floor,
        };
        history.check()?;
        Ok(history)
    }

    fn check(&self) -> Result<(), LabelledError> {
        let invalid = |what| Err(LabelledError::Invalid(what));
        if !self.labels.is_sorted_by(|a, b| a < b) {
            return invalid("labels are not in their order");
        }
        let first = self.labels.first();
        if first.is_some_and(|first| self.floor.is_some_and(|floor| first.event_key() <= floor)) {
            return invalid("a label is below the floor");
        }
        if (self.forgotten > 0) != self.floor.is_some() {
            return invalid("a floor is there exactly when something was forgotten");
        }
        let span_ms = first.and_then(|first| self.newest_ms()?.checked_sub(first.time_ms));
        if !self.labels.is_empty() && span_ms.is_none_or(|span_ms| span_ms > LABELLED_MS) {
            return invalid("a label is older than is kept");
        }
        let named = self
            .forgotten
            .checked_mul(2)
            .and_then(|twice| twice.checked_add(self.labels.len() as u64));
        if named.is_none() {
            return invalid("more was forgotten than can be");
        }
        Ok(())
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn whole(&mut self) -> Option<[u8; 8]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn floor(&mut self) -> Option<(i64, u64)> {
        Some((i64::from_le_bytes(self.whole()?), u64::from_le_bytes(self.whole()?)))
    }

    fn label(&mut self) -> Result<LabelledEvent, LabelledError> {
        let short = LabelledError::Length(self.0.len());
        let (time_ms, event) = self.floor().ok_or(short)?;
        let known_since_ms = self.whole().map(i64::from_le_bytes).ok_or(short)?;
        let verdict = match self.byte().ok_or(short)? {
            1 => Verdict::Fraud,
            2 => Verdict::Cleared,
            _ => return Err(LabelledError::Invalid("a verdict has no such number")),
        };
        let explained = match self.byte().ok_or(short)? {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return Err(LabelledError::Invalid("explained is unknown, no or yes")),
        };
        Ok(LabelledEvent {
            time_ms,
            event,
            known_since_ms,
            verdict,
            explained,
        })
    }
}
