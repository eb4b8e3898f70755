//! A backtest for a terminal.

use std::fmt::Write as _;

use learn::metrics::{AtThreshold, Interval, MS_PER_DAY};
use terminal::{ui, when};

use super::{AtDelay, Backtest, Figures, Flips, OfPolicy, share};

/// Decisions in the order of their numbers.
pub(super) const DECISIONS: [&str; 3] = ["pass", "review", "alert"];

/// The text.
#[must_use]
pub fn render(found: &Backtest) -> String {
    let mut text = format!(
        "{} events from {} to {}, {} of them fraud by the labels of the whole file: {}",
        ui::grouped(found.events as u64),
        day(found.from_ms),
        day(found.until_ms),
        ui::grouped(found.frauds as u64),
        money(found, found.frauds_minor)
    );
    if found.left_out > 0 {
        let _ = write!(
            text,
            "; {} of known compromised cards left out",
            ui::grouped(found.left_out as u64)
        );
    }
    text.push('\n');
    for policy in &found.policies {
        of_policy(&mut text, policy, found);
    }
    for flips in &found.flips {
        of_flips(&mut text, flips, found);
    }
    text
}

/// The day of a time.
pub(super) fn day(time_ms: i64) -> String {
    when::instant(time_ms).get(..10).unwrap_or_default().to_owned()
}

/// An amount in whole units.
pub(super) fn money(found: &Backtest, minor: u64) -> String {
    let whole = minor / 10_u64.pow(found.minor_digits);
    format!("{} {}", ui::grouped(whole), found.currency)
}

pub(super) fn decimal(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// ` (0.612 to 0.701)`, or nothing.
pub(super) fn between(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(" ({:.3} to {:.3})", interval.low, interval.high)
    })
}

/// The same in percent.
pub(super) fn between_percent(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(" ({:.1} to {:.1} %)", 100.0 * interval.low, 100.0 * interval.high)
    })
}

fn of_policy(text: &mut String, policy: &OfPolicy, found: &Backtest) {
    let (whole, intervals) = (&policy.whole, &policy.intervals);
    let _ = writeln!(
        text,
        "\n{} (version {})\n  AUC {}{}   average precision {}{}   card precision@{} {}{}",
        ui::paint(ui::HEADING, &policy.name),
        policy.version,
        decimal(whole.auc),
        between(intervals.auc),
        decimal(whole.ap),
        between(intervals.ap),
        found.cards_a_day,
        decimal(whole.card_precision),
        between(intervals.card_precision)
    );
    at(text, "alert", &policy.alert, found);
    let _ = writeln!(
        text,
        "  {:<16} 95 %: precision{}, recall{}, money{}",
        "",
        between_percent(intervals.alert.precision),
        between_percent(intervals.alert.recall),
        between_percent(intervals.alert.money)
    );
    at(text, "alert or review", &policy.review, found);
    for (tier, [events, frauds]) in &policy.tiers {
        let _ = writeln!(
            text,
            "  tier {tier:<18}{:>9} events {:>6} frauds",
            ui::grouped(*events),
            ui::grouped(*frauds)
        );
    }
    for rule in &policy.rules {
        let _ = writeln!(
            text,
            "  rule {:<32} held for {:>7} events, precision {}, {} of fraud, {} of genuine money",
            rule.rule,
            ui::grouped(rule.hits),
            percent(rule.precision),
            money(found, rule.found_minor),
            money(found, rule.false_minor)
        );
    }
    for (first_day, Figures { events, frauds, ap, .. }) in &policy.weeks {
        let _ = writeln!(
            text,
            "  week of {}     {:>9} events {:>6} frauds   average precision {}",
            day(first_day * MS_PER_DAY),
            ui::grouped(*events as u64),
            ui::grouped(*frauds as u64),
            decimal(*ap)
        );
    }
    if let Some([mean, deviation]) = policy.weeks_spread.ap {
        let _ = writeln!(text, "  over weeks: average precision {mean:.3} ± {deviation:.3}");
    }
    for AtDelay {
        label_delay_ms,
        figures,
    } in &policy.delays
    {
        let _ = writeln!(
            text,
            "  labels {:<16} late: AUC {}   average precision {}",
            when::span(*label_delay_ms),
            decimal(figures.auc),
            decimal(figures.ap)
        );
    }
}

fn at(text: &mut String, name: &str, at: &AtThreshold, found: &Backtest) {
    let _ = writeln!(
        text,
        "  {name:<16} from {:>4}: {:>8.1} a day, precision {}, recall {}, {} of {} of fraud ({})",
        at.threshold,
        at.alerts_a_day,
        percent(at.precision),
        percent(at.recall),
        money(found, at.found_minor),
        money(found, at.frauds_minor),
        percent(share(at.found_minor, at.frauds_minor))
    );
}

fn of_flips(text: &mut String, flips: &Flips, found: &Backtest) {
    let first = found.policies.first().map_or("", |first| &first.name);
    let _ = writeln!(
        text,
        "\n{} against {first}: {} alerts lost ({} fraud), {} gained ({} fraud)",
        ui::paint(ui::HEADING, &flips.name),
        ui::grouped(flips.lost[0]),
        ui::grouped(flips.lost[1]),
        ui::grouped(flips.gained[0]),
        ui::grouped(flips.gained[1])
    );
    let _ = writeln!(
        text,
        "  {:<18}{:>16}{:>16}{:>16}",
        "events (frauds)", "pass", "review", "alert"
    );
    for (row, decision) in DECISIONS.iter().enumerate() {
        let _ = write!(text, "  {decision:<18}");
        for column in 0..DECISIONS.len() {
            let cell = format!(
                "{} ({})",
                ui::grouped(flips.events[row][column]),
                ui::grouped(flips.frauds[row][column])
            );
            let _ = write!(text, "{cell:>16}");
        }
        text.push('\n');
    }
}
