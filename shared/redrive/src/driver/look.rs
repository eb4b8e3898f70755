//! A look at the dead-letter queue: how old its oldest letter is. Nothing is read of the stream, and nothing is changed.
//!
//! CloudWatch's own age of a queue's oldest message leaves out what was received three times, and whoever lists a queue receives
//! it. This one counts every letter, however often it was looked at.

use tidemark_engine::port::Clock;

use super::one_call::Call;
use super::redrive::Redrive;
use crate::letter::first_arrival_ms;
use crate::limits::GROUP_MESSAGES_MAX;
use crate::port::{Inbox, Processor, ShardReader};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn look(&self, call: &mut Call<'_>) {
        while call.may_go_on(self.clock.now_ms()) {
            let group = self.receive(call, &self.queues.dead_letter, GROUP_MESSAGES_MAX).await;
            if group.is_empty() {
                return;
            }
            for message in group {
                call.account.messages += 1;
                // What is no letter has no records: it is as old as itself.
                call.waits(first_arrival_ms(&message.body).unwrap_or(message.sent_ms));
                call.keep(&message.id, message.receipt);
            }
        }
    }
}
