//! Streams and shards in memory: routing by the MD5 of the key, order by shard, iterators, splits and merges. Pure: the
//! time is an argument.

use std::collections::{BTreeMap, VecDeque};

use super::fault::{Fault, fault};
use super::md5::md5;
use super::shard_limit::ShardLimit;

/// Records of one stream that are kept at most, in bytes of data and keys. Above it, puts are throttled.
const STREAM_BYTES_MAX: usize = 4 << 30;
/// How long records are kept: Kinesis's 24 hours, in milliseconds.
const RETENTION_MS: i64 = 24 * 3_600_000;
/// How long an iterator lives (Kinesis's five minutes), in milliseconds.
const ITERATOR_LIFE_MS: i64 = 300_000;
/// Bytes of one page of records (Kinesis's 10 MB).
const PAGE_BYTES_MAX: usize = 10_000_000;
/// Records of one page (Kinesis's limit).
pub(crate) const PAGE_RECORDS_MAX: usize = 10_000;
/// Shards of one stream, closed ones included.
pub(crate) const SHARDS_MAX: usize = 1_000;
/// Bytes of data and key of one record. AWS takes up to 10 MiB since 2025 where a stream is set so; 1 MiB is its default.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;

/// A record in a shard. The data stays in base64, as it came and as it goes.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub number: u128,
    pub arrival_ms: i64,
    pub partition_key: String,
    pub data_base64: String,
}

impl Stored {
    pub(crate) fn bytes(&self) -> usize {
        self.data_base64.len() / 4 * 3 + self.partition_key.len()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub id: String,
    pub parents: Vec<String>,
    pub hash_from: u128,
    pub hash_to: u128,
    pub first_number: u128,
    /// The number at which it was closed; records have lower ones.
    pub last_number: Option<u128>,
    /// What it takes and gives in a second.
    pub limit: ShardLimit,
    records: VecDeque<Stored>,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub shards: Vec<Shard>,
    bytes: usize,
    next_number: u128,
    limited: bool,
}

/// All streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    pub by_name: BTreeMap<String, Stream>,
    /// Whether a shard takes and gives no more in a second than on AWS.
    pub limited: bool,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Oldest,
    Latest,
    At(u128),
    After(u128),
    Time(i64),
}

/// A position in a shard: the next record has this number or a higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub stream: String,
    pub shard: String,
    pub number: u128,
    pub issued_ms: i64,
}

/// A page of records and where to go on.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub records: Vec<&'a Stored>,
    pub next: Option<Position>,
    pub behind_ms: i64,
    pub children: Vec<&'a Shard>,
}

/// A sequence number as Kinesis writes it: 56 digits, beyond u128's text in general, so nobody may parse it as one.
pub(crate) fn number_text(number: u128) -> String {
    format!("49{number:054}")
}

/// The number of a text of ours.
pub(crate) fn number_from(text: &str) -> Option<u128> {
    text.strip_prefix("49")
        .filter(|rest| rest.len() == 54)
        .and_then(|rest| rest.parse().ok())
}

impl Streams {
    pub(crate) fn create(&mut self, name: &str, shards: u32) -> Result<(), Fault> {
        if self.by_name.contains_key(name) {
            return fault("ResourceInUseException", format!("Stream {name} already exists"));
        }
        if shards == 0 || shards as usize > SHARDS_MAX {
            return fault("ValidationException", "ShardCount must be from 1 to 1000");
        }
        let width = u128::MAX / u128::from(shards);
        let mut stream = Stream {
            shards: Vec::new(),
            bytes: 0,
            next_number: 1,
            limited: self.limited,
        };
        for index in 0..u128::from(shards) {
            let last = index + 1 == u128::from(shards);
            let (from, to) = (index * width, if last { u128::MAX } else { (index + 1) * width - 1 });
            stream.open_shard(from, to, Vec::new());
        }
        self.by_name.insert(name.to_owned(), stream);
        Ok(())
    }

    pub(crate) fn stream(&self, name: &str) -> Result<&Stream, Fault> {
        match self.by_name.get(name) {
            Some(stream) => Ok(stream),
            None => fault("ResourceNotFoundException", format!("Stream {name} not found")),
        }
    }

    pub(crate) fn stream_mut(&mut self, name: &str) -> Result<&mut Stream, Fault> {
        match self.by_name.get_mut(name) {
            Some(stream) => Ok(stream),
            None => fault("ResourceNotFoundException", format!("Stream {name} not found")),
        }
    }

    pub(crate) fn iterator(&self, stream: &str, shard: &str, start: Start, now_ms: i64) -> Result<Position, Fault> {
        let found = self.stream(stream)?;
        let records = &found.shard(shard)?.records;
        let number = match start {
            Start::Oldest => 0,
            Start::Latest => found.next_number,
            Start::At(number) => number,
            Start::After(number) => number + 1,
            Start::Time(time_ms) => {
                let index = records.partition_point(|r| r.arrival_ms < time_ms);
                records.get(index).map_or(found.next_number, |r| r.number)
            }
        };
        Ok(Position {
            stream: stream.to_owned(),
            shard: shard.to_owned(),
            number,
            issued_ms: now_ms,
        })
    }

    pub(crate) fn read(&self, at: &Position, limit: usize, now_ms: i64) -> Result<Page<'_>, Fault> {
        if now_ms - at.issued_ms > ITERATOR_LIFE_MS {
            return fault("ExpiredIteratorException", "The iterator is older than five minutes");
        }
        let stream = self.stream(&at.stream)?;
        let shard = stream.shard(&at.shard)?;
        let start = shard.records.partition_point(|r| r.number < at.number);
        let mut bytes = 0;
        let mut records = Vec::new();
        for record in shard.records.range(start..).take(limit.clamp(1, PAGE_RECORDS_MAX)) {
            bytes += record.bytes();
            if bytes > PAGE_BYTES_MAX && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        let end = start + records.len();
        let at_end = end == shard.records.len();
        let closed = at_end && shard.last_number.is_some();
        let next = records.last().map_or(at.number, |r| r.number + 1);
        Ok(Page {
            records,
            next: (!closed).then(|| Position {
                number: next,
                issued_ms: now_ms,
                ..at.clone()
            }),
            behind_ms: shard.records.get(end).map_or(0, |r| (now_ms - r.arrival_ms).max(0)),
            children: if closed { stream.children(&shard.id) } else { Vec::new() },
        })
    }
}

impl Stream {
    fn open_shard(&mut self, hash_from: u128, hash_to: u128, parents: Vec<String>) {
        let id = format!("shardId-{:012}", self.shards.len());
        let first_number = self.take_number();
        let records = VecDeque::new();
        self.shards.push(Shard {
            id,
            parents,
            hash_from,
            hash_to,
            first_number,
            last_number: None,
            limit: ShardLimit::default(),
            records,
        });
    }

    fn take_number(&mut self) -> u128 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// A shard, to count what it gives.
    pub(crate) fn shard_mut(&mut self, id: &str) -> Result<&mut Shard, Fault> {
        match self.shards.iter_mut().find(|shard| shard.id == id) {
            Some(shard) => Ok(shard),
            None => fault("ResourceNotFoundException", format!("Shard {id} not found")),
        }
    }

    fn shard(&self, id: &str) -> Result<&Shard, Fault> {
        match self.shards.iter().find(|shard| shard.id == id) {
            Some(shard) => Ok(shard),
            None => fault("ResourceNotFoundException", format!("Shard {id} not found")),
        }
    }

    fn children(&self, id: &str) -> Vec<&Shard> {
        self.shards
            .iter()
            .filter(|shard| shard.parents.iter().any(|parent| parent == id))
            .collect()
    }

    /// Puts a record; answers its shard and number.
    pub(crate) fn put(
        &mut self,
        partition_key: String,
        hash_key: Option<u128>,
        data_base64: String,
        now_ms: i64,
    ) -> Result<(&str, u128), Fault> {
        let hash = hash_key.unwrap_or_else(|| u128::from_be_bytes(md5(partition_key.as_bytes())));
        let mut record = Stored {
            number: 0,
            arrival_ms: now_ms,
            partition_key,
            data_base64,
        };
        if self.bytes + record.bytes() > STREAM_BYTES_MAX {
            return fault(
                "ProvisionedThroughputExceededException",
                "The local stream is full: 4 GiB",
            );
        }
        let open =
            |shard: &&mut Shard| shard.last_number.is_none() && (shard.hash_from..=shard.hash_to).contains(&hash);
        let Some(shard) = self.shards.iter_mut().find(open) else {
            return fault("InternalFailure", "No open shard has this hash key");
        };
        if self.limited && !shard.limit.take_record(record.bytes() as u64, now_ms) {
            let message = format!("Rate exceeded for shard {}", shard.id);
            return fault("ProvisionedThroughputExceededException", message);
        }
        record.number = self.next_number;
        self.next_number += 1;
        self.bytes += record.bytes();
        while shard
            .records
            .front()
            .is_some_and(|r| now_ms - r.arrival_ms > RETENTION_MS)
        {
            self.bytes -= shard.records.pop_front().map_or(0, |r| r.bytes());
        }
        let number = record.number;
        shard.records.push_back(record);
        Ok((&shard.id, number))
    }

    pub(crate) fn split(&mut self, id: &str, hash_key: u128) -> Result<(), Fault> {
        let (from, to) = self.open_range(id)?;
        if hash_key <= from || hash_key > to || self.shards.len() + 2 > SHARDS_MAX {
            return fault(
                "InvalidArgumentException",
                "NewStartingHashKey must be inside the shard's range",
            );
        }
        self.close(id);
        self.open_shard(from, hash_key - 1, vec![id.to_owned()]);
        self.open_shard(hash_key, to, vec![id.to_owned()]);
        Ok(())
    }

    pub(crate) fn merge(&mut self, id: &str, adjacent: &str) -> Result<(), Fault> {
        let (a, b) = (self.open_range(id)?, self.open_range(adjacent)?);
        let touch = a.1.checked_add(1) == Some(b.0) || b.1.checked_add(1) == Some(a.0);
        if !touch || self.shards.len() + 1 > SHARDS_MAX {
            return fault("InvalidArgumentException", "The shards' ranges do not touch");
        }
        self.close(id);
        self.close(adjacent);
        self.open_shard(a.0.min(b.0), a.1.max(b.1), vec![id.to_owned(), adjacent.to_owned()]);
        Ok(())
    }

    fn open_range(&self, id: &str) -> Result<(u128, u128), Fault> {
        let shard = self.shard(id)?;
        if shard.last_number.is_some() {
            return fault("InvalidArgumentException", format!("Shard {id} is closed"));
        }
        Ok((shard.hash_from, shard.hash_to))
    }

    fn close(&mut self, id: &str) {
        let number = self.take_number();
        if let Some(shard) = self.shards.iter_mut().find(|shard| shard.id == id) {
            shard.last_number = Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_shards() -> Streams {
        let mut streams = Streams::default();
        streams.create("s", 2).unwrap();
        for index in 0..100 {
            streams
                .stream_mut("s")
                .unwrap()
                .put(format!("k{index}"), None, "eA==".to_owned(), 1_000 + index)
                .unwrap();
        }
        streams
    }

    fn keys(page: &Page<'_>) -> Vec<String> {
        page.records.iter().map(|r| r.partition_key.clone()).collect()
    }

    fn all(streams: &Streams, shard: &str) -> Vec<String> {
        let at = streams.iterator("s", shard, Start::Oldest, 2_000).unwrap();
        keys(&streams.read(&at, PAGE_RECORDS_MAX, 2_000).unwrap())
    }

    #[test]
    fn a_key_goes_to_the_shard_that_its_md5_falls_in() {
        let streams = two_shards();
        let (first, second) = (
            all(&streams, "shardId-000000000000"),
            all(&streams, "shardId-000000000001"),
        );
        assert_eq!(first.len() + second.len(), 100);
        assert!(
            first.iter().all(|key| md5(key.as_bytes())[0] < 0x80),
            "the lower half of the hash keys"
        );
        assert!(second.iter().all(|key| md5(key.as_bytes())[0] >= 0x80));
    }

    #[test]
    fn each_kind_of_iterator_starts_where_it_says() {
        let streams = two_shards();
        let shard = "shardId-000000000000";
        let at = streams.iterator("s", shard, Start::Oldest, 0).unwrap();
        let page = streams.read(&at, 3, 0).unwrap();
        let (second, third) = (page.records[1].number, page.records[2].number);
        let first_key = |start| {
            let at = streams.iterator("s", shard, start, 0).unwrap();
            streams.read(&at, 1, 0).unwrap().records.first().map(|r| r.number)
        };
        assert_eq!(first_key(Start::At(second)), Some(second));
        assert_eq!(first_key(Start::After(second)), Some(third));
        assert_eq!(first_key(Start::Time(page.records[2].arrival_ms)), Some(third));
        assert_eq!(first_key(Start::Latest), None);
        assert_eq!(page.next.unwrap().number, third + 1);
    }

    #[test]
    fn an_iterator_dies_after_five_minutes_and_at_a_closed_shards_end() {
        let mut streams = two_shards();
        let shard = "shardId-000000000000";
        let at = streams.iterator("s", shard, Start::Oldest, 0).unwrap();
        assert!(streams.read(&at, 1, ITERATOR_LIFE_MS).is_ok());
        assert_eq!(
            streams.read(&at, 1, ITERATOR_LIFE_MS + 1).unwrap_err().code,
            "ExpiredIteratorException"
        );
        let before = all(&streams, shard);
        streams.stream_mut("s").unwrap().split(shard, 1 << 100).unwrap();
        assert_eq!(all(&streams, shard), before, "a split keeps the parent's records");
        assert!(streams.read(&at, 1, 0).unwrap().next.is_some(), "not at its end yet");
        let page = streams.read(&at, 1_000, 0).unwrap();
        assert!(page.next.is_none());
        assert_eq!(page.children.len(), 2);
    }

    #[test]
    fn after_a_split_or_a_merge_the_children_take_the_records() {
        let mut streams = two_shards();
        let stream = streams.stream_mut("s").unwrap();
        stream.split("shardId-000000000000", 1 << 100).unwrap();
        assert_eq!(
            stream
                .put("x".to_owned(), Some((1 << 100) - 1), String::new(), 0)
                .unwrap()
                .0,
            "shardId-000000000002"
        );
        assert_eq!(
            stream.put("x".to_owned(), Some(1 << 100), String::new(), 0).unwrap().0,
            "shardId-000000000003"
        );
        assert!(stream.split("shardId-000000000000", 1).is_err(), "a closed shard");
        assert!(
            stream.merge("shardId-000000000001", "shardId-000000000002").is_err(),
            "ranges do not touch"
        );
        stream.merge("shardId-000000000001", "shardId-000000000003").unwrap();
        let (id, number) = stream.put("x".to_owned(), Some(u128::MAX), String::new(), 0).unwrap();
        assert_eq!(id, "shardId-000000000004");
        assert!(
            number > stream.shards[1].last_number.unwrap(),
            "a child's numbers are above its parents'"
        );
        assert_eq!(
            stream.shards[4].parents,
            ["shardId-000000000001", "shardId-000000000003"]
        );
    }

    #[test]
    fn sequence_numbers_have_56_digits_and_sort_as_text() {
        assert_eq!(number_text(7).len(), 56);
        assert!(number_text(10) > number_text(9));
        assert_eq!(number_from(&number_text(12)), Some(12));
        assert_eq!(number_from("12"), None);
    }

    #[test]
    fn records_past_retention_go_and_a_page_has_at_most_10_mb() {
        let mut streams = Streams::default();
        streams.create("s", 1).unwrap();
        let stream = streams.stream_mut("s").unwrap();
        for _ in 0..12 {
            stream.put("k".to_owned(), None, "A".repeat(1_400_000), 0).unwrap();
        }
        let at = streams.iterator("s", "shardId-000000000000", Start::Oldest, 0).unwrap();
        assert_eq!(streams.read(&at, 100, 0).unwrap().records.len(), 9);
        let stream = streams.stream_mut("s").unwrap();
        stream
            .put("new".to_owned(), None, String::new(), RETENTION_MS + 1)
            .unwrap();
        assert_eq!(all(&streams, "shardId-000000000000"), ["new"]);
        assert_eq!(streams.by_name["s"].bytes, 3);
    }
}
