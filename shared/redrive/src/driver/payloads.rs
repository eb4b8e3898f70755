//! The quarantine queue: payloads put together from their messages, through the engine as they came the first time.

use tidemark_engine::InRecord;
use tidemark_engine::port::Clock;
use tidemark_engine::record::OfAggregate;
use tidemark_telemetry::ErrorCode;

use super::feed::Redriven;
use super::one_call::Call;
use super::queue::{Moved, Origin};
use super::redrive::Redrive;
use crate::api::Problem;
use crate::letter::Rejection;
use crate::limits::{ASSEMBLY_BYTES_MAX, RECEIVE_MESSAGES_MAX};
use crate::parts::{Assembly, HeldPart, Payload, join, parse};
use crate::port::{Inbox, Processor, Received, ShardReader};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn payloads(&self, call: &mut Call<'_>) {
        let mut assembly = Assembly::default();
        let mut ready: Vec<Payload> = Vec::new();
        let mut emptied = false;
        while !emptied && call.may_go_on(self.clock.now_ms()) && call.records_left() > 0 {
            let group = self.receive(call, &self.queues.quarantine, RECEIVE_MESSAGES_MAX).await;
            emptied = group.is_empty() && !call.is_stopped();
            for message in group {
                ready.extend(self.take(call, &mut assembly, message).await);
            }
            let ready_bytes: usize = ready.iter().map(|payload| payload.data.len()).sum();
            let is_enough = ready.len() as u64 >= call.records_left().min(u64::from(self.config.batch_records_max));
            if emptied || is_enough || ready_bytes + assembly.bytes() > ASSEMBLY_BYTES_MAX {
                self.redrive(call, std::mem::take(&mut ready)).await;
            }
            if assembly.bytes() > ASSEMBLY_BYTES_MAX {
                // Enough of them: what is not whole by now waits for the next run.
                incomplete(call, &mut assembly);
            }
        }
        for payload in ready {
            hold(call, payload.messages);
        }
        if emptied {
            incomplete(call, &mut assembly);
        } else {
            assembly.rest().into_iter().for_each(|set| hold(call, set));
        }
        call.reached_records_max();
    }

    /// Takes a message: the payload that it makes whole.
    async fn take(&self, call: &mut Call<'_>, assembly: &mut Assembly, message: Received) -> Option<Payload> {
        let part = match parse(&message) {
            Ok(part) => part,
            Err(why) => {
                call.account.messages += 1;
                let moved = Moved {
                    message_id: &message.id,
                    sent_ms: message.sent_ms,
                    body: &message.body,
                    counts: None,
                };
                self.reject_payload(call, message.receipt.clone(), moved, &why).await;
                return None;
            }
        };
        let reasons = &call.request.reasons;
        if !reasons.is_empty() && !reasons.iter().any(|reason| reason == part.message.code.as_str()) {
            call.keep(&part.id, part.receipt);
            return None;
        }
        if part.message.masked {
            masked(call, part);
            return None;
        }
        match join(assembly.add(part)?) {
            Ok(payload) => Some(payload),
            Err((messages, why)) => {
                self.reject_all(call, messages, &why).await;
                None
            }
        }
    }

    async fn reject_payload(&self, call: &mut Call<'_>, receipt: String, moved: Moved<'_>, why: &Rejection) {
        let from = Origin::Queue(&self.queues.quarantine, receipt);
        if self.move_out(call, from, moved, why).await {
            call.account.rejected_messages += 1;
        }
    }

    async fn reject_all(&self, call: &mut Call<'_>, messages: Vec<HeldPart>, why: &Rejection) {
        for part in messages {
            call.account.messages += 1;
            let moved = Moved {
                message_id: &part.id,
                sent_ms: part.sent_ms,
                body: &part.body,
                counts: None,
            };
            self.reject_payload(call, part.receipt.clone(), moved, why).await;
        }
    }

    /// Takes payloads to their end. What is refused again is in quarantine anew before the old messages go.
    async fn redrive(&self, call: &mut Call<'_>, payloads: Vec<Payload>) {
        let records: Vec<InRecord<'_>> = payloads.iter().filter_map(record).collect();
        let fed = self.feed(call, &records).await;
        drop(records);
        let mut done = Vec::new();
        for (payload, fate) in payloads.into_iter().zip(fed.iter().map(|fed| fed.fate)) {
            if fate == Redriven::NotYet {
                hold(call, payload.messages);
                continue;
            }
            call.account.messages += payload.messages.len() as u64;
            call.account.expected += 1;
            if fate == Redriven::Failed {
                call.account.found += 1;
                call.account.returned += 1;
                let id = payload.messages.first().map(|part| part.id.clone());
                let detail = "the record has no end yet: it stays in quarantine";
                call.problem(Problem::new(ErrorCode::RecordsNotRedriven, id.as_deref(), detail));
            }
            if fate == Redriven::Failed || call.request.dry_run {
                keep(call, payload.messages);
            } else {
                done.extend(payload.messages.into_iter().map(|part| part.receipt));
            }
        }
        self.delete(call, &self.queues.quarantine, done).await;
    }
}

/// The record as it came the first time, its arrival included: the contract's bounds judge as they did then.
fn record(payload: &Payload) -> Option<InRecord<'_>> {
    let message = &payload.messages.first()?.message;
    Some(InRecord {
        stream: &message.stream,
        shard_id: &message.shard_id,
        sequence_number: &message.sequence_number,
        // A user record stays one: what it holds is an event or nothing, whatever it looks like.
        of_aggregate: message.sub_sequence_number.map(|sub_sequence_number| OfAggregate {
            sub_sequence_number,
            partition_key: &message.partition_key,
        }),
        partition_key: match message.sub_sequence_number {
            // A message of an older release does not say it.
            Some(_) => message.record_partition_key.as_deref().unwrap_or_default(),
            None => &message.partition_key,
        },
        arrival_ms: message.arrival_ms,
        data: &payload.data,
    })
}

/// What is left of a masked payload is not what the producer sent.
fn masked(call: &mut Call<'_>, part: HeldPart) {
    call.account.messages += 1;
    if part.message.part == 1 {
        call.account.expected += 1;
        call.account.returned += 1;
        let detail = "its card numbers were masked: it stays in quarantine";
        call.problem(Problem::new(ErrorCode::QuarantineMasked, Some(&part.id), detail));
    }
    call.keep(&part.id, part.receipt);
}

/// Payloads of which parts are missing stay.
fn incomplete(call: &mut Call<'_>, assembly: &mut Assembly) {
    for set in assembly.rest() {
        call.account.messages += set.len() as u64;
        call.account.expected += 1;
        call.account.returned += 1;
        if let Some(first) = set.first() {
            let detail = format!(
                "{} of its {} parts are there: they stay",
                set.len(),
                first.message.parts
            );
            call.problem(Problem::new(ErrorCode::QuarantineIncomplete, Some(&first.id), detail));
        }
        keep(call, set);
    }
}

fn keep(call: &mut Call<'_>, messages: Vec<HeldPart>) {
    messages.into_iter().for_each(|part| call.keep(&part.id, part.receipt));
}

fn hold(call: &mut Call<'_>, messages: Vec<HeldPart>) {
    messages.into_iter().for_each(|part| call.hold(part.receipt));
}
