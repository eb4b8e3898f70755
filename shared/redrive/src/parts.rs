//! Quarantined payloads, put together from their messages. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_engine::port::QuarantineMessage;
use tidemark_telemetry::ErrorCode;

use crate::letter::Rejection;
use crate::port::Received;

/// A message of the quarantine with its envelope.
#[derive(Clone, Debug)]
pub struct HeldPart {
    /// The queue's id.
    pub id: String,
    /// What a deletion must name.
    pub receipt: String,
    /// When it was sent: milliseconds since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
    /// Its text.
    pub body: String,
    /// What it says.
    pub message: QuarantineMessage,
}

/// A payload, whole, and the messages that held it.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Its messages; a part may be there twice.
    pub messages: Vec<HeldPart>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Reads a message of the quarantine queue.
///
/// # Errors
/// When it is not JSON, or not a quarantine message.
pub fn parse(received: &Received) -> Result<HeldPart, Rejection> {
    let misshapen = |detail: &str| Rejection::new(ErrorCode::LetterMisshapen, detail);
    let message: QuarantineMessage = serde_json::from_str(&received.body).map_err(|error| {
        let place = format!("at line {}, column {}", error.line(), error.column());
        if error.is_data() {
            misshapen(&format!("not a quarantine message {place}"))
        } else {
            Rejection::new(ErrorCode::LetterNotJson, format!("not JSON {place}"))
        }
    })?;
    if message.schema != "quarantine" || message.version != 1 {
        return Err(misshapen("schema, version: expected quarantine, 1"));
    }
    if message.part == 0 || message.part > message.parts {
        return Err(misshapen("part: expected a number from 1 to parts"));
    }
    Ok(HeldPart {
        id: received.id.clone(),
        receipt: received.receipt.clone(),
        sent_ms: received.sent_ms,
        body: received.body.clone(),
        message,
    })
}

/// What makes two messages parts of one payload: the record (or the user record in it), why it was refused, and how it was cut. A
/// sequence number alone does not name a record: it is unique within its shard and partition key.
type Key = (Place, Option<u32>, String, u32, usize);
/// Stream, shard, partition key (of a user record, and of the record that it came in), sequence number.
type Place = (String, String, String, Option<String>, String);

/// Payloads that are not whole yet.
#[derive(Debug, Default)]
pub struct Assembly {
    open: BTreeMap<Key, Vec<HeldPart>>,
    bytes: usize,
}

impl Assembly {
    /// Bytes of the messages that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message. The payload's messages, when they are all there now.
    pub fn add(&mut self, part: HeldPart) -> Option<Vec<HeldPart>> {
        let message = &part.message;
        let key: Key = (
            (
                message.stream.clone(),
                message.shard_id.clone(),
                message.partition_key.clone(),
                message.record_partition_key.clone(),
                message.sequence_number.clone(),
            ),
            message.sub_sequence_number,
            message.code.as_str().to_owned(),
            message.parts,
            message.payload_bytes,
        );
        let parts = message.parts;
        self.bytes += part.body.len();
        let held = self.open.entry(key.clone()).or_default();
        held.push(part);
        let is_whole = (1..=parts).all(|number| held.iter().any(|part| part.message.part == number));
        if !is_whole {
            return None;
        }
        let whole = self.open.remove(&key)?;
        self.bytes -= whole.iter().map(|part| part.body.len()).sum::<usize>();
        Some(whole)
    }

    /// What is left: payloads with parts missing.
    pub fn rest(&mut self) -> Vec<Vec<HeldPart>> {
        self.bytes = 0;
        std::mem::take(&mut self.open).into_values().collect()
    }
}

/// A payload out of all its messages.
///
/// # Errors
/// When a part does not decode, or they do not make the payload's size.
pub fn join(mut messages: Vec<HeldPart>) -> Result<Payload, (Vec<HeldPart>, Rejection)> {
    messages.sort_by_key(|held| held.message.part);
    let mut data = Vec::new();
    let mut taken = 0;
    for held in &messages {
        // A part that is there twice counts once.
        if held.message.part == taken {
            continue;
        }
        taken = held.message.part;
        if STANDARD.decode_vec(&held.message.payload_base64, &mut data).is_err() {
            let rejection = Rejection::new(ErrorCode::LetterMisshapen, "payload_base64: not base64");
            return Err((messages, rejection));
        }
    }
    let expected = messages.first().map_or(0, |held| held.message.payload_bytes);
    if data.len() != expected {
        let detail = "payload_bytes: the parts do not make the payload's size";
        return Err((messages, Rejection::new(ErrorCode::LetterMisshapen, detail)));
    }
    Ok(Payload { messages, data })
}
