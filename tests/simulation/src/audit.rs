//! The audit inside: what the services hold at a run's end is judged by the same code that `tidemark audit` judges a
//! deployment with, and its conclusion has to be the simulator's own.

mod forge;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use reconcile::{
    Accepted, BoundsInForce, Broken, Evidence, Horizon, Judgement, KeysInForce, QuarantineNote, Record, SequenceRange,
    StoredCard,
};
use serde_json::Value;
use tidemark_domain::control::{ControlItem, Mode};
use tidemark_domain::id::{CardId, EventKey};
use tidemark_domain::lifetime::{HISTORY_MS, STREAM_RETENTION_MS_MAX};
use tidemark_engine::control::SHADOW_COPY_MS_MAX;
use tidemark_engine::port::{KeyId, QuarantineMessage};

pub use forge::{Forgery, forge};

use crate::policies::{OWN, Policies};
use crate::violations::Violations;
use crate::world::Stores;

/// A process may work as before a change of the mode for so long after it, ms: as the command has it.
const ADOPTED_AFTER_MS: i64 = SHADOW_COPY_MS_MAX + 60_000;

/// What the audit is given.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The records that the stream keeps.
    pub records: Vec<Record>,
    /// The records' bounds.
    pub bounds: Option<BoundsInForce>,
    /// Outcomes, and when they were taken (ms since 1970-01-01T00:00:00Z).
    pub outcomes: Vec<(i64, Arc<[u8]>)>,
    /// Refused records.
    pub quarantined: Vec<QuarantineNote>,
    /// What waits in the dead-letter queue.
    pub dead: Vec<SequenceRange>,
    /// What can't be redriven.
    pub unrecoverable: Vec<(SequenceRange, String)>,
    /// From when to when outcomes were withheld, ms since 1970-01-01T00:00:00Z.
    pub withheld: Vec<(i64, i64)>,
    /// The table.
    pub cards: HashMap<CardId, StoredCard>,
    /// The keys that policies keep.
    pub keys_in_force: KeysInForce,
    /// The items of keys.
    pub keys: HashMap<KeyId, Vec<u8>>,
    /// For how long the table keeps what it holds.
    pub horizon: Option<Horizon>,
}

impl Inputs {
    /// Everything durable, read back.
    #[must_use]
    pub fn read(stores: &Stores, policies: &Policies, now_ms: i64) -> Self {
        let bounds = bounds(stores, policies);
        Self {
            records: records(stores, &bounds, now_ms),
            bounds: Some(bounds),
            outcomes: stores
                .outcomes
                .iter()
                .map(|sent| (sent.arrival_ms, sent.outcome.bytes.as_slice().into()))
                .collect(),
            quarantined: stores
                .quarantine
                .messages()
                .iter()
                .filter_map(|queued| serde_json::from_str::<QuarantineMessage>(&queued.body).ok())
                .map(|message| QuarantineNote::from(&message))
                .collect(),
            dead: stores
                .dead_letter
                .messages()
                .iter()
                .filter_map(|queued| range_of(&serde_json::from_str(&queued.body).ok()?))
                .collect(),
            unrecoverable: unrecoverable(stores),
            withheld: withheld(stores),
            cards: cards(stores),
            keys_in_force: keys_in_force(stores, policies),
            keys: stores
                .tables
                .keys
                .iter()
                .map(|(key, item)| (*key, item.now.bytes.clone()))
                .collect(),
            horizon: Some(Horizon {
                now_ms,
                kept_ms: HISTORY_MS,
            }),
        }
    }

    /// The audit's judgement.
    ///
    /// # Errors
    /// When something can't be read.
    pub fn judge(self) -> Result<Judgement, Broken> {
        let mut evidence = Evidence {
            outcomes_since_ms: i64::MIN,
            withheld: self.withheld,
            dead: self.dead,
            unrecoverable: self.unrecoverable,
            keys: self.keys_in_force,
            ..Evidence::default()
        };
        for (arrival_ms, bytes) in &self.outcomes {
            evidence.take(reconcile::Outcome::read(*arrival_ms, bytes)?);
        }
        for note in self.quarantined {
            evidence.quarantined.take(note);
        }
        let horizon = self.horizon.unwrap_or(Horizon {
            now_ms: 0,
            kept_ms: i64::MAX,
        });
        reconcile::judge(self.records, evidence, &self.cards, &self.keys, horizon)
    }
}

fn records(stores: &Stores, bounds: &BoundsInForce, now_ms: i64) -> Vec<Record> {
    let kept_from_ms = stores.stream.kept_from_ms(now_ms).max(now_ms - STREAM_RETENTION_MS_MAX);
    let mut records: Vec<(usize, Vec<Record>)> = Vec::new();
    for shard in &stores.stream.shards {
        let shard_id: Arc<str> = shard.id.as_str().into();
        for (place, record) in &shard.records[shard.oldest(kept_from_ms)..] {
            let accepted = Accepted {
                shard_id: shard_id.clone(),
                sequence_number: record.sequence_number.clone(),
                partition_key: record.partition_key.clone(),
                arrival_ms: record.arrival_ms,
                payload: record.body.clone(),
            };
            records.push((*place, Record::all_of(&accepted, bounds)));
        }
    }
    records.sort_by_key(|(place, _)| *place);
    records.into_iter().flat_map(|(_, records)| records).collect()
}

/// The bounds of the policies in force, by the control plane's changes.
fn bounds(stores: &Stores, policies: &Policies) -> BoundsInForce {
    let bounds = |version: u32| policies.all[&if version == 0 { OWN } else { version }].bounds;
    let changes = stores.control.activations.iter();
    BoundsInForce::changing(
        bounds(OWN),
        changes.map(|(at_ms, version)| (*at_ms, bounds(*version))).collect(),
    )
}

/// The keys of the policies in force, by the same.
fn keys_in_force(stores: &Stores, policies: &Policies) -> KeysInForce {
    let keys = |version: u32| policies.all[&if version == 0 { OWN } else { version }].keys.clone();
    let changes = stores.control.activations.iter();
    KeysInForce::changing(
        keys(OWN),
        changes.map(|(at_ms, version)| (*at_ms, keys(*version))).collect(),
    )
}

/// From each change to `shadow` to the next change of the mode, and for as long as a process may not know of that.
fn withheld(stores: &Stores) -> Vec<(i64, i64)> {
    let modes: Vec<_> = stores
        .control
        .changes
        .iter()
        .filter(|change| change.item == ControlItem::Mode)
        .collect();
    let shadow = modes.iter().enumerate();
    let shadow = shadow.filter(|(_, change)| change.action == Mode::Shadow.as_str());
    shadow
        .map(|(at, change)| {
            let end_ms = modes.get(at + 1).map(|next| next.stamp.at_ms + ADOPTED_AFTER_MS);
            (change.stamp.at_ms, end_ms.unwrap_or(i64::MAX))
        })
        .collect()
}

fn range_of(message: &Value) -> Option<SequenceRange> {
    let info = &message["KinesisBatchInfo"];
    let text = |field: &str| info[field].as_str().map(str::to_owned);
    Some(SequenceRange {
        shard_id: text("shardId")?,
        start: text("startSequenceNumber")?,
        end: text("endSequenceNumber")?,
    })
}

fn unrecoverable(stores: &Stores) -> Vec<(SequenceRange, String)> {
    let messages = stores.unrecoverable.messages().iter();
    messages
        .filter_map(|queued| {
            let message: Value = serde_json::from_str(&queued.body).ok()?;
            let moved: Value = serde_json::from_str(message["body"].as_str()?).ok()?;
            let code = message["code"].as_str().unwrap_or("unknown").to_owned();
            Some((range_of(&moved)?, code))
        })
        .collect()
}

fn cards(stores: &Stores) -> HashMap<CardId, StoredCard> {
    let tables = &stores.tables;
    let mut cards: HashMap<CardId, StoredCard> = HashMap::new();
    let mut of = |card: &str, put: &mut dyn FnMut(&mut StoredCard)| {
        if let Some(id) = CardId::new(card) {
            put(cards.entry(id).or_default());
        }
    };
    for (card, item) in &tables.states {
        of(card, &mut |stored| stored.state = Some(item.now.bytes.clone()));
    }
    for ((card, key), segment) in &tables.segments {
        of(card, &mut |stored| {
            stored.segments.insert(*key, segment.bytes.to_vec());
        });
    }
    for (card, profile) in &tables.profiles {
        of(card, &mut |stored| stored.profile_version = Some(profile.now.version));
    }
    for ((card, ..), decision) in &tables.decisions {
        of(card, &mut |stored| stored.decisions.push(decision.outcome_json.clone()));
    }
    cards
}

/// What the simulator knows to be wrong at a run's end although nothing went wrong: a restore took events back that had their
/// outcomes, and they were scored again with other inputs, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Events that may be named.
    pub may: HashSet<EventKey>,
    /// Events that must be.
    pub must: HashSet<EventKey>,
}

/// Holds the audit's conclusion against the simulator's knowledge.
pub fn judge(inputs: &Inputs, known: &Known, violations: &mut Violations) {
    let judgement = match inputs.clone().judge() {
        Ok(judgement) => judgement,
        Err(broken) => {
            violations.add(None, format!("audit: {broken}"));
            return;
        }
    };
    let may: BTreeSet<String> = known.may.iter().map(ToString::to_string).collect();
    for found in &judgement.breaks {
        if !may.iter().any(|event| found.what.contains(event.as_str())) {
            violations.add(
                None,
                format!("audit: {} {}, which is not so", found.invariant, found.what),
            );
        }
    }
    for event in known.must.iter().filter(|_| !is_full(&judgement)) {
        if !is_named(&judgement, &event.to_string()) {
            violations.add(None, format!("audit: nothing said of {event}, whose outcomes differ"));
        }
    }
    // Nothing seen is not "holds".
    let is_right = judgement.holds == (judgement.breaks.is_empty() && !inputs.records.is_empty());
    if !is_right {
        violations.add(
            None,
            format!(
                "audit: holds is {}, and {} breaks are named: {:?}, {} unaccounted",
                judgement.holds,
                judgement.breaks.len(),
                judgement.outcomes,
                judgement.account.unaccounted
            ),
        );
    }
}

/// Whether a judgement names as many breaks as it ever does: what is broken besides may be missing among them.
#[must_use]
pub fn is_full(judgement: &Judgement) -> bool {
    judgement.breaks.len() >= reconcile::BREAKS_MAX
}

/// Whether a judgement says that something is broken, and names it.
#[must_use]
pub fn is_named(judgement: &Judgement, name: &str) -> bool {
    !judgement.holds && judgement.breaks.iter().any(|found| found.what.contains(name))
}
