//! Whose turn it is: what of a stream of records may be in a call now, so that no card's events change places.
//!
//! PutRecords takes and refuses each record of a call by itself. Two records of one way (a card, or an aggregate's lane) in one
//! call, or in two at the same time, may thus enter the stream in the other order. So a way has one record under way at
//! most, and its next one waits until that has its end. Other ways wait for nobody: among many cards, calls are full.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tidemark_aws::admin::PutRecord;
use tidemark_aws::limits::{PUT_BYTES_MAX, PUT_RECORDS_MAX};

use super::SORTS;

/// A record to send, and the lines that are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// What is sent; its partition key is its way.
    pub(super) record: PutRecord,
    /// Whether the records of its way keep their order.
    pub(super) ordered: bool,
    /// Numbers of its events' lines, in order; never empty.
    pub(super) lines: Vec<u64>,
    /// How many of its events are of each sort.
    pub(super) sorts: [u64; SORTS],
    /// How often it was not taken.
    pub(super) refusals: u32,
}

impl Piece {
    /// What Kinesis counts of it, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.record.data.len() + self.record.partition_key.len()
    }

    fn way(&self) -> Option<&String> {
        self.ordered.then_some(&self.record.partition_key)
    }

    /// The line of its first event, which is in no other record.
    fn first_line(&self) -> u64 {
        self.lines.first().copied().unwrap_or_default()
    }
}

/// Records that wait, by way and by turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Records behind the one that is ready or under way. A way with neither is not here.
    behind: HashMap<String, VecDeque<Piece>>,
    /// Records whose turn it is, in the order of their lines.
    ready: BTreeMap<u64, Piece>,
    /// First lines of the records that have no end yet: they wait, are ready, or are under way.
    open: BTreeSet<u64>,
    /// Their bytes.
    bytes: usize,
}

impl Turns {
    /// Takes a new record. They come in the order of their first lines within a way.
    pub(super) fn push(&mut self, piece: Piece) {
        self.bytes += piece.bytes();
        self.open.insert(piece.first_line());
        if let Some(way) = piece.way() {
            if let Some(behind) = self.behind.get_mut(way) {
                behind.push_back(piece);
                return;
            }
            self.behind.insert(way.clone(), VecDeque::new());
        }
        self.ready.insert(piece.first_line(), piece);
    }

    /// Records that have no end yet.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Their bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a call would be as large as a call may be.
    pub(super) fn is_call_full(&self) -> bool {
        self.ready.len() >= PUT_RECORDS_MAX
    }

    /// The records of the next call, which are under way from now on; empty when it is nobody's turn.
    pub(super) fn call(&mut self) -> Vec<Piece> {
        let mut call: Vec<Piece> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.ready.first_entry() {
            bytes += next.get().bytes();
            if call.len() >= PUT_RECORDS_MAX || (!call.is_empty() && bytes > PUT_BYTES_MAX) {
                break;
            }
            call.push(next.remove());
        }
        call
    }

    /// A record that was under way has its end: the next of its way is ready.
    pub(super) fn ended(&mut self, piece: &Piece) {
        self.bytes -= piece.bytes();
        self.open.remove(&piece.first_line());
        let Some(way) = piece.way() else { return };
        let Some(behind) = self.behind.get_mut(way) else { return };
        match behind.pop_front() {
            Some(next) => {
                self.ready.insert(next.first_line(), next);
            }
            None => {
                self.behind.remove(way);
            }
        }
    }

    /// A record that was under way goes first in its way again.
    pub(super) fn again(&mut self, piece: Piece) {
        self.ready.insert(piece.first_line(), piece);
    }

    /// The first line of those records.
    pub(super) fn first_open(&self) -> Option<u64> {
        self.open.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(line: u64, way: Option<&str>, bytes: usize) -> Piece {
        Piece {
            record: PutRecord {
                partition_key: way.unwrap_or("k").to_owned(),
                data: vec![0; bytes],
            },
            ordered: way.is_some(),
            lines: vec![line],
            sorts: [1, 0],
            refusals: 0,
        }
    }

    fn lines(call: &[Piece]) -> Vec<u64> {
        call.iter().map(|piece| piece.lines[0]).collect()
    }

    #[test]
    fn a_way_has_one_record_under_way_and_the_others_wait_for_nobody() {
        let mut turns = Turns::default();
        for (line, way) in [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, None), (5, None)] {
            turns.push(piece(line, way, 10));
        }
        let first = turns.call();
        assert_eq!(lines(&first), [1, 3, 4, 5], "what needs no order goes together");
        assert_eq!(turns.call(), []);
        // 1 was not taken, 3 was: whatever comes of a is behind 1.
        turns.ended(&first[1]);
        turns.push(piece(6, Some("a"), 10));
        turns.push(piece(7, Some("b"), 10));
        let second = turns.call();
        assert_eq!(lines(&second), [7]);
        turns.again(first[0].clone());
        let third = turns.call();
        assert_eq!(lines(&third), [1]);
        turns.ended(&third[0]);
        let fourth = turns.call();
        assert_eq!(lines(&fourth), [2]);
        turns.ended(&fourth[0]);
        turns.ended(&second[0]);
        let last = turns.call();
        assert_eq!(lines(&last), [6]);
        turns.ended(&last[0]);
        turns.ended(&first[2]);
        turns.ended(&first[3]);
        assert_eq!((turns.count(), turns.bytes(), turns.behind.len()), (0, 0, 0));
    }

    #[test]
    fn a_call_has_at_most_500_records_and_5_mib() {
        let mut turns = Turns::default();
        (0..1_201).for_each(|line| turns.push(piece(line, None, 1)));
        assert!(turns.is_call_full());
        let sizes: Vec<usize> = (0..3).map(|_| turns.call().len()).collect();
        assert_eq!(sizes, [500, 500, 201]);
        (0..12).for_each(|line| turns.push(piece(line, None, (1 << 20) - 1)));
        let sizes: Vec<usize> = (0..3).map(|_| turns.call().len()).collect();
        assert_eq!(sizes, [5, 5, 2], "the key counts");
    }
}
