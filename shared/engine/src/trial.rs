//! A candidate policy beside the active one: it scores the same events on the same states, its outcomes are recorded and
//! never emitted.

use futures_util::{StreamExt, stream};
use tidemark_domain::control::trial::{
    Arm, TRIAL_DAYS_KEPT, TRIALS_IN_ITEM_MAX, Trial, TrialBatch, TrialKey, is_timed, rules_held,
};
use tidemark_domain::event::Transaction;
use tidemark_domain::fold::segments_of_windows;
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::model::{Inputs, score};
use tidemark_domain::outcome::{StoredOutcome, ruled};
use tidemark_domain::policy::Policy;

use crate::call::BatchContext;
use crate::directives::Judge;
use crate::keys::CardInputs;
use crate::port::{Clock, StateStore};
use crate::report::TrialCounts;
use crate::user_record::UserRecords;

/// Attempts to record a batch of trials: they are a measurement, and a busy table has better to do.
const TRIAL_ATTEMPTS_MAX: u32 = 2;
const S_PER_DAY: i64 = 86_400;

/// What the candidate made of an event, and how long that took where the event is timed.
pub(crate) struct Measured {
    outcome: StoredOutcome,
    candidate_ns: Option<i64>,
}

/// An event under both policies.
#[derive(Debug)]
pub(crate) struct TrialStep {
    trial: Trial,
    /// What the active policy and the candidate took, nanoseconds, where the event is timed.
    took_ns: Option<(i64, i64)>,
}

/// The candidate's outcome, where there is a candidate and the card is in its share; or the sealed segments that its
/// windows need.
pub(crate) fn of_candidate(
    state: &History,
    tx: &Transaction,
    known: CardInputs<'_>,
    judge: &Judge<'_>,
) -> Result<Option<Measured>, Vec<SegmentKey>> {
    let candidate = judge.directives.candidate.as_ref();
    let Some(candidate) = candidate.filter(|candidate| candidate.rollout.holds(&tx.card_id)) else {
        return Ok(None);
    };
    let needs = segments_of_windows(state, tx, &candidate.policy);
    if !needs.is_empty() {
        return Err(needs);
    }
    let keys = known.keys.inputs(tx, &candidate.policy);
    let inputs = Inputs {
        profile: known.profile.input(),
        keys: &keys,
    };
    let outcome = score(state, tx, inputs, &candidate.policy);
    // Once more, with the caches that the active policy will find.
    let candidate_ns = is_timed(tx.event_id.as_str()).then(|| {
        let began_ns = (judge.now_ns)();
        std::hint::black_box(score(state, tx, inputs, &candidate.policy));
        (judge.now_ns)() - began_ns
    });
    Ok(Some(Measured { outcome, candidate_ns }))
}

impl TrialStep {
    pub(crate) fn new(
        measured: &Measured,
        tx: &Transaction,
        active: &StoredOutcome,
        active_ns: i64,
        (policy, candidate): (&Policy, &Policy),
    ) -> Self {
        let arm = |outcome: &StoredOutcome| Arm {
            score: outcome.score,
            decision: outcome.decision,
            tier: outcome.tier,
        };
        let mut active_arm = arm(active);
        if active.override_action().is_some() {
            // Policies are compared, not what somebody decided over their heads.
            active_arm.decision = ruled(policy.thresholds.decide(active.score), &active.rules);
        }
        Self {
            trial: Trial {
                event_id: tx.event_id.as_str().to_owned(),
                card_id: tx.card_id.as_str().to_owned(),
                occurred_at_ms: tx.occurred_at_ms,
                active: active_arm,
                candidate: arm(&measured.outcome),
                active_rules: rules_held(policy, active),
                candidate_rules: rules_held(candidate, &measured.outcome),
            },
            took_ns: measured.candidate_ns.map(|candidate_ns| (active_ns, candidate_ns)),
        }
    }

    fn count_in(&self, counts: &mut TrialCounts) {
        counts.scored += 1;
        counts.flips += u64::from(self.trial.active.decision != self.trial.candidate.decision);
        if let Some((active_ns, candidate_ns)) = self.took_ns {
            counts.timed += 1;
            counts.active_ns += active_ns;
            counts.candidate_ns += candidate_ns;
        }
    }

    fn put_in(self, item: &mut TrialBatch) {
        if let Some((active_ns, candidate_ns)) = self.took_ns {
            item.timed += 1;
            item.active_ns += active_ns;
            item.candidate_ns += candidate_ns;
        }
        item.trials.push(self.trial);
    }
}

/// Records a batch's trials, given with the index of their records. Never holds the batch up: what can't be recorded is
/// counted as lost.
pub(crate) async fn record_trials<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    records: &UserRecords<'_>,
    trials: Vec<(usize, Box<TrialStep>)>,
) {
    let Some(candidate) = &context.directives.candidate else {
        return;
    };
    let at_ms = context.clock.now_ms();
    let empty = TrialBatch {
        active: context.directives.policy.version,
        candidate: candidate.rollout.candidate,
        at_ms,
        active_rules: names(&context.directives.policy),
        candidate_rules: names(&candidate.policy),
        ..TrialBatch::default()
    };
    let mut counts = TrialCounts::default();
    let items = items_of(records, trials, &empty, &mut counts);
    let expires_at_s = at_ms / 1_000 + TRIAL_DAYS_KEPT * S_PER_DAY;
    let calls = items.iter().map(|(key, item)| async move {
        let call = || store.put_trials(key, item, expires_at_s);
        let until_ms = context.bounds.stop_at_ms;
        match context.with_attempts(TRIAL_ATTEMPTS_MAX, until_ms, call).await {
            Ok(answer) => {
                context.metered(answer);
                0
            }
            Err(_) => item.trials.len() as u64,
        }
    });
    let lost: Vec<u64> = stream::iter(calls.collect::<Vec<_>>()).buffered(4).collect().await;
    counts.lost = lost.into_iter().sum();
    context.report().trials = counts;
}

/// The names of a policy's rules.
fn names(policy: &Policy) -> Vec<String> {
    let rules = policy.rules.all().iter();
    rules.map(|rule| rule.says.name().to_owned()).collect()
}

/// A batch's trials as items, and what they count.
fn items_of(
    records: &UserRecords<'_>,
    trials: Vec<(usize, Box<TrialStep>)>,
    empty: &TrialBatch,
    counts: &mut TrialCounts,
) -> Vec<(TrialKey, TrialBatch)> {
    let mut items: Vec<(TrialKey, TrialBatch)> = Vec::new();
    for (record, step) in trials {
        step.count_in(counts);
        if items
            .last()
            .is_none_or(|(_, item)| item.trials.len() >= TRIALS_IN_ITEM_MAX)
        {
            items.push((key_of(records, record), empty.clone()));
        }
        if let Some((_, item)) = items.last_mut() {
            step.put_in(item);
        }
    }
    items
}

fn key_of(records: &UserRecords<'_>, user_record: usize) -> TrialKey {
    let (record, user) = (records.input(user_record), &records.all[user_record]);
    TrialKey {
        shard_id: record.shard_id.to_owned(),
        // Several items may begin within one aggregate.
        sequence_number: match user.sub_sequence_number {
            None | Some(0) => record.sequence_number.to_owned(),
            Some(sub) => format!("{}.{sub}", record.sequence_number),
        },
        arrival_ms: record.arrival_ms,
    }
}
