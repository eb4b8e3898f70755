//! What came out of a show.

use operate::redrive::RedriveReport;
use serde::Serialize;

use super::Injected;
use crate::demo::report::DemoReport;

/// What a show came to. Field names are stable: scripts read them.
#[derive(Clone, Debug, Serialize)]
pub struct ShowReport {
    /// The account and the recomputation, after the redrive.
    #[serde(flatten)]
    pub report: DemoReport,
    /// What went wrong, counted.
    pub injected: Injected,
    /// What waited in the dead-letter queue before the redrive.
    pub dead_letters: LettersBefore,
    /// The redrives, in order.
    pub redrives: Vec<RedriveReport>,
}

/// The dead-letter queue before the redrive.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LettersBefore {
    /// How many messages wait.
    pub messages: u64,
    /// Records of their ranges that had no end yet.
    pub records: u64,
    /// Age of the oldest message, milliseconds.
    pub oldest_ms: Option<i64>,
}

impl ShowReport {
    /// Whether the account is exact and every dead letter came to its end.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.report.holds() && self.redrives.last().is_none_or(|last| last.complete)
    }
}
