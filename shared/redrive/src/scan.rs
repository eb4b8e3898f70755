//! The walk over one shard for a range of the stream: from a place to a last number or time. Pure, like [`crate::walk`].

use std::cmp::Ordering;

use tidemark_engine::record::compare_sequence_numbers;

use crate::limits::ARRIVAL_SLACK_MS;
use crate::port::{ReadFrom, StreamRecord};
use crate::walk::{PageEnd, Want};

/// Which records of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanBounds {
    /// Where to begin.
    pub from: ReadFrom,
    /// The last number that belongs to it.
    pub to: Option<String>,
    /// The first arrival time that belongs to it, milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<i64>,
    /// The last arrival time that belongs to it, milliseconds since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is no iterator: one is wanted.
    Unplaced,
    /// There is an iterator.
    Reading,
    /// The range's end was reached.
    Done,
    /// It was given up before the range's end.
    GivenUp,
}

/// A walk over one shard.
#[derive(Clone, Debug)]
pub struct Scan {
    bounds: ScanBounds,
    place: Place,
    last: Option<String>,
    /// The place to begin was refused: what is there begins later.
    trimmed: bool,
    empty_pages: u32,
    empty_pages_max: u32,
}

impl Scan {
    /// A walk that gives up after so many pages in a row without a record.
    #[must_use]
    pub fn new(bounds: ScanBounds, empty_pages_max: u32) -> Self {
        Self {
            bounds,
            place: Place::Unplaced,
            last: None,
            trimmed: false,
            empty_pages: 0,
            empty_pages_max,
        }
    }

    /// What is to be done next.
    #[must_use]
    pub fn want(&self) -> Want {
        match self.place {
            Place::Unplaced => Want::Iterator(self.start()),
            Place::Reading => Want::Page,
            Place::Done | Place::GivenUp => Want::Nothing,
        }
    }

    fn start(&self) -> ReadFrom {
        match &self.last {
            Some(last) => ReadFrom::After(last.clone()),
            None if self.trimmed => ReadFrom::Oldest,
            None => self.bounds.from.clone(),
        }
    }

    /// The iterator that was wanted is there.
    pub fn placed(&mut self) {
        self.place = Place::Reading;
    }

    /// The place was refused: the walk begins with the oldest record instead.
    pub fn refused(&mut self) {
        self.place = if self.trimmed || self.last.is_some() {
            Place::GivenUp
        } else {
            Place::Unplaced
        };
        self.trimmed = true;
    }

    /// The iterator is too old.
    pub fn expired(&mut self) {
        self.place = Place::Unplaced;
    }

    /// Whether the first record of the range is past retention.
    #[must_use]
    pub fn is_trimmed(&self) -> bool {
        self.trimmed
    }

    /// Whether it was given up before its end.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.place == Place::GivenUp
    }

    /// A page came: the indexes of its records that belong to the range.
    pub fn page(&mut self, records: &[StreamRecord], page_end: PageEnd) -> Vec<usize> {
        if page_end != PageEnd::More {
            self.place = Place::Done;
        }
        let mut hits = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if self.is_beyond(record) {
                self.place = Place::Done;
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
        self.empty_pages = if records.is_empty() { self.empty_pages + 1 } else { 0 };
        if self.place != Place::Done && self.empty_pages >= self.empty_pages_max {
            self.place = Place::GivenUp;
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
