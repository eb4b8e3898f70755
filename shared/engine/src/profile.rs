//! Profiles: what is known of a card's while its plan is carried out, and how it is read, behind a cache and a breaker.

use std::sync::Mutex;

use tidemark_domain::event::Profile;
use tidemark_domain::id::CardId;
use tidemark_domain::model::ProfileInput;

use crate::breaker::{Breaker, BreakerState};
use crate::cache::Cache;
use crate::call::BatchContext;
use crate::config::EngineConfig;
use crate::lock::lock;
use crate::port::{Clock, Metered, PortError, PutOnce, StateStore};
use crate::report::Returned;

/// A profile in memory, bytes.
const PROFILE_BYTES: usize = size_of::<WarmProfile>();

/// What is known of a card's profile while its plan is carried out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ProfileView {
    /// The profile.
    Known(Profile),
    /// The card has none.
    Absent,
    /// It could not be read.
    Unavailable,
    /// It was not looked for, on purpose.
    Skipped,
}

impl ProfileView {
    /// What the store answered.
    pub(crate) fn of(profile: Option<Profile>) -> Self {
        profile.map_or(Self::Absent, Self::Known)
    }

    /// As the score takes it.
    pub(crate) fn input(&self) -> ProfileInput<'_> {
        match self {
            Self::Known(profile) => ProfileInput::Known(profile),
            Self::Absent => ProfileInput::Absent,
            Self::Unavailable => ProfileInput::Unavailable,
            Self::Skipped => ProfileInput::Skipped,
        }
    }

    /// Takes note of a profile event: the newest wins.
    pub(crate) fn learn(&mut self, profile: &Profile) {
        match self {
            Self::Skipped => {}
            Self::Known(known) if known.version >= profile.version => {}
            _ => *self = Self::Known(profile.clone()),
        }
    }
}

/// A profile kept warm, or its absence, and since when (ms since 1970-01-01T00:00:00Z).
#[derive(Clone, Debug)]
pub(crate) struct WarmProfile {
    profile: Option<Profile>,
    loaded_at_ms: i64,
}

impl WarmProfile {
    /// What is warm, unless it was read longer ago than that.
    pub(crate) fn view(&self, now_ms: i64, age_ms_max: i64) -> Option<ProfileView> {
        let is_fresh = now_ms.saturating_sub(self.loaded_at_ms) < age_ms_max;
        is_fresh.then(|| ProfileView::of(self.profile.clone()))
    }
}

/// The profiles of a process: those that are warm, and the breaker before the others.
pub(crate) struct Profiles {
    pub(crate) warm: Mutex<Cache<CardId, WarmProfile>>,
    breaker: Mutex<Breaker>,
}

impl Profiles {
    /// Nothing is warm, and the breaker is closed.
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            warm: Mutex::new(Cache::new(config.profile_cache_cards_max, usize::MAX)),
            breaker: Mutex::new(Breaker::new(config.breaker_failures_max, config.breaker_open_ms)),
        }
    }

    /// The state of the breaker.
    pub(crate) fn breaker_state(&self) -> BreakerState {
        lock(&self.breaker).state()
    }

    /// Reads profiles of at most [`LOAD_CARDS_MAX`](crate::config::LOAD_CARDS_MAX) cards, in the order asked for, and keeps
    /// them warm; `None` when the breaker is open or the read failed.
    pub(crate) async fn read<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        cards: &[CardId],
    ) -> Option<Vec<Option<Profile>>> {
        if !lock(&self.breaker).allow(context.clock.now_ms()) {
            context.report().breaker_rejected += cards.len() as u64;
            return None;
        }
        let (attempts_max, until_ms) = (context.config.profile_attempts_max, context.bounds.stop_at_ms);
        let call = || store.load_profiles(cards);
        let answer = context.with_attempts(attempts_max, until_ms, call).await;
        match answer.and_then(|answer| whole(answer, cards.len())) {
            Ok(answer) => {
                lock(&self.breaker).succeeded();
                let profiles = context.metered(answer);
                self.keep(cards, &profiles, context.clock.now_ms());
                Some(profiles)
            }
            Err(_) => {
                lock(&self.breaker).failed(context.clock.now_ms());
                None
            }
        }
    }

    /// The profile of a card that another worker was found to work on: what is warm here may be old.
    pub(crate) async fn reload<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        card: &CardId,
        view: &mut ProfileView,
    ) {
        if *view == ProfileView::Skipped {
            return;
        }
        // Where it can't be read, the older one goes on serving; the outcome names its version.
        let Some(profiles) = self.read(context, store, std::slice::from_ref(card)).await else {
            return;
        };
        match profiles.into_iter().next().flatten() {
            Some(profile) => view.learn(&profile),
            None if *view == ProfileView::Unavailable => *view = ProfileView::Absent,
            None => {}
        }
    }

    /// Writes a profile if it is newer than the stored one.
    pub(crate) async fn put<S: StateStore, C: Clock>(
        &self,
        context: &BatchContext<'_, C>,
        store: &S,
        view: &mut ProfileView,
        profile: &Profile,
    ) -> Result<PutOnce, Returned> {
        let call = || store.put_profile(profile);
        let put = match context.with_retries(context.bounds.stop_at_ms, call).await {
            Ok(answer) => context.metered(answer),
            Err(PortError::Permanent(_)) => return Err(Returned::StoreRefused),
            Err(_) => return Err(Returned::ProfileFailed),
        };
        view.learn(profile);
        let card = std::slice::from_ref(&profile.card_id);
        match put {
            PutOnce::Written => self.keep(card, &[Some(profile.clone())], context.clock.now_ms()),
            // The store may have a newer one than what is warm.
            PutOnce::Already => _ = lock(&self.warm).take(&profile.card_id),
        }
        Ok(put)
    }

    fn keep(&self, cards: &[CardId], profiles: &[Option<Profile>], loaded_at_ms: i64) {
        let mut warm = lock(&self.warm);
        for (card, profile) in cards.iter().zip(profiles) {
            let profile = WarmProfile {
                profile: profile.clone(),
                loaded_at_ms,
            };
            warm.put(card.clone(), profile, PROFILE_BYTES);
        }
    }
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
