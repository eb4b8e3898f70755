//! Each semantic of the mapping on the pure machine, in virtual time.

mod batching;
mod failure;
mod giving_up;
mod order;
mod random;

use serde_json::Value;

use super::machine::{Action, Esm, InvokeOutcome};
use super::{EsmOptions, EsmRecord};

const STREAM: &str = "arn:aws:kinesis:eu-west-1:000000000000:stream/s";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";

/// A sequence number of 56 digits.
fn number(n: u64) -> String {
    format!("49{n:054}")
}

/// A batch that is with the function: its id and the small numbers of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    id: u64,
    shard: String,
    records: Vec<u64>,
}

/// The machine, a clock, and the on-failure messages that wait to be taken.
struct Bench {
    esm: Esm,
    now_ms: i64,
    calls: Vec<Call>,
    notices: Vec<(u64, Value)>,
}

impl Bench {
    /// With one shard, `a`.
    fn new(options: EsmOptions) -> Self {
        options.check().unwrap();
        let mut esm = Esm::new(options, STREAM, FUNCTION);
        esm.add_shard("a", &[]);
        Self {
            esm,
            now_ms: 1_000_000,
            calls: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Puts records, given as number and key, that arrive now.
    fn put(&mut self, shard: &str, records: &[(u64, &str)]) {
        let record = |&(n, key): &(u64, &str)| EsmRecord {
            sequence_number: number(n),
            partition_key: key.to_owned(),
            arrival_ms: self.now_ms,
            body: vec![b'x'; 10],
        };
        self.esm
            .accept(shard, records.iter().map(record).collect(), self.now_ms);
    }

    /// Puts records of one key.
    fn put_numbers(&mut self, numbers: std::ops::RangeInclusive<u64>) {
        let records: Vec<_> = numbers.map(|n| (n, "k")).collect();
        self.put("a", &records);
    }

    fn note(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Invoke {
                    batch_id,
                    shard,
                    records,
                } => {
                    let small = |r: &std::sync::Arc<EsmRecord>| r.sequence_number[2..].parse().unwrap();
                    self.calls.push(Call {
                        id: batch_id,
                        shard,
                        records: records.iter().map(small).collect(),
                    });
                }
                Action::SendOnFailure { batch_id, message, .. } => {
                    self.notices.push((batch_id, serde_json::from_str(&message).unwrap()));
                }
            }
        }
    }

    /// Polls; answers the batches that are with the function now and were not before.
    fn poll(&mut self) -> Vec<Vec<u64>> {
        let known = self.calls.len();
        let actions = self.esm.poll(self.now_ms);
        self.note(actions);
        self.calls[known..].iter().map(|call| call.records.clone()).collect()
    }

    fn later(&mut self, wait_ms: i64) -> Vec<Vec<u64>> {
        self.now_ms += wait_ms;
        self.poll()
    }

    fn finish(&mut self, call: &Call, outcome: &InvokeOutcome) {
        self.calls.retain(|other| other != call);
        let actions = self.esm.invoked(call.id, outcome, self.now_ms);
        self.note(actions);
    }

    /// The only batch that is with the function ends with this answer.
    fn answer(&mut self, response: &str) {
        assert_eq!(self.calls.len(), 1, "one call under way: {:?}", self.calls);
        let call = self.calls[0].clone();
        self.finish(&call, &answered(response));
    }

    fn fail(&mut self) {
        let call = self.calls[0].clone();
        self.finish(&call, &failed());
    }

    /// The destination takes the oldest message.
    fn take_notice(&mut self) -> Value {
        let (id, notice) = self.notices.remove(0);
        self.esm.sent(id);
        notice
    }

    /// Time goes on until the machine invokes again; answers the batch.
    fn next(&mut self) -> Vec<u64> {
        for _ in 0..100 {
            let started = self.poll();
            if let Some(first) = started.into_iter().next() {
                return first;
            }
            let wake_ms = self.esm.wake_ms().expect("something is due");
            assert!(wake_ms > self.now_ms, "a wait has an end in the future");
            self.now_ms = wake_ms;
        }
        panic!("nothing is invoked");
    }

    fn checkpoint(&self) -> Option<u64> {
        self.esm
            .checkpoints()
            .find(|(id, _)| *id == "a")
            .map(|(_, n)| n[2..].parse().unwrap())
    }
}

fn answered(response: &str) -> InvokeOutcome {
    InvokeOutcome::Answered {
        request_id: "r-1".to_owned(),
        response: response.as_bytes().to_vec(),
    }
}

fn failed() -> InvokeOutcome {
    InvokeOutcome::Failed {
        request_id: "r-1".to_owned(),
    }
}

/// The answer that names these records.
fn failures(numbers: &[u64]) -> String {
    let list: Vec<Value> = numbers
        .iter()
        .map(|n| serde_json::json!({ "itemIdentifier": number(*n) }))
        .collect();
    serde_json::json!({ "batchItemFailures": list }).to_string()
}

/// Options that report item failures, retry without limit, and have a destination.
fn reporting() -> EsmOptions {
    EsmOptions {
        report_item_failures: true,
        on_failure: true,
        ..EsmOptions::default()
    }
}
