//! Rates and pauses as values: when the next read of a shard and the next batch may begin. Pure.

use std::collections::BTreeMap;

use tidemark_engine::retry::Backoff;

use crate::limits::{BACKOFF_BASE_MS, BACKOFF_CAP_MS};

/// The pauses after calls that failed one after the other.
pub const BACKOFF: Backoff = Backoff::new(BACKOFF_BASE_MS, BACKOFF_CAP_MS);
/// Milliseconds of a second.
const SECOND_MS: i64 = 1_000;

/// Spaces reads of each shard, so that the live poller keeps its share of the five a second.
#[derive(Clone, Debug)]
pub struct ReadPace {
    spacing_ms: i64,
    next_ms: BTreeMap<String, i64>,
}

impl ReadPace {
    /// So many reads a second of one shard, at least one.
    #[must_use]
    pub fn new(reads_per_second: u32) -> Self {
        let per_second = i64::from(reads_per_second.max(1));
        Self {
            // Rounded up: never more in any second.
            spacing_ms: (SECOND_MS + per_second - 1) / per_second,
            next_ms: BTreeMap::new(),
        }
    }

    /// Takes the next read of a shard: how long to wait before it, milliseconds.
    pub fn take(&mut self, shard_id: &str, now_ms: i64) -> u64 {
        let next_ms = self.next_ms.entry(shard_id.to_owned()).or_insert(now_ms);
        let begins_ms = (*next_ms).max(now_ms);
        *next_ms = begins_ms.saturating_add(self.spacing_ms);
        u64::try_from(begins_ms - now_ms).unwrap_or_default()
    }
}

/// Spaces records, so that a redrive takes a bounded share of the table.
#[derive(Clone, Copy, Debug)]
pub struct RecordPace {
    per_second: i64,
    /// Thousandths of a millisecond, so that rates over 1,000 a second stay exact.
    free_us: i64,
}

impl RecordPace {
    /// So many records a second, at least one.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second: i64::from(per_second.max(1)),
            free_us: i64::MIN,
        }
    }

    /// The most records of one batch: what a second brings.
    #[must_use]
    pub fn batch_max(&self, batch_records_max: u32) -> usize {
        usize::try_from(self.per_second.min(i64::from(batch_records_max.max(1)))).unwrap_or(1)
    }

    /// Takes so many records: how long to wait before them, milliseconds.
    pub fn take(&mut self, records: usize, now_ms: i64) -> u64 {
        let now_us = now_ms.saturating_mul(1_000);
        // Whole milliseconds, rounded up: never early, and what comes next counts from when this really begins.
        let wait_ms = (self.free_us.max(now_us) - now_us + 999) / 1_000;
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        let takes_us = records.saturating_mul(1_000_000) / self.per_second;
        self.free_us = now_us.saturating_add(wait_ms * 1_000).saturating_add(takes_us);
        u64::try_from(wait_ms).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_shard_is_read_at_its_own_pace() {
        let mut pace = ReadPace::new(2);
        assert_eq!((pace.take("a", 1_000), pace.take("b", 1_000)), (0, 0));
        assert_eq!((pace.take("a", 1_000), pace.take("a", 1_000)), (500, 1_000));
        assert_eq!(pace.take("a", 10_000), 0, "what was not used is not saved up");
        assert_eq!(ReadPace::new(0).take("a", 0), 0, "none at all would be no redrive");
    }

    proptest! {
        #[test]
        fn no_second_has_more_reads_than_allowed(per_second in 1_u32..10, gaps in prop::collection::vec(0_i64..400, 1..60)) {
            let mut pace = ReadPace::new(per_second);
            let (mut now_ms, mut reads) = (0, Vec::new());
            for gap in gaps {
                now_ms += gap;
                now_ms += i64::try_from(pace.take("s", now_ms)).unwrap();
                reads.push(now_ms);
            }
            for (at, start) in reads.iter().enumerate() {
                let within = reads[at..].iter().take_while(|read| **read < start + SECOND_MS).count();
                prop_assert!(within <= per_second as usize, "{reads:?}");
            }
        }

        #[test]
        fn no_span_has_more_records_than_the_rate_and_one_batch(rate in 1_u32..5_000, batches in prop::collection::vec((1_usize..500, 0_i64..800), 1..60)) {
            let mut pace = RecordPace::new(rate);
            let (mut now_ms, mut taken) = (0_i64, Vec::new());
            for (records, gap) in batches {
                let records = records.min(pace.batch_max(500));
                now_ms += gap;
                now_ms += i64::try_from(pace.take(records, now_ms)).unwrap();
                taken.push((now_ms, records as i64));
            }
            for from in 0..taken.len() {
                let mut sum = 0;
                for (at_ms, records) in &taken[from..] {
                    // Before this batch, the span holds what its length allows.
                    prop_assert!(sum <= (at_ms - taken[from].0) * i64::from(rate) / 1_000 + 1, "{taken:?}");
                    sum += records;
                }
            }
        }

        #[test]
        fn pauses_grow_up_to_the_cap(failed in 1_u32..200, random: u64) {
            prop_assert!(BACKOFF.full_jitter_ms(failed, random) <= BACKOFF_CAP_MS.min(BACKOFF_BASE_MS.saturating_mul(1 << (failed - 1).min(10))));
        }
    }
}
