//! The driver: carries out what the pure part decided, over the ports.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, future, stream};
use tidemark_domain::control::Mode;
use tidemark_domain::policy::Policy;

use crate::breaker::{Breaker, BreakerState};
use crate::cache::Cache;
use crate::call::{BatchContext, lock};
use crate::card_run::RunDone;
use crate::config::{EngineConfig, SENT_REMEMBERED_MAX};
use crate::directives::Directives;
use crate::finish::{Outgoing, Quarantined, Sent};
use crate::load::{Inputs, Warm, WarmProfile};
use crate::plan::{Plan, Refused, plan};
use crate::port::{Clock, Quarantine, ScoreSink, StateStore};
use crate::record::InRecord;
use crate::report::{BatchReport, CacheCounts, End, Returned, TrialCounts};
use crate::segment::Effect;
use crate::sent::SentBefore;
use crate::trial::TrialStep;
use crate::user_record::UserRecords;

/// Takes batches to their end. One for the life of a process: it keeps states and profiles warm.
pub struct Engine<S, K, Q, C> {
    pub(crate) store: S,
    pub(crate) sink: K,
    pub(crate) quarantine: Q,
    pub(crate) clock: C,
    pub(crate) policy: Arc<Policy>,
    pub(crate) config: EngineConfig,
    pub(crate) states: Mutex<Cache<Warm>>,
    pub(crate) profiles: Mutex<Cache<WarmProfile>>,
    pub(crate) breaker: Mutex<Breaker>,
    pub(crate) sent_before: Mutex<SentBefore>,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// An engine with nothing warm.
    #[must_use]
    pub fn new(store: S, sink: K, quarantine: Q, clock: C, policy: Arc<Policy>, config: EngineConfig) -> Self {
        Self {
            store,
            sink,
            quarantine,
            clock,
            policy,
            config,
            states: Mutex::new(Cache::new(config.cache_cards_max, config.cache_bytes_max)),
            profiles: Mutex::new(Cache::new(config.profile_cache_cards_max, usize::MAX)),
            breaker: Mutex::new(Breaker::new(config.breaker_failures_max, config.breaker_open_ms)),
            sent_before: Mutex::new(SentBefore::new(SENT_REMEMBERED_MAX)),
        }
    }

    /// The policy that the engine was made with.
    #[must_use]
    pub fn own_policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// The state of the breaker that guards profile reads.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        lock(&self.breaker).state()
    }

    /// Takes a batch to its end, or as far as `deadline_ms` (milliseconds since 1970-01-01T00:00:00Z) allows. Dropping
    /// the future in between is safe: it is a crash, and the batch comes again.
    ///
    /// Judged by the policy that the engine was made with; [`Engine::process_by`] takes a snapshot of the control plane.
    pub async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let directives = Directives::standing(Arc::clone(&self.policy));
        self.process_by(batch, deadline_ms, directives).await
    }

    /// As [`Engine::process`], judged by this snapshot from the first record to the last.
    pub async fn process_by(&self, batch: &[InRecord<'_>], deadline_ms: i64, directives: Directives) -> BatchReport {
        if directives.mode == Mode::Paused {
            return BatchReport::untouched(batch, Returned::Paused);
        }
        let context = BatchContext::new(deadline_ms, &self.config, directives);
        let mut plan = plan(batch, &context.directives.policy);
        let mut ends = Ends::new(plan.records.all.len());
        let (inputs, cache) = self.load(&context, &plan).await;
        let dones = self.run_cards(&context, &plan, inputs).await;
        let mut refused = std::mem::take(&mut plan.refused);
        let mut outgoing = settle(dones, &mut ends, &mut refused);
        let trials = take_trials(&mut outgoing);
        let counted_now = outgoing.iter().filter(|(_, step)| step.fresh).count() as u64;
        let (sent, quarantined, trials) = future::join3(
            self.send_or_withhold(&context, batch, &plan.records, outgoing),
            self.quarantine_all(&context, batch, &plan.records, refused),
            self.record_trials(&context, batch, &plan.records, trials),
        )
        .await;
        let counts = Counts {
            cache,
            unknown_fields: plan.unknown_fields,
            trials,
            counted_now,
        };
        let report = report(batch, plan.records, &context, ends, &sent, &quarantined, counts);
        self.keep_sent(batch, &report, &sent);
        report
    }

    async fn run_cards(&self, context: &BatchContext, plan: &Plan<'_>, inputs: Vec<Inputs>) -> Vec<RunDone> {
        let calls = inputs.into_iter().enumerate().map(|(at, inputs)| {
            let run = &plan.runs[at];
            let arrival_ms = run.events.last().map_or(0, |planned| planned.arrival_ms);
            self.run_card(context, run, inputs, arrival_ms)
        });
        stream::iter(calls)
            .buffered(self.config.commits_concurrent_max)
            .collect()
            .await
    }
}

/// How each user record ended so far. One that nobody speaks of must come again.
struct Ends(Vec<End>);

impl Ends {
    fn new(records: usize) -> Self {
        Self(vec![End::Returned(Returned::BatchLimit); records])
    }

    fn set(&mut self, record: usize, end: End) {
        self.0[record] = end;
    }

    fn returned(&mut self, records: &[(usize, Returned)]) {
        for (record, returned) in records {
            self.set(*record, End::Returned(*returned));
        }
    }
}

/// Sorts what the cards' runs gave: ends that stand, outcomes to send in stream order, refusals to quarantine.
fn settle(dones: Vec<RunDone>, ends: &mut Ends, refused: &mut Vec<Refused>) -> Vec<Outgoing> {
    let mut outgoing: Vec<Outgoing> = Vec::new();
    for done in dones {
        ends.returned(&done.returned);
        for step in done.steps {
            match step.effect {
                Effect::Outcome(outcome) => outgoing.push((step.record, outcome)),
                Effect::Applied => ends.set(step.record, End::Applied),
                Effect::Already => ends.set(step.record, End::Duplicate),
                Effect::Refused(refusal) => refused.push(Refused {
                    record: step.record,
                    refusal,
                }),
            }
        }
    }
    outgoing.sort_unstable_by_key(|(record, _)| *record);
    refused.sort_unstable_by_key(|refused| refused.record);
    outgoing
}

/// The candidate's outcomes, with the index of their records.
fn take_trials(outgoing: &mut [Outgoing]) -> Vec<(usize, Box<TrialStep>)> {
    let taken = outgoing
        .iter_mut()
        .filter_map(|(record, step)| Some((*record, step.trial.take()?)));
    taken.collect()
}

#[derive(Clone, Copy)]
struct Counts {
    cache: CacheCounts,
    unknown_fields: u64,
    trials: TrialCounts,
    /// Transactions that count now, whether their outcome could be sent or not.
    counted_now: u64,
}

fn report(
    batch: &[InRecord<'_>],
    records: UserRecords<'_>,
    context: &BatchContext,
    mut ends: Ends,
    sent: &Sent,
    quarantined: &Quarantined,
    counts: Counts,
) -> BatchReport {
    let mut report = BatchReport::default();
    report.scores.reserve(sent.sent.len());
    report.arrivals_ms.reserve(sent.sent.len());
    for (record, step) in &sent.sent {
        ends.set(*record, if step.fresh { End::Scored } else { End::Duplicate });
        if step.fresh {
            *report.decisions.entry(step.decision).or_default() += 1;
            *report.tiers.entry(step.tier).or_default() += 1;
            report.overridden += u64::from(step.overridden);
            report.scores.push(step.score);
            report.arrivals_ms.push(batch[records.all[*record].record].arrival_ms);
            report.newest_event_ms = report.newest_event_ms.max(Some(step.time_ms));
        }
    }
    for refused in &quarantined.kept {
        ends.set(refused.record, End::Quarantined(refused.refusal.code));
    }
    ends.returned(&sent.returned);
    ends.returned(&quarantined.returned);
    report.count_ends(ends.0, records, batch);
    let tally = context.tally().clone();
    let outcomes = sent.sent.len() as u64 - sent.sent_before;
    BatchReport {
        unsent: counts.counted_now - report.scores.len() as u64,
        decisions_recorded: sent.decisions_recorded,
        unknown_fields: counts.unknown_fields,
        outcomes_sent: if sent.withheld { 0 } else { outcomes },
        outcomes_sent_before: sent.sent_before,
        outcomes_withheld: if sent.withheld { outcomes } else { 0 },
        trials: counts.trials,
        outcome_bytes: sent.bytes,
        quarantine_messages: quarantined.messages,
        units: tally.units,
        commits: tally.commits,
        segments_read: tally.segments_read,
        segments_written: tally.segments_written,
        commit_failures: tally.commit_failures,
        conflicts: tally.conflicts,
        retries: tally.retries,
        throttles: tally.throttles,
        timeouts: tally.timeouts,
        breaker_rejected: tally.breaker_rejected,
        cache: counts.cache,
        ..report
    }
}
