//! Invocations: workers, their calls' order, and how they end: done, crashed, timed out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use localcloud::esm::{EsmRecord, InvokeOutcome};
use tidemark_engine::{BatchReport, End, InRecord};
use tidemark_redrive::port::Processor as _;
use tidemark_redrive::{Request, Response};

use super::{Ablation, Piece, ReadyWaker, Run, TIMEOUT_MS, TOKEN_MS};
use crate::ports::{Ports, Steered};
use crate::stream::ARN;
use crate::world::Life;

/// No process is older than this when it is invoked, ms.
const ENVIRONMENT_MS_MAX: i64 = 12 * 3_600_000;

/// A process of the score function, warm or cold.
pub(super) struct Worker {
    steered: Arc<Steered>,
    life: Life,
    name: String,
    made_ms: i64,
}

/// What an invocation gave.
pub(super) enum Done {
    /// The lowest record that must come again.
    Batch(Option<String>),
    /// The end of each row of a file.
    Import(Vec<Option<End>>),
    /// A redrive's answer.
    Walk(Box<Response>),
}

pub(super) type Running = Pin<Box<dyn Future<Output = Done>>>;

/// Who waits for an invocation.
pub(super) enum Job {
    /// The mapping, for a batch.
    Batch(u64),
    /// A piece of a redrive, to be done again when it dies.
    Piece(Piece),
    /// An operator, for a call of the redrive function.
    Walk(Box<Request>),
    /// An operator, for a file.
    Import(usize),
    /// Nobody any more.
    Zombie,
}

/// An invocation under way.
pub(super) struct Invocation {
    pub(super) future: Running,
    /// The process, where it can be warm again.
    pub(super) worker: Option<Worker>,
    pub(super) life: Life,
    pub(super) job: Job,
    pub(super) times_out_at_ms: i64,
}

impl Invocation {
    pub(super) fn is_piece(&self) -> bool {
        matches!(self.job, Job::Piece(_))
    }

    pub(super) const fn may_time_out(&self) -> bool {
        matches!(self.job, Job::Batch(_) | Job::Walk(_))
    }
}

impl Run {
    pub(super) fn invoke_batch(&mut self, batch: u64, shard: &str, records: &[Arc<EsmRecord>]) {
        self.invoke(Job::Batch(batch), shard, records);
    }

    pub(super) fn invoke_piece(&mut self, piece: Piece) {
        let (shard, records) = (piece.shard.clone(), piece.records.clone());
        self.invoke(Job::Piece(piece), &shard, &records);
    }

    fn invoke(&mut self, job: Job, shard: &str, records: &[Arc<EsmRecord>]) {
        let worker = self.worker();
        let now_ms = self.world.now_ms();
        let id = self.next_id;
        self.world.note(format_args!(
            "{} takes {} records of {shard} as {id}",
            worker.name,
            records.len()
        ));
        let payloads: Vec<(Arc<EsmRecord>, Option<Vec<u8>>)> = records
            .iter()
            .map(|record| (record.clone(), self.payload(record)))
            .collect();
        let (steered, shard) = (worker.steered.clone(), shard.to_owned());
        let deadline_ms = now_ms + TIMEOUT_MS;
        let in_halves = self.is_without(Ablation::AggregateInHalves);
        let is_live = matches!(job, Job::Batch(_));
        let future = Box::pin(async move {
            let batch: Vec<InRecord<'_>> = payloads
                .iter()
                .map(|(record, data)| InRecord {
                    stream: ARN,
                    shard_id: &shard,
                    sequence_number: &record.sequence_number,
                    of_aggregate: None,
                    partition_key: &record.partition_key,
                    arrival_ms: record.arrival_ms,
                    data: data.as_deref().unwrap_or(&record.body),
                })
                .collect();
            let report = if is_live {
                steered.live(&batch, deadline_ms).await
            } else {
                steered.process(&batch, deadline_ms).await
            };
            Done::Batch(if in_halves {
                first_without_any_end(&batch, &report)
            } else {
                report.retry_from
            })
        });
        let life = worker.life.clone();
        self.start(Invocation {
            future,
            worker: Some(worker),
            life,
            job,
            times_out_at_ms: deadline_ms,
        });
    }

    /// Lets an invocation begin.
    pub(super) fn start(&mut self, invocation: Invocation) {
        let id = self.next_id;
        self.next_id += 1;
        self.running.insert(id, invocation);
        self.ready.add(id);
    }

    /// Under the second ablation an event that comes again after ten minutes gets another name.
    fn payload(&mut self, record: &EsmRecord) -> Option<Vec<u8>> {
        if !self.is_without(Ablation::TenMinuteToken) {
            return None;
        }
        let now_ms = self.world.now_ms();
        let first_ms = *self.tokens.entry(record.body.clone()).or_insert(now_ms);
        if now_ms - first_ms <= TOKEN_MS {
            return None;
        }
        let renamed = String::from_utf8_lossy(&record.body).replacen(
            r#""event_id":"e"#,
            &format!(r#""event_id":"again-{}-e"#, record.sequence_number),
            1,
        );
        Some(renamed.into_bytes())
    }

    /// The ports of a new process.
    pub(super) fn new_process(&mut self, kind: &str) -> (Ports, Life, String) {
        self.workers_made += 1;
        let name = format!("{kind}{}", self.workers_made);
        let life = Life::default();
        let skew_ms = i64::try_from(self.dice.below(2 * self.skew_ms_max + 1)).unwrap_or(0);
        let skew_ms = skew_ms - i64::try_from(self.skew_ms_max).unwrap_or(0);
        let ports = Ports::new(self.world.clone(), life.clone(), &name, skew_ms);
        (ports, life, name)
    }

    /// A warm process, or a new one. Lambda ends environments every few hours, also those that it invokes without a pause
    /// (its developer guide, on the lifecycle of the execution environment).
    fn worker(&mut self) -> Worker {
        let now_ms = self.world.now_ms();
        self.idle.retain(|worker| now_ms - worker.made_ms <= ENVIRONMENT_MS_MAX);
        if !self.idle.is_empty() && self.dice.chance(0.9) {
            let at = usize::try_from(self.dice.below(self.idle.len() as u64)).unwrap_or(0);
            return self.idle.swap_remove(at);
        }
        let (ports, life, name) = self.new_process("w");
        Worker {
            steered: Arc::new(Steered::new(&ports, self.policies.own_policy())),
            life,
            name,
            made_ms: now_ms,
        }
    }

    pub(super) fn poll(&mut self, id: u64) {
        let Some(mut run) = self.running.remove(&id) else {
            return;
        };
        let waker = Waker::from(Arc::new(ReadyWaker {
            id,
            list: self.ready.clone(),
        }));
        match run.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => self.finished(id, run, done),
            Poll::Pending if run.life.crashed() => self.crashed(id, run.job),
            Poll::Pending => {
                self.running.insert(id, run);
            }
        }
    }

    fn finished(&mut self, id: u64, run: Invocation, done: Done) {
        match (run.job, done) {
            (Job::Batch(batch), Done::Batch(retry_from)) => {
                self.world.note(format_args!("{id} done, again from {retry_from:?}"));
                let failures: Vec<_> = retry_from
                    .iter()
                    .map(|number| serde_json::json!({ "itemIdentifier": number }))
                    .collect();
                let response = serde_json::json!({ "batchItemFailures": failures })
                    .to_string()
                    .into_bytes();
                let outcome = InvokeOutcome::Answered {
                    request_id: id.to_string(),
                    response,
                };
                self.answer(batch, &outcome);
            }
            (Job::Piece(piece), Done::Batch(retry_from)) => {
                self.world.note(format_args!("{id} done, again from {retry_from:?}"));
                if retry_from.is_some() {
                    self.pieces.push_back(piece);
                }
            }
            (Job::Import(file), Done::Import(ends)) => self.imported(file, ends),
            (Job::Walk(request), Done::Walk(response)) => self.walked(*request, Some(&response)),
            // A zombie: its environment is gone once the invocation has timed out.
            _ => return,
        }
        self.idle.extend(run.worker);
    }

    fn crashed(&mut self, id: u64, job: Job) {
        self.counts.crashes += 1;
        self.world.note(format_args!("{id} crashed"));
        self.failed(id, job);
    }

    /// An invocation that gave no answer.
    fn failed(&mut self, id: u64, job: Job) {
        match job {
            Job::Batch(batch) => {
                let request_id = id.to_string();
                self.answer(batch, &InvokeOutcome::Failed { request_id });
            }
            Job::Piece(piece) => self.pieces.push_back(piece),
            Job::Walk(request) => self.walked(*request, None),
            Job::Import(file) => self.imported(file, Vec::new()),
            Job::Zombie => {}
        }
    }

    fn answer(&mut self, batch: u64, outcome: &InvokeOutcome) {
        let now_ms = self.world.now_ms();
        let actions = self.esm.invoked(batch, outcome, now_ms);
        self.act(actions);
    }

    /// Invocations past their time: whoever waits goes on without them, while they may still write.
    pub(super) fn time_out(&mut self) {
        let now_ms = self.world.now_ms();
        let late: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, run)| run.may_time_out() && run.times_out_at_ms <= now_ms)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(run) = self.running.get_mut(&id) else { continue };
            let job = std::mem::replace(&mut run.job, Job::Zombie);
            self.counts.zombies += 1;
            self.world.note(format_args!("{id} timed out"));
            self.failed(id, job);
        }
    }
}

/// An ablation's answer: an aggregate of which one user record has its end counts as done.
fn first_without_any_end(batch: &[InRecord<'_>], report: &BatchReport) -> Option<String> {
    let returned = |end: &End| matches!(end, End::Returned(_));
    let mut ends = batch.iter().zip(report.ends_by_record());
    ends.find(|(_, ends)| ends.iter().all(returned))
        .map(|(record, _)| record.sequence_number.to_owned())
}
