//! What Kinesis allows a shard in a second: records and bytes in, reads and bytes out, the latter for all readers together.

use std::collections::VecDeque;

use tidemark_engine::memory::Allowance;

use super::fault::{Fault, fault};

/// Records that a shard takes in a second.
pub(crate) const RECORDS_IN_PER_SECOND: u64 = 1_000;
/// Bytes, keys included, that a shard takes in a second.
pub(crate) const BYTES_IN_PER_SECOND: u64 = 1024 * 1024;
/// GetRecords that a shard answers in a second.
pub(crate) const READS_PER_SECOND: u32 = 5;
/// Bytes that a shard gives in a second. One page may be larger: then nothing more is given until it is made up for.
pub(crate) const BYTES_OUT_PER_SECOND: u64 = 2 * 1024 * 1024;
/// The span that reads are counted over, in milliseconds.
const SPAN_MS: i64 = 1_000;

/// What one shard took and gave lately.
#[derive(Clone, Debug)]
pub(crate) struct ShardLimit {
    records_in: Allowance,
    bytes_in: Allowance,
    bytes_out: Allowance,
    /// When it was read within the last second, ms.
    reads: VecDeque<i64>,
}

impl Default for ShardLimit {
    fn default() -> Self {
        Self {
            records_in: Allowance::new(RECORDS_IN_PER_SECOND),
            bytes_in: Allowance::new(BYTES_IN_PER_SECOND),
            bytes_out: Allowance::new(BYTES_OUT_PER_SECOND),
            reads: VecDeque::new(),
        }
    }
}

impl ShardLimit {
    /// Takes a record of so many bytes, or refuses it. A refused one does not count.
    pub(crate) fn take_record(&mut self, bytes: u64, now_ms: i64) -> bool {
        let (mut records_in, mut bytes_in) = (self.records_in, self.bytes_in);
        let fits = records_in.take(1, now_ms) && bytes_in.take(bytes, now_ms);
        if fits {
            (self.records_in, self.bytes_in) = (records_in, bytes_in);
        }
        fits
    }

    /// Takes a read, at most so many in a second, or refuses it. A refused one does not count.
    pub(crate) fn take_read(&mut self, shard: &str, reads_max: u32, now_ms: i64) -> Result<(), Fault> {
        while self.reads.front().is_some_and(|at_ms| now_ms - at_ms >= SPAN_MS) {
            self.reads.pop_front();
        }
        if self.reads.len() >= reads_max as usize {
            return exceeded(format!("Rate exceeded for shard {shard}: {reads_max} reads a second"));
        }
        if !self.bytes_out.has_any(now_ms) {
            return exceeded(format!("Rate exceeded for shard {shard}: 2 MB a second"));
        }
        self.reads.push_back(now_ms);
        Ok(())
    }

    /// Counts what a read was given.
    pub(crate) fn give(&mut self, bytes: u64, now_ms: i64) {
        self.bytes_out.draw(bytes, now_ms);
    }
}

fn exceeded<T>(message: String) -> Result<T, Fault> {
    fault("ProvisionedThroughputExceededException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_gives_so_many_reads_in_any_second() {
        let mut limit = ShardLimit::default();
        for turn in 0..5 {
            limit.take_read("a", 5, turn * 100).unwrap();
        }
        let refused = limit.take_read("a", 5, 999).unwrap_err();
        assert_eq!(refused.code, "ProvisionedThroughputExceededException");
        ShardLimit::default().take_read("b", 5, 999).unwrap();
        limit.take_read("a", 5, 1_000).unwrap();
        assert!(
            limit.take_read("a", 5, 1_050).is_err(),
            "the read of 100 ms still counts"
        );
    }

    #[test]
    fn a_large_page_is_made_up_for() {
        let mut limit = ShardLimit::default();
        limit.take_read("a", 5, 0).unwrap();
        limit.give(5 * BYTES_OUT_PER_SECOND, 0);
        assert!(limit.take_read("a", 5, 3_900).is_err());
        limit.take_read("a", 5, 4_100).unwrap();
    }

    #[test]
    fn records_and_bytes_are_both_counted_and_a_refused_record_is_not() {
        let mut limit = ShardLimit::default();
        assert_eq!((0..2_000).filter(|_| limit.take_record(100, 0)).count(), 1_000);
        let mut limit = ShardLimit::default();
        assert_eq!((0..20).filter(|_| limit.take_record(100 * 1_024, 0)).count(), 10);
        assert!(limit.take_record(24 * 1_024, 0), "what still fits is taken");
        assert_eq!((0..20).filter(|_| limit.take_record(1_024, 500)).count(), 20);
    }
}
