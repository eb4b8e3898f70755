//! What is delivered: three events of one card, one of them twice, by the mapping and by a redrive beside it.

use std::sync::Arc;

use serde_json::json;
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Transaction};
use tidemark_domain::id::fingerprint32;
use tidemark_domain::policy::Policy;

/// Distinct events.
pub const EVENTS: usize = 3;
/// The card of all of them.
pub const CARD: &str = "card-1";
/// When every record arrived, milliseconds since 1970-01-01T00:00:00Z.
pub const ARRIVAL_MS: i64 = 1_790_000_000_000;
/// A deadline that is never near.
pub const DEADLINE_MS: i64 = ARRIVAL_MS + 900_000;

/// How long before its arrival each event happened, seconds: not in the order of their numbers, so that the order in
/// which they are applied shows in their outcomes.
const AGES_S: [i64; EVENTS] = [100, 300, 200];

/// Who delivers, each its own list of batches, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The event source mapping.
    Mapping,
    /// A redrive of a range that the mapping delivers, too.
    Redrive,
}

impl Source {
    /// Both sources, the mapping first.
    pub const ALL: [Self; 2] = [Self::Mapping, Self::Redrive];

    /// Its batches: for each record the number of its event. The mapping's second batch begins with what the producer
    /// sent again under a new sequence number.
    #[must_use]
    pub const fn batches(self) -> &'static [&'static [usize]] {
        match self {
            Self::Mapping => &[&[0, 1], &[0, 2]],
            Self::Redrive => &[&[1, 0]],
        }
    }

    /// Its place in lists of sources.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Mapping => 0,
            Self::Redrive => 1,
        }
    }
}

/// The events and the policy.
#[derive(Debug)]
pub struct Scenario {
    /// Judges every event.
    pub policy: Arc<Policy>,
    /// The payload of every event; one more stands behind them, which is never delivered: it is a probe.
    pub payloads: Vec<Vec<u8>>,
    /// The events as the contract reads them.
    pub transactions: Vec<Transaction>,
}

/// The number of the probe's event.
pub const PROBE: usize = EVENTS;

impl Scenario {
    /// The scenario; `None` when the contract refuses its events.
    #[must_use]
    pub fn new() -> Option<Self> {
        let policy = Policy::default_policy();
        let payloads: Vec<Vec<u8>> = AGES_S.into_iter().chain([50]).enumerate().map(payload).collect();
        let transactions = payloads
            .iter()
            .map(
                |bytes| match contract::decode(bytes, ARRIVAL_MS, &policy.bounds).ok()?.event {
                    Event::Transaction(tx) => Some(tx),
                    Event::Profile(_) | Event::Label(_) => None,
                },
            )
            .collect::<Option<_>>()?;
        Some(Self {
            policy: Arc::new(policy),
            payloads,
            transactions,
        })
    }

    /// Which event has this fingerprint.
    #[must_use]
    pub fn event_of(&self, event_fp: u32) -> Option<usize> {
        (0..EVENTS).find(|event| fingerprint32(self.transactions[*event].event_id.as_str()) == event_fp)
    }
}

fn payload((event, age_s): (usize, i64)) -> Vec<u8> {
    let value = json!({
        "schema": "transaction", "version": 2, "event_id": format!("event-{event}"), "card_id": CARD,
        "occurred_at_ms": ARRIVAL_MS - age_s * 1_000, "amount_minor": 1_000 * (event + 1), "currency": "EUR",
        "merchant_id": format!("merchant-{event}"), "mcc": 5411, "country": "FR", "channel": "ecommerce",
        "approved": true,
    });
    value.to_string().into_bytes()
}
