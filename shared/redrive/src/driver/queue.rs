//! Messages: received in groups, deleted, made visible again, moved to the unrecoverable queue. What the bucket holds is moved there in
//! the same way.

use tidemark_engine::port::{Clock, PortError};
use tidemark_telemetry::ErrorCode;

use super::one_call::Call;
use super::redrive::Redrive;
use crate::api::{Problem, UnrecoverableMessage};
use crate::letter::Rejection;
use crate::limits::{MESSAGES_IN_CALL_MAX, RECEIVE_MESSAGES_MAX, RECEIVE_WAIT_S, UNRECOVERABLE_BYTES_MAX};
use crate::object::shown;
use crate::port::{Inbox, Processor, Received, ShardReader};

/// Where a message lies that is moved, or an object.
pub(super) enum Origin<'a, I> {
    /// In this queue, under this receipt.
    Queue(&'a I, String),
    /// In the bucket.
    Bucket,
}

/// What is known of a message that is moved to the unrecoverable queue.
pub(super) struct Moved<'a> {
    /// Its id, or the object's name.
    pub(super) message_id: &'a str,
    pub(super) sent_ms: i64,
    pub(super) body: &'a str,
    /// Records that it speaks of, and those that were found.
    pub(super) counts: Option<(u64, u64)>,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// Up to `messages_max` messages of this run. Empty: the queue shows nothing more, or the call has stopped.
    pub(super) async fn receive(&self, call: &mut Call<'_>, inbox: &I, messages_max: usize) -> Vec<Received> {
        let mut group = Vec::new();
        let mut wait_s = RECEIVE_WAIT_S;
        while group.len() < messages_max && call.may_go_on(self.clock.now_ms()) {
            let wanted = RECEIVE_MESSAGES_MAX.min(messages_max - group.len());
            let hidden_s = call.hidden_s(self.clock.now_ms());
            let until_ms = call.stop_at_ms;
            let attempt = || inbox.receive(wanted, wait_s, hidden_s);
            let received = match self.repeat(call, until_ms, attempt).await {
                Ok(received) => received,
                Err(error) => {
                    Self::interrupt(call, &error);
                    break;
                }
            };
            if received.is_empty() {
                break;
            }
            for message in received {
                if call.is_new(&message.id, message.sent_ms) {
                    group.push(message);
                } else {
                    call.hold(message.receipt);
                }
            }
            // With something in hand, work is better than waiting.
            wait_s = if group.is_empty() { RECEIVE_WAIT_S } else { 0 };
        }
        group
    }

    /// Deletes messages; one that can't be deleted comes again, and is found done.
    pub(super) async fn delete(&self, call: &mut Call<'_>, inbox: &I, receipts: Vec<String>) {
        let mut undone = 0;
        for (at, portion) in receipts.chunks(MESSAGES_IN_CALL_MAX).enumerate() {
            if self.is_too_late(call) {
                undone += receipts.len() - at * MESSAGES_IN_CALL_MAX;
                break;
            }
            match self.delete_portion(call, inbox, portion.to_vec()).await {
                Ok(not_deleted) => undone += not_deleted,
                Err(error) => {
                    Self::interrupt(call, &error);
                    return;
                }
            }
        }
        if undone > 0 {
            let detail = format!("{undone} messages could not be deleted: they come again");
            call.problem(Problem::new(ErrorCode::RedriveInterrupted, None, detail));
        }
    }

    /// Deletes a few messages, twice and as long as it gets on; how many are left.
    async fn delete_portion(&self, call: &mut Call<'_>, inbox: &I, receipts: Vec<String>) -> Result<usize, PortError> {
        let mut left = receipts;
        let until_ms = call.engine_deadline_ms;
        for tries in 1_u32.. {
            let not_deleted = self.repeat(call, until_ms, || inbox.delete(&left)).await?;
            let before = left.len();
            left = not_deleted.into_iter().filter_map(|at| left.get(at).cloned()).collect();
            if left.is_empty() || self.is_too_late(call) || (tries > 1 && left.len() >= before) {
                break;
            }
        }
        Ok(left.len())
    }

    pub(super) fn is_too_late(&self, call: &Call<'_>) -> bool {
        self.clock.now_ms() >= call.last_call_at_ms
    }

    /// Makes the messages visible that stay in their queue.
    pub(super) async fn release(&self, call: &mut Call<'_>, inbox: &I) {
        let held = call.take_held();
        if held.is_empty() {
            return;
        }
        let until_ms = call.engine_deadline_ms;
        let hidden = |why: &str| {
            let detail = format!("messages stay hidden for a while: {why}");
            Problem::new(ErrorCode::RedriveInterrupted, None, detail)
        };
        // A failure costs time only: the messages are visible again when their timeout is over.
        for portion in held.chunks(MESSAGES_IN_CALL_MAX) {
            if self.is_too_late(call) {
                call.problem(hidden("the call's time is over"));
                return;
            }
            if let Err(error) = self.repeat(call, until_ms, || inbox.release(portion)).await {
                call.problem(hidden(&error.to_string()));
                return;
            }
        }
    }

    /// Moves a message to the unrecoverable queue: its copy first. Without a copy it stays where it is. Whether it was moved
    /// (or would be, in a dry run).
    pub(super) async fn move_out(
        &self,
        call: &mut Call<'_>,
        from: Origin<'_, I>,
        moved: Moved<'_>,
        why: &Rejection,
    ) -> bool {
        let id = name(moved.message_id, &from);
        call.problem(Problem::new(why.code, Some(&id), why.detail.clone()));
        if call.request.dry_run {
            stays(call, moved.message_id, from);
            return true;
        }
        let sent = match self.copy_of(call, &id, &moved, why) {
            Ok(body) => {
                let until_ms = call.engine_deadline_ms;
                let attempt = || self.queues.unrecoverable.send(&body);
                self.repeat(call, until_ms, attempt).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            let detail = format!("stays where it is, for it could not be moved: {error}");
            call.problem(Problem::new(ErrorCode::RedriveInterrupted, Some(&id), detail));
            stays(call, moved.message_id, from);
            return false;
        }
        match from {
            Origin::Queue(inbox, receipt) => self.delete(call, inbox, vec![receipt]).await,
            Origin::Bucket => self.delete_objects(call, vec![moved.message_id.to_owned()]).await,
        }
        true
    }

    fn copy_of(&self, call: &Call<'_>, id: &str, moved: &Moved<'_>, why: &Rejection) -> Result<String, PortError> {
        let message = UnrecoverableMessage {
            schema: "unrecoverable".to_owned(),
            version: 1,
            code: why.code.as_str().to_owned(),
            reason: why.detail.clone(),
            source: call.request.source,
            message_id: id.to_owned(),
            sent_ms: moved.sent_ms,
            moved_ms: self.clock.now_ms(),
            expected: moved.counts.map(|(expected, _)| expected),
            found: moved.counts.map(|(_, found)| found),
            body: moved.body.to_owned(),
        };
        let json = serde_json::to_string(&message).unwrap_or_default();
        // SQS refuses two characters that JSON can spell in ASCII.
        let json = json.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff");
        if json.is_empty() || json.len() > UNRECOVERABLE_BYTES_MAX {
            return Err(PortError::Permanent("its copy would be over 1 MiB".to_owned()));
        }
        Ok(json)
    }
}

/// As what a message or an object is told of: whoever may write to a bucket may name an object as he likes.
fn name<I>(id: &str, from: &Origin<'_, I>) -> String {
    match from {
        Origin::Queue(..) => id.to_owned(),
        Origin::Bucket => shown(id).into_owned(),
    }
}

fn stays<I>(call: &mut Call<'_>, id: &str, from: Origin<'_, I>) {
    match from {
        Origin::Queue(_, receipt) => call.keep(id, receipt),
        Origin::Bucket => call.see(id),
    }
}
