//! The third and fourth step, for one commit group: a card's events are folded together, and one conditional write makes
//! them durable. Where another writer was first, they are folded again onto what it left. The writes of many cards go out in
//! one call; each is taken, refused and repeated by itself.

use std::sync::Arc;

use tidemark_domain::id::CardId;

use crate::call::BatchContext;
use crate::cards::{Cards, Warm};
use crate::config::SEGMENT_ROUNDS_MAX;
use crate::directives::Judge;
use crate::fold::{Folded, Step, expires_at_s, fold_group};
use crate::keys::{CardInputs, KeyViews};
use crate::plan::Planned;
use crate::port::{Clock, Commit, StateItem, StateStore, StateWrite};
use crate::profile::ProfileView;
use crate::report::Returned;
use crate::sealed::{drop_cold, read_segments, read_together, write_segments};

/// Carries cards' plans out; what they commit meanwhile goes out in calls of many writes, and what they read in calls of many reads.
pub(crate) async fn commit_together<S: StateStore, C: Clock, R>(
    context: &BatchContext<'_, C>,
    store: &S,
    cards: impl Future<Output = R>,
) -> R {
    let write = |writes: Vec<Arc<StateWrite>>| async move { store.commit(&writes).await };
    let (desk, is_late) = (&context.commits, BatchContext::is_stopped);
    let cards = read_together(context, store, cards);
    context
        .serve_writes(desk, |write| write.item.bytes.len(), is_late, write, cards)
        .await
}

/// A card while its plan is carried out.
pub(crate) struct Card<'r> {
    pub(crate) id: &'r CardId,
    pub(crate) warm: Warm,
    pub(crate) profile: ProfileView,
    pub(crate) keys: &'r KeyViews,
    /// When the last record of its plan arrived, ms since 1970-01-01T00:00:00Z.
    pub(crate) arrival_ms: i64,
}

/// Folds a group into the card's state and commits it, against other writers if need be.
pub(crate) async fn commit_group<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    card: &mut Card<'_>,
    group: &[Planned],
) -> Result<Vec<Step>, Returned> {
    let mut conflicts = 0;
    loop {
        let folded = fold_to_end(context, card, group).await?;
        if !folded.needs_commit {
            return Ok(folded.steps);
        }
        // The segments first: a state never names what is not there.
        write_segments(context, &cards.store, card.id, &mut card.warm.state).await?;
        let write = Arc::new(state_write(card));
        let winner = match commit(context, cards, &write).await? {
            Commit::Written => {
                card.warm.version = Some(write.item.version);
                return Ok(folded.steps);
            }
            Commit::Conflict(winner) => winner,
        };
        conflicts += 1;
        if conflicts > context.config.conflicts_per_card_max {
            return Err(Returned::ConflictLimit);
        }
        pause_after_conflict(context, conflicts).await?;
        let warm = match winner {
            Some(_) => Warm::from_item(winner)?,
            None => Warm::from_item(cards.read_winner(context, card.id).await?)?,
        };
        let lost = std::mem::replace(&mut card.warm, warm);
        card.warm.state.adopt_segments(lost.state);
        if group.iter().any(Planned::is_transaction) {
            let (store, view) = (&cards.store, &mut card.profile);
            cards.profiles.reload(context, store, card.id, view).await;
        }
    }
}

/// Folds a group, reading sealed segments where the fold asks for them. The fold goes on where it stopped: what it made so
/// far does not depend on what is at hand.
async fn fold_to_end<C: Clock>(
    context: &BatchContext<'_, C>,
    card: &mut Card<'_>,
    group: &[Planned],
) -> Result<Folded, Returned> {
    let judge = Judge {
        directives: &context.directives,
        now_ns: &|| context.clock.now_ns(),
    };
    let state = &mut card.warm.state;
    let mut folded = Folded::default();
    let (mut at, mut rounds) = (0, 0);
    loop {
        let inputs = CardInputs {
            profile: &card.profile,
            keys: card.keys,
        };
        fold_group(state, group, inputs, &judge, &mut folded);
        if folded.needs.is_empty() {
            return Ok(folded);
        }
        if folded.steps.len() > at {
            (at, rounds) = (folded.steps.len(), 0);
            drop_cold(state);
        }
        rounds += 1;
        if rounds > SEGMENT_ROUNDS_MAX {
            return Err(Returned::StateCorrupt);
        }
        let keys = std::mem::take(&mut folded.needs);
        read_segments(context, card.id, state, &keys).await?;
    }
}

fn state_write(card: &mut Card<'_>) -> StateWrite {
    let number = card.warm.version.map_or(0, |read| read.number);
    let newest_ms = card.warm.state.newest_ms().unwrap_or(card.arrival_ms);
    StateWrite {
        card_id: card.id.clone(),
        expected: card.warm.version,
        item: StateItem::new(number + 1, card.warm.state.encode_again()),
        expires_at_s: expires_at_s(newest_ms),
    }
}

/// Writes, and repeats the very same write when its fate is unknown: if it had landed, its condition fails now, and the
/// winner is what we wrote. Without such a try the same bytes are another writer's, who was handed the same event at the same
/// time: for us it is a duplicate.
async fn commit<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    cards: &Cards<S>,
    write: &Arc<StateWrite>,
) -> Result<Commit, Returned> {
    let (desk, until_ms) = (&context.commits, context.bounds.stop_at_ms);
    let (answer, may_be_ours) = context.write(desk, write, until_ms, Returned::CommitFailed).await?;
    if let Commit::Conflict(mut winner) = answer {
        if winner.is_none() && may_be_ours {
            winner = cards.read_winner(context, &write.card_id).await?;
        }
        if !may_be_ours || winner.as_ref() != Some(&write.item) {
            context.report().conflicts += 1;
            return Ok(Commit::Conflict(winner));
        }
    }
    context.report().commits += 1;
    Ok(Commit::Written)
}

/// The first conflict is met at once (it only says that our copy was stale), further ones pause.
async fn pause_after_conflict<C: Clock>(context: &BatchContext<'_, C>, conflicts: u32) -> Result<(), Returned> {
    if conflicts > 1 {
        let pause = context.pause_after(None, conflicts - 1, context.bounds.stop_at_ms);
        let pause_ms = pause.ok_or(Returned::ConflictLimit)?;
        context.clock.sleep_ms(pause_ms).await;
    }
    Ok(())
}
