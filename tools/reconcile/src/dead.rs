//! The ranges of the dead letters, so that a record is found without looking through all of them.

use std::collections::HashMap;

use tidemark_engine::record::compare_sequence_numbers;

use crate::evidence::SequenceRange;
use crate::record::Record;

/// Ranges by shard, ascending by start, each with the furthest end of those up to it.
pub(crate) struct DeadLetters<'a> {
    by_shard: HashMap<&'a str, Vec<(&'a str, &'a str)>>,
}

impl<'a> DeadLetters<'a> {
    pub(crate) fn of(ranges: &'a [SequenceRange]) -> Self {
        let mut by_shard: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
        for range in ranges {
            let of_shard = by_shard.entry(&range.shard_id).or_default();
            of_shard.push((&range.start, &range.end));
        }
        for of_shard in by_shard.values_mut() {
            of_shard.sort_by(|a, b| compare_sequence_numbers(a.0, b.0));
            let mut furthest = "";
            for (_, end) in of_shard.iter_mut() {
                if compare_sequence_numbers(end, furthest).is_lt() {
                    *end = furthest;
                }
                furthest = end;
            }
        }
        Self { by_shard }
    }

    /// Whether a record lies in one of them.
    pub(crate) fn hold(&self, record: &Record) -> bool {
        let Some(of_shard) = self.by_shard.get(&*record.shard_id) else {
            return false;
        };
        let number = &record.sequence_number;
        let after = of_shard.partition_point(|(start, _)| compare_sequence_numbers(start, number).is_le());
        after > 0 && compare_sequence_numbers(number, of_shard[after - 1].1).is_le()
    }
}
