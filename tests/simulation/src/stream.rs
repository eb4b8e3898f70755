//! The transactions stream: shards, order, splits and merges, retention, and reading by iterator.

use std::sync::Arc;

use localcloud::esm::EsmRecord;
use tidemark_engine::record::compare_sequence_numbers;
use tidemark_redrive::port::{Page, ReadError, ReadFrom, StreamRecord};
use xxhash_rust::xxh3::xxh3_64;

/// The stream's ARN.
pub const ARN: &str = "arn:aws:kinesis:eu-west-1:000000000000:stream/transactions";
/// How long an iterator lives, ms.
const ITERATOR_LIFE_MS: i64 = 300_000;
/// The first number of a shard: numbers cross a power of ten, so that an order by text alone would be wrong.
const FIRST_NUMBER: u64 = 9_990;

/// A shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// What it came from.
    pub parents: Vec<String>,
    /// Its records, in order, with their places among all.
    pub records: Vec<(usize, Arc<EsmRecord>)>,
    /// The first of its records that the mapping has not been given.
    pub read_to: usize,
    closed: bool,
    from: u64,
    to: u64,
    /// Numbers are a shard's own: two shards have the same ones.
    next_number: u64,
}

impl Shard {
    /// Whether it takes no more records.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The first record that is kept.
    #[must_use]
    pub fn oldest(&self, kept_from_ms: i64) -> usize {
        self.records
            .partition_point(|(_, record)| record.arrival_ms < kept_from_ms)
    }

    /// The place of a number, or of the first after it.
    #[must_use]
    pub fn at(&self, number: &str) -> usize {
        self.records
            .partition_point(|(_, record)| compare_sequence_numbers(&record.sequence_number, number).is_lt())
    }
}

/// What the stream does with a sequence number that is past retention. AWS has been seen to do each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrimmedStart {
    /// It refuses the number.
    #[default]
    Refused,
    /// It gives the records that are left.
    Skipped,
    /// It gives empty pages for ever.
    Empty,
}

/// The stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Every shard there ever was.
    pub shards: Vec<Shard>,
    /// How long a record is kept, ms; `None`: for ever.
    pub retention_ms: Option<i64>,
    /// What becomes of a start that is past retention.
    pub trimmed_start: TrimmedStart,
}

impl Stream {
    /// A stream of so many shards.
    #[must_use]
    pub fn new(shards: u64) -> Self {
        let mut stream = Self::default();
        let width = u64::MAX / shards.max(1);
        for at in 0..shards.max(1) {
            let to = if at + 1 == shards {
                u64::MAX
            } else {
                (at + 1) * width - 1
            };
            stream.open(at * width, to, Vec::new(), FIRST_NUMBER);
        }
        stream
    }

    fn open(&mut self, from: u64, to: u64, parents: Vec<String>, next_number: u64) {
        self.shards.push(Shard {
            id: format!("shardId-{:012}", self.shards.len()),
            parents,
            records: Vec::new(),
            read_to: 0,
            closed: false,
            from,
            to,
            next_number,
        });
    }

    /// Puts a record; its place among all is `place`.
    pub fn put(&mut self, place: usize, key: &str, data: &[u8], now_ms: i64) {
        let hash = xxh3_64(key.as_bytes());
        let open = self
            .shards
            .iter_mut()
            .find(|shard| !shard.closed && (shard.from..=shard.to).contains(&hash));
        if let Some(shard) = open {
            let record = EsmRecord {
                sequence_number: shard.next_number.to_string(),
                partition_key: key.to_owned(),
                arrival_ms: now_ms,
                body: data.to_vec(),
            };
            shard.next_number += 1;
            shard.records.push((place, Arc::new(record)));
        }
    }

    /// Splits the open shard at `at` among the open ones in two.
    pub fn split(&mut self, at: usize) {
        let Some(index) = self.open_at(at) else { return };
        let shard = &mut self.shards[index];
        shard.closed = true;
        let (from, to, id, next) = (shard.from, shard.to, shard.id.clone(), shard.next_number);
        let middle = from + (to - from) / 2;
        self.open(from, middle, vec![id.clone()], next);
        self.open(middle + 1, to, vec![id], next);
    }

    /// Merges the open shard at `at` with the one that follows its range, if there is one.
    pub fn merge(&mut self, at: usize) {
        let Some(index) = self.open_at(at) else { return };
        let after = self.shards[index].to.wrapping_add(1);
        let other = self
            .shards
            .iter()
            .position(|shard| !shard.closed && shard.from == after);
        let Some(other) = other.filter(|other| *other != index && after != 0) else {
            return;
        };
        let (from, to) = (self.shards[index].from, self.shards[other].to);
        let parents = vec![self.shards[index].id.clone(), self.shards[other].id.clone()];
        let next = self.shards[index].next_number.max(self.shards[other].next_number);
        self.shards[index].closed = true;
        self.shards[other].closed = true;
        self.open(from, to, parents, next);
    }

    fn open_at(&self, at: usize) -> Option<usize> {
        let open: Vec<usize> = (0..self.shards.len())
            .filter(|index| !self.shards[*index].closed)
            .collect();
        open.get(at % open.len().max(1)).copied()
    }

    /// A shard by its id.
    #[must_use]
    pub fn shard(&self, id: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    /// Records that arrived before this time are past retention.
    #[must_use]
    pub fn kept_from_ms(&self, now_ms: i64) -> i64 {
        self.retention_ms.map_or(i64::MIN, |retention_ms| now_ms - retention_ms)
    }

    /// A place in a shard, as a text.
    ///
    /// # Errors
    /// When there is no such shard, or the stream refuses a start that is past retention.
    pub fn iterator(&self, shard_id: &str, from: &ReadFrom, now_ms: i64) -> Result<String, ReadError> {
        let shard = self.shard(shard_id).ok_or(ReadError::NoShard)?;
        let oldest = shard.oldest(self.kept_from_ms(now_ms));
        let at = match from {
            ReadFrom::Oldest => oldest,
            ReadFrom::At(number) => shard.at(number),
            ReadFrom::After(number) => {
                let at = shard.at(number);
                let is_there = shard.records.get(at).is_some_and(|(_, r)| r.sequence_number == *number);
                at + usize::from(is_there)
            }
            ReadFrom::Time(time_ms) => shard.oldest(*time_ms).max(oldest),
        };
        let is_trimmed = at < oldest;
        if is_trimmed && self.trimmed_start == TrimmedStart::Refused {
            return Err(ReadError::Position);
        }
        let is_empty = is_trimmed && self.trimmed_start == TrimmedStart::Empty;
        Ok(format!("{shard_id}|{at}|{now_ms}|{}", u8::from(is_empty)))
    }

    /// Up to so many records from an iterator on.
    ///
    /// # Errors
    /// When the iterator is too old, or none.
    pub fn records(&self, iterator: &str, records_max: u32, now_ms: i64) -> Result<Page, ReadError> {
        let parts: Vec<&str> = iterator.split('|').collect();
        let [shard_id, at, issued_ms, empty] = parts[..] else {
            return Err(ReadError::Position);
        };
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        if now_ms - number(issued_ms) > ITERATOR_LIFE_MS {
            return Err(ReadError::Expired);
        }
        let shard = self.shard(shard_id).ok_or(ReadError::NoShard)?;
        let oldest = shard.oldest(self.kept_from_ms(now_ms));
        let at = usize::try_from(number(at)).unwrap_or(0).max(oldest);
        if empty == "1" {
            return Ok(Page {
                records: Vec::new(),
                next: Some(format!("{shard_id}|{at}|{now_ms}|1")),
                behind_ms: 0,
            });
        }
        let end = shard.records.len().min(at + records_max as usize);
        let records = shard.records[at.min(end)..end].iter().map(|(_, record)| StreamRecord {
            sequence_number: record.sequence_number.clone(),
            partition_key: record.partition_key.clone(),
            arrival_ms: record.arrival_ms,
            data: record.body.clone(),
        });
        let is_over = shard.closed && end == shard.records.len();
        Ok(Page {
            records: records.collect(),
            next: (!is_over).then(|| format!("{shard_id}|{end}|{now_ms}|0")),
            behind_ms: i64::from(end < shard.records.len()),
        })
    }
}
