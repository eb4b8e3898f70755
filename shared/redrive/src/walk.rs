//! The walk over one shard that visits the ranges of many dead letters: neighbours share a read, gaps are jumped over. A state
//! machine: it says what it wants, and is told what came. Pure.
//!
//! ```text
//! the walk    Unplaced ──placed──► Reading ──expired──► Expired ──placed──► Reading
//!                 ▲                 │   ▲
//!                 └─ the shard has ─┘   └──placed── Probing ◄── a range became suspect, whatever the walk was doing
//!                    nothing more
//!
//! a range     Waiting ──its first record came────────────────────────────► Begun ──its last, or a later one──► Ended: Whole,
//!                │                                                            ▲                                or Trimmed
//!                └──a later record came, or none, ──► Suspect ──the oldest ───┤ beyond its start: trimmed
//!                   or its place was refused                    record lies   └► before it ──────────────────► Ended: NotOfShard
//!             any ──too many empty pages──► Ended: Unfinished
//! ```
//!
//! How a range begins tells what was lost. Its first number is that of a real record, so a walk from there must meet that very
//! record. When it meets a later one, or the stream refuses the number, or nothing comes, the number is suspect, and the walk
//! looks at the shard's oldest record: when that lies beyond the number, the start was trimmed; when it lies before it, the
//! shard never gave such a number.
//!
//! A walk goes on in the same way, behind a record that it or an earlier walk saw last: it begins at that very record. Where the
//! record does not come again it has left the stream, and maybe others behind it, so that the range counts as trimmed.

use std::cmp::Ordering;

use tidemark_engine::record::compare_sequence_numbers;

use crate::number::is_before;
use crate::port::ReadFrom;

/// A range to visit; both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first record.
    pub start: String,
    /// Its last record.
    pub end: String,
    /// Records up to this one were visited by an earlier walk, which found the start.
    pub after: Option<String>,
}

/// How a range was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanEnd {
    /// From its first record to its last.
    Whole,
    /// Its start is past retention; what was there of the rest was visited.
    Trimmed,
    /// The shard never gave its first number.
    NotOfShard,
    /// Too many pages without a record: its end was not reached.
    Unfinished,
}

/// What the walk wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// A new iterator.
    Iterator(ReadFrom),
    /// A page from the iterator it has.
    Page,
    /// Nothing: every range has its end.
    Nothing,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// More may follow.
    More,
    /// At the newest record: what comes later is new.
    Tip,
    /// At the end of a closed shard: there is no further iterator.
    Closed,
}

/// A record of a page that lies in ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its index in the page.
    pub record: usize,
    /// The ranges, by their index in the walk's list.
    pub spans: Vec<usize>,
}

/// How far a range is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Its first record did not come yet.
    Waiting,
    /// Its first record should have come, and did not: the shard's oldest record will tell why.
    Suspect,
    /// The record at its start was met, or found to be past retention.
    Begun,
    /// It needs no further record.
    Ended(SpanEnd),
}

#[derive(Clone, Debug)]
struct Track {
    span: Span,
    progress: Progress,
    /// Whether its start is past retention, as far as is known.
    trimmed: bool,
    /// Whether the record behind which it goes on did not come where it should, and is looked for from the shard's oldest record on.
    is_sought: bool,
}

impl Track {
    fn new(span: Span) -> Self {
        let progress = if span.after.is_some() {
            Progress::Begun
        } else {
            Progress::Waiting
        };
        Self {
            span,
            progress,
            trimmed: false,
            is_sought: false,
        }
    }

    /// The stream has nothing where the range begins, or goes on.
    fn doubt(&mut self) {
        if self.progress == Progress::Begun {
            self.is_sought = true;
        } else {
            self.progress = Progress::Suspect;
        }
    }

    /// A record came: when the one that is looked for is not before it, the search is over.
    fn seek(&mut self, number: &str) {
        if !self.is_sought {
            return;
        }
        let after = self.span.after.as_deref().unwrap_or(&self.span.start);
        match compare_sequence_numbers(number, after) {
            Ordering::Less => {}
            Ordering::Equal => self.is_sought = false,
            Ordering::Greater => {
                self.is_sought = false;
                self.trimmed = true;
            }
        }
    }

    fn end(&self) -> Option<SpanEnd> {
        match self.progress {
            Progress::Ended(end) => Some(end),
            Progress::Waiting | Progress::Suspect | Progress::Begun => None,
        }
    }

    /// Its last record came, or none follows.
    fn finish(&mut self) {
        self.progress = Progress::Ended(if self.trimmed { SpanEnd::Trimmed } else { SpanEnd::Whole });
    }
}

/// Where the walk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// There is no iterator: one at the next open range is wanted.
    Unplaced,
    /// There is an iterator.
    Reading,
    /// The iterator was too old: one at the last record seen is wanted.
    Expired,
    /// A range is suspect: an iterator at the shard's oldest record is wanted.
    Probing,
}

/// A walk over one shard.
#[derive(Clone, Debug)]
pub struct Walk {
    tracks: Vec<Track>,
    /// Indexes of the tracks without an end, by their start.
    open: Vec<usize>,
    place: Place,
    /// Where the reading began that has had no gap since.
    began: Option<ReadFrom>,
    /// The last record seen since then.
    last: Option<String>,
    /// The lowest record seen since then.
    lowest: Option<String>,
    /// Whether no record came from this iterator yet: the first shows whether something was trimmed.
    is_fresh: bool,
    /// Whether a range may be in doubt: then records before the ranges say something of it.
    is_probe: bool,
    empty_pages: u32,
    empty_pages_max: u32,
}

impl Walk {
    /// A walk that visits these ranges, and gives up after so many pages in a row without a record.
    #[must_use]
    pub fn new(spans: Vec<Span>, empty_pages_max: u32) -> Self {
        let mut open: Vec<usize> = (0..spans.len()).collect();
        open.sort_by(|a, b| compare_sequence_numbers(&spans[*a].start, &spans[*b].start));
        Self {
            tracks: spans.into_iter().map(Track::new).collect(),
            open,
            place: Place::Unplaced,
            began: None,
            last: None,
            lowest: None,
            is_fresh: false,
            is_probe: false,
            empty_pages: 0,
            empty_pages_max,
        }
    }

    /// How a range was visited; `None`: not to its end yet.
    #[must_use]
    pub fn end(&self, span: usize) -> Option<SpanEnd> {
        self.tracks.get(span).and_then(Track::end)
    }

    /// Whether a range's start is past retention, as far as is known.
    #[must_use]
    pub fn is_trimmed(&self, span: usize) -> bool {
        self.tracks.get(span).is_some_and(|track| track.trimmed)
    }

    /// What is to be done next.
    #[must_use]
    pub fn want(&self) -> Want {
        if self.open.is_empty() {
            return Want::Nothing;
        }
        match self.place {
            Place::Reading if self.is_inside() => Want::Page,
            Place::Reading | Place::Unplaced => Want::Iterator(self.next_start()),
            Place::Expired => {
                let last = self.last.clone().map(ReadFrom::At);
                Want::Iterator(last.or_else(|| self.began.clone()).unwrap_or(ReadFrom::Oldest))
            }
            Place::Probing => Want::Iterator(ReadFrom::Oldest),
        }
    }

    /// Whether going on from here is no detour: nothing was seen yet, or a range is open at the place.
    fn is_inside(&self) -> bool {
        let Some(last) = &self.last else {
            return true;
        };
        self.open.iter().map(|at| &self.tracks[*at]).any(|track| {
            let span = &track.span;
            track.is_sought || !is_before(last, span.after.as_ref().unwrap_or(&span.start))
        })
    }

    /// The lowest place at which an open range is to be read.
    fn next_start(&self) -> ReadFrom {
        let places = self.open.iter().map(|at| {
            let span = &self.tracks[*at].span;
            span.after.as_ref().unwrap_or(&span.start)
        });
        let lowest = places.min_by(|a, b| compare_sequence_numbers(a, b));
        lowest.map_or(ReadFrom::Oldest, |number| ReadFrom::At(number.clone()))
    }

    /// The iterator that was wanted is there.
    pub fn placed(&mut self, from: ReadFrom) {
        if self.place != Place::Expired {
            self.began = Some(from);
            self.last = None;
            self.lowest = None;
        }
        self.is_probe |= self.place == Place::Probing;
        self.is_fresh = true;
        self.place = Place::Reading;
    }

    /// The stream refused the place: it is past retention, or was never one of this shard.
    pub fn refused(&mut self, from: &ReadFrom) {
        let (ReadFrom::At(number) | ReadFrom::After(number)) = from else {
            self.give_up();
            return;
        };
        self.doubt_at(number);
        self.place = Place::Probing;
    }

    /// The ranges that begin at a number, or go on there, found nothing.
    fn doubt_at(&mut self, number: &str) {
        for at in &self.open {
            let track = &mut self.tracks[*at];
            if track.span.after.as_deref().unwrap_or(&track.span.start) == number {
                track.doubt();
            }
        }
    }

    /// The iterator is too old.
    pub fn expired(&mut self) {
        if self.place == Place::Reading {
            self.place = Place::Expired;
        }
    }

    /// A page came: which of its records lie in which ranges, each record of a range once.
    pub fn page(&mut self, numbers: &[&str], page_end: PageEnd) -> Vec<Hit> {
        let mut hits = Vec::new();
        if let Some(first) = numbers.first().filter(|_| self.is_fresh) {
            self.is_fresh = false;
            if self.is_first_trimmed(first) {
                return hits;
            }
        }
        for (record, number) in numbers.iter().enumerate() {
            if self.is_probe {
                self.seek(number);
            }
            if self.lowest.as_ref().is_none_or(|lowest| is_before(number, lowest)) {
                self.lowest = Some((*number).to_owned());
            }
            let spans = self.visit(number);
            if !spans.is_empty() {
                hits.push(Hit { record, spans });
            }
            self.last = Some((*number).to_owned());
            if self.place == Place::Probing {
                return hits;
            }
        }
        if page_end != PageEnd::More {
            self.nothing_follows();
        }
        self.count_empty(numbers.is_empty());
        hits
    }

    /// What a record means to the ranges in doubt.
    fn seek(&mut self, number: &str) {
        let mut is_probe = false;
        for at in &self.open {
            let track = &mut self.tracks[*at];
            track.seek(number);
            is_probe |= track.is_sought || track.progress == Progress::Suspect;
        }
        self.is_probe = is_probe;
    }

    /// What the first record of a reading says of the records before it: a range that was begun and would go on before it has lost
    /// some. Whether the reading itself has a hole, so that it has to begin anew with the shard's oldest record.
    fn is_first_trimmed(&mut self, first: &str) -> bool {
        for at in &self.open {
            let track = &mut self.tracks[*at];
            let goes_on_before = track.span.after.as_ref().is_some_and(|after| is_before(after, first));
            track.trimmed |= goes_on_before && track.progress == Progress::Begun;
        }
        let has_hole = self.last.as_ref().is_some_and(|last| is_before(last, first));
        if has_hole {
            self.place = Place::Probing;
        }
        has_hole
    }

    /// What a record means to each open range.
    fn visit(&mut self, number: &str) -> Vec<usize> {
        let mut spans = Vec::new();
        let mut closed = false;
        for at in self.open.clone() {
            let track = &self.tracks[at];
            if is_before(number, &track.span.start) {
                if !self.is_probe {
                    break;
                }
                if track.progress != Progress::Suspect {
                    continue;
                }
                // There are older records: its start was not trimmed.
                self.tracks[at].progress = Progress::Ended(SpanEnd::NotOfShard);
                closed = true;
                continue;
            }
            if !self.begin(at, Some(number)) {
                closed |= self.tracks[at].end().is_some();
                continue;
            }
            let track = &mut self.tracks[at];
            let order = compare_sequence_numbers(number, &track.span.end);
            let is_new = track.span.after.as_ref().is_none_or(|after| is_before(after, number));
            if order != Ordering::Greater && is_new {
                track.span.after = Some(number.to_owned());
                spans.push(at);
            }
            if order != Ordering::Less {
                track.finish();
                closed = true;
            }
        }
        if closed {
            self.drop_ended();
        }
        spans
    }

    /// Whether a range is begun now that its first record at or after its start came, or none came at all.
    fn begin(&mut self, at: usize, number: Option<&str>) -> bool {
        let track = &mut self.tracks[at];
        let is_start = |number: &str| compare_sequence_numbers(number, &track.span.start) == Ordering::Equal;
        if track.progress == Progress::Begun || number.is_some_and(is_start) {
            track.progress = Progress::Begun;
        } else if self
            .lowest
            .as_ref()
            .is_some_and(|lowest| is_before(lowest, &track.span.start))
        {
            track.progress = Progress::Ended(SpanEnd::NotOfShard);
        } else if self.began == Some(ReadFrom::Oldest) {
            track.progress = Progress::Begun;
            track.trimmed = true;
        } else {
            track.progress = Progress::Suspect;
            self.place = Place::Probing;
        }
        self.tracks[at].progress == Progress::Begun
    }

    /// The shard has no further record, so every range that is not suspect has its end. Where not even one record came, that
    /// says nothing: some streams give empty pages for ever from a place past retention. Only behind the oldest record nothing is
    /// missing.
    fn nothing_follows(&mut self) {
        let place = self.last.clone().map(ReadFrom::At).or_else(|| self.began.clone());
        if let Some(ReadFrom::At(number)) = place.filter(|_| self.is_fresh) {
            self.doubt_at(&number);
            self.place = Place::Probing;
            return;
        }
        self.place = Place::Unplaced;
        for at in self.open.clone() {
            self.tracks[at].trimmed |= self.is_fresh;
            if self.begin(at, None) {
                self.tracks[at].finish();
            }
        }
        self.drop_ended();
    }

    fn count_empty(&mut self, is_empty: bool) {
        self.empty_pages = if is_empty { self.empty_pages + 1 } else { 0 };
        if self.empty_pages >= self.empty_pages_max {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        for at in std::mem::take(&mut self.open) {
            self.tracks[at].progress = Progress::Ended(SpanEnd::Unfinished);
        }
    }

    fn drop_ended(&mut self) {
        let tracks = &self.tracks;
        self.open.retain(|at| tracks[*at].end().is_none());
    }
}
