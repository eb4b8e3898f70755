//! Card precision at k: what a team finds that looks at k cards a day.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rank::{Resample, Sample};

/// Card precision at k, as the Fraud Detection Handbook has it (Le Borgne and others, 2022, `card_precision_top_k`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardPrecision {
    /// Cards looked at a day.
    pub k: usize,
    /// Mean over days of the share of these k cards that had a fraud on the day.
    pub mean: f64,
    /// Each day that has a case.
    pub days: Vec<DayPrecision>,
}

/// One day of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DayPrecision {
    /// The day's number.
    pub day: i64,
    /// Cards with a fraud that day that were not found on an earlier one.
    pub compromised: usize,
    /// Of these, the ones that were among the k.
    pub found: usize,
}

/// What one card did on one day.
#[derive(Clone, Copy)]
struct CardDay {
    score: f64,
    fraud: bool,
    copies: u64,
}

type Days = BTreeMap<i64, BTreeMap<u64, CardDay>>;

impl Sample<'_> {
    /// For each day, the k cards with the highest score of the day (of equal scores, those with the lower number first), and the
    /// share of them that had a fraud that day. A card that was found so is left out on later days. A day with fewer cards
    /// still counts k. `None` without cases, and for k of 0.
    ///
    /// Of drawn days, what was found before each is what was found in all days: a day that was not drawn passed nevertheless.
    #[must_use]
    pub fn card_precision(&self, k: usize) -> Option<CardPrecision> {
        let mut found = BTreeSet::new();
        let (mut days, mut sum, mut weight) = (Vec::new(), 0.0, 0.0);
        for (day, mut cards) in self.card_days() {
            let times = self.times(&cards);
            cards.retain(|card, _| !found.contains(card));
            let (one, detected) = self.look(day, &cards, k);
            found.extend(detected);
            if times > 0.0 {
                sum += times * one.found as f64 / k as f64;
                weight += times;
                days.push(one);
            }
        }
        (k > 0 && weight > 0.0).then(|| CardPrecision {
            k,
            mean: sum / weight,
            days,
        })
    }

    /// Looks at k cards of a day: what that gave, and the cards that were found.
    fn look(&self, day: i64, cards: &BTreeMap<u64, CardDay>, k: usize) -> (DayPrecision, Vec<u64>) {
        let by_days = self.by_days();
        let slots = |card: &CardDay| if by_days { 1 } else { card.copies as usize };
        let mut order: Vec<(&u64, &CardDay)> = cards.iter().collect();
        // Stable: cards of equal scores stay in the order of their numbers.
        order.sort_by(|one, other| other.1.score.total_cmp(&one.1.score));
        let (mut left, mut found, mut detected) = (k, 0, Vec::new());
        for (number, card) in order {
            if left == 0 {
                break;
            }
            let taken = slots(card).min(left);
            left -= taken;
            if card.fraud {
                found += taken;
                detected.push(*number);
            }
        }
        let compromised = cards.values().filter(|card| card.fraud).map(slots).sum();
        (
            DayPrecision {
                day,
                compromised,
                found,
            },
            detected,
        )
    }

    /// How many times a day counts: once, unless days were drawn.
    fn times(&self, cards: &BTreeMap<u64, CardDay>) -> f64 {
        match cards.values().next() {
            Some(card) if self.by_days() => card.copies as f64,
            _ => 1.0,
        }
    }

    fn by_days(&self) -> bool {
        matches!(&self.drawn, Some((Resample::Day, _)))
    }

    fn card_days(&self) -> Days {
        let mut days = Days::new();
        for (at, case) in self.ranked.cases.iter().enumerate() {
            let copies = self.copies(at as u32);
            if copies == 0 && !self.by_days() {
                continue;
            }
            let card = days.entry(case.day).or_default().entry(case.card).or_insert(CardDay {
                score: case.score,
                fraud: false,
                copies,
            });
            card.score = card.score.max(case.score);
            card.fraud |= case.fraud;
        }
        days
    }
}
