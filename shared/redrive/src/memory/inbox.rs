//! A queue in memory with SQS's visibility: a received message is hidden until it is deleted, released, or its time is over.

use std::sync::{Arc, Mutex};

use tidemark_engine::lock::lock;
use tidemark_engine::memory::ManualClock;
use tidemark_engine::port::{Clock, PortError};

use super::script::{Op, Script};
use crate::port::{Inbox, Received};

/// A queue. Clones share its messages.
#[derive(Clone, Debug)]
pub struct MemoryInbox {
    inner: Arc<Mutex<Inner>>,
    clock: ManualClock,
    script: Script,
}

#[derive(Debug, Default)]
struct Inner {
    messages: Vec<Message>,
    sent: u64,
    receives: u64,
    hidden_most: usize,
    /// Deletions that are still to leave their first message where it is.
    deletions_partial: u32,
    /// How long a call of at most ten messages takes, milliseconds.
    takes_ms: i64,
}

#[derive(Debug)]
struct Message {
    id: String,
    receipt: String,
    body: String,
    sent_ms: i64,
    visible_ms: i64,
    receives: u32,
}

impl MemoryInbox {
    /// An empty queue.
    #[must_use]
    pub fn new(clock: ManualClock, script: Script) -> Self {
        Self {
            inner: Arc::default(),
            clock,
            script,
        }
    }

    /// Puts a message there, as another sender would; its id.
    pub fn push(&self, body: impl Into<String>) -> String {
        let mut inner = lock(&self.inner);
        inner.sent += 1;
        let id = format!("message-{}", inner.sent);
        let now_ms = self.clock.now_ms();
        inner.messages.push(Message {
            id: id.clone(),
            receipt: String::new(),
            body: body.into(),
            sent_ms: now_ms,
            visible_ms: now_ms,
            receives: 0,
        });
        id
    }

    /// The texts of all messages that are there, hidden or not, in the order they were sent.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        lock(&self.inner)
            .messages
            .iter()
            .map(|message| message.body.clone())
            .collect()
    }

    /// How many messages can be received now.
    #[must_use]
    pub fn visible(&self) -> usize {
        let now_ms = self.clock.now_ms();
        lock(&self.inner)
            .messages
            .iter()
            .filter(|message| message.visible_ms <= now_ms)
            .count()
    }

    /// The most messages that were hidden at one time.
    #[must_use]
    pub fn hidden_most(&self) -> usize {
        lock(&self.inner).hidden_most
    }

    /// Lets so many deletions leave the first message that they name where it is, and say so.
    pub fn leave_first(&self, deletions: u32) {
        lock(&self.inner).deletions_partial = deletions;
    }

    /// Lets every call of the queue take so long, milliseconds; it has ten messages at most.
    pub fn take_ms(&self, takes_ms: i64) {
        lock(&self.inner).takes_ms = takes_ms;
    }

    /// Lets the time of a call pass.
    fn pass(&self, messages: usize) {
        let calls = i64::try_from(messages.div_ceil(10)).unwrap_or(i64::MAX);
        self.clock.advance(lock(&self.inner).takes_ms.saturating_mul(calls));
    }

    /// How often the messages that are there were received, in the order they were sent.
    #[must_use]
    pub fn receives(&self) -> Vec<u32> {
        lock(&self.inner)
            .messages
            .iter()
            .map(|message| message.receives)
            .collect()
    }
}

impl Inbox for MemoryInbox {
    async fn receive(&self, messages_max: usize, _wait_s: u32, hidden_s: u32) -> Result<Vec<Received>, PortError> {
        self.pass(1);
        let fault = self.script.begin(Op::Receive).await?;
        let received = {
            let now_ms = self.clock.now_ms();
            let inner = &mut *lock(&self.inner);
            let mut received = Vec::new();
            let visible = inner.messages.iter_mut().filter(|message| message.visible_ms <= now_ms);
            for message in visible.take(messages_max.min(10)) {
                inner.receives += 1;
                message.receives += 1;
                message.receipt = format!("receipt-{}", inner.receives);
                message.visible_ms = now_ms + i64::from(hidden_s) * 1_000;
                received.push(Received {
                    id: message.id.clone(),
                    receipt: message.receipt.clone(),
                    body: message.body.clone(),
                    sent_ms: message.sent_ms,
                });
            }
            let hidden = inner
                .messages
                .iter()
                .filter(|message| message.visible_ms > now_ms)
                .count();
            inner.hidden_most = inner.hidden_most.max(hidden);
            received
        };
        self.script.finish(fault).await?;
        Ok(received)
    }

    async fn delete(&self, receipts: &[String]) -> Result<Vec<usize>, PortError> {
        self.pass(receipts.len());
        let fault = self.script.begin(Op::Delete).await?;
        let not_deleted = {
            let inner = &mut *lock(&self.inner);
            let left = usize::from(inner.deletions_partial > 0);
            inner.deletions_partial = inner.deletions_partial.saturating_sub(1);
            let deleted = receipts.get(left..).unwrap_or_default();
            inner
                .messages
                .retain(|message| message.receives == 0 || !deleted.contains(&message.receipt));
            (0..left.min(receipts.len())).collect()
        };
        self.script.finish(fault).await?;
        Ok(not_deleted)
    }

    async fn release(&self, receipts: &[String]) -> Result<(), PortError> {
        self.pass(receipts.len());
        let fault = self.script.begin(Op::Release).await?;
        let now_ms = self.clock.now_ms();
        for message in &mut lock(&self.inner).messages {
            if message.receives > 0 && receipts.contains(&message.receipt) {
                message.visible_ms = now_ms;
            }
        }
        self.script.finish(fault).await
    }

    async fn send(&self, body: &str) -> Result<(), PortError> {
        self.pass(1);
        let fault = self.script.begin(Op::Send).await?;
        self.push(body);
        self.script.finish(fault).await
    }
}
