//! The engine as the control plane steers it: what is redriven is scored by the policy in force, as live records are.

use std::pin::Pin;

use tidemark_engine::control::{Control, ControlPlane, ControlProblem};
use tidemark_engine::port::{Clock, Quarantine, ScoreSink, StateStore};
use tidemark_engine::{BatchReport, Engine, InRecord, Returned};
use tidemark_redrive::port::Processor;
use tidemark_telemetry::ErrorCode;

/// An engine behind a control plane.
pub struct Steered<S, K, Q, C, P> {
    engine: Engine<S, K, Q, C>,
    control: Control<P>,
    clock: C,
}

impl<S, K, Q, C, P> Steered<S, K, Q, C, P> {
    /// `engine` as `control` says; `clock` tells how old its copy is.
    #[must_use]
    pub fn new(engine: Engine<S, K, Q, C>, control: Control<P>, clock: C) -> Self {
        Self { engine, control, clock }
    }
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock, P: ControlPlane> Processor for Steered<S, K, Q, C, P> {
    async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let mut report = match self.control.ready(&self.clock).await {
            Some(directives) => {
                // In a box, and without its type: the compiler follows the SDK's nested futures only so deep.
                let work: Pin<Box<dyn Future<Output = BatchReport> + Send + '_>> =
                    Box::pin(self.engine.process_by(batch, deadline_ms, directives));
                self.control.beside(&self.clock, work).await
            }
            None => BatchReport::untouched(batch, Returned::ControlUnread),
        };
        let status = self.control.status(self.clock.now_ms());
        report.units += status.units;
        for problem in &status.problems {
            let code = match problem {
                ControlProblem::Unread(_) => ErrorCode::ControlUnread,
                ControlProblem::Item(_) | ControlProblem::Policy { .. } => ErrorCode::ControlItemInvalid,
            };
            tracing::warn!(code = code.as_str(), "the last good copy stays in force: {problem}");
        }
        report
    }
}
