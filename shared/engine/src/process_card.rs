//! A card's plan, carried out: its events in order, each commit group of them durable before the next begins.

use tidemark_domain::event::{Event, Profile};

use crate::call::BatchContext;
use crate::cards::Cards;
use crate::commit::{Card, commit_group};
use crate::fold::{Effect, Step};
use crate::keys::KeyViews;
use crate::load::Inputs;
use crate::plan::{CardPlan, Planned};
use crate::port::{Clock, PutOnce, StateStore};
use crate::report::Returned;
use crate::sealed::drop_cold;

/// How far a card came.
#[derive(Debug)]
pub(crate) struct CardDone {
    /// Events whose effect is durable, in order.
    pub(crate) steps: Vec<Step>,
    /// Events that must come again, from the first that failed on (I4).
    pub(crate) returned: Vec<(usize, Returned)>,
}

impl CardDone {
    fn with_rest(mut self, rest: &[Planned], returned: Returned) -> Self {
        self.returned
            .extend(rest.iter().map(|planned| (planned.record, returned)));
        self
    }
}

/// Applies a card's events in order. Never fails as a whole: what can't be done now is returned.
pub(crate) async fn process_card<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    plan: &CardPlan,
    inputs: Inputs,
    keys: &KeyViews,
) -> CardDone {
    let mut done = CardDone {
        steps: Vec::with_capacity(plan.events.len()),
        returned: Vec::new(),
    };
    let warm = match inputs.warm {
        Ok(warm) => warm,
        Err(returned) => return done.with_rest(&plan.events, returned),
    };
    let mut card = Card {
        id: &plan.card_id,
        warm,
        profile: inputs.profile,
        keys,
        arrival_ms: plan.events.last().map_or(0, |planned| planned.arrival_ms),
    };
    let mut rest = plan.events.as_slice();
    while let Some(first) = rest.first() {
        if context.is_stopped() {
            keep_warm(cards, card);
            return done.with_rest(rest, Returned::Deadline);
        }
        // A profile ends a commit group: what was scored without it is durable before it is, so that a batch that comes
        // again after a crash scores the same events with the same profile.
        let length = rest.iter().position(Planned::is_profile).unwrap_or(rest.len()).max(1);
        let (group, after) = rest.split_at(length);
        let result = match &first.event {
            Event::Profile(profile) => apply_profile(context, cards, &mut card, first, profile).await,
            _ => commit_group(context, cards, &mut card, group).await,
        };
        match result {
            Ok(steps) => {
                done.steps.extend(steps);
                rest = after;
            }
            // The state is dropped, not kept warm: nobody knows whether it is the store's.
            Err(returned) => {
                context.report().commit_failures += u64::from(is_commit_failure(returned) && !first.is_profile());
                return done.with_rest(rest, returned);
            }
        }
    }
    keep_warm(cards, card);
    done
}

async fn apply_profile<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    card: &mut Card<'_>,
    planned: &Planned,
    profile: &Profile,
) -> Result<Vec<Step>, Returned> {
    let (store, view) = (&cards.store, &mut card.profile);
    let effect = match cards.profiles.put(context, store, view, profile).await? {
        PutOnce::Written => Effect::Applied,
        PutOnce::Already => Effect::Already,
    };
    let record = planned.record;
    Ok(vec![Step { record, effect }])
}

/// Keeps a state for the next batch, if the store has it.
fn keep_warm<S>(cards: &Cards<S>, mut card: Card<'_>) {
    if card.warm.version.is_some() {
        drop_cold(&mut card.warm.state);
        cards.keep_warm(card.id, card.warm);
    }
}

/// Whether it is the write that failed for good, and not the time, the reading or the state.
fn is_commit_failure(returned: Returned) -> bool {
    matches!(
        returned,
        Returned::ConflictLimit | Returned::CommitFailed | Returned::StoreRefused
    )
}
