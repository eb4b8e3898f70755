//! Time that passes only when told to, and jitter that is the same in every run.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::port::Clock;

/// A clock by hand. Sleeping advances it at once.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    now_ms: AtomicI64,
    draws: AtomicU64,
    sleeps_ms: Mutex<Vec<u64>>,
}

impl ManualClock {
    /// A clock at a time, milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at(now_ms: i64) -> Self {
        let clock = Self::default();
        clock.set(now_ms);
        clock
    }

    /// Sets the time, milliseconds since 1970-01-01T00:00:00Z.
    pub fn set(&self, now_ms: i64) {
        self.inner.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub fn advance(&self, duration_ms: i64) {
        self.inner.now_ms.fetch_add(duration_ms, Ordering::Relaxed);
    }

    /// Every pause so far, milliseconds, in order.
    #[must_use]
    pub fn sleeps_ms(&self) -> Vec<u64> {
        lock(&self.inner.sleeps_ms).clone()
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.inner.now_ms.load(Ordering::Relaxed)
    }

    async fn sleep_ms(&self, duration_ms: u64) {
        lock(&self.inner.sleeps_ms).push(duration_ms);
        self.advance(i64::try_from(duration_ms).unwrap_or(i64::MAX));
    }

    fn random(&self) -> u64 {
        // SplitMix64 over a counter.
        let draw = self.inner.draws.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut bits = draw.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}
