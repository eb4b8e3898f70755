//! A stream in memory: shards, retention, iterators that expire, pages that are empty.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidemark_engine::lock::lock;
use tidemark_engine::memory::ManualClock;
use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::record::compare_sequence_numbers;

use super::script::{Op, Script};
use crate::port::{Page, ReadError, ReadFrom, ShardReader, StreamRecord};
use crate::shards::ShardInfo;

/// How long an iterator lives, milliseconds.
const ITERATOR_LIFE_MS: i64 = 300_000;

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

/// A stream. Clones share its records.
#[derive(Clone, Debug)]
pub struct MemoryStream {
    inner: Arc<Mutex<Inner>>,
    clock: ManualClock,
    script: Script,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<String, Shard>,
    trimmed_start: TrimmedStart,
    /// Empty pages before each page with records.
    empty_pages: u32,
    iterators: Vec<Iterator>,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    parents: Vec<String>,
    closed: bool,
    records: Vec<StreamRecord>,
    /// How many of the first records are past retention.
    trimmed: usize,
}

#[derive(Clone, Debug)]
struct Iterator {
    shard_id: String,
    at: usize,
    issued_ms: i64,
    empty_left: u32,
    empty_for_ever: bool,
}

impl MemoryStream {
    /// A stream without shards.
    #[must_use]
    pub fn new(clock: ManualClock, script: Script) -> Self {
        Self {
            inner: Arc::default(),
            clock,
            script,
        }
    }

    /// Adds a shard; its parents, where it has some, are closed.
    pub fn add_shard(&self, shard_id: &str, parents: &[&str]) {
        let mut inner = lock(&self.inner);
        for parent in parents {
            if let Some(parent) = inner.shards.get_mut(*parent) {
                parent.closed = true;
            }
        }
        let shard = Shard {
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
            ..Shard::default()
        };
        inner.shards.insert(shard_id.to_owned(), shard);
    }

    /// Adds a record to a shard; numbers must grow.
    pub fn put(&self, shard_id: &str, record: StreamRecord) {
        if let Some(shard) = lock(&self.inner).shards.get_mut(shard_id) {
            shard.records.push(record);
        }
    }

    /// Every record that was ever put into a shard, trimmed ones too.
    #[must_use]
    pub fn records_of(&self, shard_id: &str) -> Vec<StreamRecord> {
        let inner = lock(&self.inner);
        inner
            .shards
            .get(shard_id)
            .map(|shard| shard.records.clone())
            .unwrap_or_default()
    }

    /// Lets the first `records` of a shard be past retention.
    pub fn trim(&self, shard_id: &str, records: usize) {
        if let Some(shard) = lock(&self.inner).shards.get_mut(shard_id) {
            shard.trimmed = records.min(shard.records.len());
        }
    }

    /// Takes a shard away, as a closed one goes when its last record is past retention.
    pub fn remove_shard(&self, shard_id: &str) {
        lock(&self.inner).shards.remove(shard_id);
    }

    /// What becomes of a trimmed start.
    pub fn set_trimmed_start(&self, trimmed_start: TrimmedStart) {
        lock(&self.inner).trimmed_start = trimmed_start;
    }

    /// So many empty pages come before each page with records.
    pub fn set_empty_pages(&self, pages: u32) {
        lock(&self.inner).empty_pages = pages;
    }
}

impl Inner {
    fn place(&self, shard_id: &str, from: &ReadFrom, now_ms: i64) -> Result<Iterator, ReadError> {
        let shard = self.shards.get(shard_id).ok_or(ReadError::NoShard)?;
        let first_at_or_after = |number: &str, or_after: bool| {
            shard.records.partition_point(|record| {
                let order = compare_sequence_numbers(&record.sequence_number, number);
                order.is_lt() || (!or_after && order.is_eq())
            })
        };
        let at = match from {
            ReadFrom::Oldest => shard.trimmed,
            ReadFrom::At(number) => first_at_or_after(number, true),
            ReadFrom::After(number) => first_at_or_after(number, false),
            ReadFrom::Time(time_ms) => {
                let first = shard.records.partition_point(|record| record.arrival_ms < *time_ms);
                first.max(shard.trimmed)
            }
        };
        let is_trimmed = at < shard.trimmed;
        if is_trimmed && self.trimmed_start == TrimmedStart::Refused {
            return Err(ReadError::Position);
        }
        Ok(Iterator {
            shard_id: shard_id.to_owned(),
            at: at.max(shard.trimmed),
            issued_ms: now_ms,
            empty_left: self.empty_pages,
            empty_for_ever: is_trimmed && self.trimmed_start == TrimmedStart::Empty,
        })
    }

    fn read(&mut self, at: &Iterator, records_max: u32, now_ms: i64) -> Result<Page, ReadError> {
        if now_ms - at.issued_ms > ITERATOR_LIFE_MS {
            return Err(ReadError::Expired);
        }
        let shard = self.shards.get(&at.shard_id).ok_or(ReadError::NoShard)?;
        let mut next = Iterator {
            issued_ms: now_ms,
            at: at.at.max(shard.trimmed),
            ..at.clone()
        };
        let mut page = Page::default();
        if at.empty_for_ever {
            // At the tip, as far as it says.
        } else if at.empty_left > 0 {
            next.empty_left -= 1;
            page.behind_ms = 1;
        } else {
            let end = shard.records.len().min(next.at + records_max as usize);
            page.records = shard.records[next.at..end].to_vec();
            page.behind_ms = i64::from(end < shard.records.len());
            next.at = end;
            next.empty_left = self.empty_pages;
            if end == shard.records.len() && shard.closed {
                return Ok(page);
            }
        }
        page.next = Some(self.iterators.len().to_string());
        self.iterators.push(next);
        Ok(page)
    }
}

impl ShardReader for MemoryStream {
    async fn shards(&self) -> Result<Vec<ShardInfo>, PortError> {
        let fault = self.script.begin(Op::Shards).await?;
        let info = |(id, shard): (&String, &Shard)| ShardInfo {
            id: id.clone(),
            parents: shard.parents.clone(),
        };
        let shards = lock(&self.inner).shards.iter().map(info).collect();
        self.script.finish(fault).await?;
        Ok(shards)
    }

    async fn iterator(&self, shard_id: &str, from: &ReadFrom) -> Result<String, ReadError> {
        let fault = self.script.begin(Op::Iterator).await?;
        let token = {
            let mut inner = lock(&self.inner);
            let placed = inner.place(shard_id, from, self.clock.now_ms())?;
            inner.iterators.push(placed);
            (inner.iterators.len() - 1).to_string()
        };
        self.script.finish(fault).await?;
        Ok(token)
    }

    async fn records(&self, iterator: &str, records_max: u32) -> Result<Page, ReadError> {
        let fault = self.script.begin(Op::Records).await?;
        let page = {
            let mut inner = lock(&self.inner);
            let at = iterator
                .parse()
                .ok()
                .and_then(|at: usize| inner.iterators.get(at).cloned());
            let at = at.ok_or(ReadError::Expired)?;
            inner.read(&at, records_max, self.clock.now_ms())?
        };
        self.script.finish(fault).await?;
        Ok(page)
    }
}
