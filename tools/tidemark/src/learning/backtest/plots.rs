//! The plots of a backtest's page.

use learn::metrics::MS_PER_DAY;
use operate::page::series;
use operate::page::svg::{Axis, Curve, lines};
use terminal::when;

use super::{Backtest, OfPolicy, share, text};

/// Alerts a day that the plots reach to, as many times as the policies' own alerts.
const ALERTS_BEYOND: f64 = 3.0;

fn per_policy(found: &Backtest, points: impl Fn(&OfPolicy) -> Vec<[f64; 2]>) -> Vec<Curve> {
    let curve = |(number, policy): (usize, &OfPolicy)| Curve {
        class: series(number),
        points: points(policy),
        band: Vec::new(),
    };
    found.policies.iter().enumerate().map(curve).collect()
}

fn of(part: u64, whole: u64) -> f64 {
    share(part, whole).unwrap_or(0.0)
}

/// Precision over recall, at every score that alerts could begin at.
pub(super) fn precision_recall(found: &Backtest) -> String {
    let curves = per_policy(found, |policy| {
        let points = policy
            .curve
            .iter()
            .map(|point| [of(point.found, policy.alert.frauds), of(point.found, point.alerts)]);
        points.collect()
    });
    lines(
        "precision over recall",
        &Axis::shares("recall: share of the frauds that are alerts"),
        &Axis::shares("precision"),
        &curves,
    )
}

/// How many alerts a day the plots reach to.
fn alerts_max(found: &Backtest) -> f64 {
    let own = found.policies.iter().map(|policy| policy.alert.alerts_a_day);
    let all = found
        .policies
        .iter()
        .filter_map(|policy| policy.curve.last().map(|last| last.alerts as f64 / days(policy)));
    (own.fold(1.0_f64, f64::max) * ALERTS_BEYOND).min(all.fold(1.0, f64::max))
}

/// Days that have an event.
fn days(policy: &OfPolicy) -> f64 {
    let days = policy.review.alerts as f64 / policy.review.alerts_a_day;
    if days.is_finite() && days > 0.0 {
        return days;
    }
    policy
        .thresholds
        .iter()
        .map(|at| at.alerts as f64 / at.alerts_a_day)
        .find(|days| days.is_finite() && *days > 0.0)
        .unwrap_or(1.0)
}

/// What is found by so many alerts a day: of events, or of money.
pub(super) fn by_alerts(found: &Backtest, of_money: bool) -> String {
    let (across, most) = Axis::counts("alerts a day", alerts_max(found));
    let curves = per_policy(found, |policy| {
        let days = days(policy);
        let points = policy.curve.iter().map(|point| {
            let share = if of_money {
                of(point.found_minor, policy.alert.frauds_minor)
            } else {
                of(point.found, policy.alert.frauds)
            };
            [point.alerts as f64 / days / most, share]
        });
        let start = std::iter::once([0.0, 0.0]);
        start.chain(points).take_while(|point| point[0] <= 1.0).collect()
    });
    let (label, title) = if of_money {
        ("money found by alerts a day", "share of the frauds' money")
    } else {
        ("frauds found by alerts a day", "share of the frauds")
    };
    lines(label, &across, &Axis::shares(title), &curves)
}

/// Average precision of each week.
pub(super) fn by_week(found: &Backtest) -> String {
    let Some(first) = found.policies.first() else {
        return String::new();
    };
    let weeks: Vec<i64> = first.weeks.keys().copied().collect();
    let place = |at: usize| (at as f64 + 0.5) / weeks.len().max(1) as f64;
    let every = weeks.len().div_ceil(6).max(1);
    let ticks = weeks.iter().enumerate().step_by(every);
    let across = Axis {
        title: "week that begins on".to_owned(),
        ticks: ticks
            .map(|(at, first_day)| (place(at), text::day(first_day * MS_PER_DAY)))
            .collect(),
    };
    let curves = per_policy(found, |policy| {
        let ap = |(at, week): (usize, &i64)| Some([place(at), policy.weeks.get(week)?.ap?]);
        weeks.iter().enumerate().filter_map(ap).collect()
    });
    lines(
        "average precision by week",
        &across,
        &Axis::shares("average precision"),
        &curves,
    )
}

/// Average precision by how late labels are.
pub(super) fn by_delay(found: &Backtest) -> String {
    let delays = found
        .policies
        .first()
        .map(|policy| policy.delays.as_slice())
        .unwrap_or_default();
    let place = |at: usize| (at as f64 + 0.5) / delays.len().max(1) as f64;
    let across = Axis {
        title: "how late labels are at least".to_owned(),
        ticks: delays
            .iter()
            .enumerate()
            .map(|(at, delay)| (place(at), when::span(delay.label_delay_ms)))
            .collect(),
    };
    let curves = per_policy(found, |policy| {
        let ap = policy.delays.iter().enumerate();
        ap.filter_map(|(at, delay)| Some([place(at), delay.figures.ap?]))
            .collect()
    });
    lines(
        "average precision by label delay",
        &across,
        &Axis::shares("average precision"),
        &curves,
    )
}
