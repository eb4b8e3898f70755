//! How a label teaches a key, as a model: the card is written first, then the key, then the record has its end. What a card and a key
//! make of a label is the domain's own code, taken once for every case; the order of the steps is the engine's.
//!
//! Three labels of one event: fraud, cleared, fraud again, known one after the other, in any order of the stream. The mapping delivers
//! them one by one until each has its end; a redrive delivers one of them beside it, at any moment. Workers die, and go on as zombies.

use stateright::{Model, Property};
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Label, Verdict};
use tidemark_domain::fold::{self, LabelAnswer, Taught};
use tidemark_domain::history::History;
use tidemark_domain::labelled::{LabelledEvent, LabelledHistory};
use tidemark_domain::model::ProfileInput;
use tidemark_domain::policy::Policy;

use crate::scenario::{ARRIVAL_MS, CARD};

/// The labels, by the time since which they are known: a later one outranks those before it.
pub const LABELS: [Verdict; 3] = [Verdict::Fraud, Verdict::Cleared, Verdict::Fraud];
/// Workers at once.
const WORKERS: usize = 2;

/// What is settled is in the key, and the latest settled label has the last word.
pub const TAUGHT: &str = "I2: a fraud that has its end is in its key, and the latest label has the last word";
/// The card's write is the truth.
pub const CARD_FIRST: &str = "I5: a key holds no label that its card does not know";
/// Whatever happened, the way to the end is open.
pub const ENDS: &str = "I1: a state in which nothing can happen is one in which every label has its end";

/// The protocol, or the protocol with a part changed: the search must find that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As it is.
    Whole,
    /// The key is written first, and the card after it.
    KeyFirst,
    /// The record has its end before its key has the label.
    EndBeforeKey,
    /// A label that the card has already is not handed to the key again when it says `cleared`.
    NotAgain,
}

/// Labels as bits.
type Set = u8;

/// What a card makes of a label: what it keeps then, and what its key is to learn.
#[derive(Clone, Copy, Debug, Default)]
struct Folded {
    kept: Option<u8>,
    taught: Set,
}

/// Where a worker is with its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// It has the card as of a version.
    Card(u8),
    /// The card has the label; the key is to learn these.
    Teach(Set),
    /// It has the key as of a version, with what is to be written.
    Key(Set, u8, Set),
}

/// A worker with a label in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    label: u8,
    at: At,
    /// Whether it is the mapping's, which waits for it.
    is_awaited: bool,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    order: [u8; 3],
    /// How many of them have their end.
    settled: u8,
    /// Whether the mapping waits for a worker.
    is_out: bool,
    /// Whether the redrive is to come.
    has_redrive: bool,
    /// What the card keeps after each of its writes.
    card: Vec<Option<u8>>,
    /// What the key holds after each of its writes.
    key: Vec<Set>,
    workers: [Option<Job>; WORKERS],
    faults: u8,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The mapping hands its next label to a worker.
    Deliver(usize),
    /// The redrive hands over a label.
    Redrive(usize, u8),
    /// A worker takes its next step.
    Step(usize),
    /// A worker reads the key as it was after so many writes: what another process holds warm.
    Stale(usize, usize),
    /// Fault: a worker dies before its step.
    Kill(usize),
    /// Fault: a worker dies after its step took effect.
    KillAfter(usize),
    /// Fault: the mapping waits no longer; the worker goes on.
    Abandon(usize),
}

/// The model.
#[derive(Debug)]
pub struct Protocol {
    variant: Variant,
    faults_max: u8,
    /// By what the card keeps (3: nothing) and the label.
    folded: [[Folded; 3]; 4],
    /// By what the key holds and is to learn: what it holds then, and whether all of it is there.
    learned: [[(Set, bool); 8]; 8],
}

fn known_since_ms(label: usize) -> i64 {
    ARRIVAL_MS - 1_000 * (10 - i64::try_from(label).unwrap_or(0))
}

fn decoded(value: &serde_json::Value, policy: &Policy) -> Option<Event> {
    let decoded = contract::decode(value.to_string().as_bytes(), ARRIVAL_MS, &policy.bounds);
    Some(decoded.ok()?.event)
}

impl Protocol {
    /// The model with so many faults at most; `None` when the domain does not take its events.
    #[must_use]
    pub fn new(variant: Variant, faults_max: u8) -> Option<Self> {
        let keys = "[[keys]]\nname = \"terminal\"\nfield = \"merchant_id\"\nkeeps = \"labelled\"\n";
        let policy = Policy::parse(&format!("{}{keys}", Policy::default_text()), "model.toml").ok()?;
        let tx = serde_json::json!({
            "schema": "transaction", "version": 2, "event_id": "event", "card_id": CARD, "occurred_at_ms": ARRIVAL_MS - 60_000,
            "amount_minor": 100, "currency": "EUR", "merchant_id": "m", "mcc": 5411, "country": "FR", "channel": "ecommerce",
            "approved": true,
        });
        let Event::Transaction(tx) = decoded(&tx, &policy)? else {
            return None;
        };
        let label = |at: usize| -> Option<Label> {
            let value = serde_json::json!({
                "schema": "label", "version": 1, "event_id": "event", "card_id": CARD, "verdict": LABELS[at].as_str(),
                "known_since_ms": known_since_ms(at),
            });
            match decoded(&value, &policy)? {
                Event::Label(label) => Some(label),
                _ => None,
            }
        };
        let mut model = Self {
            variant,
            faults_max,
            folded: Default::default(),
            learned: Default::default(),
        };
        let mut seen: [Option<LabelledEvent>; 3] = [None; 3];
        for kept in 0..4 {
            for at in 0..3 {
                let mut card = History::default();
                let _ = fold::fold_transaction(&mut card, &tx, ProfileInput::Absent, &policy);
                if kept < 3 {
                    let _ = fold::fold_label(&mut card, &label(kept)?, &policy);
                }
                let (taught, is_known) = match fold::fold_label(&mut card, &label(at)?, &policy) {
                    LabelAnswer::Recorded(taught) => (taught, false),
                    LabelAnswer::Already(taught) => (taught, true),
                    _ => return None,
                };
                let now = card.entries().first()?.label?.1;
                let now = (0..3_u8).find(|other| known_since_ms(usize::from(*other)) == now)?;
                model.folded[kept][at] = Folded {
                    kept: Some(now),
                    taught: model.set_of(&taught, &mut seen, is_known),
                };
            }
        }
        model.learn(seen);
        Some(model)
    }

    /// What is handed to the key, as bits.
    fn set_of(&self, taught: &Taught, seen: &mut [Option<LabelledEvent>; 3], is_known: bool) -> Set {
        let all_cleared = taught.labels.iter().all(|label| label.verdict == Verdict::Cleared);
        if self.variant == Variant::NotAgain && is_known && all_cleared {
            return 0;
        }
        let at = |label: &LabelledEvent| (0..3).find(|at| known_since_ms(*at) == label.known_since_ms);
        let found = taught.labels.iter().filter_map(|label| Some((at(label)?, *label)));
        found.fold(0, |set, (at, label)| {
            seen[at] = Some(label);
            set | 1 << at
        })
    }

    fn learn(&mut self, seen: [Option<LabelledEvent>; 3]) {
        let labels = |set: usize| -> Vec<LabelledEvent> {
            let in_set = seen.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            in_set.filter_map(|(_, label)| *label).collect()
        };
        for held in 0..8 {
            for taught in 0..8 {
                let mut history = LabelledHistory::default();
                for label in labels(held) {
                    let _ = history.add(label);
                }
                let _ = history.learn(&labels(taught));
                let has = |label: &Option<LabelledEvent>| label.is_some_and(|label| history.labels().contains(&label));
                let after: Set = (0..3).filter(|at| has(&seen[*at])).fold(0, |set, at| set | 1 << at);
                let is_whole = usize::from(after) & taught == taught;
                self.learned[held][taught] = (after, is_whole);
            }
        }
    }

    fn fold(&self, kept: Option<u8>, label: u8) -> Folded {
        self.folded[usize::from(kept.unwrap_or(3))][usize::from(label)]
    }

    /// Where a job begins.
    fn begin(&self, world: &World, label: u8, is_awaited: bool) -> Job {
        let version = world.card.len() as u8;
        let kept = world.card.last().copied().flatten();
        let at = match self.variant {
            Variant::KeyFirst => At::Teach(self.fold(kept, label).taught | 1 << label),
            _ => At::Card(version),
        };
        Job { label, at, is_awaited }
    }

    fn ended(world: &mut World, at: usize) {
        if world.workers[at].take().is_some_and(|job| job.is_awaited) {
            world.settled += 1;
            world.is_out = false;
        }
    }

    /// A worker's next step; with the key as of so many writes where it reads that.
    fn step(&self, world: &mut World, at: usize, key_as_of: usize) {
        let Some(job) = world.workers[at] else { return };
        let go = |world: &mut World, next: At| world.workers[at] = Some(Job { at: next, ..job });
        match job.at {
            At::Card(version) => {
                let kept = world.card.last().copied().flatten();
                if usize::from(version) != world.card.len() {
                    // Another writer was first: it is folded into that one's state.
                    return go(world, At::Card(world.card.len() as u8));
                }
                let folded = self.fold(kept, job.label);
                if folded.kept != kept {
                    world.card.push(folded.kept);
                }
                match self.variant {
                    Variant::KeyFirst => Self::ended(world, at),
                    _ => go(world, At::Teach(folded.taught)),
                }
                if self.variant == Variant::EndBeforeKey && job.is_awaited {
                    world.settled += 1;
                    world.is_out = false;
                    if let Some(job) = &mut world.workers[at] {
                        job.is_awaited = false;
                    }
                }
            }
            At::Teach(taught) => {
                let held = key_as_of.checked_sub(1).map_or(0, |last| world.key[last]);
                let (after, is_whole) = self.learned[usize::from(held)][usize::from(taught)];
                let is_current = key_as_of == world.key.len();
                if after != held {
                    go(world, At::Key(taught, key_as_of as u8, after));
                } else if is_whole || is_current {
                    self.key_done(world, at, job);
                }
                // Otherwise what is not there can be told by the store alone: it is read again.
            }
            At::Key(taught, version, after) => {
                if usize::from(version) == world.key.len() {
                    world.key.push(after);
                    self.key_done(world, at, job);
                } else {
                    go(world, At::Teach(taught));
                }
            }
        }
    }

    fn key_done(&self, world: &mut World, at: usize, job: Job) {
        if self.variant == Variant::KeyFirst {
            let version = world.card.len() as u8;
            world.workers[at] = Some(Job {
                at: At::Card(version),
                ..job
            });
        } else {
            Self::ended(world, at);
        }
    }
}

impl World {
    fn held(&self) -> Set {
        self.key.last().copied().unwrap_or(0)
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let world = |order| World {
            order,
            settled: 0,
            is_out: false,
            has_redrive: true,
            card: Vec::new(),
            key: Vec::new(),
            workers: [None; WORKERS],
            faults: 0,
        };
        orders.map(world).to_vec()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let free = (0..WORKERS).find(|at| world.workers[*at].is_none());
        if let Some(at) = free {
            if !world.is_out && usize::from(world.settled) < world.order.len() {
                actions.push(Action::Deliver(at));
            }
            if world.has_redrive {
                actions.extend((0..3).map(|label| Action::Redrive(at, label)));
            }
        }
        let may_fail = world.faults < self.faults_max;
        for (at, job) in world.workers.iter().enumerate() {
            let Some(job) = job else { continue };
            actions.push(Action::Step(at));
            if matches!(job.at, At::Teach(_)) {
                actions.extend((0..world.key.len()).map(|writes| Action::Stale(at, writes)));
            }
            if may_fail {
                actions.extend([Action::Kill(at), Action::KillAfter(at)]);
                actions.extend(job.is_awaited.then_some(Action::Abandon(at)));
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Deliver(at) => {
                let label = world.order[usize::from(world.settled)];
                world.workers[at] = Some(self.begin(&world, label, true));
                world.is_out = true;
            }
            Action::Redrive(at, label) => {
                world.workers[at] = Some(self.begin(&world, label, false));
                world.has_redrive = false;
            }
            Action::Step(at) => {
                let writes = world.key.len();
                self.step(&mut world, at, writes);
            }
            Action::Stale(at, writes) => self.step(&mut world, at, writes),
            Action::Kill(at) | Action::KillAfter(at) => {
                world.faults += 1;
                let is_awaited = world.workers[at].is_some_and(|job| job.is_awaited);
                if action == Action::KillAfter(at) {
                    // Its answer is lost: whoever waits learns of no end.
                    if let Some(job) = &mut world.workers[at] {
                        job.is_awaited = false;
                    }
                    let writes = world.key.len();
                    self.step(&mut world, at, writes);
                }
                world.workers[at] = None;
                world.is_out &= !is_awaited;
            }
            Action::Abandon(at) => {
                world.faults += 1;
                world.is_out = false;
                if let Some(job) = &mut world.workers[at] {
                    job.is_awaited = false;
                }
            }
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TAUGHT, taught),
            Property::always(CARD_FIRST, card_first),
            Property::always(ENDS, ends),
        ]
    }
}

fn taught(_: &Protocol, world: &World) -> bool {
    let settled = &world.order[..usize::from(world.settled)];
    let held = world.held();
    let has = |label: u8| held >> label & 1 == 1;
    let verdict = |label: u8| LABELS[usize::from(label)];
    let frauds = || settled.iter().filter(|label| verdict(**label) == Verdict::Fraud);
    let latest = settled.iter().max();
    let latest_held = (0..3).rev().find(|label| has(*label));
    let is_cleared = latest.is_none_or(|latest| {
        verdict(*latest) == Verdict::Fraud
            || frauds().count() == 0
            || latest_held.is_some_and(|held| held > *latest || verdict(held) == Verdict::Cleared)
    });
    frauds().all(|label| has(*label)) && is_cleared
}

fn card_first(_: &Protocol, world: &World) -> bool {
    let highest = (0..3).rev().find(|label| world.held() >> label & 1 == 1);
    highest <= world.card.last().copied().flatten()
}

fn ends(protocol: &Protocol, world: &World) -> bool {
    let mut actions = Vec::new();
    protocol.actions(world, &mut actions);
    !actions.is_empty() || usize::from(world.settled) == world.order.len()
}
