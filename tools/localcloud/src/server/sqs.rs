//! Queues in memory with SQS's protocol (JSON 1.0): visibility, receive counts, retention. Pure: the time is an argument.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::fault::{Fault, fault};
use super::md5::md5_hex;
use crate::account::ACCOUNT;

/// Bytes of one message, and of all messages of a batch together (SQS's 1 MiB).
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Messages of one receive, one batched send, one batched delete.
const BATCH_MAX: usize = 10;
/// Messages of one queue; SQS has no such limit, a process's memory has.
const QUEUE_MESSAGES_MAX: usize = 2_000_000;
/// Messages received and not yet deleted (SQS's limit for a standard queue).
const IN_FLIGHT_MAX: usize = 120_000;
/// SQS's visibility timeout unless a queue or a receive says otherwise, in seconds.
const VISIBILITY_S: i64 = 30;
/// The longest visibility timeout (SQS's twelve hours), in seconds.
const VISIBILITY_S_MAX: i64 = 43_200;
/// SQS's retention unless a queue says otherwise: four days, in seconds.
const RETENTION_S: i64 = 345_600;

#[derive(Clone, Debug)]
struct Message {
    id: String,
    body: String,
    sent_ms: i64,
    first_received_ms: Option<i64>,
    receives: u32,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    waiting: VecDeque<Message>,
    /// Received: by receipt, with the time at which it comes back.
    in_flight: BTreeMap<String, (i64, Message)>,
    visibility_s: i64,
    retention_s: i64,
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    by_name: BTreeMap<String, Queue>,
    next_id: u64,
}

/// Operations on one queue.
const OF_A_QUEUE: [&str; 13] = [
    "DeleteQueue",
    "GetQueueUrl",
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "ListQueueTags",
    "ListDeadLetterSourceQueues",
    "GetQueueAttributes",
    "PurgeQueue",
];

/// Where the queues are, for their URLs and ARNs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub endpoint: String,
    pub region: String,
}

/// Answers one call.
pub(crate) fn call(
    queues: &mut Queues,
    place: &Place,
    operation: &str,
    body: &[u8],
    now_ms: i64,
) -> Result<Value, Fault> {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return fault("InvalidParameterValue", "the request is not JSON");
    };
    if operation == "CreateQueue" {
        return queues.create(place, &request);
    }
    if operation == "ListQueues" {
        let prefix = request["QueueNamePrefix"].as_str().unwrap_or_default();
        let wanted = queues.by_name.keys().filter(|name| name.starts_with(prefix));
        return Ok(json!({ "QueueUrls": wanted.map(|name| url(place, name)).collect::<Vec<_>>() }));
    }
    if !OF_A_QUEUE.contains(&operation) {
        return fault("InvalidAction", format!("The local SQS has no {operation}"));
    }
    let name = queue_name(&request)?;
    if operation == "DeleteQueue" {
        queues.by_name.remove(&name);
        return Ok(json!({}));
    }
    let Some(queue) = queues.by_name.get_mut(&name) else {
        return fault("QueueDoesNotExist", format!("The queue {name} does not exist"));
    };
    queue.settle(now_ms);
    match operation {
        "GetQueueUrl" => Ok(json!({ "QueueUrl": url(place, &name) })),
        "SendMessage" => queue.send(&request, &mut queues.next_id, now_ms),
        "SendMessageBatch" => queue.send_batch(&request, &mut queues.next_id, now_ms),
        "ReceiveMessage" => queue.receive(&request, &mut queues.next_id, now_ms),
        "DeleteMessage" => queue.delete(&request["ReceiptHandle"]).map(|()| json!({})),
        "DeleteMessageBatch" => queue.delete_batch(&request),
        "ChangeMessageVisibility" => queue.change_visibility(&request, now_ms).map(|()| json!({})),
        "ChangeMessageVisibilityBatch" => queue.change_visibility_batch(&request, now_ms),
        "ListQueueTags" => Ok(json!({})),
        "ListDeadLetterSourceQueues" => Ok(json!({ "queueUrls": [] })),
        "GetQueueAttributes" => Ok(json!({ "Attributes": queue.attributes(place, &name) })),
        "PurgeQueue" => {
            queue.waiting.clear();
            queue.in_flight.clear();
            Ok(json!({}))
        }
        _ => fault("InvalidAction", format!("The local SQS has no {operation}")),
    }
}

fn url(place: &Place, name: &str) -> String {
    format!("{}/{ACCOUNT}/{name}", place.endpoint)
}

fn queue_name(request: &Value) -> Result<String, Fault> {
    let from_url = request["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
    match request["QueueName"].as_str().or(from_url) {
        Some(name) => Ok(name.to_owned()),
        None => fault("MissingParameter", "QueueUrl or QueueName is required"),
    }
}

fn attribute_s(request: &Value, name: &str, default: i64) -> i64 {
    request["Attributes"][name]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn entries(request: &Value) -> Result<&Vec<Value>, Fault> {
    match request["Entries"].as_array() {
        Some(entries) if !entries.is_empty() && entries.len() <= BATCH_MAX => Ok(entries),
        Some(entries) if entries.is_empty() => fault("EmptyBatchRequest", "The batch has no entries"),
        _ => fault("TooManyEntriesInBatchRequest", "A batch has 1 to 10 entries"),
    }
}

/// Characters that SQS takes: XML's.
fn allowed(body: &str) -> bool {
    body.chars()
        .all(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

impl Queues {
    fn create(&mut self, place: &Place, request: &Value) -> Result<Value, Fault> {
        let name = queue_name(request)?;
        if name.ends_with(".fifo") {
            return fault("InvalidParameterValue", "The local SQS has standard queues only");
        }
        let queue = self.by_name.entry(name.clone()).or_default();
        queue.visibility_s = attribute_s(request, "VisibilityTimeout", VISIBILITY_S);
        queue.retention_s = attribute_s(request, "MessageRetentionPeriod", RETENTION_S);
        Ok(json!({ "QueueUrl": url(place, &name) }))
    }

    /// Whether a receive would find something now.
    pub(crate) fn has_message(&mut self, body: &[u8], now_ms: i64) -> bool {
        let name = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|request| queue_name(&request).ok());
        name.and_then(|name| self.by_name.get_mut(&name)).is_none_or(|queue| {
            queue.settle(now_ms);
            !queue.waiting.is_empty()
        })
    }
}

impl Queue {
    /// Brings back what was hidden long enough and drops what is past retention.
    fn settle(&mut self, now_ms: i64) {
        let due: Vec<String> = self
            .in_flight
            .iter()
            .filter(|(_, (back_ms, _))| *back_ms <= now_ms)
            .map(|(receipt, _)| receipt.clone())
            .collect();
        for receipt in due {
            if let Some((_, message)) = self.in_flight.remove(&receipt) {
                self.waiting.push_back(message);
            }
        }
        let oldest_ms = now_ms - self.retention_s * 1000;
        while self.waiting.front().is_some_and(|message| message.sent_ms < oldest_ms) {
            self.waiting.pop_front();
        }
    }

    fn push(&mut self, body: &Value, next_id: &mut u64, now_ms: i64) -> Result<Value, Fault> {
        let Some(body) = body.as_str().filter(|body| !body.is_empty()) else {
            return fault("MissingParameter", "MessageBody is required");
        };
        if body.len() > MESSAGE_BYTES_MAX {
            return fault("InvalidParameterValue", "A message must be shorter than 1048576 bytes");
        }
        if !allowed(body) {
            return fault(
                "InvalidMessageContents",
                "The message holds characters that XML has not",
            );
        }
        if self.waiting.len() >= QUEUE_MESSAGES_MAX {
            return fault("RequestThrottled", "The local queue is full: 2,000,000 messages");
        }
        *next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", *next_id);
        let answer = json!({ "MessageId": id, "MD5OfMessageBody": md5_hex(body.as_bytes()) });
        let body = body.to_owned();
        self.waiting.push_back(Message {
            id,
            body,
            sent_ms: now_ms,
            first_received_ms: None,
            receives: 0,
        });
        Ok(answer)
    }

    fn send(&mut self, request: &Value, next_id: &mut u64, now_ms: i64) -> Result<Value, Fault> {
        self.push(&request["MessageBody"], next_id, now_ms)
    }

    fn send_batch(&mut self, request: &Value, next_id: &mut u64, now_ms: i64) -> Result<Value, Fault> {
        let entries = entries(request)?;
        let bytes: usize = entries
            .iter()
            .filter_map(|entry| entry["MessageBody"].as_str())
            .map(str::len)
            .sum();
        if bytes > MESSAGE_BYTES_MAX {
            return fault(
                "BatchRequestTooLong",
                "The bodies of a batch must be shorter than 1048576 bytes together",
            );
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.push(&entry["MessageBody"], next_id, now_ms) {
                Ok(mut answer) => {
                    answer["Id"] = entry["Id"].clone();
                    successful.push(answer);
                }
                Err(error) => failed.push(
                    json!({ "Id": entry["Id"], "Code": error.code, "Message": error.message, "SenderFault": true }),
                ),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn receive(&mut self, request: &Value, next_id: &mut u64, now_ms: i64) -> Result<Value, Fault> {
        let wanted = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        if !(1..=BATCH_MAX as u64).contains(&wanted) {
            return fault("InvalidParameterValue", "MaxNumberOfMessages must be from 1 to 10");
        }
        let visible_again_ms = now_ms + request["VisibilityTimeout"].as_i64().unwrap_or(self.visibility_s) * 1000;
        let mut messages = Vec::new();
        for _ in 0..wanted {
            if self.in_flight.len() >= IN_FLIGHT_MAX {
                return fault("OverLimit", "120,000 messages are in flight");
            }
            let Some(mut message) = self.waiting.pop_front() else {
                break;
            };
            message.receives += 1;
            let first_ms = *message.first_received_ms.get_or_insert(now_ms);
            *next_id += 1;
            let receipt = format!("{}.{}", message.id, next_id);
            messages.push(json!({
                "MessageId": message.id, "ReceiptHandle": receipt, "Body": message.body,
                "MD5OfBody": md5_hex(message.body.as_bytes()),
                "Attributes": {
                    "SenderId": ACCOUNT, "SentTimestamp": message.sent_ms.to_string(),
                    "ApproximateReceiveCount": message.receives.to_string(),
                    "ApproximateFirstReceiveTimestamp": first_ms.to_string(),
                },
            }));
            self.in_flight.insert(receipt, (visible_again_ms, message));
        }
        Ok(if messages.is_empty() {
            json!({})
        } else {
            json!({ "Messages": messages })
        })
    }

    /// Deletes a message by its newest receipt. Like SQS, a receipt that is no longer good is not an error.
    fn delete(&mut self, receipt: &Value) -> Result<(), Fault> {
        match receipt.as_str() {
            Some(receipt) => {
                self.in_flight.remove(receipt);
                Ok(())
            }
            None => fault("MissingParameter", "ReceiptHandle is required"),
        }
    }

    fn delete_batch(&mut self, request: &Value) -> Result<Value, Fault> {
        let mut successful = Vec::new();
        for entry in entries(request)? {
            self.delete(&entry["ReceiptHandle"])?;
            successful.push(json!({ "Id": entry["Id"] }));
        }
        Ok(json!({ "Successful": successful, "Failed": [] }))
    }

    /// Hides a received message for so long from now on; 0 makes it visible at once.
    fn change_visibility(&mut self, request: &Value, now_ms: i64) -> Result<(), Fault> {
        let seconds = request["VisibilityTimeout"].as_i64().unwrap_or(-1);
        if !(0..=VISIBILITY_S_MAX).contains(&seconds) {
            return fault("InvalidParameterValue", "VisibilityTimeout must be from 0 to 43200");
        }
        let in_flight = request["ReceiptHandle"]
            .as_str()
            .map(|receipt| self.in_flight.get_mut(receipt));
        match in_flight {
            Some(Some((back_ms, _))) => {
                *back_ms = now_ms + seconds * 1000;
                self.settle(now_ms);
                Ok(())
            }
            Some(None) => fault("MessageNotInflight", "The message is not in flight"),
            None => fault("MissingParameter", "ReceiptHandle is required"),
        }
    }

    fn change_visibility_batch(&mut self, request: &Value, now_ms: i64) -> Result<Value, Fault> {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries(request)? {
            match self.change_visibility(entry, now_ms) {
                Ok(()) => successful.push(json!({ "Id": entry["Id"] })),
                Err(Fault { code, message }) => {
                    failed.push(json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true }));
                }
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    fn attributes(&self, place: &Place, name: &str) -> Value {
        json!({
            "QueueArn": format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", place.region),
            "ApproximateNumberOfMessages": self.waiting.len().to_string(),
            "ApproximateNumberOfMessagesNotVisible": self.in_flight.len().to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
            "VisibilityTimeout": self.visibility_s.to_string(),
            "MessageRetentionPeriod": self.retention_s.to_string(),
            "MaximumMessageSize": MESSAGE_BYTES_MAX.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        queues: Queues,
        place: Place,
    }

    impl Bench {
        fn new() -> Self {
            let place = Place {
                endpoint: "http://127.0.0.1:1".to_owned(),
                region: "eu-west-1".to_owned(),
            };
            let mut bench = Self {
                queues: Queues::default(),
                place,
            };
            let url = bench.ask("CreateQueue", json!({"QueueName": "q"}), 0).unwrap()["QueueUrl"].clone();
            assert_eq!(url, "http://127.0.0.1:1/000000000000/q");
            bench
        }

        fn ask(&mut self, operation: &str, mut request: Value, now_ms: i64) -> Result<Value, Fault> {
            if request.get("QueueName").is_none() {
                request["QueueUrl"] = json!("http://127.0.0.1:1/000000000000/q");
            }
            call(
                &mut self.queues,
                &self.place,
                operation,
                request.to_string().as_bytes(),
                now_ms,
            )
        }
    }

    #[test]
    fn a_message_is_hidden_after_a_receive_and_comes_back_unless_deleted() {
        let mut bench = Bench::new();
        let sent = bench.ask("SendMessage", json!({"MessageBody": "hi"}), 0).unwrap();
        assert_eq!(sent["MD5OfMessageBody"], "49f68a5c8493ec2c0bf489821c21fc3b");
        let first = bench.ask("ReceiveMessage", json!({}), 0).unwrap();
        assert_eq!(first["Messages"][0]["Body"], "hi");
        assert_eq!(bench.ask("ReceiveMessage", json!({}), 29_999).unwrap(), json!({}));
        let again = bench
            .ask("ReceiveMessage", json!({"VisibilityTimeout": 1}), 30_000)
            .unwrap();
        assert_eq!(again["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "2");
        let stale = first["Messages"][0]["ReceiptHandle"].clone();
        bench
            .ask("DeleteMessage", json!({"ReceiptHandle": stale}), 30_001)
            .unwrap();
        let third = bench.ask("ReceiveMessage", json!({}), 31_000).unwrap();
        let receipt = third["Messages"][0]["ReceiptHandle"].clone();
        bench
            .ask("DeleteMessage", json!({"ReceiptHandle": receipt}), 31_001)
            .unwrap();
        assert_eq!(bench.ask("ReceiveMessage", json!({}), 100_000).unwrap(), json!({}));
    }

    #[test]
    fn a_received_message_can_be_made_visible_again_at_once() {
        let mut bench = Bench::new();
        bench.ask("SendMessage", json!({"MessageBody": "hi"}), 0).unwrap();
        let received = bench.ask("ReceiveMessage", json!({}), 0).unwrap();
        let receipt = received["Messages"][0]["ReceiptHandle"].clone();
        let entries = json!({"Entries": [
            {"Id": "a", "ReceiptHandle": receipt, "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": "none", "VisibilityTimeout": 0},
            {"Id": "c", "ReceiptHandle": receipt, "VisibilityTimeout": 43_201},
        ]});
        let answer = bench.ask("ChangeMessageVisibilityBatch", entries, 1).unwrap();
        assert_eq!(answer["Successful"], json!([{"Id": "a"}]));
        assert_eq!(answer["Failed"][0]["Code"], "MessageNotInflight");
        assert_eq!(answer["Failed"][1]["Code"], "InvalidParameterValue");
        let again = bench.ask("ReceiveMessage", json!({}), 1).unwrap();
        assert_eq!(again["Messages"][0]["Body"], "hi");
    }

    #[test]
    fn a_batch_counts_and_tells_which_entry_failed() {
        let mut bench = Bench::new();
        let batch = json!({"Entries": [{"Id": "a", "MessageBody": "x"}, {"Id": "b", "MessageBody": "\u{1}"}]});
        let answer = bench.ask("SendMessageBatch", batch, 0).unwrap();
        assert_eq!(answer["Successful"][0]["Id"], "a");
        assert_eq!(
            (&answer["Failed"][0]["Id"], &answer["Failed"][0]["Code"]),
            (&json!("b"), &json!("InvalidMessageContents"))
        );
        let attributes = bench.ask("GetQueueAttributes", json!({}), 0).unwrap();
        assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessages"], "1");
        let eleven = json!({"Entries": vec![json!({"Id": "a", "MessageBody": "x"}); 11]});
        assert_eq!(
            bench.ask("SendMessageBatch", eleven, 0).unwrap_err().code,
            "TooManyEntriesInBatchRequest"
        );
        let long = json!({"Entries": vec![json!({"Id": "a", "MessageBody": "x".repeat(600_000)}); 2]});
        assert_eq!(
            bench.ask("SendMessageBatch", long, 0).unwrap_err().code,
            "BatchRequestTooLong"
        );
    }

    #[test]
    fn messages_past_retention_are_gone() {
        let mut bench = Bench::new();
        bench.ask("SendMessage", json!({"MessageBody": "old"}), 0).unwrap();
        assert_eq!(
            bench.ask("ReceiveMessage", json!({}), RETENTION_S * 1000 + 1).unwrap(),
            json!({})
        );
        assert_eq!(
            bench
                .ask("GetQueueUrl", json!({"QueueName": "none"}), 0)
                .unwrap_err()
                .code,
            "QueueDoesNotExist"
        );
    }
}
