//! The ports: what the driver needs of the world. `shared/aws` has them on DynamoDB, Kinesis and SQS; tests have them in memory.

use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemark_domain::catalogue::KeyName;
use tidemark_domain::control::trial::{TrialBatch, TrialKey};
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::labelled::{LABELLED_MS, LabelledHistory};
use tidemark_domain::lifetime::HISTORY_MS;
use tidemark_domain::refusal::RefusalCode;
use xxhash_rust::xxh3::xxh3_64;

/// Capacity that calls consumed, in DynamoDB's units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Write units.
    pub write: f64,
    /// Read units.
    pub read: f64,
}

impl std::ops::AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        self.write += other.write;
        self.read += other.read;
    }
}

/// A value and what it cost.
#[derive(Clone, Debug)]
pub struct Metered<T> {
    /// The value.
    pub value: T,
    /// What the call consumed.
    pub units: Units,
}

/// A digest of a state's bytes (XXH3-64), stored beside them. A number alone does not say which state was read: after an item
/// was restored to an earlier one, the same numbers are given again, to other states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateTag(pub u64);

impl StateTag {
    /// The tag of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_64(bytes))
    }
}

/// Which item was read: what its next writer must name (I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateVersion {
    /// Number of commits so far, at least 1.
    pub number: u64,
    /// The tag that was stored with it; `None`: a release wrote it that stored none.
    pub tag: Option<StateTag>,
}

/// A card's stored item: bytes of [`tidemark_domain::history::History`] and the version that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateItem {
    /// What its next writer must name.
    pub version: StateVersion,
    /// The encoded state.
    pub bytes: Vec<u8>,
}

impl StateItem {
    /// An item to be written, with the tag of its bytes.
    #[must_use]
    pub fn new(number: u64, bytes: Vec<u8>) -> Self {
        let tag = Some(StateTag::of(&bytes));
        Self {
            version: StateVersion { number, tag },
            bytes,
        }
    }
}

/// A conditional write of a card.
#[derive(Clone, Debug)]
pub struct StateWrite {
    /// The card whose state it is.
    pub card_id: CardId,
    /// The version that was read; `None`: the item must not exist.
    pub expected: Option<StateVersion>,
    /// The new item (its number is that of `expected` and 1, or 1).
    pub item: StateItem,
    /// When the item may be dropped by the store, in seconds since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

/// A key beyond the card: `terminal` 0x5f… is one. Its identity stands for the id that events name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// The key's name in the policy.
    pub name: KeyName,
    /// `fingerprint64` of the id.
    pub identity: u64,
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{:016x}", self.name, self.identity)
    }
}

/// A conditional write of a key's labelled history.
#[derive(Clone, Debug)]
pub struct KeyWrite {
    /// Whose history it is.
    pub key: KeyId,
    /// The version that was read; `None`: the item must not exist.
    pub expected: Option<StateVersion>,
    /// The new item: the bytes of a [`LabelledHistory`].
    pub item: StateItem,
    /// When the item may be dropped by the store, in seconds since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

impl KeyWrite {
    /// When a history may be dropped, in seconds since 1970-01-01T00:00:00Z: when its newest event is older than any is kept, and
    /// older than any event that may still ask for it.
    #[must_use]
    pub fn expires_at_s(history: &LabelledHistory) -> i64 {
        let newest_ms = history.newest_ms().unwrap_or(0);
        newest_ms.saturating_add(LABELLED_MS.max(HISTORY_MS)) / 1000
    }
}

/// What became of a conditional write.
#[derive(Clone, Debug)]
pub enum Commit {
    /// It is the card's state now.
    Written,
    /// Another writer was first; its item, where the store handed it back.
    Conflict(Option<StateItem>),
}

/// A sealed segment of a card's history. Its key follows from its bytes: whoever writes it writes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentItem {
    /// The card whose history it is part of.
    pub card_id: CardId,
    /// The hash of the bytes.
    pub key: SegmentKey,
    /// The encoded segment.
    pub bytes: Vec<u8>,
    /// When the item may be dropped by the store, in seconds since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

/// What a read is sure to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Perhaps not what was written just now; half the price.
    Eventual,
    /// Everything that was written before.
    Strong,
}

/// What became of a write-once or newest-wins item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOnce {
    /// Written now.
    Written,
    /// There was one already (a decision), or one as new or newer (a profile).
    Already,
}

/// A failure of a port, by what may be done about it, never by its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The service asks to slow down: try again, later.
    #[error("throttled: {0}")]
    Throttled(String),
    /// No answer in time: it may or may not have happened. Try again.
    #[error("timed out: {0}")]
    Timeout(String),
    /// The service failed or is out of reach: try again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Trying again will not help (access denied, no such table, item too large).
    #[error("refused: {0}")]
    Permanent(String),
}

impl PortError {
    /// Whether trying the same call again may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Permanent(_))
    }

    /// Whether the call may have taken effect all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Unavailable(_))
    }
}

/// A decision over the alert threshold, recorded once (I3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionItem {
    /// Which event, on whose card.
    pub event: EventKey,
    /// The outcome's bytes.
    pub outcome_json: Vec<u8>,
    /// When the item may be dropped by the store, in seconds since 1970-01-01T00:00:00Z.
    pub expires_at_s: i64,
}

/// What became of many writes that went out in one call: at most [`WRITES_IN_CALL_MAX`](crate::config::WRITES_IN_CALL_MAX) of
/// them. Each has an answer of its own, in the order given: some may have happened and others not. An error is for all of
/// them, and where it may have happened, any of them may.
pub type Answers<T> = Result<Metered<Vec<Result<T, PortError>>>, PortError>;

/// Where states, profiles and decisions live.
pub trait StateStore: Send + Sync {
    /// Reads states, in the order asked for; eventually consistent.
    fn load_states(
        &self,
        cards: &[CardId],
    ) -> impl Future<Output = Result<Metered<Vec<Option<StateItem>>>, PortError>> + Send;

    /// Reads profiles, in the order asked for; eventually consistent.
    fn load_profiles(
        &self,
        cards: &[CardId],
    ) -> impl Future<Output = Result<Metered<Vec<Option<Profile>>>, PortError>> + Send;

    /// Reads sealed segments, at most [`SEGMENTS_LOAD_MAX`](crate::config::SEGMENTS_LOAD_MAX), in the order asked for, each once
    /// or repeatedly. A segment never changes: one that is there is the one that was asked for, however old the read is.
    fn load_segments(
        &self,
        segments: &[(CardId, SegmentKey)],
        freshness: Freshness,
    ) -> impl Future<Output = Result<Metered<Vec<Option<Vec<u8>>>>, PortError>> + Send;

    /// Writes sealed segments. All of them or an error: then any of them may be there, and the same call may come again.
    fn put_segments(&self, segments: &[SegmentItem]) -> impl Future<Output = Result<Metered<()>, PortError>> + Send;

    /// Reads one state, strongly consistent: whoever lost a write to it decides by it.
    fn load_state(&self, card: &CardId) -> impl Future<Output = Result<Metered<Option<StateItem>>, PortError>> + Send;

    /// Writes cards, each under its own condition; no card twice.
    fn commit(&self, writes: &[Arc<StateWrite>]) -> impl Future<Output = Answers<Commit>> + Send;

    /// Reads labelled histories of at most [`LOAD_CARDS_MAX`](crate::config::LOAD_CARDS_MAX) keys, in the order asked for;
    /// eventually consistent.
    fn load_keys(
        &self,
        keys: &[KeyId],
    ) -> impl Future<Output = Result<Metered<Vec<Option<StateItem>>>, PortError>> + Send;

    /// Reads one labelled history, strongly consistent: whoever teaches a key decides by it.
    fn load_key(&self, key: KeyId) -> impl Future<Output = Result<Metered<Option<StateItem>>, PortError>> + Send;

    /// Writes keys' labelled histories, each under its own condition; no key twice.
    fn commit_keys(&self, writes: &[Arc<KeyWrite>]) -> impl Future<Output = Answers<Commit>> + Send;

    /// Writes a profile if it is newer than the stored one.
    fn put_profile(&self, profile: &Profile) -> impl Future<Output = Result<Metered<PutOnce>, PortError>> + Send;

    /// Keeps a batch of a candidate's outcomes. A store that keeps none takes it and forgets it.
    fn put_trials(
        &self,
        _key: &TrialKey,
        _batch: &TrialBatch,
        _expires_at_s: i64,
    ) -> impl Future<Output = Result<Metered<()>, PortError>> + Send {
        std::future::ready(Ok(Metered {
            value: (),
            units: Units::default(),
        }))
    }

    /// Records each decision if there is none for its event, no event twice: the same id on another card or at another time is
    /// another event.
    fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> impl Future<Output = Answers<PutOnce>> + Send;
}

/// An outcome on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The partition key of the scores stream.
    pub card_id: CardId,
    /// The outcome as JSON.
    pub bytes: Vec<u8>,
}

/// Where outcomes go.
pub trait ScoreSink: Send + Sync {
    /// Sends outcomes; the answer names (by index) those that were not taken.
    fn send(&self, outcomes: &[OutcomeRecord]) -> impl Future<Output = Result<Vec<usize>, PortError>> + Send;
}

/// A record that is not accepted, whole, with its reason. The JSON of this type is the quarantine message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineMessage {
    /// Always `quarantine`.
    pub schema: String,
    /// Version of this message's shape: 1.
    pub version: u32,
    /// The stable reason code of the refusal.
    pub code: RefusalCode,
    /// The refusal in a sentence, without payload values.
    pub detail: String,
    /// ARN or name of the stream it came from.
    pub stream: String,
    /// Its shard.
    pub shard_id: String,
    /// Its sequence number.
    pub sequence_number: String,
    /// Of an aggregated record, the user record's place in it, from 0, when that alone is refused: the payload is the user
    /// record's. Absent: the payload is the whole record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_sequence_number: Option<u32>,
    /// Its partition key (masked like the payload); a user record's own.
    pub partition_key: String,
    /// Of a user record, the partition key of the aggregated record that it came in, masked too: sequence numbers are unique
    /// within a shard and that key. Absent: the record's key is the one above, or the message is of an older release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_partition_key: Option<String>,
    /// When Kinesis took it: milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Size of the whole payload before masking.
    pub payload_bytes: usize,
    /// Whether card numbers in the payload were masked.
    pub masked: bool,
    /// This message's number, from 1, when the payload needs several.
    pub part: u32,
    /// How many messages hold the payload.
    pub parts: u32,
    /// This part of the payload, base64.
    pub payload_base64: String,
}

/// Where bad payloads go.
pub trait Quarantine: Send + Sync {
    /// Sends messages; the answer names (by index) those that were not taken.
    fn put(&self, messages: &[QuarantineMessage]) -> impl Future<Output = Result<Vec<usize>, PortError>> + Send;
}

/// Time and jitter.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;
    /// Waits for so many milliseconds.
    fn sleep_ms(&self, duration_ms: u64) -> impl Future<Output = ()> + Send;
    /// Nanoseconds since 1970-01-01T00:00:00Z, as finely as the clock can tell: for measuring, nothing is decided by it.
    fn now_ns(&self) -> i64 {
        self.now_ms().saturating_mul(1_000_000)
    }
    /// A uniformly distributed number, for jitter only.
    fn random(&self) -> u64;
}
