//! The quarantine: a refused record whole, its card numbers masked, in messages that it fits into; and their sending.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::refusal::Refusal;

use crate::call::BatchContext;
use crate::config::{
    QUARANTINE_DETAIL_BYTES_MAX, QUARANTINE_MESSAGE_BYTES_MAX, QUARANTINE_SEND_BYTES_MAX, QUARANTINE_SEND_MAX,
};
use crate::port::{Clock, Quarantine, QuarantineMessage};
use crate::portion::CallLimit;
use crate::record::InRecord;
use crate::report::Returned;
use crate::send_all::send_all;
use crate::user_record::{Refused, UserRecord, UserRecords};

/// What the quarantine is given in one call.
const QUARANTINE_CALL: CallLimit<QuarantineMessage> = CallLimit {
    items_max: QUARANTINE_SEND_MAX,
    bytes_max: QUARANTINE_SEND_BYTES_MAX,
    bytes_of: |message| message.payload_base64.len(),
};

/// What became of the refused records.
#[derive(Debug, Default)]
pub(crate) struct Quarantined {
    /// Records whose every message is in the quarantine.
    pub(crate) kept: Vec<Refused>,
    /// Records that must come again.
    pub(crate) returned: Vec<(usize, Returned)>,
}

/// Puts refused records into the quarantine.
pub(crate) async fn quarantine_all<Q: Quarantine, C: Clock>(
    context: &BatchContext<'_, C>,
    quarantine: &Q,
    records: &UserRecords<'_>,
    refused: Vec<Refused>,
) -> Quarantined {
    let mut all = Vec::with_capacity(refused.len());
    let mut parts = Vec::with_capacity(refused.len());
    for Refused { record, refusal } in &refused {
        let of_record = messages(records.input(*record), &records.all[*record], refusal);
        parts.push(all.len()..all.len() + of_record.len());
        all.extend(of_record);
    }
    let count = all.len();
    let call = |portion: Vec<QuarantineMessage>| async move { (quarantine.put(&portion).await, portion) };
    let not_sent = send_all(context, context.bounds.last_call_at_ms, &QUARANTINE_CALL, all, call).await;
    let why_not = |message: usize| not_sent.of(message, Returned::QuarantineFailed);
    context.report().quarantine_messages = (0..count).filter(|at| why_not(*at).is_none()).count() as u64;
    let mut done = Quarantined::default();
    for (refused, mut parts) in refused.into_iter().zip(parts) {
        match parts.find_map(why_not) {
            Some(returned) => done.returned.push((refused.record, returned)),
            None => done.kept.push(refused),
        }
    }
    done
}

/// The messages that hold a refused user record, which came in this record.
#[must_use]
pub fn messages(input: &InRecord<'_>, user: &UserRecord<'_>, refusal: &Refusal) -> Vec<QuarantineMessage> {
    let payload = mask_card_numbers(user.data);
    let head = head(input, user, refusal, matches!(payload, std::borrow::Cow::Owned(_)));
    let part_bytes = part_bytes(&head);
    let parts = payload.len().div_ceil(part_bytes).max(1);
    (0..parts)
        .map(|part| {
            let bytes = &payload[part * part_bytes..payload.len().min((part + 1) * part_bytes)];
            QuarantineMessage {
                part: u32::try_from(part + 1).unwrap_or(u32::MAX),
                parts: u32::try_from(parts).unwrap_or(u32::MAX),
                payload_base64: STANDARD.encode(bytes),
                ..head.clone()
            }
        })
        .collect()
}

/// A message without payload.
fn head(input: &InRecord<'_>, user: &UserRecord<'_>, refusal: &Refusal, masked: bool) -> QuarantineMessage {
    QuarantineMessage {
        schema: "quarantine".to_owned(),
        version: 1,
        code: refusal.code,
        detail: cut(&refusal.detail, QUARANTINE_DETAIL_BYTES_MAX).to_owned(),
        stream: input.stream.to_owned(),
        shard_id: input.shard_id.to_owned(),
        sequence_number: input.sequence_number.to_owned(),
        sub_sequence_number: user.sub_sequence_number,
        partition_key: masked_text(user.partition_key),
        record_partition_key: user
            .sub_sequence_number
            .filter(|_| !input.partition_key.is_empty())
            .map(|_| masked_text(input.partition_key)),
        arrival_ms: input.arrival_ms,
        payload_bytes: user.data.len(),
        masked,
        part: u32::MAX,
        parts: u32::MAX,
        payload_base64: String::new(),
    }
}

/// A text with its card numbers masked. As a JSON string, since bare digits would be a JSON number, which is left alone.
fn masked_text(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    serde_json::from_slice(&mask_card_numbers(quoted.as_bytes())).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// How many bytes of payload fit beside the head: base64 makes four bytes of three.
fn part_bytes(head: &QuarantineMessage) -> usize {
    let head_bytes = serde_json::to_vec(head).map_or(0, |json| json.len());
    (QUARANTINE_MESSAGE_BYTES_MAX.saturating_sub(head_bytes) / 4 * 3).max(3)
}

/// The start of a text, at most so many bytes, whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemark_domain::refusal::RefusalCode;

    fn record<'a>(data: &'a [u8], partition_key: &'a str) -> InRecord<'a> {
        InRecord {
            stream: "transactions",
            shard_id: "shardId-000000000000",
            sequence_number: "49",
            of_aggregate: None,
            partition_key,
            arrival_ms: 1,
            data,
        }
    }

    fn messages(input: &InRecord<'_>, refusal: &Refusal) -> Vec<QuarantineMessage> {
        let user = UserRecord {
            record: 0,
            sub_sequence_number: None,
            partition_key: input.partition_key,
            data: input.data,
        };
        super::messages(input, &user, refusal)
    }

    fn refusal() -> Refusal {
        Refusal::new(RefusalCode::NotJson, "é".repeat(5_000))
    }

    #[test]
    fn every_message_fits_and_the_parts_make_the_payload_again() {
        for length in [0, 1, 100, 180_000, 183_000, 184_320, 190_000, 1 << 20, 10 << 20] {
            let data: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
            let messages = messages(&record(&data, &"\u{1}".repeat(256)), &refusal());
            let mut again = Vec::new();
            for (at, message) in messages.iter().enumerate() {
                assert!(
                    serde_json::to_vec(message).unwrap().len() <= QUARANTINE_MESSAGE_BYTES_MAX,
                    "{length}"
                );
                assert_eq!(
                    (message.part as usize, message.parts as usize),
                    (at + 1, messages.len())
                );
                assert_eq!(message.payload_bytes, length);
                again.extend(STANDARD.decode(&message.payload_base64).unwrap());
            }
            assert!(again == data, "{length} bytes came back different");
        }
    }

    #[test]
    fn a_payload_that_fits_is_one_message() {
        let data = vec![b'x'; 170 * 1024];
        assert_eq!(messages(&record(&data, "c"), &refusal()).len(), 1);
    }

    #[test]
    fn card_numbers_are_masked_in_payload_and_key() {
        let data = br#"{"card_id":"4111 1111 1111 1111"}"#;
        let messages = messages(&record(data, "4111111111111111"), &refusal());
        let payload = STANDARD.decode(&messages[0].payload_base64).unwrap();
        assert!(messages[0].masked);
        assert!(!String::from_utf8(payload).unwrap().contains("1111 1111"));
        assert!(
            !messages[0].partition_key.contains("11111111"),
            "{}",
            messages[0].partition_key
        );
    }
}
