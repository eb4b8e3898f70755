//! Reading a queue through and leaving everything in it.

use std::collections::HashSet;

use tidemark_aws::admin::{Admin, AdminError, QueueMessage};

/// Messages in one receive.
const MESSAGES: usize = 10;
/// While a queue is read, a message stays hidden so long, in seconds. Afterwards it is made visible at once; should the command
/// die meanwhile, the message comes back by itself.
pub const HIDDEN_S: u32 = 120;
/// Receives in a row without a new message after which a queue is read through.
const NOTHING_NEW_MAX: u32 = 3;
/// Messages of one queue that are read. SQS lets 120,000 be in flight.
pub const MESSAGES_MAX: usize = 100_000;

/// What a queue holds.
#[derive(Clone, Debug, Default)]
pub struct QueueContent {
    /// Its messages, each once.
    pub messages: Vec<QueueMessage>,
    /// Messages that somebody else had received when the reading began: they can't be seen.
    pub hidden: u64,
    /// Whether there are more than [`MESSAGES_MAX`].
    pub more: bool,
}

/// All messages of a queue. They stay in it and are visible again afterwards; only their receive count has grown.
///
/// # Errors
/// When the queue can't be read.
pub async fn read(admin: &Admin, url: &str) -> Result<QueueContent, AdminError> {
    let mut content = QueueContent {
        hidden: admin.queue_depth(url).await?.in_flight,
        ..QueueContent::default()
    };
    let mut receipts = Vec::new();
    let received = receive_all(admin, url, &mut content, &mut receipts).await;
    // Also after a failure: what was received must not stay hidden.
    let released = admin.release(url, &receipts).await;
    received.and(released).map(|()| content)
}

async fn receive_all(
    admin: &Admin,
    url: &str,
    content: &mut QueueContent,
    receipts: &mut Vec<String>,
) -> Result<(), AdminError> {
    let mut ids = HashSet::new();
    let mut nothing_new = 0;
    // Each turn brings a new message or counts against the limit of turns that don't, so this ends.
    while nothing_new < NOTHING_NEW_MAX {
        if content.messages.len() >= MESSAGES_MAX {
            content.more = true;
            return Ok(());
        }
        let before = content.messages.len();
        for message in admin.receive(url, MESSAGES, 0, HIDDEN_S).await? {
            receipts.push(message.receipt.clone());
            // In a long queue the first ones come back before the last ones are read.
            if ids.insert(message.id.clone()) {
                content.messages.push(message);
            }
        }
        nothing_new = if content.messages.len() == before {
            nothing_new + 1
        } else {
            0
        };
    }
    Ok(())
}
