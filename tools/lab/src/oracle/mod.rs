//! The oracle: what the system should have done with a list of sent events, recomputed independently and naively.
//!
//! It shares the contract's decoding and the policy's values with the system, and nothing else: it keeps plain lists,
//! looks through all of them for every window of every event, and scores by the formulas of docs/concepts. It is slow on
//! purpose. What it can't know it takes from the outcome under test and says so: the profile version that an outcome
//! names is an input (I6), since a profile and a transaction may pass each other. Features of keys beyond the card are not recomputed:
//! it looks at one card alone, and at no label.

mod amount;
mod compare;
mod features;
mod history;
pub mod keys;
mod learned;
mod measure;
mod surprise;
mod tails;
#[cfg(test)]
mod tests;
mod trees;

use std::collections::{BTreeMap, HashMap};

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Profile, Verdict};
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;

pub use compare::{Mismatch, Report, check};
pub use history::ExpectedEvent;
pub use tidemark_domain::id::EventKey;

use history::{Known, NaiveCard};

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

/// The outcome that an event should have.
#[derive(Clone, Debug)]
pub struct ExpectedOutcome {
    /// Events of the card accepted before it.
    pub state_version: u64,
    /// Tiers that may have served it: whether a profile could not be read or was not to be read, the outcome alone knows.
    pub tiers: &'static [&'static str],
    /// The score before it is rounded to a whole number.
    pub raw_score: f64,
    /// Every feature that surprised, with its part of the weighed surprise (bits), the greatest first.
    pub parts: Vec<(FeatureKey, f64)>,
    /// Names of missing inputs.
    pub missing: Vec<&'static str>,
    /// The profile it names was never sent for this card.
    pub profile_unknown: bool,
    /// The model of trees that scores, if the policy has one.
    pub model: Option<String>,
    /// The value of every feature of the policy, where its outcomes carry them.
    pub features: Vec<(FeatureKey, Option<f64>)>,
}

/// What should have come out of a run.
#[derive(Debug, Default)]
pub struct Expected {
    /// What should have become of each record, in their order.
    pub fates: Vec<Fate>,
    /// Outcomes by what makes an event one event.
    pub outcomes: HashMap<EventKey, ExpectedOutcome>,
    /// The kept events of each card, by (event time, arrival).
    pub cards: BTreeMap<String, Vec<ExpectedEvent>>,
}

/// Recomputes a run. `profile_of` says which profile the outcome under test names for an event; `None` where there is
/// no such outcome, which is then held to be without a profile.
pub fn recompute(
    policy: &Policy,
    sent: &[Sent<'_>],
    profile_of: &dyn Fn(&EventKey) -> Option<NamedProfile>,
) -> Expected {
    let decoded: Vec<Result<Event, RefusalCode>> = sent
        .iter()
        .map(|record| contract::decode(record.payload, record.arrival_ms, &policy.bounds))
        .map(|result| result.map(|decoded| decoded.event).map_err(|refusal| refusal.code))
        .collect();
    let mut profiles: HashMap<(&str, u64), &Profile> = HashMap::new();
    // All of them first: a batch that came again may be scored with a profile that was sent after its events.
    for event in decoded.iter().flatten() {
        if let Event::Profile(profile) = event {
            profiles
                .entry((profile.card_id.as_str(), profile.version))
                .or_insert(profile);
        }
    }
    let mut run = Run {
        policy,
        profiles,
        cards: BTreeMap::new(),
        expected: Expected::default(),
    };
    for event in &decoded {
        let fate = match event {
            Ok(event) => run.apply(event, profile_of),
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
    profiles: HashMap<(&'p str, u64), &'p Profile>,
    cards: BTreeMap<String, NaiveCard>,
    expected: Expected,
}

impl Run<'_> {
    fn apply(&mut self, event: &Event, profile_of: &dyn Fn(&EventKey) -> Option<NamedProfile>) -> Fate {
        let card_id = event.card_id().as_str();
        let card = self.cards.entry(card_id.to_owned()).or_default();
        match event {
            Event::Profile(profile) => {
                let newer = card.profile_version.is_none_or(|known| known < profile.version);
                if newer {
                    card.profile_version = Some(profile.version);
                }
                if newer { Fate::Applied } else { Fate::Duplicate }
            }
            Event::Label(label) => match card.label(label.event_id.as_str(), (label.verdict, label.known_since_ms)) {
                Some(true) => Fate::Applied,
                Some(false) => Fate::Duplicate,
                None => Fate::Refused(RefusalCode::LabelWithoutEvent),
            },
            Event::Transaction(tx) => {
                match card.known(tx.event_id.as_str(), tx.occurred_at_ms, self.policy) {
                    Known::Duplicate => return Fate::Duplicate,
                    Known::Beyond => return Fate::Refused(RefusalCode::BeyondHorizon),
                    Known::New => {}
                }
                let key = tx.key();
                let named = profile_of(&key).unwrap_or(NamedProfile::Absent);
                let profile = match named {
                    NamedProfile::Version(version) => self.profiles.get(&(card_id, version)).copied(),
                    NamedProfile::Absent | NamedProfile::Unavailable => None,
                };
                let outcome = surprise::score(card, tx, profile, named, self.policy);
                card.accept(tx, self.policy);
                let event_id = tx.event_id.as_str().to_owned();
                self.expected.outcomes.insert(key, outcome);
                Fate::Scored(event_id)
            }
        }
    }
}

/// A verdict and since when it is known, ms.
type Labelled = (Verdict, i64);
