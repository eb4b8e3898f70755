//! What has become of a file's rows: each is counted once.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tidemark_domain::id::fingerprint64;

use tidemark_mapping::{NamedEvent, RefusedRow};

use crate::limits::{IDS_HELD_MAX, REFUSED_NAMED_MAX, REPEATS_NAMED_MAX};

/// The account of a file's rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RowAccount {
    /// Rows that were read: translated, skipped or refused.
    pub rows: u64,
    /// Rows that gave an event or more.
    pub translated: u64,
    /// Transactions of them.
    pub transactions: u64,
    /// Labels of them.
    pub labels: u64,
    /// Profiles of them.
    pub profiles: u64,
    /// Rows that the map leaves out.
    pub skipped: u64,
    /// Rows that say nothing: a label's row without a verdict.
    pub silent: u64,
    /// Rows that were refused.
    pub refused_total: u64,
    /// The same by their codes.
    pub refused_by_code: BTreeMap<&'static str, u64>,
    /// The first of them.
    pub refused: Vec<RefusedRow>,
    /// Transactions that happened before one of an earlier row.
    pub out_of_order: u64,
    /// Transactions that come twice.
    pub repeats: Repeats,
}

/// Transactions with the card and the id of an earlier row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repeats {
    /// With the same time, too: one event, of which the first row counts.
    pub same_event: u64,
    /// At another time: two events that share an id.
    pub same_id: u64,
    /// The first of them.
    pub first: Vec<Repeat>,
    /// Whether all ids of the file were remembered.
    pub all_looked_at: bool,
}

/// A transaction with the card and the id of an earlier row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// Its line, from 1.
    pub line: u64,
    /// The earlier row's line.
    pub earlier_line: u64,
    /// Whether the time is the same, too.
    pub same_time: bool,
}

/// The ids of a file's transactions, by their fingerprints: the line and the time of each.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    seen: HashMap<u64, (u64, i64)>,
    is_full: bool,
}

impl Ids {
    /// Takes a transaction, and says which earlier one has its card and its id.
    pub(crate) fn take(&mut self, named: &NamedEvent, line: u64) -> Option<Repeat> {
        let id = fingerprint64(&format!("{}\n{}", named.card_id, named.event_id));
        if let Some((earlier_line, time_ms)) = self.seen.get(&id) {
            return Some(Repeat {
                line,
                earlier_line: *earlier_line,
                same_time: *time_ms == named.occurred_at_ms,
            });
        }
        if self.seen.len() < IDS_HELD_MAX {
            self.seen.insert(id, (line, named.occurred_at_ms));
        } else {
            self.is_full = true;
        }
        None
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }
}

impl RowAccount {
    pub(crate) fn refuse(&mut self, refused: RefusedRow) {
        self.refused_total += 1;
        *self.refused_by_code.entry(refused.code).or_default() += 1;
        if self.refused.len() < REFUSED_NAMED_MAX {
            self.refused.push(refused);
        }
    }

    pub(crate) fn repeat(&mut self, repeat: Repeat) {
        let count = if repeat.same_time {
            &mut self.repeats.same_event
        } else {
            &mut self.repeats.same_id
        };
        *count += 1;
        if self.repeats.first.len() < REPEATS_NAMED_MAX {
            self.repeats.first.push(repeat);
        }
    }
}
