//! Two workers on one card, interleaved at every call in an order that the test chooses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::common::*;
use futures_util::task::noop_waker;
use proptest::prelude::*;
use tidemark_domain::contract;
use tidemark_domain::event::Event;
use tidemark_domain::fold;
use tidemark_domain::history::History;
use tidemark_domain::id::fingerprint32;
use tidemark_domain::model::ProfileInput;
use tidemark_engine::{BatchReport, EngineConfig, InRecord};

type Running<'a> = Pin<Box<dyn Future<Output = BatchReport> + Send + 'a>>;

/// Polls the two in the given order, then both in turn until they are done.
fn interleave(mut workers: [Running<'_>; 2], order: &[bool]) -> [BatchReport; 2] {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut reports = [None, None];
    let turns = order
        .iter()
        .map(|second| usize::from(*second))
        .chain((0..20_000).map(|turn| turn % 2));
    for at in turns {
        if reports[at].is_none()
            && let Poll::Ready(report) = workers[at].as_mut().poll(&mut context)
        {
            reports[at] = Some(report);
        }
        if let [Some(first), Some(second)] = &reports {
            return [first.clone(), second.clone()];
        }
    }
    panic!("the workers never end");
}

fn event(number: u8) -> Vec<u8> {
    tx(
        "a",
        &format!("e{number}"),
        5_000 - i64::from(number) * 60,
        1_000 + u64::from(number) * 37,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I2, I3, I5: whatever the interleaving, the state is the fold of each event once, in some order.
    #[test]
    fn two_writers_end_in_a_fold_of_each_event_once(
        first in prop::collection::vec(0_u8..12, 1..8),
        second in prop::collection::vec(0_u8..12, 1..8),
        batches in 1_usize..4,
        order in prop::collection::vec(any::<bool>(), 0..120),
    ) {
        let config = EngineConfig { conflicts_per_card_max: 50, ..EngineConfig::default() };
        let world = World::with(tidemark_domain::policy::Policy::default_policy(), config);
        world.faults.give_way();
        let engines = [world.engine(), world.engine()];
        let records = [&first, &second].map(|events| records(events.iter().map(|number| event(*number))));
        let workers: [Running<'_>; 2] = [0, 1].map(|at| {
            let (engine, records) = (&engines[at], &records[at]);
            let run: Running<'_> = Box::pin(async move {
                let mut last = BatchReport::default();
                for batch in records.chunks(records.len().div_ceil(batches)) {
                    let batch: Vec<InRecord<'_>> = batch.iter().map(Record::as_in).collect();
                    last = engine.process(&batch, i64::MAX).await;
                    assert_adds_up(&last, &batch);
                    assert_eq!(last.retry_from, None);
                }
                last
            });
            run
        });
        interleave(workers, &order);

        let distinct: BTreeSet<u8> = first.iter().chain(&second).copied().collect();
        let item = world.store.state(&card("a")).unwrap();
        let state = History::decode(&item.bytes).unwrap();
        prop_assert_eq!(state.entries().len(), distinct.len());
        prop_assert_eq!(world.outcomes().len(), distinct.len());
        prop_assert_eq!(refold(&state, &distinct, &world), item.bytes);
    }
}

/// The plain fold of the events in the order in which the state says that they came.
fn refold(state: &History, distinct: &BTreeSet<u8>, world: &World) -> Vec<u8> {
    let by_fingerprint: BTreeMap<u32, u8> = distinct
        .iter()
        .map(|number| (fingerprint32(&format!("e{number}")), *number))
        .collect();
    let mut arrivals: Vec<(u64, u8)> = state
        .entries()
        .iter()
        .map(|entry| (entry.seq, by_fingerprint[&entry.event_fp]))
        .collect();
    arrivals.sort_unstable();
    let mut folded = History::default();
    for (_, number) in arrivals {
        let decoded = contract::decode(&event(number), START_MS, &world.policy.bounds).unwrap();
        let Event::Transaction(tx) = decoded.event else {
            panic!("a transaction")
        };
        let _ = fold::fold_transaction(&mut folded, &tx, ProfileInput::Absent, &world.policy);
    }
    folded.encode()
}
