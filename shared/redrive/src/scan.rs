//! The walk over one shard for a range of the stream: from a place to a last number or time. Pure, like [`crate::walk`].

use std::cmp::Ordering;

use tidemark_engine::record::compare_sequence_numbers;

use crate::api::CutRange;
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
    /// The part of it that is wanted. A walk that goes on after a record of the part has its begin behind it.
    pub cut: CutRange,
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

/// A record that is known to have been in the shard: the scan begins with it, or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    number: String,
    /// It belongs to what is to be visited.
    is_wanted: bool,
    /// It was met again: nothing is missing between it and what comes next.
    is_met: bool,
}

/// A walk over one shard.
///
/// It begins at the record that it has a number of, also when only what follows is wanted. For a number that is past retention the
/// stream may refuse, give the oldest record, or give empty pages for ever; so only a record that comes again shows that nothing
/// was lost behind it. When it does not come, the walk reads from the shard's oldest record on, and says that its start was gone.
#[derive(Clone, Debug)]
pub struct Scan {
    bounds: ScanBounds,
    place: Place,
    anchor: Option<Anchor>,
    /// The anchor did not come where it was asked for: the oldest record is where to begin.
    from_oldest: bool,
    /// The last record that was seen.
    last: Option<String>,
    /// Where it was to begin, or to go on, there was nothing any more.
    trimmed: bool,
    empty_pages: u32,
    empty_pages_max: u32,
}

impl Scan {
    /// A walk that gives up after so many pages in a row without a record.
    #[must_use]
    pub fn new(bounds: ScanBounds, empty_pages_max: u32) -> Self {
        let anchor = match &bounds.from {
            ReadFrom::At(number) => Some((number, true)),
            ReadFrom::After(number) => Some((number, false)),
            ReadFrom::Oldest | ReadFrom::Time(_) => None,
        };
        let anchor = anchor.map(|(number, is_wanted)| Anchor {
            number: number.clone(),
            is_wanted,
            is_met: false,
        });
        Self {
            bounds,
            place: Place::Unplaced,
            anchor,
            from_oldest: false,
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
        match &self.anchor {
            _ if self.from_oldest => ReadFrom::Oldest,
            Some(anchor) => ReadFrom::At(anchor.number.clone()),
            None => self.bounds.from.clone(),
        }
    }

    /// The iterator that was wanted is there.
    pub fn placed(&mut self) {
        self.place = Place::Reading;
    }

    /// The place was refused: the walk begins with the oldest record instead.
    pub fn refused(&mut self) {
        if self.from_oldest {
            self.place = Place::GivenUp;
        } else {
            self.trimmed |= self.anchor.is_none();
            self.begin_with_oldest();
        }
    }

    fn begin_with_oldest(&mut self) {
        self.from_oldest = true;
        self.place = Place::Unplaced;
    }

    /// The iterator is too old: the walk goes on behind the last record that it saw.
    pub fn expired(&mut self) {
        self.place = Place::Unplaced;
        // What came before a record that is still looked for was not visited: the walk begins again where it began.
        let is_looking = self.anchor.as_ref().is_some_and(|anchor| !anchor.is_met);
        if let Some(last) = self.last.take().filter(|_| !is_looking) {
            self.from_oldest = false;
            self.anchor = Some(Anchor {
                number: last,
                is_wanted: false,
                is_met: false,
            });
        }
    }

    /// Whether the record was not there with which the range begins, or after which it was to go on.
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
        let mut hits = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let is_open = self.is_behind_anchor(&record.sequence_number) && self.is_behind_cut(record);
            if self.is_beyond(record) {
                self.finish();
                return hits;
            }
            self.last = Some(record.sequence_number.clone());
            let since_ms = self.bounds.since_ms.unwrap_or(i64::MIN);
            if is_open && (since_ms..=self.bounds.until_ms).contains(&record.arrival_ms) {
                hits.push(at);
            }
        }
        self.empty_pages = if records.is_empty() { self.empty_pages + 1 } else { 0 };
        if page_end != PageEnd::More {
            self.nothing_follows();
        } else if self.empty_pages >= self.empty_pages_max {
            self.place = Place::GivenUp;
        }
        hits
    }

    /// Whether a record belongs to what is to be visited: not before the anchor.
    fn is_behind_anchor(&mut self, number: &str) -> bool {
        let Some(anchor) = self.anchor.as_mut().filter(|anchor| !anchor.is_met) else {
            return true;
        };
        match compare_sequence_numbers(number, &anchor.number) {
            Ordering::Less => false,
            Ordering::Equal => {
                anchor.is_met = true;
                anchor.is_wanted
            }
            Ordering::Greater => {
                anchor.is_met = true;
                self.trimmed = true;
                true
            }
        }
    }

    /// Whether the part that is wanted has begun: with the first record that arrived at its begin or later, and all that follow.
    fn is_behind_cut(&mut self, record: &StreamRecord) -> bool {
        let begin_ms = &mut self.bounds.cut.begin_ms;
        if begin_ms.is_some_and(|begin_ms| record.arrival_ms >= begin_ms) {
            *begin_ms = None;
        }
        begin_ms.is_none()
    }

    /// The newest record was reached, or a closed shard's last one. Without a record where one was known to be, the oldest may say more.
    fn nothing_follows(&mut self) {
        if self.last.is_none() && self.anchor.is_some() && !self.from_oldest {
            self.begin_with_oldest();
        } else {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.place = Place::Done;
        self.trimmed |= self.anchor.as_ref().is_some_and(|anchor| !anchor.is_met);
    }

    /// Arrival times are approximate, so a single later one does not end the range.
    fn is_beyond(&self, record: &StreamRecord) -> bool {
        let number = &record.sequence_number;
        let after_last = |to: &String| compare_sequence_numbers(number, to) == Ordering::Greater;
        let cut = self.bounds.cut;
        let is_cut_off = cut.begin_ms.is_none() && cut.end_ms.is_some_and(|end_ms| record.arrival_ms >= end_ms);
        self.bounds.to.as_ref().is_some_and(after_last)
            || is_cut_off
            || record.arrival_ms > self.bounds.until_ms.saturating_add(ARRIVAL_SLACK_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> StreamRecord {
        StreamRecord {
            sequence_number: number.to_string(),
            partition_key: "card".to_owned(),
            arrival_ms: i64::from(number),
            data: Vec::new(),
        }
    }

    fn scan(from: ReadFrom) -> Scan {
        let bounds = ScanBounds {
            from,
            to: None,
            since_ms: None,
            until_ms: i64::MAX,
            cut: CutRange::default(),
        };
        Scan::new(bounds, 100)
    }

    fn after(number: u32) -> ReadFrom {
        ReadFrom::After(number.to_string())
    }

    #[test]
    fn what_is_wanted_after_a_record_begins_with_it_and_leaves_it_out() {
        let mut scan = scan(after(10));
        assert_eq!(scan.want(), Want::Iterator(ReadFrom::At("10".to_owned())));
        scan.placed();
        assert_eq!(scan.page(&[record(10), record(11)], PageEnd::Tip), [1]);
        assert!(scan.want() == Want::Nothing && !scan.is_trimmed());
    }

    #[test]
    fn an_empty_tip_where_a_record_was_known_to_be_sends_the_scan_to_the_oldest() {
        let mut scan = scan(after(10));
        scan.placed();
        assert!(scan.page(&[], PageEnd::Tip).is_empty());
        assert_eq!(scan.want(), Want::Iterator(ReadFrom::Oldest));
        scan.placed();
        assert_eq!(scan.page(&[record(14), record(15)], PageEnd::Tip), [0, 1]);
        assert!(scan.want() == Want::Nothing && scan.is_trimmed());
    }

    #[test]
    fn a_shard_with_nothing_left_ends_and_says_so() {
        let mut scan = scan(after(10));
        for wanted in [ReadFrom::At("10".to_owned()), ReadFrom::Oldest] {
            assert_eq!(scan.want(), Want::Iterator(wanted));
            scan.placed();
            assert!(scan.page(&[], PageEnd::Closed).is_empty());
        }
        assert!(scan.want() == Want::Nothing && scan.is_trimmed() && !scan.is_unfinished());
    }

    #[test]
    fn an_iterator_that_expired_at_the_edge_of_the_retention_loses_nothing_that_is_there() {
        let mut scan = scan(ReadFrom::Oldest);
        scan.placed();
        assert_eq!(scan.page(&[record(1), record(2)], PageEnd::More), [0, 1]);
        scan.expired();
        assert_eq!(scan.want(), Want::Iterator(ReadFrom::At("2".to_owned())));
        scan.placed();
        assert!(scan.page(&[], PageEnd::Tip).is_empty());
        scan.placed();
        assert_eq!(scan.page(&[record(5)], PageEnd::Tip), [0]);
        assert!(scan.want() == Want::Nothing && scan.is_trimmed());
    }

    #[test]
    fn an_iterator_that_expires_while_the_start_is_looked_for_opens_nothing_before_it() {
        let mut scan = scan(ReadFrom::At("11".to_owned()));
        scan.refused();
        scan.placed();
        assert!(scan.page(&[record(8), record(9)], PageEnd::More).is_empty());
        scan.expired();
        assert_eq!(scan.want(), Want::Iterator(ReadFrom::Oldest));
        scan.placed();
        let page = [record(8), record(9), record(10), record(12)];
        assert_eq!(scan.page(&page, PageEnd::Tip), [3]);
        assert!(scan.is_trimmed());
    }

    #[test]
    fn a_first_record_that_arrived_after_the_range_is_there_all_the_same() {
        let bounds = ScanBounds {
            from: ReadFrom::At("10".to_owned()),
            to: None,
            since_ms: None,
            until_ms: 10 - ARRIVAL_SLACK_MS - 1,
            cut: CutRange::default(),
        };
        let mut scan = Scan::new(bounds, 100);
        scan.placed();
        assert!(scan.page(&[record(10)], PageEnd::More).is_empty());
        assert!(scan.want() == Want::Nothing && !scan.is_trimmed());
    }

    #[test]
    fn a_number_that_the_shard_never_gave_opens_nothing_before_it() {
        let mut once = scan(ReadFrom::At("10".to_owned()));
        once.refused();
        once.placed();
        assert_eq!(once.page(&[record(8), record(9), record(12)], PageEnd::Tip), [2]);
        assert!(once.is_trimmed());
        let mut twice = scan(ReadFrom::Oldest);
        twice.refused();
        twice.refused();
        assert!(twice.is_unfinished());
    }
}
