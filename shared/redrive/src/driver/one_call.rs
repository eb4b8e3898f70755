//! One call as a value: its counts, its bounds, and what its cursor will hold. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::port::Units;
use tidemark_telemetry::ErrorCode;
use xxhash_rust::xxh3::xxh3_64;

use crate::api::{Problem, Request, Response, Stopped, Tally};
use crate::cursor::{CURSOR_VERSION, Cursor, Part, ShardLeft};
use crate::limits::{
    ANSWER_MS, CALL_MS_MAX, CLEANUP_MS, FAILED_BATCHES_MAX, HELD_MESSAGES_MAX, HIDDEN_SLACK_S, PARTS_MAX, PROBLEMS_MAX,
    RedriveConfig, SEEN_MESSAGES_MAX, STOP_MARGIN_MS,
};
use crate::rate::{ReadPace, RecordPace};
use crate::source::Source;

/// What there is to report of a call beside its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Arrival of the oldest record that came to its end, milliseconds since 1970-01-01T00:00:00Z.
    pub oldest_arrival_ms: Option<i64>,
    /// Arrival of the oldest record that a letter waits for, of all that were looked at, milliseconds since 1970-01-01T00:00:00Z.
    pub oldest_letter_ms: Option<i64>,
    /// Reads of the stream, those that failed included.
    pub reads: u64,
    /// Calls that were throttled: the redrive's own and the engine's.
    pub throttles: u64,
    /// Calls repeated: the redrive's own and the engine's.
    pub retries: u64,
    /// Records that were refused (again), by reason.
    pub refused: BTreeMap<RefusalCode, u64>,
    /// Capacity consumed.
    pub units: Units,
}

/// What one call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutcome {
    /// The answer.
    pub response: Response,
    /// What else there is to report.
    pub stats: Stats,
}

/// A place in a call's tally and its problems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    account: Tally,
    problems: usize,
}

pub(super) struct Call<'r> {
    pub(super) request: &'r Request,
    /// When the run began, which may be calls ago.
    pub(super) started_ms: i64,
    pub(super) account: Tally,
    pub(super) stats: Stats,
    pub(super) read_pace: ReadPace,
    pub(super) record_pace: RecordPace,
    /// From here on no batch and no read is begun.
    pub(super) stop_at_ms: i64,
    /// When the engine must be done.
    pub(super) engine_deadline_ms: i64,
    /// From here on no call of a queue is made.
    pub(super) last_call_at_ms: i64,
    /// How long a message that is received now is hidden, counted from the call's begin, seconds.
    hidden_until_ms: i64,
    stopped: Option<Stopped>,
    problems: Vec<Problem>,
    problems_left_out: u64,
    seen: BTreeSet<String>,
    /// Receipts of messages that stay in their queue.
    held: Vec<String>,
    parts: Vec<Part>,
    pub(super) shards: Vec<ShardLeft>,
    failed_batches: u32,
}

impl<'r> Call<'r> {
    pub(super) fn new(request: &'r Request, config: &RedriveConfig, now_ms: i64, deadline_ms: i64) -> Self {
        let deadline_ms = deadline_ms.min(now_ms.saturating_add(CALL_MS_MAX));
        let cursor = request.cursor.as_ref();
        let rate = request.rate_per_second.unwrap_or(u32::MAX);
        Self {
            request,
            started_ms: cursor.map_or(now_ms, |cursor| cursor.started_ms.min(now_ms)),
            account: Tally::default(),
            stats: Stats::default(),
            read_pace: ReadPace::new(config.reads_per_second_max),
            record_pace: RecordPace::new(rate.min(config.rate_per_second_max)),
            stop_at_ms: deadline_ms - STOP_MARGIN_MS,
            engine_deadline_ms: deadline_ms - CLEANUP_MS,
            last_call_at_ms: deadline_ms - ANSWER_MS,
            hidden_until_ms: deadline_ms + HIDDEN_SLACK_S * 1_000,
            stopped: None,
            problems: Vec::new(),
            problems_left_out: 0,
            seen: cursor
                .map(|cursor| cursor.seen.iter().cloned().collect())
                .unwrap_or_default(),
            held: Vec::new(),
            parts: cursor.map(|cursor| cursor.parts.clone()).unwrap_or_default(),
            shards: cursor.map(|cursor| cursor.shards.clone()).unwrap_or_default(),
            failed_batches: 0,
        }
    }

    /// Whether work may go on now; when it is too late, the call stops.
    pub(super) fn may_go_on(&mut self, now_ms: i64) -> bool {
        if self.stopped.is_none() && now_ms >= self.stop_at_ms {
            self.stop(Stopped::Deadline);
        }
        self.stopped.is_none()
    }

    /// Whether other runs take messages of the same queue side by side with this one.
    pub(super) fn is_shared(&self) -> bool {
        self.request.share.is_some()
    }

    /// The place among so many shards with which this run begins.
    pub(super) fn first_place(&self, shards: usize) -> usize {
        let share = self
            .request
            .share
            .map_or((0, 1), |share| (share.index, share.of.max(1)));
        let place = shards as u64 * u64::from(share.0) / u64::from(share.1);
        usize::try_from(place).unwrap_or_default()
    }

    /// Whether the letters of a bucket of the shard at that place are this run's: nothing hides an object from the runs beside it.
    pub(super) fn takes_place(&self, place: usize) -> bool {
        let share = self.request.share;
        share.is_none_or(|share| place as u64 % u64::from(share.of.max(1)) == u64::from(share.index))
    }

    /// What is counted and told so far, before a message is decided on.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            account: self.account,
            problems: self.problems.len(),
        }
    }

    /// A message stays in its queue. In a shared run it may come to another one, so nothing of it counts here: neither what was
    /// counted and told since the mark, nor what its records counted before.
    pub(super) fn stayed(&mut self, since: Mark, of_records: Tally) {
        if self.is_shared() {
            self.account = since.account;
            self.account -= of_records;
            self.problems.truncate(since.problems);
        }
    }

    /// Ends the call; the first reason stands.
    pub(super) fn stop(&mut self, why: Stopped) {
        self.stopped.get_or_insert(why);
    }

    /// Stops when the request allows no further record.
    pub(super) fn reached_records_max(&mut self) {
        if self.records_left() == 0 {
            self.stop(Stopped::RecordsMax);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// How many records this call may still find.
    pub(super) fn records_left(&self) -> u64 {
        let max = self.request.records_max.unwrap_or(u64::MAX);
        max.saturating_sub(self.account.found)
    }

    /// How long a message that is received now is to be hidden, seconds: until this call is surely over.
    pub(super) fn hidden_s(&self, now_ms: i64) -> u32 {
        u32::try_from((self.hidden_until_ms - now_ms).max(1_000) / 1_000).unwrap_or(u32::MAX)
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX - 1 {
            self.problems.push(problem);
        } else {
            self.problems_left_out += 1;
        }
    }

    /// A message that stays in its queue until the next run.
    pub(super) fn keep(&mut self, message_id: &str, receipt: String) {
        self.see(message_id);
        self.hold(receipt);
    }

    /// Remembers a message or an object that stays where it is. An object is hidden from nobody, so there is nothing to hold of it.
    pub(super) fn see(&mut self, id: &str) {
        if self.seen.len() >= SEEN_MESSAGES_MAX {
            self.overflow("more messages stay in the queue than a run remembers");
        } else {
            self.seen.insert(fingerprint(id));
        }
    }

    /// A message that is made visible again when the call ends.
    pub(super) fn hold(&mut self, receipt: String) {
        self.held.push(receipt);
        if self.held.len() >= HELD_MESSAGES_MAX {
            self.overflow("more messages that are not of this run came than a call keeps hidden");
        }
    }

    fn overflow(&mut self, detail: &str) {
        if !self.is_stopped() {
            self.problem(Problem::new(ErrorCode::RedriveInterrupted, None, detail));
        }
        self.stop(Stopped::Error);
    }

    pub(super) fn take_held(&mut self) -> Vec<String> {
        std::mem::take(&mut self.held)
    }

    /// Whether a message is one that this run looks at, and has not looked at.
    pub(super) fn is_new(&self, message_id: &str, sent_ms: i64) -> bool {
        sent_ms <= self.started_ms && !self.seen.contains(&fingerprint(message_id))
    }

    /// What an earlier call of this run did of a message.
    pub(super) fn take_part(&mut self, message_id: &str) -> Option<Part> {
        let at = self.parts.iter().position(|part| part.message_id == message_id)?;
        Some(self.parts.swap_remove(at))
    }

    pub(super) fn remember(&mut self, part: Part) {
        if self.parts.len() < PARTS_MAX {
            self.parts.push(part);
        }
    }

    /// Notes whether a batch gave any record its end; after too many in a row that did not, the run stops.
    pub(super) fn batch_done(&mut self, ended: usize, failed: usize) {
        if ended > 0 {
            self.failed_batches = 0;
        } else if failed > 0 {
            self.failed_batches += 1;
        }
        if self.failed_batches >= FAILED_BATCHES_MAX && !self.is_stopped() {
            let detail = format!("{} batches in a row brought no record to its end", self.failed_batches);
            self.problem(Problem::new(ErrorCode::RecordsNotRedriven, None, detail));
            self.stop(Stopped::Error);
        }
    }

    pub(super) fn recovered(&mut self, arrival_ms: i64) {
        let oldest = self.stats.oldest_arrival_ms.get_or_insert(arrival_ms);
        *oldest = (*oldest).min(arrival_ms);
    }

    /// Notes the arrival of the first record that a letter names.
    pub(super) fn waits(&mut self, arrival_ms: i64) {
        let oldest = self.stats.oldest_letter_ms.get_or_insert(arrival_ms);
        *oldest = (*oldest).min(arrival_ms);
    }

    pub(super) fn finish(mut self) -> CallOutcome {
        if self.request.source == Source::Range {
            // Nobody said how many there should be.
            self.account.expected = self.account.found;
        }
        if self.problems_left_out > 0 {
            let detail = format!("and {} further problems", self.problems_left_out);
            let code = ErrorCode::RecordsNotRedriven;
            self.problems.push(Problem::new(code, None, detail));
        }
        let stopped = self.stopped.unwrap_or(Stopped::Done);
        let cursor = (stopped != Stopped::Done).then(|| Cursor {
            version: CURSOR_VERSION,
            source: self.request.source,
            started_ms: self.started_ms,
            seen: self.seen.into_iter().collect(),
            parts: self.parts,
            shards: self.shards,
        });
        CallOutcome {
            response: Response {
                account: self.account,
                cursor,
                stopped,
                problems: self.problems,
            },
            stats: self.stats,
        }
    }
}

/// A message's id in 16 digits: a run may have to remember thousands.
fn fingerprint(message_id: &str) -> String {
    format!("{:016x}", xxh3_64(message_id.as_bytes()))
}

#[cfg(test)]
mod tests;
