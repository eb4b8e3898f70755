//! How late a record may come, and how long everything is kept that such a record may ask for.
//!
//! ```text
//! event ── lateness ──► arrival ── stream ──► letter or quarantine ── queue ──► redriven: the last time that it is judged
//!       (the policy's)           (its retention)                   (its retention)
//! ```
//! What is stored does not know which policy will read it: windows are lengthened, an older version is put in force again. So
//! nothing here follows from a policy. It follows from the most that any policy may declare.

use crate::catalogue::FeatureKey;

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 24 * 60 * MS_PER_MINUTE;

/// The longest dedupe horizon and lateness bound that a policy may declare, ms: a year.
pub const HORIZON_MS_MAX: i64 = 365 * MS_PER_DAY;
/// The longest window that a policy may declare, ms: 30 days.
pub const WINDOW_MS_MAX: i64 = FeatureKey::WINDOW_MINUTES_MAX as i64 * MS_PER_MINUTE;
/// The longest retention that a policy may declare, ms: its longest window and its dedupe horizon.
pub const RETENTION_MS_MAX: i64 = WINDOW_MS_MAX + HORIZON_MS_MAX;
/// The longest that a deployment's streams keep a record, ms: the template's 336 hours.
pub const STREAM_RETENTION_MS_MAX: i64 = 14 * MS_PER_DAY;
/// The longest that a queue keeps a message, ms: SQS's 14 days. A quarantine message holds its record, whatever the stream
/// still has.
pub const QUEUE_RETENTION_MS_MAX: i64 = 14 * MS_PER_DAY;
/// How long after its arrival a record may still be judged, ms: on the last day of the stream it is refused or given up, and on
/// the last day of the queue it is redriven.
pub const RECORD_MS_MAX: i64 = STREAM_RETENTION_MS_MAX + QUEUE_RETENTION_MS_MAX;
/// How long a state or a decision is kept after its newest event, ms: an event as late as a policy may allow, judged as late as
/// its record may come, still finds its whole longest window and whatever it repeats.
pub const HISTORY_MS: i64 = RETENTION_MS_MAX + RECORD_MS_MAX;
/// How long a sealed segment is kept after its last event, ms. A state asks for it while its newest event is less than the
/// retention after that, and itself lives for [`HISTORY_MS`] after its newest event: a segment outlives every state that names it.
pub const SEGMENT_MS: i64 = RETENTION_MS_MAX + HISTORY_MS;

// A late event's record, at the end of its life, must meet the state that its window reaches into.
const _: () = assert!(HISTORY_MS >= WINDOW_MS_MAX + HORIZON_MS_MAX + RECORD_MS_MAX);
const _: () = assert!(SEGMENT_MS >= RETENTION_MS_MAX + HISTORY_MS);

/// The longest that a stream may keep its records under a policy, ms: with a longer retention a record could come again after
/// everything that knows it is gone.
#[must_use]
pub const fn stream_retention_ms_max(lateness_ms: i64) -> i64 {
    HISTORY_MS - QUEUE_RETENTION_MS_MAX - lateness_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_s_longest_stream_may_be_used_with_every_policy() {
        assert_eq!((RETENTION_MS_MAX, HISTORY_MS), (395 * MS_PER_DAY, 423 * MS_PER_DAY));
        assert!(stream_retention_ms_max(HORIZON_MS_MAX) >= STREAM_RETENTION_MS_MAX);
    }

    #[test]
    fn a_stream_of_a_year_may_be_used_with_events_of_a_month() {
        assert!(stream_retention_ms_max(30 * MS_PER_DAY) >= 365 * MS_PER_DAY);
        assert!(stream_retention_ms_max(60 * MS_PER_DAY) < 365 * MS_PER_DAY);
    }
}
