//! What becomes of a letter whose range was visited: it is deleted, moved to the unrecoverable queue, or stays where it is.
//!
//! ```text
//! handling ──┬─ each record has its end ──────────────────────────────────────────────► deleted
//!            ├─ some have none yet ───────────────────────────────────────────────────► it stays
//!            └─ some are past retention, or not there ──┬─ of the queue ──────────────► unrecoverable queue
//!                                                       └─ of the bucket: its payload ─┬─ each has its end ─► deleted
//!                                                                                      ├─ some have none ───► it stays
//!                                                                                      └─ unusable ─────────► unrecoverable queue
//! ```

use tidemark_engine::port::Clock;
use tidemark_telemetry::ErrorCode;

use super::one_call::Call;
use super::queue::{Moved, Origin};
use super::redrive::Redrive;
use super::work::{Handling, Holder, Stage, Unpacked, Work};
use crate::api::{Problem, Tally};
use crate::letter::Rejection;
use crate::port::{Inbox, Processor, Received, ShardReader};
use crate::walk::Walk;

/// What is to be deleted: receipts of the queue, and names of the bucket.
#[derive(Debug, Default)]
struct Done {
    receipts: Vec<String>,
    keys: Vec<String>,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// Where a letter lies, for who moves it.
    fn origin(&self, holder: Holder, receipt: &str) -> Origin<'_, I> {
        match holder {
            Holder::Queue => Origin::Queue(&self.queues.dead_letter, receipt.to_owned()),
            Holder::Bucket => Origin::Bucket,
        }
    }

    pub(super) async fn reject(&self, call: &mut Call<'_>, holder: Holder, message: &Received, why: &Rejection) {
        let mark = call.mark();
        call.account.messages += 1;
        let from = self.origin(holder, &message.receipt);
        if self.move_out(call, from, moved(message, None), why).await {
            call.account.rejected_messages += 1;
        } else {
            call.stayed(mark, Tally::default());
        }
    }

    /// A closed shard goes when its last record is past retention.
    pub(super) async fn gone(&self, call: &mut Call<'_>, work: &mut Work) {
        let mut why = None;
        if work.holder == Holder::Bucket {
            match self.unpack(call, work).await {
                Unpacked::Unusable(rejection) => why = Some(rejection),
                Unpacked::Cut => {
                    work.stage = Stage::Cut;
                    return;
                }
                Unpacked::Absent => return absent(call, work),
                Unpacked::Ended | Unpacked::Failed => {
                    let (handling, mut done) = (work.unpacked(), Done::default());
                    self.close(call, work, handling, None, &mut done).await;
                    self.delete_done(call, done).await;
                    return;
                }
            }
        }
        work.stage = Stage::Settled;
        let (records, found) = (work.letter.records, work.ended);
        let lost = records.saturating_sub(found);
        let mark = call.mark();
        count_once(call, work);
        let detail = format!("{lost} of {records} records: the stream no longer has their shard");
        let why = told(Rejection::new(ErrorCode::ShardGone, detail), why);
        let is_moved = self.has_text(call, work).await && {
            let moved = moved(&work.message, Some((records, found)));
            let from = self.origin(work.holder, &work.message.receipt);
            self.move_out(call, from, moved, &why).await
        };
        if is_moved {
            call.account.trimmed += lost;
            call.account.unrecoverable_messages += 1;
        } else {
            call.account.returned += lost;
            call.stayed(mark, work.tally);
        }
        work.forget_text();
    }

    /// Deletes, moves or keeps the messages whose ranges were visited.
    pub(super) async fn settle(&self, call: &mut Call<'_>, walk: &Walk, works: &mut [Work]) {
        let mut done = Done::default();
        for (at, work) in works.iter_mut().enumerate() {
            let Some(end) = walk.end(at).filter(|_| work.stage == Stage::Open) else {
                continue;
            };
            let handling = work.handling(end);
            if work.holder == Holder::Queue || !handling.asks_for_payload() {
                self.close(call, work, handling, None, &mut done).await;
                continue;
            }
            match self.unpack(call, work).await {
                Unpacked::Ended | Unpacked::Failed => {
                    let handling = work.unpacked();
                    self.close(call, work, handling, None, &mut done).await;
                }
                Unpacked::Unusable(why) => self.close(call, work, handling, Some(why), &mut done).await,
                Unpacked::Cut => work.stage = Stage::Cut,
                Unpacked::Absent => absent(call, work),
            }
        }
        self.delete_done(call, done).await;
    }

    async fn delete_done(&self, call: &mut Call<'_>, done: Done) {
        self.delete(call, &self.queues.dead_letter, done.receipts).await;
        self.delete_objects(call, done.keys).await;
    }

    /// Decides what becomes of a message. `why`: why its payload can't be used, where it was needed.
    async fn close(
        &self,
        call: &mut Call<'_>,
        work: &mut Work,
        handling: Handling,
        why: Option<Rejection>,
        done: &mut Done,
    ) {
        work.stage = Stage::Settled;
        let mark = call.mark();
        count_once(call, work);
        call.account.found += work.failed;
        let is_gone = match handling {
            Handling::Done { beyond } => {
                call.account.filtered_out += beyond;
                if call.request.dry_run {
                    work.stay(call);
                } else if work.holder == Holder::Queue {
                    done.receipts.push(work.message.receipt.clone());
                } else {
                    done.keys.push(work.message.id.clone());
                }
                true
            }
            handling => self.not_done(call, work, handling, why).await,
        };
        if !is_gone {
            call.stayed(mark, work.tally);
        }
        work.forget_text();
    }

    /// A message whose range did not come to its end as a whole. Whether it left its queue.
    async fn not_done(
        &self,
        call: &mut Call<'_>,
        work: &mut Work,
        handling: Handling,
        unusable: Option<Rejection>,
    ) -> bool {
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
        let is_moved = self.has_text(call, work).await && {
            let moved = moved(&work.message, Some((records, work.ended)));
            let from = self.origin(work.holder, &work.message.receipt);
            self.move_out(call, from, moved, &told(why, unusable)).await
        };
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

/// Why a letter is moved whose payload was needed and is of no use: both, under the code of the payload.
fn told(why: Rejection, unusable: Option<Rejection>) -> Rejection {
    match unusable {
        Some(unusable) => Rejection::new(unusable.code, format!("{}; {}", why.detail, unusable.detail)),
        None => why,
    }
}

/// Another redrive has taken the object to its end and deleted it meanwhile: nothing of it counts here.
fn absent(call: &mut Call<'_>, work: &mut Work) {
    work.stage = Stage::Settled;
    if work.is_resumed() {
        call.account.returned += work.letter.records.saturating_sub(work.ended);
    } else {
        call.account -= work.tally;
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
    work.stay(call);
}

/// A message that the call stopped before or inside: the next call goes on with it. `trimmed` says whether the walk found the
/// start of its range trimmed.
pub(super) fn leave(call: &mut Call<'_>, work: &Work, trimmed: bool) {
    if call.is_shared() {
        let mark = call.mark();
        call.stayed(mark, work.tally);
        if work.failed > 0 {
            work.stay(call);
        } else {
            work.hold(call);
        }
        return;
    }
    if work.failed > 0 {
        count_once(call, work);
        call.account.found += work.failed;
        let without_end = work.letter.records.max(work.ended + work.failed) - work.ended;
        stays(call, work, without_end, false);
        return;
    }
    if work.is_begun() {
        count_once(call, work);
        call.remember(work.part(trimmed));
    }
    work.hold(call);
}
