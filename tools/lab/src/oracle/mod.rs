//! The oracle: what the system should have done with a list of sent events, recomputed independently and naively.
//!
//! It shares the contract's decoding and the policy's values with the system, and nothing else: it keeps plain lists,
//! looks through all of them for every window of every event, and scores by the formulas of docs/concepts. It is slow on
//! purpose. What it can't know it takes from the outcome under test and says so: the profile version that an outcome
//! names is an input (I6), since a profile and a transaction may pass each other. So is how many labels of a key were known: `lessons`.

mod amount;
mod compare;
mod differences;
mod features;
mod history;
pub mod keys;
mod learned;
mod lessons;
mod lists;
mod measure;
mod rules;
mod surprise;
mod tails;
#[cfg(test)]
mod tests;
mod trees;

use std::collections::{BTreeMap, HashMap, HashSet};

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Label, Profile, Transaction, Verdict};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;

pub use compare::{Covered, Mismatch, Report, TriedPolicy, check, check_listed, check_tried};
pub use history::ExpectedEvent;
pub use lists::{PlainList, PlainLists};
pub use tidemark_domain::id::EventKey;

use history::{Known, NaiveCard};
use lessons::Lessons;
use rules::{End, ReadRules};
use surprise::Given;

/// A record that was sent, in the order in which the stream took it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// When the stream took it: milliseconds since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// The bytes.
    pub payload: &'a [u8],
}

/// What should have become of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Scored; its event id.
    Scored(String),
    /// Known already.
    Duplicate,
    /// A profile or a label, applied.
    Applied,
    /// Refused and put into quarantine, with this code.
    Refused(RefusalCode),
}

/// Which profile an outcome says it was scored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedProfile {
    /// This version.
    Version(u64),
    /// The card has none.
    Absent,
    /// It could not be read.
    Unavailable,
}

/// What an outcome says it was scored with.
#[derive(Clone, Debug)]
pub struct Named {
    /// The card's profile.
    pub profile: NamedProfile,
    /// How many labels of each key were known, by the keys' names; `None`: it could not be read.
    pub keys: BTreeMap<String, Option<u64>>,
    /// The contents of lists, by the lists' names; `None`: it could not be read.
    pub lists: BTreeMap<String, Option<String>>,
}

impl Named {
    /// Nothing is known of the card or of any key.
    const NOTHING: Self = Self {
        profile: NamedProfile::Absent,
        keys: BTreeMap::new(),
        lists: BTreeMap::new(),
    };
}

/// The outcome that an event should have.
#[derive(Clone, Debug)]
pub struct ExpectedOutcome {
    /// Events of the card accepted before it.
    pub state_version: u64,
    /// Tiers that may have served it: whether a profile could not be read or was not to be read, the outcome alone knows.
    pub tiers: &'static [&'static str],
    /// What it may say: one thing, but where the outcome names fewer labels of a key than were sent. None where that may be too much.
    pub said: Vec<Said>,
    /// Names of missing inputs.
    pub missing: Vec<String>,
    /// The profile it names was never sent for this card.
    pub profile_unknown: bool,
    /// Keys of which it names labels that there are not.
    pub keys_wrong: Vec<String>,
    /// Lists of which it names contents that there never were, or that it should name and does not.
    pub lists_wrong: Vec<String>,
    /// Labels of keys that it names.
    pub labels: u64,
    /// It names fewer labels of a key than were sent.
    pub is_before_label: bool,
    /// The model of trees that scores, if the policy has one.
    pub model: Option<String>,
}

/// What follows from an event and its inputs.
#[derive(Clone, Debug)]
pub struct Said {
    /// The score before it is rounded to a whole number.
    pub raw_score: f64,
    /// Every feature that surprised, with its part of the weighed surprise (bits), the greatest first.
    pub parts: Vec<(FeatureKey, f64)>,
    /// The value of every feature of the policy, where its outcomes carry them.
    pub features: Vec<(FeatureKey, Option<f64>)>,
    /// How each rule of the policy ends, by the whole score: two of them where the score before it is rounded is close to a half.
    rules: Vec<(u16, Vec<End>)>,
}

/// What should have come out of a run.
#[derive(Debug, Default)]
pub struct Expected {
    /// What should have become of each record, in their order.
    pub fates: Vec<Fate>,
    /// Outcomes by what makes an event one event.
    pub outcomes: HashMap<EventKey, ExpectedOutcome>,
    /// The same by the policy that is tried, of the events that it was tried on.
    pub tried: HashMap<EventKey, ExpectedOutcome>,
    /// The kept events of each card, by (event time, arrival).
    pub cards: BTreeMap<String, Vec<ExpectedEvent>>,
}

/// A policy that is tried beside the one that decides, and the events that it is tried on.
#[derive(Clone, Copy, Debug)]
pub struct TriedOn<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The events.
    pub events: &'a HashSet<EventKey>,
}

/// Recomputes a run. `lists` has what lists were. `named_by` says what the outcome under test names for an event; `None` where there is no such outcome, which is
/// then held to be without a profile and without labels.
pub fn recompute(
    policy: &Policy,
    sent: &[Sent<'_>],
    tried: Option<TriedOn<'_>>,
    lists: &PlainLists,
    named_by: &dyn Fn(&EventKey) -> Option<Named>,
) -> Expected {
    let decoded: Vec<Result<Event, RefusalCode>> = sent
        .iter()
        .map(|record| contract::decode(record.payload, record.arrival_ms, &policy.bounds))
        .map(|result| result.map(|decoded| decoded.event).map_err(|refusal| refusal.code))
        .collect();
    let mut profiles: HashMap<(&str, u64), &Profile> = HashMap::new();
    let mut labelled = HashSet::new();
    // All of them first: a batch that came again may be scored with a profile that was sent after its events.
    for event in decoded.iter().flatten() {
        match event {
            Event::Profile(profile) => {
                let version = (profile.card_id.as_str(), profile.version);
                profiles.entry(version).or_insert(profile);
            }
            Event::Label(label) => _ = labelled.insert((label.card_id.as_str(), label.event_id.as_str())),
            Event::Transaction(_) => {}
        }
    }
    let mut run = Run {
        policy,
        rules: ReadRules::of(policy),
        tried,
        tried_rules: tried.map_or_else(ReadRules::default, |tried| ReadRules::of(tried.policy)),
        profiles,
        labelled,
        lists,
        named_by,
        cards: BTreeMap::new(),
        lessons: Lessons::default(),
        scores: false,
        expected: Expected::default(),
    };
    if !policy.keys.is_empty() {
        // Once for the labels alone: an event may have been scored with one that stands in another shard.
        for event in decoded.iter().flatten() {
            run.apply(event);
        }
        run.cards.clear();
    }
    run.scores = true;
    for event in &decoded {
        let fate = match event {
            Ok(event) => run.apply(event),
            Err(code) => Fate::Refused(*code),
        };
        run.expected.fates.push(fate);
    }
    let Run {
        cards, mut expected, ..
    } = run;
    expected.cards = cards
        .into_iter()
        .map(|(card, naive)| (card, naive.kept()))
        .filter(|(_, kept)| !kept.is_empty())
        .collect();
    expected
}

struct Run<'p> {
    policy: &'p Policy,
    rules: ReadRules,
    tried: Option<TriedOn<'p>>,
    tried_rules: ReadRules,
    profiles: HashMap<(&'p str, u64), &'p Profile>,
    /// Events that labels name, by card and id.
    labelled: HashSet<(&'p str, &'p str)>,
    lists: &'p PlainLists,
    named_by: &'p dyn Fn(&EventKey) -> Option<Named>,
    cards: BTreeMap<String, NaiveCard>,
    lessons: Lessons,
    /// Whether events are scored; before, labels teach keys.
    scores: bool,
    expected: Expected,
}

impl Run<'_> {
    fn apply(&mut self, event: &Event) -> Fate {
        match event {
            Event::Profile(profile) => {
                let card = self.cards.entry(profile.card_id.as_str().to_owned()).or_default();
                let newer = card.profile_version.is_none_or(|known| known < profile.version);
                if newer {
                    card.profile_version = Some(profile.version);
                }
                if newer { Fate::Applied } else { Fate::Duplicate }
            }
            Event::Label(label) => self.label(label),
            Event::Transaction(tx) => self.transaction(tx),
        }
    }

    fn label(&mut self, label: &Label) -> Fate {
        let card = self.cards.entry(label.card_id.as_str().to_owned()).or_default();
        if let Some((change, at)) = card.label(label) {
            if !self.scores {
                self.lessons.of_kept(self.policy, card, &card.events[at], label, change);
            }
            return if change.is_new { Fate::Applied } else { Fate::Duplicate };
        }
        let is_forgotten = |time_ms: &i64| card.has_forgotten(*time_ms, label.known_since_ms, self.policy);
        match label.occurred_at_ms.filter(is_forgotten) {
            Some(time_ms) if self.lessons.of_forgotten(self.policy, label, time_ms) => Fate::Applied,
            _ => Fate::Refused(RefusalCode::LabelWithoutEvent),
        }
    }

    fn transaction(&mut self, tx: &Transaction) -> Fate {
        let card_id = tx.card_id.as_str();
        let card = self.cards.entry(card_id.to_owned()).or_default();
        match card.known(tx.event_id.as_str(), tx.occurred_at_ms, self.policy) {
            Known::Duplicate => return Fate::Duplicate,
            Known::Beyond => return Fate::Refused(RefusalCode::BeyondHorizon),
            Known::New => {}
        }
        let key = tx.key();
        let named = (self.named_by)(&key).unwrap_or(Named::NOTHING);
        let profile = match named.profile {
            NamedProfile::Version(version) => self.profiles.get(&(card_id, version)).copied(),
            NamedProfile::Absent | NamedProfile::Unavailable => None,
        };
        let given = Given {
            card,
            tx,
            profile,
            named: &named,
            lessons: &self.lessons,
            lists: self.lists,
        };
        let is_labelled = self.labelled.contains(&(card_id, tx.event_id.as_str()));
        let explained = is_labelled && surprise::is_explained(&given, self.policy);
        if self.scores {
            let outcome = surprise::score(&given, self.policy, &self.rules);
            let tried = self.tried.filter(|tried| tried.events.contains(&key));
            if let Some(tried) = tried {
                let outcome = surprise::score(&given, tried.policy, &self.tried_rules);
                self.expected.tried.insert(key.clone(), outcome);
            }
            self.expected.outcomes.insert(key, outcome);
        }
        card.accept(tx, explained, self.policy);
        Fate::Scored(tx.event_id.as_str().to_owned())
    }
}

/// A verdict and since when it is known, ms.
type Labelled = (Verdict, i64);
