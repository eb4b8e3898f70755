//! A circuit breaker as a value: time is passed in, nothing is read. After Nygard, "Release It!", chapter 5.

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything; so many failures one after the other so far.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Nothing until then.
    Open {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        until_ms: i64,
    },
    /// One probe is under way; nothing else until its answer. Should the answer never come (a process may be frozen or
    /// killed in between), another probe goes from then on.
    HalfOpen {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        until_ms: i64,
    },
}

/// Guards a call that others can do without.
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    state: BreakerState,
    failures_max: u32,
    open_ms: i64,
}

impl Breaker {
    /// A closed breaker that opens after so many failures in a row, for so long.
    #[must_use]
    pub const fn new(failures_max: u32, open_ms: i64) -> Self {
        Self {
            state: BreakerState::Closed { failures: 0 },
            failures_max,
            open_ms,
        }
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether a call may go now. In the open state, the first call after its time becomes the probe.
    pub fn allow(&mut self, now_ms: i64) -> bool {
        match self.state {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { until_ms } | BreakerState::HalfOpen { until_ms } if now_ms < until_ms => false,
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                self.state = BreakerState::HalfOpen {
                    until_ms: now_ms.saturating_add(self.open_ms),
                };
                true
            }
        }
    }

    /// A call succeeded.
    pub fn succeeded(&mut self) {
        self.state = BreakerState::Closed { failures: 0 };
    }

    /// A call failed.
    pub fn failed(&mut self, now_ms: i64) {
        let opened = BreakerState::Open {
            until_ms: now_ms.saturating_add(self.open_ms),
        };
        self.state = match self.state {
            BreakerState::Closed { failures } if failures + 1 < self.failures_max => {
                BreakerState::Closed { failures: failures + 1 }
            }
            // A call from before the opening that fails late does not prolong it.
            BreakerState::Open { until_ms } => BreakerState::Open { until_ms },
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => opened,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(3, 1_000);
        breaker.failed(0);
        breaker.failed(1);
        breaker.succeeded();
        breaker.failed(2);
        breaker.failed(3);
        assert!(breaker.allow(4), "two in a row are not three");
        breaker.failed(4);
        assert_eq!(breaker.state(), BreakerState::Open { until_ms: 1_004 });
        assert!(!breaker.allow(1_003));
    }

    #[test]
    fn after_its_time_one_trial_goes_and_decides() {
        let mut breaker = Breaker::new(1, 1_000);
        breaker.failed(0);
        assert!(breaker.allow(1_000), "the probe");
        assert!(!breaker.allow(1_001), "only one probe at a time");
        breaker.failed(1_002);
        assert_eq!(breaker.state(), BreakerState::Open { until_ms: 2_002 });
        assert!(breaker.allow(2_002));
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }

    #[test]
    fn a_trial_whose_answer_never_comes_does_not_keep_it_shut_for_ever() {
        let mut breaker = Breaker::new(1, 1_000);
        breaker.failed(0);
        assert!(breaker.allow(1_000));
        assert!(!breaker.allow(1_999));
        assert!(breaker.allow(2_000), "another probe");
    }

    #[test]
    fn a_late_failure_does_not_prolong_the_opening() {
        let mut breaker = Breaker::new(1, 1_000);
        breaker.failed(0);
        breaker.failed(900);
        assert!(breaker.allow(1_000));
    }
}
