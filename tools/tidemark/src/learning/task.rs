//! What every learning of a policy does: the features of a range's events measured by the engine, and thresholds set by what somebody
//! can look at.

use learn::metrics::{Case, Ranked, utc_day};
use learn::rarity::Rarity;
use learn::{Fitted, LearnedPoints, Row, Table};
use terminal::input::EventFile;
use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::model::points_score;
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::labels::Labels;
use super::policy_text::PolicyText;
use super::replay::{self, Scored};

const MS_PER_DAY: i64 = 86_400_000;
const MINUTES_PER_DAY: i64 = 1_440;
/// Windows that the features to choose from need, minutes.
const WINDOWS: [i64; 5] = [60, 1_440, 10_080, 20_160, 43_200];
/// Days of the range's end by which the alerts a day are set.
const BUDGET_DAYS: i64 = 28;
/// Review takes so many times as many events as alerts.
const REVIEW_FACTOR: f64 = 4.0;
/// Shares are written in so many parts of the whole.
const SHARE_PARTS: f64 = 1e6;
/// Without another word, learning begins so many days after the first event: until then histories are too short.
const WARM_DAYS: i64 = 30;

/// What to learn from, and for what.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Events and labels, one a line, in event-time order.
    pub input: EventFile,
    /// The policy to begin with.
    pub base: String,
    /// Events from this time on are learned from, ms since 1970-01-01T00:00:00Z; `None`: 30 days after the first one.
    pub from_ms: Option<i64>,
    /// As of when labels are known, ms since 1970-01-01T00:00:00Z: nothing from then on is looked at.
    pub until_ms: i64,
    /// How late labels are, ms.
    pub label_delay_ms: i64,
    /// How many alerts a day somebody can look at.
    pub alerts_a_day: f64,
    /// Only what needs no label: how rare values are.
    pub unlabelled: bool,
}

/// A policy that learned.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its text.
    pub text: String,
    /// Checked.
    pub policy: Policy,
    /// What it learned of the card alone.
    pub explained: Option<Fitted>,
    /// What it learned of all; `None` without labels.
    pub points: Option<Fitted>,
    /// How rare values are, where no label was looked at.
    pub rarity: Option<Rarity>,
}

impl TrainOptions {
    /// From when on events are learned from, ms since 1970-01-01T00:00:00Z.
    pub(super) fn learn_from_ms(&self, first_ms: i64) -> i64 {
        self.from_ms.unwrap_or(first_ms + WARM_DAYS * MS_PER_DAY)
    }
}

pub(super) fn parse(text: &str) -> Result<Policy, LearningError> {
    Policy::parse(text, "trained.toml").map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        LearningError::Policy(problems.join("; "))
    })
}

/// The windows of a policy, and those that the features to choose from need.
pub(super) fn windows(base: &Policy) -> toml::Value {
    let mut windows: Vec<i64> = base.windows().iter().map(|minutes| i64::from(*minutes)).collect();
    windows.extend(WINDOWS);
    windows.sort_unstable();
    windows.dedup();
    debug_assert!(windows.last().is_some_and(|longest| *longest >= 30 * MINUTES_PER_DAY));
    toml::Value::Array(windows.into_iter().map(toml::Value::from).collect())
}

/// The features that count.
pub(super) fn used(points: &LearnedPoints) -> Vec<String> {
    let features = points.features.iter();
    features.map(|feature| feature.name.clone()).collect()
}

/// Measures these features of a policy on the events of a range (both ends belong to it, ms since 1970-01-01T00:00:00Z). A label counts
/// as it was known at the end.
pub(super) fn measure(
    options: &TrainOptions,
    policy: &Policy,
    labels: &Labels,
    range_ms: (i64, i64),
    names: &[String],
) -> Result<Table, LearningError> {
    let mut table = Table::new(names.to_vec())?;
    let order: Vec<FeatureKey> = policy.features().collect();
    let places: Vec<Option<usize>> = names
        .iter()
        .map(|name| order.iter().position(|key| key.to_string() == *name))
        .collect();
    replay::replay(&options.input, policy, labels, options.until_ms, |scored: Scored| {
        if scored.time_ms < range_ms.0 || scored.time_ms > range_ms.1 {
            return Ok(());
        }
        let values: Vec<Option<f64>> = places
            .iter()
            .map(|place| place.and_then(|at| scored.values.get(at).copied().flatten()))
            .collect();
        let row = Row {
            at_ms: scored.time_ms,
            card: scored.card,
            amount_minor: scored.amount_minor,
            fraud: labels.is_fraud(scored.event, options.until_ms),
        };
        table.push(row, &values).map_err(LearningError::from)
    })?;
    Ok(table)
}

/// Sets the thresholds by the alerts a day that somebody can look at, on the end of the range, and says what share of its events they
/// alert and review.
pub(super) fn set_thresholds(
    text: &mut PolicyText,
    points: &LearnedPoints,
    table: &Table,
    options: &TrainOptions,
) -> Result<(), LearningError> {
    let scores = points.scores(table);
    let cases = latest(table, &scores, |bits| f64::from(points_score(bits)));
    let ranked = Ranked::new(&cases)?;
    let sample = ranked.all();
    let alert = sample.threshold_for(options.alerts_a_day).unwrap_or(1_000.0).max(2.0);
    let review = sample
        .threshold_for(options.alerts_a_day * REVIEW_FACTOR)
        .unwrap_or(1.0);
    #[allow(clippy::cast_possible_truncation)] // scores are from 0 to 1000
    let whole = |score: f64| score as i64;
    let review = review.clamp(1.0, alert - 1.0);
    text.set_in("thresholds", "alert", whole(alert));
    text.set_in("thresholds", "review", whole(review));
    // What an alarm is held against when the policy is in force (docs/runbook/model-stale.md).
    let share = |decides: &dyn Fn(f64) -> bool| {
        let decided = cases.iter().filter(|case| decides(case.score)).count();
        (decided as f64 / cases.len() as f64 * SHARE_PARTS).round() / SHARE_PARTS
    };
    text.set_in("expected", "alert_share", share(&|score| score >= alert));
    text.set_in(
        "expected",
        "review_share",
        share(&|score| score >= review && score < alert),
    );
    Ok(())
}

/// The events of the range's end, each scored by what is made of its bits.
pub(super) fn latest(table: &Table, bits: &[f64], score: impl Fn(f64) -> f64) -> Vec<Case> {
    let rows = (0..table.len()).filter_map(|at| Some((table.row(at)?, bits.get(at)?)));
    let newest_ms = rows.clone().map(|(row, _)| row.at_ms).max().unwrap_or(0);
    let late = rows.filter(|(row, _)| row.at_ms > newest_ms - BUDGET_DAYS * MS_PER_DAY);
    late.map(|(row, bits)| Case {
        score: score(*bits),
        fraud: row.fraud,
        day: utc_day(row.at_ms),
        card: row.card,
        amount_minor: row.amount_minor,
    })
    .collect()
}
