//! Kinesis: a shard is read page by page, and no record between two pages is missed in silence.

use aws_sdk_kinesis::config::Builder as Overrides;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_types::DateTime;
/// A record as it was read from a shard: the one that a redrive reads.
pub use tidemark_redrive::port::StreamRecord as ShardRecord;

use super::error::{AdminError, admin_error};
use super::patience::ITERATORS_MAX;
use super::{Admin, call_timeout};
use crate::shards::record_of;

/// Empty pages in a row at the stream's tip after which a record that was there is taken to have left the stream.
const RESUME_EMPTY_PAGES_MAX: u32 = 3;

/// Where reading of a shard goes on. It lives for five minutes; it knows its place, so that a new one can be had after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    token: String,
    stream: String,
    shard_id: String,
    /// What the token stands for: the place after the last record seen.
    place: ReadFrom,
    /// The reading goes on after a record and was placed at it, and it did not come again yet.
    resumes: Option<Resumed>,
}

/// A record that must come again before anything that follows it: a stream from which it is gone may give empty pages for ever, or
/// begin with a later record, and both look as if nothing was missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resumed {
    number: String,
    empty_pages: u32,
}

/// A page of records. It may be empty without being the last.
#[derive(Clone, Debug, Default)]
pub struct RecordPage {
    /// The records, in order.
    pub records: Vec<ShardRecord>,
    /// Where to go on; `None` after the last record of a closed shard.
    pub next: Option<ShardIterator>,
    /// How far the page's end is behind the newest record, in milliseconds.
    pub behind_ms: i64,
}

/// Where reading of a shard begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record that is kept.
    Oldest,
    /// Records that come after now.
    Latest,
    /// This record.
    At(String),
    /// The record after this one.
    After(String),
    /// The first record of this time or later: milliseconds since 1970-01-01T00:00:00Z.
    Time(i64),
}

impl ShardIterator {
    /// Takes the record out of a page that was seen before. What is still to come of it, if it did not come yet.
    fn go_on(&self, records: &mut Vec<ShardRecord>, is_last: bool) -> Result<Option<Resumed>, AdminError> {
        let Some(resumed) = &self.resumes else {
            return Ok(None);
        };
        if records
            .first()
            .is_some_and(|first| first.sequence_number == resumed.number)
        {
            records.remove(0);
            return Ok(None);
        }
        let empty_pages = resumed.empty_pages + u32::from(is_last);
        if !records.is_empty() || empty_pages >= RESUME_EMPTY_PAGES_MAX {
            return Err(AdminError::Overtaken {
                stream: self.stream.clone(),
                shard_id: self.shard_id.clone(),
                number: resumed.number.clone(),
            });
        }
        Ok(Some(Resumed {
            number: resumed.number.clone(),
            empty_pages,
        }))
    }
}

impl Admin {
    /// An iterator on a shard; it lives for five minutes. One after a record is placed at that record, which does not come: whether
    /// it is still there is seen by the first page.
    pub async fn iterator(&self, stream: &str, shard_id: &str, from: &ReadFrom) -> Result<ShardIterator, AdminError> {
        Ok(ShardIterator {
            token: self.patiently(|| self.iterator_token(stream, shard_id, from)).await?,
            stream: stream.to_owned(),
            shard_id: shard_id.to_owned(),
            place: from.clone(),
            resumes: match from {
                ReadFrom::After(number) => Some(Resumed {
                    number: number.clone(),
                    empty_pages: 0,
                }),
                ReadFrom::Oldest | ReadFrom::Latest | ReadFrom::At(_) | ReadFrom::Time(_) => None,
            },
        })
    }

    async fn iterator_token(&self, stream: &str, shard_id: &str, from: &ReadFrom) -> Result<String, AdminError> {
        let call = self
            .clients
            .kinesis
            .get_shard_iterator()
            .stream_name(stream)
            .shard_id(shard_id);
        let call = match from {
            ReadFrom::Oldest => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            ReadFrom::Latest => call.shard_iterator_type(ShardIteratorType::Latest),
            ReadFrom::At(number) | ReadFrom::After(number) => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number),
            ReadFrom::Time(time_ms) => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*time_ms)),
        };
        let answer = call
            .send()
            .await
            .map_err(|error| admin_error("GetShardIterator", &error))?;
        Ok(answer.shard_iterator().unwrap_or_default().to_owned())
    }

    /// Up to `limit` (at most 10,000) records from an iterator on. With patience, an iterator that has expired is replaced by one
    /// after the last record seen.
    ///
    /// # Errors
    /// [`AdminError::Overtaken`] when the record after which the reading was to go on has left the stream.
    pub async fn records(&self, iterator: &ShardIterator, limit: u32) -> Result<RecordPage, AdminError> {
        let mut renewed: Option<ShardIterator> = None;
        for _ in 0..ITERATORS_MAX {
            let at = renewed.as_ref().unwrap_or(iterator);
            match self.patiently(|| self.page(at, limit)).await {
                Err(AdminError::IteratorExpired { .. }) if self.is_patient() => {
                    renewed = Some(self.iterator(&at.stream, &at.shard_id, &at.place).await?);
                }
                other => return other,
            }
        }
        let at = renewed.as_ref().unwrap_or(iterator);
        self.patiently(|| self.page(at, limit)).await
    }

    async fn page(&self, at: &ShardIterator, limit: u32) -> Result<RecordPage, AdminError> {
        self.pace(&at.stream, &at.shard_id).await;
        let limit = i32::try_from(limit.clamp(1, 10_000)).unwrap_or(1);
        let call = self
            .clients
            .kinesis
            .get_records()
            .shard_iterator(&at.token)
            .limit(limit)
            .customize();
        let call = call.config_override(Overrides::new().timeout_config(call_timeout()));
        let answer = call.send().await.map_err(|error| admin_error("GetRecords", &error))?;
        let next = answer.next_shard_iterator.filter(|next| !next.is_empty());
        let mut records: Vec<ShardRecord> = answer.records.into_iter().map(record_of).collect();
        self.took(
            &at.stream,
            &at.shard_id,
            records.iter().map(|record| record.data.len() as u64).sum(),
        );
        let behind_ms = answer.millis_behind_latest.unwrap_or_default();
        let is_last = behind_ms == 0 || next.is_none();
        let resumes = at.go_on(&mut records, is_last)?;
        let place = records.last().map_or_else(
            || at.place.clone(),
            |last| ReadFrom::After(last.sequence_number.clone()),
        );
        Ok(RecordPage {
            next: next.map(|token| ShardIterator {
                token,
                stream: at.stream.clone(),
                shard_id: at.shard_id.clone(),
                place,
                resumes,
            }),
            records,
            behind_ms,
        })
    }
}
