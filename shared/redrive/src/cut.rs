//! Where a span of time is cut into slices: each begins where the one before ends. Pure.

use crate::api::CutRange;
use crate::limits::{SLICE_MS, SLICES_OF_CHAIN_MAX};

/// How long a slice of a span is, milliseconds: [`SLICE_MS`], or more where a chain would have too many.
fn slice_ms(since_ms: i64, until_ms: i64) -> i64 {
    let whole_ms = until_ms.saturating_sub(since_ms).max(0);
    SLICE_MS.max(whole_ms / SLICES_OF_CHAIN_MAX + 1)
}

/// The first slice of a span of time; `None`: the span is one slice.
#[must_use]
pub fn first_cut(since_ms: i64, until_ms: i64) -> Option<CutRange> {
    let end_ms = since_ms.saturating_add(slice_ms(since_ms, until_ms));
    (end_ms <= until_ms).then_some(CutRange {
        begin_ms: None,
        end_ms: Some(end_ms),
    })
}

/// The slice after this one; `None`: it was the last of its chain.
#[must_use]
pub fn next_cut(since_ms: i64, until_ms: i64, cut: CutRange) -> Option<CutRange> {
    let begin_ms = cut.end_ms?;
    let end_ms = begin_ms.saturating_add(slice_ms(since_ms, until_ms));
    Some(CutRange {
        begin_ms: Some(begin_ms),
        end_ms: (end_ms <= until_ms).then_some(end_ms),
    })
}
