//! How much of the fraud that the simulation put into its own stream was caught, in events and in money, and why the rest was
//! not. The simulation knows which events are fraud; the scores do not.

use std::collections::{BTreeMap, HashMap, HashSet};

use lab::simulate::{SimKind, SimRecord};
use operate::outcome::SentOutcome;
use serde::Serialize;
use terminal::ui::{self, grouped, paint};
use tidemark_domain::contract;
use tidemark_domain::event::{Event, Transaction};
use tidemark_domain::outcome::Decision;
use tidemark_domain::policy::Policy;
use tidemark_domain::policy::base_amount;

/// From so many earlier events on an event's past says something of an amount.
const PAST_EVENTS_MIN: u64 = 5;
/// Reasons for which events were missed that are told, the commonest first.
const REASONS_SHOWN_MAX: usize = 3;

/// The fraud of a run. Field names are stable: scripts read them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fraud {
    /// Each pattern that the stream held.
    pub patterns: Vec<Pattern>,
    /// Ordinary events that were sent to review or alert.
    pub false_alarms: u64,
    /// Ordinary events.
    pub ordinary: u64,
    /// The currency of all amounts: the policy's base currency, by its rates.
    pub currency: String,
    /// Decimal digits of its minor unit.
    pub minor_digits: u32,
}

/// Events of one pattern of fraud.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pattern {
    /// Its name.
    pub name: &'static str,
    /// Events with an outcome.
    pub events: u64,
    /// Those that were sent to review or alert.
    pub caught: u64,
    /// Their amounts, minor units.
    pub caught_minor: u64,
    /// The others' amounts, minor units.
    pub missed_minor: u64,
    /// Why the others passed, with how many each.
    pub missed_because: BTreeMap<&'static str, u64>,
}

impl Fraud {
    /// Holds a stream against what came out.
    #[must_use]
    pub fn of<'o>(
        stream: impl Iterator<Item = SimRecord>,
        outcomes: impl Iterator<Item = &'o SentOutcome>,
        policy: &Policy,
    ) -> Self {
        let by_event: HashMap<(&str, &str, i64), &SentOutcome> = outcomes
            .map(|outcome| {
                let key = (
                    outcome.card_id.as_str(),
                    outcome.event_id.as_str(),
                    outcome.occurred_at_ms,
                );
                (key, outcome)
            })
            .collect();
        let (mut patterns, mut begun) = (BTreeMap::<&'static str, Pattern>::new(), HashSet::new());
        let mut fraud = Self {
            currency: policy.currency.base.as_str().to_owned(),
            minor_digits: policy.currency.base.minor_digits(),
            ..Self::default()
        };
        for (name, tx) in told(stream, policy) {
            let key = (tx.card_id.as_str(), tx.event_id.as_str(), tx.occurred_at_ms);
            let Some(outcome) = by_event.get(&key) else {
                continue;
            };
            let is_caught = outcome.decision != Decision::Pass;
            let Some(name) = name else {
                fraud.ordinary += 1;
                fraud.false_alarms += u64::from(is_caught);
                continue;
            };
            let is_first = begun.insert((name, tx.card_id.as_str().to_owned()));
            let pattern = patterns.entry(name).or_insert_with(|| Pattern {
                name,
                ..Pattern::default()
            });
            pattern.add(&tx, outcome, is_first, policy);
        }
        fraud.patterns = patterns.into_values().collect();
        fraud
    }

    /// The section of a report, in full with why the rest was missed.
    #[must_use]
    pub fn render(&self, full: bool) -> String {
        let heading = paint(ui::HEADING, "Fraud that the simulation hid in the stream");
        let mut text = format!("\n{heading}  {}\n", paint(ui::DIM, "caught: sent to review or alert"));
        for pattern in &self.patterns {
            let missed = pattern.events - pattern.caught;
            text += &format!(
                "  {:<20} {:>5} of {:<5} caught, {} of {} {}\n",
                pattern.name,
                grouped(pattern.caught),
                grouped(pattern.events),
                self.whole_units(pattern.caught_minor),
                self.whole_units(pattern.caught_minor.saturating_add(pattern.missed_minor)),
                self.currency,
            );
            if full && missed > 0 {
                let why = paint(ui::DIM, format!("missed: {}", pattern.why_missed()));
                text += &format!("      {why}\n");
            }
        }
        text += &format!(
            "  {:<20} {:>5} of {} ordinary events\n",
            "false alarms",
            grouped(self.false_alarms),
            grouped(self.ordinary)
        );
        text
    }

    /// Cents say nothing beside such sums.
    fn whole_units(&self, minor: u64) -> String {
        grouped(minor / 10_u64.pow(self.minor_digits))
    }
}

impl Pattern {
    fn add(&mut self, tx: &Transaction, outcome: &SentOutcome, is_first: bool, policy: &Policy) {
        let amount = base_amount(tx, policy).unwrap_or_default();
        self.events += 1;
        if outcome.decision != Decision::Pass {
            self.caught += 1;
            self.caught_minor = self.caught_minor.saturating_add(amount);
            return;
        }
        self.missed_minor = self.missed_minor.saturating_add(amount);
        *self.missed_because.entry(why(tx, outcome, is_first)).or_default() += 1;
    }

    fn why_missed(&self) -> String {
        let mut reasons: Vec<(&str, u64)> = self.missed_because.iter().map(|(why, count)| (*why, *count)).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let words: Vec<String> = reasons
            .iter()
            .take(REASONS_SHOWN_MAX)
            .map(|(why, count)| format!("{} {why}", grouped(*count)))
            .collect();
        words.join(", ")
    }
}

/// The transactions of a stream that are fraud, with its name, and the ordinary ones; broken ones and other records are left out.
pub(super) fn told(
    stream: impl Iterator<Item = SimRecord>,
    policy: &Policy,
) -> impl Iterator<Item = (Option<&'static str>, Transaction)> {
    stream.filter_map(|record| {
        let name = name_of(record.kind);
        let is_told = name.is_some() || record.kind == SimKind::Ordinary;
        Some((name, transaction(&record, policy).filter(|_| is_told)?))
    })
}

/// The transaction of a record that is one.
pub(super) fn transaction(record: &SimRecord, policy: &Policy) -> Option<Transaction> {
    let decoded = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds);
    match decoded.map(|decoded| decoded.event) {
        Ok(Event::Transaction(tx)) => Some(tx),
        _ => None,
    }
}

/// The patterns of fraud by their names.
const fn name_of(kind: SimKind) -> Option<&'static str> {
    match kind {
        SimKind::CardTesting => Some("card testing"),
        SimKind::Takeover => Some("account takeover"),
        SimKind::ImpossibleTravel => Some("impossible travel"),
        SimKind::BigTicket => Some("one big ticket"),
        SimKind::BadTerminal => Some("compromised terminal"),
        SimKind::DeviceRing => Some("device ring"),
        _ => None,
    }
}

/// What kept an event of fraud from standing out: the first of these that holds.
fn why(tx: &Transaction, outcome: &SentOutcome, is_first: bool) -> &'static str {
    if is_first && outcome.state_version > PAST_EVENTS_MIN {
        "first of its kind"
    } else if outcome.state_version < PAST_EVENTS_MIN {
        "few events yet"
    } else if outcome.is_without_profile() {
        "no profile"
    } else if tx.device_id.is_none() && tx.place.is_none() {
        "no device or place"
    } else {
        "within habits"
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::outcome::{Missing, Tier};

    use super::*;
    use lab::simulate::{self, SimConfig};

    #[test]
    fn what_is_caught_and_missed_adds_up() {
        let policy = Policy::default_policy();
        let config = SimConfig::new(7, 12_000, 300, 1_790_000_000_000, &policy);
        // Every second event of fraud is caught, and every tenth ordinary one raises a false alarm.
        let mut outcomes = Vec::new();
        let mut number = 0_u64;
        for record in simulate::generate(&config) {
            let is_fraud = name_of(record.kind).is_some();
            if !is_fraud && record.kind != SimKind::Ordinary {
                continue;
            }
            let payload: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
            let caught = number.is_multiple_of(if is_fraud { 2 } else { 10 });
            number += 1;
            outcomes.push(SentOutcome {
                event_id: payload["event_id"].as_str().unwrap().to_owned(),
                card_id: payload["card_id"].as_str().unwrap().to_owned(),
                occurred_at_ms: payload["occurred_at_ms"].as_i64().unwrap(),
                score: 0,
                decision: if caught { Decision::Review } else { Decision::Pass },
                reasons: Vec::new(),
                tier: Tier::Full,
                state_version: number % 20,
                missing: Missing::default(),
            });
        }
        let fraud = Fraud::of(simulate::generate(&config), outcomes.iter(), &policy);
        assert_eq!(fraud.patterns.len(), 4, "{fraud:?}");
        for pattern in &fraud.patterns {
            let missed: u64 = pattern.missed_because.values().sum();
            assert_eq!(pattern.caught + missed, pattern.events, "{pattern:?}");
            assert!(pattern.caught_minor + pattern.missed_minor > 0, "{pattern:?}");
        }
        let events: u64 = fraud.patterns.iter().map(|pattern| pattern.events).sum();
        assert_eq!(events + fraud.ordinary, outcomes.len() as u64);
        assert!(fraud.false_alarms * 5 < fraud.ordinary && fraud.false_alarms > 0);
        let text = fraud.render(true);
        assert!(
            text.contains("card testing") && text.contains("missed: ") && text.contains(" EUR"),
            "{text}"
        );
        assert!(text.lines().count() <= 11, "{text}");
    }

    /// What the demo pays with can be compared: each of its currencies has a rate in the built-in policy.
    #[test]
    fn every_currency_of_the_demo_has_a_rate() {
        let policy = Policy::default_policy();
        let config = SimConfig::new(3, 20_000, 400, 1_790_000_000_000, &policy);
        for record in simulate::generate(&config) {
            let decoded = contract::decode(&record.payload, record.sent_at_ms, &policy.bounds);
            if let Ok(Event::Transaction(tx)) = decoded.map(|decoded| decoded.event) {
                assert!(base_amount(&tx, &policy).is_some(), "{}", tx.currency.as_str());
            }
        }
    }
}
