//! Putting an event into a history.

use crate::outcome::{KEYS_MAX, REASONS_MAX, RULES_MAX, StoredOutcome};

use super::entry::Entry;
use super::limits::FEATURES_MAX;
use super::sealed::Seal;
use super::state::History;

impl History {
    /// Puts an entry where it belongs, drops what is not after `aged_ms`, and seals what is over the limits. The entry as
    /// it is kept; `None` when the segment that it belongs to is not at hand, and then nothing is changed.
    pub(crate) fn insert(&mut self, mut entry: Entry, aged_ms: i64, seal: Seal) -> Option<Box<Entry>> {
        self.size.forget();
        normalise(&mut entry.outcome);
        let kept = Box::new(entry.clone());
        let (before, time_ms) = (self.newest_arrival(), entry.time_ms);
        if self.is_sealed(entry.order()) {
            self.add_sealed(entry, seal.leaf_usual)?;
            self.shorten(before, time_ms);
        } else {
            self.shorten(before, time_ms);
            let at = self.entries.partition_point(|kept| kept.time_ms <= entry.time_ms);
            self.entries.insert(at, entry);
        }
        self.next_seq = self.next_seq.saturating_add(1);
        self.floor_ms = self.floor_ms.max(self.drop_aged(aged_ms));
        if self.sealed.is_empty() {
            let aged = self.entries.partition_point(|kept| kept.time_ms <= aged_ms);
            let dropped = aged.checked_sub(1).map(|last| self.entries[last].time_ms);
            self.entries.drop_oldest(aged);
            self.floor_ms = self.floor_ms.max(dropped);
        }
        self.seal(seal);
        Some(kept)
    }

    /// Where the newest arrival is in the head.
    fn newest_arrival(&self) -> Option<usize> {
        let seq = self.next_seq.checked_sub(1)?;
        self.entries.iter().rposition(|entry| entry.seq == seq)
    }

    /// Forgets the upper half of what was the newest arrival's fingerprint until now, unless another event shares its
    /// millisecond: then they stay told apart.
    fn shorten(&mut self, newest: Option<usize>, coming_ms: i64) {
        let Some(at) = newest else { return };
        let time_ms = self.entries[at].time_ms;
        let is_there = |at: Option<usize>| {
            let entry = at.and_then(|at| self.entries.get(at));
            entry.is_some_and(|entry| entry.time_ms == time_ms)
        };
        let is_sealed_too = self.sealed.last().is_some_and(|segment| segment.last().0 == time_ms);
        let is_shared = coming_ms == time_ms || is_sealed_too || is_there(at.checked_sub(1)) || is_there(Some(at + 1));
        if !is_shared {
            self.entries.shorten(at);
        }
    }
}

/// Brings an outcome into the form that the state's bytes can hold, so that what is sent now is what is read later: at
/// most so many reasons and features, no feature that is not a finite number.
fn normalise(outcome: &mut StoredOutcome) {
    outcome.reasons.truncate(REASONS_MAX);
    outcome.features.truncate(FEATURES_MAX);
    for (_, value) in &mut outcome.features {
        *value = value.filter(|number| number.is_finite());
    }
    outcome.keys.truncate(KEYS_MAX);
    outcome.rules.truncate(RULES_MAX);
    outcome.approximate.truncate(FEATURES_MAX);
    outcome
        .approximate
        .retain(|(_, error)| error.is_finite() && *error > 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{FeatureKey, FeatureKind};
    use crate::outcome::{Decision, Missing, Reason, Tier};

    #[test]
    fn an_outcome_is_kept_as_the_bytes_can_hold_it() {
        let key = FeatureKey::new(FeatureKind::Count, 60);
        let reason = Reason { key, share_pct: 20 };
        let mut outcome = StoredOutcome {
            score: 12,
            decision: Decision::Pass,
            tier: Tier::Full,
            missing: Missing(0),
            reasons: vec![reason; REASONS_MAX + 1],
            policy_version: 1,
            profile_version: None,
            features: [Some(1.5), Some(f64::NAN), Some(f64::INFINITY), None]
                .map(|value| (key, value))
                .to_vec(),
            approximate: [0.25, 0.0, -1.0, f64::INFINITY].map(|error| (key, error)).to_vec(),
            explained: false,
            keys: Vec::new(),
            model: None,
            rules: Vec::new(),
            lists: crate::outcome::ListReads::NONE,
        };
        normalise(&mut outcome);
        assert_eq!(outcome.reasons.len(), REASONS_MAX);
        let values: Vec<Option<f64>> = outcome.features.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [Some(1.5), None, None, None]);
        assert_eq!(outcome.approximate, [(key, 0.25)]);
        outcome.features = vec![(key, None); FEATURES_MAX + 1];
        normalise(&mut outcome);
        assert_eq!(outcome.features.len(), FEATURES_MAX);
    }
}
