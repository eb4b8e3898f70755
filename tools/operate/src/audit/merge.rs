//! A stream in the order of arrival: all its shards are read at the same time, each as far as it is wanted.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join_all;
use terminal::clock::now_ms;
use terminal::error::CliError;
use tidemark_aws::admin::{Admin, ReadFrom, RecordPage, ShardIterator, ShardRecord};

use crate::account::evidence::{StreamRange, failed};

/// Records asked for in one read.
const PAGE_RECORDS: u32 = 10_000;
/// Shards that are read at the same time, those that are furthest behind first: a page has up to 10 MB.
const SHARDS_IN_FLIGHT: usize = 16;
/// Empty pages in a row after which a shard that says it has no more is believed.
const EMPTY_PAGES_MAX: u32 = 3;
/// A shard that has no more records had none that arrived so much earlier: the clocks of this machine and the stream may differ
/// by as much, milliseconds.
const VISIBLE_AFTER_MS: i64 = 60_000;
/// An iterator that was not used for so long is not used any more: AWS takes it for five minutes, milliseconds.
const ITERATOR_MS_MAX: i64 = 240_000;

/// A stream that is being read; `T` is what is kept of a record.
pub(super) struct Shards<'a, T> {
    admin: &'a Admin,
    stream: &'a str,
    /// Records that arrived then or later are left, ms since 1970-01-01T00:00:00Z.
    until_ms: i64,
    shards: Vec<Shard<T>>,
}

struct Shard<T> {
    id: Arc<str>,
    from: ReadFrom,
    iterator: Option<(ShardIterator, i64)>,
    /// Everything that arrived before is at hand or was taken, ms since 1970-01-01T00:00:00Z.
    read_until_ms: i64,
    /// Whether there will never be more in the range.
    is_over: bool,
    ready: VecDeque<(i64, T)>,
}

impl<'a, T> Shards<'a, T> {
    /// Begins to read.
    pub(super) async fn open(admin: &'a Admin, stream: &'a str, range: &StreamRange) -> Result<Self, CliError> {
        let known = admin.list_shards(stream).await.map_err(failed("listing shards"))?;
        let wanted = known.into_iter().filter(|shard| {
            let only = range.shard_id.as_ref();
            only.is_none_or(|only| *only == shard.id)
        });
        let shards = wanted.map(|shard| Shard {
            id: shard.id.as_str().into(),
            from: range.since_ms.map_or(ReadFrom::Oldest, ReadFrom::Time),
            iterator: None,
            read_until_ms: range.since_ms.unwrap_or(i64::MIN),
            is_over: false,
            ready: VecDeque::new(),
        });
        Ok(Self {
            admin,
            stream,
            until_ms: range.until_ms.unwrap_or(i64::MAX),
            shards: shards.collect(),
        })
    }

    /// Records at hand.
    pub(super) fn held(&self) -> usize {
        self.shards.iter().map(|shard| shard.ready.len()).sum()
    }

    /// Reads one page of each shard that has not come to `target_ms`; whether there was such a shard.
    pub(super) async fn advance(
        &mut self,
        target_ms: i64,
        keep: &(impl Fn(&Arc<str>, ShardRecord) -> Result<Vec<T>, CliError> + Sync),
    ) -> Result<bool, CliError> {
        let (admin, stream, until_ms) = (self.admin, self.stream, self.until_ms);
        let shards = self.shards.iter_mut();
        let mut behind: Vec<_> = shards
            .filter(|shard| !shard.is_over && shard.read_until_ms < target_ms)
            .collect();
        behind.sort_by_key(|shard| shard.read_until_ms);
        behind.truncate(SHARDS_IN_FLIGHT);
        let reads = behind
            .into_iter()
            .map(|shard| async move { shard.read_to(admin, stream, target_ms).await.map(|page| (shard, page)) });
        let pages = try_join_all(reads).await?;
        let was_behind = !pages.is_empty();
        for (shard, page) in pages {
            shard.take(page, until_ms, keep)?;
        }
        Ok(was_behind)
    }

    /// Until when everything is at hand, at most `target_ms`.
    pub(super) fn read_until_ms(&self, target_ms: i64) -> i64 {
        let behind = self.shards.iter().filter(|shard| !shard.is_over);
        behind
            .map(|shard| shard.read_until_ms)
            .min()
            .map_or(target_ms, |read_ms| read_ms.min(target_ms))
    }

    /// Looks for new records again where there were none.
    pub(super) fn again(&mut self) {
        for shard in &mut self.shards {
            shard.read_until_ms = i64::MIN;
        }
    }

    /// Takes what arrived before, shard by shard, each in its order.
    pub(super) fn take_before(&mut self, until_ms: i64) -> Vec<T> {
        let mut taken = Vec::new();
        for shard in &mut self.shards {
            while shard
                .ready
                .front()
                .is_some_and(|(arrival_ms, _)| *arrival_ms < until_ms)
            {
                taken.extend(shard.ready.pop_front().map(|(_, record)| record));
            }
        }
        taken
    }
}

impl<T> Shard<T> {
    /// A page with records, or the news that there are none before `target_ms`.
    async fn read_to(&mut self, admin: &Admin, stream: &str, target_ms: i64) -> Result<RecordPage, CliError> {
        let mut empty = 0;
        let began_ms = now_ms();
        loop {
            let page = self.read(admin, stream).await?;
            self.iterator = page.next.clone().map(|next| (next, now_ms()));
            self.is_over = page.next.is_none();
            empty += 1;
            if self.is_over || !page.records.is_empty() {
                return Ok(page);
            }
            if page.behind_ms == 0 && empty >= EMPTY_PAGES_MAX {
                self.read_until_ms = target_ms.max(began_ms - VISIBLE_AFTER_MS);
                return Ok(page);
            }
        }
    }

    async fn read(&mut self, admin: &Admin, stream: &str) -> Result<RecordPage, CliError> {
        let fresh = self
            .iterator
            .take()
            .filter(|(_, since_ms)| now_ms() - since_ms < ITERATOR_MS_MAX);
        let iterator = match fresh {
            Some((iterator, _)) => iterator,
            None => {
                let iterator = admin.iterator(stream, &self.id, &self.from).await;
                iterator.map_err(failed("reading a shard"))?
            }
        };
        let page = admin.records(&iterator, PAGE_RECORDS).await;
        page.map_err(failed("reading a shard"))
    }

    fn take(
        &mut self,
        page: RecordPage,
        until_ms: i64,
        keep: &impl Fn(&Arc<str>, ShardRecord) -> Result<Vec<T>, CliError>,
    ) -> Result<(), CliError> {
        for record in page.records {
            let arrival_ms = record.arrival_ms;
            if arrival_ms >= until_ms {
                // Arrival grows along a shard.
                self.is_over = true;
                return Ok(());
            }
            self.from = ReadFrom::After(record.sequence_number.clone());
            self.read_until_ms = self.read_until_ms.max(arrival_ms);
            let kept = keep(&self.id, record)?;
            self.ready.extend(kept.into_iter().map(|record| (arrival_ms, record)));
        }
        Ok(())
    }
}
