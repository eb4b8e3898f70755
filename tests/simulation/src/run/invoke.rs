//! Invocations: workers, their calls' order, and how they end: done, crashed, timed out.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use localcloud::esm::{EsmRecord, InvokeOutcome};
use tidemark_engine::{Engine, EngineConfig, InRecord};

use super::{Control, Invocation, Piece, ReadyWaker, Run, TIMEOUT_MS, TOKEN_MS, Worker};
use crate::ports::Ports;
use crate::world::Life;

impl Run {
    pub(super) fn invoke(&mut self, batch: Option<u64>, piece: Option<Piece>, shard: &str, records: &[Arc<EsmRecord>]) {
        let worker = self.worker();
        let id = self.next_id;
        self.next_id += 1;
        let now_ms = self.world.now_ms();
        self.world
            .note(|| format!("{} takes {} records of {shard} as {id}", worker.name, records.len()));
        let payloads: Vec<(Arc<EsmRecord>, Vec<u8>)> = records
            .iter()
            .map(|record| (record.clone(), self.payload(record)))
            .collect();
        let (engine, shard) = (worker.engine.clone(), shard.to_owned());
        let deadline_ms = now_ms + TIMEOUT_MS;
        let future = Box::pin(async move {
            let batch: Vec<InRecord<'_>> = payloads
                .iter()
                .map(|(record, data)| InRecord {
                    stream: "transactions",
                    shard_id: &shard,
                    sequence_number: &record.sequence_number,
                    of_aggregate: None,
                    partition_key: &record.partition_key,
                    arrival_ms: record.arrival_ms,
                    data,
                })
                .collect();
            engine.process(&batch, deadline_ms).await.retry_from
        });
        let invocation = Invocation {
            future,
            worker,
            batch,
            piece,
            times_out_at_ms: deadline_ms,
        };
        self.running.insert(id, invocation);
        self.ready.add(id);
    }

    /// A record's payload; under the second control an event that comes again after ten minutes gets another name.
    fn payload(&mut self, record: &EsmRecord) -> Vec<u8> {
        if self.options.control != Control::TenMinuteToken {
            return record.body.clone();
        }
        let now_ms = self.world.now_ms();
        let first_ms = *self.tokens.entry(record.body.clone()).or_insert(now_ms);
        if now_ms - first_ms <= TOKEN_MS {
            return record.body.clone();
        }
        String::from_utf8_lossy(&record.body)
            .replacen(
                r#""event_id":"e"#,
                &format!(r#""event_id":"again-{}-e"#, record.sequence_number),
                1,
            )
            .into_bytes()
    }

    /// A warm process, or a new one.
    fn worker(&mut self) -> Worker {
        if !self.idle.is_empty() && self.dice.chance(0.9) {
            let at = usize::try_from(self.dice.below(self.idle.len() as u64)).unwrap_or(0);
            return self.idle.swap_remove(at);
        }
        self.workers_made += 1;
        let name = format!("w{}", self.workers_made);
        let life = Life::default();
        let skew_ms = i64::try_from(self.dice.below(2 * self.skew_ms_max + 1)).unwrap_or(0);
        let skew_ms = skew_ms - i64::try_from(self.skew_ms_max).unwrap_or(0);
        let ports = Ports::new(self.world.clone(), life.clone(), &name, skew_ms);
        let engine = Engine::new(
            ports.clone(),
            ports.clone(),
            ports.clone(),
            ports,
            self.policy.clone(),
            EngineConfig::default(),
        );
        Worker {
            engine: Arc::new(engine),
            life,
            name,
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
            Poll::Ready(retry_from) => self.finished(id, run, retry_from.as_deref()),
            Poll::Pending if run.worker.life.crashed() => self.crashed(id, run),
            Poll::Pending => {
                self.running.insert(id, run);
            }
        }
    }

    fn finished(&mut self, id: u64, run: Invocation, retry_from: Option<&str>) {
        self.world.note(|| format!("{id} done, again from {retry_from:?}"));
        if let Some(batch) = run.batch {
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
        } else if let Some(piece) = run.piece {
            if retry_from.is_some() {
                self.pieces.push_back(piece);
            }
        } else {
            // A zombie: its environment is gone once the invocation has timed out.
            return;
        }
        self.idle.push(run.worker);
    }

    fn crashed(&mut self, id: u64, run: Invocation) {
        self.counts.crashes += 1;
        self.world.note(|| format!("{id} crashed"));
        if let Some(batch) = run.batch {
            self.answer(
                batch,
                &InvokeOutcome::Failed {
                    request_id: id.to_string(),
                },
            );
        }
        self.pieces.extend(run.piece);
    }

    fn answer(&mut self, batch: u64, outcome: &InvokeOutcome) {
        let now_ms = self.world.now_ms();
        let actions = self.esm.invoked(batch, outcome, now_ms);
        self.act(actions);
    }

    /// Invocations past their time: the mapping goes on without them, while they may still write.
    pub(super) fn time_out(&mut self) {
        let now_ms = self.world.now_ms();
        let late: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, run)| run.batch.is_some() && run.times_out_at_ms <= now_ms)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(batch) = self.running.get_mut(&id).and_then(|run| run.batch.take()) else {
                continue;
            };
            self.counts.zombies += 1;
            self.world.note(|| format!("{id} timed out"));
            self.answer(
                batch,
                &InvokeOutcome::Failed {
                    request_id: id.to_string(),
                },
            );
        }
    }
}
