//! A card's run: its events in order, each group of them committed before the next begins.

use tidemark_domain::event::{Event, Profile};
use tidemark_domain::id::CardId;

use crate::call::{BatchContext, lock, with_retries};
use crate::engine::Engine;
use crate::load::{Inputs, PROFILE_BYTES, Warm, WarmProfile};
use crate::plan::{CardRun, Planned};
use crate::port::{Clock, Commit, PortError, PutOnce, Quarantine, ScoreSink, StateItem, StateStore, StateWrite};
use crate::report::Returned;
use crate::sealed::drop_cold;
use crate::segment::{Effect, Folded, ProfileView, Step, expires_at_s};

/// How far a card came.
#[derive(Debug)]
pub(crate) struct RunDone {
    /// Events whose effect is durable, in order.
    pub(crate) steps: Vec<Step>,
    /// Events that must come again, from the first that failed on (I4).
    pub(crate) returned: Vec<(usize, Returned)>,
}

/// A card while its run lasts.
struct Card<'r> {
    id: &'r CardId,
    warm: Warm,
    profile: ProfileView,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// Applies a card's events in order. Never fails as a whole: what can't be done now is returned.
    pub(crate) async fn run_card(
        &self,
        context: &BatchContext,
        run: &CardRun,
        inputs: Inputs,
        arrival_ms: i64,
    ) -> RunDone {
        let mut done = RunDone {
            steps: Vec::with_capacity(run.events.len()),
            returned: Vec::new(),
        };
        let warm = match inputs.warm {
            Ok(warm) => warm,
            Err(returned) => return done.with_rest(&run.events, returned),
        };
        let mut card = Card {
            id: &run.card_id,
            warm,
            profile: inputs.profile,
        };
        let mut rest = run.events.as_slice();
        while let Some(first) = rest.first() {
            if self.clock.now_ms() >= context.bounds.stop_at_ms {
                self.keep_warm(card);
                return done.with_rest(rest, Returned::Deadline);
            }
            // A profile splits the run: what was scored without it is durable before it is, so that a batch that comes
            // again after a crash scores the same events with the same profile.
            let result = if let Event::Profile(profile) = &first.event {
                let step = self.apply_profile(context, &mut card.profile, profile).await;
                step.map(|effect| {
                    (
                        1,
                        vec![Step {
                            record: first.record,
                            effect,
                        }],
                    )
                })
            } else {
                let length = rest.iter().position(is_profile).unwrap_or(rest.len());
                let steps = self
                    .commit_segment(context, &mut card, &rest[..length], arrival_ms)
                    .await;
                context.tally().commit_failures += u64::from(steps.as_ref().is_err_and(is_commit_failure));
                steps.map(|steps| (length, steps))
            };
            match result {
                Ok((length, steps)) => {
                    done.steps.extend(steps);
                    rest = &rest[length..];
                }
                // The state is dropped, not kept warm: nobody knows whether it is the store's.
                Err(returned) => return done.with_rest(rest, returned),
            }
        }
        self.keep_warm(card);
        done
    }

    /// Folds events into a state and commits it, against other writers if need be.
    async fn commit_segment(
        &self,
        context: &BatchContext,
        card: &mut Card<'_>,
        events: &[Planned],
        arrival_ms: i64,
    ) -> Result<Vec<Step>, Returned> {
        let mut conflicts = 0;
        loop {
            let state = &mut card.warm.state;
            let Folded {
                steps, needs_commit, ..
            } = self.fold_all(context, card.id, state, events, &card.profile).await?;
            if !needs_commit {
                return Ok(steps);
            }
            // The segments first: a state never names what is not there.
            self.write_segments(context, card.id, state).await?;
            let write = state_write(card, arrival_ms);
            let winner = match self.commit(context, &write).await? {
                Commit::Written => {
                    card.warm.version = Some(write.item.version);
                    return Ok(steps);
                }
                Commit::Conflict(winner) => winner,
            };
            conflicts += 1;
            if conflicts > self.config.conflicts_per_card_max {
                return Err(Returned::ConflictLimit);
            }
            let warm = self.after_conflict(context, card.id, winner, conflicts).await?;
            let lost = std::mem::replace(&mut card.warm, warm);
            card.warm.state.adopt_segments(lost.state);
            if events
                .iter()
                .any(|planned| matches!(planned.event, Event::Transaction(_)))
            {
                self.reload_profile(context, card.id, &mut card.profile).await;
            }
        }
    }

    /// Writes, and repeats the very same write when its fate is unknown: if it had landed, its condition fails now, and
    /// the winner is what we wrote.
    async fn commit(&self, context: &BatchContext, write: &StateWrite) -> Result<Commit, Returned> {
        let until_ms = context.bounds.stop_at_ms;
        let call = || self.store.commit(write);
        match with_retries(context, &self.clock, self.config.attempts_max, until_ms, call).await {
            Ok(answer) => match context.metered(answer) {
                Commit::Conflict(Some(winner)) if winner == write.item => {
                    context.tally().commits += 1;
                    Ok(Commit::Written)
                }
                Commit::Conflict(winner) => {
                    context.tally().conflicts += 1;
                    Ok(Commit::Conflict(winner))
                }
                Commit::Written => {
                    context.tally().commits += 1;
                    Ok(Commit::Written)
                }
            },
            Err(PortError::Permanent(_)) => Err(Returned::StoreRefused),
            Err(_) => Err(Returned::CommitFailed),
        }
    }

    /// The state that won. The first conflict is met at once (it only says that our copy was stale), further ones pause.
    async fn after_conflict(
        &self,
        context: &BatchContext,
        card: &CardId,
        winner: Option<StateItem>,
        conflicts: u32,
    ) -> Result<Warm, Returned> {
        if conflicts > 1 {
            let pause = context.pause_after(None, conflicts - 1, context.bounds.stop_at_ms, &self.clock);
            let Some(pause_ms) = pause else {
                return Err(Returned::ConflictLimit);
            };
            self.clock.sleep_ms(pause_ms).await;
        }
        if winner.is_some() {
            return Warm::from_item(winner);
        }
        let mut items = self.read_states(context, std::slice::from_ref(card)).await?;
        Warm::from_item(items.pop().flatten())
    }

    async fn apply_profile(
        &self,
        context: &BatchContext,
        view: &mut ProfileView,
        profile: &Profile,
    ) -> Result<Effect, Returned> {
        let until_ms = context.bounds.stop_at_ms;
        let call = || self.store.put_profile(profile);
        let answer = with_retries(context, &self.clock, self.config.attempts_max, until_ms, call).await;
        let put = match answer {
            Ok(answer) => context.metered(answer),
            Err(PortError::Permanent(_)) => return Err(Returned::StoreRefused),
            Err(_) => return Err(Returned::ProfileFailed),
        };
        view.learn(profile);
        let mut cache = lock(&self.profiles);
        match put {
            PutOnce::Written => {
                let warm = WarmProfile {
                    profile: Some(profile.clone()),
                    loaded_at_ms: self.clock.now_ms(),
                };
                cache.put(profile.card_id.clone(), warm, PROFILE_BYTES);
                Ok(Effect::Applied)
            }
            PutOnce::Already => {
                // The store may have a newer one than what is warm.
                let _ = cache.take(&profile.card_id);
                Ok(Effect::Already)
            }
        }
    }

    /// Keeps a committed state for the next batch.
    fn keep_warm(&self, mut card: Card<'_>) {
        if card.warm.version.is_some() {
            drop_cold(&mut card.warm.state);
            let bytes = state_bytes(&card.warm);
            lock(&self.states).put(card.id.clone(), card.warm, bytes);
        }
    }
}

impl RunDone {
    fn with_rest(mut self, rest: &[Planned], returned: Returned) -> Self {
        self.returned
            .extend(rest.iter().map(|planned| (planned.record, returned)));
        self
    }
}

fn state_write(card: &Card<'_>, arrival_ms: i64) -> StateWrite {
    let number = card.warm.version.map_or(0, |read| read.number);
    let newest_ms = card.warm.state.newest_ms().unwrap_or(arrival_ms);
    StateWrite {
        card_id: card.id.clone(),
        expected: card.warm.version,
        item: StateItem::new(number + 1, card.warm.state.encode()),
        expires_at_s: expires_at_s(newest_ms),
    }
}

/// Whether it is the write that failed for good, and not the time, the reading or the state.
fn is_commit_failure(returned: &Returned) -> bool {
    matches!(
        returned,
        Returned::ConflictLimit | Returned::CommitFailed | Returned::StoreRefused
    )
}

fn is_profile(planned: &Planned) -> bool {
    matches!(planned.event, Event::Profile(_))
}

/// What a state takes in memory, bytes (estimated from its newest entry, so that it costs the same for any length).
fn state_bytes(warm: &Warm) -> usize {
    let entries = warm.state.entries();
    let one = entries.last().map_or(0, |entry| {
        size_of_val(entry) + size_of_val(&*entry.outcome.reasons) + size_of_val(&*entry.outcome.features)
    });
    size_of::<Warm>() + (entries.len() + warm.state.sealed_refs() + warm.state.segment_items_held()) * one
}

#[cfg(test)]
mod tests {
    use tidemark_domain::catalogue::FeatureValue;
    use tidemark_domain::event::{Channel, Country, Currency, Transaction};
    use tidemark_domain::fold::{Applied, apply_transaction};
    use tidemark_domain::history::Entry;
    use tidemark_domain::id::{EventId, MerchantId};
    use tidemark_domain::model::ProfileInput;
    use tidemark_domain::outcome::Reason;
    use tidemark_domain::policy::Policy;

    use super::*;

    const START_MS: i64 = 1_780_000_000_000;

    fn warm(policy: &Policy, events: i64) -> Warm {
        let mut warm = Warm::default();
        for number in 0..events {
            let tx = Transaction {
                event_id: EventId::new(&format!("e{number}")).unwrap(),
                card_id: CardId::new("a").unwrap(),
                occurred_at_ms: START_MS + number * 1_000,
                // The last one is out of the ordinary: it has reasons.
                amount_minor: if number + 1 == events { 10_000_000 } else { 100 },
                currency: Currency::new("EUR").unwrap(),
                merchant_id: MerchantId::new("m").unwrap(),
                mcc: 5_411,
                country: Country::new("FR").unwrap(),
                channel: Channel::Ecommerce,
                approved: true,
                device_id: None,
                place: None,
            };
            let applied = apply_transaction(&mut warm.state, &tx, ProfileInput::Absent, policy);
            assert!(matches!(applied, Applied::Scored { .. }));
        }
        warm
    }

    #[test]
    fn what_is_warm_counts_every_entry_reason_feature_and_segment_item() {
        let policy = Policy {
            outcome_features: true,
            ..Policy::default_policy()
        };
        assert_eq!(state_bytes(&Warm::default()), size_of::<Warm>());
        let head = warm(&policy, 30);
        let last = &head.state.entries()[29].outcome;
        let (reasons, features) = (last.reasons.len(), last.features.len());
        assert!(reasons > 0 && features > 0);
        let one = size_of::<Entry>() + reasons * size_of::<Reason>() + features * size_of::<FeatureValue>();
        assert_eq!(state_bytes(&head), size_of::<Warm>() + 30 * one);
        let hot = warm(&Policy::default_policy(), 450);
        let (refs, held) = (hot.state.sealed_refs(), hot.state.segment_items_held());
        let entries = hot.state.entries().len();
        assert!(refs > 0 && held > 0 && entries < 450);
        let last = &hot.state.entries()[entries - 1].outcome;
        let one = size_of::<Entry>() + last.reasons.len() * size_of::<Reason>();
        assert_eq!(state_bytes(&hot), size_of::<Warm>() + (entries + refs + held) * one);
    }
}
