//! The letter of a batch that is given up: a message of a queue, or an object of a bucket that has the payload, too.

use serde_json::Value;
use tidemark_aws::admin::Admin;

use crate::account::ACCOUNT;
use crate::clock::{iso, sleep_ms};

/// Wait after a failed send, in milliseconds.
const FAILURE_WAIT_MS: u64 = 200;

/// A letter on its way.
pub(super) enum Letter {
    /// To a queue.
    Message { queue_url: String, message: String },
    /// To a bucket.
    Object { bucket: String, key: String, text: String },
}

impl Letter {
    /// The checkpoint waits for this, so that no batch is given up without a trace; it ends with the mapping.
    pub(super) async fn send_until_taken(&self, admin: &Admin) {
        loop {
            let sent = match self {
                Self::Message { queue_url, message } => admin.send(queue_url, message).await.map(drop),
                Self::Object { bucket, key, text } => admin.put_object(bucket, key, ACCOUNT, text.as_bytes()).await,
            };
            let Err(error) = sent else { return };
            tracing::warn!(%error, "the on-failure message was not taken; it is sent again");
            sleep_ms(FAILURE_WAIT_MS).await;
        }
    }
}

/// An object's name, as Lambda gives it. Where AWS has a random UUID, this has a number.
pub(super) fn letter_key(mapping_id: &str, shard: &str, now_ms: i64, letter: u64) -> String {
    let time = iso(now_ms);
    let (date, clock) = (&time[..10], time[11..19].replace(':', "."));
    let day = date.replace('-', "/");
    format!("aws/lambda/{mapping_id}/{shard}/{day}/{date}T{clock}-00000000-0000-4000-8000-{letter:012x}")
}

/// The message as an object of a bucket: with one member more, a text that holds the event as the function got it.
pub(super) fn with_payload(message: &str, payload: &[u8]) -> String {
    let payload = Value::from(String::from_utf8_lossy(payload));
    let inner = message.trim_end().strip_suffix('}').unwrap_or(message);
    format!("{inner},\"payload\":{payload}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_and_made_as_lambda_does() {
        let key = letter_key(
            "0a1b2c3d-0000-4000-8000-000000000000",
            "shardId-000000000000",
            1_795_399_200_250,
            17,
        );
        assert_eq!(
            key,
            "aws/lambda/0a1b2c3d-0000-4000-8000-000000000000/shardId-000000000000/2026/11/23/2026-11-23T02.00.00-00000000-0000-4000-8000-000000000011"
        );
        let text = with_payload("{\"version\":\"1.0\"}", b"{\"Records\":[]}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({ "version": "1.0", "payload": "{\"Records\":[]}" })
        );
    }
}
