//! The transactions stream: shards, order, splits and merges.

use std::sync::Arc;

use localcloud::esm::EsmRecord;
use xxhash_rust::xxh3::xxh3_64;

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
}

impl Shard {
    /// Whether it takes no more records.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// The stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Every shard there ever was.
    pub shards: Vec<Shard>,
    next_number: u64,
}

impl Stream {
    /// A stream of so many shards.
    #[must_use]
    pub fn new(shards: u64) -> Self {
        let mut stream = Self {
            shards: Vec::new(),
            // Numbers cross a power of ten, so that an order by text alone would be wrong.
            next_number: 9_990,
        };
        let width = u64::MAX / shards.max(1);
        for at in 0..shards.max(1) {
            let to = if at + 1 == shards {
                u64::MAX
            } else {
                (at + 1) * width - 1
            };
            stream.open(at * width, to, Vec::new());
        }
        stream
    }

    fn open(&mut self, from: u64, to: u64, parents: Vec<String>) {
        self.shards.push(Shard {
            id: format!("shardId-{:012}", self.shards.len()),
            parents,
            records: Vec::new(),
            read_to: 0,
            closed: false,
            from,
            to,
        });
    }

    /// Puts a record; its place among all is `place`.
    pub fn put(&mut self, place: usize, key: &str, data: &[u8], now_ms: i64) {
        let hash = xxh3_64(key.as_bytes());
        let number = self.next_number;
        self.next_number += 1;
        let open = self
            .shards
            .iter_mut()
            .find(|shard| !shard.closed && (shard.from..=shard.to).contains(&hash));
        if let Some(shard) = open {
            let record = EsmRecord {
                sequence_number: number.to_string(),
                partition_key: key.to_owned(),
                arrival_ms: now_ms,
                body: data.to_vec(),
            };
            shard.records.push((place, Arc::new(record)));
        }
    }

    /// Splits the open shard at `at` among the open ones in two.
    pub fn split(&mut self, at: usize) {
        let Some(index) = self.open_at(at) else { return };
        let (from, to, id) = (
            self.shards[index].from,
            self.shards[index].to,
            self.shards[index].id.clone(),
        );
        self.shards[index].closed = true;
        let middle = from + (to - from) / 2;
        self.open(from, middle, vec![id.clone()]);
        self.open(middle + 1, to, vec![id]);
    }

    /// Merges the open shard at `at` with the one that follows its range, if there is one.
    pub fn merge(&mut self, at: usize) {
        let Some(index) = self.open_at(at) else { return };
        let next = self.shards[index].to.wrapping_add(1);
        let Some(other) = self.shards.iter().position(|shard| !shard.closed && shard.from == next) else {
            return;
        };
        if other == index || next == 0 {
            return;
        }
        let (from, to) = (self.shards[index].from, self.shards[other].to);
        let parents = vec![self.shards[index].id.clone(), self.shards[other].id.clone()];
        self.shards[index].closed = true;
        self.shards[other].closed = true;
        self.open(from, to, parents);
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
}
