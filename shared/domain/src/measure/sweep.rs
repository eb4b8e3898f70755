//! One sweep over a card's history, from the event backwards.

use crate::event::Profile;
use crate::history::sealed::SegmentKey;
use crate::history::sketch::EXACT_MAX;
use crate::history::{History, Piece};
use crate::labelled::KeyInput;
use crate::policy::Policy;

use super::edges::Edges;
use super::measured::Measured;
use super::observed::Observed;
use super::pass::Pass;
use super::watch::Watch;

/// What a sweep for an event looks at: how far its windows reach, and what is watched in them.
pub(crate) struct Sweep<'a> {
    event: &'a Observed<'a>,
    windows: usize,
    edges: Edges,
    watch: Watch,
    /// So many of the newest events are looked at one by one, where that is wanted: as many as the policy's head may hold, so that what
    /// is made of them does not depend on how soon a head is sealed. Of those before them the sums serve, and the outcome says so.
    each: usize,
}

impl<'a> Sweep<'a> {
    /// The sweep for an event, by the policy that scores it.
    pub(crate) fn new(event: &'a Observed<'a>, policy: &Policy) -> Self {
        let watch = Watch::of(policy.compiled.needs(), event);
        Self {
            each: if watch.one_by_one() { policy.head_events_max } else { 0 },
            event,
            windows: policy.windows().len().min(Policy::WINDOWS_LIMIT),
            edges: Edges::new(event.key.time_ms, policy),
            watch,
        }
    }

    /// Segments that the windows need and that are not at hand.
    pub(crate) fn unread(&self, state: &History) -> Vec<SegmentKey> {
        state.unread(&self.edges.cuts(self.watch.wants(), self.each))
    }

    /// Walks back over the events at or before the event's time, as far as the longest window reaches: over the head's,
    /// then over the sealed ones.
    pub(crate) fn measure<'p>(
        &self,
        state: &History,
        profile: Option<&'p Profile>,
        keys: &'p [KeyInput<'p>],
    ) -> Measured<'p> {
        let (edges, windows) = (&self.edges, self.windows);
        let entries = state.entries();
        let (before, _) = entries.split_at(entries.partition_point(|entry| entry.time_ms <= edges.now_ms));
        let sealed = if state.sealed.is_empty() {
            Vec::new()
        } else {
            state.sealed_pieces(&edges.cuts(self.watch.wants(), self.each))
        };
        let sealed_distinct = sealed.iter().map(|piece| match piece {
            Piece::One(_) => 1,
            Piece::Whole(whole) => whole.distinct_max(),
            Piece::Unread(_) => EXACT_MAX,
        });
        let distinct_max = before.len() + sealed_distinct.sum::<usize>();
        let mut pass = Pass::new(self.event, profile, self.watch, distinct_max);
        let mut open = 0;
        let (mut latest, mut earliest) = (None, None);
        let mut rest = before;
        while open < windows && !rest.is_empty() {
            let start_ms = edges.starts_ms[open];
            let (older, within) = rest.split_at(rest.partition_point(|entry| entry.time_ms <= start_ms));
            pass.add_entries(within);
            if let (Some(first), Some(last)) = (within.first(), within.last()) {
                latest = latest.or(Some(last.time_ms));
                earliest = Some(first.time_ms);
            }
            if !older.is_empty() {
                pass.measured.panes[open] = pass.pane();
                open += 1;
            }
            rest = older;
        }
        for piece in sealed {
            let (first_ms, last_ms) = piece.span_ms();
            while open < windows && last_ms <= edges.starts_ms[open] {
                pass.measured.panes[open] = pass.pane();
                open += 1;
            }
            if open == windows {
                break;
            }
            pass.add(piece);
            latest = latest.or(Some(last_ms));
            earliest = Some(first_ms);
        }
        let pane = pass.pane();
        pass.measured.panes[open..windows].fill(pane);
        pass.measured.longest = pane;
        pass.measured.first_ms = earliest;
        pass.measured.previous_ms = latest;
        pass.measured.keys = keys;
        pass.measured.truncated = state.is_truncated_after(edges.oldest_ms);
        pass.finish()
    }
}
