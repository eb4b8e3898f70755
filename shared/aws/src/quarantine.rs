//! [`Quarantine`] on an SQS queue.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::{StreamExt, stream};
use tidemark_engine::port::{PortError, Quarantine, QuarantineMessage};

use crate::chunk::{chunks, merge};
use crate::error::classify;
use crate::limits;

/// The quarantine queue.
#[derive(Clone, Debug)]
pub struct SqsQuarantine {
    client: Client,
    queue_url: String,
}

impl SqsQuarantine {
    /// A quarantine in the queue at `queue_url`.
    #[must_use]
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
        }
    }

    /// One SendMessageBatch; the positions (within `bodies`) that SQS did not take.
    async fn send(&self, bodies: &[String]) -> Result<Vec<usize>, PortError> {
        let mut request = self.client.send_message_batch().queue_url(&self.queue_url);
        for (at, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(body)
                .build();
            request = request.entries(
                entry.map_err(|_| PortError::Permanent("SendMessageBatch: a message without a body".to_owned()))?,
            );
        }
        let answer = request
            .send()
            .await
            .map_err(|error| classify("SendMessageBatch", &error))?;
        let taken: Vec<usize> = answer
            .successful()
            .iter()
            .filter_map(|entry| entry.id().parse().ok())
            .collect();
        Ok((0..bodies.len()).filter(|at| !taken.contains(at)).collect())
    }
}

impl Quarantine for SqsQuarantine {
    async fn put(&self, messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        let bodies = messages.iter().map(body).collect::<Result<Vec<_>, _>>()?;
        let ranges = chunks(&bodies, limits::SEND_MESSAGES_MAX, limits::SEND_BYTES_MAX, String::len);
        let calls = ranges
            .iter()
            .map(|range| async { (range.clone(), self.send(&bodies[range.clone()]).await) });
        let answers: Vec<_> = stream::iter(calls.collect::<Vec<_>>())
            .buffered(limits::SENDS_IN_FLIGHT_MAX)
            .collect()
            .await;
        merge(answers)
    }
}

/// The message as JSON, in the characters that SQS takes: it refuses U+FFFE and U+FFFF, which JSON can spell in ASCII.
fn body(message: &QuarantineMessage) -> Result<String, PortError> {
    let json = serde_json::to_string(message)
        .map_err(|_| PortError::Permanent("SendMessageBatch: a message that is not JSON".to_owned()))?;
    if json.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Ok(json.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff"));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemark_domain::refusal::RefusalCode;

    #[test]
    fn characters_that_sqs_refuses_are_spelt_in_ascii() {
        let message = QuarantineMessage {
            schema: "quarantine".to_owned(),
            version: 1,
            code: RefusalCode::NotJson,
            detail: "d".to_owned(),
            stream: "s".to_owned(),
            shard_id: "shardId-000000000000".to_owned(),
            sequence_number: "1".to_owned(),
            sub_sequence_number: Some(3),
            partition_key: "k\u{FFFF}\u{FFFE}\u{1}".to_owned(),
            record_partition_key: None,
            arrival_ms: 0,
            payload_bytes: 0,
            masked: false,
            part: 1,
            parts: 1,
            payload_base64: String::new(),
        };
        let body = body(&message).unwrap();
        assert!(!body.contains(['\u{FFFE}', '\u{FFFF}', '\u{1}']));
        assert_eq!(serde_json::from_str::<QuarantineMessage>(&body).unwrap(), message);
    }
}
