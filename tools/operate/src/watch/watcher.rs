//! What a watcher knows: fed with records and outcomes as they are read, asked for a picture of the last minute. Pure: the
//! caller names the time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Serialize;
use tidemark_domain::id::EventKey;
use tidemark_domain::outcome::Tier;

use crate::outcome::SentOutcome;

/// Rates, percentiles and shares look back so far, milliseconds.
pub const LOOK_BACK_MS: i64 = 60_000;
/// Rates are counted by the second; this is one, in milliseconds.
const SECOND_MS: i64 = 1_000;
/// Seconds in the picture of the rates.
pub const RATE_SECONDS: usize = 60;
/// Transactions that wait for their outcome and are remembered, all shards together. Older ones are forgotten first.
pub const PENDING_MAX: usize = 200_000;
/// Outcomes that the latency and the shares are made of.
const RECENT_MAX: usize = 200_000;
/// Highest scores that are kept.
pub const TOP_SCORES: usize = 10;

/// A transaction that the stream took.
#[derive(Clone, Debug)]
pub struct SeenRecord<'a> {
    /// Its shard.
    pub shard_id: &'a str,
    /// Its event; `None` for what gets no outcome (a profile, a label, a refused payload).
    pub event: Option<EventKey>,
    /// When the stream took it, ms since 1970-01-01T00:00:00Z.
    pub arrival_ms: i64,
}

/// A shard of the transactions stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShardView {
    /// Its id.
    pub shard_id: String,
    /// Records that it took since the watch began.
    pub records: u64,
    /// Age of the oldest transaction without an outcome that is newer than the newest one with, ms: what the function is behind.
    pub lag_ms: i64,
}

/// A queue's depth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// What it is for: `quarantine`, `dead-letter`, `unrecoverable`.
    pub name: String,
    /// Messages that wait, hidden ones included; `None`: the queue could not be asked.
    pub messages: Option<u64>,
}

/// One of the highest scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopView {
    /// The card's token.
    pub card_id: String,
    /// The event.
    pub event_id: String,
    /// When it happened, ms since 1970-01-01T00:00:00Z: card, id and time are the event.
    pub occurred_at_ms: i64,
    /// 0 to 1000.
    pub score: u16,
    /// `pass`, `review` or `alert`.
    pub decision: String,
    /// The reasons, the greatest share first, in words.
    pub reasons: Vec<String>,
}

/// The picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Picture {
    /// When it was taken, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Records taken by the transactions stream, a number for each of the last seconds, the oldest first.
    pub records_per_second: Vec<u64>,
    /// Outcomes taken by the scores stream, likewise.
    pub outcomes_per_second: Vec<u64>,
    /// From a transaction's arrival to its outcome's, of the outcomes of the last minute, ms: median, 95 and 99 of 100.
    pub latency_ms: Option<[i64; 3]>,
    /// Outcomes of the last minute.
    pub outcomes: u64,
    /// Of these, by decision.
    pub decisions: BTreeMap<String, u64>,
    /// Of these, by tier; those but `full` and `low_risk` are degraded.
    pub tiers: BTreeMap<String, u64>,
    /// The shards, in order.
    pub shards: Vec<ShardView>,
    /// The queues.
    pub queues: Vec<QueueView>,
    /// Write units of the last minute; `None` without a function's log to read.
    pub write_units: Option<f64>,
    /// Read units of the last minute; likewise.
    pub read_units: Option<f64>,
    /// The cards with the highest scores of the last minute, each with its highest.
    pub top: Vec<TopView>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

impl Picture {
    /// The degraded share of the last minute's outcomes, 0 to 1.
    #[must_use]
    pub fn degraded_share(&self) -> f64 {
        let degraded = Tier::ALL.into_iter().filter(|tier| tier.is_degraded());
        let outcomes = degraded.filter_map(|tier| self.tiers.get(tier.as_str())).sum();
        ratio(outcomes, self.outcomes)
    }

    /// Outcomes a second, over the last full seconds of a short while.
    #[must_use]
    pub fn rate(series: &[u64]) -> f64 {
        // The running second is not whole, and one alone jumps.
        let whole = &series[..series.len().saturating_sub(1)];
        let last = &whole[whole.len().saturating_sub(5)..];
        ratio(last.iter().sum(), last.len() as u64)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[derive(Debug, Default)]
struct Shard {
    records: u64,
    /// Arrivals of transactions without an outcome, in order.
    waiting: VecDeque<i64>,
}

#[derive(Debug)]
struct Recent {
    at_ms: i64,
    latency_ms: Option<i64>,
    outcome: SentOutcome,
}

/// What was seen so far, bounded.
#[derive(Debug, Default)]
pub struct Watcher {
    shards: BTreeMap<String, Shard>,
    pending: HashMap<EventKey, (String, i64)>,
    pending_order: VecDeque<EventKey>,
    records: Seconds,
    outcomes: Seconds,
    recent: VecDeque<Recent>,
    units: VecDeque<(i64, f64, f64)>,
}

impl Watcher {
    /// Names a shard, so that a silent one is in the picture.
    pub fn shard(&mut self, shard_id: &str) {
        self.shards.entry(shard_id.to_owned()).or_default();
    }

    /// Takes a record of the transactions stream, in the shard's order.
    pub fn record(&mut self, seen: &SeenRecord<'_>) {
        self.records.count(seen.arrival_ms);
        let shard = self.shards.entry(seen.shard_id.to_owned()).or_default();
        shard.records += 1;
        let Some(event) = &seen.event else { return };
        if self.pending.contains_key(event) {
            return; // a duplicate: its first copy is what is waited for
        }
        shard.waiting.push_back(seen.arrival_ms);
        self.pending
            .insert(event.clone(), (seen.shard_id.to_owned(), seen.arrival_ms));
        self.pending_order.push_back(event.clone());
        if self.pending_order.len() > PENDING_MAX
            && let Some(oldest) = self.pending_order.pop_front()
        {
            self.pending.remove(&oldest);
        }
    }

    /// Takes an outcome of the scores stream, and when that took it (ms since 1970-01-01T00:00:00Z).
    pub fn outcome(&mut self, arrival_ms: i64, outcome: SentOutcome) {
        self.outcomes.count(arrival_ms);
        let waited = outcome.key().and_then(|event| self.pending.remove(&event));
        if let Some((shard_id, since_ms)) = &waited
            && let Some(shard) = self.shards.get_mut(shard_id)
        {
            // What is older and has no outcome yet was refused on its card's history, or waits behind a failure of its
            // own card only: the function is past it.
            while shard.waiting.front().is_some_and(|at_ms| at_ms <= since_ms) {
                shard.waiting.pop_front();
            }
        }
        self.recent.push_back(Recent {
            at_ms: arrival_ms,
            latency_ms: waited.map(|(_, since_ms)| (arrival_ms - since_ms).max(0)),
            outcome,
        });
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }

    /// Takes capacity that the function reported at a time.
    pub fn units(&mut self, at_ms: i64, write: f64, read: f64) {
        self.units.push_back((at_ms, write, read));
    }

    /// The picture as of a time, without queues, units' presence and problems, which the caller knows.
    #[must_use]
    pub fn picture(&mut self, now_ms: i64) -> Picture {
        let from_ms = now_ms - LOOK_BACK_MS;
        while self.recent.front().is_some_and(|recent| recent.at_ms <= from_ms) {
            self.recent.pop_front();
        }
        while self.units.front().is_some_and(|(at_ms, ..)| *at_ms <= from_ms) {
            self.units.pop_front();
        }
        let mut picture = Picture {
            at_ms: now_ms,
            records_per_second: self.records.last(now_ms),
            outcomes_per_second: self.outcomes.last(now_ms),
            latency_ms: percentiles(self.recent.iter().filter_map(|recent| recent.latency_ms).collect()),
            outcomes: self.recent.len() as u64,
            top: self.top(),
            ..Picture::default()
        };
        for recent in &self.recent {
            *picture
                .decisions
                .entry(recent.outcome.decision.as_str().to_owned())
                .or_default() += 1;
            *picture
                .tiers
                .entry(recent.outcome.tier.as_str().to_owned())
                .or_default() += 1;
        }
        picture.shards = self
            .shards
            .iter()
            .map(|(id, shard)| ShardView {
                shard_id: id.clone(),
                records: shard.records,
                lag_ms: shard.waiting.front().map_or(0, |since_ms| (now_ms - since_ms).max(0)),
            })
            .collect();
        if !self.units.is_empty() {
            picture.write_units = Some(self.units.iter().map(|(_, write, _)| write).sum());
            picture.read_units = Some(self.units.iter().map(|(.., read)| read).sum());
        }
        picture
    }

    fn top(&self) -> Vec<TopView> {
        let mut best: Vec<&SentOutcome> = self.recent.iter().map(|recent| &recent.outcome).collect();
        best.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| event_of(a).cmp(&event_of(b))));
        // One row a card, its highest: a card under attack would fill the list, and an outcome may come twice.
        let mut cards = HashSet::new();
        best.retain(|outcome| cards.len() < TOP_SCORES && cards.insert(outcome.card_id.as_str()));
        let words = |outcome: &SentOutcome| {
            outcome
                .reasons
                .iter()
                .map(crate::explain_outcome::reason_in_words)
                .collect()
        };
        best.into_iter()
            .map(|outcome| TopView {
                card_id: outcome.card_id.clone(),
                event_id: outcome.event_id.clone(),
                occurred_at_ms: outcome.occurred_at_ms,
                score: outcome.score,
                decision: outcome.decision.as_str().to_owned(),
                reasons: words(outcome),
            })
            .collect()
    }
}

/// Counts by the second.
#[derive(Debug, Default)]
struct Seconds {
    counts: BTreeMap<i64, u64>,
}

impl Seconds {
    fn count(&mut self, at_ms: i64) {
        *self.counts.entry(at_ms.div_euclid(SECOND_MS)).or_default() += 1;
        // Time may jump; memory may not grow by it.
        while self.counts.len() > 4 * RATE_SECONDS {
            self.counts.pop_first();
        }
    }

    fn last(&self, now_ms: i64) -> Vec<u64> {
        let now_s = now_ms.div_euclid(SECOND_MS);
        let first_s = now_s - i64::try_from(RATE_SECONDS).unwrap_or(0) + 1;
        (first_s..=now_s)
            .map(|second| self.counts.get(&second).copied().unwrap_or(0))
            .collect()
    }
}

/// Median, 95 and 99 of 100, by the nearest rank; `None` of nothing.
fn percentiles(mut values: Vec<i64>) -> Option<[i64; 3]> {
    values.sort_unstable();
    let at = |share: usize| {
        values
            .get((values.len() * share).div_ceil(100).saturating_sub(1))
            .copied()
    };
    Some([at(50)?, at(95)?, at(99)?])
}

/// What makes an outcome's event one event, in the order in which it is shown.
fn event_of(outcome: &SentOutcome) -> (&str, &str, i64) {
    (&outcome.event_id, &outcome.card_id, outcome.occurred_at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(event_id: &str, score: u16, tier: &str) -> SentOutcome {
        serde_json::from_value(serde_json::json!({
            "event_id": event_id, "card_id": "c", "occurred_at_ms": 1, "score": score,
            "decision": if score > 800 { "alert" } else { "pass" }, "reasons": [], "policy_version": 1,
            "profile_version": null, "tier": tier, "state_version": 0, "missing": [],
            "schema": "outcome", "version": 1,
        }))
        .unwrap()
    }

    fn seen(watcher: &mut Watcher, shard_id: &str, event_id: &str, arrival_ms: i64) {
        watcher.record(&SeenRecord {
            shard_id,
            event: EventKey::new("c", event_id, 1),
            arrival_ms,
        });
    }

    #[test]
    fn latency_lag_rates_and_shares_of_a_small_stream() {
        let mut watcher = Watcher::default();
        watcher.shard("s1");
        for (event, at_ms) in [("a", 10_000), ("b", 10_500), ("c", 11_000)] {
            seen(&mut watcher, "s0", event, at_ms);
        }
        watcher.outcome(10_200, outcome("a", 10, "full"));
        watcher.outcome(11_500, outcome("b", 900, "no_profile"));
        let picture = watcher.picture(12_000);
        assert_eq!(picture.latency_ms, Some([200, 1_000, 1_000]));
        assert_eq!(picture.shards[0].lag_ms, 1_000, "c waits since 11,000");
        assert_eq!((picture.shards[0].records, picture.shards[1].lag_ms), (3, 0));
        assert!((picture.degraded_share() - 0.5).abs() < 1e-9);
        assert_eq!(picture.top[0].event_id, "b");
        assert_eq!(picture.records_per_second.iter().sum::<u64>(), 3);
        assert_eq!(picture.outcomes_per_second.last(), Some(&0));
        let later = watcher.picture(200_000);
        assert_eq!((later.outcomes, later.latency_ms), (0, None));
    }

    #[test]
    fn what_never_gets_an_outcome_does_not_look_like_lag_for_ever() {
        let mut watcher = Watcher::default();
        seen(&mut watcher, "s0", "refused-by-history", 1_000);
        seen(&mut watcher, "s0", "b", 2_000);
        assert_eq!(watcher.picture(3_000).shards[0].lag_ms, 2_000);
        watcher.outcome(2_100, outcome("b", 1, "full"));
        assert_eq!(watcher.picture(3_000).shards[0].lag_ms, 0);
    }

    #[test]
    fn a_card_is_once_among_the_top_scores_with_its_highest() {
        let mut watcher = Watcher::default();
        let of_card = |card: &str, event: &str, score| {
            let mut outcome = outcome(event, score, "full");
            outcome.card_id = card.to_owned();
            outcome
        };
        for at in 0..30_u16 {
            watcher.outcome(1_000, of_card("struck", &format!("e{at}"), 900 + at));
            watcher.outcome(1_000, of_card(&format!("card-{at}"), "x", at));
        }
        let top = watcher.picture(1_500).top;
        assert_eq!((top.len(), top[0].score, top[1].score), (TOP_SCORES, 929, 29));
        assert_eq!(top.iter().filter(|top| top.card_id == "struck").count(), 1);
    }

    #[test]
    fn an_outcome_sent_again_is_one_of_the_top_scores() {
        let mut watcher = Watcher::default();
        watcher.outcome(1_000, outcome("a", 990, "full"));
        watcher.outcome(1_001, outcome("a", 990, "full"));
        assert_eq!(watcher.picture(1_500).top.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut watcher = Watcher::default();
        for at in 0..PENDING_MAX + 10 {
            seen(&mut watcher, "s0", &format!("e{at}"), i64::try_from(at).unwrap());
        }
        assert_eq!(watcher.pending.len(), PENDING_MAX);
        assert!(watcher.records.counts.len() <= 4 * RATE_SECONDS);
    }
}
