//! One invocation: a request and a deadline in, the answer and what to report out. Knows nothing of Lambda's runtime loop.

use lambda_runtime::{Context, Diagnostic};
use tidemark_engine::port::Clock;
use tidemark_redrive::port::{Inbox, Processor, ShardReader};
use tidemark_redrive::{Answered, Asked, CallOutcome, Redrive, RequestError};
use tidemark_telemetry::{EmfLine, ErrorCode};

use crate::telemetry::{self, CallFacts};

/// Why a request is refused. Nothing was read, and nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError(RequestError);

impl HandlerError {
    /// The code under which docs/errors explains it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self {
            error_type: error.code().as_str().to_owned(),
            error_message: error.0.to_string(),
        }
    }
}

/// What an invocation came to.
#[derive(Debug)]
pub struct Handled {
    /// The answer to Lambda.
    pub answer: Result<Answered, HandlerError>,
    /// Lines of metrics to write: one for the call, and one for each refusal code in it.
    pub metrics: Vec<EmfLine>,
}

/// The function's singleton.
pub struct RedriveFunction<R, I, P, C> {
    redrive: Redrive<R, I, P, C>,
    clock: C,
    name: String,
}

impl<R: ShardReader, I: Inbox, P: Processor, C: Clock> RedriveFunction<R, I, P, C> {
    /// A function called `name` (a dimension of its metrics); `clock` measures its calls.
    #[must_use]
    pub fn new(redrive: Redrive<R, I, P, C>, clock: C, name: impl Into<String>) -> Self {
        Self {
            redrive,
            clock,
            name: name.into(),
        }
    }

    /// Takes one request as far as the deadline allows.
    pub async fn handle(&self, payload: &str, context: &Context) -> Handled {
        let started_ms = self.clock.now_ms();
        // A deadline beyond i64 is no deadline.
        let deadline_ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        let done = match Asked::parse(payload) {
            Ok(asked) => {
                let called = self.redrive.call(asked.request(), deadline_ms).await;
                called.map(|outcome| (asked, outcome))
            }
            Err(error) => Err(error),
        };
        match done {
            Ok((asked, outcome)) => self.answered(asked, outcome, context, started_ms),
            Err(error) => {
                let code = error.code.as_str();
                tracing::error!(code, request_id = context.request_id, "{error}");
                Handled {
                    answer: Err(HandlerError(error)),
                    metrics: Vec::new(),
                }
            }
        }
    }

    fn answered(&self, asked: Asked, outcome: CallOutcome, context: &Context, started_ms: i64) -> Handled {
        let facts = CallFacts {
            function: &self.name,
            request_id: &context.request_id,
            request: asked.request(),
            started_ms,
            finished_ms: self.clock.now_ms(),
        };
        telemetry::log(&facts, &outcome);
        Handled {
            metrics: telemetry::metrics(&facts, &outcome),
            answer: Ok(asked.answer(outcome.response)),
        }
    }
}
