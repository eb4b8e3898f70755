//! A look at the dead letters, those of the queue and those of the bucket: how many there are, and how old the oldest is. Nothing is
//! read of the stream, and nothing is changed.
//!
//! CloudWatch's own age of a queue's oldest message leaves out what was received three times, and whoever lists a queue receives
//! it. This one counts every letter, however often it was looked at. Of a bucket CloudWatch tells neither figure in time.

use std::collections::BTreeMap;

use tidemark_engine::port::Clock;

use super::objects::Got;
use super::one_call::Call;
use super::redrive::Redrive;
use crate::letter::first_arrival_ms;
use crate::limits::{GROUP_MESSAGES_MAX, LOOK_GETS_MAX, LOOK_OBJECTS_MAX};
use crate::object::LetterKey;
use crate::port::{Inbox, LetterBucket, ObjectInfo, Processor, ShardReader};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn look(&self, call: &mut Call<'_>) {
        // The bucket first: when it can't be looked at, the age is not told, and the alarm takes that for a bad one.
        if let Some(bucket) = self.bucket.as_deref() {
            self.look_at_objects(call, bucket).await;
        }
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

    /// Counts the objects by their names. The age is in them, so the oldest of each shard is got: in a shard batches are given up in
    /// its order, or nearly.
    async fn look_at_objects(&self, call: &mut Call<'_>, bucket: &dyn LetterBucket) {
        let mut after = None;
        let (listed, _) = self.list(call, bucket, &mut after, LOOK_OBJECTS_MAX).await;
        call.account.messages += listed.len() as u64;
        if call.is_stopped() {
            return;
        }
        let mut oldest: BTreeMap<&str, &ObjectInfo> = BTreeMap::new();
        for object in &listed {
            let shard_id = LetterKey::parse(&object.key).map_or("", |name| name.shard_id);
            let of_shard = oldest.entry(shard_id).or_insert(object);
            if object.written_ms < of_shard.written_ms {
                *of_shard = object;
            }
        }
        let mut oldest: Vec<&ObjectInfo> = oldest.into_values().collect();
        oldest.sort_by_key(|object| object.written_ms);
        for (at, object) in oldest.into_iter().enumerate() {
            let mut since_ms = object.written_ms;
            if at < LOOK_GETS_MAX && call.may_go_on(self.clock.now_ms()) {
                match self.get(call, bucket, &object.key, object.bytes).await {
                    Got::Text(text) => since_ms = first_arrival_ms(&text).unwrap_or(since_ms),
                    Got::Absent => continue,
                    Got::Unreadable(_) | Got::Stopped => {}
                }
            }
            call.waits(since_ms);
        }
    }
}
