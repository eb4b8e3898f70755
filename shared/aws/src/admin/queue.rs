//! SQS: create, send, receive, delete, count.

use std::time::Duration;

use aws_sdk_sqs::config::Builder as Overrides;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesOutput;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use aws_smithy_types::timeout::TimeoutConfig;
use tidemark_engine::port::PortError;

use super::error::{AdminError, admin_error};
use super::{Admin, call_timeout};

/// Messages in one receive or one batched delete (SQS's limit).
pub(super) const MESSAGES_MAX: usize = 10;
/// The longest wait of a receive (SQS's limit), in seconds.
const RECEIVE_WAIT_S_MAX: u32 = 20;

/// A message that was received; it comes again when it is not deleted within its visibility timeout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// Its id.
    pub id: String,
    /// What a delete must name.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent: milliseconds since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
}

/// How many messages a queue holds; on AWS these are approximate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received and not yet deleted.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

impl Admin {
    /// Creates a queue that keeps messages for `retention_s` seconds; answers its URL. One that exists already is left as it is.
    pub async fn create_queue(&self, name: &str, retention_s: u32) -> Result<String, AdminError> {
        let call = self.clients.sqs.create_queue().queue_name(name);
        let call = call.attributes(QueueAttributeName::MessageRetentionPeriod, retention_s.to_string());
        match call.send().await.map_err(|error| admin_error("CreateQueue", &error)) {
            Ok(answer) => Ok(answer.queue_url.unwrap_or_default()),
            Err(AdminError::InUse { .. }) => self.queue_url(name).await,
            Err(error) => Err(error),
        }
    }

    /// The URL of a queue.
    pub async fn queue_url(&self, name: &str) -> Result<String, AdminError> {
        let send = || async {
            let answer = self.clients.sqs.get_queue_url().queue_name(name).send().await;
            answer.map_err(|error| admin_error("GetQueueUrl", &error))
        };
        Ok(self.patiently(send).await?.queue_url.unwrap_or_default())
    }

    /// Sends a message; answers its id.
    pub async fn send(&self, queue_url: &str, body: &str) -> Result<String, AdminError> {
        let answer = self
            .clients
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(body)
            .send()
            .await;
        Ok(answer
            .map_err(|error| admin_error("SendMessage", &error))?
            .message_id
            .unwrap_or_default())
    }

    /// Receives up to `messages_max` (at most 10) messages, waiting up to `wait_s` (at most 20) seconds for the first.
    /// They are hidden from others for `visibility_s` seconds.
    pub async fn receive(
        &self,
        queue_url: &str,
        messages_max: usize,
        wait_s: u32,
        visibility_s: u32,
    ) -> Result<Vec<QueueMessage>, AdminError> {
        let wait_s = wait_s.min(RECEIVE_WAIT_S_MAX);
        let call = self.clients.sqs.receive_message().queue_url(queue_url);
        let call = call
            .max_number_of_messages(i32::try_from(messages_max.clamp(1, MESSAGES_MAX)).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait_s).unwrap_or(0))
            .visibility_timeout(i32::try_from(visibility_s).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::All);
        // A receive whose answer was lost hides messages for a while and takes none away: it may be repeated.
        let send = || async {
            let timeouts = Overrides::new().timeout_config(receive_timeout(wait_s));
            let answer = call.clone().customize().config_override(timeouts).send().await;
            answer.map_err(|error| admin_error("ReceiveMessage", &error))
        };
        let answer = self.patiently(send).await?;
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .map(message_from)
            .collect())
    }

    /// Deletes a received message.
    pub async fn delete(&self, queue_url: &str, receipt: &str) -> Result<(), AdminError> {
        let call = self
            .clients
            .sqs
            .delete_message()
            .queue_url(queue_url)
            .receipt_handle(receipt);
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| admin_error("DeleteMessage", &error))
    }

    /// Deletes received messages, ten a call.
    pub async fn delete_all(&self, queue_url: &str, receipts: &[String]) -> Result<(), AdminError> {
        for chunk in receipts.chunks(MESSAGES_MAX) {
            let mut entries = Vec::with_capacity(chunk.len());
            for (index, receipt) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt);
                entries.push(
                    entry
                        .build()
                        .map_err(|error| PortError::Permanent(format!("DeleteMessageBatch: {error}")))?,
                );
            }
            let call = self
                .clients
                .sqs
                .delete_message_batch()
                .queue_url(queue_url)
                .set_entries(Some(entries));
            // What is deleted already is deleted once more: that may be repeated.
            self.patiently(|| async {
                let answer = call.clone().send().await;
                let answer = answer.map_err(|error| admin_error("DeleteMessageBatch", &error))?;
                match answer.failed().first() {
                    None => Ok(()),
                    Some(failed) => Err(AdminError::Partial {
                        not_taken: answer.failed().len(),
                        sent: chunk.len(),
                        cause: failed.code().to_owned(),
                    }),
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Makes received messages visible again at once, ten a call. A receipt that is no longer good is left alone: its message
    /// is visible already, or somebody else's.
    pub async fn release(&self, queue_url: &str, receipts: &[String]) -> Result<(), AdminError> {
        for chunk in receipts.chunks(MESSAGES_MAX) {
            let mut call = self.clients.sqs.change_message_visibility_batch().queue_url(queue_url);
            for (index, receipt) in chunk.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(0);
                call = call.entries(
                    entry
                        .build()
                        .map_err(|error| PortError::Permanent(format!("ChangeMessageVisibilityBatch: {error}")))?,
                );
            }
            self.patiently(|| async {
                let answer = call.clone().send().await;
                answer.map_err(|error| admin_error("ChangeMessageVisibilityBatch", &error))
            })
            .await?;
        }
        Ok(())
    }

    /// How long a queue keeps a message, in seconds.
    pub async fn queue_retention_s(&self, queue_url: &str) -> Result<u32, AdminError> {
        let name = QueueAttributeName::MessageRetentionPeriod;
        let answer = self.queue_attributes(queue_url, name.clone()).await?;
        let text = answer.attributes().and_then(|all| all.get(&name));
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// How many messages a queue holds.
    pub async fn queue_depth(&self, queue_url: &str) -> Result<QueueDepth, AdminError> {
        let answer = self.queue_attributes(queue_url, QueueAttributeName::All).await?;
        let count = |name: QueueAttributeName| {
            answer
                .attributes()
                .and_then(|all| all.get(&name))
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Ok(QueueDepth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// The ARN of a queue.
    pub async fn queue_arn(&self, queue_url: &str) -> Result<String, AdminError> {
        let name = QueueAttributeName::QueueArn;
        let answer = self.queue_attributes(queue_url, name.clone()).await?;
        let text = answer.attributes().and_then(|all| all.get(&name));
        Ok(text.cloned().unwrap_or_default())
    }

    async fn queue_attributes(
        &self,
        queue_url: &str,
        name: QueueAttributeName,
    ) -> Result<GetQueueAttributesOutput, AdminError> {
        let call = self.clients.sqs.get_queue_attributes().queue_url(queue_url);
        let call = call.attribute_names(name);
        let send = || async {
            let answer = call.clone().send().await;
            answer.map_err(|error| admin_error("GetQueueAttributes", &error))
        };
        self.patiently(send).await
    }
}

fn receive_timeout(wait_s: u32) -> TimeoutConfig {
    let wait = Duration::from_secs(u64::from(wait_s));
    let timeouts = call_timeout();
    let longer = |timeout: Option<Duration>| timeout.unwrap_or_default() + wait;
    TimeoutConfig::builder()
        .read_timeout(longer(timeouts.read_timeout()))
        .operation_attempt_timeout(longer(timeouts.operation_attempt_timeout()))
        .operation_timeout(longer(timeouts.operation_timeout()))
        .build()
}

fn message_from(message: aws_sdk_sqs::types::Message) -> QueueMessage {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name: MessageSystemAttributeName| attributes.get(&name).and_then(|text| text.parse::<i64>().ok());
    QueueMessage {
        receive_count: number(MessageSystemAttributeName::ApproximateReceiveCount)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1),
        sent_ms: number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default(),
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}
