//! The only place of the command that reads the clock or waits; everything else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time, ms since 1970-01-01T00:00:00Z.
#[allow(
    clippy::disallowed_methods,
    reason = "the rim: a command at a terminal, which tells the core the time"
)]
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits so many milliseconds.
#[allow(
    clippy::disallowed_methods,
    reason = "the rim: a command at a terminal waits, nothing is computed from it"
)]
pub async fn pause(wait_ms: u64) {
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}
