//! One invocation: payload and context in, the answer and what to report out. Knows nothing of Lambda's runtime loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lambda_runtime::{Context, Diagnostic};
use serde::Serialize;
use tidemark_engine::control::{Control, ControlConfig, ControlPlane, NoControl};
use tidemark_engine::port::{Clock, Quarantine, ScoreSink, StateStore};
pub use tidemark_engine::steered::{PAUSE_MARGIN_MS, PAUSE_POLL_MS};
use tidemark_engine::{BatchReport, Engine, InRecord, Steered, causes};
use tidemark_telemetry::{EmfLine, ErrorCode, Tariff};
use tracing::Instrument;

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
#[error("{}", self.code())]
pub struct HandlerError {
    /// What is wrong with the payload.
    #[source]
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
            error_message: causes(&error),
        }
    }
}

/// What an invocation came to.
#[derive(Debug)]
pub struct Handled {
    /// The answer to Lambda.
    pub answer: Result<Response, HandlerError>,
    /// Lines of metrics to write, one for the batch, and one for each refusal code and each tier below the full one in it.
    pub metrics: Vec<EmfLine>,
    /// What became of the batch; `None` when it could not be read.
    pub report: Option<BatchReport>,
}

/// The function's singleton: an engine that stays warm from one invocation to the next.
pub struct ScoreFunction<S, K, Q, C, P = NoControl> {
    steered: Steered<S, K, Q, C, P>,
    name: String,
    tariff: Tariff,
    warm: AtomicBool,
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock> ScoreFunction<S, K, Q, C> {
    /// A function called `name` (a dimension of its metrics); `clock` measures its batches. Without a control plane: the
    /// engine's own policy holds, live.
    #[must_use]
    pub fn new(engine: Engine<S, K, Q, C>, clock: C, name: impl Into<String>) -> Self {
        let control = Control::new(NoControl, engine.own_policy(), ControlConfig::default());
        Self::controlled(engine, control, clock, name)
    }
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock, P: ControlPlane> ScoreFunction<S, K, Q, C, P> {
    /// A function that does what the control plane says.
    #[must_use]
    pub fn controlled(engine: Engine<S, K, Q, C>, control: Control<P>, clock: C, name: impl Into<String>) -> Self {
        Self {
            steered: Steered::new(engine, control, clock),
            name: name.into(),
            tariff: Tariff::default(),
            warm: AtomicBool::new(false),
        }
    }

    /// The same function at these prices.
    #[must_use]
    pub fn priced(mut self, tariff: Tariff) -> Self {
        self.tariff = tariff;
        self
    }

    /// Takes one invocation's payload to its end.
    pub async fn handle(&self, payload: &str, context: &Context) -> Handled {
        // Of the highest level, so that a line of any level stands in it.
        let span = tracing::error_span!(
            "invocation",
            request_id = context.request_id,
            trace_id = context.xray_trace_id
        );
        self.take(payload, context).instrument(span).await
    }

    async fn take(&self, payload: &str, context: &Context) -> Handled {
        let started_ms = self.steered.clock().now_ms();
        let cold = !self.warm.swap(true, Ordering::Relaxed);
        let batch = match Batch::parse(payload) {
            Ok(batch) => batch,
            Err(source) => return self.unreadable(HandlerError { source }, context, started_ms),
        };
        let records = batch.records();
        // A deadline beyond i64 is no deadline.
        let deadline_ms = i64::try_from(context.deadline).unwrap_or(i64::MAX);
        let directives = self.steered.ready_unpaused(deadline_ms).await;
        let mode = directives.as_ref().map(|directives| directives.mode);
        let policy = directives.as_ref().map(|directives| Arc::clone(&directives.policy));
        let report = self.steered.process_by(&records, deadline_ms, directives).await;
        let finished_ms = self.steered.clock().now_ms();
        let control = self.steered.status(finished_ms);
        let facts = BatchFacts {
            function: &self.name,
            request_id: &context.request_id,
            shard_id: records.first().map_or("", |record| record.shard_id),
            records: records.len(),
            malformed: batch.malformed(),
            arrivals_ms: arrivals_ms(&records),
            started_ms,
            finished_ms,
            cold,
            control: &control,
            mode,
            policy: policy.as_deref(),
            tariff: &self.tariff,
            trace_id: context.xray_trace_id.as_deref(),
        };
        telemetry::log(&facts, &report);
        Handled {
            answer: Ok(answer(&report)),
            metrics: telemetry::metrics(&facts, &report),
            report: Some(report),
        }
    }

    fn unreadable(&self, error: HandlerError, context: &Context, now_ms: i64) -> Handled {
        let code = error.code().as_str();
        tracing::error!(code, request_id = context.request_id, "{}", causes(&error));
        let metrics = vec![telemetry::unreadable(&self.name, now_ms)];
        Handled {
            answer: Err(error),
            metrics,
            report: None,
        }
    }
}

/// The oldest and the newest arrival in a batch, of the records that say when they arrived.
fn arrivals_ms(records: &[InRecord<'_>]) -> Option<(i64, i64)> {
    let arrivals = records.iter().map(|record| record.arrival_ms);
    arrivals.filter(|arrival| *arrival > 0).fold(None, |range, arrival| {
        let (oldest, newest) = range.unwrap_or((arrival, arrival));
        Some((arrival.min(oldest), arrival.max(newest)))
    })
}

fn answer(report: &BatchReport) -> Response {
    let failures = report.retry_from.iter().map(|number| ItemFailure {
        item_identifier: number.clone(),
    });
    Response {
        batch_item_failures: failures.collect(),
    }
}
