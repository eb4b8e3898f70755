//! What must hold at the end of a run, recomputed from what producers sent.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_domain::card::CardState;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Label, Profile, Transaction};
use tidemark_domain::fold::{self, Applied};
use tidemark_domain::id::fingerprint32;
use tidemark_domain::outcome::render_json;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;
use tidemark_domain::score::ProfileInput;
use tidemark_engine::port::QuarantineMessage;

use crate::stream::Stream;
use crate::world::Stores;

/// How many violations are told; more say nothing new.
const TOLD_MAX: usize = 20;

/// What does not hold.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    /// In words, the first few.
    pub told: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Violations {
    /// Adds one.
    pub fn add(&mut self, words: String) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(words);
        }
    }

    fn expect(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.add(words());
        }
    }

    /// Whether everything holds.
    #[must_use]
    pub fn none(&self) -> bool {
        self.count == 0
    }
}

/// An outcome as the scores stream has it.
struct Emitted {
    bytes: Vec<u8>,
    seq: u64,
    profile_version: Option<u64>,
    tier: String,
    card_id: String,
}

/// Everything that producers sent, decoded.
#[derive(Default)]
struct Sent {
    /// Transactions by event id; the place of the first record of each.
    transactions: BTreeMap<String, (usize, Transaction)>,
    profiles: BTreeMap<(String, u64), Profile>,
    labels: Vec<(String, Label)>,
    /// Refused by the contract: sequence number, code, bytes.
    refused: Vec<(String, RefusalCode, Vec<u8>)>,
}

/// Checks I1 to I5 and the quarantine. `dead` are the places of records that were dead-lettered at some time: their cards'
/// order is not the stream's.
pub fn check(stream: &Stream, stores: &Stores, policy: &Policy, dead: &BTreeSet<usize>, violations: &mut Violations) {
    for broken in &stores.broken {
        violations.add(broken.clone());
    }
    let sent = decode(stream, policy);
    let emitted = emitted(stores, violations);
    let quarantined = quarantined(stores, violations);
    refusals(&sent, &quarantined, violations);
    accounted(&sent, &emitted, &quarantined, stores, violations);
    for card in cards(&sent) {
        card_holds(&card, &sent, &emitted, &quarantined, stores, policy, violations);
    }
    order(&sent, &emitted, dead, violations);
    decisions(&emitted, stores, violations);
}

fn decode(stream: &Stream, policy: &Policy) -> Sent {
    let mut sent = Sent::default();
    let mut records: Vec<_> = stream.shards.iter().flat_map(|shard| &shard.records).collect();
    records.sort_by_key(|(place, _)| *place);
    for (place, record) in records {
        match contract::decode(&record.body, record.arrival_ms, &policy.bounds) {
            Err(refusal) => sent
                .refused
                .push((record.sequence_number.clone(), refusal.code, record.body.clone())),
            Ok(decoded) => match decoded.event {
                Event::Transaction(tx) => {
                    sent.transactions.entry(tx.event_id.to_string()).or_insert((*place, tx));
                }
                Event::Profile(profile) => {
                    sent.profiles
                        .entry((profile.card_id.to_string(), profile.version))
                        .or_insert(profile);
                }
                Event::Label(label) => sent.labels.push((record.sequence_number.clone(), label)),
            },
        }
    }
    sent
}

/// One outcome an event, and every copy of it the same bytes (I3).
fn emitted(stores: &Stores, violations: &mut Violations) -> BTreeMap<String, Emitted> {
    let mut emitted: BTreeMap<String, Emitted> = BTreeMap::new();
    for outcome in &stores.outcomes {
        let value: serde_json::Value = serde_json::from_slice(&outcome.bytes).unwrap_or_default();
        let id = value["event_id"].as_str().unwrap_or_default().to_owned();
        match emitted.get(&id) {
            Some(first) => violations.expect(first.bytes == outcome.bytes, || {
                format!("I3: event {id} has two outcomes")
            }),
            None => {
                let one = Emitted {
                    bytes: outcome.bytes.clone(),
                    seq: value["state_version"].as_u64().unwrap_or(u64::MAX),
                    profile_version: value["profile_version"].as_u64(),
                    tier: value["tier"].as_str().unwrap_or_default().to_owned(),
                    card_id: outcome.card_id.to_string(),
                };
                emitted.insert(id, one);
            }
        }
    }
    emitted
}

/// Refused records by sequence number: code and bytes, put together from their parts.
fn quarantined(stores: &Stores, violations: &mut Violations) -> BTreeMap<String, (RefusalCode, Vec<u8>)> {
    let mut parts: BTreeMap<&str, BTreeMap<u32, &QuarantineMessage>> = BTreeMap::new();
    for message in &stores.quarantine {
        parts
            .entry(&message.sequence_number)
            .or_default()
            .insert(message.part, message);
    }
    let mut whole = BTreeMap::new();
    for (number, parts) in parts {
        let Some(first) = parts.values().next() else { continue };
        violations.expect(parts.len() == first.parts as usize, || {
            format!("I1: record {number}: quarantined in part")
        });
        let bytes = parts
            .values()
            .flat_map(|part| STANDARD.decode(&part.payload_base64).unwrap_or_default())
            .collect();
        whole.insert(number.to_owned(), (first.code, bytes));
    }
    whole
}

/// What the contract refuses is in the quarantine, whole, under its code; nothing else that the contract refuses is there.
fn refusals(sent: &Sent, quarantined: &BTreeMap<String, (RefusalCode, Vec<u8>)>, violations: &mut Violations) {
    for (number, code, bytes) in &sent.refused {
        let kept = quarantined.get(number);
        violations.expect(kept.is_some_and(|kept| kept.0 == *code && kept.1 == *bytes), || {
            format!("I1: record {number} ({code:?}) is not in the quarantine as it came")
        });
    }
    let refused: BTreeSet<&str> = sent.refused.iter().map(|(number, ..)| number.as_str()).collect();
    for (number, (code, _)) in quarantined {
        let by_history = matches!(code, RefusalCode::BeyondHorizon | RefusalCode::LabelWithoutEvent);
        violations.expect(by_history || refused.contains(number.as_str()), || {
            format!("record {number} was refused as {code:?}, which the contract does not say")
        });
    }
}

/// Every transaction has an outcome or was refused by its card's history; no outcome is of something that nobody sent (I1, I2).
fn accounted(
    sent: &Sent,
    emitted: &BTreeMap<String, Emitted>,
    quarantined: &BTreeMap<String, (RefusalCode, Vec<u8>)>,
    stores: &Stores,
    violations: &mut Violations,
) {
    let refused: BTreeSet<&[u8]> = quarantined
        .values()
        .filter(|(code, _)| *code == RefusalCode::BeyondHorizon)
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    for (id, (_, tx)) in &sent.transactions {
        let refused = || {
            refused
                .iter()
                .any(|bytes| contains(bytes, &format!(r#""event_id":"{id}""#)))
        };
        violations.expect(emitted.contains_key(id) || refused(), || {
            format!("I1: event {id} of {} has no end", tx.card_id)
        });
    }
    for id in emitted.keys() {
        violations.expect(sent.transactions.contains_key(id), || {
            format!("I2: an outcome for {id}, which nobody sent")
        });
    }
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for (card, version) in sent.profiles.keys() {
        let newest = newest.entry(card).or_default();
        *newest = (*newest).max(*version);
    }
    for (card, version) in newest {
        let stored = stores.profile(card).map(|profile| profile.version);
        violations.expect(stored == Some(version), || {
            format!("I1: card {card}: profile {stored:?}, sent was {version}")
        });
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn cards(sent: &Sent) -> BTreeSet<String> {
    sent.transactions
        .values()
        .map(|(_, tx)| tx.card_id.to_string())
        .collect()
}

/// The stored state is, byte for byte, the plain fold of the card's accepted events in the order they were accepted, each with
/// the profile that its outcome names; and so are the outcomes (I2, I3, I6).
fn card_holds(
    card: &str,
    sent: &Sent,
    emitted: &BTreeMap<String, Emitted>,
    quarantined: &BTreeMap<String, (RefusalCode, Vec<u8>)>,
    stores: &Stores,
    policy: &Policy,
    violations: &mut Violations,
) {
    let mut accepted: Vec<(&String, &Emitted)> = emitted.iter().filter(|(_, one)| one.card_id == card).collect();
    accepted.sort_by_key(|(_, one)| one.seq);
    let mut state = CardState::default();
    for (at, (id, one)) in accepted.iter().enumerate() {
        if one.seq != at as u64 {
            violations.add(format!(
                "I2: card {card}: event {id} is number {} and should be {at}",
                one.seq
            ));
            return;
        }
        let Some((_, tx)) = sent.transactions.get(*id) else {
            return;
        };
        let profile = one
            .profile_version
            .and_then(|version| sent.profiles.get(&(card.to_owned(), version)));
        let input = match (profile, one.tier.as_str()) {
            (Some(profile), _) => ProfileInput::Known(profile),
            (None, "no_profile" | "neutral") => ProfileInput::Unavailable,
            (None, "history_only") => ProfileInput::Skipped,
            (None, _) => ProfileInput::Absent,
        };
        match fold::apply_transaction(&mut state, tx, input, policy) {
            Applied::Scored { entry } => {
                let bytes = render_json(&tx.card_id, &tx.event_id, &entry);
                violations.expect(bytes == one.bytes, || {
                    format!("I6: event {id}: another outcome than its inputs give")
                });
            }
            other => {
                violations.add(format!(
                    "I2: card {card}: event {id} can't have been accepted: {other:?}"
                ));
                return;
            }
        }
    }
    let stored = stores.state(card).map(|item| item.bytes.clone()).unwrap_or_default();
    for (number, label) in sent.labels.iter().filter(|(_, label)| label.card_id.as_str() == card) {
        if !quarantined.contains_key(number) || carries(card, stores, label) {
            fold::apply_label(&mut state, label, policy);
        }
    }
    let folded = if accepted.is_empty() {
        stored.clone()
    } else {
        state.encode()
    };
    violations.expect(stored == folded, || {
        format!("I2: card {card}: the stored state is not the fold of its events")
    });
}

/// Whether a stored state has just this label on its event. A label may come before its event (a redrive brings that later):
/// it is put into quarantine, and when its worker dies before it has answered, the label comes again and may find the event.
fn carries(card: &str, stores: &Stores, label: &Label) -> bool {
    let event_fp = fingerprint32(label.event_id.as_str());
    stores.whole_state(card).is_some_and(|state| {
        let mut entries = state.all_entries().into_iter();
        entries.any(|entry| entry.event_fp == event_fp && entry.label == Some((label.verdict, label.known_since_ms)))
    })
}

/// A card's events were accepted in the stream's order, unless one of the card's records was dead-lettered (I4).
fn order(sent: &Sent, emitted: &BTreeMap<String, Emitted>, dead: &BTreeSet<usize>, violations: &mut Violations) {
    if !dead.is_empty() {
        // Which cards a dead letter touches is known by its records; their order is the redrive's.
        return;
    }
    let mut last: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    let mut in_stream: Vec<(&String, &(usize, Transaction))> = sent.transactions.iter().collect();
    in_stream.sort_by_key(|(_, (place, _))| *place);
    for (id, (_, tx)) in in_stream {
        let Some(one) = emitted.get(id) else { continue };
        if let Some((before, other)) = last.get(tx.card_id.as_str()) {
            violations.expect(*before < one.seq, || {
                format!("I4: card {}: {id} before {other}", tx.card_id)
            });
        }
        last.insert(tx.card_id.as_str(), (one.seq, id));
    }
}

/// Every alert was recorded once, with the outcome's bytes.
fn decisions(emitted: &BTreeMap<String, Emitted>, stores: &Stores, violations: &mut Violations) {
    let mut recorded = BTreeMap::new();
    for (event, (kept, _)) in &stores.decisions {
        recorded.insert((event.card_id.as_str(), event.event_id.as_str()), kept);
    }
    for (id, one) in emitted {
        let alert = contains(&one.bytes, r#""decision":"alert""#);
        let kept = recorded.get(&(one.card_id.as_str(), id.as_str()));
        violations.expect(
            !alert || kept.is_some_and(|kept| kept.outcome_json == one.bytes),
            || format!("I3: the alert of event {id} is not recorded as it was sent"),
        );
    }
}
