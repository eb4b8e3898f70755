//! One walk over a card's history, from the event backwards.

use crate::event::{Profile, Transaction};
use crate::history::sketch::EXACT_MAX;
use crate::history::{History, Piece};
use crate::policy::Policy;

use super::edges::Edges;
use super::measured::Measured;
use super::pass::Pass;
use super::watch::Watch;

impl<'a> Measured<'a> {
    /// Walks back over the events at or before the event's time, as far as the longest window reaches: over the head's,
    /// then over the sealed ones.
    pub(crate) fn new(state: &History, tx: &Transaction, profile: Option<&'a Profile>, policy: &Policy) -> Self {
        let now = tx.occurred_at_ms;
        let entries = state.entries();
        let (before, _) = entries.split_at(entries.partition_point(|entry| entry.time_ms <= now));
        let edges = Edges::new(now, policy);
        let watch = Watch::of(policy, tx);
        let sealed = if state.sealed.is_empty() {
            Vec::new()
        } else {
            state.sealed_pieces(&edges.cuts(watch.wants()))
        };
        let sealed_distinct = sealed.iter().map(|piece| match piece {
            Piece::One(_) => 1,
            Piece::Whole(whole) => whole.distinct_max(),
            Piece::Unread(_) => EXACT_MAX,
        });
        let distinct_max = before.len() + sealed_distinct.sum::<usize>();
        let mut pass = Pass::new(tx, profile, policy, watch, distinct_max);
        let mut open = 0;
        let windows = policy.windows.len().min(Policy::WINDOWS_LIMIT);
        let (mut latest, mut earliest) = (None, None);
        for piece in before.iter().rev().map(Piece::One).chain(sealed) {
            let (first_ms, last_ms) = piece.span_ms();
            while open < windows && last_ms <= edges.starts_ms[open] {
                pass.measured.windows[open] = pass.window();
                open += 1;
            }
            if open == windows {
                break;
            }
            pass.add(piece);
            latest = latest.or(Some(last_ms));
            earliest = Some(first_ms);
        }
        let window = pass.window();
        pass.measured.windows[open..windows].fill(window);
        pass.measured.longest = window;
        pass.measured.first_ms = earliest;
        pass.measured.previous_ms = latest;
        pass.finish()
    }
}
