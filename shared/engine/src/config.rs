//! The engine's limits, each with its unit. docs/reference/limits.md lists them.

use tidemark_domain::contract::aggregate::AGGREGATE_USER_RECORDS_MAX;

/// Records of one batch that are looked at; Kinesis never hands over more.
pub const BATCH_RECORDS_MAX: usize = 10_000;
/// User records of one batch that are looked at. The mapping's payload of 6 MB holds about 42,000 of the shortest events; one
/// aggregate always fits, so that every batch gets on.
pub const BATCH_USER_RECORDS_MAX: usize = 50_000;
const _: () =
    assert!(BATCH_USER_RECORDS_MAX >= AGGREGATE_USER_RECORDS_MAX && BATCH_USER_RECORDS_MAX >= BATCH_RECORDS_MAX);
/// Cards in one read of states or profiles: DynamoDB's limit of keys in a request.
pub const LOAD_CARDS_MAX: usize = 100;
/// Sealed segments in one read: DynamoDB's limit of keys in a request.
pub const SEGMENTS_LOAD_MAX: usize = 100;
/// Sealed segments in one write: DynamoDB's limit of items in a request.
pub const SEGMENTS_WRITE_MAX: usize = 25;
/// Bytes of sealed segments in one write: a quarter of what a partition takes in a second.
pub const SEGMENTS_WRITE_BYTES_MAX: usize = 256 * 1024;
/// Reads of sealed segments for one event, one after the other: a path has at most 16 levels, and a label looks at leaves
/// after the inner nodes above them.
pub const SEGMENT_ROUNDS_MAX: u32 = 64;
/// Events and references of sealed segments that a warm state keeps at hand; beyond it all are read again when needed.
pub const SEGMENT_ITEMS_WARM_MAX: usize = 4_000;
/// Conditional writes of cards, of keys or of decisions in one call: DynamoDB's limit of statements in a request.
pub const WRITES_IN_CALL_MAX: usize = 25;
/// Bytes of the items of one such call: ten kilobytes a card, which few have, and a request that is soon sent.
pub const WRITES_BYTES_MAX: usize = 256 * 1024;
/// Reads under way at once.
pub const LOADS_CONCURRENT_MAX: usize = 4;
/// A quarantine message as JSON, bytes: below the 256 KiB that every SQS queue takes, with room for its envelope.
pub const QUARANTINE_MESSAGE_BYTES_MAX: usize = 240 * 1024;
/// The sentence in a quarantine message, bytes.
pub const QUARANTINE_DETAIL_BYTES_MAX: usize = 1024;
/// Outcomes of one call of the sink: four PutRecords that are under way together. The deadline is looked at between calls.
pub const OUTCOMES_SEND_MAX: usize = 2_000;
/// Bytes of the outcomes of one call of the sink.
pub const OUTCOMES_SEND_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages of one call of the quarantine: four SendMessageBatch that are under way together. The deadline is looked at
/// between calls.
pub const QUARANTINE_SEND_MAX: usize = 40;
/// Bytes of payload of the messages of one call of the quarantine.
pub const QUARANTINE_SEND_BYTES_MAX: usize = 1024 * 1024;
/// The longest pause after the first call in a row that the sink or the quarantine took in part only, milliseconds; it
/// doubles with each. Services count their limits by the second, and [`EngineConfig::attempts_max`] calls that take
/// nothing must span one.
pub const SEND_BACKOFF_BASE_MS: u64 = 200;
/// The longest pause after any such call, milliseconds: short enough that nothing of a limit by the second goes unused.
pub const SEND_BACKOFF_CAP_MS: u64 = 500;
/// Outcomes that a process remembers to have sent although their records come again: as many as a batch may have.
pub const SENT_REMEMBERED_MAX: usize = BATCH_USER_RECORDS_MAX;

/// What may be tuned. Every field has a sound default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Cards whose writes are under way at once, and so the decisions and the keys: [`WRITES_IN_CALL_MAX`] of them share a call.
    pub commits_concurrent_max: usize,
    /// Writes of one card in one batch that may lose against another writer before its records go back.
    pub conflicts_per_card_max: u32,
    /// Attempts of one call, the first included.
    pub attempts_max: u32,
    /// Repeated calls of one batch, all cards together.
    pub retries_per_batch_max: u32,
    /// The longest pause before the first repetition, milliseconds; it doubles with each.
    pub backoff_base_ms: u64,
    /// The longest pause before any repetition, milliseconds.
    pub backoff_cap_ms: u64,
    /// So long before the deadline no card is begun and no write repeated, milliseconds.
    pub deadline_margin_ms: i64,
    /// So long before the deadline no call at all is made, milliseconds: the answer still has to get out.
    pub answer_margin_ms: i64,
    /// Cards whose state is kept warm.
    pub cache_cards_max: usize,
    /// Memory of the states kept warm, bytes (estimated).
    pub cache_bytes_max: usize,
    /// Cards whose profile (or its absence) is kept warm.
    pub profile_cache_cards_max: usize,
    /// How long a profile is kept warm, milliseconds.
    pub profile_max_age_ms: i64,
    /// Keys whose labelled history (or its absence) is kept warm.
    pub key_cache_max: usize,
    /// Memory of the labelled histories kept warm, bytes (estimated).
    pub key_cache_bytes_max: usize,
    /// How long a labelled history is kept warm, milliseconds: a label counts for events after so long at most.
    pub key_max_age_ms: i64,
    /// Attempts of a profile read or of a read of keys, the first included; after them the card is scored without.
    pub profile_attempts_max: u32,
    /// Reads of profiles, or of keys, that fail one after the other before their breaker opens.
    pub breaker_failures_max: u32,
    /// How long the breaker stays open, milliseconds.
    pub breaker_open_ms: i64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            commits_concurrent_max: 200,
            conflicts_per_card_max: 5,
            attempts_max: 6,
            retries_per_batch_max: 200,
            backoff_base_ms: 25,
            backoff_cap_ms: 1_000,
            deadline_margin_ms: 5_000,
            answer_margin_ms: 500,
            cache_cards_max: 20_000,
            cache_bytes_max: 168 * 1024 * 1024,
            profile_cache_cards_max: 20_000,
            profile_max_age_ms: 60_000,
            key_cache_max: 50_000,
            key_cache_bytes_max: 32 * 1024 * 1024,
            key_max_age_ms: 5_000,
            profile_attempts_max: 2,
            breaker_failures_max: 3,
            breaker_open_ms: 10_000,
        }
    }
}
