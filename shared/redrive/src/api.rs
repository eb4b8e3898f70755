//! What goes into the function and what comes out: JSON, shared by the function and the command.

use serde::{Deserialize, Serialize};
use tidemark_telemetry::ErrorCode;

use crate::cursor::Cursor;
use crate::source::Source;

/// What to redrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Where records come from.
    pub source: Source,
    /// Read and count, change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Dead letters: look at the messages only, for the age of the oldest. The stream is not read, and nothing is changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look: bool,
    /// The call stops when it has found so many records; without it, at its source's end.
    #[serde(default)]
    pub records_max: Option<u64>,
    /// Records a second at most, below the function's own bound.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// Only what was refused for one of these reasons (quarantine: refusal codes) or under one of these conditions (dead
    /// letters: `RetryAttemptsExhausted`, `RecordAgeExceeded`). Empty: all.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Which range, for that source alone.
    #[serde(default)]
    pub range: Option<RangeRequest>,
    /// Dead letters: this run shares the queue with others of one command, and which of them it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<QueueShare>,
    /// Where the run goes on: what the last answer gave.
    #[serde(default)]
    pub cursor: Option<Cursor>,
}

impl Request {
    /// A request for everything of a source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            dry_run: false,
            look: false,
            records_max: None,
            rate_per_second: None,
            reasons: Vec::new(),
            range: None,
            share: None,
            cursor: None,
        }
    }
}

/// One of several runs that take messages of one queue side by side. A message that stays in the queue may come to several of them,
/// so it counts in none: what is left is counted by the run that follows, which has the queue to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueShare {
    /// Which of them, from 0 on.
    pub index: u32,
    /// How many they are.
    pub of: u32,
}

/// A range of the stream: by sequence numbers of one shard, by arrival times, or both. Both ends belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeRequest {
    /// One shard; without it all, parents before children.
    #[serde(default)]
    pub shard_id: Option<String>,
    /// The first record. Needs the shard.
    #[serde(default)]
    pub from_sequence_number: Option<String>,
    /// The last record. Needs the shard.
    #[serde(default)]
    pub to_sequence_number: Option<String>,
    /// Arrived at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// Arrived at this time or earlier: milliseconds since 1970-01-01T00:00:00Z. Without it: when the run began.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// A part of the range, between two cuts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutRange>,
}

/// A part of a shard's records in their order: from the first that arrived at `begin_ms` or later, and without the first that
/// arrived at `end_ms` or later and all that follow it. Arrival times are approximate and may go back by some milliseconds from one
/// record to the next; parts that share a cut have each record once all the same, and none of a later part comes before one of an
/// earlier part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutRange {
    /// Milliseconds since 1970-01-01T00:00:00Z; without it, the range's own begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_ms: Option<i64>,
    /// Milliseconds since 1970-01-01T00:00:00Z; without it, the range's own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
}

/// What one call came to. Counts are of this call alone: a caller that goes on with the cursor adds them up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The call's tally.
    pub account: Tally,
    /// Where to go on; `None`: nothing is left to do.
    pub cursor: Option<Cursor>,
    /// Why the call ended.
    pub stopped: Stopped,
    /// What somebody should know of, at most [`crate::limits::PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
}

/// Declares the counts of a tally once: fields, and how two calls' are added up.
macro_rules! counts {
    ($(#[$of:meta])* $name:ident { $($(#[$doc:meta])* $count:ident,)* }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$doc])* pub $count: u64,)*
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $(self.$count += other.$count;)*
            }
        }

        impl std::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                $(self.$count = self.$count.saturating_sub(other.$count);)*
            }
        }
    };
}

counts! {
    /// Where each record ended, and each message. Of the records:
    /// `expected` + `filtered_out` + `unpacked` = `scored` + `already_done` + `applied` + `quarantined` + `trimmed` + `missing` + `returned`
    /// over all calls of a run that came to its end, unless it was a dry run, which gives no record an end.
    Tally {
        /// Messages that were looked at and concern this run.
        messages,
        /// Records that the messages speak of.
        expected,
        /// Records that were read.
        found,
        /// Transactions that count now.
        scored,
        /// Records whose effect was there already.
        already_done,
        /// Profiles and labels that took effect now.
        applied,
        /// Records that were refused and are in quarantine (again).
        quarantined,
        /// Expected records that the stream no longer keeps: lost, counted by number.
        trimmed,
        /// Expected records that are not in their range although nothing of it was trimmed: the message counts wrong.
        missing,
        /// Records in a range beyond those that its message counts: the mapping's filter left them out, or another lane of the
        /// shard had them. They are redriven with the rest.
        filtered_out,
        /// User records of aggregated records (KPL) beyond one each: the ends are theirs, everything else counts records of the
        /// stream.
        unpacked,
        /// Records without an end: their message stays where it is.
        returned,
        /// Messages moved to the unrecoverable queue because records of theirs are lost.
        unrecoverable_messages,
        /// Messages moved to the unrecoverable queue because they are no work for this function.
        rejected_messages,
    }
}

impl Tally {
    /// Ends that records came to in the pipeline.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.scored + self.already_done + self.applied + self.quarantined
    }
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The source holds nothing more for this run.
    Done,
    /// The deadline was near.
    Deadline,
    /// As many records were found as the request allows.
    RecordsMax,
    /// The stream asked to slow down, again and again.
    Throttled,
    /// A service failed, or again and again some records could not be brought to an end.
    Error,
}

/// Something that somebody should know of. Holds no payload (I9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its page in docs/errors. Text, so that an older command can show what a newer function says.
    pub code: String,
    /// The message that it concerns, by the queue's id.
    pub message_id: Option<String>,
    /// What it is, in a sentence.
    pub detail: String,
}

impl Problem {
    /// A problem that concerns a message, or none.
    #[must_use]
    pub fn new(code: ErrorCode, message_id: Option<&str>, detail: impl Into<String>) -> Self {
        Self {
            code: code.as_str().to_owned(),
            message_id: message_id.map(str::to_owned),
            detail: detail.into(),
        }
    }
}

/// What lies in the unrecoverable queue: a message whole, and why it is there. A crash between the copy and the deletion
/// leaves two copies of one `message_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnrecoverableMessage {
    /// Always `unrecoverable`.
    pub schema: String,
    /// Version of this message's shape: 1.
    pub version: u32,
    /// Why: its page in docs/errors.
    pub code: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The queue it was in: `dead_letter` or `quarantine`.
    pub source: Source,
    /// Its id in that queue.
    pub message_id: String,
    /// When it was sent there: milliseconds since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
    /// When it was moved: milliseconds since 1970-01-01T00:00:00Z.
    pub moved_ms: i64,
    /// Records that it speaks of, where it can be read.
    pub expected: Option<u64>,
    /// Records of it that were found, and came to their end.
    pub found: Option<u64>,
    /// Its text, unchanged.
    pub body: String,
}
