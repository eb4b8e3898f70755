//! The redrive's ports: the stream by shard, and the queues.

use tidemark_engine::port::PortError;
use tidemark_redrive::port::{Inbox, Page, ReadError, ReadFrom, Received, ShardReader};
use tidemark_redrive::shards::ShardInfo;

use super::{Ports, left_out};
use crate::world::limits::Limit;
use crate::world::queue::Queue;
use crate::world::{Op, Stores};

impl ShardReader for Ports {
    async fn shards(&self) -> Result<Vec<ShardInfo>, PortError> {
        self.call(Op::Shards, |stores, _| {
            let info = |shard: &crate::stream::Shard| ShardInfo {
                id: shard.id.clone(),
                parents: shard.parents.clone(),
            };
            Ok(stores.stream.shards.iter().map(info).collect())
        })
        .await
    }

    async fn iterator(&self, shard_id: &str, from: &ReadFrom) -> Result<String, ReadError> {
        self.call(Op::Iterator, |stores, _| {
            stores.stream.iterator(shard_id, from, stores.now_ms)
        })
        .await
    }

    async fn records(&self, iterator: &str, records_max: u32) -> Result<Page, ReadError> {
        self.call(Op::Records, |stores, _| {
            let shard_id = iterator.split('|').next().unwrap_or_default();
            if !stores.may_read(shard_id) {
                return Err(PortError::Throttled("the shard is busy".to_owned()).into());
            }
            stores.stream.records(iterator, records_max, stores.now_ms)
        })
        .await
    }
}

impl Stores {
    /// Takes one of a shard's reads in this second; whether there was one.
    pub(crate) fn may_read(&mut self, shard_id: &str) -> bool {
        let now_ms = self.now_ms;
        let Some(capacity) = &mut self.rules.capacity else {
            return true;
        };
        let part = xxhash_rust::xxh3::xxh3_64(shard_id.as_bytes());
        let may = capacity.take(Limit::ShardReads, part, 1, now_ms);
        self.limited += u64::from(!may);
        may
    }

    fn queue(&mut self, which: Which) -> &mut Queue {
        match which {
            Which::DeadLetter => &mut self.dead_letter,
            Which::Quarantine => &mut self.quarantine,
            Which::Unrecoverable => &mut self.unrecoverable,
        }
    }
}

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Batches that were given up.
    DeadLetter,
    /// Refused payloads.
    Quarantine,
    /// What can't be redriven.
    Unrecoverable,
}

/// A queue of the world, as a process sees it.
#[derive(Clone, Debug)]
pub struct WorldQueue {
    ports: Ports,
    which: Which,
}

impl WorldQueue {
    /// A process's way to a queue.
    #[must_use]
    pub const fn new(ports: Ports, which: Which) -> Self {
        Self { ports, which }
    }
}

impl Inbox for WorldQueue {
    async fn receive(&self, messages_max: usize, wait_s: u32, hidden_s: u32) -> Result<Vec<Received>, PortError> {
        let received = self
            .ports
            .call(Op::Receive, |stores, ticket| {
                let now_ms = stores.now_ms;
                let queue = stores.queue(self.which);
                Ok(queue.receive(messages_max, wait_s, hidden_s, ticket.left_out, now_ms))
            })
            .await;
        if received.as_ref().is_ok_and(Vec::is_empty) && wait_s > 0 {
            let until_ms = self.ports.world.now_ms() + i64::from(wait_s) * 1_000;
            self.ports.world.until(until_ms).await;
        }
        received
    }

    async fn delete(&self, receipts: &[String]) -> Result<Vec<usize>, PortError> {
        self.ports
            .call(Op::Delete, |stores, ticket| {
                Ok(stores.queue(self.which).delete(receipts, left_out(ticket)))
            })
            .await
    }

    async fn release(&self, receipts: &[String]) -> Result<(), PortError> {
        self.ports
            .call(Op::Release, |stores, _| {
                let now_ms = stores.now_ms;
                stores.queue(self.which).release(receipts, now_ms);
                Ok(())
            })
            .await
    }

    async fn send(&self, body: &str) -> Result<(), PortError> {
        self.ports
            .call(Op::Move, |stores, _| {
                let now_ms = stores.now_ms;
                stores.queue(self.which).send(body.to_owned(), now_ms);
                Ok(())
            })
            .await
    }
}
