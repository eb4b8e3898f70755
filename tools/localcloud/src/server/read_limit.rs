//! Kinesis's limit of reads: each shard gives so many GetRecords a second, to all its readers together.

use std::collections::{BTreeMap, VecDeque};

use super::kinesis::{Fault, fault};

/// The span that reads are counted over, in milliseconds.
const SPAN_MS: i64 = 1_000;

/// Counts reads by shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadLimit {
    /// Reads of a shard in a second; none is no limit.
    pub per_second_max: Option<u32>,
    /// When each shard was read within the last second, ms.
    reads: BTreeMap<(String, String), VecDeque<i64>>,
}

impl ReadLimit {
    /// Takes a read, or refuses it. A refused one does not count.
    pub(crate) fn admit(&mut self, stream: &str, shard: &str, now_ms: i64) -> Result<(), Fault> {
        let Some(max) = self.per_second_max else {
            self.reads.clear();
            return Ok(());
        };
        let reads = self.reads.entry((stream.to_owned(), shard.to_owned())).or_default();
        while reads.front().is_some_and(|at_ms| now_ms - at_ms >= SPAN_MS) {
            reads.pop_front();
        }
        if reads.len() >= max as usize {
            return fault(
                "ProvisionedThroughputExceededException",
                format!("Rate exceeded for shard {shard} in stream {stream}: {max} reads a second"),
            );
        }
        reads.push_back(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_gives_so_many_reads_in_any_second() {
        let mut limit = ReadLimit {
            per_second_max: Some(5),
            ..ReadLimit::default()
        };
        for turn in 0..5 {
            limit.admit("s", "a", turn * 100).unwrap();
        }
        let refused = limit.admit("s", "a", 999).unwrap_err();
        assert_eq!(refused.code, "ProvisionedThroughputExceededException");
        limit.admit("s", "b", 999).unwrap();
        limit.admit("s", "a", 1_000).unwrap();
        assert!(limit.admit("s", "a", 1_050).is_err(), "the read of 100 ms still counts");
        limit.per_second_max = None;
        for _ in 0..100 {
            limit.admit("s", "a", 1_060).unwrap();
        }
    }
}
