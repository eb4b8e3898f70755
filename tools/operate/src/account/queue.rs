//! Reading a queue through and leaving everything in it.
//!
//! SQS has no look without receiving. So a queue is read by long polls, which ask every server, until what was received and the
//! queue's own numbers agree; what could not be seen is counted and said, never taken for nothing.

use std::collections::HashSet;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidemark_aws::admin::{Admin, AdminError, QueueDepth, QueueMessage};

/// Messages in one receive, and in one release.
const MESSAGES: usize = 10;
/// Receives, and releases, that are under way together.
const CALLS_IN_FLIGHT_MAX: usize = 8;
/// How long a receive waits for a first message, in seconds: from one on it asks every server of the queue.
const LONG_POLL_S: u32 = 1;
/// While a queue is read, a message stays hidden so long, in seconds. Afterwards it is made visible at once; should the command
/// die meanwhile, the message comes back by itself.
pub const HIDDEN_S: u32 = 120;
/// Long polls without a new message, while the queue's numbers say that there is more, after which the rest is given up as unseen.
const NOTHING_NEW_MAX: u32 = 10;
/// Messages of one queue that are read. SQS lets 120,000 be in flight.
pub const MESSAGES_MAX: usize = 100_000;
/// Bytes of one queue's bodies that are kept at once.
pub const BODIES_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What a queue holds.
#[derive(Clone, Debug, Default)]
pub struct QueueContent {
    /// Its messages, each once, the oldest first.
    pub messages: Vec<QueueMessage>,
    /// Messages that somebody else had received when the reading began and had not given back at its end: they can't be seen.
    pub hidden: u64,
    /// Further messages that the queue counts and that did not come. The count is approximate, its being above 0 is a reason not to
    /// trust what was seen to be all.
    pub unseen: u64,
    /// Whether there are more than [`MESSAGES_MAX`], or than [`BODIES_BYTES_MAX`] hold.
    pub more: bool,
}

impl QueueContent {
    /// Whether there may be messages that nobody else holds and that were not seen.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.more || self.unseen > 0
    }
}

/// All messages of a queue. They stay in it and are visible again afterwards; only their receive count has grown.
///
/// # Errors
/// When the queue can't be read.
pub async fn read(admin: &Admin, url: &str) -> Result<QueueContent, AdminError> {
    let mut content = QueueContent::default();
    let mut receipts = Vec::new();
    let mut bytes = 0;
    let seen = receive_all(admin, url, &mut receipts, |message| {
        bytes += message.body.len();
        content.messages.push(message);
        bytes < BODIES_BYTES_MAX
    });
    let seen = seen.await;
    // Also after a failure: what was received must not stay hidden.
    let released = release(admin, url, &receipts).await;
    let seen = seen?;
    released?;
    content.messages.sort_by_key(|message| message.sent_ms);
    Ok(QueueContent {
        hidden: seen.hidden,
        unseen: seen.unseen,
        more: seen.more,
        ..content
    })
}

/// Makes received messages visible again.
///
/// # Errors
/// When the queue does not answer: they come back by themselves after [`HIDDEN_S`].
pub async fn release(admin: &Admin, url: &str, receipts: &[String]) -> Result<(), AdminError> {
    stream::iter(receipts.chunks(MESSAGES))
        .map(|chunk| admin.release(url, chunk))
        .buffer_unordered(CALLS_IN_FLIGHT_MAX)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

/// What of a queue could not be seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unseen {
    /// As in [`QueueContent`].
    pub hidden: u64,
    /// As in [`QueueContent`].
    pub unseen: u64,
    /// As in [`QueueContent`].
    pub more: bool,
}

/// Receives every message of a queue and hands each to `take` once, until that says that it has enough. Every receipt goes into
/// `receipts`, also when it fails: they are for the caller to release, or to delete.
///
/// # Errors
/// When the queue can't be read.
pub async fn receive_all(
    admin: &Admin,
    url: &str,
    receipts: &mut Vec<String>,
    mut take: impl FnMut(QueueMessage) -> bool,
) -> Result<Unseen, AdminError> {
    let before = admin.queue_depth(url).await?;
    let mut ids = HashSet::new();
    let mut nothing_new = 0;
    let mut expected = total(before);
    // Each turn brings a new message or counts against the limit of turns that don't, so this ends.
    loop {
        let missing = usize::try_from(expected)
            .unwrap_or(usize::MAX)
            .saturating_sub(ids.len());
        let calls = missing.div_ceil(MESSAGES).clamp(1, CALLS_IN_FLIGHT_MAX);
        let receives = (0..calls).map(|_| admin.receive(url, MESSAGES, LONG_POLL_S, HIDDEN_S));
        let known = ids.len();
        let mut failed = None;
        for received in join_all(receives).await {
            match received {
                Err(error) => failed = Some(error),
                Ok(messages) => {
                    for message in messages {
                        receipts.push(message.receipt.clone());
                        // In a long queue the first ones come back before the last ones are read.
                        let is_new = ids.insert(message.id.clone());
                        if is_new && (!take(message) || ids.len() >= MESSAGES_MAX) {
                            return Ok(Unseen {
                                more: true,
                                ..Unseen::default()
                            });
                        }
                    }
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if ids.len() > known {
            nothing_new = 0;
            continue;
        }
        // An empty long poll, and the queue's numbers: done when they agree.
        expected = total(admin.queue_depth(url).await?);
        let unseen = expected.saturating_sub(ids.len() as u64);
        nothing_new += 1;
        if unseen == 0 || nothing_new >= NOTHING_NEW_MAX {
            let hidden = unseen.min(before.in_flight);
            return Ok(Unseen {
                hidden,
                unseen: unseen - hidden,
                more: false,
            });
        }
    }
}

fn total(depth: QueueDepth) -> u64 {
    depth.visible + depth.in_flight + depth.delayed
}
