//! The world around the workers: the store, the scores stream, who delivers, and what can go wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidemark_engine::port::StateVersion;

use crate::item::{ItemId, OutcomeId};
use crate::process::{Answer, COLD, Call, Given, Lives, Stand, Step, Write};
use crate::scenario::{Scenario, Source};
use crate::state::{Action, Job, Seen, Worker, World};

/// The protocol, or the protocol with a part taken out: what the properties are for must show then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As it is.
    Whole,
    /// The store takes every write, whatever version it names.
    NoCondition,
    /// The store compares the number of the version only, not the tag of what was read.
    NumberOnly,
    /// The outcomes that a write holds are sent when it is tried, not when it is known to be committed.
    SendFirst,
    /// A delivery that fails is not repeated.
    NoRedelivery,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The model.
#[derive(Debug)]
pub struct Protocol {
    /// With or without its parts.
    pub variant: Variant,
    /// Faults in one path, at most.
    pub faults_max: u8,
    /// Restores in one path, at most.
    pub restores_max: usize,
    lives: Mutex<Lives>,
    /// What was seen.
    pub seen: Seen,
}

impl Protocol {
    /// The model of a scenario.
    #[must_use]
    pub fn new(scenario: Scenario, variant: Variant, faults_max: u8) -> Self {
        Self {
            variant,
            faults_max,
            restores_max: 0,
            lives: Mutex::new(Lives::new(scenario)),
            seen: Seen::default(),
        }
    }

    /// Lives, items and outcomes seen so far.
    pub fn lives(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker's call waits for; `None` for a worker without a job.
    fn call_of(&self, worker: Worker) -> Option<Call> {
        worker.job?;
        match self.lives().stand(worker.life) {
            Ok(Stand::Waits(call)) => Some(call),
            Ok(Stand::Ended { .. }) => None,
            Err(surprise) => {
                self.surprise(surprise);
                None
            }
        }
    }

    pub(crate) fn surprise(&self, surprise: String) {
        let mut surprises = self.seen.surprises.lock().unwrap_or_else(PoisonError::into_inner);
        surprises.push(surprise);
    }

    /// The same with restores. What a restore forgot is nobody's to find again but a redrive's, so only what the store holds is
    /// judged then: [`crate::property::of_restores`].
    #[must_use]
    pub fn with_restores(self, restores_max: usize) -> Self {
        Self { restores_max, ..self }
    }

    fn version_of(&self, item: Option<ItemId>) -> Option<StateVersion> {
        item.map(|id| self.lives().items.facts(id).item.version)
    }

    /// The store judges a write; whether it took effect.
    fn store(&self, world: &mut World, write: Write) -> bool {
        let current = self.version_of(world.current());
        let number = |version: Option<StateVersion>| version.map(|version| version.number);
        if current != write.expected && number(current) == number(write.expected) {
            count(&self.seen.other_tags);
        }
        let holds = match self.variant {
            Variant::NoCondition => true,
            Variant::NumberOnly => number(current) == number(write.expected),
            Variant::Whole | Variant::SendFirst | Variant::NoRedelivery => current == write.expected,
        };
        if holds {
            world.history.push(write.item);
            world.is_gone = false;
        }
        holds
    }

    fn send(&self, world: &mut World, outcomes: &[OutcomeId]) {
        for outcome in outcomes {
            match world.sent.binary_search(outcome) {
                Ok(_) => count(&self.seen.sent_again),
                Err(at) => world.sent.insert(at, *outcome),
            }
        }
    }

    /// A write leaves a worker.
    fn tries(&self, world: &mut World, at: usize, write: Write) {
        if world.workers[at].job.is_some_and(|job| job.abandoned) {
            count(&self.seen.zombie_writes);
        }
        if self.variant == Variant::SendFirst {
            let outcomes: Vec<OutcomeId> = {
                let lives = self.lives();
                lives
                    .items
                    .facts(write.item)
                    .outcomes
                    .iter()
                    .copied()
                    .flatten()
                    .collect()
            };
            self.send(world, &outcomes);
        }
    }

    /// A worker's call is answered; when that ends its batch, the source learns how.
    fn answer(&self, world: &mut World, at: usize, answer: Answer) -> Result<(), String> {
        let mut lives = self.lives();
        let life = lives.after(world.workers[at].life, Step::Answer(answer));
        world.workers[at].life = life;
        let ended = lives.stand(life)?;
        if let Stand::Ended { retry_from } = ended {
            world.workers[at].life = lives.at_rest(life)?;
            drop(lives);
            self.report(world, at, retry_from);
        }
        Ok(())
    }

    fn report(&self, world: &mut World, at: usize, retry_from: Option<u8>) {
        let Some(job) = world.workers[at].job.take() else {
            return;
        };
        if job.abandoned {
            return;
        }
        let progress = &mut world.sources[job.source.index()];
        progress.is_out = false;
        match retry_from {
            None => {
                progress.batch += 1;
                progress.from = 0;
            }
            Some(record) => {
                count(&self.seen.given_back);
                progress.from += record;
                progress.gave_up = self.variant == Variant::NoRedelivery;
            }
        }
    }

    /// The worker's source stops waiting for it.
    fn fail(&self, world: &mut World, at: usize) {
        if let Some(job) = world.workers[at].job.filter(|job| !job.abandoned) {
            let progress = &mut world.sources[job.source.index()];
            progress.is_out = false;
            progress.gave_up = self.variant == Variant::NoRedelivery;
        }
    }

    fn deliver(&self, world: &mut World, source: Source, at: usize) -> Result<(), String> {
        let progress = &mut world.sources[source.index()];
        progress.is_out = true;
        progress.deliveries += 1;
        let given = Given::Batch {
            source,
            batch: progress.batch,
            from: progress.from,
        };
        let mut lives = self.lives();
        let life = lives.after(world.workers[at].life, Step::Begin(given));
        world.workers[at] = Worker {
            life,
            job: Some(Job {
                source,
                abandoned: false,
            }),
        };
        match lives.stand(life)? {
            Stand::Waits(Call::Load) => {}
            Stand::Waits(_) => count(&self.seen.warm_starts),
            Stand::Ended { .. } => return Err("a batch ended without a call".to_owned()),
        }
        Ok(())
    }

    fn commit(&self, world: &mut World, at: usize, write: Write, withhold: bool) -> Result<(), String> {
        self.tries(world, at, write);
        if self.store(world, write) {
            return self.answer(world, at, Answer::Written);
        }
        let winner = world.current();
        count(if winner == Some(write.item) {
            &self.seen.own_winners
        } else {
            &self.seen.conflicts
        });
        self.answer(world, at, Answer::Conflict(winner.filter(|_| !withhold)))
    }

    fn kill(&self, world: &mut World, at: usize) {
        self.fail(world, at);
        world.workers[at] = Worker { life: COLD, job: None };
    }

    pub(crate) fn apply(&self, world: &mut World, action: Action) -> Result<(), String> {
        match action {
            Action::Deliver(source, at) => return self.deliver(world, source, at),
            Action::Land(at) => {
                let write = world.late.remove(at);
                count(if self.store(world, write) {
                    &self.seen.landed_late
                } else {
                    &self.seen.late_losers
                });
                return Ok(());
            }
            Action::Restore => {
                world.restored.push(world.history.len());
                world.is_gone = true;
                return Ok(());
            }
            Action::Read(at, writes) => {
                if !world.is_gone && writes < world.history.len() {
                    count(&self.seen.stale_reads);
                }
                let item = writes.checked_sub(1).map(|last| world.history[last]);
                return self.answer(world, at, Answer::Loaded(item));
            }
            _ => {}
        }
        self.apply_to_call(world, action)
    }

    /// The steps and faults of a worker that waits for a call, and those that may meet it at any time.
    fn apply_to_call(&self, world: &mut World, action: Action) -> Result<(), String> {
        let (Action::Commit(at)
        | Action::Send(at)
        | Action::WithholdWinner(at)
        | Action::LoseCommit(at)
        | Action::LoseSendAnswer(at)
        | Action::LoseSend(at)
        | Action::SendFirst(at)
        | Action::Kill(at)
        | Action::KillAfterCall(at)
        | Action::Abandon(at)) = action
        else {
            return Err(format!("{action:?} is no step of a worker"));
        };
        if !matches!(action, Action::Commit(_) | Action::Send(_)) {
            world.faults += 1;
        }
        match (action, self.call_of(world.workers[at])) {
            (Action::Kill(_), _) => self.kill(world, at),
            (Action::Abandon(_), _) => {
                self.fail(world, at);
                if let Some(job) = &mut world.workers[at].job {
                    job.abandoned = true;
                }
            }
            (Action::Commit(_), Some(Call::Commit(write))) => self.commit(world, at, write, false)?,
            (Action::WithholdWinner(_), Some(Call::Commit(write))) => self.commit(world, at, write, true)?,
            (Action::LoseCommit(_), Some(Call::Commit(write))) => {
                self.tries(world, at, write);
                world.late.push(write);
                self.answer(world, at, Answer::Timeout)?;
            }
            (Action::KillAfterCall(_), Some(Call::Commit(write))) => {
                self.tries(world, at, write);
                world.late.push(write);
                self.kill(world, at);
            }
            (Action::KillAfterCall(_), Some(Call::Send(outcomes))) => {
                self.send(world, &outcomes);
                self.kill(world, at);
            }
            (Action::Send(_), Some(Call::Send(outcomes))) => {
                self.send(world, &outcomes);
                self.answer(world, at, Answer::Taken)?;
            }
            (Action::LoseSendAnswer(_), Some(Call::Send(outcomes))) => {
                self.send(world, &outcomes);
                self.answer(world, at, Answer::Timeout)?;
            }
            (Action::LoseSend(_), Some(Call::Send(_))) => self.answer(world, at, Answer::Timeout)?,
            (Action::SendFirst(_), Some(Call::Send(outcomes))) => {
                self.send(world, &outcomes[..1]);
                self.answer(world, at, Answer::FirstTaken)?;
            }
            (action, call) => return Err(format!("{action:?} at {call:?}")),
        }
        Ok(())
    }

    /// Brings states that differ in name only to one form.
    pub(crate) fn settle(&self, world: &mut World) {
        world.workers.sort_unstable();
        if self.variant != Variant::NoCondition && self.restores_max == 0 {
            // Versions only grow: a write below the store's can't take effect any more, whenever it arrives.
            let current = self.version_of(world.current());
            let before = world.late.len();
            world.late.retain(|write| write.expected >= current);
            let lost = (before - world.late.len()) as u64;
            self.seen.late_losers.fetch_add(lost, Ordering::Relaxed);
        }
        world.late.sort_unstable();
    }

    pub(crate) fn worker_actions(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let worker = world.workers[at];
        let may_fail = world.faults < self.faults_max;
        match self.call_of(worker) {
            None => {}
            Some(Call::Load) => actions.extend(world.readable().map(|writes| Action::Read(at, writes))),
            Some(Call::Commit(write)) => {
                actions.push(Action::Commit(at));
                if may_fail {
                    actions.extend([Action::LoseCommit(at), Action::KillAfterCall(at)]);
                    if self.version_of(world.current()) != write.expected {
                        actions.push(Action::WithholdWinner(at));
                    }
                }
            }
            Some(Call::Send(outcomes)) => {
                actions.push(Action::Send(at));
                if may_fail {
                    actions.extend([
                        Action::LoseSendAnswer(at),
                        Action::LoseSend(at),
                        Action::KillAfterCall(at),
                    ]);
                    if outcomes.len() > 1 {
                        actions.push(Action::SendFirst(at));
                    }
                }
            }
        }
        if may_fail && worker.life != COLD {
            actions.push(Action::Kill(at));
        }
        if may_fail && worker.job.is_some_and(|job| !job.abandoned) {
            actions.push(Action::Abandon(at));
        }
    }
}
