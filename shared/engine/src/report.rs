//! What became of a batch.

use std::collections::BTreeMap;

use serde::Serialize;
use tidemark_domain::outcome::{Decision, RuleEnd, RuleHit, Tier};
use tidemark_domain::refusal::RefusalCode;

use crate::port::{KeyId, Units};
use crate::record::{InRecord, compare_sequence_numbers};
use crate::user_record::UserRecords;

/// So many keys with an unreadable history a report names.
pub const KEYS_NAMED_MAX: usize = 8;

/// How a user record ended in this batch. Each has exactly one end (I1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// A transaction that counts now; its outcome is sent.
    Scored,
    /// Its effect was there already; a transaction's stored outcome is sent again.
    Duplicate,
    /// A profile or label that took effect now.
    Applied,
    /// In the quarantine, whole, with this reason; an aggregate that is refused as such counts as one user record.
    Quarantined(RefusalCode),
    /// It has no end yet: it must come again.
    Returned(Returned),
}

/// Why a record must come again. Codes are stable: they are in metrics and docs/reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Returned {
    /// The deadline was near.
    Deadline,
    /// More records than a batch may have.
    BatchLimit,
    /// The mode is `paused`: records stay in the stream.
    Paused,
    /// The control plane could not be read since the process began: nobody knows which policy is in force.
    ControlUnread,
    /// Which published map is in force for a record is not known yet, or that map can't be had.
    MapUnready,
    /// The card's state could not be read.
    LoadFailed,
    /// The card's stored state can't be decoded; nothing was overwritten.
    StateCorrupt,
    /// Other writers were first, again and again.
    ConflictLimit,
    /// The store did not take the card's state, or did not say so, within the retry budget.
    CommitFailed,
    /// The store refused the write for good (access, no such table, item too large).
    StoreRefused,
    /// The store did not take the profile.
    ProfileFailed,
    /// A key of a label's event could not be read or written: its card has the label, the key may not.
    KeyFailed,
    /// The store did not take the decision.
    DecisionFailed,
    /// The sink did not take the outcome.
    SinkFailed,
    /// The quarantine did not take the record.
    QuarantineFailed,
}

impl Returned {
    /// The code as it is written in metrics and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::BatchLimit => "batch_limit",
            Self::Paused => "paused",
            Self::ControlUnread => "control_unread",
            Self::MapUnready => "map_unready",
            Self::LoadFailed => "load_failed",
            Self::StateCorrupt => "state_corrupt",
            Self::ConflictLimit => "conflict_limit",
            Self::CommitFailed => "commit_failed",
            Self::StoreRefused => "store_refused",
            Self::ProfileFailed => "profile_failed",
            Self::KeyFailed => "key_failed",
            Self::DecisionFailed => "decision_failed",
            Self::SinkFailed => "sink_failed",
            Self::QuarantineFailed => "quarantine_failed",
        }
    }
}

impl Serialize for Returned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How the reads of a batch were served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// States found warm.
    pub state_hits: u64,
    /// States that had to be read.
    pub state_misses: u64,
    /// Profiles (or their absence) found warm.
    pub profile_hits: u64,
    /// Profiles that had to be read.
    pub profile_misses: u64,
    /// Keys' labelled histories (or their absence) found warm.
    pub key_hits: u64,
    /// Keys' labelled histories that had to be read.
    pub key_misses: u64,
    /// Profiles that were not even looked for: the mode is `degraded`, or the policy holds all transactions for low risk.
    pub profiles_spared: u64,
}

/// What became of a batch. Counts are of user records: an aggregated record of the stream has many, any other is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchReport {
    /// The lowest sequence number that must come again, because it or any user record in it must; `None`: the batch is
    /// whole.
    pub retry_from: Option<String>,
    /// How each user record ended, in the order of the batch and, within an aggregate, of the aggregate. In a batch without
    /// aggregates that is one for each record.
    pub ends: Vec<End>,
    /// How many of `ends` each record of the batch has, in its order.
    pub ends_per_record: Vec<u32>,
    /// Transactions that count now.
    pub scored: u64,
    /// User records whose effect was there already.
    pub duplicate: u64,
    /// Profiles and labels that took effect now.
    pub applied: u64,
    /// User records in the quarantine, by reason.
    pub quarantined: BTreeMap<RefusalCode, u64>,
    /// User records that must come again, by cause.
    pub returned: BTreeMap<Returned, u64>,
    /// Scored transactions by decision.
    pub decisions: BTreeMap<Decision, u64>,
    /// Scored transactions by the tier that served them (I8).
    pub tiers: BTreeMap<Tier, u64>,
    /// Scores of the scored transactions, in the order of the batch.
    pub scores: Vec<u16>,
    /// When the records of these transactions arrived, ms since 1970-01-01T00:00:00Z, in the same order.
    pub arrivals_ms: Vec<i64>,
    /// When these transactions happened, ms since 1970-01-01T00:00:00Z, in the same order.
    pub occurred_ms: Vec<i64>,
    /// The newest event time among them, ms since 1970-01-01T00:00:00Z.
    pub newest_event_ms: Option<i64>,
    /// Transactions that count now, but whose outcome was not sent: they are among `returned`, and come again as duplicates.
    pub unsent: u64,
    /// Decisions that were recorded now.
    pub decisions_recorded: u64,
    /// Fields that the contract does not know, in accepted events.
    pub unknown_fields: u64,
    /// Outcomes sent, duplicates' included.
    pub outcomes_sent: u64,
    /// KiB of those outcomes, each outcome's bytes rounded up to whole ones: what an on-demand stream bills.
    pub outcome_kib: u64,
    /// Outcomes that an earlier try of the same records, in this process, had sent: they are not sent once more.
    pub outcomes_sent_before: u64,
    /// Messages put in the quarantine (a large payload needs several).
    pub quarantine_messages: u64,
    /// Capacity consumed.
    pub units: Units,
    /// Card states written.
    pub commits: u64,
    /// Labelled histories of keys written.
    pub key_commits: u64,
    /// Labelled histories of keys that could not be read: their events were scored without them.
    pub keys_unread: u64,
    /// Of these, keys whose stored history can't be understood, each once and at most [`KEYS_NAMED_MAX`] of them.
    pub keys_damaged: Vec<KeyId>,
    /// Labels that got their end, known ones included.
    pub labels: u64,
    /// Labels that taught the keys of an event which its card has forgotten.
    pub labels_without_card: u64,
    /// Times that a label said fraud and the identity of a key of its event was not known, so that it could not be taught.
    pub labels_without_key: u64,
    /// Labels that a key did not take, since it keeps newer events only.
    pub labels_forgotten: u64,
    /// Sealed segments of hot cards read.
    pub segments_read: u64,
    /// Sealed segments of hot cards written.
    pub segments_written: u64,
    /// Cards whose write failed for good in this batch.
    pub commit_failures: u64,
    /// Conditional writes that another writer won.
    pub conflicts: u64,
    /// Calls repeated.
    pub retries: u64,
    /// Answers "slow down".
    pub throttles: u64,
    /// Calls without an answer in time.
    pub timeouts: u64,
    /// Profile reads that the open breaker spared, in cards.
    pub breaker_rejected: u64,
    /// How reads were served.
    pub cache: CacheCounts,
    /// Outcomes that were kept and not sent, because the mode is `shadow`.
    pub outcomes_withheld: u64,
    /// Transactions that count now and whose decision an override made.
    pub overridden: u64,
    /// What rules said of the transactions that count now, by the rules' names.
    pub rules: BTreeMap<String, RuleCounts>,
    /// What a candidate policy made of the batch.
    pub trials: TrialCounts,
}

/// How often a rule said something in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleCounts {
    /// It held.
    pub held: u64,
    /// It held, and only watches.
    pub observed: u64,
    /// Its arithmetic had no result.
    pub undefined: u64,
}

/// What a candidate policy made of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrialCounts {
    /// Events that both policies scored.
    pub scored: u64,
    /// Of these, events with different decisions.
    pub flips: u64,
    /// Of these, events whose trial could not be recorded.
    pub lost: u64,
    /// Of these, events that were timed.
    pub timed: u64,
    /// Time that the active policy took for those, folding included, nanoseconds.
    pub active_ns: i64,
    /// Time that the candidate took for those, nanoseconds.
    pub candidate_ns: i64,
}

impl BatchReport {
    /// A batch of which nothing was touched, not even taken apart: every record comes again, and counts as one.
    #[must_use]
    pub fn untouched(batch: &[InRecord<'_>], why: Returned) -> Self {
        let mut report = Self::default();
        let records = UserRecords::untouched(batch);
        report.count_ends(vec![End::Returned(why); batch.len()], records);
        report
    }

    /// Counts what rules said of an event.
    pub(crate) fn count_rules(&mut self, hits: &[RuleHit]) {
        for hit in hits {
            let counts = self.rules.entry(hit.says.name().to_owned()).or_default();
            match hit.end {
                RuleEnd::Held(_) => counts.held += 1,
                RuleEnd::Observed(_) => counts.observed += 1,
                RuleEnd::Undefined => counts.undefined += 1,
            }
        }
    }

    /// Names a key whose stored history can't be understood.
    pub(crate) fn name_damaged(&mut self, key: KeyId) {
        if self.keys_damaged.len() < KEYS_NAMED_MAX && !self.keys_damaged.contains(&key) {
            self.keys_damaged.push(key);
        }
    }

    /// Counts how the user records of a batch ended, and finds the lowest record that must come again.
    pub(crate) fn count_ends(&mut self, ends: Vec<End>, records: UserRecords<'_>) {
        let mut lowest: Option<&str> = None;
        for (end, user) in ends.iter().zip(&records.all) {
            match end {
                End::Scored => self.scored += 1,
                End::Duplicate => self.duplicate += 1,
                End::Applied => self.applied += 1,
                End::Quarantined(code) => *self.quarantined.entry(*code).or_default() += 1,
                End::Returned(returned) => {
                    *self.returned.entry(*returned).or_default() += 1;
                    let number = records.batch[user.record].sequence_number;
                    if lowest.is_none_or(|lowest| compare_sequence_numbers(number, lowest).is_lt()) {
                        lowest = Some(number);
                    }
                }
            }
        }
        self.retry_from = lowest.map(str::to_owned);
        self.ends = ends;
        self.ends_per_record = records.per_record;
    }

    /// The ends of each record of the batch, in its order; a record that is no aggregate has one.
    pub fn ends_by_record(&self) -> impl Iterator<Item = &[End]> {
        let mut rest = self.ends.as_slice();
        self.ends_per_record.iter().map(move |count| {
            let (ends, after) = rest.split_at((*count as usize).min(rest.len()));
            rest = after;
            ends
        })
    }

    /// User records in the quarantine, all reasons.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// User records that must come again, all causes.
    #[must_use]
    pub fn returned_total(&self) -> u64 {
        self.returned.values().sum()
    }
}
