//! Everything that producers sent, decoded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemark_domain::contract::{self, Bounds, aggregate};
use tidemark_domain::event::{Event, Label, Profile, Transaction};
use tidemark_domain::id::fingerprint32;
use tidemark_domain::refusal::RefusalCode;

use crate::policies::{OWN, Policies};
use crate::world::Stores;
use crate::world::files::ImportFile;
pub use crate::world::known::Place;

/// What makes an event one event: card, id, event time (ms since 1970-01-01T00:00:00Z).
pub type EventKey = (String, String, i64);

/// A record of an event.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Where it is.
    pub place: Place,
    /// Its number among all records.
    pub at: usize,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
}

/// An event that was sent, once or several times.
#[derive(Clone, Debug, Default)]
pub struct SentEvent {
    /// What its records say; several, when a producer gave one event two contents.
    pub variants: Vec<Transaction>,
    /// Its records in the order of the stream.
    pub copies: Vec<Copy>,
    /// A file has it, too.
    pub in_file: bool,
    /// Some policy of the run refuses a copy that another takes.
    pub doubtful: bool,
}

/// A record that some policy refuses.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Where it is.
    pub place: Place,
    /// Why, by each policy.
    pub codes: BTreeSet<RefusalCode>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Another policy takes it.
    pub doubtful: bool,
}

/// Everything that producers sent, decoded.
#[derive(Default)]
pub struct Sent {
    /// Transactions by card, id and time.
    pub events: BTreeMap<EventKey, SentEvent>,
    /// Events by card, time and fingerprint.
    pub by_mark: HashMap<(String, i64, u32), Vec<EventKey>>,
    /// Profiles by card and version.
    pub profiles: BTreeMap<(String, u64), Profile>,
    /// The record of each of them.
    pub profile_copies: Vec<((String, u64), Copy)>,
    /// Labels by card.
    pub labels: BTreeMap<String, Vec<(Place, Label)>>,
    /// Refused by the contract.
    pub refused: Vec<Refused>,
    /// Cards of the record of each number.
    pub cards_of: HashMap<usize, BTreeSet<String>>,
}

impl Sent {
    /// Decodes the stream, by the bounds of every policy, and the files.
    #[must_use]
    pub fn decode(stores: &Stores, policies: &Policies) -> Self {
        let mut bounds: Vec<Bounds> = policies.all.values().map(|policy| policy.bounds).collect();
        bounds.dedup();
        let mut sent = Self::default();
        let shards = stores.stream.shards.iter();
        let mut records: Vec<_> = shards
            .flat_map(|shard| shard.records.iter().map(move |record| (shard, record)))
            .collect();
        records.sort_by_key(|(_, (at, _))| *at);
        for (shard, (at, record)) in records {
            let copy = |sub: Option<u32>| Copy {
                place: (shard.id.clone(), record.sequence_number.clone(), sub),
                at: *at,
                arrival_ms: record.arrival_ms,
            };
            match aggregate::take_apart(&record.body) {
                Ok(None) => sent.take(copy(None), &record.body, &bounds),
                Ok(Some(parts)) => {
                    for (part, sub) in parts.iter().zip(0..) {
                        sent.take(copy(Some(sub)), part.data, &bounds);
                    }
                }
                Err(refusal) => sent.refused.push(Refused {
                    place: copy(None).place,
                    codes: BTreeSet::from([refusal.code]),
                    bytes: record.body.clone(),
                    doubtful: false,
                }),
            }
        }
        sent.take_files(stores, policies);
        for key in sent.events.keys() {
            let mark = (key.0.clone(), key.2, fingerprint32(&key.1));
            sent.by_mark.entry(mark).or_default().push(key.clone());
        }
        sent
    }

    fn take_files(&mut self, stores: &Stores, policies: &Policies) {
        for file in &stores.known.files {
            let policy = &policies.all[&file.policy_version.max(OWN)];
            for row in &file.rows {
                if let Ok(Some(tx)) = ImportFile::decode(row, policy, stores.now_ms) {
                    let key = (tx.card_id.to_string(), tx.event_id.to_string(), tx.occurred_at_ms);
                    let event = self.events.entry(key).or_default();
                    event.in_file = true;
                    if !event.variants.contains(&tx) {
                        event.variants.push(tx);
                    }
                }
            }
        }
    }

    fn take(&mut self, copy: Copy, data: &[u8], bounds: &[Bounds]) {
        let mut codes = BTreeSet::new();
        let mut taken = None;
        for bounds in bounds {
            match contract::decode(data, copy.arrival_ms, bounds) {
                Ok(decoded) => taken = Some(decoded.event),
                Err(refusal) => {
                    codes.insert(refusal.code);
                }
            }
        }
        let doubtful = taken.is_some();
        if !codes.is_empty() {
            self.refused.push(Refused {
                place: copy.place.clone(),
                codes: codes.clone(),
                bytes: data.to_vec(),
                doubtful,
            });
        }
        if let Some(event) = taken {
            self.accept(copy, event, !codes.is_empty());
        }
    }

    fn accept(&mut self, copy: Copy, event: Event, doubtful: bool) {
        let card = event.card_id().to_string();
        self.cards_of.entry(copy.at).or_default().insert(card.clone());
        match event {
            Event::Transaction(tx) => {
                let key = (card, tx.event_id.to_string(), tx.occurred_at_ms);
                let event = self.events.entry(key).or_default();
                if !event.variants.contains(&tx) {
                    event.variants.push(tx);
                }
                event.copies.push(copy);
                event.doubtful |= doubtful;
            }
            Event::Profile(profile) => {
                let key = (card, profile.version);
                if !doubtful {
                    self.profile_copies.push((key.clone(), copy));
                }
                self.profiles.entry(key).or_insert(profile);
            }
            Event::Label(label) => self.labels.entry(card).or_default().push((copy.place, label)),
        }
    }
}
