//! A worker: the real engine, run on the answers that its calls got so far.
//!
//! A future can be neither copied nor compared, so a worker's state is the life of its process: the batches it was given
//! and the answers it got. Running a life again from its start shows the call that it waits for. Lives are numbered, and
//! each is run once.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tidemark_domain::event::Profile;
use tidemark_domain::history::sealed::SegmentKey;
use tidemark_domain::id::CardId;
use tidemark_engine::port::{
    Answers, Clock, Commit, DecisionItem, Freshness, KeyId, KeyWrite, Metered, OutcomeRecord, PortError, PutOnce,
    Quarantine, QuarantineMessage, ScoreSink, SegmentItem, StateItem, StateStore, StateVersion, StateWrite, Units,
};
use tidemark_engine::{Engine, EngineConfig, InRecord};

use crate::item::{ItemId, Items, OutcomeId};
use crate::scenario::{ARRIVAL_MS, DEADLINE_MS, PROBE, Scenario, Source};

/// The number of a life. [`COLD`] is a process that was just started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LifeId(pub u32);

/// A process that was given nothing yet.
pub const COLD: LifeId = LifeId(0);

/// Attempts of one call: few, so that the model sees a batch given back.
const ATTEMPTS_MAX: u32 = 2;

/// A batch, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Given {
    /// A source's batch, from one of its records on.
    Batch {
        /// The source whose batch it is.
        source: Source,
        /// The number of the batch among those of its source.
        batch: u8,
        /// From this record on.
        from: u8,
    },
    /// One event that is never delivered in the scenario: shows what the process keeps warm.
    Probe,
}

impl Given {
    fn events(self) -> Vec<usize> {
        match self {
            Self::Batch { source, batch, from } => source.batches()[usize::from(batch)][usize::from(from)..].to_vec(),
            Self::Probe => vec![PROBE],
        }
    }
}

/// What a call got as its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The state that was read.
    Loaded(Option<ItemId>),
    /// The write took effect.
    Written,
    /// The condition failed; the winner, where the store handed it back.
    Conflict(Option<ItemId>),
    /// No answer in time: nobody knows whether it took effect.
    Timeout,
    /// All outcomes were taken.
    Taken,
    /// Only the first was.
    FirstTaken,
}

/// A step of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A batch came in.
    Begin(Given),
    /// A call was answered.
    Answer(Answer),
}

/// A call that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Reads the card's state.
    Load,
    /// Writes it, if the stored version is still the expected one.
    Commit(Write),
    /// Sends outcomes.
    Send(Vec<OutcomeId>),
}

/// A conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// The version that was read; `None`: the item must not exist.
    pub expected: Option<StateVersion>,
    /// What is to be stored.
    pub item: ItemId,
}

/// Where a life stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// In a batch, waiting.
    Waits(Call),
    /// The batch is answered.
    Ended {
        /// The first of its records that must come again.
        retry_from: Option<u8>,
    },
}

/// All lives seen so far, with the items and outcomes in them.
#[derive(Debug)]
pub struct Lives {
    /// The scenario.
    pub scenario: Scenario,
    /// Items and outcomes.
    pub items: Items,
    nodes: Vec<(LifeId, Step)>,
    ids: HashMap<(LifeId, Step), LifeId>,
    stands: HashMap<LifeId, Stand>,
    /// A life for each state that processes were seen to keep warm, by the probe's write.
    kept: HashMap<(Option<StateVersion>, Vec<u8>), LifeId>,
    rests: HashMap<LifeId, LifeId>,
}

impl Lives {
    /// None yet but that of a process that was just started.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            items: Items::default(),
            nodes: vec![(COLD, Step::Begin(Given::Probe))],
            ids: HashMap::new(),
            stands: HashMap::new(),
            kept: HashMap::new(),
            rests: HashMap::new(),
        }
    }

    /// A life that goes on by a step.
    pub fn after(&mut self, life: LifeId, step: Step) -> LifeId {
        let next = LifeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let id = *self.ids.entry((life, step)).or_insert(next);
        if id == next {
            self.nodes.push((life, step));
        }
        id
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Where a life stands that was given a batch.
    ///
    /// # Errors
    /// When the engine does what the model knows nothing of.
    pub fn stand(&mut self, life: LifeId) -> Result<Stand, String> {
        if let Some(stand) = self.stands.get(&life) {
            return Ok(stand.clone());
        }
        let stand = match self.run(life)? {
            Raw::Ended { retry_from } => Stand::Ended { retry_from },
            Raw::Waits(waiting) => Stand::Waits(self.call(&waiting)?),
        };
        self.stands.insert(life, stand.clone());
        Ok(stand)
    }

    /// The life that stands for all that keep the same warm: a batch that is over leaves nothing else behind.
    ///
    /// # Errors
    /// When the engine does what the model knows nothing of.
    pub fn at_rest(&mut self, life: LifeId) -> Result<LifeId, String> {
        if let Some(rest) = self.rests.get(&life) {
            return Ok(*rest);
        }
        let probed = self.after(life, Step::Begin(Given::Probe));
        let rest = match self.run(probed)? {
            // Nothing is warm.
            Raw::Waits(Waiting::Load) => COLD,
            // The state that the probe was folded into, and its version.
            Raw::Waits(Waiting::Commit(write)) => {
                let kept = (write.expected, write.item.bytes.clone());
                *self.kept.entry(kept).or_insert(life)
            }
            raw => return Err(format!("the probe was not folded: {raw:?}")),
        };
        self.rests.insert(life, rest);
        Ok(rest)
    }

    fn run(&self, life: LifeId) -> Result<Raw, String> {
        let mut steps = Vec::new();
        let mut at = life;
        while at != COLD {
            let (before, step) = self.nodes[at.0 as usize];
            steps.push(step);
            at = before;
        }
        steps.reverse();
        let ports = Ports::default();
        let config = EngineConfig {
            attempts_max: ATTEMPTS_MAX,
            ..EngineConfig::default()
        };
        let policy = Arc::clone(&self.scenario.policy);
        let engine = Engine::new(
            ports.clone(),
            ports.clone(),
            ports.clone(),
            ports.clone(),
            policy,
            config,
        );
        let mut stand = Err("a life begins with a batch".to_owned());
        for (index, step) in steps.iter().enumerate() {
            if let Step::Begin(given) = step {
                let answers = steps[index + 1..].iter().map_while(|step| match step {
                    Step::Answer(answer) => Some(*answer),
                    Step::Begin(_) => None,
                });
                ports.play(answers.map(|answer| self.reply(answer)).collect());
                stand = self.run_batch(&engine, &ports, *given);
            }
        }
        stand
    }

    fn run_batch<S: StateStore, K: ScoreSink, Q: Quarantine, C: Clock>(
        &self,
        engine: &Engine<S, K, Q, C>,
        ports: &Ports,
        given: Given,
    ) -> Result<Raw, String> {
        let events = given.events();
        let numbers: Vec<String> = (0..events.len()).map(|at| at.to_string()).collect();
        let batch: Vec<InRecord<'_>> = events
            .iter()
            .zip(&numbers)
            .map(|(event, sequence_number)| InRecord {
                stream: "transactions",
                shard_id: "shardId-000000000000",
                sequence_number,
                of_aggregate: None,
                partition_key: crate::scenario::CARD,
                arrival_ms: ARRIVAL_MS,
                data: &self.scenario.payloads[*event],
            })
            .collect();
        // Ports answer at once or never, so one poll goes as far as the answers reach.
        let report = engine.process(&batch, DEADLINE_MS).now_or_never();
        let (left, mut waiting) = ports.take();
        match (report, waiting.pop()) {
            _ if left > 0 => Err(format!("{left} answers were not asked for")),
            (Some(report), None) => {
                let retry_from = report.retry_from.and_then(|number| number.parse().ok());
                Ok(Raw::Ended { retry_from })
            }
            (None, Some(call)) if waiting.is_empty() => Ok(Raw::Waits(call)),
            (report, _) => Err(format!("neither one call nor an end: {report:?}")),
        }
    }

    fn call(&mut self, waiting: &Waiting) -> Result<Call, String> {
        let Self { scenario, items, .. } = self;
        match waiting {
            Waiting::Load => Ok(Call::Load),
            Waiting::Commit(write) if write.card_id.as_str() == crate::scenario::CARD => Ok(Call::Commit(Write {
                expected: write.expected,
                item: items.intern(scenario, &write.item)?,
            })),
            Waiting::Commit(_) => Err("a write of another card".to_owned()),
            Waiting::Send(outcomes) => outcomes
                .iter()
                .map(|outcome| items.intern_outcome(scenario, &outcome.bytes))
                .collect::<Result<_, _>>()
                .map(Call::Send),
        }
    }

    fn reply(&self, answer: Answer) -> Reply {
        let item = |id: Option<ItemId>| id.map(|id| self.items.facts(id).item.clone());
        match answer {
            Answer::Loaded(id) => Reply::Loaded(item(id)),
            Answer::Written => Reply::Commit(Commit::Written),
            Answer::Conflict(id) => Reply::Commit(Commit::Conflict(item(id))),
            Answer::Timeout => Reply::Timeout,
            Answer::Taken => Reply::Sent { first_only: false },
            Answer::FirstTaken => Reply::Sent { first_only: true },
        }
    }
}

#[derive(Clone, Debug)]
enum Reply {
    Loaded(Option<StateItem>),
    Commit(Commit),
    Sent { first_only: bool },
    Timeout,
}

/// Where a life stands, in the engine's own types.
#[derive(Debug)]
enum Raw {
    Waits(Waiting),
    Ended { retry_from: Option<u8> },
}

#[derive(Clone, Debug)]
enum Waiting {
    Load,
    Commit(Arc<StateWrite>),
    Send(Vec<OutcomeRecord>),
}

#[derive(Debug, Default)]
struct Script {
    replies: std::collections::VecDeque<Reply>,
    waiting: Vec<Waiting>,
}

/// Every port of the engine, answering from a script; a call beyond its end waits for ever.
#[derive(Clone, Debug, Default)]
struct Ports(Arc<Mutex<Script>>);

impl Ports {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play(&self, replies: std::collections::VecDeque<Reply>) {
        *self.script() = Script {
            replies,
            waiting: Vec::new(),
        };
    }

    /// How many answers are left, and which calls wait.
    fn take(&self) -> (usize, Vec<Waiting>) {
        let mut script = self.script();
        (script.replies.len(), std::mem::take(&mut script.waiting))
    }

    async fn next(&self, call: Waiting) -> Result<Reply, PortError> {
        let reply = {
            let mut script = self.script();
            let reply = script.replies.pop_front();
            if reply.is_none() {
                script.waiting.push(call);
            }
            reply
        };
        match reply {
            Some(Reply::Timeout) => Err(PortError::Timeout("no answer".to_owned())),
            Some(reply) => Ok(reply),
            None => pending().await,
        }
    }
}

fn unmetered<T>(value: T) -> Metered<T> {
    Metered {
        value,
        units: Units::default(),
    }
}

fn mismatch() -> PortError {
    PortError::Permanent("the script's answer is for another call".to_owned())
}

impl StateStore for Ports {
    async fn load_states(&self, _cards: &[CardId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        match self.next(Waiting::Load).await? {
            Reply::Loaded(item) => Ok(unmetered(vec![item])),
            _ => Err(mismatch()),
        }
    }

    async fn load_profiles(&self, cards: &[CardId]) -> Result<Metered<Vec<Option<Profile>>>, PortError> {
        Ok(unmetered(vec![None; cards.len()]))
    }

    /// The world may answer this with an older state, too: more than the store does.
    async fn load_state(&self, _card: &CardId) -> Result<Metered<Option<StateItem>>, PortError> {
        match self.next(Waiting::Load).await? {
            Reply::Loaded(item) => Ok(unmetered(item)),
            _ => Err(mismatch()),
        }
    }

    async fn commit(&self, writes: &[Arc<StateWrite>]) -> Answers<Commit> {
        let [write] = writes else {
            return Err(PortError::Permanent("the scenario has one card".to_owned()));
        };
        match self.next(Waiting::Commit(Arc::clone(write))).await? {
            Reply::Commit(commit) => Ok(unmetered(vec![Ok(commit)])),
            _ => Err(mismatch()),
        }
    }

    async fn load_keys(&self, _keys: &[KeyId]) -> Result<Metered<Vec<Option<StateItem>>>, PortError> {
        Err(PortError::Permanent("the scenario has no key".to_owned()))
    }

    async fn load_key(&self, _key: KeyId) -> Result<Metered<Option<StateItem>>, PortError> {
        Err(PortError::Permanent("the scenario has no key".to_owned()))
    }

    async fn commit_keys(&self, _writes: &[Arc<KeyWrite>]) -> Answers<Commit> {
        Err(PortError::Permanent("the scenario has no key".to_owned()))
    }

    async fn put_profile(&self, _profile: &Profile) -> Result<Metered<PutOnce>, PortError> {
        Err(mismatch())
    }

    async fn load_segments(
        &self,
        _segments: &[(CardId, SegmentKey)],
        _freshness: Freshness,
    ) -> Result<Metered<Vec<Option<Vec<u8>>>>, PortError> {
        Err(PortError::Permanent("the scenario has no hot card".to_owned()))
    }

    async fn put_segments(&self, _segments: &[SegmentItem]) -> Result<Metered<()>, PortError> {
        Err(PortError::Permanent("the scenario has no hot card".to_owned()))
    }

    async fn put_decisions(&self, decisions: &[Arc<DecisionItem>]) -> Answers<PutOnce> {
        Ok(unmetered(decisions.iter().map(|_| Ok(PutOnce::Written)).collect()))
    }
}

impl ScoreSink for Ports {
    async fn send(&self, outcomes: &[OutcomeRecord]) -> Result<Vec<usize>, PortError> {
        match self.next(Waiting::Send(outcomes.to_vec())).await? {
            Reply::Sent { first_only: true } => Ok((1..outcomes.len()).collect()),
            Reply::Sent { first_only: false } => Ok(Vec::new()),
            _ => Err(mismatch()),
        }
    }
}

impl Quarantine for Ports {
    async fn put(&self, _messages: &[QuarantineMessage]) -> Result<Vec<usize>, PortError> {
        Err(PortError::Permanent("the scenario has no bad record".to_owned()))
    }
}

impl Clock for Ports {
    fn now_ms(&self) -> i64 {
        ARRIVAL_MS
    }

    fn sleep_ms(&self, _duration_ms: u64) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    fn random(&self) -> u64 {
        0
    }
}
