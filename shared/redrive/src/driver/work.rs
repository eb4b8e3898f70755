//! A dead letter in work: how far its range is done. Pure.

use std::collections::BTreeSet;

use super::feed::Fate;
use crate::cursor::Part;
use crate::letter::Letter;
use crate::port::Received;
use crate::walk::{Span, SpanEnd};

#[derive(Debug)]
pub(super) struct Work {
    pub(super) message: Received,
    pub(super) letter: Letter,
    /// Records that have their end, earlier calls' included.
    pub(super) ended: u64,
    /// Records that could not be taken to an end in this call.
    pub(super) failed: u64,
    /// Whether earlier calls counted the message.
    pub(super) resumed: bool,
    /// Whether an earlier call found its start trimmed.
    pub(super) trimmed: bool,
    /// Every record up to this one has its end.
    after: Option<String>,
    /// Later ones that have theirs too.
    done: BTreeSet<String>,
    /// A record without an end came: from here on ends are kept one by one.
    broken: bool,
    /// The call stopped inside its range.
    pub(super) cut: bool,
    pub(super) settled: bool,
}

/// What is to be done with a message whose range was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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

impl Work {
    pub(super) fn new(message: Received, letter: Letter, part: Option<Part>) -> Self {
        let resumed = part.is_some();
        let part = part.unwrap_or(Part {
            message_id: String::new(),
            after: None,
            done: Vec::new(),
            ended: 0,
            trimmed: false,
        });
        Self {
            message,
            letter,
            ended: part.ended,
            failed: 0,
            resumed,
            trimmed: part.trimmed,
            after: part.after,
            done: part.done.into_iter().collect(),
            broken: false,
            cut: false,
            settled: false,
        }
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

    /// Notes a record's fate; records come in their order.
    pub(super) fn note(&mut self, number: &str, fate: Fate) {
        match fate {
            Fate::Ended => self.ended += 1,
            Fate::Failed => self.failed += 1,
            Fate::NotYet => self.cut = true,
        }
        if fate == Fate::Ended {
            self.keep(number);
        } else {
            self.broken = true;
        }
    }

    /// Notes a record that an earlier call took to its end.
    pub(super) fn keep(&mut self, number: &str) {
        if self.broken {
            self.done.insert(number.to_owned());
        } else {
            self.done.remove(number);
            self.after = Some(number.to_owned());
        }
    }

    /// Whether this call, or one before it, took a record of it to its end.
    pub(super) fn is_begun(&self) -> bool {
        self.resumed || self.ended > 0
    }

    /// What the next call must know to go on.
    pub(super) fn part(&self) -> Part {
        Part {
            message_id: self.message.id.clone(),
            after: self.after.clone(),
            done: self.done.iter().cloned().collect(),
            ended: self.ended,
            trimmed: self.trimmed,
        }
    }

    /// What the walk's end means. Its letter's count is what tells a lost record from one that never was.
    pub(super) fn verdict(&self, end: SpanEnd) -> Verdict {
        let found = self.ended + self.failed;
        let lost = self.letter.records.saturating_sub(found);
        let without_end = self.letter.records.max(found) - self.ended;
        if self.failed > 0 || end == SpanEnd::Unfinished {
            let unfinished = end == SpanEnd::Unfinished;
            return Verdict::Stays {
                without_end,
                unfinished,
            };
        }
        if end == SpanEnd::NotOfShard {
            return Verdict::NotOfShard { missing: lost };
        }
        if end == SpanEnd::Trimmed || self.trimmed {
            // Where this very walk missed the first record, at least that one is lost, whatever else lies in the range.
            let lost = if self.resumed && !self.trimmed {
                lost
            } else {
                lost.max(1)
            };
            if lost > 0 {
                let beyond = (found + lost).saturating_sub(self.letter.records);
                return Verdict::Trimmed { lost, beyond };
            }
        }
        if lost > 0 {
            return Verdict::Miscounted { missing: lost };
        }
        Verdict::Done {
            beyond: found - self.letter.records,
        }
    }
}
