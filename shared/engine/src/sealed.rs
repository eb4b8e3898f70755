//! Sealed segments of hot cards: read when the fold asks for them, written before the state that names them.

use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::lifetime::SEGMENT_MS;

use crate::call::BatchContext;
use crate::config::{SEGMENT_ITEMS_WARM_MAX, SEGMENTS_LOAD_MAX, SEGMENTS_WRITE_BYTES_MAX, SEGMENTS_WRITE_MAX};
use crate::port::{Clock, SegmentItem, StateStore};
use crate::portion::CallLimit;
use crate::report::Returned;
use crate::send_all::send_all;

/// What the store is given in one write.
const SEGMENT_CALL: CallLimit<SegmentItem> = CallLimit {
    items_max: SEGMENTS_WRITE_MAX,
    bytes_max: SEGMENTS_WRITE_BYTES_MAX,
    bytes_of: |segment| segment.bytes.len(),
};

/// Reads segments and hands them to the state that asked for them.
pub(crate) async fn read_segments<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    card: &CardId,
    state: &mut History,
    keys: &[SegmentKey],
) -> Result<(), Returned> {
    for keys in keys.chunks(SEGMENTS_LOAD_MAX) {
        let call = || store.load_segments(card, keys);
        let answer = context.with_retries(context.bounds.stop_at_ms, call).await;
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
            context.report().segments_read += 1;
        }
    }
    Ok(())
}

/// Writes a state's new segments. What is written here and not named by a state later expires.
pub(crate) async fn write_segments<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
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
    let call = |portion: Vec<SegmentItem>| async move {
        let answer = store.put_segments(&portion).await.map(|answer| {
            context.metered(answer);
            context.report().segments_written += portion.len() as u64;
            Vec::new()
        });
        (answer, portion)
    };
    let left = send_all(context, context.bounds.stop_at_ms, &SEGMENT_CALL, items, call).await;
    if left.is_refused() {
        return Err(Returned::StoreRefused);
    }
    if !left.is_empty() {
        return Err(Returned::CommitFailed);
    }
    state.segments_written();
    Ok(())
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
