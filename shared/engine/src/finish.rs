//! After the commits: decisions recorded, outcomes sent, bad records quarantined.

use futures_util::{StreamExt, stream};
use tidemark_domain::control::Mode;

use crate::call::{BatchContext, lock, with_retries};
use crate::config::{OUTCOMES_SEND_BYTES_MAX, OUTCOMES_SEND_MAX, QUARANTINE_SEND_BYTES_MAX, QUARANTINE_SEND_MAX};
use crate::engine::Engine;
use crate::plan::Refused;
use crate::port::{
    Clock, DecisionRecord, OutcomeRecord, PutOnce, Quarantine, QuarantineMessage, ScoreSink, StateStore,
};
use crate::quarantine;
use crate::record::InRecord;
use crate::report::{BatchReport, Returned};
use crate::segment::OutcomeStep;
use crate::send::{SliceLimit, send_all};
use crate::sent::{Mark, hash_of};
use crate::user_record::UserRecords;

/// What the sink is given in one call.
const OUTCOME_SLICE: SliceLimit<OutcomeRecord> = SliceLimit {
    items_max: OUTCOMES_SEND_MAX,
    bytes_max: OUTCOMES_SEND_BYTES_MAX,
    bytes_of: |outcome| outcome.bytes.len(),
};
/// What the quarantine is given in one call.
const QUARANTINE_SLICE: SliceLimit<QuarantineMessage> = SliceLimit {
    items_max: QUARANTINE_SEND_MAX,
    bytes_max: QUARANTINE_SEND_BYTES_MAX,
    bytes_of: |message| message.payload_base64.len(),
};

/// A record's outcome on its way.
pub(crate) type Outgoing = (usize, Box<OutcomeStep>);

/// What became of the outcomes.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Records whose decision, if any, is recorded and whose outcome is sent, in the order given.
    pub(crate) sent: Vec<Outgoing>,
    /// So many of them an earlier try had sent.
    pub(crate) sent_before: u64,
    /// Marks of `sent`, in its order.
    pub(crate) marks: Vec<Mark>,
    /// Bytes of those outcomes.
    pub(crate) bytes: u64,
    /// Whether nothing was sent nor recorded, because the mode says so.
    pub(crate) withheld: bool,
    /// Decisions that were recorded now.
    pub(crate) decisions_recorded: u64,
    /// Records that must come again.
    pub(crate) returned: Vec<(usize, Returned)>,
}

/// What became of the bad records.
#[derive(Debug, Default)]
pub(crate) struct Quarantined {
    /// Records whose every message is in the quarantine.
    pub(crate) kept: Vec<Refused>,
    /// Messages that were taken.
    pub(crate) messages: u64,
    /// Records that must come again.
    pub(crate) returned: Vec<(usize, Returned)>,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// Sends outcomes; in `shadow` they end with the state that holds them, and no decision is recorded.
    pub(crate) async fn send_or_withhold(
        &self,
        context: &BatchContext,
        batch: &[InRecord<'_>],
        records: &UserRecords<'_>,
        outgoing: Vec<Outgoing>,
    ) -> Sent {
        if context.directives.mode == Mode::Shadow {
            return Sent {
                sent: outgoing,
                withheld: true,
                ..Sent::default()
            };
        }
        let (before, outgoing) = self.take_sent_before(batch, records, outgoing);
        let mut sent = self.send_outcomes(context, outgoing).await;
        if !before.is_empty() {
            sent.sent_before = before.len() as u64;
            sent.marks.extend(
                before
                    .iter()
                    .map(|(record, step)| (*record, hash_of(&step.outcome.bytes))),
            );
            sent.marks.sort_unstable_by_key(|(record, _)| *record);
            sent.sent.extend(before);
            sent.sent.sort_unstable_by_key(|(record, _)| *record);
        }
        sent
    }

    /// Parts outcomes that an earlier try of the batch had sent from those that are to be sent.
    fn take_sent_before(
        &self,
        batch: &[InRecord<'_>],
        records: &UserRecords<'_>,
        outgoing: Vec<Outgoing>,
    ) -> (Vec<Outgoing>, Vec<Outgoing>) {
        let mut known = lock(&self.sent_before);
        if known.is_empty() {
            return (Vec::new(), outgoing);
        }
        // The user records of a record are next to each other.
        let (mut at, mut first, mut marks) = (usize::MAX, 0, Vec::new());
        outgoing.into_iter().partition(|(record, step)| {
            let user = &records.all[*record];
            if user.record != at {
                at = user.record;
                first = records.first_of(at, *record);
                marks = known.take(&batch[at]);
            }
            let of_record = marks.binary_search_by_key(&(*record - first), |(within, _)| *within);
            of_record.is_ok_and(|found| marks[found].1 == hash_of(&step.outcome.bytes))
        })
    }

    /// Remembers the outcomes that were sent of records that come again.
    pub(crate) fn keep_sent(&self, batch: &[InRecord<'_>], report: &BatchReport, sent: &Sent) {
        if report.retry_from.is_some() {
            lock(&self.sent_before).keep(batch, report, &sent.marks);
        }
    }

    /// Records alerts, then sends outcomes, in the order given.
    pub(crate) async fn send_outcomes(&self, context: &BatchContext, mut outgoing: Vec<Outgoing>) -> Sent {
        let mut done = Sent::default();
        let failed = self
            .record_decisions(context, &outgoing, &mut done.decisions_recorded)
            .await;
        outgoing.retain(|(record, _)| !failed.iter().any(|(failed, _)| failed == record));
        done.returned = failed;
        let mut outcomes = Vec::with_capacity(outgoing.len());
        let mut known = Vec::with_capacity(outgoing.len());
        for (_, step) in &mut outgoing {
            let empty = OutcomeRecord {
                card_id: step.outcome.card_id.clone(),
                bytes: Vec::new(),
            };
            known.push((step.outcome.bytes.len() as u64, hash_of(&step.outcome.bytes)));
            outcomes.push(std::mem::replace(&mut step.outcome, empty));
        }
        let call = |slice: Vec<OutcomeRecord>| async move { (self.sink.send(&slice).await, slice) };
        let bounds = (self.config.attempts_max, context.bounds.last_call_at_ms);
        let not_sent = send_all(context, &self.clock, bounds, &OUTCOME_SLICE, outcomes, call).await;
        for ((at, item), (bytes, hash)) in outgoing.into_iter().enumerate().zip(known) {
            if let Some(returned) = not_sent.of(at, Returned::SinkFailed) {
                done.returned.push((item.0, returned));
            } else {
                done.bytes += bytes;
                done.marks.push((item.0, hash));
                done.sent.push(item);
            }
        }
        done
    }

    /// Records the alerts among the outcomes; the records whose decision could not be.
    async fn record_decisions(
        &self,
        context: &BatchContext,
        outgoing: &[Outgoing],
        recorded: &mut u64,
    ) -> Vec<(usize, Returned)> {
        let calls = outgoing.iter().filter_map(|(record, step)| {
            let (event, expires_at_s) = step.alert.clone()?;
            let decision = DecisionRecord {
                event,
                outcome_json: step.outcome.bytes.clone(),
                expires_at_s,
            };
            Some(async move { (*record, self.record_decision(context, &decision).await) })
        });
        let calls = stream::iter(calls.collect::<Vec<_>>());
        let answers: Vec<_> = calls.buffered(self.config.commits_concurrent_max).collect().await;
        *recorded = answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Ok(PutOnce::Written)))
            .count() as u64;
        answers
            .into_iter()
            .filter_map(|(record, answer)| answer.err().map(|returned| (record, returned)))
            .collect()
    }

    async fn record_decision(&self, context: &BatchContext, decision: &DecisionRecord) -> Result<PutOnce, Returned> {
        let until_ms = context.bounds.last_call_at_ms;
        if self.clock.now_ms() >= until_ms {
            return Err(Returned::Deadline);
        }
        let call = || self.store.put_decision(decision);
        let answer = with_retries(context, &self.clock, self.config.attempts_max, until_ms, call).await;
        answer
            .map(|answer| context.metered(answer))
            .map_err(|_| Returned::DecisionFailed)
    }

    /// Puts bad records into the quarantine.
    pub(crate) async fn quarantine_all(
        &self,
        context: &BatchContext,
        batch: &[InRecord<'_>],
        records: &UserRecords<'_>,
        refused: Vec<Refused>,
    ) -> Quarantined {
        let mut done = Quarantined::default();
        let mut messages = Vec::with_capacity(refused.len());
        let mut parts = Vec::with_capacity(refused.len());
        for Refused { record, refusal } in &refused {
            let user = &records.all[*record];
            let of_record = quarantine::messages(&batch[user.record], user, refusal);
            parts.push(messages.len()..messages.len() + of_record.len());
            messages.extend(of_record);
        }
        let count = messages.len();
        let call = |slice: Vec<QuarantineMessage>| async move { (self.quarantine.put(&slice).await, slice) };
        let bounds = (self.config.attempts_max, context.bounds.last_call_at_ms);
        let not_sent = send_all(context, &self.clock, bounds, &QUARANTINE_SLICE, messages, call).await;
        done.messages = (0..count)
            .filter(|at| not_sent.of(*at, Returned::QuarantineFailed).is_none())
            .count() as u64;
        for (refused, mut parts) in refused.into_iter().zip(parts) {
            match parts.find_map(|part| not_sent.of(part, Returned::QuarantineFailed)) {
                Some(returned) => done.returned.push((refused.record, returned)),
                None => done.kept.push(refused),
            }
        }
        done
    }
}
