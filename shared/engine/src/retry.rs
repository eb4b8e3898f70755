//! Retries: how long to wait before a call is repeated, and the loop that repeats it. Jitter after Brooker, "Timeouts,
//! retries and backoff with jitter" (Amazon Builders' Library).

use std::future::Future;

use crate::port::Clock;

/// The range that a pause is drawn from: it doubles with each failure, up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base_ms: u64,
    cap_ms: u64,
}

impl Backoff {
    /// A range that begins at `base_ms` and ends at `cap_ms`, milliseconds.
    #[must_use]
    pub const fn new(base_ms: u64, cap_ms: u64) -> Self {
        Self { base_ms, cap_ms }
    }

    /// A pause anywhere in the range, milliseconds: many callers that failed together do not come back together. `failed`
    /// calls came before it, one after the other.
    #[must_use]
    pub fn full_jitter_ms(self, failed: u32, random: u64) -> u64 {
        random % self.range_ms(failed).saturating_add(1)
    }

    /// A pause in the upper half of the range, milliseconds: so many failures span a time that can be relied on.
    #[must_use]
    pub fn equal_jitter_ms(self, failed: u32, random: u64) -> u64 {
        let half_ms = self.range_ms(failed) / 2;
        half_ms + random % (half_ms + 1)
    }

    fn range_ms(self, failed: u32) -> u64 {
        let doubled = 1_u64.checked_shl(failed.saturating_sub(1)).unwrap_or(u64::MAX);
        self.base_ms.saturating_mul(doubled).min(self.cap_ms)
    }
}

/// When a pause that begins now is over, milliseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn ends_ms(now_ms: i64, pause_ms: u64) -> i64 {
    now_ms.saturating_add(i64::try_from(pause_ms).unwrap_or(i64::MAX))
}

/// Calls until it succeeds, or until `pause_after` has no pause for the error and the number of calls that failed so far.
/// The last error is handed on.
///
/// # Errors
/// The error after which there is no further call.
pub async fn repeat<T, E, C, F, R>(
    clock: &C,
    call: F,
    mut pause_after: impl FnMut(&E, u32) -> Option<u64>,
) -> Result<T, E>
where
    C: Clock,
    F: Fn() -> R,
    R: Future<Output = Result<T, E>>,
{
    let mut failed = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        match pause_after(&error, failed) {
            Some(pause_ms) => clock.sleep_ms(pause_ms).await,
            None => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_is_never_left_and_doubles_up_to_the_cap() {
        let backoff = Backoff::new(200, 500);
        for (failed, longest_ms) in [(1, 200), (2, 400), (3, 500), (70, 500)] {
            let pauses: Vec<u64> = (0..1_000)
                .map(|random| backoff.equal_jitter_ms(failed, random))
                .collect();
            assert_eq!(pauses.iter().max(), Some(&longest_ms), "after {failed} failures");
            assert_eq!(pauses.iter().min(), Some(&(longest_ms / 2)), "after {failed} failures");
        }
    }

    #[test]
    fn a_pause_ends_after_it_began_however_long_it_is() {
        assert_eq!(ends_ms(5, 7), 12);
        assert_eq!(ends_ms(5, u64::MAX), i64::MAX);
    }
}
