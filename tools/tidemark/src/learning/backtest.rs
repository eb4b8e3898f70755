//! `tidemark backtest`: policies against a history, through the real engine, with labels as of when they were known.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use lab::dice::Dice;
use learn::metrics::{AtThreshold, Case, Interval, Ranked, Resample, intervals, utc_day};
use serde::Serialize;
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::labels::Labels;
use super::replay::{self, Scored};

const DAYS_PER_WEEK: i64 = 7;
/// Samples behind an interval.
const REPLICATES: usize = 200;
/// The intervals are the same in every run.
const SEED: u64 = 1;

/// What to hold against each other.
#[derive(Clone, Debug)]
pub struct BacktestOptions {
    /// Events and labels, one a line, in event-time order.
    pub input: PathBuf,
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
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Backtest {
    /// Events in the range.
    pub events: usize,
    /// Of these, frauds by the labels of the whole file.
    pub frauds: usize,
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
    /// The 95 % interval of the area under the curve, by drawing cards.
    pub auc_interval: Option<Interval>,
    /// The 95 % interval of the average precision, by drawing cards.
    pub ap_interval: Option<Interval>,
    /// Alerts: what they find, and what they cost.
    pub alert: AtThreshold,
    /// Alerts and reviews together.
    pub review: AtThreshold,
    /// Each week, by its first day (days since 1970-01-01).
    pub weeks: BTreeMap<i64, Figures>,
    /// Each tier: events and frauds.
    pub tiers: BTreeMap<String, [u64; 2]>,
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
}

/// One policy's run.
struct Run {
    cases: Vec<Case>,
    alerts: Vec<bool>,
    tiers: BTreeMap<String, [u64; 2]>,
    left_out: usize,
}

/// Runs it.
///
/// # Errors
/// When the file can't be read or is out of order, or holds nothing of the range.
pub fn backtest(options: &BacktestOptions) -> Result<Backtest, LearningError> {
    let mut runs = Vec::with_capacity(options.policies.len());
    for (_, policy) in &options.policies {
        runs.push(run(options, policy)?);
    }
    let Some(first) = runs.first().filter(|run| !run.cases.is_empty()) else {
        return Err(LearningError::NothingInRange);
    };
    let flips = options.policies.iter().zip(&runs).skip(1);
    let policies = options.policies.iter().zip(&runs);
    Ok(Backtest {
        events: first.cases.len(),
        frauds: first.cases.iter().filter(|case| case.fraud).count(),
        left_out: first.left_out,
        cards_a_day: options.cards_a_day,
        flips: flips.map(|((name, _), run)| flipped(name, first, run)).collect(),
        policies: policies
            .map(|((name, policy), run)| of_policy(name, policy, run, options.cards_a_day))
            .collect::<Result<_, _>>()?,
    })
}

fn run(options: &BacktestOptions, policy: &Policy) -> Result<Run, LearningError> {
    let labels = Labels::read(|| replay::lines(&options.input, policy), options.label_delay_ms)?;
    let compromised = if options.leave_out_compromised {
        labels.compromised()
    } else {
        HashMap::new()
    };
    let mut run = Run {
        cases: Vec::new(),
        alerts: Vec::new(),
        tiers: BTreeMap::new(),
        left_out: 0,
    };
    replay::replay(&options.input, policy, &labels, options.until_ms, |scored: Scored| {
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
        run.alerts.push(scored.decision == "alert");
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

fn of_policy(name: &str, policy: &Policy, run: &Run, cards_a_day: usize) -> Result<OfPolicy, LearningError> {
    let ranked = Ranked::new(&run.cases)?;
    let sample = ranked.all();
    let mut dice = Dice::new(SEED, 0);
    let [auc_interval, ap_interval] = intervals(&ranked, Resample::Card, REPLICATES, &mut || dice.any(), |sample| {
        [sample.auc(), sample.average_precision()]
    });
    let mut weeks: BTreeMap<i64, Vec<Case>> = BTreeMap::new();
    for case in &run.cases {
        // Weeks begin on Mondays: 1970-01-01 was a Thursday.
        let first_day = case.day - (case.day + 3).rem_euclid(DAYS_PER_WEEK);
        weeks.entry(first_day).or_default().push(*case);
    }
    let weeks = weeks
        .into_iter()
        .map(|(day, cases)| Ok((day, figures(&cases, cards_a_day)?)));
    Ok(OfPolicy {
        name: name.to_owned(),
        version: policy.version,
        whole: figures(&run.cases, cards_a_day)?,
        auc_interval,
        ap_interval,
        alert: sample.at(f64::from(policy.thresholds.alert)),
        review: sample.at(f64::from(policy.thresholds.review)),
        weeks: weeks.collect::<Result<_, LearningError>>()?,
        tiers: run.tiers.clone(),
    })
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
    };
    let alerts = first.alerts.iter().zip(&other.alerts).zip(&first.cases);
    for ((before, after), case) in alerts.filter(|((before, after), _)| before != after) {
        let way = if *before && !*after {
            &mut flips.lost
        } else {
            &mut flips.gained
        };
        way[0] += 1;
        way[1] += u64::from(case.fraud);
    }
    flips
}
