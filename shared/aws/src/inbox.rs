//! [`Inbox`] on an SQS queue, for the redrive.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder as Overrides;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName,
};
use aws_smithy_types::timeout::TimeoutConfig;
use tidemark_engine::port::PortError;
use tidemark_redrive::port::{Inbox, Received};

use crate::chunk::{chunks, merge};
use crate::error::classify;
use crate::limits::{
    ATTEMPT_TIMEOUT_MS, RECEIVE_MESSAGES_MAX, RECEIVE_WAIT_S_MAX, SEND_MESSAGES_MAX, VISIBILITY_S_MAX,
};

/// Codes by which SQS says that a receipt is no longer good: the message is deleted, or was received again.
const STALE_RECEIPT_CODES: [&str; 2] = ["ReceiptHandleIsInvalid", "InvalidParameterValue"];

/// A queue whose messages are worked on.
#[derive(Clone, Debug)]
pub struct SqsInbox {
    client: Client,
    queue_url: String,
}

impl SqsInbox {
    /// The queue at `queue_url`.
    #[must_use]
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
        }
    }

    /// One DeleteMessageBatch; the positions (within `receipts`) that are still there.
    async fn delete_batch(&self, receipts: &[String]) -> Result<Vec<usize>, PortError> {
        let mut call = self.client.delete_message_batch().queue_url(&self.queue_url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(receipt)
                .build();
            call = call.entries(entry.map_err(|_| unbuilt("DeleteMessageBatch"))?);
        }
        let answer = call
            .send()
            .await
            .map_err(|error| classify("DeleteMessageBatch", &error))?;
        Ok(answer
            .failed()
            .iter()
            .filter(|failed| !STALE_RECEIPT_CODES.contains(&failed.code()))
            .filter_map(|failed| failed.id().parse().ok())
            .collect())
    }

    /// One ChangeMessageVisibilityBatch. What it refuses is visible already, or somebody else's.
    async fn release_batch(&self, receipts: &[String]) -> Result<(), PortError> {
        let mut call = self.client.change_message_visibility_batch().queue_url(&self.queue_url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(receipt)
                .visibility_timeout(0)
                .build();
            call = call.entries(entry.map_err(|_| unbuilt("ChangeMessageVisibilityBatch"))?);
        }
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ChangeMessageVisibilityBatch", &error))
    }
}

impl Inbox for SqsInbox {
    async fn receive(&self, messages_max: usize, wait_s: u32, hidden_s: u32) -> Result<Vec<Received>, PortError> {
        let wait_s = wait_s.min(RECEIVE_WAIT_S_MAX);
        let count = messages_max.clamp(1, RECEIVE_MESSAGES_MAX);
        let call = self.client.receive_message().queue_url(&self.queue_url);
        let call = call
            .max_number_of_messages(i32::try_from(count).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait_s).unwrap_or(0))
            .visibility_timeout(i32::try_from(hidden_s.min(VISIBILITY_S_MAX)).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .customize()
            .config_override(Overrides::new().timeout_config(receive_timeout(wait_s)));
        let answer = call.send().await.map_err(|error| classify("ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(received).collect())
    }

    async fn delete(&self, receipts: &[String]) -> Result<Vec<usize>, PortError> {
        let mut answers = Vec::new();
        for range in chunks(receipts, SEND_MESSAGES_MAX, usize::MAX, |_| 0) {
            let answer = self.delete_batch(&receipts[range.clone()]).await;
            let failed = answer.is_err();
            let asked = range.end;
            answers.push((range, answer));
            if failed {
                // What was deleted before stays deleted; the rest was not asked for.
                let mut left = merge(answers)?;
                left.extend(asked..receipts.len());
                return Ok(left);
            }
        }
        merge(answers)
    }

    async fn release(&self, receipts: &[String]) -> Result<(), PortError> {
        for receipts in receipts.chunks(SEND_MESSAGES_MAX) {
            self.release_batch(receipts).await?;
        }
        Ok(())
    }

    async fn send(&self, body: &str) -> Result<(), PortError> {
        let call = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| classify("SendMessage", &error))
    }
}

fn unbuilt(operation: &str) -> PortError {
    PortError::Permanent(format!("{operation}: the request could not be built"))
}

/// The time of a call, and the time that the queue may wait for a message.
fn receive_timeout(wait_s: u32) -> TimeoutConfig {
    let timeout = Duration::from_millis(ATTEMPT_TIMEOUT_MS) + Duration::from_secs(u64::from(wait_s));
    TimeoutConfig::builder()
        .read_timeout(timeout)
        .operation_attempt_timeout(timeout)
        .operation_timeout(timeout)
        .build()
}

fn received(message: Message) -> Received {
    let sent = message
        .attributes
        .and_then(|mut attributes| attributes.remove(&MessageSystemAttributeName::SentTimestamp));
    Received {
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        sent_ms: sent.and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}
