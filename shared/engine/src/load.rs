//! Reading what the caches lack: states, and profiles behind the breaker.

use futures_util::{StreamExt, future, stream};
use tidemark_domain::event::Profile;
use tidemark_domain::history::History;
use tidemark_domain::id::CardId;

use crate::call::{BatchContext, lock, with_retries};
use crate::config::{LOAD_CARDS_MAX, LOADS_CONCURRENT_MAX};
use crate::directives::Directives;
use crate::engine::Engine;
use crate::plan::{CardRun, Plan};
use crate::port::{Clock, Metered, PortError, Quarantine, ScoreSink, StateItem, StateStore, StateVersion};
use crate::report::{CacheCounts, Returned};
use crate::segment::ProfileView;

/// A card's state as it was read or kept warm, and the version that its next writer must name.
#[derive(Debug, Default)]
pub(crate) struct Warm {
    pub(crate) state: History,
    /// `None`: the store has no item for the card.
    pub(crate) version: Option<StateVersion>,
}

impl Warm {
    /// What an item holds; `None` is a card without one.
    pub(crate) fn from_item(item: Option<StateItem>) -> Result<Self, Returned> {
        let Some(item) = item else { return Ok(Self::default()) };
        let state = History::decode(&item.bytes).map_err(|_| Returned::StateCorrupt)?;
        Ok(Self {
            state,
            version: Some(item.version),
        })
    }
}

/// What a run needs before it can begin.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) warm: Result<Warm, Returned>,
    pub(crate) profile: ProfileView,
}

/// A profile kept warm, or its absence, and since when (ms since 1970-01-01T00:00:00Z).
#[derive(Clone, Debug)]
pub(crate) struct WarmProfile {
    pub(crate) profile: Option<Profile>,
    pub(crate) loaded_at_ms: i64,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// Inputs for every run of the plan, in its order.
    pub(crate) async fn load(&self, context: &BatchContext, plan: &Plan<'_>) -> (Vec<Inputs>, CacheCounts) {
        let mut counts = CacheCounts::default();
        let (mut inputs, missing) = self.take_warm(&plan.runs, &context.directives, &mut counts);
        let (states, profiles) = future::join(
            self.load_states(context, &plan.runs, missing.states),
            self.load_profiles(context, &plan.runs, missing.profiles),
        )
        .await;
        for (run, warm) in states {
            inputs[run].warm = warm;
        }
        for (run, profile) in profiles {
            inputs[run].profile = profile;
        }
        (inputs, counts)
    }

    fn take_warm(&self, runs: &[CardRun], directives: &Directives, counts: &mut CacheCounts) -> (Vec<Inputs>, Missing) {
        let now_ms = self.clock.now_ms();
        let mut missing = Missing::default();
        let (mut states, profiles) = (lock(&self.states), lock(&self.profiles));
        let mut inputs = Vec::with_capacity(runs.len());
        for (at, run) in runs.iter().enumerate() {
            let warm = if run.needs_state() {
                states.take(&run.card_id)
            } else {
                Some(Warm::default())
            };
            match warm {
                Some(_) => counts.state_hits += u64::from(run.needs_state()),
                None => missing.states.push(at),
            }
            let fresh = |warm: &&WarmProfile| now_ms.saturating_sub(warm.loaded_at_ms) < self.config.profile_max_age_ms;
            // A state that is not warm hints at another worker on this card: its profile may be old, too.
            let profile = match profiles
                .peek(&run.card_id)
                .filter(|profile| warm.is_some() && fresh(profile))
            {
                Some(WarmProfile {
                    profile: Some(profile), ..
                }) => Some(ProfileView::Known(profile.clone())),
                Some(WarmProfile { profile: None, .. }) => Some(ProfileView::Absent),
                None => None,
            };
            let profile = match run.needs_profile(directives) {
                Some(true) => {
                    counts.profile_hits += u64::from(profile.is_some());
                    if profile.is_none() {
                        missing.profiles.push(at);
                    }
                    profile.unwrap_or(ProfileView::Unavailable)
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

    async fn load_states(
        &self,
        context: &BatchContext,
        runs: &[CardRun],
        missing: Vec<usize>,
    ) -> Vec<(usize, Result<Warm, Returned>)> {
        let calls = chunks(missing).map(|chunk| async move {
            let cards = cards_of(runs, &chunk);
            let answer = self.read_states(context, &cards).await;
            match answer {
                Ok(items) => chunk
                    .into_iter()
                    .zip(items.into_iter().map(Warm::from_item))
                    .collect::<Vec<_>>(),
                Err(returned) => chunk.into_iter().map(|run| (run, Err(returned))).collect(),
            }
        });
        stream::iter(calls.collect::<Vec<_>>())
            .buffered(LOADS_CONCURRENT_MAX)
            .concat()
            .await
    }

    /// Reads states of at most [`LOAD_CARDS_MAX`] cards, in the order asked for.
    pub(crate) async fn read_states(
        &self,
        context: &BatchContext,
        cards: &[CardId],
    ) -> Result<Vec<Option<StateItem>>, Returned> {
        let until_ms = context.bounds.stop_at_ms;
        let call = || self.store.load_states(cards);
        let answer = with_retries(context, &self.clock, self.config.attempts_max, until_ms, call).await;
        let items = answer
            .map(|answer| context.metered(answer))
            .map_err(|_| Returned::LoadFailed)?;
        // A port that answers with another number of items can't be trusted in which is whose.
        if items.len() == cards.len() {
            Ok(items)
        } else {
            Err(Returned::LoadFailed)
        }
    }

    async fn load_profiles(
        &self,
        context: &BatchContext,
        runs: &[CardRun],
        missing: Vec<usize>,
    ) -> Vec<(usize, ProfileView)> {
        let calls = chunks(missing).map(|chunk| async move {
            let cards = cards_of(runs, &chunk);
            let Some(profiles) = self.read_profiles(context, &cards).await else {
                return chunk
                    .into_iter()
                    .map(|run| (run, ProfileView::Unavailable))
                    .collect::<Vec<_>>();
            };
            self.keep_profiles(&cards, &profiles);
            let view = |profile: Option<Profile>| profile.map_or(ProfileView::Absent, ProfileView::Known);
            chunk.into_iter().zip(profiles.into_iter().map(view)).collect()
        });
        stream::iter(calls.collect::<Vec<_>>())
            .buffered(LOADS_CONCURRENT_MAX)
            .concat()
            .await
    }

    /// Reads profiles of at most [`LOAD_CARDS_MAX`] cards; `None` when the breaker is open or the read failed.
    async fn read_profiles(&self, context: &BatchContext, cards: &[CardId]) -> Option<Vec<Option<Profile>>> {
        if !lock(&self.breaker).allow(self.clock.now_ms()) {
            context.tally().breaker_rejected += cards.len() as u64;
            return None;
        }
        let until_ms = context.bounds.stop_at_ms;
        let call = || self.store.load_profiles(cards);
        let answer = with_retries(context, &self.clock, self.config.profile_attempts_max, until_ms, call).await;
        match answer.and_then(|answer| whole(answer, cards.len())) {
            Ok(answer) => {
                lock(&self.breaker).succeeded();
                Some(context.metered(answer))
            }
            Err(_) => {
                lock(&self.breaker).failed(self.clock.now_ms());
                None
            }
        }
    }

    /// The profile of a card that another worker was found to work on: what is warm here may be old.
    pub(crate) async fn reload_profile(&self, context: &BatchContext, card: &CardId, view: &mut ProfileView) {
        if *view == ProfileView::Skipped {
            return;
        }
        let cards = std::slice::from_ref(card);
        // Where it can't be read, the older one goes on serving; the outcome names its version.
        let Some(profiles) = self.read_profiles(context, cards).await else {
            return;
        };
        self.keep_profiles(cards, &profiles);
        match profiles.into_iter().next().flatten() {
            Some(profile) => view.learn(&profile),
            None if *view == ProfileView::Unavailable => *view = ProfileView::Absent,
            None => {}
        }
    }

    fn keep_profiles(&self, cards: &[CardId], profiles: &[Option<Profile>]) {
        let loaded_at_ms = self.clock.now_ms();
        let mut cache = lock(&self.profiles);
        for (card, profile) in cards.iter().zip(profiles) {
            cache.put(
                card.clone(),
                WarmProfile {
                    profile: profile.clone(),
                    loaded_at_ms,
                },
                PROFILE_BYTES,
            );
        }
    }
}

/// A profile in memory, bytes.
pub(crate) const PROFILE_BYTES: usize = size_of::<WarmProfile>();

/// Runs, by index, that the caches could not serve.
#[derive(Debug, Default)]
struct Missing {
    states: Vec<usize>,
    profiles: Vec<usize>,
}

fn chunks(runs: Vec<usize>) -> impl Iterator<Item = Vec<usize>> {
    let mut runs = runs.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<usize> = runs.by_ref().take(LOAD_CARDS_MAX).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn cards_of(runs: &[CardRun], chunk: &[usize]) -> Vec<CardId> {
    chunk.iter().map(|run| runs[*run].card_id.clone()).collect()
}

fn whole<T>(answer: Metered<Vec<T>>, expected: usize) -> Result<Metered<Vec<T>>, PortError> {
    if answer.value.len() == expected {
        Ok(answer)
    } else {
        Err(PortError::Unavailable(
            "an answer for another number of cards".to_owned(),
        ))
    }
}
