//! Folding a commit group: the events of a card that one conditional write makes durable together. Pure.

use tidemark_domain::event::{Event, Label, Transaction};
use tidemark_domain::fold::{self, FoldAnswer, LabelAnswer, Taught};
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::history::{Entry, History};
use tidemark_domain::id::EventKey;
use tidemark_domain::lifetime::HISTORY_MS;
use tidemark_domain::model::Inputs;
use tidemark_domain::outcome::{Decision, RuleHit, Tier};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::{Refusal, RefusalCode};
use tidemark_domain::render::render_json;

use crate::directives::Judge;
use crate::keys::CardInputs;
use crate::plan::Planned;
use crate::port::OutcomeRecord;
use crate::trial::{self, TrialStep};

/// What an event did to its card.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A transaction's outcome is to be sent.
    Outcome(Box<OutcomeStep>),
    /// A profile took effect.
    Applied,
    /// A profile was there already.
    Already,
    /// A label is in the card, or the card has forgotten its event. It has its end when the keys of its event have it.
    Label {
        /// What the card made of it.
        kept: LabelKept,
        /// What the keys are to learn.
        taught: Box<Taught>,
    },
    /// The card's history refuses it.
    Refused(Refusal),
}

/// What a card made of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelKept {
    /// It is kept now.
    Now,
    /// It was kept already.
    Already,
    /// The card has forgotten the event.
    Forgotten,
}

/// An outcome to be sent once the state that holds it is committed.
#[derive(Debug)]
pub(crate) struct OutcomeStep {
    pub(crate) outcome: OutcomeRecord,
    /// Whether the event counts now; otherwise it is a duplicate.
    pub(crate) fresh: bool,
    pub(crate) decision: Decision,
    pub(crate) score: u16,
    pub(crate) tier: Tier,
    /// When it happened, ms since 1970-01-01T00:00:00Z.
    pub(crate) time_ms: i64,
    /// Whether an override made the decision now.
    pub(crate) overridden: bool,
    /// What rules said of an event that counts now.
    pub(crate) rules: Vec<RuleHit>,
    /// What the candidate policy made of an event that counts now.
    pub(crate) trial: Option<Box<TrialStep>>,
    /// For an alert: the event, and when the decision may be forgotten (s since 1970-01-01T00:00:00Z).
    pub(crate) alert: Option<(EventKey, i64)>,
}

/// A record and what it did.
#[derive(Debug)]
pub(crate) struct Step {
    /// Index among the batch's user records.
    pub(crate) record: usize,
    pub(crate) effect: Effect,
}

/// What a commit group did to the state.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// One for each event, in order.
    pub(crate) steps: Vec<Step>,
    /// Whether the steps stand only once a conditional write has succeeded: the state changed, or an event was refused
    /// because of what the state holds, and only the condition proves that the state was not a stale one.
    pub(crate) needs_commit: bool,
    /// Sealed segments without which the next event can't be applied; empty once every event is.
    pub(crate) needs: Vec<SegmentKey>,
}

/// Applies transactions and labels to a state, from the first on that has no step yet, until one needs sealed segments that
/// are not at hand. Profile events don't belong in a commit group; one would count as already there.
pub(crate) fn fold_group(
    state: &mut History,
    events: &[Planned],
    inputs: CardInputs<'_>,
    judge: &Judge<'_>,
    folded: &mut Folded,
) {
    folded.steps.reserve(events.len() - folded.steps.len());
    for planned in &events[folded.steps.len()..] {
        let effect = match &planned.event {
            Event::Transaction(tx) => fold_transaction(state, planned, tx, inputs, judge),
            Event::Label(label) => fold_label(state, label, &judge.directives.policy),
            Event::Profile(_) => Ok(Effect::Already),
        };
        let effect = match effect {
            Ok(effect) => effect,
            Err(needs) => {
                folded.needs = needs;
                return;
            }
        };
        folded.needs_commit |= match &effect {
            Effect::Outcome(step) => step.fresh,
            Effect::Label { kept, .. } => *kept != LabelKept::Already,
            Effect::Applied | Effect::Refused(_) => true,
            Effect::Already => false,
        };
        folded.steps.push(Step {
            record: planned.record,
            effect,
        });
    }
}

/// The effect of a label, or the sealed segments that it needs.
fn fold_label(state: &mut History, label: &Label, policy: &Policy) -> Result<Effect, Vec<SegmentKey>> {
    match fold::fold_label(state, label, policy) {
        LabelAnswer::Recorded(taught) => Ok(label_effect(LabelKept::Now, taught)),
        LabelAnswer::Already(taught) => Ok(label_effect(LabelKept::Already, taught)),
        LabelAnswer::Forgotten(taught) => Ok(label_effect(LabelKept::Forgotten, taught)),
        LabelAnswer::UnknownEvent => Ok(Effect::Refused(Refusal::new(
            RefusalCode::LabelWithoutEvent,
            "event_id: the card's history does not hold this event",
        ))),
        LabelAnswer::NeedsSegments(keys) => Err(keys),
    }
}

fn label_effect(kept: LabelKept, taught: Taught) -> Effect {
    let taught = Box::new(taught);
    Effect::Label { kept, taught }
}

/// The effect of a transaction, or the sealed segments that it needs.
fn fold_transaction(
    state: &mut History,
    planned: &Planned,
    tx: &Transaction,
    known: CardInputs<'_>,
    judge: &Judge<'_>,
) -> Result<Effect, Vec<SegmentKey>> {
    let policy = &*judge.directives.policy;
    let decided = judge.directives.overrides.find(&tx.card_id, planned.arrival_ms);
    // Before the event is part of the state: the candidate sees what the active policy sees.
    let measured = trial::of_candidate(state, tx, known, judge)?;
    let keys = known.keys.inputs(tx, policy);
    let inputs = Inputs {
        profile: known.profile.input(),
        keys: &keys,
    };
    let began_ns = (judge.now_ns)();
    let applied = fold::fold_overridden(state, tx, inputs, policy, decided);
    let active_ns = (judge.now_ns)() - began_ns;
    let (entry, fresh) = match applied {
        FoldAnswer::Scored { entry } => (entry, true),
        FoldAnswer::Duplicate { entry } => (entry, false),
        FoldAnswer::Refused(refusal) => return Ok(Effect::Refused(refusal)),
        FoldAnswer::NeedsSegments(keys) => return Err(keys),
    };
    let mut step = outcome_step(tx.key(), &entry, fresh);
    step.overridden = fresh && entry.outcome.override_action().is_some();
    let candidate = judge.directives.candidate.as_ref().map(|candidate| &*candidate.policy);
    step.trial = measured.filter(|_| fresh).zip(candidate).map(|(measured, candidate)| {
        let trial = TrialStep::new(&measured, tx, &entry.outcome, active_ns, (policy, candidate));
        Box::new(trial)
    });
    if fresh {
        step.rules.clone_from(&entry.outcome.rules);
    }
    Ok(Effect::Outcome(Box::new(step)))
}

fn outcome_step(event: EventKey, entry: &Entry, fresh: bool) -> OutcomeStep {
    let decision = entry.outcome.decision;
    let bytes = render_json(&event.card_id, &event.event_id, entry);
    let card_id = event.card_id.clone();
    let alert = (decision == Decision::Alert).then(|| (event, expires_at_s(entry.time_ms)));
    OutcomeStep {
        outcome: OutcomeRecord { card_id, bytes },
        fresh,
        decision,
        score: entry.outcome.score,
        tier: entry.outcome.tier,
        time_ms: entry.time_ms,
        overridden: false,
        rules: Vec::new(),
        trial: None,
        alert,
    }
}

/// When an item expires whose newest event has this time, in seconds since 1970-01-01T00:00:00Z: after that, no policy and no
/// late record can need it.
pub(crate) fn expires_at_s(time_ms: i64) -> i64 {
    time_ms.saturating_add(HISTORY_MS) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_expires_by_the_most_that_any_policy_may_declare_in_seconds() {
        let days = 365 + 30 + 14 + 14;
        assert_eq!(expires_at_s(1_780_000_000_999), 1_780_000_000 + days * 86_400);
        assert_eq!(expires_at_s(i64::MAX), i64::MAX / 1000);
    }
}
