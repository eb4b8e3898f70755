//! The walk over one shard for a range of the stream: from a place to a last number or time. Pure, like [`crate::walk`].

use std::cmp::Ordering;

use tidemark_engine::record::compare_sequence_numbers;

use crate::limits::ARRIVAL_SLACK_MS;
use crate::port::{ReadFrom, StreamRecord};
use crate::walk::{PageEnd, Want};

/// Which records of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Where to begin.
    pub from: ReadFrom,
    /// The last number that belongs to it.
    pub to: Option<String>,
    /// The first arrival time that belongs to it, milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<i64>,
    /// The last arrival time that belongs to it, milliseconds since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
}

/// A walk over one shard.
#[derive(Clone, Debug)]
pub struct Scan {
    bounds: Bounds,
    last: Option<String>,
    has_iterator: bool,
    /// The place to begin was refused: what is there begins later.
    trimmed: bool,
    done: bool,
    unfinished: bool,
    empty_pages: u32,
    empty_pages_max: u32,
}

impl Scan {
    /// A walk that gives up after so many pages in a row without a record.
    #[must_use]
    pub fn new(bounds: Bounds, empty_pages_max: u32) -> Self {
        Self {
            bounds,
            last: None,
            has_iterator: false,
            trimmed: false,
            done: false,
            unfinished: false,
            empty_pages: 0,
            empty_pages_max,
        }
    }

    /// What is to be done next.
    #[must_use]
    pub fn want(&self) -> Want {
        if self.done {
            return Want::Nothing;
        }
        if self.has_iterator {
            return Want::Page;
        }
        if let Some(last) = &self.last {
            return Want::Iterator(ReadFrom::After(last.clone()));
        }
        Want::Iterator(if self.trimmed {
            ReadFrom::Oldest
        } else {
            self.bounds.from.clone()
        })
    }

    /// The iterator that was wanted is there.
    pub fn placed(&mut self) {
        self.has_iterator = true;
    }

    /// The place was refused: the walk begins with the oldest record instead.
    pub fn refused(&mut self) {
        self.done |= self.trimmed || self.last.is_some();
        self.unfinished |= self.done;
        self.trimmed = true;
    }

    /// The iterator is too old.
    pub fn expired(&mut self) {
        self.has_iterator = false;
    }

    /// Whether the first record of the range is past retention.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.trimmed
    }

    /// Whether it was given up before its end.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// A page came: the indexes of its records that belong to the range.
    pub fn page(&mut self, records: &[StreamRecord], page_end: PageEnd) -> Vec<usize> {
        self.has_iterator = page_end != PageEnd::Closed;
        let mut hits = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if self.is_beyond(record) {
                self.done = true;
                break;
            }
            if let (None, ReadFrom::At(from)) = (&self.last, &self.bounds.from) {
                self.trimmed |= *from != record.sequence_number;
            }
            self.last = Some(record.sequence_number.clone());
            let since_ms = self.bounds.since_ms.unwrap_or(i64::MIN);
            if (since_ms..=self.bounds.until_ms).contains(&record.arrival_ms) {
                hits.push(at);
            }
        }
        self.done |= page_end != PageEnd::More;
        self.empty_pages = if records.is_empty() { self.empty_pages + 1 } else { 0 };
        if !self.done && self.empty_pages >= self.empty_pages_max {
            self.done = true;
            self.unfinished = true;
        }
        hits
    }

    /// Arrival times are approximate, so a single later one does not end the range.
    fn is_beyond(&self, record: &StreamRecord) -> bool {
        let number = &record.sequence_number;
        let after_last = |to: &String| compare_sequence_numbers(number, to) == Ordering::Greater;
        self.bounds.to.as_ref().is_some_and(after_last)
            || record.arrival_ms > self.bounds.until_ms.saturating_add(ARRIVAL_SLACK_MS)
    }
}
