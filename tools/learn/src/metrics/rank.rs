//! How well scores put frauds before the rest.

use serde::Serialize;

use crate::refusal::LearnError;

/// Milliseconds of a day.
pub const MS_PER_DAY: i64 = 86_400_000;

/// A scored event with its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The score, in any unit: more is more suspicious.
    pub score: f64,
    /// Whether it is fraud, as is known in the end.
    pub fraud: bool,
    /// The number of its day, in the zone that the caller counts days in.
    pub day: i64,
    /// Its card: a number that stands for it.
    pub card: u64,
    /// Its amount, base minor units.
    pub amount_minor: u64,
}

/// The number of a time's day, UTC.
#[must_use]
pub const fn utc_day(at_ms: i64) -> i64 {
    at_ms.div_euclid(MS_PER_DAY)
}

/// What a bootstrap sample is drawn of. Events of a card, or of a day, are not independent of each other, so they are drawn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Cards, each with all its events.
    Card,
    /// Days, each with all its events.
    Day,
}

/// Cases in the order of their scores.
#[derive(Clone, Debug)]
pub struct Ranked<'a> {
    pub(super) cases: &'a [Case],
    /// From the highest score down.
    pub(super) order: Vec<u32>,
}

impl<'a> Ranked<'a> {
    /// Sorts the cases.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn new(cases: &'a [Case]) -> Result<Self, LearnError> {
        if let Some(at) = cases.iter().position(|case| case.score.is_nan()) {
            return Err(LearnError::Score { at });
        }
        let mut order: Vec<u32> = (0..cases.len() as u32).collect();
        let score = |at: u32| cases[at as usize].score;
        order.sort_unstable_by(|one, other| score(*other).total_cmp(&score(*one)).then(one.cmp(other)));
        Ok(Self { cases, order })
    }

    /// All cases, each once.
    #[must_use]
    pub fn all(&self) -> Sample<'_> {
        Sample {
            ranked: self,
            drawn: None,
        }
    }
}

/// Some of the cases, each so many times.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    pub(super) ranked: &'a Ranked<'a>,
    /// How each case was drawn, and how many times; `None`: all of them once.
    pub(super) drawn: Option<(Resample, Vec<u32>)>,
}

/// Cases of one score: how many are fraud, and how many are not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    pub(super) score: f64,
    pub(super) frauds: u64,
    pub(super) genuine: u64,
}

impl Sample<'_> {
    /// How many times a case is in the sample.
    pub(super) fn copies(&self, case: u32) -> u64 {
        match &self.drawn {
            Some((_, copies)) => u64::from(copies[case as usize]),
            None => 1,
        }
    }

    /// Cases of equal scores together, from the highest score down.
    pub(super) fn ties(&self) -> impl Iterator<Item = Tie> {
        let cases = self.ranked.cases;
        let score = |at: u32| cases[at as usize].score;
        let same = self
            .ranked
            .order
            .chunk_by(move |one, other| score(*one) == score(*other));
        same.map(move |same| {
            let count = |fraud: bool| {
                let of_kind = same.iter().filter(|at| cases[**at as usize].fraud == fraud);
                of_kind.map(|at| self.copies(*at)).sum()
            };
            Tie {
                score: score(same[0]),
                frauds: count(true),
                genuine: count(false),
            }
        })
    }

    fn totals(&self) -> (f64, f64) {
        let add = |(frauds, genuine), tie: Tie| (frauds + tie.frauds, genuine + tie.genuine);
        let (frauds, genuine) = self.ties().fold((0_u64, 0_u64), add);
        (frauds as f64, genuine as f64)
    }

    /// Area under the receiver operating characteristic: the share of pairs of a fraud and another event in which the fraud has
    /// the higher score, equal scores counting half (mid-ranks: J. Hanley and B. McNeil, 1982). `None` without one of each.
    #[must_use]
    pub fn auc(&self) -> Option<f64> {
        let (frauds, genuine) = self.totals();
        let (mut above, mut pairs) = (0.0, 0.0);
        for tie in self.ties() {
            let below = genuine - above - tie.genuine as f64;
            pairs += tie.frauds as f64 * (below + tie.genuine as f64 / 2.0);
            above += tie.genuine as f64;
        }
        (frauds > 0.0 && genuine > 0.0).then(|| pairs / (frauds * genuine))
    }

    /// Average precision: `Σ (R_n − R_{n−1}) P_n` over the different scores from the highest down, with precision P and recall
    /// R of all events from that score on, as in scikit-learn's `average_precision_score`. `None` without a fraud.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        let (frauds, _) = self.totals();
        let (mut found, mut alerts, mut sum) = (0.0, 0.0, 0.0);
        for tie in self.ties() {
            found += tie.frauds as f64;
            alerts += (tie.frauds + tie.genuine) as f64;
            if tie.frauds > 0 {
                sum += tie.frauds as f64 * found / alerts;
            }
        }
        (frauds > 0.0).then(|| sum / frauds)
    }
}
