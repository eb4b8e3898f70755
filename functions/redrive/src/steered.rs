//! The engine that the redrive feeds: what is redriven is scored by the policy in force, as live records are, and what the
//! control plane's copy has to say is told.

use tidemark_engine::control::ControlPlane;
use tidemark_engine::port::{Clock, Quarantine, ScoreSink, StateStore};
use tidemark_engine::{BatchReport, InRecord, Steered, causes};
use tidemark_redrive::port::Processor;
use tidemark_settings::process;

/// A steered engine whose control plane's problems are logged, and whose reads of it count.
pub struct SteeredProcessor<S, K, Q, C, P>(pub Steered<S, K, Q, C, P>);

impl<S, K, Q, C, P> Processor for SteeredProcessor<S, K, Q, C, P>
where
    S: StateStore,
    K: ScoreSink,
    Q: Quarantine,
    C: Clock,
    P: ControlPlane,
{
    async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let Self(steered) = self;
        let directives = steered.ready().await;
        let mut report = steered.process_by(batch, deadline_ms, directives).await;
        let status = steered.status(steered.clock().now_ms());
        report.units += status.units;
        for problem in &status.problems {
            let code = process::code_of(problem);
            let problem = causes(problem);
            tracing::warn!(code = code.as_str(), "the last good copy stays in force: {problem}");
        }
        report
    }
}
