//! Real time, and jitter seeded from the operating system.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidemark_engine::port::Clock;

/// SplitMix64's increment: odd, so that the counter visits every 64-bit number.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The machine's clock and timer.
#[derive(Debug)]
pub struct SystemClock {
    state: AtomicU64,
}

impl SystemClock {
    /// A clock whose jitter differs from every other process's.
    #[must_use]
    pub fn new() -> Self {
        // The standard library seeds its hashers from the operating system: enough for jitter, and for nothing else.
        Self {
            state: AtomicU64::new(RandomState::new().build_hasher().finish()),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the Clock port's one real implementation"
    )]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the Clock port's one real implementation"
    )]
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the Clock port's one real implementation"
    )]
    async fn sleep_ms(&self, duration_ms: u64) {
        tokio::time::sleep(Duration::from_millis(duration_ms)).await;
    }

    fn random(&self) -> u64 {
        let mut z = self
            .state
            .fetch_add(GOLDEN_GAMMA, Ordering::Relaxed)
            .wrapping_add(GOLDEN_GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_spread_and_differs_between_clocks() {
        let (one, two) = (SystemClock::new(), SystemClock::new());
        let draws: Vec<u64> = (0..1_000).map(|_| one.random()).collect();
        let high = draws.iter().filter(|draw| **draw > u64::MAX / 2).count();
        assert!((400..600).contains(&high), "{high} of 1,000 in the upper half");
        assert_ne!(draws[0], two.random());
    }

    #[test]
    fn time_is_of_this_century() {
        assert!(SystemClock::new().now_ms() > 1_700_000_000_000);
    }
}
