//! Every limit of a redrive, with its unit. docs/reference/limits.md lists them.

/// Problems of one answer; further ones are counted in one line.
pub const PROBLEMS_MAX: usize = 100;
/// Digits of a sequence number: Kinesis gives 56, and takes up to 128.
pub const SEQUENCE_DIGITS_MAX: usize = 128;
/// Characters of a shard's id (Kinesis's limit).
pub const SHARD_ID_CHARS_MAX: usize = 128;
/// Records that one dead letter may count: the most that a mapping hands over in one batch.
pub const LETTER_RECORDS_MAX: u64 = 10_000;
/// Reads a second that a shard gives to all its readers together (Kinesis's limit).
pub const SHARD_READS_PER_SECOND: u32 = 5;
/// Records of one read (Kinesis's limit).
pub const GET_RECORDS_MAX: u32 = 10_000;
/// Messages of one receive (SQS's limit).
pub const RECEIVE_MESSAGES_MAX: usize = 10;
/// Messages that are deleted or made visible before the deadline is looked at again: those of one call (SQS's limit).
pub const MESSAGES_IN_CALL_MAX: usize = 10;
/// Messages that are in work together: read by shard and in order, so that neighbours share a read.
pub const GROUP_MESSAGES_MAX: usize = 1_000;
/// The same of a run that shares the queue with others: each is to get some.
pub const SHARED_GROUP_MESSAGES_MAX: usize = 250;
/// Messages that one call keeps hidden without working on them: those that stay in their queue.
pub const HELD_MESSAGES_MAX: usize = 20_000;
/// Messages that a run remembers to have looked at; with more that stay in their queue it stops.
pub const SEEN_MESSAGES_MAX: usize = 50_000;
/// Messages begun and not done that a cursor remembers; of a further one the done records are read again.
pub const PARTS_MAX: usize = 100;
/// Shards that a cursor of a range names.
pub const SHARDS_MAX: usize = 10_000;
/// Shards of a run that is cut: each has a chain.
pub const CHAINS_MAX: usize = 10_000;
/// How long a slice is, milliseconds of arrival: what is read again when it fails.
pub const SLICE_MS: i64 = 10 * 60 * 1000;
/// Slices of one chain at most; a longer span has longer slices.
pub const SLICES_OF_CHAIN_MAX: i64 = 1_000;
/// Calls in a row that may bring nothing before a chain counts as failed.
pub const CHAIN_IDLE_CALLS_MAX: u32 = 5;
/// Problems that a chain names; further ones are counted. The chains of a state machine's run have 256 KiB together.
pub const CHAIN_PROBLEMS_MAX: usize = 3;
/// Bytes of a chain as it goes from call to call. A state machine passes 256 KiB on, and nothing catches what is longer; the call and
/// its answer have some bytes around the chain.
pub const CHAIN_BYTES_MAX: usize = 192 * 1024;
/// Names of letters in a bucket that are put into the order of their shards together; those behind them come after.
pub const LISTED_OBJECTS_MAX: usize = 10_000;
/// Letters of a bucket that are in work together: each is got before its shard is walked, and once more where its payload is needed.
pub const GROUP_OBJECTS_MAX: usize = 100;
/// Names of letters that a look counts; of more it tells that there are so many at least.
pub const LOOK_OBJECTS_MAX: usize = 100_000;
/// Letters of a bucket that a look gets, for the arrival of their first record: the oldest of each of so many shards.
pub const LOOK_GETS_MAX: usize = 20;
/// Bytes of quarantined payloads, as messages, that are in memory together; and of a letter with its payload.
pub const ASSEMBLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a receive waits for a first message, seconds: by waiting it asks all of SQS's servers.
pub const RECEIVE_WAIT_S: u32 = 1;
/// A call takes so long at most, milliseconds: Lambda's fifteen minutes.
pub const CALL_MS_MAX: i64 = 15 * 60 * 1000;
/// Messages are hidden for so long beyond the call's deadline, seconds: nobody else works on them meanwhile.
pub const HIDDEN_SLACK_S: i64 = 30;
/// So long before the deadline no further batch is begun, milliseconds: a batch's last write, its deletions and the answer
/// come after it.
pub const STOP_MARGIN_MS: i64 = 12_000;
/// So long before the deadline the engine must be done, milliseconds.
pub const CLEANUP_MS: i64 = 3_000;
/// So long before the deadline nothing is deleted or made visible any more, milliseconds: the answer still has to get out,
/// with the cursor in it.
pub const ANSWER_MS: i64 = 1_000;
/// Batches in a row in which no record found its end, after which a run stops.
pub const FAILED_BATCHES_MAX: u32 = 3;
/// Attempts of one call on a queue or the stream, the first included.
pub const ATTEMPTS_MAX: u32 = 5;
/// The longest pause before the first repetition, milliseconds; it doubles with each.
pub const BACKOFF_BASE_MS: u64 = 200;
/// The longest pause before any repetition, milliseconds.
pub const BACKOFF_CAP_MS: u64 = 5_000;
/// A message in the unrecoverable queue, bytes: SQS's 1 MiB. One that would be longer stays where it is.
pub const UNRECOVERABLE_BYTES_MAX: usize = 1024 * 1024;
/// Arrival times are approximate: a range goes on so long beyond its last time before it is taken to be over, milliseconds.
pub const ARRIVAL_SLACK_MS: i64 = 10_000;
/// A function's clock may be so far behind the stream's, milliseconds: a range without an end holds what arrived up to so long
/// after the redrive began by its own clock.
pub const CLOCK_SLACK_MS: i64 = 10_000;

/// What may be tuned. Every field has a sound default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedriveConfig {
    /// Records a second that go through the engine.
    pub rate_per_second_max: u32,
    /// Reads a second of one shard, of the five that all its readers share.
    pub reads_per_second_max: u32,
    /// Records of one read.
    pub page_records_max: u32,
    /// Records of one batch through the engine.
    pub batch_records_max: u32,
    /// Reads in a row without a record before a walk is given up.
    pub empty_pages_max: u32,
}

impl Default for RedriveConfig {
    fn default() -> Self {
        Self {
            rate_per_second_max: 1_000,
            reads_per_second_max: 2,
            page_records_max: 1_000,
            batch_records_max: 500,
            empty_pages_max: 100,
        }
    }
}
