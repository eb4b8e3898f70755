//! `tidemark backtest`: policies against a history, through the real engine, with labels as of when they were known.

mod page;
mod plots;
pub mod text;

pub use page::page;

use std::collections::{BTreeMap, HashMap};

use lab::dice::Dice;
use learn::metrics::{
    AlertIntervals, AtThreshold, Case, CurvePoint, Interval, Ranked, Resample, RuleWorth, Sample, alert_intervals,
    intervals, utc_day,
};
use serde::Serialize;
use terminal::input::EventFile;
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::labels::Labels;
use super::replay::{self, Scored};

const DAYS_PER_WEEK: i64 = 7;
/// Samples behind an interval.
const REPLICATES: usize = 200;
/// A decision as a number: pass is 0.
const REVIEW: u8 = 1;
const ALERT: u8 = 2;
/// Scores that alerts are tried from.
const THRESHOLDS: [f64; 10] = [50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0];
/// The intervals are the same in every run.
const SEED: u64 = 1;

/// What to hold against each other.
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// Events and labels, one a line, in event-time order.
    pub input: EventFile,
    /// Policies with their names.
    pub policies: Vec<(String, Policy)>,
    /// Events from this time on count, ms since 1970-01-01T00:00:00Z; those before warm the histories.
    pub from_ms: i64,
    /// Events from this time on are not looked at, ms since 1970-01-01T00:00:00Z.
    pub until_ms: i64,
    /// How late labels are, ms.
    pub label_delay_ms: i64,
    /// Cards that somebody looks at a day.
    pub cards_a_day: usize,
    /// Whether events of cards with a fraud that was known by then are left out.
    pub leave_out_compromised: bool,
    /// Further delays of labels, ms, that everything is scored with once more: how much it costs that labels come late.
    pub delays_ms: Vec<i64>,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Backtest {
    /// Events from this time on count, ms since 1970-01-01T00:00:00Z.
    pub from_ms: i64,
    /// Events from this time on don't.
    pub until_ms: i64,
    /// How late labels were taken to be, ms.
    pub label_delay_ms: i64,
    /// Events in the range.
    pub events: usize,
    /// Of these, frauds by the labels of the whole file.
    pub frauds: usize,
    /// Their amounts, minor units.
    pub frauds_minor: u64,
    /// The currency of all amounts: the first policy's base currency.
    pub currency: String,
    /// Decimal digits of its minor unit.
    pub minor_digits: u32,
    /// Events left out, since their cards were known to be compromised.
    pub left_out: usize,
    /// How many cards are looked at a day.
    pub cards_a_day: usize,
    /// Each policy.
    pub policies: Vec<OfPolicy>,
    /// Events that two policies decide differently: of the first named and each other one.
    pub flips: Vec<Flips>,
}

/// A policy's figures.
#[derive(Clone, Debug, Serialize)]
pub struct OfPolicy {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Over the whole range.
    pub whole: Figures,
    /// How sure these are.
    pub intervals: Intervals,
    /// Alerts: what they find, and what they cost.
    pub alert: AtThreshold,
    /// Alerts and reviews together.
    pub review: AtThreshold,
    /// The same from other scores on.
    pub thresholds: Vec<AtThreshold>,
    /// Each week, by its first day (days since 1970-01-01).
    pub weeks: BTreeMap<i64, Figures>,
    /// How the weeks differ.
    pub weeks_spread: Spread,
    /// Each tier: events and frauds.
    pub tiers: BTreeMap<String, [u64; 2]>,
    /// Each rule of the policy, in its order: how often it held, and what of that was fraud.
    pub rules: Vec<RuleWorth>,
    /// The same events with labels that are late by so much, from the shortest delay on; empty unless it was asked for.
    pub delays: Vec<AtDelay>,
    /// What alerts find from each score on.
    #[serde(skip)]
    pub(crate) curve: Vec<CurvePoint>,
}

/// 95 % intervals by the bootstrap: cards are drawn with all their events, since these depend on each other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Intervals {
    /// Of the area under the curve.
    pub auc: Option<Interval>,
    /// Of the average precision.
    pub ap: Option<Interval>,
    /// Of the card precision.
    pub card_precision: Option<Interval>,
    /// Of what alerts find.
    pub alert: AlertIntervals,
    /// Of what alerts and reviews find.
    pub review: AlertIntervals,
}

/// Mean and standard deviation over weeks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Of the area under the curve.
    pub auc: Option<[f64; 2]>,
    /// Of the average precision.
    pub ap: Option<[f64; 2]>,
    /// Of the card precision.
    pub card_precision: Option<[f64; 2]>,
}

/// Figures with labels that are later or sooner.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AtDelay {
    /// How late labels are, ms.
    pub label_delay_ms: i64,
    /// What is found then.
    pub figures: Figures,
}

/// How well a score ranks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Events.
    pub events: usize,
    /// Frauds.
    pub frauds: usize,
    /// Area under the receiver operating characteristic.
    pub auc: Option<f64>,
    /// Average precision.
    pub ap: Option<f64>,
    /// Card precision at the cards a day.
    pub card_precision: Option<f64>,
}

/// Events that two policies decide differently.
#[derive(Clone, Debug, Serialize)]
pub struct Flips {
    /// The policy that is held against the first.
    pub name: String,
    /// Alerts of the first that are none of this one's: events, and frauds among them.
    pub lost: [u64; 2],
    /// Alerts of this one that are none of the first's: events, and frauds among them.
    pub gained: [u64; 2],
    /// Events by decision: rows are the first policy's pass, review, alert; columns this one's.
    pub events: [[u64; 3]; 3],
    /// The frauds among them.
    pub frauds: [[u64; 3]; 3],
}

/// One policy's run.
struct Run {
    cases: Vec<Case>,
    /// 0 pass, 1 review, 2 alert.
    decisions: Vec<u8>,
    tiers: BTreeMap<String, [u64; 2]>,
    rules: Vec<RuleWorth>,
    left_out: usize,
}

/// Runs it.
///
/// # Errors
/// When the file can't be read or is out of order, or holds nothing of the range.
pub fn backtest(options: &BacktestOptions) -> Result<Backtest, LearningError> {
    let mut runs = Vec::with_capacity(options.policies.len());
    for (_, policy) in &options.policies {
        runs.push(run(options, policy, options.label_delay_ms)?);
    }
    let (Some(first), Some((_, first_policy))) = (
        runs.first().filter(|run| !run.cases.is_empty()),
        options.policies.first(),
    ) else {
        return Err(LearningError::NothingInRange);
    };
    let flips = options.policies.iter().zip(&runs).skip(1);
    let policies = options.policies.iter().zip(&runs);
    let frauds = || first.cases.iter().filter(|case| case.fraud);
    Ok(Backtest {
        from_ms: options.from_ms,
        until_ms: options.until_ms,
        label_delay_ms: options.label_delay_ms,
        events: first.cases.len(),
        frauds: frauds().count(),
        frauds_minor: frauds().map(|case| case.amount_minor).sum(),
        currency: first_policy.currency.base.as_str().to_owned(),
        minor_digits: first_policy.currency.base.minor_digits(),
        left_out: first.left_out,
        cards_a_day: options.cards_a_day,
        flips: flips.map(|((name, _), run)| flipped(name, first, run)).collect(),
        policies: policies
            .map(|((name, policy), run)| of_policy(name, policy, run, options))
            .collect::<Result<_, _>>()?,
    })
}

fn run(options: &BacktestOptions, policy: &Policy, label_delay_ms: i64) -> Result<Run, LearningError> {
    let labels = Labels::read(|| replay::lines(&options.input, policy), label_delay_ms)?;
    // Which cards are left out does not depend on the delay that is tried: the events stay the same.
    let compromised = if !options.leave_out_compromised {
        HashMap::new()
    } else if label_delay_ms == options.label_delay_ms {
        labels.compromised()
    } else {
        Labels::read(|| replay::lines(&options.input, policy), options.label_delay_ms)?.compromised()
    };
    let mut run = Run {
        cases: Vec::new(),
        decisions: Vec::new(),
        tiers: BTreeMap::new(),
        rules: policy
            .rules
            .all()
            .iter()
            .map(|rule| RuleWorth::new(rule.says.name()))
            .collect(),
        left_out: 0,
    };
    replay::rescore(&options.input, policy, &labels, options.until_ms, |scored: Scored| {
        if scored.time_ms < options.from_ms {
            return Ok(());
        }
        if compromised
            .get(&scored.card)
            .is_some_and(|from_ms| *from_ms <= scored.time_ms)
        {
            run.left_out += 1;
            return Ok(());
        }
        // What is known in the end says what it was.
        let fraud = labels.is_fraud(scored.event, i64::MAX);
        let tier = run.tiers.entry(scored.tier).or_default();
        tier[0] += 1;
        tier[1] += u64::from(fraud);
        for name in &scored.rules {
            let worth = run.rules.iter_mut().find(|worth| worth.rule == *name);
            worth
                .into_iter()
                .for_each(|worth| worth.count(Some(fraud), scored.amount_minor));
        }
        run.decisions.push(match scored.decision.as_str() {
            "alert" => ALERT,
            "review" => REVIEW,
            _ => 0,
        });
        run.cases.push(Case {
            score: f64::from(scored.score),
            fraud,
            day: utc_day(scored.time_ms),
            card: scored.card,
            amount_minor: scored.amount_minor,
        });
        Ok(())
    })?;
    Ok(run)
}

fn of_policy(name: &str, policy: &Policy, run: &Run, options: &BacktestOptions) -> Result<OfPolicy, LearningError> {
    let cards_a_day = options.cards_a_day;
    let ranked = Ranked::new(&run.cases)?;
    let sample = ranked.all();
    let (review, alert) = (policy.thresholds.review, policy.thresholds.alert);
    let mut weeks: BTreeMap<i64, Vec<Case>> = BTreeMap::new();
    for case in &run.cases {
        // Weeks begin on Mondays: 1970-01-01 was a Thursday.
        let first_day = case.day - (case.day + 3).rem_euclid(DAYS_PER_WEEK);
        weeks.entry(first_day).or_default().push(*case);
    }
    let weeks = weeks
        .into_iter()
        .map(|(day, cases)| Ok((day, figures(&cases, cards_a_day)?)))
        .collect::<Result<BTreeMap<i64, Figures>, LearningError>>()?;
    let mut delays = Vec::with_capacity(options.delays_ms.len());
    for label_delay_ms in &options.delays_ms {
        delays.push(AtDelay {
            label_delay_ms: *label_delay_ms,
            figures: figures(&self::run(options, policy, *label_delay_ms)?.cases, cards_a_day)?,
        });
    }
    delays.sort_by_key(|delay| delay.label_delay_ms);
    Ok(OfPolicy {
        name: name.to_owned(),
        version: policy.version,
        whole: figures(&run.cases, cards_a_day)?,
        intervals: draw_intervals(&ranked, policy, cards_a_day),
        alert: sample.at(f64::from(alert)),
        review: sample.at(f64::from(review)),
        thresholds: THRESHOLDS.map(|score| sample.at(score)).into(),
        weeks_spread: Spread {
            auc: spread(weeks.values().filter_map(|week| week.auc)),
            ap: spread(weeks.values().filter_map(|week| week.ap)),
            card_precision: spread(weeks.values().filter_map(|week| week.card_precision)),
        },
        weeks,
        tiers: run.tiers.clone(),
        rules: run.rules.clone(),
        delays,
        curve: sample.curve(),
    })
}

fn draw_intervals(ranked: &Ranked<'_>, policy: &Policy, cards_a_day: usize) -> Intervals {
    let mut dice = Dice::new(SEED, 0);
    let mut draw = || dice.any();
    let [auc, ap, card_precision] = intervals(ranked, Resample::Card, REPLICATES, &mut draw, |sample: &Sample<'_>| {
        let card_precision = sample.card_precision(cards_a_day).map(|precision| precision.mean);
        [sample.auc(), sample.average_precision(), card_precision]
    });
    let mut of_alerts = |threshold: u16| {
        let threshold = f64::from(threshold);
        alert_intervals(ranked, threshold, Resample::Card, REPLICATES, &mut draw)
    };
    Intervals {
        auc,
        ap,
        card_precision,
        alert: of_alerts(policy.thresholds.alert),
        review: of_alerts(policy.thresholds.review),
    }
}

/// A part of a whole; `None` of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean and standard deviation (of a sample); `None` of fewer than two.
fn spread(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let values: Vec<f64> = values.collect();
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some([mean, (squares / (values.len() - 1) as f64).sqrt()])
}

fn figures(cases: &[Case], cards_a_day: usize) -> Result<Figures, LearningError> {
    let ranked = Ranked::new(cases)?;
    let sample = ranked.all();
    Ok(Figures {
        events: cases.len(),
        frauds: cases.iter().filter(|case| case.fraud).count(),
        auc: sample.auc(),
        ap: sample.average_precision(),
        card_precision: sample.card_precision(cards_a_day).map(|precision| precision.mean),
    })
}

fn flipped(name: &str, first: &Run, other: &Run) -> Flips {
    let mut flips = Flips {
        name: name.to_owned(),
        lost: [0; 2],
        gained: [0; 2],
        events: [[0; 3]; 3],
        frauds: [[0; 3]; 3],
    };
    for ((before, after), case) in first.decisions.iter().zip(&other.decisions).zip(&first.cases) {
        let (row, column, fraud) = (usize::from(*before), usize::from(*after), u64::from(case.fraud));
        flips.events[row][column] += 1;
        flips.frauds[row][column] += fraud;
        let way = match (*before == ALERT, *after == ALERT) {
            (true, false) => &mut flips.lost,
            (false, true) => &mut flips.gained,
            _ => continue,
        };
        way[0] += 1;
        way[1] += fraud;
    }
    flips
}
