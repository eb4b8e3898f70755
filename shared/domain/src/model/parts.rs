//! The greatest parts of a score, which become its reasons.

use crate::catalogue::FeatureKey;
use crate::outcome::{REASONS_MAX, Reason};
use crate::policy::Scoring;

/// The greatest parts above 0, and the total of all of those.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) total: f64,
    /// The greatest first; equal ones in the policy's order. Unused places have 0 bits.
    top: [(Option<FeatureKey>, f64); REASONS_MAX],
}

impl Parts {
    /// Adds a part, unless it is 0 or less.
    pub(super) fn add(&mut self, key: FeatureKey, part: f64) {
        if part <= 0.0 {
            return;
        }
        self.total += part;
        if let Some(at) = self.top.iter().position(|(_, other)| part > *other) {
            self.top[at..].rotate_right(1);
            self.top[at] = (Some(key), part);
        }
    }

    /// The reasons of a score that tells them.
    pub(super) fn reasons(&self, scoring: &Scoring) -> Vec<Reason> {
        let share = |part: f64| libm::round(100.0 * part / self.total) as u8;
        self.top
            .iter()
            .filter_map(|(key, part)| {
                key.map(|key| Reason {
                    key,
                    share_pct: share(*part),
                })
            })
            .filter(|reason| reason.share_pct >= scoring.reasons_min_share_pct)
            .collect()
    }
}
