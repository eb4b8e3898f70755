//! Keys beyond the card: what their items hold is held against the labels of the stream and against the cards (I1, I2).
//!
//! A label's record has its end when its card and every key of its event have it. Which keys those are, the policies in force since it
//! arrived say together: what one of them does not keep, nobody has to have.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use tidemark_domain::event::Verdict;
use tidemark_domain::history::Entry;
use tidemark_domain::id::{CardId, EventId};
use tidemark_domain::labelled::{LABELLED_MS, LabelledEvent, LabelledHistory, event_identity};
use tidemark_domain::policy::{KeyField, KeyTerms};
use tidemark_engine::port::KeyId;
use xxhash_rust::xxh3::xxh3_64;

use crate::record::{Claim, Record};

/// A process may keep keys by an older policy for so long after a change, ms: while it can't read the control plane, its last good
/// copy stays in force, for as long as the process lives. Lambda ends each after some hours.
const OLD_KEYS_MS_MAX: i64 = 24 * 3_600_000;

/// The keys that policies keep, over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysInForce {
    first: Vec<KeyTerms>,
    /// Since when, ms since 1970-01-01T00:00:00Z, ascending.
    changes: Vec<(i64, Vec<KeyTerms>)>,
}

impl KeysInForce {
    /// `first`, and from each change's time on (ms since 1970-01-01T00:00:00Z) that change's keys.
    #[must_use]
    pub fn changing(first: Vec<KeyTerms>, mut changes: Vec<(i64, Vec<KeyTerms>)>) -> Self {
        changes.sort_by_key(|(since_ms, _)| *since_ms);
        Self { first, changes }
    }

    /// Whether no policy keeps any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.changes.iter().all(|(_, keys)| keys.is_empty())
    }

    fn ever(&self) -> impl Iterator<Item = &KeyTerms> {
        self.first.iter().chain(self.changes.iter().flat_map(|(_, keys)| keys))
    }

    /// The keys that every policy keeps by which a record that arrived then (ms since 1970-01-01T00:00:00Z) may have been judged.
    #[must_use]
    pub fn since(&self, arrival_ms: i64) -> Vec<KeyTerms> {
        let from_ms = arrival_ms.saturating_sub(OLD_KEYS_MS_MAX);
        let before = self.changes.partition_point(|(since_ms, _)| *since_ms <= from_ms);
        let at_first = before.checked_sub(1).map_or(&self.first, |at| &self.changes[at].1);
        let later = &self.changes[before..];
        let is_kept = |terms: &&KeyTerms| later.iter().all(|(_, keys)| keys.contains(terms));
        at_first.iter().filter(is_kept).copied().collect()
    }
}

/// What the items of keys show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyChecks {
    /// Keys whose items were looked for.
    pub keys: u64,
    /// Labels that were held against them: one for each key that its event has.
    pub labels: u64,
    /// Of these, labels that a key should have and has not (I1).
    pub missing: u64,
    /// Labels in keys' items that no card and no record knows, or that say something else (I2).
    pub forged: u64,
    /// Items that can't be read: nothing is shown of them.
    pub unread: u64,
}

impl KeyChecks {
    pub(crate) fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.labels += other.labels;
        self.missing += other.missing;
        self.forged += other.forged;
        self.unread += other.unread;
    }

    pub(crate) const fn broken(&self) -> u64 {
        self.forged + self.unread
    }
}

/// Why a label is suspected that its card does not show any more.
const NO_RECORD: &str = "and no record says so";

/// A label in a key that its card does not show any more, and that some record has to say.
#[derive(Debug)]
pub(crate) struct Suspected {
    /// The hash of what such a record says.
    pub(crate) said: u64,
    /// When its event happened, ms since 1970-01-01T00:00:00Z.
    pub(crate) time_ms: i64,
    /// What is wrong with it where none does.
    pub(crate) what: String,
}

/// What stands for what a label says of an event.
fn said(event: u64, (known_since_ms, verdict): Rank) -> u64 {
    xxh3_64(format!("{event} {known_since_ms} {}", verdict.as_str()).as_bytes())
}

/// What a label's record should have taught: one of these keys has it.
#[derive(Debug)]
struct Lesson {
    record: usize,
    keys: Vec<KeyId>,
    event: u64,
    times_ms: BTreeSet<i64>,
    rank: Rank,
    /// The label names the event's time: its card may have forgotten the event.
    is_forgotten_event: bool,
    /// A key holds just this label.
    is_there: bool,
    /// Nothing is missing.
    is_learned: bool,
}

/// Since when a label is known (ms), and what it says: of an event's labels the last one in this order counts.
type Rank = (i64, Verdict);

/// What is known of a card's events of one id in the range.
#[derive(Debug, Default)]
struct EventFacts {
    name: String,
    /// The record of one of them is in the range.
    has_record: bool,
    /// The keys that cards and labels say it has: time (ms), the field, identity.
    identities: BTreeSet<(i64, KeyField, u64)>,
    /// What the card holds: its time (ms), its label, and whether it is explained.
    kept: Vec<(i64, Option<Rank>, bool)>,
}

/// The keys' part of an audit.
#[derive(Debug, Default)]
pub(crate) struct KeyAudit {
    in_force: KeysInForce,
    lessons: Vec<Lesson>,
    of_key: BTreeMap<KeyId, Vec<usize>>,
    events: HashMap<u64, EventFacts>,
    /// Labels that records say, by their hashes.
    pub(crate) said: HashSet<u64>,
    /// Labels in keys of which no record says them, as far as is known yet.
    pub(crate) suspected: Vec<Suspected>,
    pub(crate) checks: KeyChecks,
}

impl KeyAudit {
    pub(crate) fn new(in_force: KeysInForce) -> Self {
        Self {
            in_force,
            ..Self::default()
        }
    }

    /// Notes a card's events and labels, and the keys that they name.
    pub(crate) fn take_card<'r>(
        &mut self,
        card: &CardId,
        entries: &[&Entry],
        records: impl Iterator<Item = (usize, &'r Record)>,
    ) {
        if self.in_force.is_empty() {
            return;
        }
        for terms in self.in_force.since(i64::MAX) {
            for identity in entries.iter().filter_map(|entry| identity_of(entry, terms.field)) {
                let key = KeyId {
                    name: terms.name,
                    identity,
                };
                self.of_key.entry(key).or_default();
            }
        }
        for (at, record) in records {
            match record.widest_claim() {
                Claim::Transaction(event) => {
                    let from = entries.partition_point(|entry| entry.time_ms < event.occurred_at_ms);
                    let same_time = entries[from..]
                        .iter()
                        .take_while(|entry| entry.time_ms == event.occurred_at_ms);
                    let kept = same_time.filter(|entry| entry.mark().has_id(&event.event_id));
                    let facts = self.facts(card, &event.event_id);
                    facts.name = event.to_string();
                    facts.has_record = true;
                    kept.for_each(|entry| facts.note(entry));
                }
                Claim::Label { .. } => self.take_label(card, entries, at, record),
                Claim::Profile { .. } | Claim::Refused => {}
            }
        }
    }

    fn facts(&mut self, card: &CardId, event: &EventId) -> &mut EventFacts {
        self.events.entry(event_identity(card, event)).or_default()
    }

    fn take_label(&mut self, card: &CardId, entries: &[&Entry], record: usize, of: &Record) {
        let Claim::Label {
            event_id,
            verdict,
            known_since_ms,
            occurred_at_ms,
            named,
            ..
        } = of.widest_claim()
        else {
            return;
        };
        let is_meant = |entry: &&&Entry| {
            entry.mark().has_id(event_id) && occurred_at_ms.is_none_or(|time_ms| entry.time_ms == time_ms)
        };
        // Of several events of one id it means one that has it, or one that outranks it.
        let has_it = |entry: &&&Entry| {
            entry
                .label
                .is_some_and(|(other, since_ms)| (since_ms, other) >= (*known_since_ms, *verdict))
        };
        let meant: Vec<&Entry> = entries.iter().filter(is_meant).filter(has_it).copied().collect();
        let label = said(event_identity(card, event_id), (*known_since_ms, *verdict));
        self.said.insert(label);
        let facts = self.facts(card, event_id);
        if facts.name.is_empty() {
            facts.name = format!("event {event_id} of card {card}");
        }
        if let Some(time_ms) = *occurred_at_ms {
            let named = named.iter().map(|(field, identity)| (time_ms, *field, *identity));
            facts.identities.extend(named);
        }
        meant.iter().for_each(|entry| facts.note(entry));
        let times_ms: BTreeSet<i64> = meant.iter().map(|entry| entry.time_ms).chain(*occurred_at_ms).collect();
        for terms in self.in_force.since(of.arrival_ms) {
            let named = identity(named.iter().copied(), terms.field);
            let mut identities: Vec<Option<u64>> = meant
                .iter()
                .map(|entry| identity_of(entry, terms.field).or(named))
                .collect();
            // What a card has forgotten does not come back: one that holds the event held it then.
            if occurred_at_ms.is_some() && meant.is_empty() {
                identities.push(named);
            }
            // Where its card did not know the event's key and the label says none, nobody can tell.
            let Some(identities) = identities
                .into_iter()
                .collect::<Option<BTreeSet<u64>>>()
                .filter(|all| !all.is_empty())
            else {
                continue;
            };
            let keys: Vec<KeyId> = identities
                .into_iter()
                .map(|identity| KeyId {
                    name: terms.name,
                    identity,
                })
                .collect();
            for key in &keys {
                self.of_key.entry(*key).or_default().push(self.lessons.len());
            }
            self.lessons.push(Lesson {
                record,
                keys,
                event: event_identity(card, event_id),
                times_ms: times_ms.clone(),
                rank: (*known_since_ms, *verdict),
                is_forgotten_event: occurred_at_ms.is_some(),
                is_there: false,
                is_learned: false,
            });
        }
    }

    /// Whether a label may have taught a key that not every policy keeps that was in force since: nobody can tell then.
    pub(crate) fn may_have_taught(&self, record: &Record) -> bool {
        let Claim::Label {
            occurred_at_ms: Some(_),
            named,
            ..
        } = record.widest_claim()
        else {
            return false;
        };
        let is_named = |terms: &KeyTerms| named.iter().any(|(field, _)| *field == terms.field);
        let always = self.in_force.since(record.arrival_ms);
        self.in_force
            .ever()
            .any(|terms| is_named(terms) && !always.contains(terms))
    }

    /// The keys whose items are to be taken.
    pub(crate) fn keys(&self) -> Vec<KeyId> {
        self.of_key.keys().copied().collect()
    }

    /// Holds a key's item against the lessons and the events. The answer: what is wrong with it.
    pub(crate) fn take_key(&mut self, key: KeyId, item: Option<&[u8]>, now_ms: i64) -> Vec<String> {
        let lessons = self.of_key.remove(&key).unwrap_or_default();
        self.checks.keys += 1;
        let history = match item.map(LabelledHistory::decode).transpose() {
            Ok(history) => history.unwrap_or_default(),
            Err(error) => {
                self.checks.unread += 1;
                // What it should hold is not shown, and not missing either.
                lessons.iter().for_each(|at| self.lessons[*at].is_learned = true);
                return vec![format!(
                    "key {key} can't be read, so that nothing is shown of it: {error}"
                )];
            }
        };
        for at in lessons {
            let lesson = &mut self.lessons[at];
            let kept = lesson
                .times_ms
                .iter()
                .flat_map(|time_ms| history.of_event((*time_ms, lesson.event)));
            let ranks: Vec<Rank> = kept.map(rank).collect();
            lesson.is_there |= ranks.contains(&lesson.rank);
            let is_gone = |time_ms: &i64| {
                let is_old = time_ms.saturating_add(LABELLED_MS) <= now_ms;
                is_old && item.is_none() || history.is_forgotten((*time_ms, lesson.event))
            };
            let takes_nothing_back = lesson.rank.1 == Verdict::Cleared
                && ranks
                    .iter()
                    .max()
                    .is_none_or(|latest| latest.1 == Verdict::Cleared || *latest > lesson.rank);
            lesson.is_learned |= lesson.is_there || takes_nothing_back || lesson.times_ms.iter().any(is_gone);
        }
        let labels = history.labels().iter();
        let forged: Vec<String> = labels.filter_map(|label| self.wrong(key, label)).collect();
        self.checks.forged += forged.len() as u64;
        forged
    }

    /// What is wrong with a label that a key holds, as far as its event's card tells; what only the label's record can tell waits
    /// for all records.
    fn wrong(&mut self, key: KeyId, label: &LabelledEvent) -> Option<String> {
        let facts = self.events.get(&label.event)?;
        let kept = facts.kept.iter().find(|(time_ms, ..)| *time_ms == label.time_ms);
        let of_card = kept.map(|(_, of_card, explained)| (*of_card, *explained));
        let field = self
            .in_force
            .ever()
            .find(|terms| terms.name == key.name)
            .map(|terms| terms.field);
        let is_of = |(time_ms, of, _): &&(i64, KeyField, u64)| *time_ms == label.time_ms && Some(*of) == field;
        let of_field = || facts.identities.iter().filter(is_of);
        let is_of_other = of_field().count() > 0 && of_field().all(|(.., identity)| *identity != key.identity);
        let why = match of_card {
            _ if is_of_other => "which has another key",
            Some((None, _)) => "and its card has no label of the event",
            Some((Some(of_card), _)) if of_card < rank(label) => "which is later than the one that its card has",
            Some((_, explained)) if label.explained.is_some_and(|says| says != explained) => {
                "and says otherwise than its card whether that explained the event"
            }
            _ => NO_RECORD,
        };
        let (name, verdict, since_ms) = (&facts.name, label.verdict.as_str(), label.known_since_ms);
        let what = format!("key {key} holds a label ({verdict}, known since {since_ms}) of {name}, {why}");
        if why != NO_RECORD {
            return Some(what);
        }
        if facts.has_record && of_card.is_none_or(|(of_card, _)| of_card != Some(rank(label))) {
            let said = said(label.event, rank(label));
            let time_ms = label.time_ms;
            self.suspected.push(Suspected { said, time_ms, what });
        }
        None
    }

    /// What is known of each record's lessons: it is in a key, or a key lacks it.
    pub(crate) fn taught(&self) -> HashMap<usize, Taught> {
        let mut taught: HashMap<usize, Taught> = HashMap::new();
        for lesson in &self.lessons {
            let of_record = taught.entry(lesson.record).or_default();
            of_record.is_there |= lesson.is_there;
            of_record.may_be_unshown |= lesson.is_learned && lesson.is_forgotten_event;
            of_record.lessons += 1;
            if !lesson.is_learned {
                of_record.lacking = lesson.keys.first().copied();
            }
        }
        taught
    }

    /// Keys that nobody took: nothing is shown of them.
    pub(crate) fn untaken(&self) -> Vec<KeyId> {
        self.keys()
    }
}

impl EventFacts {
    fn note(&mut self, entry: &Entry) {
        let label = entry.label.map(|(verdict, since_ms)| (since_ms, verdict));
        let keys = KeyField::kept_in(entry);
        self.identities
            .extend(keys.map(|(field, identity)| (entry.time_ms, field, identity)));
        if !self.kept.iter().any(|(time_ms, ..)| *time_ms == entry.time_ms) {
            self.kept.push((entry.time_ms, label, entry.outcome.explained));
        }
    }
}

/// What came of a record's lessons.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taught {
    /// A key holds its label.
    pub(crate) is_there: bool,
    /// Its card may have forgotten the event, and its key, too, or its key never had anything to take back.
    pub(crate) may_be_unshown: bool,
    /// How many keys were to learn from it.
    pub(crate) lessons: u64,
    /// A key that should have it and has not.
    pub(crate) lacking: Option<KeyId>,
}

/// The order of an event's labels: the last one counts.
const fn rank(label: &LabelledEvent) -> Rank {
    (label.known_since_ms, label.verdict)
}

fn identity_of(entry: &Entry, field: KeyField) -> Option<u64> {
    identity(KeyField::kept_in(entry), field)
}

fn identity(mut keys: impl Iterator<Item = (KeyField, u64)>, field: KeyField) -> Option<u64> {
    keys.find(|(of, _)| *of == field).map(|(_, identity)| identity)
}
