//! A range of the stream: every record of it, shard by shard.

use std::collections::BTreeSet;

use tidemark_engine::InRecord;
use tidemark_engine::port::Clock;
use tidemark_telemetry::ErrorCode;

use super::feed::Redriven;
use super::one_call::Call;
use super::redrive::Redrive;
use super::step::Step;
use crate::api::{CutRange, Problem, RangeRequest};
use crate::cursor::ShardLeft;
use crate::limits::{ARRIVAL_SLACK_MS, CLOCK_SLACK_MS};
use crate::port::{Inbox, Page, Processor, ReadFrom, ShardReader, StreamRecord};
use crate::rate::BACKOFF;
use crate::scan::{Scan, ScanBounds};

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    pub(super) async fn range(&self, call: &mut Call<'_>) {
        let Some(range) = &call.request.range else {
            return;
        };
        // A cursor without shards is of a call that could not list them.
        if call.shards.is_empty() && !self.choose_shards(call, range).await {
            return;
        }
        while let Some(left) = call.shards.first().cloned() {
            if !call.may_go_on(self.clock.now_ms()) {
                return;
            }
            let left = self.scan(call, range, left).await;
            if call.is_stopped() {
                if let Some(first) = call.shards.first_mut() {
                    *first = left;
                }
                return;
            }
            call.shards.remove(0);
        }
    }

    /// The shards to visit, in their order. False: the one that was asked for is not there, or they could not be listed.
    async fn choose_shards(&self, call: &mut Call<'_>, range: &RangeRequest) -> bool {
        let Some(mut order) = self.shard_order(call).await else {
            return false;
        };
        if let Some(wanted) = &range.shard_id {
            order.retain(|id| id == wanted);
            if order.is_empty() {
                let detail = "the stream has no such shard";
                call.problem(Problem::new(ErrorCode::ShardGone, None, detail));
                return false;
            }
        }
        call.shards = order
            .into_iter()
            .map(|shard_id| ShardLeft {
                shard_id,
                after: None,
                done: Vec::new(),
            })
            .collect();
        true
    }

    /// Visits one shard; how far it came.
    async fn scan(&self, call: &mut Call<'_>, range: &RangeRequest, mut left: ShardLeft) -> ShardLeft {
        let shard_id = left.shard_id.clone();
        let bounds = bounds(range, left.after.as_ref(), call.started_ms);
        let mut scan = Scan::new(bounds, self.config.empty_pages_max);
        let mut iterator = String::new();
        // The call before this one may have read the shard just now.
        if range.cut.is_some_and(|cut| cut.begin_ms.is_some()) {
            call.read_pace.take(&shard_id, self.clock.now_ms());
        }
        loop {
            match self.step(call, &shard_id, &mut scan, &mut iterator).await {
                Step::Page(page) => self.range_page(call, &mut scan, &mut left, &page).await,
                Step::Expired => {}
                Step::NoShard => {
                    let detail = format!("shard {shard_id}: the stream no longer has it");
                    call.problem(Problem::new(ErrorCode::ShardGone, None, detail));
                    break;
                }
                Step::Over => break,
            }
            if call.is_stopped() {
                break;
            }
        }
        report(call, &scan, &shard_id);
        left
    }

    /// Takes the records of a page to their end. What fails is tried again before the next page: its card's later events wait.
    async fn range_page(&self, call: &mut Call<'_>, scan: &mut Scan, left: &mut ShardLeft, page: &Page) {
        let had: BTreeSet<String> = left.done.drain(..).collect();
        let hits = scan.page(&page.records, page.end());
        let of_range: Vec<&StreamRecord> = hits.iter().map(|at| &page.records[*at]).collect();
        let mut fates: Vec<Redriven> = of_range
            .iter()
            .map(|record| {
                if had.contains(&record.sequence_number) {
                    Redriven::Ended
                } else {
                    Redriven::NotYet
                }
            })
            .collect();
        let mut failed = 0;
        loop {
            let open: Vec<usize> = (0..fates.len()).filter(|at| fates[*at] != Redriven::Ended).collect();
            if open.is_empty() {
                break;
            }
            let shard_id = left.shard_id.clone();
            let records: Vec<InRecord<'_>> = open
                .iter()
                .map(|at| of_range[*at].of_shard(self.home.stream(), &shard_id))
                .collect();
            let came = self.feed(call, &records).await;
            for (at, fed) in open.into_iter().zip(came) {
                fates[at] = fed.fate;
            }
            if call.is_stopped() || fates.iter().all(|fate| *fate == Redriven::Ended) {
                break;
            }
            failed += 1;
            let pause_ms = BACKOFF.full_jitter_ms(failed, self.clock.random());
            self.clock.sleep_ms(pause_ms).await;
        }
        let without_end = fates.iter().filter(|fate| **fate == Redriven::Failed).count() as u64;
        call.account.returned += without_end;
        call.account.found += without_end;
        progress(left, &of_range, &fates);
    }
}

/// What a shard's part of the range is.
fn bounds(range: &RangeRequest, after: Option<&String>, started_ms: i64) -> ScanBounds {
    let cut = range.cut.unwrap_or_default();
    // A place of a time is as approximate as the time: what the cut leaves out is read and left out.
    let begin_ms = cut.begin_ms.map(|begin_ms| begin_ms.saturating_sub(ARRIVAL_SLACK_MS));
    let place_ms = range.since_ms.max(begin_ms);
    let from = match (after, &range.from_sequence_number, place_ms) {
        (Some(after), _, _) => ReadFrom::After(after.clone()),
        (None, Some(from), _) => ReadFrom::At(from.clone()),
        (None, None, Some(since_ms)) => ReadFrom::Time(since_ms),
        (None, None, None) => ReadFrom::Oldest,
    };
    ScanBounds {
        from,
        to: range.to_sequence_number.clone(),
        since_ms: range.since_ms,
        until_ms: range
            .until_ms
            .unwrap_or_else(|| started_ms.saturating_add(CLOCK_SLACK_MS)),
        cut: CutRange {
            begin_ms: cut.begin_ms.filter(|_| after.is_none()),
            ..cut
        },
    }
}

/// Every record up to `after` has its end, and those of `done`.
fn progress(left: &mut ShardLeft, records: &[&StreamRecord], fates: &[Redriven]) {
    let mut broken = false;
    for (record, fate) in records.iter().zip(fates) {
        broken |= *fate != Redriven::Ended;
        let number = record.sequence_number.clone();
        match (broken, *fate == Redriven::Ended) {
            (false, _) => left.after = Some(number),
            (true, true) => left.done.push(number),
            (true, false) => {}
        }
    }
}

fn report(call: &mut Call<'_>, scan: &Scan, shard_id: &str) {
    if scan.is_trimmed() {
        let detail = format!(
            "shard {shard_id}: the record with which the range begins, or after which it goes on, is not there: past retention, or never \
             given; the range went on with the oldest record that is there"
        );
        call.problem(Problem::new(ErrorCode::PastRetention, None, detail));
    }
    if scan.is_unfinished() {
        let detail = format!("shard {shard_id}: the range's end was not reached");
        call.problem(Problem::new(ErrorCode::WalkUnfinished, None, detail));
    }
}
