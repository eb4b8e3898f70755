//! The one place where the local cloud reads the clock and waits. The mapping's core takes the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[allow(
    clippy::disallowed_methods,
    reason = "a local AWS is the world that the clock port looks at"
)]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Waits for so many milliseconds.
#[allow(
    clippy::disallowed_methods,
    reason = "a local AWS is the world that the clock port looks at"
)]
pub(crate) async fn sleep_ms(duration_ms: u64) {
    tokio::time::sleep(Duration::from_millis(duration_ms)).await;
}
