//! Every limit of the rim, with its unit. The engine owns the retry budget: a client here tries once.

use std::time::Duration;

/// Time to open a connection.
pub const CONNECT_TIMEOUT_MS: u64 = 1_000;
/// Time from the end of a request to the first byte of its answer.
pub const READ_TIMEOUT_MS: u64 = 2_000;
/// Time for one call, connection and answer included. The SDK makes one attempt, so this is the operation's time too.
pub const ATTEMPT_TIMEOUT_MS: u64 = 3_000;
/// Attempts that the SDK makes: one. What to try again, and when, is the engine's budget and nobody else's.
pub const SDK_ATTEMPTS_MAX: u32 = 1;
/// How long an idle connection is kept. Below the minute or so after which services and NAT gateways drop it silently.
pub const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(20);

/// Keys in one BatchGetItem (DynamoDB's limit).
pub const LOAD_KEYS_MAX: usize = 100;
/// PutItem calls of one call of the port that are under way together, where writes go out one by one.
pub const PUTS_OF_A_CALL_MAX: usize = 4;
/// Items in one BatchWriteItem (DynamoDB's limit).
pub const WRITE_ITEMS_MAX: usize = 25;
/// Bytes of sealed segments in one BatchWriteItem: well below DynamoDB's limit of 16 MB for a request.
pub const WRITE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// BatchGetItem calls of one load that are under way together.
pub const LOADS_IN_FLIGHT_MAX: usize = 8;
/// Calls for the keys of one BatchGetItem, the first included: an answer may stop at 16 MB with the rest unprocessed.
pub const LOAD_ROUNDS_MAX: u32 = 8;

/// Records in one PutRecords (Kinesis's limit).
pub const PUT_RECORDS_MAX: usize = 500;
/// Bytes of data and partition keys in one PutRecords: Kinesis's limit of 5 MiB.
pub const PUT_BYTES_MAX: usize = 5 * 1024 * 1024;
/// PutRecords calls of one send that are under way together.
pub const PUTS_IN_FLIGHT_MAX: usize = 4;

/// Messages in one SendMessageBatch (SQS's limit).
pub const SEND_MESSAGES_MAX: usize = 10;
/// SendMessageBatch calls of one put that are under way together.
pub const SENDS_IN_FLIGHT_MAX: usize = 4;
/// Bytes of bodies in one SendMessageBatch. AWS takes 1 MiB since August 2025; older endpoints take 256 KiB.
pub const SEND_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a write unit.
pub const WRITE_UNIT_BYTES: usize = 1024;

/// Time for one GetRecords: a page has up to 10 MB.
pub const GET_RECORDS_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of ListShards that are read, of a thousand shards each. A stream with more is not redriven.
pub const LIST_SHARDS_PAGES_MAX: u32 = 100;
/// Messages of one ReceiveMessage (SQS's limit).
pub const RECEIVE_MESSAGES_MAX: usize = 10;
/// The longest wait of one ReceiveMessage, seconds (SQS's limit).
pub const RECEIVE_WAIT_S_MAX: u32 = 20;
/// The longest time that a received message is hidden, seconds: SQS's twelve hours.
pub const VISIBILITY_S_MAX: u32 = 43_200;
/// Time for one call of a bucket: an object has up to 6 MB of payload, and its escapes.
pub const OBJECT_TIMEOUT_MS: u64 = 8_000;
/// Names of one ListObjectsV2 (S3's limit).
pub const LIST_KEYS_MAX: u32 = 1_000;
