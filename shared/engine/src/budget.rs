//! A batch's limits as values: how many retries are left, and when it is too late.

use crate::config::EngineConfig;
use crate::retry::{Backoff, ends_ms};

/// The times that bound a batch, milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBounds {
    /// From here on no card is begun and no write repeated.
    pub(crate) stop_at_ms: i64,
    /// From here on no call is made at all.
    pub(crate) last_call_at_ms: i64,
}

impl TimeBounds {
    /// The bounds that go with a deadline.
    pub(crate) fn new(deadline_ms: i64, config: &EngineConfig) -> Self {
        let last_call_at_ms = deadline_ms.saturating_sub(config.answer_margin_ms);
        let stop_at_ms = deadline_ms
            .saturating_sub(config.deadline_margin_ms)
            .min(last_call_at_ms);
        Self {
            stop_at_ms,
            last_call_at_ms,
        }
    }
}

/// What is left of a batch's retries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryBudget {
    left: u32,
    backoff: Backoff,
}

impl RetryBudget {
    /// A full budget.
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            left: config.retries_per_batch_max,
            backoff: Backoff::new(config.backoff_base_ms, config.backoff_cap_ms),
        }
    }

    /// Takes one retry from the budget: the pause before it in milliseconds, or `None` when there is none left or the
    /// pause would end at `until_ms` or later. `failed` calls came before it, at least one.
    pub(crate) fn take(&mut self, failed: u32, now_ms: i64, until_ms: i64, random: u64) -> Option<u64> {
        let left = self.left.checked_sub(1)?;
        let pause_ms = self.backoff.full_jitter_ms(failed, random);
        if ends_ms(now_ms, pause_ms) >= until_ms {
            return None;
        }
        self.left = left;
        Some(pause_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(retries_per_batch_max: u32) -> EngineConfig {
        EngineConfig {
            retries_per_batch_max,
            backoff_base_ms: 10,
            backoff_cap_ms: 100,
            ..EngineConfig::default()
        }
    }

    #[test]
    fn pauses_are_spread_over_a_range_that_doubles_up_to_the_cap() {
        let mut budget = RetryBudget::new(&config(u32::MAX));
        for (failed, longest_ms) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 100), (40, 100), (200, 100)] {
            let pauses: Vec<u64> = (0..1_000)
                .filter_map(|random| budget.take(failed, 0, 10_000, random))
                .collect();
            assert_eq!(pauses.iter().max(), Some(&longest_ms), "after {failed} failures");
            assert_eq!(pauses.iter().min(), Some(&0), "full jitter starts at nothing");
        }
    }

    #[test]
    fn the_budget_ends() {
        let mut budget = RetryBudget::new(&config(2));
        assert!(budget.take(1, 0, 1_000, 0).is_some());
        assert!(budget.take(1, 0, 1_000, 0).is_some());
        assert_eq!(budget.take(1, 0, 1_000, 0), None);
    }

    #[test]
    fn no_pause_reaches_the_time_bound_and_a_refused_one_costs_nothing() {
        let mut budget = RetryBudget::new(&config(1));
        assert_eq!(budget.take(1, 995, 1_000, 5), None);
        assert_eq!(budget.take(1, 995, 1_000, 4), Some(4));
    }

    #[test]
    fn the_bounds_stay_in_order_whatever_the_margins() {
        let config = EngineConfig {
            deadline_margin_ms: 10,
            answer_margin_ms: 500,
            ..EngineConfig::default()
        };
        let bounds = TimeBounds::new(10_000, &config);
        assert_eq!((bounds.stop_at_ms, bounds.last_call_at_ms), (9_500, 9_500));
    }
}
