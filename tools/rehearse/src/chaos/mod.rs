//! Chaos: the whole path with the real function, while things go wrong on purpose; afterwards the account has to be exact.
//!
//! An [`Experiment`] says what goes wrong: plans of the fault layer, kills of the function's processes, an outage. [`run`] sends a
//! simulated stream through it, waits until all is through, takes the faults away, and holds what is durable against the
//! independent recomputation. docs/concepts/chaos.md says what each experiment of the tests and of `demo --chaos` proves.

mod killer;
mod order;
mod plans;
mod produced;
pub mod recovery;
pub mod report;
pub mod show;
mod view;

use std::collections::BTreeMap;
use std::path::Path;

use lab::simulate::{self, SimConfig, SimRecord};
use localcloud::{EsmOptions, EsmStats, FaultCounts, FaultPlan, Faults, Service};
use serde::Serialize;
use terminal::clock::{now_ms, pause};
use terminal::error::CliError;
use tidemark_domain::policy::Policy;
use tokio::sync::oneshot;

use crate::demo::report::DemoReport;
use crate::demo::{self, Pace, Run, usage};
use crate::stack::{Stack, StackOptions, mapping_options};

pub use killer::Killer;
pub use order::as_applied;
pub use plans::{errors_and_lost_answers, lab};
pub use produced::Produced;

/// How often an outage looks whether its time has come, in milliseconds.
const OUTAGE_WATCH_MS: u64 = 10;
/// How many times it looks: for two minutes.
const OUTAGE_LOOKS_MAX: u32 = 12_000;
/// Records that wait at most while more are sent, so that faults and kills meet all of the stream.
const BACKLOG_RECORDS: u64 = 1_000;

/// So many records at a time are sent beyond those asked for.
const MORE_RECORDS: u64 = 500;

/// A time in which a service answers nobody.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// The service that answers nobody.
    pub service: Service,
    /// It begins when so many records are done; the others are sent after its beginning, so that it meets some of them.
    pub after_records: u64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
}

/// What is sent, and what goes wrong meanwhile.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Decides the stream, the faults and the moments of kills.
    pub seed: u64,
    /// Records that the producer means to send at least.
    pub events: u32,
    /// Records that it sends at most, while kills are still due: how many it takes depends on the machine's speed.
    pub events_max: u32,
    /// Cards that they belong to.
    pub cards: u32,
    /// Shards of each stream.
    pub shards: u16,
    /// Share of transactions that the producer sends twice, where it is not the simulation's usual one.
    pub duplicate_share: Option<f64>,
    /// Share of records that the contract refuses, where it is not the simulation's usual one.
    pub broken_share: Option<f64>,
    /// What the fault layer does.
    pub plans: Vec<FaultPlan>,
    /// How many times a process of the function is killed.
    pub kills: u64,
    /// A service that is down for a while.
    pub outage: Option<Outage>,
    /// The mapping's options.
    pub mapping: EsmOptions,
    /// Settings of the function beside its own.
    pub env: Vec<(String, String)>,
}

impl Experiment {
    /// A stream in which nothing goes wrong but what the simulation itself does wrong.
    #[must_use]
    pub fn new(seed: u64, events: u32) -> Self {
        Self {
            seed,
            events,
            events_max: events,
            cards: (events / 30).max(1),
            shards: 4,
            duplicate_share: None,
            broken_share: None,
            plans: Vec::new(),
            kills: 0,
            outage: None,
            mapping: EsmOptions {
                // No gathering: more and smaller batches, more moments at which things can go wrong.
                batching_window_ms: 0,
                batch_size: 100,
                ..mapping_options()
            },
            env: Vec::new(),
        }
    }

    fn stream(&self, policy: &Policy, now_ms: i64) -> SimConfig {
        let mut config = SimConfig::new(self.seed, self.events_max, self.cards, now_ms, policy);
        config.duplicate_share = self.duplicate_share.unwrap_or(config.duplicate_share);
        config.broken_share = self.broken_share.unwrap_or(config.broken_share);
        config
    }
}

/// What went wrong, counted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Injected {
    /// Faults of the fault layer, by kind.
    pub by_kind: BTreeMap<String, u64>,
    /// The same by service and operation.
    pub by_operation: BTreeMap<String, u64>,
    /// Processes of the function that were killed.
    pub kills: u64,
    /// Invocations that failed as a whole: their process was killed, mostly.
    pub invocations_failed: u64,
    /// Records beyond those that the producer meant to send: it lost an answer and sent them again.
    pub producer_resent: u64,
}

impl Injected {
    /// Sums what the layer counted.
    #[must_use]
    pub fn of(counts: &FaultCounts) -> Self {
        let mut injected = Self::default();
        for ((service, operation, kind), count) in counts {
            *injected.by_kind.entry((*kind).to_owned()).or_default() += count;
            let place = format!("{} {operation}", service.name());
            *injected.by_operation.entry(place).or_default() += count;
        }
        injected
    }

    /// Faults of the layer, all kinds together.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.by_kind.values().sum()
    }
}

/// What came out of an experiment.
#[derive(Clone, Debug)]
pub struct ChaosRun {
    /// The account and the recomputation.
    pub report: DemoReport,
    /// What went wrong.
    pub injected: Injected,
    /// What the mapping did.
    pub esm: EsmStats,
}

/// Runs an experiment in a folder of its own.
///
/// # Errors
/// When something on this machine fails, or the path comes to a halt.
pub async fn run(experiment: &Experiment, data_dir: &Path, score_binary: &Path) -> Result<ChaosRun, CliError> {
    let mut options = StackOptions::new(data_dir, experiment.shards, Some(score_binary), true);
    options.fault_seed = Some(experiment.seed);
    options.mapping = experiment.mapping.clone();
    options.env.clone_from(&experiment.env);
    let stack = Stack::start_with(options).await?;
    let outcome = run_on(&stack, experiment).await;
    stack.stop().await;
    outcome
}

async fn run_on(stack: &Stack, experiment: &Experiment) -> Result<ChaosRun, CliError> {
    let policy = Policy::default_policy();
    let faults = layer(stack)?;
    let started_ms = now_ms();
    for fault in &experiment.plans {
        faults.add(fault.clone());
    }
    let killer = Killer::start(stack.function.clone(), experiment.seed, experiment.kills);
    let stream = experiment.stream(&policy, started_ms);
    let (begins, begun) = oneshot::channel();
    let traffic = async {
        let sent = send_until_killed(stack, &mut simulate::generate(&stream), experiment, &killer, begun).await?;
        demo::drain(stack, &|_| {}).await?;
        Ok::<u64, CliError>(sent)
    };
    let (sent, ()) = futures_util::future::join(traffic, outage(stack, faults, experiment.outage, begins)).await;
    let kills = killer.stop().await;
    faults.clear();
    let sent = usize::try_from(sent?).unwrap_or(usize::MAX);
    let elapsed_ms = u64::try_from(now_ms() - started_ms).unwrap_or_default().max(1);
    let records = demo::read_transactions(stack).await?;
    let found = demo::read_evidence(stack).await?;
    let meant = simulate::generate(&stream).take(sent).map(|record| record.payload);
    let produced = Produced::of(meant, &records);
    let mut injected = Injected::of(&faults.counts());
    injected.kills = kills;
    injected.invocations_failed = stack.function.stats().errors;
    injected.producer_resent = produced.resent;
    // Copies that the producer sent again count as sent; what is missing or foreign does not, and shows as a problem.
    let run = Run {
        seed: experiment.seed,
        sent: (produced.meant + produced.resent).saturating_sub(produced.foreign),
        elapsed_ms,
    };
    Ok(ChaosRun {
        report: demo::judge(run, &records, &found, usage::Usage::default(), &policy)?,
        injected,
        esm: stack.mapping.stats().esm,
    })
}

/// Sends what was asked for, and more while kills are due; answers how many records.
async fn send_until_killed(
    stack: &Stack,
    records: &mut (impl Iterator<Item = SimRecord> + Send),
    experiment: &Experiment,
    killer: &Killer,
    outage_begun: oneshot::Receiver<()>,
) -> Result<u64, CliError> {
    let pace = Pace::Backlog(BACKLOG_RECORDS);
    let mut sent = 0;
    if let Some(outage) = experiment.outage {
        sent = demo::send(stack, records, (0, outage.after_records), pace, &|_| {}).await?;
        // A fast machine would be through with everything before the outage's next look.
        let _ = outage_begun.await;
    }
    let rest = (sent, u64::from(experiment.events).saturating_sub(sent));
    sent += demo::send(stack, records, rest, pace, &|_| {}).await?;
    while killer.kills() < experiment.kills {
        let more = demo::send(stack, records, (sent, MORE_RECORDS), pace, &|_| {}).await?;
        if more == 0 {
            break;
        }
        sent += more;
    }
    Ok(sent)
}

/// The stack's fault layer.
pub(crate) fn layer(stack: &Stack) -> Result<&Faults, CliError> {
    stack.cloud.faults().ok_or_else(|| {
        CliError::machine(
            "no_fault_layer",
            "the local AWS was started without its fault layer",
            "This is a bug in tidemark: please report it.",
        )
    })
}

/// Takes a service away for a while, once enough records are done.
async fn outage(stack: &Stack, faults: &Faults, outage: Option<Outage>, begins: oneshot::Sender<()>) {
    let Some(outage) = outage else { return };
    for _ in 0..OUTAGE_LOOKS_MAX {
        if stack.mapping.stats().esm.records_done >= outage.after_records {
            break;
        }
        pause(OUTAGE_WATCH_MS).await;
    }
    let plan = faults.add(FaultPlan::down(outage.service));
    let _ = begins.send(());
    pause(outage.for_ms).await;
    faults.remove(plan);
}
