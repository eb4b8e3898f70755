//! The mapping's options, within AWS's limits.

use crate::error::{LocalError, within};

/// Records of one batch at most (AWS's limit).
const BATCH_SIZE_MAX: u32 = 10_000;
/// The longest batching window (AWS's 300 s), in milliseconds.
const WINDOW_MS_MAX: u64 = 300_000;
/// The highest parallelization factor (AWS's limit).
const FACTOR_MAX: u32 = 10;
/// The highest number of retries (AWS's limit).
const RETRIES_MAX: u32 = 10_000;
/// The least and the greatest maximum record age (AWS's 60 s and a week), in seconds. Locally the least is 1, so that
/// a test need not take a minute.
const RECORD_AGE_S: (u32, u32) = (1, 604_800);
/// Bytes of an invocation's payload (Lambda's 6 MB).
const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Where the mapping begins in shards that are there when it starts. Shards that come later are read from their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartingPosition {
    /// The oldest record that is kept.
    TrimHorizon,
    /// Records that come after the start.
    Latest,
    /// Records of this time or later: milliseconds since 1970-01-01T00:00:00Z.
    AtTimestamp(i64),
}

/// The options of a mapping, under the names that AWS gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EsmOptions {
    /// `BatchSize`, 1 to 10,000 records.
    pub batch_size: u32,
    /// `MaximumBatchingWindowInSeconds`, here in milliseconds, 0 to 300,000.
    pub batching_window_ms: u64,
    /// `ParallelizationFactor`, 1 to 10 batches of a shard side by side.
    pub parallelization_factor: u32,
    /// `BisectBatchOnFunctionError`.
    pub bisect_on_error: bool,
    /// `MaximumRetryAttempts`, 0 to 10,000; `None` is −1: without limit.
    pub retries_max: Option<u32>,
    /// `MaximumRecordAgeInSeconds`, 1 (on AWS 60) to 604,800; `None` is −1: without limit.
    pub record_age_s_max: Option<u32>,
    /// `FunctionResponseTypes` holds `ReportBatchItemFailures`.
    pub report_item_failures: bool,
    /// `StartingPosition`.
    pub starting_position: StartingPosition,
    /// Whether there is an on-failure destination.
    pub on_failure: bool,
    /// Bytes of the records of one payload. Lambda's limit; lower for tests.
    pub payload_bytes_max: usize,
    /// The wait before the first retry; it doubles with each. AWS does not name its own. In milliseconds.
    pub backoff_ms_first: u64,
    /// The longest wait before a retry, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Default for EsmOptions {
    /// AWS's defaults, and short waits between retries.
    fn default() -> Self {
        Self {
            batch_size: 100,
            batching_window_ms: 0,
            parallelization_factor: 1,
            bisect_on_error: false,
            retries_max: None,
            record_age_s_max: None,
            report_item_failures: false,
            starting_position: StartingPosition::TrimHorizon,
            on_failure: false,
            payload_bytes_max: PAYLOAD_BYTES_MAX - ENVELOPE_BYTES,
            backoff_ms_first: 50,
            backoff_ms_max: 1_000,
        }
    }
}

/// Bytes of a payload that are not records: `{"Records":[]}`.
const ENVELOPE_BYTES: usize = 14;

impl EsmOptions {
    /// Refuses what AWS would refuse.
    pub fn check(&self) -> Result<(), LocalError> {
        within("BatchSize", self.batch_size.into(), 1, BATCH_SIZE_MAX.into())?;
        within(
            "MaximumBatchingWindowInSeconds (ms)",
            self.batching_window_ms,
            0,
            WINDOW_MS_MAX,
        )?;
        within(
            "ParallelizationFactor",
            self.parallelization_factor.into(),
            1,
            FACTOR_MAX.into(),
        )?;
        within(
            "MaximumRetryAttempts",
            self.retries_max.unwrap_or(0).into(),
            0,
            RETRIES_MAX.into(),
        )?;
        let (least_s, most_s) = RECORD_AGE_S;
        let age_s = self.record_age_s_max.unwrap_or(least_s);
        within("MaximumRecordAgeInSeconds", age_s.into(), least_s.into(), most_s.into())?;
        let most_bytes = (PAYLOAD_BYTES_MAX - ENVELOPE_BYTES) as u64;
        within("payload_bytes_max", self.payload_bytes_max as u64, 1, most_bytes)
    }

    /// The wait before a retry: it doubles with each, up to its limit.
    pub(super) fn backoff_ms(&self, retries_used: u32) -> i64 {
        let factor = 1u64
            .checked_shl(retries_used.saturating_sub(1).min(32))
            .unwrap_or(u64::MAX);
        let wait_ms = self.backoff_ms_first.saturating_mul(factor).min(self.backoff_ms_max);
        i64::try_from(wait_ms).unwrap_or(i64::MAX)
    }
}
