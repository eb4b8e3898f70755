//! An engine that does what the control plane says: each batch is judged by one snapshot, read before it and renewed beside it.

use std::pin::Pin;

use tidemark_domain::control::Mode;

use crate::control::{Control, ControlPlane, ControlStatus};
use crate::directives::Directives;
use crate::engine::Engine;
use crate::port::{Clock, Quarantine, ScoreSink, StateStore};
use crate::record::InRecord;
use crate::report::{BatchReport, Returned};

/// How often a held batch looks whether the mode is still `paused`, milliseconds.
pub const PAUSE_POLL_MS: u64 = 2_000;
/// So long before its deadline a held batch is given back, milliseconds: should the mode change at the last look, there is
/// still time to do some of it.
pub const PAUSE_MARGIN_MS: i64 = 10_000;

/// An engine behind a control plane.
pub struct Steered<S, K, Q, C, P> {
    engine: Engine<S, K, Q, C>,
    control: Control<P>,
    clock: C,
}

impl<S, K, Q, C, P> Steered<S, K, Q, C, P> {
    /// `engine` as `control` says; `clock` tells how old its copy is.
    #[must_use]
    pub const fn new(engine: Engine<S, K, Q, C>, control: Control<P>, clock: C) -> Self {
        Self { engine, control, clock }
    }

    /// The clock that tells how old the copy is.
    pub const fn clock(&self) -> &C {
        &self.clock
    }
}

impl<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock, P: ControlPlane> Steered<S, K, Q, C, P> {
    /// The snapshot for a batch that begins now; `None`: nobody knows which policy is in force.
    pub async fn ready(&self) -> Option<Directives> {
        self.control.ready(&self.clock).await
    }

    /// As [`Steered::ready`]. While the mode is `paused`, the batch is held here: a batch that is given back uses up one of
    /// its mapping's retries, so that holding it is what keeps it out of the dead-letter queue, and the work goes on within
    /// [`PAUSE_POLL_MS`] of the change.
    pub async fn ready_unpaused(&self, deadline_ms: i64) -> Option<Directives> {
        let is_paused = |directives: &Option<Directives>| {
            let mode = directives.as_ref().map(|directives| directives.mode);
            mode == Some(Mode::Paused)
        };
        let mut directives = self.ready().await;
        while is_paused(&directives) && self.clock.now_ms() < deadline_ms.saturating_sub(PAUSE_MARGIN_MS) {
            self.clock.sleep_ms(PAUSE_POLL_MS).await;
            self.control.refresh(&self.clock).await;
            directives = self.ready().await;
        }
        directives
    }

    /// Takes a batch to its end, judged by this snapshot, and reads the control plane beside it where the copy is due.
    /// Without a snapshot every record comes again.
    pub async fn process_by(
        &self,
        batch: &[InRecord<'_>],
        deadline_ms: i64,
        directives: Option<Directives>,
    ) -> BatchReport {
        let Some(directives) = directives else {
            return BatchReport::untouched(batch, Returned::ControlUnread);
        };
        // In a box of its own: the future of a whole batch is large, and this one is moved about. Without its type: the
        // compiler follows the SDK's nested futures only so deep.
        let work: Pin<Box<dyn Future<Output = BatchReport> + Send + '_>> =
            Box::pin(self.engine.process_by(batch, deadline_ms, directives));
        self.control.beside(&self.clock, work).await
    }

    /// The state of the copy at this time, milliseconds since 1970-01-01T00:00:00Z; takes the units that reads consumed.
    pub fn status(&self, now_ms: i64) -> ControlStatus {
        self.control.status(now_ms)
    }
}
