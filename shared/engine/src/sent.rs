//! Outcomes that the scores stream took although their records come again: a failure further down in a batch sends back
//! what lies behind it, and what lies beside it in an aggregate. The next try need not send them once more.
//!
//! This spares work and decides nothing: a process that knows nothing of an earlier try sends all of it again, and
//! readers skip what they have.

use std::collections::VecDeque;
use std::hash::Hasher;

use crate::hash::{FixedHasher, FixedMap};
use crate::record::{InRecord, compare_sequence_numbers};
use crate::report::BatchReport;

/// An outcome that was sent: the index of its user record in the batch, and the hash of its bytes.
pub(crate) type Mark = (usize, u64);

/// A record of the stream. Sequence numbers are unique for a shard and a partition key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    shard_id: Box<str>,
    sequence_number: Box<str>,
    partition_key: Box<str>,
}

impl Place {
    fn of(input: &InRecord<'_>) -> Self {
        Self {
            shard_id: input.shard_id.into(),
            sequence_number: input.sequence_number.into(),
            partition_key: input.partition_key.into(),
        }
    }
}

/// Marks by record, at most so many of them: the oldest records are forgotten first.
#[derive(Debug)]
pub(crate) struct SentBefore {
    /// By user record within the record.
    records: FixedMap<Place, Vec<Mark>>,
    order: VecDeque<Place>,
    marks: usize,
    marks_max: usize,
}

impl SentBefore {
    pub(crate) fn new(marks_max: usize) -> Self {
        Self {
            records: FixedMap::default(),
            order: VecDeque::new(),
            marks: 0,
            marks_max,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Takes out what is known of a record that comes again: its marks by user record within it.
    pub(crate) fn take(&mut self, input: &InRecord<'_>) -> Vec<Mark> {
        let marks = self.records.remove(&Place::of(input)).unwrap_or_default();
        self.marks -= marks.len();
        marks
    }

    /// Keeps the marks of a batch (ascending) whose records come again: those of the first that must, and all behind it.
    pub(crate) fn keep(&mut self, batch: &[InRecord<'_>], report: &BatchReport, marks: &[Mark]) {
        let Some(from) = &report.retry_from else { return };
        let (mut first, mut rest) = (0, marks);
        for (input, count) in batch.iter().zip(&report.ends_per_record) {
            let end = first + *count as usize;
            let (of_record, after) = rest.split_at(rest.partition_point(|(at, _)| *at < end));
            if !of_record.is_empty() && compare_sequence_numbers(input.sequence_number, from).is_ge() {
                let within = of_record.iter().map(|(at, hash)| (at - first, *hash));
                self.put(Place::of(input), within.collect());
            }
            (first, rest) = (end, after);
        }
    }

    fn put(&mut self, place: Place, marks: Vec<Mark>) {
        self.marks += marks.len();
        if let Some(before) = self.records.insert(place.clone(), marks) {
            self.marks -= before.len();
        } else {
            self.order.push_back(place);
        }
        while self.marks > self.marks_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.marks -= self.records.remove(&oldest).map_or(0, |marks| marks.len());
        }
        if self.order.len() > 2 * self.records.len() + 64 {
            self.order.retain(|place| self.records.contains_key(place));
        }
    }
}

/// The hash of an outcome's bytes.
pub(crate) fn hash_of(outcome: &[u8]) -> u64 {
    let mut hasher = FixedHasher::default();
    hasher.write(outcome);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence_number: &str) -> InRecord<'_> {
        InRecord {
            stream: "s",
            shard_id: "shardId-000000000000",
            sequence_number,
            of_aggregate: None,
            partition_key: "k",
            arrival_ms: 0,
            data: b"",
        }
    }

    fn report(retry_from: Option<&str>, ends_per_record: &[u32]) -> BatchReport {
        BatchReport {
            retry_from: retry_from.map(str::to_owned),
            ends_per_record: ends_per_record.to_vec(),
            ..BatchReport::default()
        }
    }

    #[test]
    fn only_what_comes_again_is_kept_and_once() {
        let batch = [record("9"), record("10"), record("11")];
        let marks = [(0, 7), (1, 70), (3, 71), (4, 8)];
        let mut sent = SentBefore::new(100);
        sent.keep(&batch, &report(None, &[1, 3, 1]), &marks);
        assert!(sent.is_empty(), "a whole batch does not come again");
        sent.keep(&batch, &report(Some("10"), &[1, 3, 1]), &marks);
        assert_eq!(sent.take(&batch[0]), []);
        assert_eq!(sent.take(&batch[1]), [(0, 70), (2, 71)]);
        assert_eq!(sent.take(&batch[1]), []);
        let other_key = InRecord {
            partition_key: "other",
            ..batch[2]
        };
        assert_eq!(sent.take(&other_key), []);
        assert_eq!(sent.take(&batch[2]), [(0, 8)]);
        assert_eq!((sent.is_empty(), sent.marks), (true, 0));
    }

    #[test]
    fn the_oldest_are_forgotten_and_nothing_grows() {
        let mut sent = SentBefore::new(10);
        let numbers: Vec<String> = (0..1_000).map(|number| (1_000 + number).to_string()).collect();
        for number in &numbers {
            let batch = [record(number)];
            sent.keep(&batch, &report(Some("1"), &[4]), &[(0, 1), (1, 1), (2, 1), (3, 1)]);
            assert!(sent.marks <= 10 && sent.records.len() <= 2);
        }
        assert_eq!(sent.take(&record("1999")).len(), 4);
        for number in &numbers {
            sent.keep(&[record(number)], &report(Some("1"), &[1]), &[(0, 1)]);
            assert_eq!(sent.take(&record(number)).len(), 1);
        }
        assert!(sent.order.len() <= 2 * sent.records.len() + 65);
    }
}
