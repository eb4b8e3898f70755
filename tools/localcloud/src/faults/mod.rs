//! The fault layer: one seeded, switchable place in front of all services where requests go wrong.
//!
//! Plans say which requests meet what; whether a request of a plan does is drawn from the seed, by the plan's place and the
//! request's number within it. So the n-th request of a plan meets the same fate in each run of a seed. Which request is
//! the n-th depends on how the processes under test run side by side: that is the world, not the layer.

mod answer;
mod front;
mod partial;
mod plan;
mod table_limit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use front::{Answer, Backend, serve};
pub use plan::{FaultKind, FaultPlan, Service};

use plan::draw;
use table_limit::TableLimit;

/// Names a plan that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanId(u64);

/// What was injected: by service, operation and kind, how many times.
pub type FaultCounts = BTreeMap<(Service, String, &'static str), u64>;

/// The fault layer of a local cloud. Cheap to clone; all clones are the same layer.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seed: u64,
    /// Whether there is any plan, so that a request without one costs a look at this.
    any: AtomicBool,
    /// Reads of a shard in a second, of everybody; 0 is no limit of the layer's.
    reads_per_shard: AtomicU32,
    /// The partitions' capacity, where there are AWS's limits.
    table_limit: Option<TableLimit>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plans: BTreeMap<PlanId, Running>,
    next_id: u64,
    counts: FaultCounts,
}

/// A plan and how far it has come.
#[derive(Debug)]
struct Running {
    plan: FaultPlan,
    requests: u64,
    faults: u64,
}

/// What a request meets: a wait, then perhaps a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Treatment {
    pub delay_ms: u64,
    pub fault: Option<FaultKind>,
    /// The seed of draws within the request.
    pub seed: u64,
}

impl Faults {
    /// A layer without plans and limits: everything passes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, None)
    }

    /// A layer without plans, with AWS's limits by the second.
    #[must_use]
    pub fn with_aws_limits(seed: u64) -> Self {
        Self::with(seed, Some(TableLimit::default()))
    }

    fn with(seed: u64, table_limit: Option<TableLimit>) -> Self {
        let inner = Inner {
            seed,
            any: AtomicBool::new(false),
            reads_per_shard: AtomicU32::new(0),
            table_limit,
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether shards and partitions take and give no more in a second than on AWS.
    #[must_use]
    pub fn has_aws_limits(&self) -> bool {
        self.inner.table_limit.is_some()
    }

    pub(crate) fn table_limit(&self) -> Option<&TableLimit> {
        self.inner.table_limit.as_ref()
    }

    /// The seed that decides which requests meet a fault.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Adds a plan. Where several match, waits add up and the first other fault counts.
    pub fn add(&self, plan: FaultPlan) -> PlanId {
        let mut state = self.lock();
        state.next_id += 1;
        let id = PlanId(state.next_id);
        let running = Running {
            plan,
            requests: 0,
            faults: 0,
        };
        state.plans.insert(id, running);
        self.inner.any.store(true, Ordering::Relaxed);
        id
    }

    /// Takes a plan away. What it did stays counted.
    pub fn remove(&self, id: PlanId) {
        let mut state = self.lock();
        state.plans.remove(&id);
        self.inner.any.store(!state.plans.is_empty(), Ordering::Relaxed);
    }

    /// Takes all plans and a limit of reads of its own away. What they did stays counted.
    pub fn clear(&self) {
        self.lock().plans.clear();
        self.inner.any.store(false, Ordering::Relaxed);
        self.limit_reads(None);
    }

    /// Limits GetRecords of each shard, whoever reads: also the mapping and the cloud's own clients, which AWS's five a second
    /// leave alone. A reader above it is throttled.
    pub fn limit_reads(&self, per_shard_and_second: Option<u32>) {
        let limit = per_shard_and_second.unwrap_or(0);
        self.inner.reads_per_shard.store(limit, Ordering::Relaxed);
    }

    /// The layer's limit of reads.
    #[must_use]
    pub fn reads_limit(&self) -> Option<u32> {
        Some(self.inner.reads_per_shard.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// What was injected so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.lock().counts.clone()
    }

    /// How many faults were injected so far, all kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().counts.values().sum()
    }

    /// What a request meets.
    pub(crate) fn decide(&self, service: Service, operation: &str, body: &[u8]) -> Treatment {
        let mut treatment = Treatment::default();
        if !self.inner.any.load(Ordering::Relaxed) {
            return treatment;
        }
        let mut guard = self.lock();
        let State { plans, counts, .. } = &mut *guard;
        for (id, running) in plans.iter_mut() {
            if running.spent() || !running.plan.covers(service, operation, body) {
                continue;
            }
            let turn = running.requests;
            running.requests += 1;
            if draw(self.inner.seed, id.0, turn) >= running.plan.share {
                continue;
            }
            match running.plan.kind {
                FaultKind::Delay { ms } => treatment.delay_ms += ms,
                _ if treatment.fault.is_some() => continue,
                kind => {
                    treatment.fault = Some(kind);
                    treatment.seed = self.inner.seed.wrapping_add(id.0 << 32).wrapping_add(turn);
                }
            }
            running.faults += 1;
            let name = running.plan.kind.name();
            *counts.entry((service, operation.to_owned(), name)).or_default() += 1;
        }
        treatment
    }

    /// A poisoned lock means that a handler panicked; plans and counts are whole all the same.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn spent(&self) -> bool {
        self.plan.faults_max.is_some_and(|max| self.faults >= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(faults: &Faults) -> Treatment {
        faults.decide(Service::DynamoDb, "PutItem", b"{}")
    }

    #[test]
    fn without_a_plan_everything_passes() {
        let faults = Faults::new(1);
        assert_eq!(ask(&faults), Treatment::default());
        let id = faults.add(FaultPlan::down(Service::DynamoDb));
        assert_eq!(ask(&faults).fault, Some(FaultKind::Down));
        faults.remove(id);
        assert_eq!(ask(&faults), Treatment::default());
        assert_eq!(faults.total(), 1, "what happened stays counted");
    }

    #[test]
    fn the_same_seed_decides_the_same_and_other_plans_change_nothing() {
        let fates = |seed: u64, others: bool| -> Vec<bool> {
            let faults = Faults::new(seed);
            faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::Error500, 0.3));
            if others {
                faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::Delay { ms: 1 }, 0.5));
                faults.add(FaultPlan::down(Service::Sqs));
            }
            (0..200)
                .map(|_| ask(&faults).fault == Some(FaultKind::Error500))
                .collect()
        };
        assert_eq!(fates(3, false), fates(3, true));
        assert_ne!(fates(3, false), fates(4, false));
        assert!(fates(3, false).contains(&true) && fates(3, false).contains(&false));
    }

    #[test]
    fn waits_add_up_and_the_first_fault_counts() {
        let faults = Faults::new(1);
        faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::Delay { ms: 5 }, 1.0));
        faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::DropAfterApply, 1.0));
        faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::Error500, 1.0));
        faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::Delay { ms: 7 }, 1.0));
        let treatment = ask(&faults);
        assert_eq!(treatment.delay_ms, 12);
        assert_eq!(treatment.fault, Some(FaultKind::DropAfterApply));
        let kinds: Vec<_> = faults
            .counts()
            .into_iter()
            .map(|((_, _, kind), count)| (kind, count))
            .collect();
        assert_eq!(kinds, [("delay", 2), ("drop_after_apply", 1)]);
    }

    #[test]
    fn a_plan_ends_after_its_number_of_faults() {
        let faults = Faults::new(1);
        faults.add(FaultPlan::new(Service::DynamoDb, FaultKind::DropBefore, 1.0).at_most(2));
        let met: Vec<bool> = (0..4).map(|_| ask(&faults).fault.is_some()).collect();
        assert_eq!(met, [true, true, false, false]);
    }
}
