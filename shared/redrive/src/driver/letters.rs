//! The dead-letter queue: messages in groups, each shard of a group in one walk.
//!
//! ```text
//! letters ── receive a group ──► sort by shard ──┬─ no letter, or no such shard ──► unrecoverable queue
//!    ▲                                           └─ works of a shard, parents before children
//!    │                                                        │
//!    │      ┌──────────────── shard: one walk ◄───────────────┘
//!    │      │  want ► place or read ► page ► feed the engine ► note each record's fate
//!    │      │                                    settle what the walk has ended: delete, move out, or let it stay
//!    └──────┴─ leave what the call stopped in: the cursor says how far it is
//! ```

use std::collections::BTreeMap;

use tidemark_engine::InRecord;
use tidemark_engine::port::{Clock, PortError};

use super::feed::{Fed, Redriven};
use super::one_call::Call;
use super::redrive::Redrive;
use super::settle::leave;
use super::step::Step;
use super::work::{Holder, Work};
use crate::api::Tally;
use crate::letter::{Letter, first_arrival_ms};
use crate::limits::{GROUP_MESSAGES_MAX, RECEIVE_MESSAGES_MAX, SHARED_GROUP_MESSAGES_MAX};
use crate::port::{Inbox, Page, Processor, Received, ShardReader};
use crate::shards::in_order;
use crate::walk::{Hit, Walk};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn letters(&self, call: &mut Call<'_>) {
        let inbox = &self.queues.dead_letter;
        let mut shards: Option<Vec<String>> = None;
        while call.may_go_on(self.clock.now_ms()) && call.records_left() > 0 {
            // Each message has a record at least.
            let most = usize::try_from(call.records_left()).unwrap_or(usize::MAX);
            let group_max = if call.is_shared() {
                SHARED_GROUP_MESSAGES_MAX
            } else {
                GROUP_MESSAGES_MAX
            };
            let most = most.clamp(RECEIVE_MESSAGES_MAX, group_max);
            let group = self.receive(call, inbox, most).await;
            if group.is_empty() {
                return;
            }
            if shards.is_none() {
                shards = self.shard_order(call).await;
            }
            let Some(order) = &shards else {
                group.into_iter().for_each(|message| call.hold(message.receipt));
                return;
            };
            let mut by_shard = self.sort(call, group, order).await;
            // Runs that share the queue begin with different shards, so that they do not all read one.
            let first = by_shard.split_off(&call.first_place(order.len()));
            for (at, works) in first.into_iter().chain(by_shard) {
                self.shard(call, order.get(at).map_or("", String::as_str), works).await;
            }
        }
        call.reached_records_max();
    }

    /// The stream's shards, parents before their children.
    pub(super) async fn shard_order(&self, call: &mut Call<'_>) -> Option<Vec<String>> {
        let until_ms = call.stop_at_ms;
        let answer: Result<_, PortError> = self.repeat(call, until_ms, || self.reader.shards()).await;
        match answer {
            Ok(shards) => Some(in_order(&shards)),
            Err(error) => {
                Self::interrupt(call, &error);
                None
            }
        }
    }

    /// A group's letters by the place of their shard in the order. What is no letter, or has no shard any more, is moved out.
    async fn sort(&self, call: &mut Call<'_>, group: Vec<Received>, order: &[String]) -> BTreeMap<usize, Vec<Work>> {
        let places: BTreeMap<&str, usize> = order.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        let mut sorted: BTreeMap<usize, Vec<Work>> = BTreeMap::new();
        for message in group {
            call.waits(first_arrival_ms(&message.body).unwrap_or(message.sent_ms));
            let letter = match Letter::parse(&message.body, &self.home) {
                Ok(letter) => letter,
                Err(why) => {
                    self.reject(call, Holder::Queue, &message, &why).await;
                    continue;
                }
            };
            if !call.request.reasons.is_empty() && !call.request.reasons.contains(&letter.condition) {
                call.keep(&message.id, message.receipt);
                continue;
            }
            let part = call.take_part(&message.id);
            match places.get(letter.shard_id.as_str()) {
                Some(at) => sorted
                    .entry(*at)
                    .or_default()
                    .push(Work::new(message, Holder::Queue, letter, part)),
                None => {
                    let mut work = Work::new(message, Holder::Queue, letter, part);
                    self.gone(call, &mut work).await;
                }
            }
        }
        sorted
    }

    /// One walk over one shard, for all its letters of a group.
    pub(super) async fn shard(&self, call: &mut Call<'_>, shard_id: &str, mut works: Vec<Work>) {
        let mut walk = Walk::new(works.iter().map(Work::span).collect(), self.config.empty_pages_max);
        let mut iterator = String::new();
        loop {
            match self.step(call, shard_id, &mut walk, &mut iterator).await {
                Step::Page(page) => self.page(call, shard_id, &mut walk, &mut works, &page).await,
                Step::Expired => {}
                Step::NoShard => {
                    for work in works.iter_mut().filter(|work| work.is_unsettled()) {
                        self.gone(call, work).await;
                    }
                    break;
                }
                Step::Over => break,
            }
            self.settle(call, &walk, &mut works).await;
            if call.is_stopped() {
                break;
            }
        }
        self.settle(call, &walk, &mut works).await;
        for (at, work) in works.iter().enumerate().filter(|(_, work)| work.is_unsettled()) {
            leave(call, work, walk.is_trimmed(at));
        }
    }

    /// Takes the records of a page to their end that lie in ranges.
    async fn page(&self, call: &mut Call<'_>, shard_id: &str, walk: &mut Walk, works: &mut [Work], page: &Page) {
        let numbers: Vec<&str> = page
            .records
            .iter()
            .map(|record| record.sequence_number.as_str())
            .collect();
        let hits = walk.page(&numbers, page.end());
        // A record that an earlier call took to its end for all its letters is not fed again.
        // As live records name it, so that a refusal says the same.
        let stream = works
            .first()
            .map_or_else(String::new, |work| work.letter.stream_arn.clone());
        let is_new = |hit: &&Hit| hit.spans.iter().any(|span| !works[*span].has(numbers[hit.record]));
        let records: Vec<InRecord<'_>> = hits
            .iter()
            .filter(is_new)
            .map(|hit| page.records[hit.record].of_shard(&stream, shard_id))
            .collect();
        let mut fed = self.feed(call, &records).await.into_iter();
        for hit in &hits {
            let number = numbers[hit.record];
            let (had, new): (Vec<usize>, Vec<usize>) = hit.spans.iter().partition(|span| works[**span].has(number));
            had.into_iter().for_each(|span| works[span].keep(number));
            if !new.is_empty() {
                note(call, works, &new, number, fed.next().unwrap_or_else(Fed::not_yet));
            }
        }
    }
}

/// A record's fate, for each letter whose range it lies in: it ends once, and is done already for all others.
fn note(call: &mut Call<'_>, works: &mut [Work], spans: &[usize], number: &str, fed: Fed) {
    for (order, span) in spans.iter().enumerate() {
        let mut tally = fed.tally;
        if fed.fate == Redriven::Ended && order > 0 {
            tally = Tally {
                found: 1,
                already_done: u64::from(!call.request.dry_run),
                ..Tally::default()
            };
            call.account += tally;
        }
        works[*span].note(number, fed.fate, tally);
    }
}
