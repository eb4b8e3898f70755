//! A candidate's outcomes beside the active policy's: recorded, never emitted, compared by `tidemark compare`.
//!
//! ```text
//! pk (S)                                     sk (S)                              attributes
//! trial#<candidate, 10 digits>#<bucket, 2>   <ms, 15 digits>#<shard>#<sequence>  t (S: JSON, below), ttl (N) seconds
//! ```
//! One item for a batch, whatever its number of cards. Its key is the first record in it: an event counts as new once
//! only, so that no event is in two items.

use serde::{Deserialize, Serialize};

use crate::id::fingerprint64;
use crate::outcome::{Decision, RULES_MAX, StoredOutcome, Tier};
use crate::policy::Policy;
use crate::rules::Rule;

const _: () = assert!(RULES_MAX <= u64::BITS as usize);

/// How the partition keys of trials begin.
pub const TRIAL_PREFIX: &str = "trial#";
/// Attribute: the batch as JSON.
pub const TRIAL: &str = "t";
/// Of so many events, one is timed: for it the candidate is run once more before, so that both policies find caches warm.
/// Whoever is first would otherwise pay for both.
pub const TIMED_ONE_IN: u64 = 8;
/// Partitions that the trials of one candidate are spread over: DynamoDB takes 1,000 write units a second in each.
pub const TRIAL_BUCKETS: u64 = 16;
/// How long trials are kept, days: labels come weeks after their events.
pub const TRIAL_DAYS_KEPT: i64 = 60;
/// Trials in one item at most. A trial takes some 110 bytes, and 460 with the longest ids and rules: an item holds 400 KiB.
pub const TRIALS_IN_ITEM_MAX: usize = 800;

/// What one policy made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// 0 to 1000.
    #[serde(rename = "s")]
    pub score: u16,
    /// By the policy's thresholds and rules; an override does not count here.
    #[serde(rename = "d")]
    pub decision: Decision,
    /// Which inputs served it.
    #[serde(rename = "t")]
    pub tier: Tier,
}

/// One event under both policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The event.
    #[serde(rename = "e")]
    pub event_id: String,
    /// Its card.
    #[serde(rename = "c")]
    pub card_id: String,
    /// Event time, ms since 1970-01-01T00:00:00Z.
    #[serde(rename = "o")]
    pub occurred_at_ms: i64,
    /// What was emitted, but for overrides.
    #[serde(rename = "a")]
    pub active: Arm,
    /// What would have been.
    #[serde(rename = "n")]
    pub candidate: Arm,
    /// The active policy's rules that held, watching or not: a bit for each of [`TrialBatch::active_rules`].
    #[serde(rename = "ar", default, skip_serializing_if = "is_none")]
    pub active_rules: u64,
    /// The same of the candidate's.
    #[serde(rename = "nr", default, skip_serializing_if = "is_none")]
    pub candidate_rules: u64,
}

/// Whether no rule is among these.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_none(rules: &u64) -> bool {
    *rules == 0
}

/// Which of a policy's rules held for an event of this outcome, watching or not: a bit for each of the policy's, in its order.
#[must_use]
pub fn rules_held(policy: &Policy, outcome: &StoredOutcome) -> u64 {
    let is_held = |rule: &Rule| outcome.rules.iter().any(|hit| hit.is_held() && hit.says == rule.says);
    let held = policy.rules.all().iter().zip(0..).filter(|(rule, _)| is_held(rule));
    held.fold(0, |all, (_, bit): (_, u32)| all | 1_u64 << bit)
}

/// The trials of one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialBatch {
    /// The policy in force.
    pub active: u32,
    /// The policy that is tried.
    pub candidate: u32,
    /// When the batch was scored, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Events that were timed.
    #[serde(default)]
    pub timed: u64,
    /// Time that the active policy took for those, folding included, nanoseconds.
    pub active_ns: i64,
    /// Time that the candidate took for those, nanoseconds.
    pub candidate_ns: i64,
    /// Names of the active policy's rules, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active_rules: Vec<String>,
    /// Names of the candidate's rules, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidate_rules: Vec<String>,
    /// The events.
    pub trials: Vec<Trial>,
}

/// Where a batch of trials is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialKey {
    /// The shard of the first record in it.
    pub shard_id: String,
    /// That record's sequence number, with the place of the user record in its aggregate where the batch begins inside one.
    pub sequence_number: String,
    /// That record's arrival, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
}

/// Whether an event is one of those that are timed: by its id, so that it is a fair sample of any stream.
#[must_use]
pub fn is_timed(event_id: &str) -> bool {
    fingerprint64(event_id).is_multiple_of(TIMED_ONE_IN)
}

/// The partition of one bucket of a candidate.
#[must_use]
pub fn trial_partition(candidate: u32, bucket: u64) -> String {
    format!("{TRIAL_PREFIX}{candidate:010}#{bucket:02}")
}

impl TrialKey {
    /// The partition that it belongs to.
    #[must_use]
    pub fn partition(&self, candidate: u32) -> String {
        trial_partition(candidate, fingerprint64(&self.shard_id) % TRIAL_BUCKETS)
    }

    /// The sort key: in order of arrival.
    #[must_use]
    pub fn sort(&self) -> String {
        let arrival_ms = self.arrival_ms.clamp(0, 999_999_999_999_999);
        format!("{arrival_ms:015}#{}#{}", self.shard_id, self.sequence_number)
    }
}
