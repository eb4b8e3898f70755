//! A seeded stream of card events: ordinary cards, fraud patterns, and everything that goes wrong on the way.
//!
//! The same [`SimConfig`] gives the same bytes in the same order, on every machine: there is no ambient time and no
//! ambient randomness here, the caller names "now". What each record ought to become is said beside it ([`Expect`]), so
//! that a run can be held against it. docs/concepts/simulation.md describes the mix.

mod draft;
mod faults;
mod links;
mod plan;
mod render;
mod scenario;
#[cfg(test)]
mod tests;
mod traffic;
mod world;

use tidemark_domain::contract::Bounds;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::policy::Policy;
use tidemark_domain::refusal::RefusalCode;

pub use scenario::Scenario;

/// Event times lie within this many milliseconds before "now", unless the lateness bound is narrower: 20 hours.
pub const SPAN_MS_MAX: i64 = 20 * HOUR_MS;
/// A run can't have more records than this (their places are 32-bit numbers).
pub const EVENTS_MAX: u32 = 50_000_000;
/// From this many records on, a run holds one card that outgrows its head.
pub const HOT_CARD_FROM_EVENTS: u32 = 10_000;

/// Labels of scenarios come so long after their events at most: 30 days.
pub const LABEL_DELAY_MS_MAX: i64 = plan::DELAY_MS_MAX;
/// Share of records that are labels, in a stream with scenarios.
const SCENARIO_LABEL_SHARE: f64 = 0.045;
/// Share of these whose event was never sent.
const SCENARIO_ORPHAN_SHARE: f64 = 0.01;
/// Share of the cards that are not of version 1 whose transactions have links, in a stream with links.
const LINK_SHARE: f64 = 0.8;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What to simulate. Shares are of all records unless said otherwise.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The seed: the same seed and the same other fields give the same bytes.
    pub seed: u64,
    /// What names of cards and events follow from: the seed, or something of the run's own ([`Self::with_own_names`]).
    pub names_seed: u64,
    /// Records in the stream, of every kind together.
    pub events: u32,
    /// Ordinary cards.
    pub cards: u32,
    /// The time that the run takes for now: milliseconds since 1970-01-01T00:00:00Z. Records may be sent from then on.
    pub now_ms: i64,
    /// When the stream is sent at the latest, as far as its broken records must know: what is ahead of time is ahead of this.
    pub sent_by_ms: i64,
    /// Event times lie within this many milliseconds before `now_ms`.
    pub span_ms: i64,
    /// The bounds of the policy that will judge the stream.
    pub bounds: Bounds,
    /// Events that the head of a card's state holds, for the card that outgrows it.
    pub head_events_max: u32,
    /// Cards beside `cards` that get more than `head_events_max` events.
    pub hot_cards: u32,
    /// Share of transactions sent again, byte for byte.
    pub duplicate_share: f64,
    /// Share of records that the contract refuses.
    pub broken_share: f64,
    /// Share of records that are labels.
    pub label_share: f64,
    /// Share of labels whose event was never sent.
    pub orphan_label_share: f64,
    /// Share of transactions that arrive minutes out of order.
    pub reordered_share: f64,
    /// Share of transactions that arrive hours late, within the bound.
    pub late_share: f64,
    /// Share of cards that fraud strikes once.
    pub fraud_card_share: f64,
    /// Share of cards whose producer still writes version 1.
    pub legacy_share: f64,
    /// Share of the other cards whose producer writes version 3, with links and the account's age.
    pub link_share: f64,
    /// Share of cards that travel.
    pub traveller_share: f64,
    /// Share of cards with a profile from the beginning.
    pub profile_share: f64,
    /// Share of cards with a profile whose profile changes during the run.
    pub profile_update_share: f64,
    /// How long a transaction that is not late takes to be sent, ms, in the mean.
    pub delay_ms_mean: f64,
    /// Fraud that no single card shows; with any, labels come days to weeks after their events.
    pub scenarios: Vec<Scenario>,
    /// How many times as much of that fraud there is as usual.
    pub scenario_factor: f64,
    /// Labels of scenarios that are known later than this are not in the stream, ms since 1970-01-01T00:00:00Z.
    pub labels_until_ms: i64,
}

impl SimConfig {
    /// The usual mix, with event times that this policy's bounds accept when records are sent from `now_ms` on.
    #[must_use]
    pub fn new(seed: u64, events: u32, cards: u32, now_ms: i64, policy: &Policy) -> Self {
        let events = events.min(EVENTS_MAX);
        let bounds = policy.bounds;
        Self {
            seed,
            names_seed: seed,
            events,
            cards: cards.clamp(1, (events / 4).max(1)),
            now_ms,
            sent_by_ms: now_ms,
            // A tenth of the lateness bound stays free, so that a run that takes long is still in time.
            span_ms: SPAN_MS_MAX.min(bounds.lateness_ms / 10 * 9).max(MINUTE_MS),
            bounds,
            head_events_max: u32::try_from(policy.head_events_max).unwrap_or(u32::MAX),
            hot_cards: u32::from(events >= HOT_CARD_FROM_EVENTS),
            duplicate_share: 0.015,
            broken_share: 0.008,
            label_share: 0.004,
            orphan_label_share: 0.08,
            reordered_share: 0.03,
            late_share: 0.01,
            fraud_card_share: 0.04,
            legacy_share: 0.3,
            link_share: 0.0,
            traveller_share: 0.03,
            profile_share: 0.85,
            profile_update_share: 0.05,
            delay_ms_mean: 300.0,
            scenarios: Vec::new(),
            scenario_factor: 1.0,
            labels_until_ms: now_ms,
        }
    }

    /// The same over so long a time, with fraud that no single card shows, and labels that come days to weeks after their events.
    /// The policy's lateness has to allow for it where the stream is sent at once.
    #[must_use]
    pub fn with_scenarios(mut self, scenarios: &[Scenario], span_ms: i64) -> Self {
        (self.scenarios, self.span_ms) = (scenarios.to_vec(), span_ms.max(MINUTE_MS));
        (self.label_share, self.orphan_label_share) = (SCENARIO_LABEL_SHARE, SCENARIO_ORPHAN_SHARE);
        self
    }

    /// The same with so many times as much fraud of scenarios, and as many labels more: a short stream has something to learn from.
    #[must_use]
    pub fn with_more_fraud(mut self, factor: f64) -> Self {
        self.scenario_factor *= factor;
        self.label_share *= factor;
        self
    }

    /// The same as somebody keeps it to learn from: everything once, in the order of its times, with all labels that ever come.
    #[must_use]
    pub fn as_history(mut self) -> Self {
        (self.duplicate_share, self.reordered_share, self.late_share) = (0.0, 0.0, 0.0);
        self.delay_ms_mean = 0.0;
        self.labels_until_ms = self.now_ms + LABEL_DELAY_MS_MAX;
        self.clean()
    }

    /// The same events, of which many are of version 3: with an ip, an account, and its age.
    #[must_use]
    pub fn with_links(mut self) -> Self {
        self.link_share = LINK_SHARE;
        self
    }

    /// The same under names that only this seed and this time for now give: a second run beside it, at another time, does not
    /// use the ids of the first again.
    #[must_use]
    pub fn with_own_names(mut self) -> Self {
        self.names_seed = fingerprint64(&format!("{} {}", self.seed, self.now_ms));
        self
    }

    /// The same without anything that is refused.
    #[must_use]
    pub fn clean(mut self) -> Self {
        (self.broken_share, self.orphan_label_share, self.hot_cards) = (0.0, 0.0, 0);
        self
    }
}

/// What a record is, as the simulation meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimKind {
    /// An ordinary transaction.
    Ordinary,
    /// Part of a card-testing burst: many small amounts, half of them declined.
    CardTesting,
    /// Part of an account takeover: new device, another country, high amounts.
    Takeover,
    /// A transaction farther away than a person can be.
    ImpossibleTravel,
    /// One big amount at a merchant never seen.
    BigTicket,
    /// At a terminal that was tampered with.
    BadTerminal,
    /// A stolen card, used from the device of a ring.
    DeviceRing,
    /// A card with more events than its head holds.
    HotCard,
    /// The same bytes again.
    Duplicate,
    /// A profile.
    Profile,
    /// A label.
    Label,
    /// Something that must be refused.
    Broken,
}

/// What ought to become of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A transaction that is scored.
    Transaction {
        /// Its id.
        event_id: String,
    },
    /// Known already: the same bytes were accepted before, or (a profile) something newer was.
    Duplicate {
        /// The id of the event it repeats, or the card of an outdated profile.
        of: String,
    },
    /// Applied to the card's profile.
    Profile,
    /// Recorded on its event.
    Label,
    /// Quarantined with this code.
    Refused(RefusalCode),
}

/// One record to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimRecord {
    /// The stream's partition key: the card.
    pub partition_key: String,
    /// The bytes.
    pub payload: Vec<u8>,
    /// When the producer would have sent it in the simulated world: milliseconds since 1970-01-01T00:00:00Z, never
    /// decreasing along the stream, at most `now_ms` (`labels_until_ms` for labels). As an arrival time it is as good as any later one.
    pub sent_at_ms: i64,
    /// What it is meant to be.
    pub kind: SimKind,
    /// What ought to become of it.
    pub expect: Expect,
}

/// Simulates: the plan is drawn at once (about 100 bytes a record), payloads are written as the iterator goes.
pub fn generate(config: &SimConfig) -> impl Iterator<Item = SimRecord> + use<> {
    let plan = plan::draw(config);
    let config = config.clone();
    (0..plan.len()).map(move |place| plan.record(&config, place))
}
