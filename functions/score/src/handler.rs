//! One invocation: payload and context in, the answer and what to report out. Knows nothing of Lambda's runtime loop.

use std::sync::atomic::{AtomicBool, Ordering};

use lambda_runtime::{Context, Diagnostic};
use serde::Serialize;
use tidemark_engine::port::{Clock, Quarantine, ScoreSink, StateStore};
use tidemark_engine::{BatchReport, Engine};
use tidemark_telemetry::{EmfLine, ErrorCode};

use crate::kinesis::{Batch, EventError};
use crate::telemetry::{self, BatchFacts};

/// The answer to a Kinesis mapping with `ReportBatchItemFailures`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// At most one: the lowest sequence number that must come again. That record and every later one do.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// A record that must come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Its sequence number.
    pub item_identifier: String,
}

/// Why an invocation fails as a whole: the mapping sends the batch again, and in the end to the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {source}", self.code())]
pub struct HandlerError {
    /// What is wrong with the payload.
    source: EventError,
}

impl HandlerError {
    /// The code under which docs/errors explains it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self.source {
            EventError::Unreadable { .. } => ErrorCode::EventUnreadable,
            EventError::Unnamed { .. } => ErrorCode::RecordUnnamed,
        }
    }
}

impl From<HandlerError> for Diagnostic {
    fn from(error: HandlerError) -> Self {
        Self {
            error_type: error.code().as_str().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// What an invocation came to.
#[derive(Debug)]
pub struct Handled {
    /// The answer to Lambda.
    pub answer: Result<Response, HandlerError>,
    /// Lines of metrics to write, one for the batch and one for each refusal code in it.
    pub metrics: Vec<EmfLine>,
    /// What became of the batch; `None` when it could not be read.
    pub report: Option<BatchReport>,
}

/// The function's singleton: an engine that stays warm from one invocation to the next.
pub struct ScoreFunction<S, K, Q, C> {
    engine: Engine<S, K, Q, C>,
    clock: C,
    name: String,
    warm: AtomicBool,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> ScoreFunction<S, K, Q, C> {
    /// A function called `name` (a dimension of its metrics); `clock` measures its batches.
    #[must_use]
    pub fn new(engine: Engine<S, K, Q, C>, clock: C, name: impl Into<String>) -> Self {
        Self {
            engine,
            clock,
            name: name.into(),
            warm: AtomicBool::new(false),
        }
    }

    /// Takes one invocation's payload to its end.
    pub async fn handle(&self, payload: &str, context: &Context) -> Handled {
        let started_ms = self.clock.now_ms();
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        let batch = match Batch::parse(payload) {
            Ok(batch) => batch,
            Err(source) => return self.unreadable(HandlerError { source }, context, started_ms),
        };
        let records = batch.records();
        // A deadline beyond i64 is no deadline.
        let deadline_ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        // In a box of its own: the future of a whole batch is large, and this one is moved about.
        let report = Box::pin(self.engine.process(&records, deadline_ms)).await;
        let facts = BatchFacts {
            function: &self.name,
            request_id: &context.request_id,
            shard_id: records.first().map_or("", |record| record.shard_id),
            records: records.len(),
            malformed: batch.malformed(),
            oldest_arrival_ms: records
                .iter()
                .map(|record| record.arrival_ms)
                .filter(|arrival| *arrival > 0)
                .min(),
            started_ms,
            finished_ms: self.clock.now_ms(),
            cold,
        };
        telemetry::log(&facts, &report);
        Handled {
            answer: Ok(answer(&report)),
            metrics: telemetry::metrics(&facts, &report),
            report: Some(report),
        }
    }

    fn unreadable(&self, error: HandlerError, context: &Context, now_ms: i64) -> Handled {
        tracing::error!(code = error.code().as_str(), request_id = context.request_id, "{error}");
        let metrics = vec![telemetry::unreadable(&self.name, now_ms)];
        Handled {
            answer: Err(error),
            metrics,
            report: None,
        }
    }
}

fn answer(report: &BatchReport) -> Response {
    let failures = report.retry_from.iter().map(|number| ItemFailure {
        item_identifier: number.clone(),
    });
    Response {
        batch_item_failures: failures.collect(),
    }
}
