//! The second step: what each card's plan needs before it can begin, from what is warm, and read where it is not.

use futures_util::{StreamExt, future, stream};
use tidemark_domain::id::CardId;

use crate::call::BatchContext;
use crate::cards::{Cards, Warm};
use crate::config::{LOAD_CARDS_MAX, LOADS_CONCURRENT_MAX};
use crate::keys::KeyViews;
use crate::lock::lock;
use crate::plan::CardPlan;
use crate::port::{Clock, StateStore};
use crate::profile::ProfileView;
use crate::report::Returned;

/// What a card's plan needs before it can begin.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) warm: Result<Warm, Returned>,
    pub(crate) profile: ProfileView,
}

/// Runs, by index, for which nothing was warm.
#[derive(Debug, Default)]
struct Missing {
    states: Vec<usize>,
    profiles: Vec<usize>,
}

/// Inputs for every plan, in their order, and what is known of the keys of all.
pub(crate) async fn load<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    plans: &[CardPlan],
) -> (Vec<Inputs>, KeyViews) {
    let (mut inputs, missing) = take_warm(context, cards, plans);
    let (states, profiles, keys) = future::join3(
        load_states(context, cards, plans, missing.states),
        load_profiles(context, cards, plans, missing.profiles),
        cards.keys.load(context, &cards.store, plans),
    )
    .await;
    for (plan, warm) in states {
        inputs[plan].warm = warm;
    }
    for (plan, profile) in profiles {
        inputs[plan].profile = profile;
    }
    (inputs, keys)
}

/// What is warm, and which plans lack what.
fn take_warm<S, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    plans: &[CardPlan],
) -> (Vec<Inputs>, Missing) {
    let (now_ms, age_ms_max) = (context.clock.now_ms(), context.config.profile_max_age_ms);
    let mut missing = Missing::default();
    let (mut states, profiles) = (lock(&cards.states), lock(&cards.profiles.warm));
    let mut inputs = Vec::with_capacity(plans.len());
    let mut report = context.report();
    let counts = &mut report.cache;
    for (at, plan) in plans.iter().enumerate() {
        let warm = if plan.needs_state() {
            states.take(&plan.card_id)
        } else {
            Some(Warm::default())
        };
        match warm {
            Some(_) => counts.state_hits += u64::from(plan.needs_state()),
            None => missing.states.push(at),
        }
        let profile = match plan.needs_profile(&context.directives) {
            Some(true) => {
                // A state that is not warm hints at another worker on this card: its profile may be old, too.
                let known = profiles.peek(&plan.card_id).filter(|_| warm.is_some());
                let view = known.and_then(|known| known.view(now_ms, age_ms_max));
                counts.profile_hits += u64::from(view.is_some());
                if view.is_none() {
                    missing.profiles.push(at);
                }
                view.unwrap_or(ProfileView::Unavailable)
            }
            // Not even a warm one is used: what serves an event follows from it and the snapshot.
            Some(false) => {
                counts.profiles_spared += 1;
                ProfileView::Skipped
            }
            None => ProfileView::Skipped,
        };
        inputs.push(Inputs {
            warm: warm.ok_or(Returned::LoadFailed),
            profile,
        });
    }
    counts.state_misses = missing.states.len() as u64;
    counts.profile_misses = missing.profiles.len() as u64;
    (inputs, missing)
}

async fn load_states<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    plans: &[CardPlan],
    missing: Vec<usize>,
) -> Vec<(usize, Result<Warm, Returned>)> {
    let calls = chunks(missing).map(|chunk| async move {
        let answer = cards.read_states(context, &cards_of(plans, &chunk)).await;
        match answer {
            Ok(items) => chunk
                .into_iter()
                .zip(items.into_iter().map(Warm::from_item))
                .collect::<Vec<_>>(),
            Err(returned) => chunk.into_iter().map(|plan| (plan, Err(returned))).collect(),
        }
    });
    stream::iter(calls.collect::<Vec<_>>())
        .buffered(LOADS_CONCURRENT_MAX)
        .concat()
        .await
}

async fn load_profiles<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    plans: &[CardPlan],
    missing: Vec<usize>,
) -> Vec<(usize, ProfileView)> {
    let calls = chunks(missing).map(|chunk| async move {
        let of_chunk = cards_of(plans, &chunk);
        let Some(profiles) = cards.profiles.read(context, &cards.store, &of_chunk).await else {
            return chunk
                .into_iter()
                .map(|plan| (plan, ProfileView::Unavailable))
                .collect::<Vec<_>>();
        };
        chunk
            .into_iter()
            .zip(profiles.into_iter().map(ProfileView::of))
            .collect()
    });
    stream::iter(calls.collect::<Vec<_>>())
        .buffered(LOADS_CONCURRENT_MAX)
        .concat()
        .await
}

fn chunks(plans: Vec<usize>) -> impl Iterator<Item = Vec<usize>> {
    let mut plans = plans.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<usize> = plans.by_ref().take(LOAD_CARDS_MAX).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn cards_of(plans: &[CardPlan], chunk: &[usize]) -> Vec<CardId> {
    chunk.iter().map(|plan| plans[*plan].card_id.clone()).collect()
}
