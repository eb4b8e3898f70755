//! Reads of a shard: paced, repeated after throttles, and put into the words of a walk.

use tidemark_engine::port::Clock;
use tidemark_engine::retry::ends_ms;

use super::one_call::Call;
use super::redrive::Redrive;
use crate::api::Stopped;
use crate::port::{Inbox, Page, Processor, ReadError, ReadFrom, ShardReader};
use crate::walk::PageEnd;

/// What came of a wanted read.
#[derive(Debug)]
pub(super) enum Came {
    /// An iterator.
    Placed(String),
    /// The place is not one of the shard.
    Refused,
    /// The iterator has expired.
    Expired,
    /// A page.
    Page(Page),
    /// There is no such shard any more.
    NoShard,
    /// The call has stopped.
    Stopped,
}

impl Page {
    /// Where it ended.
    pub(super) fn end(&self) -> PageEnd {
        if self.next.is_none() {
            PageEnd::Closed
        } else if self.behind_ms <= 0 {
            PageEnd::Tip
        } else {
            PageEnd::More
        }
    }
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// A new iterator.
    pub(super) async fn place(&self, call: &mut Call<'_>, shard_id: &str, from: &ReadFrom) -> Came {
        if !call.may_go_on(self.clock.now_ms()) {
            return Came::Stopped;
        }
        let until_ms = call.stop_at_ms;
        let answer = self
            .repeat(call, until_ms, || self.reader.iterator(shard_id, from))
            .await;
        match answer {
            Ok(iterator) => Came::Placed(iterator),
            Err(error) => Self::came(call, &error),
        }
    }

    /// The next page, when the shard's pace allows.
    pub(super) async fn read(&self, call: &mut Call<'_>, shard_id: &str, iterator: &str) -> Came {
        let now_ms = self.clock.now_ms();
        let wait_ms = call.read_pace.take(shard_id, now_ms);
        if ends_ms(now_ms, wait_ms) >= call.stop_at_ms {
            call.stop(Stopped::Deadline);
        }
        if !call.may_go_on(now_ms) {
            return Came::Stopped;
        }
        if wait_ms > 0 {
            self.clock.sleep_ms(wait_ms).await;
        }
        call.stats.reads += 1;
        let until_ms = call.stop_at_ms;
        let records_max = self.config.page_records_max;
        let answer = self
            .repeat(call, until_ms, || self.reader.records(iterator, records_max))
            .await;
        match answer {
            Ok(page) => Came::Page(page),
            Err(error) => Self::came(call, &error),
        }
    }

    fn came(call: &mut Call<'_>, error: &ReadError) -> Came {
        match error {
            ReadError::Expired => Came::Expired,
            ReadError::Position => Came::Refused,
            ReadError::NoShard => Came::NoShard,
            ReadError::Call(error) => {
                Self::interrupt(call, error);
                Came::Stopped
            }
        }
    }
}
