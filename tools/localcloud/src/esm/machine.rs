//! The mapping as a whole: shards, invocations under way, what to do next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{Meaning, meaning_of};
use super::lane::{Batch, Busy, Condition, EsmRecord, LastInvocation, Next};
use super::notice::{Parties, notice};
use super::options::EsmOptions;
use super::shard::Shard;

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Invoke the function with these records, then call [`Esm::invoked`].
    Invoke {
        /// Names the batch in [`Esm::invoked`].
        batch_id: u64,
        /// The records' shard.
        shard: String,
        /// The records, in order.
        records: Vec<Arc<EsmRecord>>,
    },
    /// Send this message to the on-failure destination until it is taken, then call [`Esm::sent`].
    SendOnFailure {
        /// Names the batch in [`Esm::sent`].
        batch_id: u64,
        /// The message, JSON.
        message: String,
        /// The shard that the batch was read from.
        shard: String,
        /// Its records, for a destination that keeps them.
        records: Vec<Arc<EsmRecord>>,
    },
}

/// What became of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvokeOutcome {
    /// The function answered.
    Answered {
        /// The invocation's request id.
        request_id: String,
        /// The answer.
        response: Vec<u8>,
    },
    /// An error was thrown, the function timed out or its process ended.
    Failed {
        /// The invocation's request id.
        request_id: String,
    },
    /// The function was not run (throttled). It does not count as an attempt.
    NotRun,
}

/// What a mapping has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EsmStats {
    /// Records read from the stream.
    pub records_read: u64,
    /// Records that the function took.
    pub records_done: u64,
    /// Records that were given up, with a message to the destination where there is one.
    pub records_discarded: u64,
    /// Batches formed from what was read; parts of a bisected batch are not counted again.
    pub batches: u64,
    /// Invocations that ended.
    pub invocations: u64,
    /// Of these, ones that failed with an error or named what was not in the batch.
    pub failures: u64,
    /// Of these, ones that took a part of the batch.
    pub partial_failures: u64,
    /// Failures that counted against the retries.
    pub retries: u64,
    /// Batches cut in two, or cut at the number that the function named.
    pub bisections: u64,
    /// Invocations that the function refused to run.
    pub throttles: u64,
    /// On-failure messages that were taken.
    pub on_failure_sent: u64,
}

/// The mapping's state.
#[derive(Debug)]
pub struct Esm {
    options: EsmOptions,
    parties: Parties,
    shards: BTreeMap<String, Shard>,
    /// Which shard and lane a batch under way belongs to.
    under_way: BTreeMap<u64, (String, usize)>,
    next_batch: u64,
    wake_ms: Option<i64>,
    stats: EsmStats,
}

impl Esm {
    /// A mapping without shards. The ARNs go into on-failure messages.
    #[must_use]
    pub fn new(options: EsmOptions, stream_arn: &str, function_arn: &str) -> Self {
        Self {
            options,
            parties: Parties {
                stream_arn: stream_arn.to_owned(),
                function_arn: function_arn.to_owned(),
            },
            shards: BTreeMap::new(),
            under_way: BTreeMap::new(),
            next_batch: 1,
            wake_ms: None,
            stats: EsmStats::default(),
        }
    }

    /// Changes [`EsmOptions::record_age_s_max`], for what is under way, too.
    pub fn set_record_age(&mut self, age_s_max: Option<u32>) {
        self.options.record_age_s_max = age_s_max;
    }

    /// Names a shard of the stream. One that is known already stays as it is.
    pub fn add_shard(&mut self, id: &str, parents: &[String]) {
        if !self.shards.contains_key(id) {
            let shard = Shard::new(parents.to_vec(), self.options.parallelization_factor);
            self.shards.insert(id.to_owned(), shard);
        }
    }

    /// Whether a shard has been named.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.shards.contains_key(id)
    }

    /// Says that every record of a closed shard has been read.
    pub fn close_shard(&mut self, id: &str) {
        if let Some(shard) = self.shards.get_mut(id) {
            shard.closed = true;
            shard.settle();
        }
    }

    /// The shards to read from: those with room whose parents are finished. A parent that was never named counts as
    /// finished: its records are past retention.
    pub fn readable(&self) -> impl Iterator<Item = &str> {
        let finished = |parent: &String| self.shards.get(parent).is_none_or(|shard| shard.finished);
        self.shards
            .iter()
            .filter(move |(_, shard)| !shard.closed && shard.parents.iter().all(finished))
            .filter(|(_, shard)| shard.has_room(self.options.batch_size))
            .map(|(id, _)| id.as_str())
    }

    /// Takes records that were read from a shard, in order.
    pub fn accept(&mut self, shard: &str, records: Vec<EsmRecord>, now_ms: i64) {
        if let Some(shard) = self.shards.get_mut(shard) {
            self.stats.records_read += records.len() as u64;
            for record in records {
                shard.accept(record, now_ms);
            }
        }
    }

    /// What to do now. Each action is answered once; nothing else of its lane goes on before.
    pub fn poll(&mut self, now_ms: i64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.wake_ms = None;
        let ids: Vec<String> = self
            .shards
            .iter()
            .filter(|(_, s)| !s.is_idle())
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            for lane in 0..self.options.parallelization_factor as usize {
                self.poll_lane(&id, lane, now_ms, &mut actions);
            }
        }
        actions
    }

    fn poll_lane(&mut self, id: &str, index: usize, now_ms: i64, actions: &mut Vec<Action>) {
        // Each turn but the last gives up records that are too old, so the turns are bounded by the records.
        while let Some(lane) = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(index)) {
            match lane.next(&self.options, now_ms) {
                Next::Nothing => return,
                Next::Wait(until_ms) => {
                    self.wake_ms = Some(self.wake_ms.map_or(until_ms, |wake_ms| wake_ms.min(until_ms)));
                    return;
                }
                Next::Invoke(batch) => {
                    self.stats.batches += u64::from(batch.invocations == 0 && batch.last.is_none());
                    let batch_id = self.begin(id, index);
                    actions.push(Action::Invoke {
                        batch_id,
                        shard: id.to_owned(),
                        records: batch.records.clone(),
                    });
                    self.occupy(id, index, Busy::Invoking(batch));
                    return;
                }
                Next::Discard(batch, condition) => self.discard(id, index, batch, condition, now_ms, actions),
            }
        }
    }

    fn begin(&mut self, id: &str, lane: usize) -> u64 {
        let batch_id = self.next_batch;
        self.next_batch += 1;
        self.under_way.insert(batch_id, (id.to_owned(), lane));
        batch_id
    }

    fn occupy(&mut self, id: &str, index: usize, busy: Busy) {
        if let Some(lane) = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(index)) {
            lane.busy = busy;
        }
    }

    /// Gives a batch up: its records are done once the destination has the message, or at once without a destination.
    fn discard(
        &mut self,
        id: &str,
        index: usize,
        batch: Batch,
        condition: Condition,
        now_ms: i64,
        actions: &mut Vec<Action>,
    ) {
        self.stats.records_discarded += batch.records.len() as u64;
        let message = notice(&self.parties, id, &batch, condition, now_ms).filter(|_| self.options.on_failure);
        if let Some(message) = message {
            let batch_id = self.begin(id, index);
            actions.push(Action::SendOnFailure {
                batch_id,
                message,
                shard: id.to_owned(),
                records: batch.records.clone(),
            });
            self.occupy(id, index, Busy::Discarding(batch));
        } else if let Some(shard) = self.shards.get_mut(id) {
            shard.done(&batch.records);
        }
    }

    /// Takes the result of an invocation. Answers what is to be done at once; call [`Esm::poll`] for the rest.
    pub fn invoked(&mut self, batch_id: u64, outcome: &InvokeOutcome, now_ms: i64) -> Vec<Action> {
        let Some((id, index)) = self.under_way.remove(&batch_id) else {
            return Vec::new();
        };
        let Some(lane) = self.shards.get_mut(&id).and_then(|shard| shard.lanes.get_mut(index)) else {
            return Vec::new();
        };
        let Busy::Invoking(mut batch) = std::mem::take(&mut lane.busy) else {
            return Vec::new();
        };
        let (meaning, request_id) = match outcome {
            InvokeOutcome::NotRun => {
                self.stats.throttles += 1;
                batch.not_before_ms = now_ms + self.options.backoff_ms(1);
                lane.retry.push_front(batch);
                return Vec::new();
            }
            InvokeOutcome::Failed { request_id } => (Meaning::Whole { error: true }, request_id),
            InvokeOutcome::Answered { request_id, response } => (
                meaning_of(response, self.options.report_item_failures, &batch.records),
                request_id,
            ),
        };
        self.stats.invocations += 1;
        batch.invocations += 1;
        let error = meaning == Meaning::Whole { error: true };
        batch.last = Some(LastInvocation {
            request_id: request_id.clone(),
            error,
        });
        match meaning {
            Meaning::Success => {
                self.finish(&id, &batch.records);
                Vec::new()
            }
            Meaning::From(first) => {
                self.stats.partial_failures += 1;
                let rest = batch.records.split_off(first);
                self.finish(&id, &batch.records);
                let cut = first > 0;
                self.after_partial(&id, index, Batch { records: rest, ..batch }, cut, now_ms)
            }
            Meaning::Whole { .. } => {
                self.stats.failures += 1;
                self.after_failure(&id, index, batch, now_ms)
            }
        }
    }

    fn finish(&mut self, id: &str, records: &[Arc<EsmRecord>]) {
        self.stats.records_done += records.len() as u64;
        if let Some(shard) = self.shards.get_mut(id) {
            shard.done(records);
        }
    }

    /// The rest of a partial failure. With bisect, a cut does not use up a retry; a batch that failed from its first
    /// record was not cut, so that it ends.
    fn after_partial(&mut self, id: &str, index: usize, rest: Batch, cut: bool, now_ms: i64) -> Vec<Action> {
        if self.options.bisect_on_error && cut {
            self.stats.bisections += 1;
            self.again(
                id,
                index,
                Batch {
                    invocations: 0,
                    not_before_ms: now_ms,
                    ..rest
                },
            );
            return Vec::new();
        }
        self.retry_or_discard(id, index, rest, now_ms)
    }

    /// A batch that failed as a whole: with bisect its halves go on, and no retry is used up, until one record is left.
    fn after_failure(&mut self, id: &str, index: usize, mut batch: Batch, now_ms: i64) -> Vec<Action> {
        if !self.options.bisect_on_error || batch.records.len() < 2 {
            return self.retry_or_discard(id, index, batch, now_ms);
        }
        self.stats.bisections += 1;
        batch.invocations = 0;
        batch.not_before_ms = now_ms;
        let records = batch.records.split_off(batch.records.len().div_ceil(2));
        let second = Batch {
            records,
            ..batch.clone()
        };
        self.again(id, index, second);
        self.again(id, index, batch);
        Vec::new()
    }

    fn retry_or_discard(&mut self, id: &str, index: usize, mut batch: Batch, now_ms: i64) -> Vec<Action> {
        if self.options.retries_max.is_some_and(|most| batch.retries_used >= most) {
            let mut actions = Vec::new();
            self.discard(
                id,
                index,
                batch,
                Condition::RetryAttemptsExhausted,
                now_ms,
                &mut actions,
            );
            return actions;
        }
        self.stats.retries += 1;
        batch.retries_used += 1;
        batch.not_before_ms = now_ms + self.options.backoff_ms(batch.retries_used);
        self.again(id, index, batch);
        Vec::new()
    }

    /// Puts a batch before all else in its lane.
    fn again(&mut self, id: &str, index: usize, batch: Batch) {
        if let Some(lane) = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(index)) {
            lane.retry.push_front(batch);
        }
    }

    /// Says that the destination has taken a message: only now are its records done.
    pub fn sent(&mut self, batch_id: u64) {
        let Some((id, index)) = self.under_way.remove(&batch_id) else {
            return;
        };
        let Some(shard) = self.shards.get_mut(&id) else { return };
        let busy = shard.lanes.get_mut(index).map(|lane| std::mem::take(&mut lane.busy));
        if let Some(Busy::Discarding(batch)) = busy {
            self.stats.on_failure_sent += 1;
            shard.done(&batch.records);
        }
    }

    /// When [`Esm::poll`] has something to do again although nothing came in: the end of a window or of a wait.
    #[must_use]
    pub fn wake_ms(&self) -> Option<i64> {
        self.wake_ms
    }

    /// Whether every record that was read is done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.shards.values().all(Shard::is_idle)
    }

    /// Shards that are not finished.
    pub fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.shards
            .iter()
            .filter(|(_, shard)| !shard.finished)
            .map(|(id, _)| id.as_str())
    }

    /// By shard, the sequence number up to which everything is done. A mapping that starts again goes on after it.
    pub fn checkpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shards
            .iter()
            .filter_map(|(id, shard)| Some((id.as_str(), shard.checkpoint()?)))
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> EsmStats {
        self.stats
    }

    /// Changes `MaximumRecordAgeInSeconds`, as UpdateEventSourceMapping does; `None` is −1.
    pub fn set_record_age_s_max(&mut self, age_s: Option<u32>) {
        self.options.record_age_s_max = age_s;
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &EsmOptions {
        &self.options
    }
}
