//! What the labels of a run taught keys beyond the card, by the rules of `docs/concepts/learning.md`: plain lists, by the ids that were sent.
//!
//! An outcome says how many labels of a key were known when it was scored. Where that is all that were sent and known by then, which
//! they were is clear. Where it is fewer, some had not reached the key yet: any so many of them may be meant, and each is tried.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::{Label, Transaction, Verdict};
use tidemark_domain::id::{DeviceId, LinkId, MerchantId};
use tidemark_domain::labelled::{LABELS_MAX, LabelledEvent};
use tidemark_domain::policy::{KeyField, Policy};

use super::Labelled;
use super::history::{Change, NaiveCard, Past};

/// So many choices of labels are tried for one event.
const CHOICES_MAX: usize = 500;

/// The labels of all keys.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    of_key: HashMap<(KeyName, String), Vec<LabelledEvent>>,
    /// Numbers of events, by card and id.
    events: HashMap<(String, String), u64>,
}

/// What may have been known of a policy's keys, in its order; `None`: the event names no such key, or it could not be read.
pub(super) type Choice = Vec<(KeyName, Option<Rc<Vec<LabelledEvent>>>)>;

/// What an outcome may have been scored with.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Every choice that agrees with what the outcome names; none where there are too many.
    pub(super) choices: Vec<Choice>,
    /// Keys that could not be read.
    pub(super) unread: Vec<KeyName>,
    /// Keys of which the outcome names more labels than were sent, or that it can't name at all.
    pub(super) wrong: Vec<String>,
    /// Labels that it names.
    pub(super) named: u64,
    /// Whether it names fewer than were sent.
    pub(super) is_before_label: bool,
}

impl Reading {
    /// Nothing is read of any key.
    pub(super) fn without_keys() -> Self {
        Self {
            choices: vec![Choice::new()],
            ..Self::default()
        }
    }
}

impl Lessons {
    /// Teaches the keys of an event that its card keeps.
    pub(super) fn of_kept(&mut self, policy: &Policy, card: &NaiveCard, past: &Past, label: &Label, change: Change) {
        let said = (label.verdict, label.known_since_ms);
        let mut labels = vec![said];
        labels.extend(change.before.filter(|before| *before != said));
        if change.before.is_none() {
            // Nothing was called fraud before, so that there is nothing to take back.
            labels.retain(|(verdict, _)| *verdict == Verdict::Fraud);
        }
        for terms in &policy.keys {
            let id = card.id_of(past, terms.field).or_else(|| named_by(label, terms.field));
            if let Some(id) = id.map(str::to_owned) {
                self.learn((terms.name, id), label, past.time_ms, &labels, Some(past.explained));
            }
        }
    }

    /// Teaches the keys that a label names of an event that its card has forgotten; whether there is any.
    pub(super) fn of_forgotten(&mut self, policy: &Policy, label: &Label, time_ms: i64) -> bool {
        let mut is_of_use = false;
        for terms in &policy.keys {
            if let Some(id) = named_by(label, terms.field).map(str::to_owned) {
                is_of_use = true;
                let said = [(label.verdict, label.known_since_ms)];
                self.learn((terms.name, id), label, time_ms, &said, None);
            }
        }
        is_of_use
    }

    fn learn(
        &mut self,
        key: (KeyName, String),
        label: &Label,
        time_ms: i64,
        labels: &[Labelled],
        explained: Option<bool>,
    ) {
        let next = self.events.len() as u64;
        let named = (label.card_id.as_str().to_owned(), label.event_id.as_str().to_owned());
        let event = *self.events.entry(named).or_insert(next);
        let known = self.of_key.entry(key).or_default();
        // Frauds first: what takes one back may come with it.
        for verdict in [Verdict::Fraud, Verdict::Cleared] {
            for (_, known_since_ms) in labels.iter().filter(|(said, _)| *said == verdict) {
                let new = LabelledEvent {
                    time_ms,
                    event,
                    known_since_ms: *known_since_ms,
                    verdict,
                    explained,
                };
                let of_event = || {
                    known
                        .iter()
                        .filter(|other| (other.time_ms, other.event) == (time_ms, event))
                };
                let is_there = of_event().any(|other| {
                    let same = (other.known_since_ms, other.verdict) == (new.known_since_ms, verdict);
                    same && (explained.is_none() || other.explained == explained)
                });
                let was_fraud = of_event().any(|other| other.verdict == Verdict::Fraud);
                if !is_there && (verdict == Verdict::Fraud || was_fraud) {
                    known.push(new);
                }
            }
        }
    }

    /// What an outcome may have been scored with that names so many labels of each key; `None`: that key could not be read.
    pub(super) fn reading(&self, tx: &Transaction, named: &BTreeMap<String, Option<u64>>, policy: &Policy) -> Reading {
        let mut reading = Reading::without_keys();
        let mut unnamed = named.clone();
        for terms in &policy.keys {
            let version = unnamed.remove(terms.name.as_str());
            let of_key = match (id_of(tx, terms.field), version) {
                (None, None) => vec![None],
                (Some(_), Some(None)) => {
                    reading.unread.push(terms.name);
                    vec![None]
                }
                (None, Some(_)) => {
                    reading
                        .wrong
                        .push(format!("{} of an event that names none", terms.name));
                    vec![None]
                }
                (Some(id), version) => {
                    let count = version.flatten().unwrap_or(0);
                    self.of_one(&(terms.name, id.to_owned()), count, tx.occurred_at_ms, &mut reading)
                }
            };
            let longer = |choice: &Choice| {
                let choice = choice.clone();
                let with = move |labels: &Option<_>| [choice.as_slice(), &[(terms.name, labels.clone())]].concat();
                of_key.iter().map(with).collect::<Vec<_>>()
            };
            if reading.choices.len() * of_key.len() > CHOICES_MAX {
                reading.choices.clear();
            }
            reading.choices = reading.choices.iter().flat_map(longer).collect();
        }
        reading.wrong.extend(unnamed.into_keys());
        reading
    }

    /// Every choice of so many labels of a key that were known at a time, ms; none where there are too many.
    fn of_one(
        &self,
        key: &(KeyName, String),
        count: u64,
        as_of_ms: i64,
        reading: &mut Reading,
    ) -> Vec<Option<Rc<Vec<LabelledEvent>>>> {
        let taught = self.of_key.get(key).map_or(&[][..], Vec::as_slice);
        let known: Vec<LabelledEvent> = taught
            .iter()
            .copied()
            .filter(|label| label.known_since_ms <= as_of_ms)
            .collect();
        reading.named += count;
        // A key that may have forgotten some counts otherwise.
        if taught.len() > LABELS_MAX {
            reading.is_before_label = true;
            return Vec::new();
        }
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        if wanted > known.len() {
            reading
                .wrong
                .push(format!("{} with {count} of {} labels", key.0, known.len()));
            return vec![None];
        }
        reading.is_before_label |= wanted < known.len();
        let mut choices = Vec::new();
        choose(&known, wanted, &mut Vec::new(), &mut choices);
        if choices.len() > CHOICES_MAX {
            choices.clear();
        }
        choices.into_iter().map(|labels| Some(Rc::new(labels))).collect()
    }
}

/// Adds every choice of so many of some labels, one more than are tried at most.
fn choose(of: &[LabelledEvent], count: usize, chosen: &mut Vec<LabelledEvent>, found: &mut Vec<Vec<LabelledEvent>>) {
    if found.len() > CHOICES_MAX || of.len() < count {
        return;
    }
    let Some((first, rest)) = of.split_first().filter(|_| count > 0) else {
        found.push(chosen.clone());
        return;
    };
    chosen.push(*first);
    choose(rest, count - 1, chosen, found);
    chosen.pop();
    choose(rest, count, chosen, found);
}

fn id_of(tx: &Transaction, field: KeyField) -> Option<&str> {
    match field {
        KeyField::Merchant => Some(tx.merchant_id.as_str()),
        KeyField::Device => tx.device_id.as_ref().map(DeviceId::as_str),
        KeyField::Link(name) => tx.links.get(name).map(LinkId::as_str),
    }
}

fn named_by(label: &Label, field: KeyField) -> Option<&str> {
    match field {
        KeyField::Merchant => label.merchant_id.as_ref().map(MerchantId::as_str),
        KeyField::Device => label.device_id.as_ref().map(DeviceId::as_str),
        KeyField::Link(name) => label.links.get(name).map(LinkId::as_str),
    }
}
