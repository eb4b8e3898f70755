//! Sealed segments of hot cards: read when the fold asks for them, written before the state that names them.

use futures_util::future::join_all;
use tidemark_domain::history::History;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_domain::lifetime::SEGMENT_MS;

use crate::call::{BatchContext, SegmentPlace};
use crate::config::{
    LOADS_CONCURRENT_MAX, SEGMENT_ITEMS_WARM_MAX, SEGMENTS_LOAD_MAX, SEGMENTS_WRITE_BYTES_MAX, SEGMENTS_WRITE_MAX,
};
use crate::desk::serve;
use crate::port::{Clock, Freshness, SegmentItem, StateStore};
use crate::portion::CallLimit;
use crate::report::Returned;
use crate::send_all::send_all;

/// What the store is given in one write.
const SEGMENT_CALL: CallLimit<SegmentItem> = CallLimit {
    items_max: SEGMENTS_WRITE_MAX,
    bytes_max: SEGMENTS_WRITE_BYTES_MAX,
    bytes_of: |segment| segment.bytes.len(),
};

/// Segments in one read, whatever their bytes: a store hands back as many as fit an answer, and the rest in another.
const SEGMENTS_READ: CallLimit<SegmentPlace> = CallLimit {
    items_max: SEGMENTS_LOAD_MAX,
    bytes_max: usize::MAX,
    bytes_of: |_| 0,
};

/// Carries cards' plans out; the segments that they ask for meanwhile are read together, those of many cards in a call.
pub(crate) async fn read_together<S: StateStore, C: Clock, R>(
    context: &BatchContext<'_, C>,
    store: &S,
    cards: impl Future<Output = R>,
) -> R {
    let (desk, is_late) = (&context.segments, || context.is_stopped());
    let read = |places: Vec<SegmentPlace>| async move { read_sealed(context, store, &places).await };
    serve(desk, &SEGMENTS_READ, LOADS_CONCURRENT_MAX, is_late, read, cards).await
}

/// Reads segments and hands them to the state that asked for them.
pub(crate) async fn read_segments<C: Clock>(
    context: &BatchContext<'_, C>,
    card: &CardId,
    state: &mut History,
    keys: &[SegmentKey],
) -> Result<(), Returned> {
    let asked = keys.iter().map(|key| context.segments.ask((card.clone(), *key)));
    for (key, read) in keys.iter().zip(join_all(asked).await) {
        let bytes = read.unwrap_or(Err(Returned::Deadline))?;
        state.supply_segment(*key, &bytes).map_err(|_| Returned::StateCorrupt)?;
        context.report().segments_read += 1;
    }
    Ok(())
}

/// Reads segments: as cheaply as can be at first, since a segment never changes, so that one which is there is the one that was asked
/// for. What such a read does not show may have been written just now: only what is not there by a read of everything that was
/// written before is missing. A segment outlives every state that can ask for it, and is written before that state: it was taken away.
async fn read_sealed<S: StateStore, C: Clock>(
    context: &BatchContext<'_, C>,
    store: &S,
    places: &[SegmentPlace],
) -> Vec<Result<Vec<u8>, Returned>> {
    let mut read: Vec<Option<Vec<u8>>> = vec![None; places.len()];
    for freshness in [Freshness::Eventual, Freshness::Strong] {
        let missing: Vec<usize> = (0..places.len()).filter(|at| read[*at].is_none()).collect();
        if missing.is_empty() {
            break;
        }
        let asked: Vec<SegmentPlace> = missing.iter().map(|at| places[*at].clone()).collect();
        let call = || store.load_segments(&asked, freshness);
        let answer = context.with_retries(context.bounds.stop_at_ms, call).await;
        let found = answer.map(|answer| context.metered(answer)).unwrap_or_default();
        if found.len() != asked.len() {
            let unread = |bytes: Option<Vec<u8>>| bytes.ok_or(Returned::LoadFailed);
            return read.into_iter().map(unread).collect();
        }
        for (at, bytes) in missing.into_iter().zip(found) {
            read[at] = bytes;
        }
    }
    read.into_iter()
        .map(|bytes| bytes.ok_or(Returned::StateCorrupt))
        .collect()
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
