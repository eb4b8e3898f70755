//! The redrive function: called by an operator, again with its cursor, and again when it died.

use std::collections::VecDeque;

use tidemark_redrive::{Home, Queues, RangeRequest, Redrive, RedriveConfig, Request, Response, Source, Stopped};

use super::invoke::{Done, Invocation, Job};
use super::{Ablation, Run};
use crate::dice::Dice;
use crate::draws::Draw;
use crate::ports::{Steered, Which, WorldQueue};
use crate::stream::ARN;

/// A run that needs more calls than this does not end.
const CALLS_MAX: u64 = 2_000;
/// Whoever calls again waits so long, ms.
const AGAIN_MS: i64 = 1_000;
/// The same after a call that got nowhere, and while the mode is `paused`.
const AGAIN_LATER_MS: i64 = 600_000;

/// A redrive whose calls died so often may end when the stream has dropped what it was to read.
const DEATHS_MANY: u32 = 100;

/// Who calls the redrive function.
#[derive(Debug)]
pub(super) struct Walker {
    /// What is to be redriven, in this order; one call at a time.
    requests: VecDeque<Request>,
    /// A call is under way.
    calling: bool,
    /// The next call, ms since 1970-01-01T00:00:00Z.
    pub(super) at_ms: Option<i64>,
    /// How long a call may take, ms.
    timeout_ms: i64,
    config: RedriveConfig,
    calls: u64,
    /// Calls of a redrive of a range that died.
    deaths: u32,
}

impl Walker {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let config = RedriveConfig {
            page_records_max: u32::try_from(*dice.pick(&[7_u64, 100, 1_000])).unwrap_or(100),
            batch_records_max: u32::try_from(*dice.pick(&[10_u64, 100, 500])).unwrap_or(100),
            ..RedriveConfig::default()
        };
        Self {
            requests: VecDeque::new(),
            calling: false,
            at_ms: None,
            timeout_ms: *dice.pick(&[60_000, 900_000, 900_000]),
            config,
            calls: 0,
            deaths: 0,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.calling || !self.requests.is_empty()
    }

    /// Asks for a redrive.
    pub(super) fn ask(&mut self, source: Source, now_ms: i64) {
        let range = (source == Source::Range).then(RangeRequest::default);
        let request = Request {
            range,
            ..Request::new(source)
        };
        self.requests.push_back(request);
        self.at_ms.get_or_insert(now_ms + 1);
    }
}

impl Run {
    /// Calls the redrive function when somebody is to; once faults have ended, until nothing waits in its queue.
    pub(super) fn walk(&mut self, now_ms: i64) {
        if !self.draws.has(Draw::Walk) || self.walker.calling {
            return;
        }
        if self.walker.calls >= CALLS_MAX {
            // What is left is told at the run's end.
            self.walker.at_ms = None;
            return;
        }
        if self.walker.at_ms.is_none() && self.calm && self.deeds.is_empty() {
            let visible_ms = self.world.with(|stores| stores.dead_letter.next_visible_ms());
            if !self.walker.requests.is_empty() {
                self.walker.at_ms = Some(now_ms + AGAIN_MS);
            } else if let Some(visible_ms) = visible_ms {
                self.walker.ask(Source::DeadLetter, visible_ms.max(now_ms));
            }
        }
        if self.walker.at_ms.is_none_or(|at_ms| at_ms > now_ms) {
            return;
        }
        self.walker.at_ms = None;
        if let Some(request) = self.walker.requests.pop_front() {
            self.call_redrive(request, now_ms);
        }
    }

    fn call_redrive(&mut self, request: Request, now_ms: i64) {
        self.walker.calling = true;
        self.walker.calls += u64::from(self.calm);
        self.counts.redrives += 1;
        let (ports, life, name) = self.new_process("r");
        self.world
            .note(format_args!("{name} redrives {}", request.source.as_str()));
        let steered = Steered::new(&ports, self.policies.own_policy());
        let queue = |which| WorldQueue::new(ports.clone(), which);
        let queues = Queues {
            dead_letter: queue(Which::DeadLetter),
            quarantine: queue(Which::Quarantine),
            unrecoverable: queue(Which::Unrecoverable),
        };
        let redrive = Redrive::new(
            ports.clone(),
            queues,
            steered,
            ports,
            Home::new(ARN),
            self.walker.config,
        );
        let deadline_ms = now_ms + self.walker.timeout_ms;
        let asked = request.clone();
        let future = Box::pin(async move {
            let outcome = redrive.call(&asked, deadline_ms).await;
            let outcome = outcome.unwrap_or_else(|error| unreachable!("a request of our own: {error}"));
            Done::Walk(Box::new(outcome.response))
        });
        self.start(Invocation {
            future,
            worker: None,
            life,
            job: Job::Walk(Box::new(request)),
            times_out_at_ms: deadline_ms,
        });
    }

    /// A call has ended; without an answer it is made again as it was.
    pub(super) fn walked(&mut self, request: Request, response: Option<&Response>) {
        self.walker.calling = false;
        let now_ms = self.world.now_ms();
        let cursor = match response {
            Some(response) => {
                let (account, stopped) = (&response.account, response.stopped);
                self.world.note(format_args!("redrive stopped {stopped:?} {account:?}"));
                if response.cursor.is_none() {
                    if request.source == Source::Range && self.walker.deaths >= DEATHS_MANY {
                        self.world.with(|stores| stores.known.redriven_ms = Some(now_ms));
                    }
                    self.walker.at_ms = (!self.walker.requests.is_empty()).then_some(now_ms + AGAIN_MS);
                    return;
                }
                response.cursor.clone()
            }
            // While faults last an operator gives up: another will come. After a restore nobody does.
            None if !self.calm && request.source != Source::Range => {
                self.walker.at_ms = (!self.walker.requests.is_empty()).then_some(now_ms + AGAIN_LATER_MS);
                return;
            }
            None => {
                self.walker.deaths += 1;
                request.cursor.clone()
            }
        };
        self.walker.requests.push_front(Request { cursor, ..request });
        let is_stuck = response.is_none_or(|response| !matches!(response.stopped, Stopped::Deadline | Stopped::Done));
        let wait_ms = if is_stuck { AGAIN_LATER_MS } else { AGAIN_MS };
        self.walker.at_ms = Some(now_ms + wait_ms);
    }

    /// What an operator redrives after a restore: all that the stream holds.
    pub(super) fn redrive_all(&mut self, now_ms: i64) {
        if !self.is_without(Ablation::NoRedriveAfterRestore) {
            self.walker.ask(Source::Range, now_ms);
        }
    }
}
