//! A stream that somebody else made, through the whole pipeline: what it is measured by, for benchmarks that bring their own.

use std::collections::HashMap;

use operate::account::evidence::each_item;
use serde::Serialize;
use terminal::error::CliError;
use tidemark_aws::admin::{Item, ItemValue, PutRecord, item_bytes};
use tidemark_aws::item;
use tidemark_domain::id::EventKey;

use crate::demo::{self, Pace, signals::Signals, usage};
use crate::stack::{Stack, StackOptions};

/// Records that wait at most while more are sent.
const BACKLOG_RECORDS_MAX: u64 = 4_000;

/// A pipeline that is played to.
#[derive(Debug)]
pub struct Player {
    stack: Stack,
    log_from_bytes: u64,
    sent: u64,
}

/// Items of one kind. Field names are stable: scripts read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Items {
    /// How many there are.
    pub items: u64,
    /// Their bytes as DynamoDB counts them, attributes' names included.
    pub bytes: u64,
    /// Bytes of the largest.
    pub bytes_most: u64,
}

impl Items {
    fn add(&mut self, item: &Item) {
        let bytes = item_bytes(item) as u64;
        self.items += 1;
        self.bytes += bytes;
        self.bytes_most = self.bytes_most.max(bytes);
    }
}

/// What came of everything that was played.
#[derive(Debug)]
pub struct Played {
    /// The outcome of each event, as it was sent.
    pub outcomes: HashMap<EventKey, Vec<u8>>,
    /// Events whose outcomes were not the same bytes each time.
    pub conflicting: u64,
    /// Messages that wait in the queues: what was refused or given up.
    pub waiting: u64,
    /// The function's metrics.
    pub signals: Signals,
    /// The states of cards.
    pub states: Items,
    /// The labelled histories of keys.
    pub keys: Items,
}

impl Player {
    /// Starts a pipeline.
    ///
    /// # Errors
    /// When the function can't be built, or something does not start.
    pub async fn start(options: StackOptions<'_>) -> Result<Self, CliError> {
        let stack = Stack::start_with(options).await?;
        let log_from_bytes = usage::log_bytes(stack.function.log_path());
        Ok(Self {
            stack,
            log_from_bytes,
            sent: 0,
        })
    }

    /// Sends records, as fast as they are scored.
    ///
    /// # Errors
    /// When the local AWS does not take them.
    pub async fn play(&mut self, records: impl Iterator<Item = PutRecord> + Send) -> Result<(), CliError> {
        let (mut records, pace) = (records, Pace::Backlog(BACKLOG_RECORDS_MAX));
        self.sent += demo::send_records(&self.stack, &mut records, (self.sent, u64::MAX), pace, &|_| {}).await?;
        Ok(())
    }

    /// Waits until everything that was sent is through.
    ///
    /// # Errors
    /// When nothing moves any more.
    pub async fn rest(&self) -> Result<(), CliError> {
        demo::drain(&self.stack, &|_| {}).await
    }

    /// Reads everything back.
    ///
    /// # Errors
    /// When something can't be read.
    pub async fn played(&self) -> Result<Played, CliError> {
        let found = demo::read_evidence(&self.stack).await?;
        let usage = usage::read(self.stack.function.log_path(), self.log_from_bytes)?;
        let (states, keys) = self.items().await?;
        let outcomes = &found.evidence.outcomes;
        Ok(Played {
            conflicting: outcomes.values().filter(|copies| !copies.identical).count() as u64,
            waiting: found.queues.values().map(|queue| queue.messages).sum(),
            signals: usage.signals,
            states,
            keys,
            outcomes: found
                .evidence
                .outcomes
                .into_iter()
                .map(|(key, copies)| (key, copies.bytes))
                .collect(),
        })
    }

    /// The states of cards, and the labelled histories of keys.
    async fn items(&self) -> Result<(Items, Items), CliError> {
        let (mut states, mut keys) = (Items::default(), Items::default());
        let admin = self.stack.cloud.admin();
        each_item(admin, &self.stack.names.table, |found| {
            match found.get(item::SORT_KEY) {
                Some(ItemValue::Text(sort)) if sort == item::STATE => states.add(found),
                Some(ItemValue::Text(sort)) if sort == item::LABELLED => keys.add(found),
                _ => {}
            }
            Ok(())
        })
        .await?;
        Ok((states, keys))
    }

    /// Stops the pipeline.
    pub async fn stop(self) {
        self.stack.stop().await;
    }
}
