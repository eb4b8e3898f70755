//! What two policies made of the same events, in figures. Pure.

use std::collections::{BTreeMap, BTreeSet};

use learn::metrics::{Case, RuleWorth, utc_day};
use serde::Serialize;
use tidemark_domain::control::trial::{Arm, Trial};
use tidemark_domain::event::Currency;
use tidemark_domain::event::Verdict;
use tidemark_domain::id::fingerprint64;
use tidemark_domain::outcome::{Decision, SCORE_MAX};
use tidemark_telemetry::price::Prices;

use super::worth::{Found, found};

/// Bins of the score's histogram.
pub const BINS: usize = 20;
/// Flips that are named, the greatest difference of scores first.
const EXAMPLES_MAX: usize = 20;
/// Memory of the function that prices are told for, GiB: the template's default.
const MEMORY_GB: f64 = 1.0;
/// What an empty bin counts for, so that the stability index stays finite.
const BIN_SHARE_MIN: f64 = 1e-4;

/// An event under both policies.
#[derive(Clone, Debug)]
pub struct LabelledTrial {
    /// What was recorded.
    pub trial: Trial,
    /// What became known.
    pub label: Option<Verdict>,
    /// The amount of a labelled event, base minor units.
    pub amount_minor: u64,
    /// The rules that held for it, of the active policy and of the candidate.
    pub rules: [Vec<String>; 2],
}

/// One recorded batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordedBatch {
    /// The policy that was in force.
    pub active: u32,
    /// When it was scored, ms since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// Its events.
    pub events: usize,
    /// Those that were timed.
    pub timed: u64,
    /// Time of the active policy for those, ns.
    pub active_ns: i64,
    /// Time of the candidate for those, ns.
    pub candidate_ns: i64,
    /// Write units that recording it took.
    pub write_units: usize,
}

/// The scores from which on a policy decides so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// From here on `review`.
    pub review: u16,
    /// From here on `alert`.
    pub alert: u16,
}

/// Everything recorded of a candidate.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The candidate.
    pub candidate: u32,
    /// Limits of the policy that was in force last; nothing when its text is not known here.
    pub active_limits: Option<Limits>,
    /// Limits of the candidate.
    pub candidate_limits: Option<Limits>,
    /// The batches.
    pub batches: Vec<RecordedBatch>,
    /// The events.
    pub events: Vec<LabelledTrial>,
    /// Names of the rules of the active policies and of the candidate, whether they held or not.
    pub rules: [BTreeSet<String>; 2],
    /// Items that are none of ours.
    pub unreadable: usize,
    /// Cards beyond the limit, whose labels were not read.
    pub cards_without_label_read: usize,
    /// The currency of amounts: the base currency of the candidate, where its text is known here.
    pub currency: Option<Currency>,
}

/// The comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The candidate's version.
    pub candidate: u32,
    /// The versions that were in force meanwhile.
    pub active: Vec<u32>,
    /// Limits of the policy that was in force last; nothing when its text is not known here.
    pub active_limits: Option<Limits>,
    /// Limits of the candidate.
    pub candidate_limits: Option<Limits>,
    /// Events that both scored.
    pub events: u64,
    /// Cards they belong to.
    pub cards: u64,
    /// Time of the first and of the last batch, ms since 1970-01-01T00:00:00Z.
    pub from_ms: i64,
    /// The last.
    pub to_ms: i64,
    /// Share of events with the same decision, percent.
    pub agreement_pct: f64,
    /// Events by decision: rows are the active policy's pass, review, alert; columns the candidate's.
    pub matrix: [[u64; 3]; 3],
    /// Decisions that would become stricter.
    pub flips_stricter: u64,
    /// Decisions that would become more lenient.
    pub flips_lenient: u64,
    /// Flips with the greatest difference of scores.
    pub examples: Vec<Example>,
    /// Scores of the active policy.
    pub active_scores: Scores,
    /// Scores of the candidate.
    pub candidate_scores: Scores,
    /// How far the distributions are apart.
    pub drift: Drift,
    /// How often each is right, where labels exist.
    pub active_precision: Precision,
    /// The same of the candidate.
    pub candidate_precision: Precision,
    /// What the active policy finds of the frauds that labels know of, in events and money.
    pub active_found: Found,
    /// The same of the candidate.
    pub candidate_found: Found,
    /// Each rule of the active policies: how often it held, and what of that was fraud by the labels.
    pub active_rules: Vec<RuleWorth>,
    /// The same of the candidate's.
    pub candidate_rules: Vec<RuleWorth>,
    /// The currency of amounts; nothing when the candidate's text is not known here.
    pub currency: Option<String>,
    /// Time and money.
    pub cost: Cost,
    /// Recorded items that could not be read.
    pub unreadable: usize,
    /// Cards whose labels were not read, beyond the limit.
    pub cards_without_label_read: usize,
    /// When this was made, ms since 1970-01-01T00:00:00Z.
    pub made_at_ms: i64,
}

impl Comparison {
    /// What nothing was looked at of, in words.
    pub(super) fn not_looked_at(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.unreadable > 0 {
            words.push(format!("{} recorded batches could not be read", self.unreadable));
        }
        if self.cards_without_label_read > 0 {
            words.push(format!(
                "{} cards were beyond the limit of labels: what labels say is of the other cards alone, which are first those with an \
                 event that a policy flags, so that the share of frauds that are found reads too high",
                self.cards_without_label_read
            ));
        }
        words
    }
}

/// A flip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// The event.
    pub event_id: String,
    /// Its card.
    pub card_id: String,
    /// What was sent.
    pub active: Arm,
    /// What would have been.
    pub candidate: Arm,
}

/// A distribution of scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: u16,
    /// The 95th percentile.
    pub p95: u16,
    /// The 99th percentile.
    pub p99: u16,
    /// Events by score, in [`BINS`] equal bins.
    pub histogram: Vec<u64>,
}

/// How far two distributions are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Mean of candidate minus active, event by event.
    pub mean_difference: f64,
    /// Mean of the difference without its sign.
    pub mean_absolute_difference: f64,
    /// Kolmogorov–Smirnov distance, 0 to 1.
    pub ks: f64,
    /// The score at which it is found.
    pub ks_score: u16,
    /// Population stability index over the histogram: below 0.1 the same, above 0.25 another population.
    pub psi: f64,
}

/// How often a policy is right in what it flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Precision {
    /// How many alerts it raised.
    pub alerts: u64,
    /// Alerts with a label.
    pub alerts_labelled: u64,
    /// Of these, fraud.
    pub alerts_fraud: u64,
    /// Fraud among the labelled alerts, percent; nothing without labels.
    pub alert_precision_pct: Option<f64>,
    /// Reviews and alerts.
    pub flagged: u64,
    /// Reviews and alerts with a label.
    pub flagged_labelled: u64,
    /// Of these, fraud.
    pub flagged_fraud: u64,
    /// Fraud among the labelled reviews and alerts, percent; nothing without labels.
    pub flagged_precision_pct: Option<f64>,
}

/// Time and money of both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Events that were timed: a sample, both policies with warm caches.
    pub timed_events: u64,
    /// Time of the active policy for an event, folding included, microseconds; the median over batches, by their events.
    pub active_us_per_event: f64,
    /// Time of the candidate for an event, microseconds.
    pub candidate_us_per_event: f64,
    /// Processor time of a million events under the active policy, US dollars.
    pub active_usd_per_million: f64,
    /// The same under the candidate.
    pub candidate_usd_per_million: f64,
    /// Write units that recording took for an event that was tried.
    pub trial_write_units_per_event: f64,
    /// What trying costs for a million events that are tried, US dollars: the candidate's time and the recording.
    pub trial_usd_per_million: f64,
}

/// Compares the candidate with the active policy, over the trials that were read.
#[must_use]
pub fn compare(samples: &Samples, made_at_ms: i64) -> Comparison {
    let events = &samples.events;
    let mut matrix = [[0_u64; 3]; 3];
    for sample in events {
        matrix[sample.trial.active.decision as usize][sample.trial.candidate.decision as usize] += 1;
    }
    let count = |of: &dyn Fn(usize, usize) -> bool| {
        let cells = (0..3).flat_map(|row| (0..3).map(move |column| (row, column)));
        cells
            .filter(|(row, column)| of(*row, *column))
            .map(|(row, column)| matrix[row][column])
            .sum::<u64>()
    };
    let mut active: Vec<u32> = samples.batches.iter().map(|batch| batch.active).collect();
    active.sort_unstable();
    active.dedup();
    let mut cards: Vec<&str> = events.iter().map(|sample| sample.trial.card_id.as_str()).collect();
    cards.sort_unstable();
    cards.dedup();
    let of_active: Vec<u16> = events.iter().map(|sample| sample.trial.active.score).collect();
    let of_candidate: Vec<u16> = events.iter().map(|sample| sample.trial.candidate.score).collect();
    let (active_scores, candidate_scores) = (scores(&of_active), scores(&of_candidate));
    Comparison {
        candidate: samples.candidate,
        active,
        active_limits: samples.active_limits,
        candidate_limits: samples.candidate_limits,
        events: events.len() as u64,
        cards: cards.len() as u64,
        from_ms: samples
            .batches
            .iter()
            .map(|batch| batch.at_ms)
            .min()
            .unwrap_or_default(),
        to_ms: samples
            .batches
            .iter()
            .map(|batch| batch.at_ms)
            .max()
            .unwrap_or_default(),
        agreement_pct: 100.0 * share(count(&|row, column| row == column), events.len() as u64),
        matrix,
        flips_stricter: count(&|row, column| column > row),
        flips_lenient: count(&|row, column| column < row),
        examples: examples(events),
        drift: drift(&of_active, &of_candidate, &active_scores, &candidate_scores),
        active_scores,
        candidate_scores,
        active_precision: precision(events, |trial| trial.active.decision),
        candidate_precision: precision(events, |trial| trial.candidate.decision),
        active_found: found(&labelled(events, |trial| trial.active.decision)),
        candidate_found: found(&labelled(events, |trial| trial.candidate.decision)),
        active_rules: rules(samples, 0),
        candidate_rules: rules(samples, 1),
        currency: samples.currency.map(|currency| currency.as_str().to_owned()),
        cost: cost(&samples.batches),
        unreadable: samples.unreadable,
        cards_without_label_read: samples.cards_without_label_read,
        made_at_ms,
    }
}

/// A part of a whole, 0 to 1.
#[allow(clippy::cast_precision_loss, reason = "counts of events are far below 2^53")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn examples(events: &[LabelledTrial]) -> Vec<Example> {
    let differs = |sample: &&LabelledTrial| sample.trial.active.decision != sample.trial.candidate.decision;
    let mut flips: Vec<&Trial> = events.iter().filter(differs).map(|sample| &sample.trial).collect();
    let distance = |trial: &Trial| trial.active.score.abs_diff(trial.candidate.score);
    flips.sort_by(|a, b| distance(b).cmp(&distance(a)).then_with(|| a.event_id.cmp(&b.event_id)));
    let example = |trial: &Trial| Example {
        event_id: trial.event_id.clone(),
        card_id: trial.card_id.clone(),
        active: trial.active,
        candidate: trial.candidate,
    };
    flips.into_iter().take(EXAMPLES_MAX).map(example).collect()
}

/// The bin of a score.
pub(super) fn bin(score: u16) -> usize {
    (usize::from(score) * BINS / (usize::from(SCORE_MAX) + 1)).min(BINS - 1)
}

fn scores(values: &[u16]) -> Scores {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    };
    let mut histogram = vec![0; BINS];
    for score in values {
        histogram[bin(*score)] += 1;
    }
    Scores {
        mean: share(values.iter().map(|score| u64::from(*score)).sum(), values.len() as u64),
        p50: at(50),
        p95: at(95),
        p99: at(99),
        histogram,
    }
}

fn drift(active: &[u16], candidate: &[u16], of_active: &Scores, of_candidate: &Scores) -> Drift {
    let pairs = || active.iter().zip(candidate);
    let whole = active.len() as u64;
    let absolute = pairs().map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mut below = vec![[0_u64; 2]; usize::from(SCORE_MAX) + 1];
    for (a, b) in pairs() {
        below[usize::from((*a).min(SCORE_MAX))][0] += 1;
        below[usize::from((*b).min(SCORE_MAX))][1] += 1;
    }
    let (mut ks, mut ks_score, mut sums) = (0.0_f64, 0, [0_u64; 2]);
    for (score, counts) in (0_u16..).zip(below) {
        sums = [sums[0] + counts[0], sums[1] + counts[1]];
        let gap = (share(sums[0], whole) - share(sums[1], whole)).abs();
        if gap > ks {
            (ks, ks_score) = (gap, score);
        }
    }
    let bins = of_active.histogram.iter().zip(&of_candidate.histogram);
    let psi = bins.map(|(a, b)| {
        let (a, b) = (share(*a, whole).max(BIN_SHARE_MIN), share(*b, whole).max(BIN_SHARE_MIN));
        (b - a) * libm::log(b / a)
    });
    Drift {
        mean_difference: of_candidate.mean - of_active.mean,
        mean_absolute_difference: share(absolute, whole),
        ks,
        ks_score,
        psi: psi.sum(),
    }
}

fn precision(events: &[LabelledTrial], decision: impl Fn(&Trial) -> Decision) -> Precision {
    let mut counts = Precision::default();
    for sample in events {
        let decision = decision(&sample.trial);
        let (labelled, fraud) = (
            u64::from(sample.label.is_some()),
            u64::from(sample.label == Some(Verdict::Fraud)),
        );
        if decision == Decision::Alert {
            counts.alerts += 1;
            counts.alerts_labelled += labelled;
            counts.alerts_fraud += fraud;
        }
        if decision != Decision::Pass {
            counts.flagged += 1;
            counts.flagged_labelled += labelled;
            counts.flagged_fraud += fraud;
        }
    }
    let pct = |fraud, labelled| (labelled > 0).then(|| 100.0 * share(fraud, labelled));
    Precision {
        alert_precision_pct: pct(counts.alerts_fraud, counts.alerts_labelled),
        flagged_precision_pct: pct(counts.flagged_fraud, counts.flagged_labelled),
        ..counts
    }
}

/// What each rule is worth, of the active policies (0) or of the candidate (1), by their names.
fn rules(samples: &Samples, of: usize) -> Vec<RuleWorth> {
    let names = samples.rules[of].iter().map(String::as_str);
    let mut rules: BTreeMap<&str, RuleWorth> = names.map(|name| (name, RuleWorth::new(name))).collect();
    for sample in &samples.events {
        let fraud = sample.label.map(|label| label == Verdict::Fraud);
        for name in &sample.rules[of] {
            let worth = rules.entry(name).or_insert_with(|| RuleWorth::new(name));
            worth.count(fraud, sample.amount_minor);
        }
    }
    rules.into_values().collect()
}

/// The labelled events with a policy's decisions as their scores.
fn labelled(events: &[LabelledTrial], decision: impl Fn(&Trial) -> Decision) -> Vec<Case> {
    let case = |sample: &LabelledTrial| {
        Some(Case {
            score: f64::from(decision(&sample.trial) as u8),
            fraud: sample.label? == Verdict::Fraud,
            day: utc_day(sample.trial.occurred_at_ms),
            card: fingerprint64(&sample.trial.card_id),
            amount_minor: sample.amount_minor,
        })
    };
    events.iter().filter_map(case).collect()
}

/// Time for an event in the batch that stands in the middle, microseconds: a few batches in which the machine did something
/// else would carry a mean away.
fn typical_us(batches: &[RecordedBatch], took_ns: impl Fn(&RecordedBatch) -> i64) -> f64 {
    let of_batch = |batch: &RecordedBatch| share(took_ns(batch).max(0).unsigned_abs(), batch.timed) / 1_000.0;
    let mut batches: Vec<(f64, u64)> = batches
        .iter()
        .filter(|batch| batch.timed > 0)
        .map(|batch| (of_batch(batch), batch.timed))
        .collect();
    batches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half: u64 = batches.iter().map(|(_, timed)| timed).sum::<u64>().div_ceil(2);
    let mut passed = 0;
    let middle = batches.iter().find(|(_, timed)| {
        passed += timed;
        passed >= half
    });
    middle.map_or(0.0, |(us, _)| *us)
}

fn cost(batches: &[RecordedBatch]) -> Cost {
    let events: u64 = batches.iter().map(|batch| batch.events as u64).sum();
    let timed: u64 = batches.iter().map(|batch| batch.timed).sum();
    let active_us = typical_us(batches, |batch| batch.active_ns);
    let candidate_us = typical_us(batches, |batch| batch.candidate_ns);
    let write_units = share(batches.iter().map(|batch| batch.write_units as u64).sum(), events);
    let prices = Prices::default();
    // Microseconds an event are seconds a million events.
    let usd = |us: f64| us * MEMORY_GB * prices.gb_second_usd;
    Cost {
        timed_events: timed,
        active_us_per_event: active_us,
        candidate_us_per_event: candidate_us,
        active_usd_per_million: usd(active_us),
        candidate_usd_per_million: usd(candidate_us),
        trial_write_units_per_event: write_units,
        trial_usd_per_million: usd(candidate_us) + write_units * prices.write_units_million_usd,
    }
}
