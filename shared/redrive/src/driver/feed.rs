//! Records into the engine, in batches and at the run's rate.

use tidemark_engine::port::Clock;
use tidemark_engine::report::{End, Returned};
use tidemark_engine::retry::ends_ms;
use tidemark_engine::{BatchReport, InRecord};

use super::one_call::Call;
use super::redrive::Redrive;
use crate::api::{Stopped, Tally};
use crate::port::{Inbox, Processor, ShardReader};
use crate::source::Source;

/// What became of a record in this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redriven {
    /// It has its end (or was only looked at, in a dry run). The tally has it.
    Ended,
    /// The engine could not take it to an end.
    Failed,
    /// The call stopped before it.
    NotYet,
}

/// What became of a record, and what it added to the call's tally.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fed {
    pub(super) fate: Redriven,
    pub(super) tally: Tally,
}

impl Fed {
    /// One that the call stopped before.
    pub(super) fn not_yet() -> Self {
        Self::nothing(Redriven::NotYet)
    }

    fn nothing(fate: Redriven) -> Self {
        let tally = Tally::default();
        Self { fate, tally }
    }
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> Redrive<R, I, P, C> {
    /// Takes records to their end, in their order, as far as the call's bounds allow.
    pub(super) async fn feed(&self, call: &mut Call<'_>, records: &[InRecord<'_>]) -> Vec<Fed> {
        let mut fates = Vec::with_capacity(records.len());
        let batch_max = call.record_pace.batch_max(self.config.batch_records_max);
        while fates.len() < records.len() && call.may_go_on(self.clock.now_ms()) {
            let left = usize::try_from(call.records_left()).unwrap_or(usize::MAX);
            if left == 0 {
                call.stop(Stopped::RecordsMax);
                break;
            }
            let rest = &records[fates.len()..];
            let batch = &rest[..rest.len().min(batch_max).min(left)];
            if !self.pause(call, batch.len()).await {
                break;
            }
            if call.request.dry_run {
                call.account.found += batch.len() as u64;
                fates.extend(batch.iter().map(|_| Fed::nothing(Redriven::Ended)));
                continue;
            }
            // In a box of its own: the future of a whole batch is large.
            let report = Box::pin(self.processor.process(batch, call.engine_deadline_ms)).await;
            let of_batch = tally(call, batch, &report);
            let came_to = |fate| of_batch.iter().filter(|fed| fed.fate == fate).count();
            let (ended, failed) = (came_to(Redriven::Ended), came_to(Redriven::Failed));
            fates.extend(of_batch);
            call.batch_done(ended, failed);
            // In a range, a card's later events wait for those that failed (I4): they are of a later batch, which waits too.
            if failed > 0 && call.request.source == Source::Range {
                break;
            }
        }
        fates.resize(records.len(), Fed::not_yet());
        fates
    }

    /// Waits for the rate; whether there is time for a batch after it.
    async fn pause(&self, call: &mut Call<'_>, records: usize) -> bool {
        let now_ms = self.clock.now_ms();
        let wait_ms = call.record_pace.take(records, now_ms);
        if ends_ms(now_ms, wait_ms) >= call.stop_at_ms {
            call.stop(Stopped::Deadline);
            return false;
        }
        if wait_ms > 0 {
            self.clock.sleep_ms(wait_ms).await;
        }
        true
    }
}

/// Counts the ends of a batch: the fates of its records, or of those before the first that was one too many.
fn tally(call: &mut Call<'_>, batch: &[InRecord<'_>], report: &BatchReport) -> Vec<Fed> {
    call.stats.units += report.units;
    call.stats.throttles += report.throttles;
    call.stats.retries += report.retries;
    let mut ends = report.ends_by_record();
    let mut fates = Vec::with_capacity(batch.len());
    for record in batch {
        let of_record = ends.next().unwrap_or_default();
        if of_record.contains(&End::Returned(Returned::BatchLimit)) && !fates.is_empty() {
            // No failure: this record and those behind it are the next batch, of which the first always fits.
            break;
        }
        let fed = count(call, of_record);
        if fed.fate == Redriven::Ended {
            call.recovered(record.arrival_ms);
        }
        fates.push(fed);
    }
    fates
}

/// Counts the ends of one record: an aggregated one has many. It has its end when all of them have theirs; until then none of
/// them is counted, for they are counted when it comes again.
fn count(call: &mut Call<'_>, ends: &[End]) -> Fed {
    let returned = |end: &End| matches!(end, End::Returned(_));
    if ends.contains(&End::Returned(Returned::Deadline)) {
        call.stop(Stopped::Deadline);
        return Fed::not_yet();
    }
    if ends.is_empty() || ends.iter().any(returned) {
        return Fed::nothing(Redriven::Failed);
    }
    let mut tally = Tally {
        found: 1,
        unpacked: ends.len() as u64 - 1,
        ..Tally::default()
    };
    for end in ends {
        match end {
            End::Scored => tally.scored += 1,
            End::Duplicate => tally.already_done += 1,
            End::Applied => tally.applied += 1,
            End::Quarantined(code) => {
                tally.quarantined += 1;
                *call.stats.refused.entry(*code).or_default() += 1;
            }
            End::Returned(_) => {}
        }
    }
    call.account += tally;
    Fed {
        fate: Redriven::Ended,
        tally,
    }
}
