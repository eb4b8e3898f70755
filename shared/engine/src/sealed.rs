//! Sealed segments of hot cards: read when the fold asks for them, written before the state that names them.

use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::lifetime::SEGMENT_MS;

use crate::call::{BatchContext, with_retries};
use crate::config::{
    SEGMENT_ITEMS_WARM_MAX, SEGMENT_ROUNDS_MAX, SEGMENTS_LOAD_MAX, SEGMENTS_WRITE_BYTES_MAX, SEGMENTS_WRITE_MAX,
};
use crate::engine::Engine;
use crate::plan::Planned;
use crate::port::{Clock, Quarantine, ScoreSink, SegmentItem, StateStore};
use crate::report::Returned;
use crate::segment::{Folded, Judge, ProfileView, fold_segment};
use crate::send::{SliceLimit, send_all};

/// What the store is given in one write.
const SEGMENT_SLICE: SliceLimit<SegmentItem> = SliceLimit {
    items_max: SEGMENTS_WRITE_MAX,
    bytes_max: SEGMENTS_WRITE_BYTES_MAX,
    bytes_of: |segment| segment.bytes.len(),
};

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> Engine<S, K, Q, C> {
    /// Folds events into a state, reading segments where the fold asks for them. The fold goes on where it stopped: what
    /// it made so far does not depend on what is at hand.
    pub(crate) async fn fold_all(
        &self,
        context: &BatchContext,
        card: &CardId,
        state: &mut History,
        events: &[Planned],
        profile: &ProfileView,
    ) -> Result<Folded, Returned> {
        let judge = Judge {
            directives: &context.directives,
            now_ns: &|| self.clock.now_ns(),
        };
        let mut folded = Folded::default();
        let (mut at, mut rounds) = (0, 0);
        loop {
            fold_segment(state, events, profile, &judge, &mut folded);
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
            self.read_segments(context, card, state, &keys).await?;
        }
    }

    async fn read_segments(
        &self,
        context: &BatchContext,
        card: &CardId,
        state: &mut History,
        keys: &[SegmentKey],
    ) -> Result<(), Returned> {
        let until_ms = context.bounds.stop_at_ms;
        for keys in keys.chunks(SEGMENTS_LOAD_MAX) {
            let call = || self.store.load_segments(card, keys);
            let answer = with_retries(context, &self.clock, self.config.attempts_max, until_ms, call).await;
            let segments = answer
                .map(|answer| context.metered(answer))
                .map_err(|_| Returned::LoadFailed)?;
            if segments.len() != keys.len() {
                return Err(Returned::LoadFailed);
            }
            for (key, bytes) in keys.iter().zip(segments) {
                // A segment outlives every state that can ask for it: one that is not there was taken away.
                let bytes = bytes.ok_or(Returned::StateCorrupt)?;
                state.supply_segment(*key, &bytes).map_err(|_| Returned::StateCorrupt)?;
                context.tally().segments_read += 1;
            }
        }
        Ok(())
    }

    /// Writes a state's new segments. What is written here and not named by a state later expires.
    pub(crate) async fn write_segments(
        &self,
        context: &BatchContext,
        card: &CardId,
        state: &mut History,
    ) -> Result<(), Returned> {
        let items: Vec<SegmentItem> = state
            .new_segments()
            .map(|segment| SegmentItem {
                card_id: card.clone(),
                key: segment.key,
                bytes: segment.bytes.clone(),
                expires_at_s: segment_expires_at_s(segment.last_ms),
            })
            .collect();
        if items.is_empty() {
            return Ok(());
        }
        // A few at a time: all of them are in one partition, and what was written stays written while the rest is throttled.
        let call = |slice: Vec<SegmentItem>| async move {
            let answer = self.store.put_segments(&slice).await.map(|answer| {
                context.metered(answer);
                context.tally().segments_written += slice.len() as u64;
                Vec::new()
            });
            (answer, slice)
        };
        let (until_ms, attempts_max) = (context.bounds.stop_at_ms, self.config.attempts_max);
        let left = send_all(
            context,
            &self.clock,
            (attempts_max, until_ms),
            &SEGMENT_SLICE,
            items,
            call,
        )
        .await;
        if left.is_refused() {
            return Err(Returned::StoreRefused);
        }
        if !left.is_empty() {
            return Err(Returned::CommitFailed);
        }
        state.segments_written();
        Ok(())
    }
}

/// Forgets the segments at hand when there are too many.
pub(crate) fn drop_cold(state: &mut History) {
    if state.segments_held() > 0 && state.segment_items_held() > SEGMENT_ITEMS_WARM_MAX {
        state.forget_segments();
    }
}

/// A segment outlives every state that names it, by whatever policy it is read: its expiry follows from its content, so that
/// whoever writes it writes the same.
fn segment_expires_at_s(last_ms: i64) -> i64 {
    last_ms.saturating_add(SEGMENT_MS) / 1000
}
