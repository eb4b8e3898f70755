//! One run: the scheduler that lets producers, the mapping, workers, a redrive and operators go on in an order that the seed
//! chooses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use localcloud::esm::{Esm, EsmRecord};
use tidemark_domain::invariant::Invariant;

mod feed;
mod import;
mod invoke;
mod operate;
mod options;
mod walk;

pub use options::{Ablation, Counts, Forgeries, Options, Outcome};

use crate::audit::{self, Forgery, Inputs, Known};
use crate::check::{self, Facts};
use crate::dice::Dice;
use crate::draws::{Draw, Draws};
use crate::operator::{Deed, schedule};
use crate::policies::{Policies, has_lists};
use crate::stream::{ARN, Stream, TrimmedStart};
use crate::traffic::{Mix, Sent, generate};
use crate::violations::Violations;
use crate::world::limits::Capacity;
use crate::world::tables::Ttl;
use crate::world::{FaultPlan, START_MS, Stores, World};
use crate::{imports, lists};
use invoke::{Invocation, Worker};
use walk::Walker;

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
/// The token of the second ablation is good for so long, ms.
const TOKEN_MS: i64 = 600_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Runs a seed.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    Run::new(options).play()
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
    draws: Draws,
    policies: Policies,
    sent: Vec<Sent>,
    next_sent: usize,
    deeds: VecDeque<(i64, Deed)>,
    reshards: VecDeque<(usize, bool)>,
    esm: Esm,
    /// Whether the mapping is on.
    polls: bool,
    /// A shard is not read before, ms since 1970-01-01T00:00:00Z.
    read_after_ms: BTreeMap<String, i64>,
    running: BTreeMap<u64, Invocation>,
    ready: Arc<ReadyList>,
    next_id: u64,
    idle: Vec<Worker>,
    workers_made: u64,
    skew_ms_max: u64,
    pieces: VecDeque<Piece>,
    walker: Walker,
    /// Faults have ended.
    calm: bool,
    calm_from_ms: i64,
    dead: BTreeSet<usize>,
    tokens: BTreeMap<Vec<u8>, i64>,
    options: Options,
    counts: Counts,
    forged: Vec<Forgery>,
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

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.list.add(self.id);
    }
}

impl Run {
    fn new(options: &Options) -> Self {
        let seed = options.seed;
        let drawn = Draws::draw(&mut Dice::new(seed, 3));
        let draws = options.draws.unwrap_or(drawn);
        let mut dice = Dice::new(seed, 0);
        let head = *dice.pick(&HEADS);
        let faults = FaultPlan::Drawn(options::draw_faults(&mut dice));
        let slow = if dice.chance(0.3) { 0.02 } else { 0.0 };
        let world = World::new(Dice::new(seed, 1), faults, slow, 2 * TIMEOUT_MS, options.trace);
        let mut mix = Mix::draw(&mut dice, options.events, draws);
        let policies = if draws.has(Draw::Policies) {
            Policies::published(seed, head, &mut Dice::new(seed, 5))
        } else {
            Policies::own(seed, head)
        };
        let policies = if draws.has(Draw::Labels) {
            policies.with_keys(seed, head)
        } else {
            policies
        };
        mix.has_links = policies.have_links();
        let published = u32::try_from(policies.texts.len()).unwrap_or(0);
        let mut operators = Dice::new(seed, 4);
        let mut deeds = schedule(&mut operators, draws, mix.span_ms, mix.cards, published);
        if has_lists(seed) {
            // By dice of their own, so that all else of a seed is what it is without them.
            deeds.extend(lists::schedule(&mut Dice::new(seed, 7), mix.span_ms));
            deeds.sort_by_key(|(at_ms, _)| *at_ms);
        }
        let sent = generate(&mut Dice::new(seed, 2), &mix);
        let mut files = Vec::new();
        if imports::has_imports(seed, draws) {
            let (drawn, more) = imports::draw(&mut Dice::new(seed, 8), draws, &sent, mix.cards);
            files = drawn;
            deeds.extend(more);
            deeds.sort_by_key(|(at_ms, _)| *at_ms);
        }
        let stream = Stream::new(dice.between(1, 4));
        let mut run = Self {
            sent,
            reshards: draw_reshards(&mut dice, options.events),
            esm: Esm::new(options::draw_mapping(&mut dice), ARN, "arn:function"),
            skew_ms_max: *dice.pick(&[0, 0, 200, 3_000]),
            walker: Walker::draw(&mut operators),
            world,
            draws,
            policies,
            next_sent: 0,
            deeds: deeds.into(),
            polls: true,
            read_after_ms: BTreeMap::new(),
            running: BTreeMap::new(),
            ready: Arc::default(),
            next_id: 0,
            idle: Vec::new(),
            workers_made: 0,
            pieces: VecDeque::new(),
            calm: false,
            calm_from_ms: i64::MAX,
            dead: BTreeSet::new(),
            tokens: BTreeMap::new(),
            options: options.clone(),
            counts: Counts::default(),
            forged: Vec::new(),
            dice,
        };
        run.world.with(|stores| stores.known.files = files);
        run.furnish(stream, &mut operators);
        run
    }

    /// Sets the services up: their rules, and which of them an ablation takes away.
    fn furnish(&mut self, mut stream: Stream, dice: &mut Dice) {
        let (ablation, draws) = (self.options.ablation, self.draws);
        let retention_ms = *dice.pick(&[7 * DAY_MS, 14 * DAY_MS]);
        stream.retention_ms = draws.has(Draw::Walk).then_some(retention_ms);
        stream.trimmed_start = *dice.pick(&[TrimmedStart::Refused, TrimmedStart::Skipped, TrimmedStart::Empty]);
        if ablation == Ablation::ShortRetention {
            stream.retention_ms = Some(HOUR_MS);
        }
        let mut capacity = Capacity::draw(dice);
        if draws.has(Draw::Labels) {
            capacity = capacity.for_large_states();
        }
        self.world.with(|stores| {
            stores.stream = stream;
            let rules = &mut stores.rules;
            rules.ttl = draws.has(Draw::Ttl).then(|| Ttl {
                delay_ms_max: 48 * 3_600_000,
                forgets_after_ms: (ablation == Ablation::ForgottenStates).then_some(HOUR_MS),
            });
            rules.capacity = draws.has(Draw::Capacity).then_some(capacity);
            rules.ignores_conditions = ablation == Ablation::NoCondition;
            rules.ignores_tags = ablation == Ablation::NumberOnly;
            rules.folds_ids = ablation == Ablation::FoldedIds;
            rules.decisions_without_time = ablation == Ablation::DecisionsWithoutTime;
            rules.hides_refused_writes = ablation == Ablation::RefusedWritesCountAsDone;
            rules.hides_left_out = ablation == Ablation::LeftOutCountsAsSent;
            rules.loses_key_writes = ablation == Ablation::KeyWritesLost;
            rules.doubles_labels = ablation == Ablation::LabelsDoubled;
            rules.knows_too_early = ablation == Ablation::LabelsKnownTooEarly;
            rules.notes_ends = draws.has(Draw::Labels);
            stores.dead_letter.forgets_received = ablation == Ablation::ForgetfulQueue;
        });
        self.publish();
    }

    fn play(mut self) -> Outcome {
        let mut violations = Violations::default();
        let last_deed_ms = self.deeds.back().map_or(START_MS, |(at_ms, _)| *at_ms);
        let last_sent_ms = self.sent.last().map_or(START_MS, |last| last.at_ms);
        let calm_from_ms = last_deed_ms.max(last_sent_ms) + CALM_AFTER_MS;
        self.calm_from_ms = calm_from_ms;
        for turn in 0.. {
            if turn >= TURNS_MAX {
                violations.add(None, "the run does not end".to_owned());
                break;
            }
            while let Some(id) = self.ready.take(&mut self.dice) {
                self.poll(id);
            }
            let now_ms = self.world.now_ms();
            if !self.calm && now_ms >= calm_from_ms {
                self.calm = true;
                self.world.calm();
            }
            self.operate(now_ms);
            self.produce(now_ms);
            if self.polls {
                self.read(now_ms);
                let actions = self.esm.poll(now_ms);
                self.act(actions);
            }
            self.redrive();
            self.walk(now_ms);
            if !self.ready.is_empty() {
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
        self.conclude(violations)
    }

    fn conclude(mut self, mut violations: Violations) -> Outcome {
        let stores = self.world.take_stores();
        let waits = !self.esm.is_idle() || !self.pieces.is_empty() || self.next_sent < self.sent.len();
        if waits || self.walker.is_busy() || !stores.dead_letter.messages().is_empty() {
            violations.add(Invariant::NothingLost, "something still waits at the end".to_owned());
        }
        let facts = Facts {
            stores: &stores,
            policies: &self.policies,
            draws: self.draws,
            dead: &self.dead,
        };
        let known = check::check(&facts, &mut violations);
        if violations.none() {
            self.audit(&stores, &known, &mut violations);
        }
        let (trace_hash, trace) = self.world.trace();
        self.counts.conflicts = stores.known.conflicts;
        self.counts.dropped = stores.known.dropped;
        self.counts.restored = stores.known.restored.len() as u64;
        self.counts.unseen = stores.known.unseen.len() as u64;
        self.counts.limited = stores.limited;
        self.counts.key_conflicts = stores.known.key_conflicts;
        self.counts.keys_dropped = stores.known.keys_dropped.len() as u64;
        self.counts.note_keys(&stores);
        self.counts.note_rules(&stores);
        self.counts.note_imports(&stores);
        Outcome {
            violations,
            draws: self.draws,
            trace_hash,
            trace,
            injected: self.world.injected(),
            counts: self.counts,
            forged: self.forged,
        }
    }

    /// The audit of the run, and of the same run with something taken away or forged.
    fn audit(&mut self, stores: &Stores, known: &Known, violations: &mut Violations) {
        let inputs = Inputs::read(stores, &self.policies, self.world.now_ms());
        audit::judge(&inputs, known, violations);
        let mut dice = Dice::new(self.options.seed, 6);
        let kinds: Vec<Forgery> = match self.options.forgeries {
            Forgeries::One => vec![Forgery::draw(&mut dice, self.draws.has(Draw::Labels))],
            Forgeries::All => Forgery::ALL.to_vec(),
        };
        for kind in kinds {
            let mut forged = inputs.clone();
            let Some(name) = audit::forge(&mut forged, kind, stores, &mut dice) else {
                continue;
            };
            self.forged.push(kind);
            match forged.judge() {
                Ok(judgement) if audit::is_named(&judgement, &name) || audit::is_full(&judgement) => {}
                Ok(_) => violations.add(None, format!("audit: {kind:?}: nothing said of {name}")),
                Err(broken) => violations.add(None, format!("audit: {kind:?}: {broken}")),
            }
        }
    }

    /// The next moment at which anything happens by itself.
    fn next_time(&self) -> Option<i64> {
        let now_ms = self.world.now_ms();
        let produced = self.sent.get(self.next_sent).map(|sent| sent.at_ms);
        let timers = self.world.next_timer_ms();
        let deed = self.deeds.front().map(|(at_ms, _)| *at_ms);
        let timeouts = self
            .running
            .values()
            .filter(|run| run.may_time_out())
            .map(|run| run.times_out_at_ms)
            .min();
        let mapping = self.esm.wake_ms().filter(|_| self.polls);
        let readable = self.readable_ms(now_ms).filter(|_| self.polls);
        let calm = (!self.calm).then_some(self.calm_from_ms);
        [
            produced,
            timers,
            mapping,
            timeouts,
            readable,
            deed,
            self.walker.at_ms,
            calm,
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|at_ms| at_ms.max(now_ms + 1))
    }
}

fn draw_reshards(dice: &mut Dice, events: usize) -> VecDeque<(usize, bool)> {
    let mut reshards: Vec<(usize, bool)> = (0..dice.below(4))
        .map(|_| {
            (
                usize::try_from(dice.below(events as u64)).unwrap_or(0),
                dice.chance(0.6),
            )
        })
        .collect();
    reshards.sort_unstable();
    reshards.into()
}
