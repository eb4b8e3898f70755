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
use tidemark_telemetry::ErrorCode;

use super::feed::{Fed, Redriven};
use super::one_call::Call;
use super::queue::Moved;
use super::redrive::Redrive;
use super::step::Step;
use super::work::{Handling, Stage, Work};
use crate::api::{Problem, Tally};
use crate::letter::{Letter, Rejection, first_arrival_ms};
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
                    self.reject(call, &message, &why).await;
                    continue;
                }
            };
            if !call.request.reasons.is_empty() && !call.request.reasons.contains(&letter.condition) {
                call.keep(&message.id, message.receipt);
                continue;
            }
            let part = call.take_part(&message.id);
            match places.get(letter.shard_id.as_str()) {
                Some(at) => sorted.entry(*at).or_default().push(Work::new(message, letter, part)),
                None => self.gone(call, &Work::new(message, letter, part)).await,
            }
        }
        sorted
    }

    async fn reject(&self, call: &mut Call<'_>, message: &Received, why: &Rejection) {
        let mark = call.mark();
        call.account.messages += 1;
        let moved = moved(message, None);
        if self.move_out(call, &self.queues.dead_letter, moved, why).await {
            call.account.rejected_messages += 1;
        } else {
            call.stayed(mark, Tally::default());
        }
    }

    /// A closed shard goes when its last record is past retention.
    async fn gone(&self, call: &mut Call<'_>, work: &Work) {
        let (records, found) = (work.letter.records, work.ended);
        let lost = records.saturating_sub(found);
        let mark = call.mark();
        count_once(call, work);
        let detail = format!("{lost} of {records} records: the stream no longer has their shard");
        let why = Rejection::new(ErrorCode::ShardGone, detail);
        let moved = moved(&work.message, Some((records, found)));
        if self.move_out(call, &self.queues.dead_letter, moved, &why).await {
            call.account.trimmed += lost;
            call.account.unrecoverable_messages += 1;
        } else {
            call.account.returned += lost;
            call.stayed(mark, work.tally);
        }
    }

    /// One walk over one shard, for all its letters of a group.
    async fn shard(&self, call: &mut Call<'_>, shard_id: &str, mut works: Vec<Work>) {
        let mut walk = Walk::new(works.iter().map(Work::span).collect(), self.config.empty_pages_max);
        let mut iterator = String::new();
        loop {
            match self.step(call, shard_id, &mut walk, &mut iterator).await {
                Step::Page(page) => self.page(call, shard_id, &mut walk, &mut works, &page).await,
                Step::Expired => {}
                Step::NoShard => {
                    for work in works.iter_mut().filter(|work| work.is_unsettled()) {
                        self.gone(call, work).await;
                        work.stage = Stage::Settled;
                    }
                    return;
                }
                Step::Over => break,
            }
            self.settle(call, &walk, &mut works).await;
            if call.is_stopped() {
                break;
            }
        }
        self.settle(call, &walk, &mut works).await;
        for (at, work) in works.into_iter().enumerate().filter(|(_, work)| work.is_unsettled()) {
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
            .map(|hit| {
                let record = &page.records[hit.record];
                InRecord {
                    stream: &stream,
                    shard_id,
                    sequence_number: &record.sequence_number,
                    of_aggregate: None,
                    partition_key: &record.partition_key,
                    arrival_ms: record.arrival_ms,
                    data: &record.data,
                }
            })
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

    /// Deletes, moves or keeps the messages whose ranges were visited.
    async fn settle(&self, call: &mut Call<'_>, walk: &Walk, works: &mut [Work]) {
        let mut done = Vec::new();
        for (at, work) in works.iter_mut().enumerate() {
            let end = walk.end(at).filter(|_| work.stage == Stage::Open);
            let Some(end) = end else {
                continue;
            };
            work.stage = Stage::Settled;
            let mark = call.mark();
            count_once(call, work);
            call.account.found += work.failed;
            let is_gone = match work.handling(end) {
                Handling::Done { beyond } => {
                    call.account.filtered_out += beyond;
                    if call.request.dry_run {
                        call.keep(&work.message.id, work.message.receipt.clone());
                    } else {
                        done.push(work.message.receipt.clone());
                    }
                    true
                }
                handling => self.not_done(call, work, handling).await,
            };
            if !is_gone {
                call.stayed(mark, work.tally);
            }
        }
        self.delete(call, &self.queues.dead_letter, done).await;
    }

    /// A message whose range did not come to its end as a whole. Whether it left its queue.
    async fn not_done(&self, call: &mut Call<'_>, work: &Work, handling: Handling) -> bool {
        let records = work.letter.records;
        let (why, absent) = match handling {
            Handling::Stays {
                without_end,
                unfinished,
            } => {
                stays(call, work, without_end, unfinished);
                return false;
            }
            Handling::Trimmed { lost, beyond } => {
                call.account.filtered_out += beyond;
                let detail = format!("{lost} of {records} records are past the stream's retention");
                (Rejection::new(ErrorCode::PastRetention, detail), lost)
            }
            Handling::NotOfShard { missing } => {
                let detail = "KinesisBatchInfo.startSequenceNumber: the shard never gave it";
                (Rejection::new(ErrorCode::SequenceNumberInvalid, detail), missing)
            }
            Handling::Miscounted { missing } | Handling::Done { beyond: missing } => {
                let detail = format!("counts {records} records, {missing} more than its range holds");
                (Rejection::new(ErrorCode::LetterMiscounted, detail), missing)
            }
        };
        let is_lost = matches!(handling, Handling::Trimmed { .. });
        let moved = moved(&work.message, Some((records, work.ended)));
        let is_moved = self.move_out(call, &self.queues.dead_letter, moved, &why).await;
        let account = &mut call.account;
        // What stays in the queue is judged again by the next run: it is not lost yet, and is counted lost once.
        match (is_moved, is_lost) {
            (true, true) => {
                account.trimmed += absent;
                account.unrecoverable_messages += 1;
            }
            (true, false) => {
                account.missing += absent;
                account.rejected_messages += 1;
            }
            (false, _) => account.returned += absent,
        }
        is_moved
    }
}

fn moved(message: &Received, counts: Option<(u64, u64)>) -> Moved<'_> {
    Moved {
        message_id: &message.id,
        receipt: message.receipt.clone(),
        sent_ms: message.sent_ms,
        body: &message.body,
        counts,
    }
}

/// Counts a message and what it speaks of, in the first call that touches it.
fn count_once(call: &mut Call<'_>, work: &Work) {
    if !work.is_resumed() {
        call.account.messages += 1;
        call.account.expected += work.letter.records;
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

fn stays(call: &mut Call<'_>, work: &Work, without_end: u64, unfinished: bool) {
    call.account.returned += without_end;
    let (code, detail) = if unfinished {
        let detail = "its range's end was not reached: too many pages without a record".to_owned();
        (ErrorCode::WalkUnfinished, detail)
    } else {
        let detail = format!("{without_end} of {} records have no end yet", work.letter.records);
        (ErrorCode::RecordsNotRedriven, detail)
    };
    call.problem(Problem::new(code, Some(&work.message.id), detail));
    call.keep(&work.message.id, work.message.receipt.clone());
}

/// A message that the call stopped before or inside: the next call goes on with it. `trimmed` says whether the walk found the
/// start of its range trimmed.
fn leave(call: &mut Call<'_>, work: Work, trimmed: bool) {
    if call.is_shared() {
        let mark = call.mark();
        call.stayed(mark, work.tally);
        if work.failed > 0 {
            call.keep(&work.message.id, work.message.receipt);
        } else {
            call.hold(work.message.receipt);
        }
        return;
    }
    if work.failed > 0 {
        count_once(call, &work);
        call.account.found += work.failed;
        let without_end = work.letter.records.max(work.ended + work.failed) - work.ended;
        stays(call, &work, without_end, false);
        return;
    }
    if work.is_begun() {
        count_once(call, &work);
        call.remember(work.part(trimmed));
    }
    call.hold(work.message.receipt);
}
