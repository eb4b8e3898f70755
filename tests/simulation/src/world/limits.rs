//! What a shard and a partition take in a second, as AWS has it, scaled down so that some thousand records meet it.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// What has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Records that a shard of the scores stream takes in a second.
    ScoresRecords,
    /// Bytes that it takes.
    ScoresBytes,
    /// Reads of a shard of the transactions stream in a second, all readers together.
    ShardReads,
    /// Write units of a partition in a second.
    WriteUnits,
    /// Read units of a partition in a second.
    ReadUnits,
}

/// The limits of a run, and what is used of them.
#[derive(Clone, Debug)]
pub struct Capacity {
    scores_records: u64,
    write_units: u64,
    read_units: u64,
    /// Partitions of the table, and shards of the scores stream.
    parts: u64,
    used: BTreeMap<(Limit, u64), (i64, u64)>,
}

/// Reads of a shard in a second (Kinesis's limit, as it is).
const SHARD_READS: u64 = 5;
/// Bytes of a scores record at most: a shard's megabyte goes with its thousand records.
const SCORES_BYTES_EACH: u64 = 1_000;

impl Capacity {
    /// The seed's.
    #[must_use]
    pub fn draw(dice: &mut Dice) -> Self {
        Self {
            scores_records: *dice.pick(&[20, 50, 200]),
            write_units: *dice.pick(&[10, 40, 200]),
            read_units: *dice.pick(&[30, 120, 600]),
            parts: dice.between(1, 3),
            used: BTreeMap::new(),
        }
    }

    /// For states that hold the values of features, and are some four times as large.
    #[must_use]
    pub fn for_large_states(self) -> Self {
        Self {
            write_units: 4 * self.write_units,
            read_units: 4 * self.read_units,
            ..self
        }
    }

    /// The part that a key belongs to.
    #[must_use]
    pub fn part(&self, key: &str) -> u64 {
        xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % self.parts
    }

    /// Takes so much in this second; whether there was room. Whoever comes first in a second is never too large.
    pub fn take(&mut self, limit: Limit, part: u64, amount: u64, now_ms: i64) -> bool {
        let most = match limit {
            Limit::ScoresRecords => self.scores_records,
            Limit::ScoresBytes => self.scores_records * SCORES_BYTES_EACH,
            Limit::ShardReads => SHARD_READS,
            Limit::WriteUnits => self.write_units,
            Limit::ReadUnits => self.read_units,
        };
        let second = now_ms.div_euclid(1_000);
        let used = self.used.entry((limit, part)).or_insert((second, 0));
        if used.0 != second {
            *used = (second, 0);
        }
        if used.1 > 0 && used.1 + amount > most {
            return false;
        }
        used.1 += amount;
        true
    }
}

/// Write units of so many bytes.
#[must_use]
pub const fn write_units(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(1_024)
}

/// Read units of so many bytes, eventually consistent ones by halves rounded up.
#[must_use]
pub const fn read_units(bytes: usize) -> u64 {
    let units = (bytes as u64).div_ceil(4_096);
    if units == 0 { 1 } else { units }
}
