//! The fifth step: alerts are recorded as decisions, then outcomes are sent.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};
use tidemark_domain::control::Mode;
use tidemark_domain::id::EventKey;

use crate::call::{BatchContext, WriteDesk};
use crate::config::{OUTCOMES_SEND_BYTES_MAX, OUTCOMES_SEND_MAX};
use crate::desk::Desk;
use crate::fold::OutcomeStep;
use crate::hash::FixedMap;
use crate::lock::lock;
use crate::port::{Clock, DecisionItem, OutcomeRecord, PutOnce, ScoreSink, StateStore};
use crate::portion::CallLimit;
use crate::report::Returned;
use crate::send_all::send_all;
use crate::sent::{Mark, SentBefore, hash_of};
use crate::user_record::UserRecords;

/// What the sink is given in one call.
const OUTCOME_CALL: CallLimit<OutcomeRecord> = CallLimit {
    items_max: OUTCOMES_SEND_MAX,
    bytes_max: OUTCOMES_SEND_BYTES_MAX,
    bytes_of: |outcome| outcome.bytes.len(),
};

/// A record's outcome on its way.
pub(crate) type Outgoing = (usize, Box<OutcomeStep>);

/// What became of the outcomes.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Records whose decision, if any, is recorded and whose outcome is sent, in the order given.
    pub(crate) sent: Vec<Outgoing>,
    /// Marks of `sent`, in its order.
    pub(crate) marks: Vec<Mark>,
    /// Records that must come again.
    pub(crate) returned: Vec<(usize, Returned)>,
}

/// Sends outcomes; in `shadow` they end with the state that holds them, and no decision is recorded.
pub(crate) async fn send_or_withhold<S: StateStore, K: ScoreSink, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    sink: &K,
    sent_before: &Mutex<SentBefore>,
    records: &UserRecords<'_>,
    outgoing: Vec<Outgoing>,
) -> Sent {
    if context.directives.mode == Mode::Shadow {
        context.report().outcomes_withheld = outgoing.len() as u64;
        return Sent {
            sent: outgoing,
            ..Sent::default()
        };
    }
    let (before, outgoing) = take_sent_before(sent_before, records, outgoing);
    let mut sent = send(context, store, sink, outgoing).await;
    let mut report = context.report();
    report.outcomes_sent = sent.sent.len() as u64;
    if !before.is_empty() {
        report.outcomes_sent_before = before.len() as u64;
        let marks = before
            .iter()
            .map(|(record, step)| (*record, hash_of(&step.outcome.bytes)));
        sent.marks.extend(marks);
        sent.marks.sort_unstable_by_key(|(record, _)| *record);
        sent.sent.extend(before);
        sent.sent.sort_unstable_by_key(|(record, _)| *record);
    }
    sent
}

/// Parts outcomes that an earlier try of the batch had sent from those that are to be sent.
fn take_sent_before(
    sent_before: &Mutex<SentBefore>,
    records: &UserRecords<'_>,
    outgoing: Vec<Outgoing>,
) -> (Vec<Outgoing>, Vec<Outgoing>) {
    let mut known = lock(sent_before);
    if known.is_empty() {
        return (Vec::new(), outgoing);
    }
    // The user records of a record are next to each other.
    let (mut at, mut first, mut marks) = (usize::MAX, 0, Vec::new());
    outgoing.into_iter().partition(|(record, step)| {
        let came_in = records.all[*record].record;
        if came_in != at {
            at = came_in;
            first = records.first_of(at, *record);
            marks = known.take(&records.batch[at]);
        }
        let of_record = marks.binary_search_by_key(&(*record - first), |(within, _)| *within);
        of_record.is_ok_and(|found| marks[found].1 == hash_of(&step.outcome.bytes))
    })
}

/// Records alerts, then sends outcomes, in the order given.
async fn send<S: StateStore, K: ScoreSink, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    sink: &K,
    mut outgoing: Vec<Outgoing>,
) -> Sent {
    let failed = record_decisions(context, store, &outgoing).await;
    outgoing.retain(|(record, _)| !failed.iter().any(|(failed, _)| failed == record));
    let mut done = Sent {
        returned: failed,
        ..Sent::default()
    };
    let mut outcomes = Vec::with_capacity(outgoing.len());
    let mut known = Vec::with_capacity(outgoing.len());
    for (_, step) in &mut outgoing {
        let empty = OutcomeRecord {
            card_id: step.outcome.card_id.clone(),
            bytes: Vec::new(),
        };
        known.push((
            step.outcome.bytes.len().div_ceil(1_024) as u64,
            hash_of(&step.outcome.bytes),
        ));
        outcomes.push(std::mem::replace(&mut step.outcome, empty));
    }
    let call = |portion: Vec<OutcomeRecord>| async move { (sink.send(&portion).await, portion) };
    let not_sent = send_all(context, context.bounds.last_call_at_ms, &OUTCOME_CALL, outcomes, call).await;
    let mut sent_kib = 0;
    for ((at, item), (kib, hash)) in outgoing.into_iter().enumerate().zip(known) {
        if let Some(returned) = not_sent.of(at, Returned::SinkFailed) {
            done.returned.push((item.0, returned));
        } else {
            sent_kib += kib;
            done.marks.push((item.0, hash));
            done.sent.push(item);
        }
    }
    context.report().outcome_kib = sent_kib;
    done
}

/// Records the alerts among the outcomes; the records whose decision could not be.
async fn record_decisions<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    outgoing: &[Outgoing],
) -> Vec<(usize, Returned)> {
    // A repeated event of the batch has the same decision: it is recorded once, for all its records.
    let mut at_of: FixedMap<&EventKey, usize> = FixedMap::default();
    let mut alerts: Vec<(Arc<DecisionItem>, Vec<usize>)> = Vec::new();
    for (record, step) in outgoing {
        let Some((event, expires_at_s)) = &step.alert else {
            continue;
        };
        if let Some(at) = at_of.get(event) {
            alerts[*at].1.push(*record);
            continue;
        }
        at_of.insert(event, alerts.len());
        let decision = DecisionItem {
            event: event.clone(),
            outcome_json: step.outcome.bytes.clone(),
            expires_at_s: *expires_at_s,
        };
        alerts.push((Arc::new(decision), vec![*record]));
    }
    if alerts.is_empty() {
        return Vec::new();
    }
    let desk = &Desk::default();
    let records = alerts.iter().map(|(decision, records)| async move {
        let answer = record_decision(context, desk, decision).await;
        (records, answer)
    });
    let records = stream::iter(records.collect::<Vec<_>>()).buffered(context.config.commits_concurrent_max);
    let write = |decisions: Vec<Arc<DecisionItem>>| async move { store.put_decisions(&decisions).await };
    let is_late = BatchContext::is_past_last_call;
    let answers: Vec<_> = context
        .serve_writes(
            desk,
            |decision| decision.outcome_json.len(),
            is_late,
            write,
            records.collect(),
        )
        .await;
    let recorded = answers.iter().filter(|(_, answer)| *answer == Ok(PutOnce::Written));
    context.report().decisions_recorded = recorded.count() as u64;
    let failed = answers.into_iter().filter_map(|(records, answer)| {
        let returned = answer.err()?;
        Some(records.iter().map(move |record| (*record, returned)))
    });
    failed.flatten().collect()
}

async fn record_decision<C: Clock>(
    context: &BatchContext<'_, C>,
    desk: &WriteDesk<DecisionItem, PutOnce>,
    decision: &Arc<DecisionItem>,
) -> Result<PutOnce, Returned> {
    if context.is_past_last_call() {
        return Err(Returned::Deadline);
    }
    let until_ms = context.bounds.last_call_at_ms;
    match context.write(desk, decision, until_ms, Returned::DecisionFailed).await {
        Ok((put, _)) => Ok(put),
        Err(Returned::StoreRefused) => Err(Returned::DecisionFailed),
        Err(returned) => Err(returned),
    }
}
