//! Where a redrive takes its records from.

use serde::{Deserialize, Serialize};

/// Where records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The dead-letter queue: each message names a range of a shard, which is read again.
    DeadLetter,
    /// The quarantine queue: its messages hold whole payloads.
    Quarantine,
    /// A range of the stream itself.
    Range,
}

impl Source {
    /// The name as it stands in requests and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Quarantine => "quarantine",
            Self::Range => "range",
        }
    }
}
