//! The control plane, and an engine that does what it says, as the functions have it.

use std::collections::BTreeMap;

use tidemark_domain::contract::aggregate;
use tidemark_domain::control::Mode;
use tidemark_domain::lists::ListPartKey;
use tidemark_engine::control::{Control, ControlConfig, ControlItems, ControlPlane};
use tidemark_engine::port::{Metered, PortError};
use tidemark_engine::{BatchReport, Directives, End, Engine, InRecord};
use tidemark_redrive::port::Processor;

use super::{Ports, free};
use crate::world::Op;
use crate::world::known::Judged;

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

    async fn read_map(
        &self,
        _: tidemark_domain::control::maps::MapVersion,
    ) -> Result<Metered<Option<tidemark_domain::control::item::Fields>>, PortError> {
        // No map is published in a simulation.
        self.call(Op::Control, |_, _| Ok(free(None))).await
    }

    async fn read_chunk(
        &self,
        _: tidemark_domain::trees::TreeModelKey,
        _: u16,
    ) -> Result<Metered<Option<tidemark_domain::control::item::Fields>>, PortError> {
        // No policy of the simulation names a model.
        self.call(Op::Control, |_, _| Ok(free(None))).await
    }

    async fn read_list_parts(
        &self,
        keys: &[ListPartKey],
    ) -> Result<Metered<BTreeMap<ListPartKey, tidemark_domain::control::item::Fields>>, PortError> {
        self.call(Op::Control, |stores, _| Ok(free(stores.control.list_parts(keys))))
            .await
    }
}

/// An engine as the control plane steers it. The world is told by what each batch is judged.
pub struct Steered {
    steered: tidemark_engine::Steered<Ports, Ports, Ports, Ports, Ports>,
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
            steered: tidemark_engine::Steered::new(engine, control, ports.clone()),
            ports: ports.clone(),
        }
    }

    /// A batch of the mapping. While the mode is `paused` it is held.
    pub async fn live(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let directives = self.steered.ready_unpaused(deadline_ms).await;
        self.by(directives, batch, deadline_ms).await
    }

    async fn by(&self, directives: Option<Directives>, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let judged = directives.as_ref().map(|directives| Judged {
            policy_version: directives.policy.version,
            overrides_revision: directives.overrides.revision,
            mode: directives.mode,
            is_import: false,
        });
        if let Some(judged) = judged {
            self.ports.judge(judged);
        }
        let report = self.steered.process_by(batch, deadline_ms, directives).await;
        if judged.is_some_and(|judged| judged.mode == Mode::Shadow) {
            self.note_withheld(batch, &report);
        }
        if let Some(judged) = judged {
            self.ports.note_ends(batch, &report, judged.policy_version);
        }
        report
    }

    /// Notes whose outcomes the mode keeps back.
    fn note_withheld(&self, batch: &[InRecord<'_>], report: &BatchReport) {
        self.ports.world.with(|stores| {
            for (record, ends) in batch.iter().zip(report.ends_by_record()) {
                if ends.iter().any(|end| !matches!(end, End::Returned(_))) {
                    let place = (record.shard_id.to_owned(), record.sequence_number.to_owned());
                    stores.withheld.insert(place);
                }
            }
        });
    }
}

impl Processor for Steered {
    async fn process(&self, batch: &[InRecord<'_>], deadline_ms: i64) -> BatchReport {
        let directives = self.steered.ready().await;
        self.by(directives, batch, deadline_ms).await
    }
}

impl Ports {
    /// Notes which user records have an end other than the quarantine, and by which policy.
    pub(crate) fn note_ends(&self, batch: &[InRecord<'_>], report: &BatchReport, policy_version: u32) {
        self.world.with(|stores| {
            if !stores.rules.notes_ends {
                return;
            }
            for (record, ends) in batch.iter().zip(report.ends_by_record()) {
                let is_whole =
                    record.of_aggregate.is_none() && !matches!(aggregate::take_apart(record.data), Ok(Some(_)));
                for (end, at) in ends.iter().zip(0..) {
                    if matches!(end, End::Applied | End::Duplicate | End::Scored) {
                        let of_aggregate = record.of_aggregate.map_or(at, |of| of.sub_sequence_number);
                        let sub = (!is_whole).then_some(of_aggregate);
                        let place = (record.shard_id.to_owned(), record.sequence_number.to_owned(), sub);
                        let noted = (policy_version, stores.now_ms);
                        stores.known.ends.entry(place).or_default().push(noted);
                    }
                }
            }
        });
    }
}
