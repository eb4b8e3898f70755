//! After the commits: decisions recorded, outcomes sent, bad records quarantined.

use futures_util::{StreamExt, stream};
use tidemark_domain::control::Mode;

use crate::call::{BatchContext, with_retries};
use crate::engine::Engine;
use crate::plan::Refused;
use crate::port::{
    Clock, DecisionRecord, OutcomeRecord, PortError, PutOnce, Quarantine, QuarantineMessage, ScoreSink, StateStore,
};
use crate::quarantine;
use crate::record::InRecord;
use crate::report::Returned;
use crate::segment::OutcomeStep;
use crate::user_record::UserRecords;

/// A record's outcome on its way.
pub(crate) type Outgoing = (usize, Box<OutcomeStep>);

/// What became of the outcomes.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Records whose decision, if any, is recorded and whose outcome is sent.
    pub(crate) sent: Vec<Outgoing>,
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
    pub(crate) async fn send_or_withhold(&self, context: &BatchContext, outgoing: Vec<Outgoing>) -> Sent {
        if context.directives.mode == Mode::Shadow {
            return Sent {
                sent: outgoing,
                withheld: true,
                ..Sent::default()
            };
        }
        self.send_outcomes(context, outgoing).await
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
        for (_, step) in &mut outgoing {
            let empty = OutcomeRecord {
                card_id: step.outcome.card_id.clone(),
                bytes: Vec::new(),
            };
            outcomes.push(std::mem::replace(&mut step.outcome, empty));
        }
        let sizes: Vec<usize> = outcomes.iter().map(|outcome| outcome.bytes.len()).collect();
        let call = |left: Vec<OutcomeRecord>| async move { (self.sink.send(&left).await, left) };
        let not_sent = self.send_all(context, outcomes, call).await;
        for (at, item) in outgoing.into_iter().enumerate() {
            if let Some(returned) = not_sent.of(at, Returned::SinkFailed) {
                done.returned.push((item.0, returned));
            } else {
                done.bytes += sizes[at] as u64;
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
        let call = |left: Vec<QuarantineMessage>| async move { (self.quarantine.put(&left).await, left) };
        let not_sent = self.send_all(context, messages, call).await;
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

    /// Sends items, and those again that were not taken, until all are, the budget is used up or it is too late.
    async fn send_all<T, F, R>(&self, context: &BatchContext, items: Vec<T>, call: F) -> NotSent
    where
        F: Fn(Vec<T>) -> R,
        R: Future<Output = (Result<Vec<usize>, PortError>, Vec<T>)>,
    {
        let until_ms = context.bounds.last_call_at_ms;
        let mut pending: Vec<usize> = (0..items.len()).collect();
        let mut left = items;
        let mut failed = 0;
        while !pending.is_empty() {
            if self.clock.now_ms() >= until_ms {
                return NotSent {
                    items: pending,
                    too_late: true,
                };
            }
            let (answer, sent) = call(left).await;
            left = sent;
            let error = match answer {
                Ok(not_taken) => {
                    keep_only(&mut pending, &mut left, &not_taken);
                    // Kinesis and SQS leave items out when they are throttled.
                    PortError::Throttled("items were not taken".to_owned())
                }
                Err(error) => error,
            };
            if pending.is_empty() {
                break;
            }
            failed += 1;
            let until_ms = if failed < self.config.attempts_max {
                until_ms
            } else {
                i64::MIN
            };
            let Some(pause_ms) = context.pause_after(Some(&error), failed, until_ms, &self.clock) else {
                break;
            };
            self.clock.sleep_ms(pause_ms).await;
        }
        NotSent {
            items: pending,
            too_late: false,
        }
    }
}

/// Items that were not sent.
struct NotSent {
    /// Their indexes, ascending.
    items: Vec<usize>,
    /// Whether time was the reason.
    too_late: bool,
}

impl NotSent {
    /// Why an item was not sent; `None`: it was.
    fn of(&self, item: usize, otherwise: Returned) -> Option<Returned> {
        self.items
            .binary_search(&item)
            .is_ok()
            .then_some(if self.too_late { Returned::Deadline } else { otherwise })
    }
}

/// Keeps those that were not taken, given by their place in both lists.
fn keep_only<T>(pending: &mut Vec<usize>, left: &mut Vec<T>, not_taken: &[usize]) {
    let mut keep = vec![false; pending.len()];
    for at in not_taken {
        // An index that was never asked for says nothing.
        if let Some(slot) = keep.get_mut(*at) {
            *slot = true;
        }
    }
    let mut at = 0;
    pending.retain(|_| {
        at += 1;
        keep[at - 1]
    });
    at = 0;
    left.retain(|_| {
        at += 1;
        keep[at - 1]
    });
}
