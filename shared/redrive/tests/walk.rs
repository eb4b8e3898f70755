//! The walk against what a shard really holds: every record of every range once, and the right word on how a range was visited.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use crate::common::{SHARD, START_MS, number};
use futures_util::FutureExt;
use proptest::prelude::*;
use tidemark_engine::memory::ManualClock;
use tidemark_redrive::memory::{MemoryStream, Script, TrimmedStart};
use tidemark_redrive::port::{ReadError, ReadFrom, ShardReader, StreamRecord};
use tidemark_redrive::walk::{PageEnd, Span, SpanEnd, Walk, Want};

/// Reads after which a walk must have come to its end.
const READS_MAX: u32 = 5_000;

#[derive(Clone, Debug)]
struct Shard {
    /// Which numbers are records; the others are gaps, as other shards' records are.
    records: BTreeSet<u64>,
    trimmed: usize,
    closed: bool,
    trimmed_start: TrimmedStart,
    empty_pages: u32,
    page_records: u32,
    /// After so many reads the iterator expires.
    expires_every: u32,
}

fn shards() -> impl Strategy<Value = Shard> {
    let trimmed_start = prop_oneof![
        Just(TrimmedStart::Refused),
        Just(TrimmedStart::Skipped),
        Just(TrimmedStart::Empty)
    ];
    (
        prop::collection::btree_set(0_u64..60, 0..40),
        0_usize..45,
        any::<bool>(),
        trimmed_start,
        0_u32..3,
        1_u32..12,
        // Long enough for the record that is read again, and one more: up to three pages each, and the iterator.
        12_u32..30,
    )
        .prop_map(
            |(records, trimmed, closed, trimmed_start, empty_pages, page_records, expires_every)| Shard {
                trimmed: trimmed.min(records.len()),
                records,
                closed,
                trimmed_start,
                empty_pages,
                page_records,
                expires_every,
            },
        )
}

impl Shard {
    fn stream(&self, clock: &ManualClock) -> MemoryStream {
        let stream = MemoryStream::new(clock.clone(), Script::default());
        stream.add_shard(SHARD, &[]);
        for at in &self.records {
            stream.put(
                SHARD,
                StreamRecord {
                    sequence_number: number(*at),
                    partition_key: "key".to_owned(),
                    arrival_ms: START_MS,
                    data: Vec::new(),
                },
            );
        }
        stream.trim(SHARD, self.trimmed);
        stream.set_trimmed_start(self.trimmed_start);
        stream.set_empty_pages(self.empty_pages);
        if self.closed {
            stream.add_shard("child", &[SHARD]);
        }
        stream
    }

    fn kept(&self) -> Vec<u64> {
        self.records.iter().skip(self.trimmed).copied().collect()
    }

    /// What a range's visit must come to.
    fn expected(&self, (from, to): (u64, u64), after: Option<u64>) -> (SpanEnd, Vec<u64>) {
        let kept = self.kept();
        if let Some(after) = after {
            let end = if kept.contains(&after) {
                SpanEnd::Whole
            } else {
                SpanEnd::Trimmed
            };
            return (
                end,
                kept.into_iter().filter(|at| (after + 1..=to).contains(at)).collect(),
            );
        }
        let hits: Vec<u64> = kept.iter().copied().filter(|at| (from..=to).contains(at)).collect();
        if kept.contains(&from) {
            (SpanEnd::Whole, hits)
        } else if kept.first().is_some_and(|oldest| *oldest < from) {
            (SpanEnd::NotOfShard, Vec::new())
        } else {
            (SpanEnd::Trimmed, hits)
        }
    }
}

/// What a walk came to.
struct Walked {
    /// Each range's end and the records that were visited for it.
    ranges: Vec<(Option<SpanEnd>, Vec<u64>)>,
    pages: u32,
}

fn walk(shard: &Shard, ranges: &[(u64, u64)]) -> Walked {
    let begun: Vec<_> = ranges.iter().map(|range| (*range, None)).collect();
    walk_begun(shard, &begun)
}

/// Walks over ranges, of which some were visited up to a record by an earlier walk.
fn walk_begun(shard: &Shard, ranges: &[((u64, u64), Option<u64>)]) -> Walked {
    let clock = ManualClock::at(START_MS);
    let stream = shard.stream(&clock);
    let span = |((from, to), after): &((u64, u64), Option<u64>)| Span {
        start: number(*from),
        end: number(*to),
        after: after.map(number),
    };
    let mut walk = Walk::new(ranges.iter().map(span).collect(), 100);
    let mut hits: Vec<Vec<String>> = vec![Vec::new(); ranges.len()];
    let mut iterator = String::new();
    let (mut steps, mut pages) = (0, 0);
    loop {
        steps += 1;
        assert!(steps < READS_MAX, "a walk that never ends: {shard:?} {ranges:?}");
        match walk.want() {
            Want::Nothing => break,
            Want::Iterator(from) => match stream.iterator(SHARD, &from).now_or_never().unwrap() {
                Ok(placed) => {
                    iterator = placed;
                    walk.placed(from);
                }
                Err(ReadError::Position) => walk.refused(&from),
                Err(error) => panic!("{error}"),
            },
            Want::Page => {
                pages += 1;
                if steps % shard.expires_every == 0 {
                    clock.advance(400_000);
                }
                match stream.records(&iterator, shard.page_records).now_or_never().unwrap() {
                    Ok(page) => {
                        let numbers: Vec<&str> = page
                            .records
                            .iter()
                            .map(|record| record.sequence_number.as_str())
                            .collect();
                        let end = match &page.next {
                            None => PageEnd::Closed,
                            Some(_) if page.behind_ms <= 0 => PageEnd::Tip,
                            Some(_) => PageEnd::More,
                        };
                        for hit in walk.page(&numbers, end) {
                            for span in hit.spans {
                                hits[span].push(numbers[hit.record].to_owned());
                            }
                        }
                        iterator = page.next.unwrap_or_default();
                    }
                    Err(ReadError::Expired) => walk.expired(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    let places = |numbers: &Vec<String>| {
        numbers
            .iter()
            .map(|text| (0..1_000).find(|at| number(*at) == *text).unwrap())
            .collect()
    };
    for at in 0..ranges.len() {
        assert_eq!(walk.is_trimmed(at), walk.end(at) == Some(SpanEnd::Trimmed));
    }
    Walked {
        ranges: (0..ranges.len()).map(|at| (walk.end(at), places(&hits[at]))).collect(),
        pages,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_record_of_every_range_is_visited_once_and_the_end_is_right(
        shard in shards(),
        ranges in prop::collection::vec((0_u64..60, 0_u64..20, prop::option::of(0_u64..20)), 1..8),
    ) {
        let ranges: Vec<((u64, u64), Option<u64>)> = ranges
            .into_iter()
            .map(|(from, length, visited)| {
                // An earlier walk saw its last record, and did not come to the range's end.
                let after = visited.map(|visited| from + visited);
                ((from, from + length), after.filter(|after| *after < from + length && shard.records.contains(after)))
            })
            .collect();
        let walked = walk_begun(&shard, &ranges).ranges;
        for (((from, to), after), (end, hits)) in ranges.iter().zip(walked) {
            let (expected, records) = shard.expected((*from, *to), *after);
            prop_assert_eq!(end, Some(expected), "{}..={} in {:?} of {:?}", from, to, &shard, &ranges);
            prop_assert_eq!(hits, records, "{}..={} in {:?} of {:?}", from, to, &shard, &ranges);
        }
    }
}

#[test]
fn what_lies_between_ranges_is_not_read_and_ranges_side_by_side_are_read_once() {
    let shard = Shard {
        records: (0..1_000).collect(),
        trimmed: 0,
        closed: true,
        trimmed_start: TrimmedStart::Refused,
        empty_pages: 0,
        page_records: 10,
        expires_every: 100,
    };
    let far = walk(&shard, &[(900, 904), (0, 4), (500, 504)]);
    assert_eq!(far.pages, 3);
    assert!(
        far.ranges
            .iter()
            .all(|(end, hits)| *end == Some(SpanEnd::Whole) && hits.len() == 5)
    );
    let near = walk(&shard, &[(0, 19), (10, 29), (30, 39)]);
    assert_eq!(near.pages, 4);
}

#[test]
fn a_range_that_is_not_of_this_shard_is_over_as_soon_as_that_is_known() {
    let shard = Shard {
        records: (0..500).map(|at| at * 2).collect(),
        trimmed: 0,
        closed: true,
        trimmed_start: TrimmedStart::Refused,
        empty_pages: 0,
        page_records: 10,
        expires_every: 100,
    };
    let walked = walk(&shard, &[(0, 4), (7, 11)]);
    assert_eq!(walked.pages, 1);
    assert_eq!(
        walked.ranges,
        [
            (Some(SpanEnd::Whole), vec![0, 2, 4]),
            (Some(SpanEnd::NotOfShard), Vec::new())
        ]
    );
}

fn one_range(empty_pages_max: u32) -> Walk {
    let span = Span {
        start: number(5),
        end: number(9),
        after: None,
    };
    Walk::new(vec![span], empty_pages_max)
}

#[test]
fn pages_without_a_record_are_read_so_often_and_no_longer() {
    let mut walk = one_range(3);
    let Want::Iterator(from) = walk.want() else {
        panic!("a walk begins with an iterator")
    };
    walk.placed(from);
    // A record in between begins the count anew.
    for page in [&[] as &[&str], &[], &[&number(5)], &[], &[]] {
        walk.page(page, PageEnd::More);
        assert_eq!((walk.want(), walk.end(0)), (Want::Page, None));
    }
    walk.page(&[], PageEnd::More);
    assert_eq!((walk.want(), walk.end(0)), (Want::Nothing, Some(SpanEnd::Unfinished)));
}

#[test]
fn a_place_without_records_to_the_tip_is_looked_at_once_from_the_oldest_on() {
    let mut walk = one_range(100);
    assert_eq!(walk.want(), Want::Iterator(ReadFrom::At(number(5))));
    walk.placed(ReadFrom::At(number(5)));
    walk.page(&[], PageEnd::Tip);
    assert_eq!(walk.want(), Want::Iterator(ReadFrom::Oldest));
    walk.placed(ReadFrom::Oldest);
    walk.page(&[], PageEnd::Tip);
    assert_eq!((walk.want(), walk.end(0)), (Want::Nothing, Some(SpanEnd::Trimmed)));
}

fn begun_range() -> Walk {
    let span = Span {
        start: number(5),
        end: number(9),
        after: Some(number(7)),
    };
    let mut walk = Walk::new(vec![span], 100);
    assert_eq!(walk.want(), Want::Iterator(ReadFrom::At(number(7))));
    walk.placed(ReadFrom::At(number(7)));
    walk
}

#[test]
fn a_range_that_was_begun_is_over_when_nothing_follows_its_last_record() {
    let mut walk = begun_range();
    assert_eq!(walk.page(&[&number(7)], PageEnd::Tip), []);
    assert_eq!((walk.want(), walk.end(0)), (Want::Nothing, Some(SpanEnd::Whole)));
}

#[test]
fn a_range_whose_last_record_does_not_come_again_is_not_whole() {
    let mut walk = begun_range();
    walk.page(&[], PageEnd::Tip);
    assert_eq!((walk.want(), walk.end(0)), (Want::Iterator(ReadFrom::Oldest), None));
    walk.placed(ReadFrom::Oldest);
    let hits = walk.page(&[&number(8), &number(10)], PageEnd::Tip);
    assert_eq!(hits.iter().map(|hit| hit.record).collect::<Vec<_>>(), [0]);
    assert_eq!((walk.want(), walk.end(0)), (Want::Nothing, Some(SpanEnd::Trimmed)));
}

#[test]
fn a_range_whose_last_record_left_the_stream_while_its_iterator_expired_is_not_whole() {
    let mut walk = one_range(100);
    walk.placed(ReadFrom::At(number(5)));
    walk.page(&[&number(5), &number(6)], PageEnd::More);
    walk.expired();
    assert_eq!(walk.want(), Want::Iterator(ReadFrom::At(number(6))));
    walk.placed(ReadFrom::At(number(6)));
    // Up to 7 everything is past retention now.
    walk.page(&[&number(8), &number(9)], PageEnd::Tip);
    assert_eq!((walk.want(), walk.end(0)), (Want::Iterator(ReadFrom::Oldest), None));
    walk.placed(ReadFrom::Oldest);
    let hits = walk.page(&[&number(8), &number(9)], PageEnd::Tip);
    assert_eq!(hits.iter().map(|hit| hit.record).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((walk.want(), walk.end(0)), (Want::Nothing, Some(SpanEnd::Trimmed)));
}

#[test]
fn a_range_that_never_was_ends_beside_one_that_begins_at_the_same_number() {
    let shard = Shard {
        records: [0, 37].into(),
        trimmed: 0,
        closed: false,
        trimmed_start: TrimmedStart::Refused,
        empty_pages: 0,
        page_records: 1,
        expires_every: 100,
    };
    let walked = walk_begun(&shard, &[((34, 38), Some(37)), ((34, 34), None)]);
    assert_eq!(
        walked.ranges,
        [
            (Some(SpanEnd::Whole), Vec::new()),
            (Some(SpanEnd::NotOfShard), Vec::new())
        ]
    );
}
