//! Which claims took effect before: what tells the first record of an event from its further ones.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::record::Claim;

/// Claims that are remembered for certain; up to twice as many are at times. A claim takes some 20 bytes.
const REMEMBERED: usize = 1_000_000;

/// Claims by their hashes. Only whether a record counts as the first of its event or a further one depends on it, no verdict.
#[derive(Debug)]
pub(crate) struct Seen {
    now: HashSet<u64>,
    before: HashSet<u64>,
    remembered: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            now: HashSet::new(),
            before: HashSet::new(),
            remembered: REMEMBERED,
        }
    }
}

impl Seen {
    pub(crate) fn unbounded() -> Self {
        Self {
            remembered: usize::MAX,
            ..Self::default()
        }
    }

    /// Notes a claim; whether it is new.
    pub(crate) fn insert(&mut self, claim: &Claim) -> bool {
        let mut hasher = DefaultHasher::new();
        claim.hash(&mut hasher);
        let hash = hasher.finish();
        if self.now.len() >= self.remembered {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(hash) && !self.before.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::id::EventKey;

    use super::*;

    #[test]
    fn a_claim_is_new_once_and_again_when_it_was_long_forgotten() {
        let mut seen = Seen {
            remembered: 2,
            ..Seen::default()
        };
        let claim = |time_ms| Claim::Transaction(EventKey::new("c", "e", time_ms).unwrap());
        let is_new: Vec<bool> = [1, 2, 1, 3, 1, 4, 5, 2]
            .map(|time_ms| seen.insert(&claim(time_ms)))
            .to_vec();
        assert_eq!(is_new, [true, true, false, true, false, true, true, true]);
    }
}
