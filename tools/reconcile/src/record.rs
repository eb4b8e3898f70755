//! What the stream accepted, and what each record of it claims to be.

use std::sync::Arc;

use tidemark_domain::contract::{Bounds, aggregate};
use tidemark_domain::event::{Event, Verdict};
use tidemark_domain::id::{CardId, EventId, EventKey};
use tidemark_domain::mapped::{Judged, MapsInForce, judge};
use tidemark_domain::policy::KeyField;

/// A record as the transactions stream gives it back.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its shard.
    pub shard_id: Arc<str>,
    /// Its sequence number: unique among the records of one shard and partition key.
    pub sequence_number: String,
    /// Its partition key.
    pub partition_key: String,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What judges records over time: the bounds that policies set, and the published maps.
#[derive(Clone, Debug)]
pub struct BoundsInForce {
    maps: Option<MapsInForce>,
    first: Bounds,
    /// Since when, ms since 1970-01-01T00:00:00Z, ascending.
    changes: Vec<(i64, Bounds)>,
}

impl BoundsInForce {
    /// One policy for ever.
    #[must_use]
    pub const fn always(bounds: Bounds) -> Self {
        Self {
            maps: None,
            first: bounds,
            changes: Vec::new(),
        }
    }

    /// `first`, and from each change's time on (ms since 1970-01-01T00:00:00Z) that change's bounds.
    #[must_use]
    pub fn changing(first: Bounds, mut changes: Vec<(i64, Bounds)>) -> Self {
        changes.sort_by_key(|(since_ms, _)| *since_ms);
        Self {
            maps: None,
            first,
            changes,
        }
    }

    /// The same with published maps, all of which are at hand; `None`: no map was ever in force.
    #[must_use]
    pub fn with_maps(mut self, maps: Option<MapsInForce>) -> Self {
        self.maps = maps;
        self
    }

    /// The bounds in force at a time, ms since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at(&self, time_ms: i64) -> &Bounds {
        let before = self.changes.partition_point(|(since_ms, _)| *since_ms <= time_ms);
        before.checked_sub(1).map_or(&self.first, |at| &self.changes[at].1)
    }
}

impl From<Bounds> for BoundsInForce {
    fn from(bounds: Bounds) -> Self {
        Self::always(bounds)
    }
}

/// Bounds that no policy can widen: what they refuse is no event at all.
const LOOSEST: Bounds = Bounds {
    payload_bytes_max: usize::MAX,
    nesting_max: 127,
    skew_ms: i64::MAX,
    lateness_ms: i64::MAX,
    amount_minor_max: u64::MAX,
};

/// What of a record the account needs; the payload is left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its shard.
    pub shard_id: Arc<str>,
    /// Its sequence number.
    pub sequence_number: Box<str>,
    /// Its place in an aggregated record, from 0; `None`: it is a record of its own.
    pub sub_sequence_number: Option<u32>,
    /// The partition key: of a part of an aggregate, the part's own.
    pub partition_key: Box<str>,
    /// Of a part of an aggregate, the partition key of the record that it came in.
    pub record_partition_key: Option<Arc<str>>,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
    /// What it would do, judged by the policy in force when the stream took it.
    pub claim: Claim,
    /// Where that policy refuses it: what it would do under a policy with wider bounds, such as one that came into force before
    /// the record was processed. Only evidence can tell.
    pub beyond_bounds: Option<Box<Claim>>,
}

/// What a record would do once it is through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// Score a transaction.
    Transaction(EventKey),
    /// Store a version of a card's profile.
    Profile {
        /// Its card.
        card_id: CardId,
        /// Its version.
        version: u64,
    },
    /// Label an event. Where a label names no time, of several events of one id the latest is meant.
    Label {
        /// Its card.
        card_id: CardId,
        /// The labelled event.
        event_id: EventId,
        /// What is known of it.
        verdict: Verdict,
        /// Since when, ms since 1970-01-01T00:00:00Z.
        known_since_ms: i64,
        /// When the event happened, where the label says it, ms since 1970-01-01T00:00:00Z.
        occurred_at_ms: Option<i64>,
        /// The keys that it names: which member does, and `fingerprint64` of the id.
        named: Vec<(KeyField, u64)>,
    },
    /// Nothing: the contract refuses it.
    Refused,
}

impl Record {
    /// Reads a record as one.
    #[must_use]
    pub fn of(record: &Accepted, bounds: &BoundsInForce) -> Self {
        let mut read = Self::read(record, &record.payload, bounds);
        read.partition_key = record.partition_key.as_str().into();
        read
    }

    /// Reads a record, and takes it apart where a producer's library put several into one: each of them has its own end. One
    /// that can't be taken apart is refused whole.
    #[must_use]
    pub fn all_of(record: &Accepted, bounds: &BoundsInForce) -> Vec<Self> {
        let Ok(Some(parts)) = aggregate::take_apart(&record.payload) else {
            return vec![Self::of(record, bounds)];
        };
        let whole: Arc<str> = record.partition_key.as_str().into();
        let parts = parts.iter().zip(0..);
        let read = parts.map(|(part, at)| Self {
            sub_sequence_number: Some(at),
            partition_key: part.partition_key.into(),
            record_partition_key: Some(Arc::clone(&whole)),
            ..Self::read(record, part.data, bounds)
        });
        read.collect()
    }

    fn read(record: &Accepted, payload: &[u8], bounds: &BoundsInForce) -> Self {
        let arrival_ms = record.arrival_ms;
        let maps = bounds.maps.as_ref();
        let claim = |bounds: &Bounds| match judge(payload, arrival_ms, bounds, maps) {
            Judged::Event(decoded) => Some(Claim::of(&decoded.event)),
            Judged::Refused(_) | Judged::NotYet(_) => None,
        };
        let (claim, beyond_bounds) = match claim(bounds.at(arrival_ms)) {
            Some(claim) => (claim, None),
            None => (Claim::Refused, claim(&LOOSEST).map(Box::new)),
        };
        Self {
            shard_id: Arc::clone(&record.shard_id),
            sequence_number: record.sequence_number.as_str().into(),
            sub_sequence_number: None,
            partition_key: Box::default(),
            record_partition_key: None,
            arrival_ms,
            claim,
            beyond_bounds,
        }
    }

    /// The card that it is about; none for a refused one.
    #[must_use]
    pub fn card_id(&self) -> Option<&CardId> {
        self.claim.card_id()
    }

    /// The transaction that it is; none for profiles, labels and refused records.
    #[must_use]
    pub const fn event(&self) -> Option<&EventKey> {
        match &self.claim {
            Claim::Transaction(event) => Some(event),
            _ => None,
        }
    }

    /// What it would do under any policy.
    #[must_use]
    pub fn widest_claim(&self) -> &Claim {
        self.beyond_bounds.as_deref().unwrap_or(&self.claim)
    }

    /// The record in words, for a person who has to find it.
    #[must_use]
    pub fn name(&self) -> String {
        let part = self.sub_sequence_number;
        let part = part.map_or_else(String::new, |part| format!(" (user record {part})"));
        let place = format!("{}{part} of {}", self.sequence_number, self.shard_id);
        match &self.claim {
            Claim::Transaction(event) => format!("{place} ({event})"),
            Claim::Profile { card_id, version } => format!("{place} (profile {version} of card {card_id})"),
            Claim::Label { card_id, event_id, .. } => format!("{place} (label of event {event_id} of card {card_id})"),
            Claim::Refused => format!("{place} (no valid event)"),
        }
    }
}

impl Claim {
    fn of(event: &Event) -> Self {
        match event {
            Event::Transaction(transaction) => Self::Transaction(transaction.key()),
            Event::Profile(profile) => Self::Profile {
                card_id: profile.card_id.clone(),
                version: profile.version,
            },
            Event::Label(label) => Self::Label {
                card_id: label.card_id.clone(),
                event_id: label.event_id.clone(),
                verdict: label.verdict,
                known_since_ms: label.known_since_ms,
                occurred_at_ms: label.occurred_at_ms,
                named: KeyField::named_by(label).collect(),
            },
        }
    }

    /// The card that it is about; none for a refused record.
    #[must_use]
    pub fn card_id(&self) -> Option<&CardId> {
        match self {
            Self::Transaction(event) => Some(&event.card_id),
            Self::Profile { card_id, .. } | Self::Label { card_id, .. } => Some(card_id),
            Self::Refused => None,
        }
    }
}
