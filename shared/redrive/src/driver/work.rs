//! A dead letter in work, of the queue or of the bucket: how far its range is done. Pure.
//!
//! ```text
//!          ┌─ its range has its end ─────────────────────► Settled: deleted, moved out, or it stays in its queue
//! Open ────┤
//!          └─ the call stopped inside its range ──► Cut ─► the call's end: the next call is told what is done, and goes on
//! ```

use std::collections::BTreeSet;

use super::feed::Redriven;
use super::one_call::Call;
use crate::api::Tally;
use crate::cursor::Part;
use crate::letter::{Letter, Rejection};
use crate::port::Received;
use crate::walk::{Span, SpanEnd};

/// Where a letter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// In the dead-letter queue: the records are in the stream, or nowhere.
    Queue,
    /// In the bucket, with its payload.
    Bucket,
}

#[derive(Debug)]
pub(super) struct Work {
    /// The message; of an object its name is the id, its text is not kept, and it has no receipt.
    pub(super) message: Received,
    pub(super) holder: Holder,
    pub(super) letter: Letter,
    /// Records that have their end, earlier calls' included.
    pub(super) ended: u64,
    /// Records that could not be taken to an end in this call.
    pub(super) failed: u64,
    pub(super) stage: Stage,
    /// What its records added to this call's tally.
    pub(super) tally: Tally,
    earlier: Earlier,
    /// Every record up to this one has its end.
    after: Option<String>,
    /// Later ones that have theirs too; of an object all that have theirs, so that its payload is taken only for the others.
    done: BTreeSet<String>,
}

/// How far this call has come with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its records are being taken to their ends.
    Open,
    /// The call stopped inside its range.
    Cut,
    /// It was decided what becomes of the message.
    Settled,
}

/// What earlier calls of the run did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earlier {
    Nothing,
    /// They counted the message and visited a part of its range.
    Part {
        /// Whether they found its start trimmed.
        trimmed: bool,
    },
}

/// What came of an object's payload.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// Each of its records has its end.
    Ended,
    /// Some have none.
    Failed,
    /// The call stopped before or inside.
    Cut,
    /// The payload is not the batch of which the letter speaks.
    Unusable(Rejection),
    /// The object is no longer there.
    Absent,
}

/// What is to be done with a message whose range was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// Each record has its end. So many are there beyond those that the letter counts.
    Done { beyond: u64 },
    /// So many are past retention.
    Trimmed { lost: u64, beyond: u64 },
    /// So many are not there, though nothing was trimmed.
    Miscounted { missing: u64 },
    /// The shard never gave its first number.
    NotOfShard { missing: u64 },
    /// So many have no end yet.
    Stays { without_end: u64, unfinished: bool },
}

impl Handling {
    /// Whether records are missing that a payload may have. What the shard never gave is no record of the stream, whatever an object
    /// says of it.
    pub(super) fn asks_for_payload(self) -> bool {
        match self {
            Self::Trimmed { .. } | Self::Miscounted { .. } => true,
            // More were found than the letter counts, so that their number does not say that all of its own are among them.
            Self::Done { beyond } => beyond > 0,
            Self::NotOfShard { .. } | Self::Stays { .. } => false,
        }
    }
}

impl Work {
    pub(super) fn new(message: Received, holder: Holder, letter: Letter, part: Option<Part>) -> Self {
        let mut work = Self {
            message,
            holder,
            letter,
            ended: 0,
            failed: 0,
            stage: Stage::Open,
            tally: Tally::default(),
            earlier: Earlier::Nothing,
            after: None,
            done: BTreeSet::new(),
        };
        if let Some(part) = part {
            work.ended = part.ended;
            work.earlier = Earlier::Part { trimmed: part.trimmed };
            work.after = part.after;
            work.done = part.done.into_iter().collect();
        }
        work
    }

    /// The message stays where it is until the next run.
    pub(super) fn stay(&self, call: &mut Call<'_>) {
        match self.holder {
            Holder::Queue => call.keep(&self.message.id, self.message.receipt.clone()),
            Holder::Bucket => call.see(&self.message.id),
        }
    }

    /// The message is to come again. An object is hidden from nobody.
    pub(super) fn hold(&self, call: &mut Call<'_>) {
        if self.holder == Holder::Queue {
            call.hold(self.message.receipt.clone());
        }
    }

    /// Of an object: its text is no longer needed, and it is a long one.
    pub(super) fn forget_text(&mut self) {
        if self.holder == Holder::Bucket {
            self.message.body = String::new();
        }
    }

    /// What is to be done with an object whose payload was taken to its end.
    pub(super) fn unpacked(&self) -> Handling {
        if self.failed > 0 {
            let without_end = self.letter.records.max(self.ended + self.failed) - self.ended;
            return Handling::Stays {
                without_end,
                unfinished: false,
            };
        }
        Handling::Done {
            beyond: self.ended.saturating_sub(self.letter.records),
        }
    }

    /// Whether earlier calls counted the message.
    pub(super) fn is_resumed(&self) -> bool {
        self.earlier != Earlier::Nothing
    }

    /// Whether this call has not decided yet what becomes of the message.
    pub(super) fn is_unsettled(&self) -> bool {
        self.stage != Stage::Settled
    }

    pub(super) fn span(&self) -> Span {
        Span {
            start: self.letter.start.clone(),
            end: self.letter.end.clone(),
            after: self.after.clone(),
        }
    }

    /// Whether an earlier call took this record to its end.
    pub(super) fn has(&self, number: &str) -> bool {
        self.done.contains(number)
    }

    /// Notes a record's fate and what it counted; records come in their order.
    pub(super) fn note(&mut self, number: &str, fate: Redriven, tally: Tally) {
        self.tally += tally;
        match fate {
            Redriven::Ended => self.ended += 1,
            Redriven::Failed => self.failed += 1,
            Redriven::NotYet => self.stage = Stage::Cut,
        }
        if fate == Redriven::Ended {
            self.keep(number);
        }
    }

    /// Notes a record that an earlier call took to its end.
    pub(super) fn keep(&mut self, number: &str) {
        // After a record without an end, ends are kept one by one.
        let is_broken = self.failed > 0 || self.stage == Stage::Cut;
        if is_broken || self.holder == Holder::Bucket {
            self.done.insert(number.to_owned());
        } else {
            self.done.remove(number);
        }
        if !is_broken {
            self.after = Some(number.to_owned());
        }
    }

    /// Notes the fate of a record that came out of the payload, and what it counted.
    pub(super) fn note_unpacked(&mut self, number: &str, fate: Redriven, tally: Tally) {
        self.tally += tally;
        match fate {
            Redriven::Ended => {
                self.ended += 1;
                self.done.insert(number.to_owned());
            }
            Redriven::Failed => self.failed += 1,
            Redriven::NotYet => self.stage = Stage::Cut,
        }
    }

    /// Whether this call, or one before it, took a record of it to its end.
    pub(super) fn is_begun(&self) -> bool {
        self.is_resumed() || self.ended > 0
    }

    /// What the next call must know to go on; `trimmed` says whether this call found the start of the range trimmed.
    pub(super) fn part(&self, trimmed: bool) -> Part {
        Part {
            message_id: self.message.id.clone(),
            after: self.after.clone(),
            done: self.done.iter().cloned().collect(),
            ended: self.ended,
            trimmed: match self.earlier {
                Earlier::Nothing => trimmed,
                Earlier::Part { trimmed } => trimmed,
            },
        }
    }

    /// What the walk's end means. Its letter's count is what tells a lost record from one that never was.
    pub(super) fn handling(&self, end: SpanEnd) -> Handling {
        let found = self.ended + self.failed;
        let lost = self.letter.records.saturating_sub(found);
        let without_end = self.letter.records.max(found) - self.ended;
        if self.failed > 0 || end == SpanEnd::Unfinished {
            let unfinished = end == SpanEnd::Unfinished;
            return Handling::Stays {
                without_end,
                unfinished,
            };
        }
        if end == SpanEnd::NotOfShard {
            return Handling::NotOfShard { missing: lost };
        }
        let missed_earlier = self.earlier == Earlier::Part { trimmed: true };
        if end == SpanEnd::Trimmed || missed_earlier {
            // Whichever walk missed the first record, at least that one is lost, whatever else lies in the range. A walk that
            // goes on after an earlier one does not look for the first record.
            let missed_first = missed_earlier || !self.is_resumed();
            let lost = if missed_first { lost.max(1) } else { lost };
            if lost > 0 {
                let beyond = (found + lost).saturating_sub(self.letter.records);
                return Handling::Trimmed { lost, beyond };
            }
        }
        if lost > 0 {
            return Handling::Miscounted { missing: lost };
        }
        Handling::Done {
            beyond: found - self.letter.records,
        }
    }
}
