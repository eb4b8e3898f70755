//! One run: the scheduler that lets producers, the mapping, workers and a redrive go on in an order that the seed chooses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use localcloud::esm::{Action, Esm, EsmRecord};
use tidemark_domain::policy::Policy;
use tidemark_engine::Engine;

mod invoke;
mod options;

pub use options::{Control, Counts, Options, Outcome};

use crate::check::{self, Violations};
use crate::dice::Dice;
use crate::ports::Ports;
use crate::stream::Stream;
use crate::traffic::{Mix, Sent, generate};
use crate::world::{FaultPlan, Life, START_MS, World};

type Process = Engine<Ports, Ports, Ports, Ports>;
type Running = Pin<Box<dyn Future<Output = Option<String>>>>;

/// The function's timeout, ms.
const TIMEOUT_MS: i64 = 60_000;
/// A run that takes more turns than this does not end.
const TURNS_MAX: u64 = 4_000_000;
/// Records of one redriven piece.
const REDRIVE_RECORDS: usize = 50;
/// Records that the mapping is given at once.
const READ_RECORDS: usize = 400;
/// So long after the last record faults end, ms: everything has to come to its end then.
const CALM_AFTER_MS: i64 = 60_000;
/// Events that a card's head keeps: more than any card of the traffic has.
const HEADS: [u64; 3] = [12, 60, 400];
/// The token of the second control is good for so long, ms.
const TOKEN_MS: i64 = 600_000;

/// Runs a seed.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    Run::new(options).play()
}

/// A process of the function, warm or cold.
struct Worker {
    engine: Arc<Process>,
    life: Life,
    name: String,
}

/// An invocation, or a piece of a redrive, under way.
struct Invocation {
    future: Running,
    worker: Worker,
    /// The mapping's batch; `None` for a redrive, and for a zombie, whom nobody listens to any more.
    batch: Option<u64>,
    /// The piece of a redrive, to be done again when it dies.
    piece: Option<Piece>,
    times_out_at_ms: i64,
}

/// Records of a dead letter that are redriven together.
#[derive(Clone)]
struct Piece {
    shard: String,
    records: Vec<Arc<EsmRecord>>,
}

struct Run {
    world: Arc<World>,
    dice: Dice,
    policy: Arc<Policy>,
    stream: Stream,
    sent: Vec<Sent>,
    next_sent: usize,
    reshards: VecDeque<(usize, bool)>,
    esm: Esm,
    running: BTreeMap<u64, Invocation>,
    ready: Arc<ReadyList>,
    next_id: u64,
    idle: Vec<Worker>,
    workers_made: u64,
    skew_ms_max: u64,
    pieces: VecDeque<Piece>,
    dead: BTreeSet<usize>,
    tokens: BTreeMap<Vec<u8>, i64>,
    options: Options,
    counts: Counts,
}

/// Which invocations may go on.
#[derive(Debug, Default)]
struct ReadyList(Mutex<BTreeSet<u64>>);

struct ReadyWaker {
    id: u64,
    list: Arc<ReadyList>,
}

impl ReadyList {
    fn add(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn take(&self, dice: &mut Dice) -> Option<u64> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(dice.below(ids.len() as u64)).unwrap_or(0);
        let id = ids.iter().nth(at).copied()?;
        ids.remove(&id);
        Some(id)
    }
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.list.add(self.id);
    }
}

/// The built-in policy. In every second run some three of four amounts are of low risk.
fn policy_of(seed: u64) -> Policy {
    // Scores below the alert threshold are rare in made-up traffic; decisions are wanted.
    let mut text = Policy::default_text()
        .replace("review = 600", "review = 200")
        .replace("alert = 800", "alert = 400");
    if !seed.is_multiple_of(2) {
        text.push_str("\n[low_risk]\namount_max_minor = 7_000\nfeatures = [\"count_1h\", \"amount_z\"]\n");
    }
    Policy::parse(&text, "simulation.toml").unwrap_or_else(|problems| unreachable!("{problems:?}"))
}

impl Run {
    fn new(options: &Options) -> Self {
        let mut dice = Dice::new(options.seed, 0);
        let mut policy = policy_of(options.seed);
        policy.head_events_max = usize::try_from(*dice.pick(&HEADS)).unwrap_or(400);
        let faults = FaultPlan::Drawn(options::draw_faults(&mut dice));
        let slow = if dice.chance(0.3) { 0.02 } else { 0.0 };
        let world = World::new(Dice::new(options.seed, 1), faults, slow, 2 * TIMEOUT_MS, options.trace);
        if options.control == Control::NoCondition {
            world.ignore_conditions();
        }
        let mix = Mix::draw(&mut dice, options.events);
        let sent = generate(&mut Dice::new(options.seed, 2), &mix);
        let mut reshards: Vec<(usize, bool)> = (0..dice.below(4))
            .map(|_| {
                (
                    usize::try_from(dice.below(options.events as u64)).unwrap_or(0),
                    dice.chance(0.6),
                )
            })
            .collect();
        reshards.sort_unstable();
        Self {
            world,
            policy: Arc::new(policy),
            stream: Stream::new(dice.between(1, 4)),
            sent,
            next_sent: 0,
            reshards: reshards.into(),
            esm: Esm::new(options::draw_mapping(&mut dice), "arn:stream", "arn:function"),
            running: BTreeMap::new(),
            ready: Arc::default(),
            next_id: 0,
            idle: Vec::new(),
            workers_made: 0,
            skew_ms_max: *dice.pick(&[0, 0, 200, 3_000]),
            pieces: VecDeque::new(),
            dead: BTreeSet::new(),
            tokens: BTreeMap::new(),
            options: options.clone(),
            counts: Counts::default(),
            dice,
        }
    }

    fn play(mut self) -> Outcome {
        let mut violations = Violations::default();
        let calm_from_ms = self.sent.last().map_or(START_MS, |last| last.at_ms) + CALM_AFTER_MS;
        let mut calm = false;
        for turn in 0.. {
            if turn >= TURNS_MAX {
                violations.add("the run does not end".to_owned());
                break;
            }
            while let Some(id) = self.ready.take(&mut self.dice) {
                self.poll(id);
            }
            let now_ms = self.world.now_ms();
            if !calm && now_ms >= calm_from_ms {
                calm = true;
                self.world.calm();
            }
            self.produce(now_ms);
            self.read(now_ms);
            let actions = self.esm.poll(now_ms);
            self.act(actions);
            self.redrive();
            if self.has_ready() {
                continue;
            }
            match self.next_time() {
                Some(at_ms) => {
                    self.world.advance_to(at_ms);
                    self.time_out();
                }
                None => break,
            }
        }
        self.verdict(violations)
    }

    fn verdict(self, mut violations: Violations) -> Outcome {
        let stores = self.world.stores();
        if !self.esm.is_idle() || !self.pieces.is_empty() || self.next_sent < self.sent.len() {
            violations.add("I1: something still waits at the end".to_owned());
        }
        check::check(&self.stream, &stores, &self.policy, &self.dead, &mut violations);
        let (trace_hash, trace) = self.world.trace();
        Outcome {
            violations,
            trace_hash,
            trace,
            injected: self.world.injected(),
            counts: Counts {
                conflicts: stores.conflicts,
                ..self.counts
            },
        }
    }

    fn has_ready(&self) -> bool {
        !self.ready.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The next moment at which anything happens by itself.
    fn next_time(&self) -> Option<i64> {
        let now_ms = self.world.now_ms();
        let produced = self.sent.get(self.next_sent).map(|sent| sent.at_ms);
        let timers = self.world.next_timer_ms();
        let mapping = self.esm.wake_ms();
        let timeouts = self
            .running
            .values()
            .filter(|run| run.batch.is_some())
            .map(|run| run.times_out_at_ms)
            .min();
        let readable = self.unread().then_some(now_ms + 1);
        [produced, timers, mapping, timeouts, readable]
            .into_iter()
            .flatten()
            .min()
            .map(|at_ms| at_ms.max(now_ms + 1))
    }

    fn unread(&self) -> bool {
        self.esm.readable().any(|id| {
            let shard = self.stream.shard(id);
            shard.is_some_and(|shard| shard.read_to < shard.records.len() || shard.is_closed())
        })
    }

    fn produce(&mut self, now_ms: i64) {
        while let Some(sent) = self.sent.get(self.next_sent).filter(|sent| sent.at_ms <= now_ms) {
            if self.reshards.front().is_some_and(|(at, _)| *at <= self.next_sent)
                && let Some((at, split)) = self.reshards.pop_front()
            {
                self.counts.reshards += 1;
                if split {
                    self.stream.split(at);
                } else {
                    self.stream.merge(at);
                }
            }
            self.stream.put(self.next_sent, &sent.key, &sent.data, now_ms);
            self.next_sent += 1;
        }
        for shard in &self.stream.shards {
            if !self.esm.knows(&shard.id) {
                self.esm.add_shard(&shard.id, &shard.parents);
            }
        }
    }

    fn read(&mut self, now_ms: i64) {
        let readable: Vec<String> = self.esm.readable().map(str::to_owned).collect();
        for id in readable {
            let Some(shard) = self.stream.shards.iter_mut().find(|shard| shard.id == id) else {
                continue;
            };
            let until = shard.records.len().min(shard.read_to + READ_RECORDS);
            let records: Vec<EsmRecord> = shard.records[shard.read_to..until]
                .iter()
                .map(|(_, record)| (**record).clone())
                .collect();
            shard.read_to = until;
            let finished = shard.is_closed() && until == shard.records.len();
            if !records.is_empty() {
                self.esm.accept(&id, records, now_ms);
            }
            if finished {
                self.esm.close_shard(&id);
            }
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Invoke {
                    batch_id,
                    shard,
                    records,
                } => {
                    self.counts.invocations += 1;
                    self.invoke(Some(batch_id), None, &shard, &records);
                }
                Action::SendOnFailure { batch_id, message } => {
                    self.counts.dead_letters += 1;
                    self.dead_letter(&message);
                    self.esm.sent(batch_id);
                }
            }
        }
    }

    /// Reads a dead letter's range from the stream again, as a redrive does.
    fn dead_letter(&mut self, message: &str) {
        self.world.note(|| format!("dead letter {message}"));
        let value: serde_json::Value = serde_json::from_str(message).unwrap_or_default();
        let info = &value["KinesisBatchInfo"];
        let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
        let (shard_id, start, end) = (text("shardId"), text("startSequenceNumber"), text("endSequenceNumber"));
        let at_least =
            |number: &str, bound: &str| tidemark_engine::record::compare_sequence_numbers(number, bound).is_ge();
        let Some(shard) = self.stream.shard(&shard_id) else {
            return;
        };
        let in_range = |record: &Arc<EsmRecord>| {
            at_least(&record.sequence_number, &start) && at_least(&end, &record.sequence_number)
        };
        let range: Vec<(usize, Arc<EsmRecord>)> = shard
            .records
            .iter()
            .filter(|(_, record)| in_range(record))
            .cloned()
            .collect();
        self.dead.extend(range.iter().map(|(place, _)| *place));
        let records: Vec<Arc<EsmRecord>> = range.into_iter().map(|(_, record)| record).collect();
        for piece in records.chunks(REDRIVE_RECORDS) {
            self.pieces.push_back(Piece {
                shard: shard_id.clone(),
                records: piece.to_vec(),
            });
        }
    }

    /// One piece of a redrive at a time, beside the live traffic.
    fn redrive(&mut self) {
        if self.running.values().any(|run| run.piece.is_some()) {
            return;
        }
        if let Some(piece) = self.pieces.pop_front() {
            let records = piece.records.clone();
            self.invoke(None, Some(piece.clone()), &piece.shard, &records);
        }
    }
}
