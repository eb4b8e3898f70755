//! The slices of one shard, one after the other; or one share of a queue. It goes from call to call as JSON, through the hands of a
//! state machine or of the command, and says itself what comes next. Pure.

use serde::{Deserialize, Serialize};
use tidemark_telemetry::ErrorCode;

use crate::api::{Problem, Request, Response, Stopped, Tally};
use crate::cut::next_cut;
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_IDLE_CALLS_MAX, CHAIN_PROBLEMS_MAX};
use crate::request::RequestError;

/// A chain, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The slice in work (or the last one): its request, and the cursor of its walk.
    pub request: Request,
    /// What is to be done with the chain.
    pub next: ChainNext,
    /// Where records ended, all calls together.
    #[serde(default)]
    pub account: Tally,
    /// Calls of the function.
    #[serde(default)]
    pub calls: u32,
    /// Calls in a row that brought nothing.
    #[serde(default)]
    pub idle_calls: u32,
    /// What somebody should know of.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// Problems beyond those that are named.
    #[serde(default)]
    pub problems_more: u64,
}

/// What is to be done with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainNext {
    /// The function is to be called with it.
    Call,
    /// The same, after a pause: the stream asked to slow down.
    Wait,
    /// Every slice of it is done.
    Over,
    /// Its slice could not be brought to its end; those behind it wait, since a card's events apply in their order.
    Failed,
}

/// What the function is asked, with a chain in place of a request, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainCall {
    /// The chain.
    pub chain: Chain,
}

impl Chain {
    /// A chain that begins with this request.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            request,
            next: ChainNext::Call,
            account: Tally::default(),
            calls: 0,
            idle_calls: 0,
            problems: Vec::new(),
            problems_more: 0,
        }
    }

    /// Looks for contradictions.
    ///
    /// # Errors
    /// When its request contradicts itself, or it is over.
    pub fn check(&self) -> Result<(), RequestError> {
        if !matches!(self.next, ChainNext::Call | ChainNext::Wait) {
            return Err(RequestError {
                code: ErrorCode::RedriveRequestInvalid,
                detail: "chain.next: the chain is over".to_owned(),
            });
        }
        self.request.check()
    }

    /// Whether the function is to be called with it once more.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.next, ChainNext::Call | ChainNext::Wait)
    }

    /// Takes an answer of the function to the chain's request.
    pub fn take(&mut self, response: Response) {
        self.calls = self.calls.saturating_add(1);
        self.idle_calls = if response.account == Tally::default() {
            self.idle_calls + 1
        } else {
            0
        };
        self.account += response.account;
        let is_unfinished = response
            .problems
            .iter()
            .any(|problem| problem.code == ErrorCode::WalkUnfinished.as_str());
        // Of a share of the queue, what is unfinished stays in the queue; in a range nothing else remembers it.
        let is_broken = is_unfinished && self.request.range.is_some();
        self.next = match response.stopped {
            Stopped::Error => ChainNext::Failed,
            _ if is_broken => ChainNext::Failed,
            Stopped::Done => self.advance(),
            Stopped::Deadline | Stopped::RecordsMax if self.idle_calls >= CHAIN_IDLE_CALLS_MAX => ChainNext::Failed,
            Stopped::Throttled if self.idle_calls >= CHAIN_IDLE_CALLS_MAX => ChainNext::Failed,
            Stopped::Deadline | Stopped::RecordsMax => ChainNext::Call,
            Stopped::Throttled => ChainNext::Wait,
        };
        // A throttle that passes is nothing that somebody should know of.
        let passes =
            |problem: &Problem| self.next == ChainNext::Wait && problem.code == ErrorCode::ReadsThrottled.as_str();
        let told = response
            .problems
            .into_iter()
            .filter(|problem| !passes(problem))
            .collect();
        self.note(told);
        // A chain that is over is a result, and results are kept together: what only a further call needs is left out.
        self.request.cursor = response.cursor.filter(|_| self.is_open());
        self.bound();
    }

    /// A chain that no state machine could pass on has failed here, where it can still say so. What it did is done; its letters are
    /// in their queue, and of a range the slice is named.
    fn bound(&mut self) {
        let bytes = serde_json::to_vec(&self).map_or(usize::MAX, |json| json.len());
        if bytes > CHAIN_BYTES_MAX {
            let detail = format!(
                "the place where it goes on takes {bytes} bytes, and a part of a redrive has {CHAIN_BYTES_MAX}: take the rest without --parallel"
            );
            self.fail(Problem::new(ErrorCode::RecordsNotRedriven, None, detail));
        }
    }

    /// The function could not be called, or failed; what it may have done is found done.
    pub fn fail(&mut self, why: Problem) {
        self.note(vec![why]);
        self.next = ChainNext::Failed;
        self.request.cursor = None;
    }

    fn note(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            if self.problems.len() < CHAIN_PROBLEMS_MAX {
                self.problems.push(problem);
            } else {
                self.problems_more += 1;
            }
        }
    }

    /// Goes on to the next slice, if there is one.
    fn advance(&mut self) -> ChainNext {
        self.idle_calls = 0;
        let Some(range) = &mut self.request.range else {
            return ChainNext::Over;
        };
        let times = range.since_ms.zip(range.until_ms).zip(range.cut);
        match times.and_then(|((since_ms, until_ms), cut)| next_cut(since_ms, until_ms, cut)) {
            Some(cut) => {
                range.cut = Some(cut);
                ChainNext::Call
            }
            None => ChainNext::Over,
        }
    }
}
