//! One batch from its records to its report: the engine's whole story, to be read from the top.
//!
//! ```text
//! plan    which records are refused, and which cards have what to do, each in stream order
//! load    states, profiles and labelled histories of keys, from what is warm or from the store
//! fold    each card's events into its state, one commit group after the other ─┐ process_card, for all cards side by side;
//! commit  that state, by one conditional write on the version it was read at  ─┘ the writes of 25 cards share a call
//! teach   the keys of labelled events, by a conditional write for each, which share calls, too
//! send    outcomes to the scores stream, refused records to the quarantine, trials to their table
//! report  one end for each user record, and what the batch cost
//! ```

use std::sync::Arc;

use futures_util::{StreamExt, future, stream};
use tidemark_domain::control::Mode;
use tidemark_domain::fold::Taught;

use crate::call::BatchContext;
use crate::commit::commit_together;
use crate::directives::Directives;
use crate::engine::Engine;
use crate::fold::{Effect, LabelKept, Step};
use crate::keys::KeyViews;
use crate::load::{Inputs, load};
use crate::lock::lock;
use crate::outcomes::{Outgoing, Sent, send_or_withhold};
use crate::plan::{CardPlan, Plan, plan};
use crate::port::{Clock, Quarantine, ScoreSink, StateStore};
use crate::process_card::{CardDone, process_card};
use crate::quarantine::{Quarantined, quarantine_all};
use crate::record::InRecord;
use crate::report::{BatchReport, End, Returned};
use crate::trial::{TrialStep, record_trials};
use crate::user_record::{Refused, UserRecords};

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
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
        let context = BatchContext::new(&self.clock, &self.config, deadline_ms, directives);
        let planned = plan(batch, &context.directives.policy, context.directives.maps.as_ref());
        let Ok(Plan {
            records,
            cards: plans,
            mut refused,
            unknown_fields,
        }) = planned
        else {
            // Whole: what stands behind such a record in the stream may be of the same card (I4).
            return BatchReport::untouched(batch, Returned::MapUnready);
        };
        context.report().unknown_fields = unknown_fields;

        let (inputs, keys) = load(&context, &self.cards, &plans).await;
        let mut done = self.process_cards(&context, &plans, inputs, &keys).await;
        self.teach_keys(&context, &mut done).await;
        let mut ends = Ends::new(&records);
        let mut outgoing = ends.settle(done, &mut refused, &mut context.report());
        let trials = take_trials(&mut outgoing);
        let counted_now = outgoing.iter().filter(|(_, step)| step.fresh).count() as u64;

        let (cards, sent_before) = (&self.cards, &self.sent_before);
        let (sent, quarantined, ()) = future::join3(
            send_or_withhold(&context, &cards.store, &self.sink, sent_before, &records, outgoing),
            quarantine_all(&context, &self.quarantine, &records, refused),
            record_trials(&context, &cards.store, &records, trials),
        )
        .await;

        let mut report = context.into_report();
        ends.sent(&sent, &records, &mut report);
        ends.quarantined(&quarantined);
        report.unsent = counted_now - report.scores.len() as u64;
        report.count_ends(ends.0, records);
        if report.retry_from.is_some() {
            lock(sent_before).keep(batch, &report, &sent.marks);
        }
        report
    }

    /// Folds and commits, so many cards side by side: the ends of all, in the order of their plans.
    async fn process_cards(
        &self,
        context: &BatchContext<'_, C>,
        plans: &[CardPlan],
        inputs: Vec<Inputs>,
        keys: &KeyViews,
    ) -> Vec<CardDone> {
        let cards = inputs.into_iter().enumerate().map(|(at, inputs)| async move {
            (at, process_card(context, &self.cards, &plans[at], inputs, keys).await)
        });
        let cards = stream::iter(cards).buffer_unordered(self.config.commits_concurrent_max);
        let mut done: Vec<(usize, CardDone)> = commit_together(context, &self.cards.store, cards.collect()).await;
        done.sort_unstable_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, done)| done).collect()
    }

    /// Hands what labels say to the keys of their events. A label that not every key has must come again: its card has it.
    async fn teach_keys(&self, context: &BatchContext<'_, C>, done: &mut [CardDone]) {
        if context.directives.policy.keys.is_empty() {
            return;
        }
        let lessons = |step: &Step| match &step.effect {
            Effect::Label { taught, .. } => Some(Taught::clone(taught)),
            _ => None,
        };
        let lessons: Vec<Taught> = done.iter().flat_map(|done| &done.steps).filter_map(lessons).collect();
        if lessons.is_empty() {
            return;
        }
        let ends = self.cards.keys.teach(context, &self.cards.store, &lessons).await;
        let mut ends = ends.into_iter();
        for card in done {
            let returned = &mut card.returned;
            card.steps.retain(|step| {
                let is_label = matches!(step.effect, Effect::Label { .. });
                match is_label.then(|| ends.next()).flatten() {
                    Some(Err(why)) => {
                        returned.push((step.record, why));
                        false
                    }
                    _ => true,
                }
            });
        }
    }
}

/// How each user record ended so far. A user record that no step gives an end comes again.
struct Ends(Vec<End>);

impl Ends {
    fn new(records: &UserRecords<'_>) -> Self {
        Self(vec![End::Returned(Returned::BatchLimit); records.all.len()])
    }

    fn set(&mut self, record: usize, end: End) {
        self.0[record] = end;
    }

    fn returned(&mut self, records: &[(usize, Returned)]) {
        for (record, returned) in records {
            self.set(*record, End::Returned(*returned));
        }
    }

    /// Sorts what the cards gave: ends that stand, outcomes to send in stream order, refusals to quarantine.
    fn settle(&mut self, done: Vec<CardDone>, refused: &mut Vec<Refused>, report: &mut BatchReport) -> Vec<Outgoing> {
        let mut outgoing: Vec<Outgoing> = Vec::new();
        for done in done {
            self.returned(&done.returned);
            for step in done.steps {
                match step.effect {
                    Effect::Outcome(outcome) => outgoing.push((step.record, outcome)),
                    Effect::Applied => self.set(step.record, End::Applied),
                    Effect::Already => self.set(step.record, End::Duplicate),
                    Effect::Label { kept, .. } => {
                        report.labels += 1;
                        report.labels_without_card += u64::from(kept == LabelKept::Forgotten);
                        let is_known = kept == LabelKept::Already;
                        self.set(step.record, if is_known { End::Duplicate } else { End::Applied });
                    }
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

    /// Outcomes that are sent, or stand where the mode says so, and those that must come again.
    fn sent(&mut self, sent: &Sent, records: &UserRecords<'_>, report: &mut BatchReport) {
        report.scores.reserve(sent.sent.len());
        report.arrivals_ms.reserve(sent.sent.len());
        report.occurred_ms.reserve(sent.sent.len());
        for (record, step) in &sent.sent {
            self.set(*record, if step.fresh { End::Scored } else { End::Duplicate });
            if step.fresh {
                *report.decisions.entry(step.decision).or_default() += 1;
                *report.tiers.entry(step.tier).or_default() += 1;
                report.overridden += u64::from(step.overridden);
                report.count_rules(&step.rules);
                report.scores.push(step.score);
                report.arrivals_ms.push(records.input(*record).arrival_ms);
                report.occurred_ms.push(step.time_ms);
                report.newest_event_ms = report.newest_event_ms.max(Some(step.time_ms));
            }
        }
        self.returned(&sent.returned);
    }

    /// Refused records that are in the quarantine, and those that must come again.
    fn quarantined(&mut self, quarantined: &Quarantined) {
        for refused in &quarantined.kept {
            self.set(refused.record, End::Quarantined(refused.refusal.code));
        }
        self.returned(&quarantined.returned);
    }
}

/// The candidate's outcomes, with the index of their records.
fn take_trials(outgoing: &mut [Outgoing]) -> Vec<(usize, Box<TrialStep>)> {
    let taken = outgoing
        .iter_mut()
        .filter_map(|(record, step)| Some((*record, step.trial.take()?)));
    taken.collect()
}
