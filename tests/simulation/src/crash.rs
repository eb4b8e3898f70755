//! Every crash point: one scenario, and every fault at every call of it, alone and in pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use localcloud::esm::EsmRecord;
use tidemark_domain::policy::Policy;
use tidemark_engine::{Engine, EngineConfig, InRecord};

use crate::check::{self, Facts};
use crate::dice::Dice;
use crate::draws::{Draw, Draws};
use crate::policies::Policies;
use crate::ports::Ports;
use crate::stream::Stream;
use crate::traffic::{Mix, generate};
use crate::violations::Violations;
use crate::world::known::Judged;
use crate::world::{Fault, FaultPlan, Life, World};

/// Records of a batch.
const BATCH_RECORDS: usize = 25;
/// The function's timeout, ms.
const TIMEOUT_MS: i64 = 60_000;
/// A batch that has come so often and is not whole will never be.
const DELIVERIES_MAX: u32 = 50;
/// The scenario's seed; its traffic has every kind of record.
const SEED: u64 = 7;

/// What a scenario gave.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What does not hold.
    pub violations: Violations,
    /// Calls of ports that were made.
    pub calls: u64,
    /// Faults that really were played.
    pub played: u64,
}

/// Plays the scenario of so many records with faults at these calls.
#[must_use]
pub fn scenario(events: usize, faults: BTreeMap<u64, Fault>) -> Scenario {
    play(events, faults, Draws::NONE)
}

/// The same, with labels that teach keys.
#[must_use]
pub fn scenario_of_labels(events: usize, faults: BTreeMap<u64, Fault>) -> Scenario {
    play(events, faults, Draws::of(&[Draw::Labels]))
}

fn play(events: usize, faults: BTreeMap<u64, Fault>, draws: Draws) -> Scenario {
    let world = World::new(Dice::new(SEED, 1), FaultPlan::At(faults), 0.0, 2 * TIMEOUT_MS, false);
    let mut policies = Policies::own(SEED - 1, 400);
    if draws.has(Draw::Labels) {
        policies = policies.with_keys(SEED - 1, 400);
        world.with(|stores| stores.rules.notes_ends = true);
    }
    let policy = policies.own_policy();
    let mix = Mix {
        events,
        cards: 4,
        span_ms: 60_000,
        duplicates: 0.15,
        reordered: 0.2,
        broken: 0.05,
        profiles: 0.1,
        labels: 0.1,
        hot: 0.0,
        draws,
        has_links: policies.have_links(),
    };
    let mut stream = Stream::new(1);
    for (place, sent) in generate(&mut Dice::new(SEED, 2), &mix).into_iter().enumerate() {
        stream.put(place, &sent.key, &sent.data, sent.at_ms);
    }
    let mut violations = Violations::default();
    let records: Vec<Arc<EsmRecord>> = stream.shards[0]
        .records
        .iter()
        .map(|(_, record)| record.clone())
        .collect();
    deliver(&world, &policy, &records, &mut violations);
    world.with(|stores| stores.stream = stream);
    let stores = world.take_stores();
    let facts = Facts {
        stores: &stores,
        policies: &policies,
        draws,
        dead: &BTreeSet::new(),
    };
    let _ = check::check(&facts, &mut violations);
    Scenario {
        violations,
        calls: world.calls(),
        played: world.injected().values().sum(),
    }
}

/// Delivers batch by batch as the mapping does: what is returned comes again, a process that died is followed by a new one.
fn deliver(world: &Arc<World>, policy: &Arc<Policy>, records: &[Arc<EsmRecord>], violations: &mut Violations) {
    let mut from = 0;
    let mut deliveries = 0;
    let mut process = Process::new(world, policy);
    while from < records.len() {
        deliveries += 1;
        if deliveries > DELIVERIES_MAX * u32::try_from(records.len()).unwrap_or(1) {
            violations.add(None, "a batch comes again for ever".to_owned());
            return;
        }
        let batch = &records[from..records.len().min(from + BATCH_RECORDS)];
        match process.invoke(world, batch) {
            Ended::Answered(None) => from += batch.len(),
            Ended::Answered(Some(number)) => {
                from += batch
                    .iter()
                    .position(|record| record.sequence_number == number)
                    .unwrap_or(0);
            }
            // Whatever hung goes on later, as a zombie, while the batch comes again to another process.
            Ended::Dead | Ended::TimedOut => process = Process::new(world, policy),
        }
    }
}

enum Ended {
    Answered(Option<String>),
    Dead,
    TimedOut,
}

struct Process {
    engine: Arc<Engine<Ports, Ports, Ports, Ports>>,
    ports: Ports,
    policy_version: u32,
    life: Life,
}

impl Process {
    fn new(world: &Arc<World>, policy: &Arc<Policy>) -> Self {
        let life = Life::default();
        let ports = Ports::new(world.clone(), life.clone(), "p", 0);
        ports.judge(Judged {
            policy_version: policy.version,
            ..Judged::default()
        });
        let config = EngineConfig::default();
        let engine = Engine::new(
            ports.clone(),
            ports.clone(),
            ports.clone(),
            ports.clone(),
            policy.clone(),
            config,
        );
        Self {
            engine: Arc::new(engine),
            ports,
            policy_version: policy.version,
            life,
        }
    }

    fn invoke(&self, world: &World, records: &[Arc<EsmRecord>]) -> Ended {
        let times_out_ms = world.now_ms() + TIMEOUT_MS;
        let (engine, ports, policy_version) = (self.engine.clone(), self.ports.clone(), self.policy_version);
        let records = records.to_vec();
        let mut future: Pin<Box<dyn Future<Output = Option<String>>>> = Box::pin(async move {
            let batch: Vec<InRecord<'_>> = records
                .iter()
                .map(|record| InRecord {
                    stream: "transactions",
                    shard_id: "shardId-000000000000",
                    sequence_number: &record.sequence_number,
                    of_aggregate: None,
                    partition_key: &record.partition_key,
                    arrival_ms: record.arrival_ms,
                    data: &record.body,
                })
                .collect();
            let report = engine.process(&batch, times_out_ms).await;
            ports.note_ends(&batch, &report, policy_version);
            report.retry_from
        });
        loop {
            if let Poll::Ready(retry_from) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Ended::Answered(retry_from);
            }
            if self.life.crashed() {
                return Ended::Dead;
            }
            match world.next_timer_ms() {
                Some(at_ms) if at_ms < times_out_ms => world.advance_to(at_ms),
                _ => {
                    // The hung call lands now, before the batch comes again.
                    while let Some(at_ms) = world.next_timer_ms() {
                        world.advance_to(at_ms);
                        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                            break;
                        }
                    }
                    return Ended::TimedOut;
                }
            }
        }
    }
}
