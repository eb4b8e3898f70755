//! Reading the bucket of dead letters and leaving everything in it. Their payloads are not kept.

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tidemark_aws::admin::{Admin, AdminError, QueueMessage, S3Bucket};
use tidemark_redrive::port::{LetterBucket as _, ObjectInfo};

use super::queue::QueueContent;

/// Objects that are read: each is got, for its name does not say which records it has.
pub const OBJECTS_MAX: usize = 10_000;
/// Objects that are got together.
const GETS_IN_FLIGHT_MAX: usize = 8;

/// All letters of a deployment's bucket, without their payloads, as a queue would have them; none where there is no bucket.
///
/// # Errors
/// When the bucket can't be read.
pub async fn read(admin: &Admin, prefix: &str) -> Result<QueueContent, AdminError> {
    let bucket = admin.letter_bucket(prefix).await?;
    let (objects, more) = list(&bucket).await?;
    let got = stream::iter(objects)
        .map(|object| get(&bucket, object))
        .buffer_unordered(GETS_IN_FLIGHT_MAX);
    let got: Vec<_> = got.collect().await;
    let mut content = QueueContent {
        more,
        ..QueueContent::default()
    };
    for message in got {
        content.messages.extend(message?);
    }
    content
        .messages
        .sort_by(|a, b| (a.sent_ms, &a.id).cmp(&(b.sent_ms, &b.id)));
    Ok(content)
}

/// The names of the objects, and whether there are more.
async fn list(bucket: &S3Bucket) -> Result<(Vec<ObjectInfo>, bool), AdminError> {
    let mut objects: Vec<ObjectInfo> = Vec::new();
    while objects.len() < OBJECTS_MAX {
        let after = objects.last().map(|object| object.key.as_str());
        let Some(page) = bucket.letters(after).await? else {
            return Ok((objects, false));
        };
        let is_last = !page.more || page.objects.is_empty();
        objects.extend(page.objects);
        if is_last {
            return Ok((objects, false));
        }
    }
    Ok((objects, true))
}

/// An object as a message; `None`: a redrive has deleted it meanwhile.
async fn get(bucket: &S3Bucket, object: ObjectInfo) -> Result<Option<QueueMessage>, AdminError> {
    let bytes = bucket.get(&object.key).await?;
    Ok(bytes.map(|bytes| QueueMessage {
        id: object.key,
        receipt: String::new(),
        body: without_payload(&bytes),
        receive_count: 0,
        sent_ms: object.written_ms,
    }))
}

/// What a message of the queue would say; nothing where it is no letter.
fn without_payload(bytes: &[u8]) -> String {
    let mut letter: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if let Some(members) = letter.as_object_mut() {
        members.remove("payload");
        return letter.to_string();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_left_where_it_is() {
        assert_eq!(
            without_payload(b"{\"version\":\"1.0\",\"payload\":\"4111\"}"),
            "{\"version\":\"1.0\"}"
        );
        assert_eq!(without_payload(b"4111"), "");
    }
}
