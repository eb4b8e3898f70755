//! Where an event's windows begin and end.

use crate::history::Cuts;
use crate::history::sealed::Wants;
use crate::policy::Policy;

const MS_PER_MINUTE: i64 = 60_000;
pub(super) const MS_PER_DAY: i64 = 86_400_000;

/// Where the windows of an event begin and end, ms since 1970-01-01T00:00:00Z.
pub(super) struct Edges {
    pub(super) now_ms: i64,
    /// Where the longest window begins: nothing at or before it counts.
    pub(super) oldest_ms: i64,
    /// Where each window begins, in the policy's order, and the last day; unused ones are at the end of time.
    pub(super) starts_ms: [i64; Policy::WINDOWS_LIMIT + 1],
}

impl Edges {
    pub(super) fn new(now_ms: i64, policy: &Policy) -> Self {
        let mut starts_ms = [i64::MAX; Policy::WINDOWS_LIMIT + 1];
        let mut oldest_ms = now_ms;
        for (start_ms, minutes) in starts_ms.iter_mut().zip(policy.windows()) {
            *start_ms = now_ms.saturating_sub(i64::from(*minutes) * MS_PER_MINUTE);
            oldest_ms = *start_ms;
        }
        starts_ms[Policy::WINDOWS_LIMIT] = now_ms.saturating_sub(MS_PER_DAY);
        Self {
            now_ms,
            oldest_ms,
            starts_ms,
        }
    }

    /// How sealed history is cut for these windows.
    pub(super) const fn cuts(&self, wants: Wants, each: usize) -> Cuts<'_> {
        Cuts {
            now_ms: self.now_ms,
            oldest_ms: self.oldest_ms,
            starts_ms: &self.starts_ms,
            wants,
            each,
        }
    }
}
