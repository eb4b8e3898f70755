//! What must hold at the end of a run, recomputed from what producers sent.

mod cards;
mod decided;
mod imports;
mod keys;
mod sent;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::invariant::Invariant;
use tidemark_domain::refusal::RefusalCode;
use tidemark_engine::port::QuarantineMessage;
use tidemark_engine::record::compare_sequence_numbers;

pub use sent::{EventKey, Place, Sent};

use crate::audit::Known;
use crate::draws::Draws;
use crate::policies::Policies;
use crate::violations::Violations;
use crate::world::Stores;

/// A redrive after a restore takes so long at most, ms: what goes past retention meanwhile may be gone.
const GONE_SLACK_MS: i64 = 12 * 3_600_000;

/// What is known at a run's end.
pub struct Facts<'r> {
    /// What the services hold, and what the simulator saw of every write.
    pub stores: &'r Stores,
    /// Every policy that there was.
    pub policies: &'r Policies,
    /// What the seed had.
    pub draws: Draws,
    /// Places of records that were dead-lettered at some time: their cards' order is not the stream's.
    pub dead: &'r BTreeSet<usize>,
}

/// An outcome as the scores stream has it.
pub struct Emitted {
    /// The first copy.
    pub bytes: Vec<u8>,
    /// The number of its event among its card's.
    pub seq: u64,
    /// Whether another copy has other bytes.
    pub differs: bool,
}

/// What was refused: by the record and its place in it, the codes and the bytes.
pub type Quarantined = BTreeMap<Place, (BTreeSet<RefusalCode>, Vec<u8>)>;

/// Everything that is looked at, put into order.
pub struct Evidence<'r> {
    facts: &'r Facts<'r>,
    sent: Sent,
    emitted: BTreeMap<EventKey, Emitted>,
    quarantined: Quarantined,
    /// Records that the unrecoverable queue names, by shard and number.
    lost: BTreeSet<(String, String)>,
}

/// Checks I1 to I6, the quarantine, the decisions and what operators decided. What is known to be as it is though a fresh look
/// would call it wrong.
pub fn check(facts: &Facts<'_>, violations: &mut Violations) -> Known {
    for (invariant, words) in &facts.stores.known.broken {
        violations.add(*invariant, words.clone());
    }
    let evidence = Evidence {
        facts,
        sent: Sent::decode(facts.stores, facts.policies),
        emitted: emitted(facts.stores),
        quarantined: quarantined(facts.stores, violations),
        lost: lost(facts.stores),
    };
    evidence.refusals(violations);
    evidence.profiles(violations);
    evidence.cards(violations);
    evidence.keys(violations);
    evidence.known()
}

fn emitted(stores: &Stores) -> BTreeMap<EventKey, Emitted> {
    let mut emitted: BTreeMap<EventKey, Emitted> = BTreeMap::new();
    let mut last: Option<(&[u8], EventKey)> = None;
    for sent in &stores.outcomes {
        let bytes = sent.outcome.bytes.as_slice();
        if last.as_ref().is_some_and(|(other, _)| *other == bytes) {
            continue;
        }
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let key = (
            sent.outcome.card_id.to_string(),
            value["event_id"].as_str().unwrap_or_default().to_owned(),
            value["occurred_at_ms"].as_i64().unwrap_or_default(),
        );
        let first = emitted.entry(key.clone()).or_insert_with(|| Emitted {
            bytes: bytes.to_vec(),
            seq: value["state_version"].as_u64().unwrap_or(u64::MAX),
            differs: false,
        });
        first.differs |= first.bytes != bytes;
        last = Some((bytes, key));
    }
    emitted
}

/// Refused records, put together from their parts.
fn quarantined(stores: &Stores, violations: &mut Violations) -> Quarantined {
    let mut parts: BTreeMap<Place, BTreeMap<u32, QuarantineMessage>> = BTreeMap::new();
    let mut codes: BTreeMap<Place, BTreeSet<RefusalCode>> = BTreeMap::new();
    for queued in stores.quarantine.messages() {
        let Ok(message) = serde_json::from_str::<QuarantineMessage>(&queued.body) else {
            violations.add(None, "a message of the quarantine is none".to_owned());
            continue;
        };
        let place = (
            message.shard_id.clone(),
            message.sequence_number.clone(),
            message.sub_sequence_number,
        );
        codes.entry(place.clone()).or_default().insert(message.code);
        parts.entry(place).or_default().insert(message.part, message);
    }
    let mut whole = BTreeMap::new();
    for (place, parts) in parts {
        let Some(first) = parts.values().next() else { continue };
        violations.expect(Invariant::NothingLost, parts.len() == first.parts as usize, || {
            format!("record {place:?}: quarantined in part")
        });
        let bytes = parts
            .values()
            .flat_map(|part| STANDARD.decode(&part.payload_base64).unwrap_or_default())
            .collect();
        let codes = codes.remove(&place).unwrap_or_default();
        whole.insert(place, (codes, bytes));
    }
    whole
}

/// Records that are lost and named: they are past retention, and a message of the unrecoverable queue has them in its range.
fn lost(stores: &Stores) -> BTreeSet<(String, String)> {
    let mut lost = BTreeSet::new();
    for queued in stores.unrecoverable.messages() {
        let message: Value = serde_json::from_str(&queued.body).unwrap_or_default();
        let moved: Value = serde_json::from_str(message["body"].as_str().unwrap_or_default()).unwrap_or_default();
        let info = &moved["KinesisBatchInfo"];
        let text = |field: &str| info[field].as_str().unwrap_or_default();
        let Some(shard) = stores.stream.shard(text("shardId")) else {
            continue;
        };
        let (start, end) = (text("startSequenceNumber"), text("endSequenceNumber"));
        let in_range = |number: &str| {
            compare_sequence_numbers(number, start).is_ge() && compare_sequence_numbers(number, end).is_le()
        };
        let numbers = shard.records.iter().map(|(_, record)| &record.sequence_number);
        lost.extend(
            numbers
                .filter(|number| in_range(number))
                .map(|number| (shard.id.clone(), number.clone())),
        );
    }
    lost
}

impl Evidence<'_> {
    /// Events that a restore took back.
    fn known(&self) -> Known {
        let mut known = Known::default();
        if self.facts.stores.known.rolled_back.is_empty() {
            return known;
        }
        for key in self.sent.events.keys().filter(|key| self.is_rolled_back(key)) {
            let Some(event) = tidemark_domain::id::EventKey::new(&key.0, &key.1, key.2) else {
                continue;
            };
            if self.emitted.get(key).is_some_and(|emitted| emitted.differs) {
                known.must.insert(event.clone());
            }
            known.may.insert(event);
        }
        known
    }

    fn is_lost(&self, place: &Place) -> bool {
        !self.lost.is_empty() && self.lost.contains(&(place.0.clone(), place.1.clone()))
    }

    /// Whether a record that arrived then was past the stream's retention when somebody restored the table, or while the redrive
    /// after that died again and again.
    fn was_gone(&self, arrival_ms: i64) -> bool {
        let stores = self.facts.stores;
        let last_ms = stores.known.restored_ms.max(stores.known.redriven_ms);
        let gone = last_ms.zip(stores.stream.retention_ms);
        gone.is_some_and(|(restored_ms, retention_ms)| arrival_ms < restored_ms + GONE_SLACK_MS - retention_ms)
    }

    /// What the contract refuses is in the quarantine, whole, under its code; nothing else that the contract refuses is there.
    fn refusals(&self, violations: &mut Violations) {
        for refused in &self.sent.refused {
            let place = &refused.place;
            let kept = self.quarantined.get(place).is_some_and(|(codes, bytes)| {
                let as_it_came = *bytes == refused.bytes;
                let masked = || *bytes == *mask_card_numbers(&refused.bytes);
                codes.iter().all(|code| refused.codes.contains(code)) && (as_it_came || masked())
            });
            violations.expect(
                Invariant::NothingLost,
                kept || refused.doubtful || self.is_lost(place),
                || {
                    format!(
                        "record {place:?} ({:?}) is not in the quarantine as it came",
                        refused.codes
                    )
                },
            );
        }
        let refused: BTreeSet<&Place> = self.sent.refused.iter().map(|refused| &refused.place).collect();
        for (place, (codes, _)) in &self.quarantined {
            let by_history =
                |code: &RefusalCode| matches!(code, RefusalCode::BeyondHorizon | RefusalCode::LabelWithoutEvent);
            let holds = refused.contains(place) || codes.iter().all(by_history);
            violations.expect(None, holds, || {
                format!("record {place:?} was refused as {codes:?}, which the contract does not say")
            });
        }
    }

    /// Every card has the newest profile that was sent.
    fn profiles(&self, violations: &mut Violations) {
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for ((card, version), copy) in &self.sent.profile_copies {
            if !self.is_lost(&copy.place) && !self.was_gone(copy.arrival_ms) {
                let newest = newest.entry(card).or_default();
                *newest = (*newest).max(*version);
            }
        }
        for (card, version) in newest {
            let stored = self.facts.stores.tables.profiles.get(card);
            let stored = stored.map(|versions| versions.now.version);
            violations.expect(Invariant::NothingLost, stored >= Some(version), || {
                format!("card {card}: profile {stored:?}, sent was {version}")
            });
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
