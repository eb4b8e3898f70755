//! An engine that the control plane steers: what it does while the mode is `paused`, and when nobody knows the policy.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use crate::common::{Record, START_MS, World, records, tx};
use futures_util::FutureExt;
use tidemark_domain::control::Mode;
use tidemark_engine::control::{Control, ControlConfig};
use tidemark_engine::memory::{ManualClock, MemoryControl, MemoryQuarantine, MemorySink, MemoryStore};
use tidemark_engine::port::{Clock, PortError};
use tidemark_engine::steered::{PAUSE_MARGIN_MS, PAUSE_POLL_MS};
use tidemark_engine::{BatchReport, InRecord, Returned, Steered};

const DEADLINE_MS: i64 = START_MS + 60_000;

type MemorySteered = Steered<MemoryStore, MemorySink, MemoryQuarantine, ManualClock, MemoryControl>;

fn steered(world: &World, plane: &MemoryControl) -> MemorySteered {
    let control = Control::new(plane.clone(), Arc::clone(&world.policy), ControlConfig::default());
    Steered::new(world.engine(), control, world.clock.clone())
}

fn live(steered: &MemorySteered, records: &[Record]) -> BatchReport {
    let batch: Vec<InRecord<'_>> = records.iter().map(Record::as_in).collect();
    let run = async {
        let directives = steered.ready_unpaused(DEADLINE_MS).await;
        steered.process_by(&batch, DEADLINE_MS, directives).await
    };
    run.now_or_never().unwrap()
}

#[test]
fn a_paused_batch_is_held_until_its_deadline_is_near_and_given_back() {
    let (world, plane) = (World::new(), MemoryControl::default());
    plane.set_mode(Mode::Paused, START_MS);
    let report = live(&steered(&world, &plane), &records([tx("a", "a1", 10, 500)]));
    assert_eq!(report.returned, [(Returned::Paused, 1)].into());
    let held_ms = world.clock.now_ms() - START_MS;
    let most_ms = 60_000 - PAUSE_MARGIN_MS;
    assert!(
        (most_ms..most_ms + i64::try_from(PAUSE_POLL_MS).unwrap()).contains(&held_ms),
        "{held_ms}"
    );
    plane.set_mode(Mode::Live, START_MS);
    world.clock.set(START_MS);
    let report = live(&steered(&world, &plane), &records([tx("a", "a1", 10, 500)]));
    assert_eq!(report.scored, 1);
    assert_eq!(world.clock.now_ms(), START_MS, "what is live is not held");
}

#[test]
fn a_batch_whose_policy_nobody_knows_comes_again_whole() {
    let (world, plane) = (World::new(), MemoryControl::default());
    plane.fail(Some(PortError::Unavailable("down".to_owned())));
    let steered = steered(&world, &plane);
    let report = live(&steered, &records([tx("a", "a1", 10, 500), tx("b", "b1", 9, 500)]));
    assert_eq!(report.returned, [(Returned::ControlUnread, 2)].into());
    assert!(world.store.cards().is_empty(), "nothing was touched");
    let problems = steered.status(steered.clock().now_ms()).problems;
    let text = tidemark_engine::causes(&problems[0]);
    assert_eq!(text, "the control plane can't be read: unavailable: down");
}
