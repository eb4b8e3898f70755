//! The control plane, and an engine that does what it says, as the functions have it.

use tidemark_domain::control::Mode;
use tidemark_engine::control::{Control, ControlConfig, ControlItems, ControlPlane};
use tidemark_engine::port::{Clock as _, Metered, PortError};
use tidemark_engine::{BatchReport, Directives, Engine, InRecord, Returned};
use tidemark_redrive::port::Processor;

use super::{Ports, free};
use crate::world::Op;
use crate::world::known::Judged;

/// How often a batch that is held looks whether the pause is over, ms.
const PAUSE_POLL_MS: u64 = 2_000;
/// So long before its deadline a held batch is given back, ms.
const PAUSE_MARGIN_MS: i64 = 10_000;

impl ControlPlane for Ports {
    async fn read(&self) -> Result<Metered<ControlItems>, PortError> {
        self.call(Op::Control, |stores, _| Ok(free(stores.control.items())))
            .await
    }

    async fn read_policy(
        &self,
        version: u32,
    ) -> Result<Metered<Option<tidemark_domain::control::item::Fields>>, PortError> {
        self.call(Op::Control, |stores, _| Ok(free(stores.control.policy(version))))
            .await
    }
}

/// An engine of a process.
pub type Process = Engine<Ports, Ports, Ports, Ports>;

/// An engine as the control plane steers it.
pub struct Steered {
    engine: Process,
    control: Control<Ports>,
    ports: Ports,
}

impl Steered {
    /// A process that nothing is warm in.
    #[must_use]
    pub fn new(ports: &Ports, policy: std::sync::Arc<tidemark_domain::policy::Policy>) -> Self {
        let control = Control::new(ports.clone(), policy.clone(), ControlConfig::default());
        let engine = Engine::new(
            ports.clone(),
            ports.clone(),
            ports.clone(),
            ports.clone(),
            policy,
            tidemark_engine::EngineConfig::default(),
        );
        Self {
            engine,
            control,
            ports: ports.clone(),
        }
    }

    /// A batch of the mapping. While the mode is `paused` it is held.
    pub async fn live(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let mut directives = self.control.ready(&self.ports).await;
        let is_paused = |directives: &Option<Directives>| directives.as_ref().is_some_and(|d| d.mode == Mode::Paused);
        while is_paused(&directives) && self.ports.now_ms() < deadline_ms - PAUSE_MARGIN_MS {
            self.ports.sleep_ms(PAUSE_POLL_MS).await;
            self.control.refresh(&self.ports).await;
            directives = self.control.ready(&self.ports).await;
        }
        self.by(directives, batch, deadline_ms).await
    }

    async fn by(&self, directives: Option<Directives>, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let Some(directives) = directives else {
            return BatchReport::untouched(batch, Returned::ControlUnread);
        };
        let judged = Judged {
            policy_version: directives.policy.version,
            overrides_revision: directives.overrides.revision,
            mode: directives.mode,
        };
        self.ports.judge(judged);
        let work = self.engine.process_by(batch, deadline_ms, directives);
        let report = self.control.beside(&self.ports, work).await;
        if judged.mode == Mode::Shadow {
            self.note_withheld(batch, &report);
        }
        report
    }

    /// Notes whose outcomes the mode keeps back.
    fn note_withheld(&self, batch: &[InRecord<'_>], report: &BatchReport) {
        self.ports.world.with(|stores| {
            for (record, ends) in batch.iter().zip(report.ends_by_record()) {
                if ends.iter().any(|end| !matches!(end, tidemark_engine::End::Returned(_))) {
                    let place = (record.shard_id.to_owned(), record.sequence_number.to_owned());
                    stores.withheld.insert(place);
                }
            }
        });
    }
}

impl Processor for Steered {
    async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let directives = self.control.ready(&self.ports).await;
        self.by(directives, batch, deadline_ms).await
    }
}
