//! A backtest as one page: everything is in it, nothing is fetched.

use std::fmt::Write as _;

use learn::metrics::{AtThreshold, MS_PER_DAY};
use operate::page::{self, escape, series};
use terminal::ui::grouped;
use terminal::when;

use super::text::{DECISIONS, between, between_percent, day, decimal, money, percent};
use super::{Backtest, OfPolicy, plots, share};

/// The page.
#[must_use]
pub fn page(found: &Backtest) -> String {
    let names: Vec<&str> = found.policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut page = page::begin(&format!("Backtest of {}", names.join(", ")));
    headline(&mut page, found);
    figures(&mut page, found);
    let keys = found.policies.iter().enumerate();
    page += &page::key(
        &keys
            .map(|(number, policy)| (series(number), policy.name.as_str()))
            .collect::<Vec<_>>(),
    );
    let _ = write!(
        page,
        "<div class=\"plots\"><section><h2>Precision over recall</h2><p class=\"how\">Each place is a score that alerts could begin at; further up and to the right is better.</p>{}</section>\
         <section><h2>Average precision by week</h2><p class=\"how\">How much of the difference is the weeks' own.</p>{}</section>\
         <section><h2>Frauds found by alerts a day</h2><p class=\"how\">What a team finds that looks at so many.</p>{}</section>\
         <section><h2>Money found by alerts a day</h2><p class=\"how\">The same by the amounts of the frauds.</p>{}</section>",
        plots::precision_recall(found),
        plots::by_week(found),
        plots::by_alerts(found, false),
        plots::by_alerts(found, true)
    );
    if found.policies.iter().any(|policy| !policy.delays.is_empty()) {
        let _ = write!(
            page,
            "<section><h2>Average precision by label delay</h2><p class=\"how\">The same events, scored with labels that come later or sooner.</p>{}</section>",
            plots::by_delay(found)
        );
    }
    page.push_str("</div>");
    side_by_side(&mut page, found);
    for flips in &found.flips {
        let first = found.policies.first().map_or("", |first| &first.name);
        let _ = write!(
            page,
            "<h2>What {} decides otherwise</h2><p class=\"how\">Rows: {}. Columns: {}. Events, and frauds among them. {} alerts are lost ({} of them fraud), {} gained ({}).</p>",
            escape(&flips.name),
            escape(first),
            escape(&flips.name),
            grouped(flips.lost[0]),
            grouped(flips.lost[1]),
            grouped(flips.gained[0]),
            grouped(flips.gained[1])
        );
        matrix(&mut page, &flips.events, &flips.frauds);
    }
    for policy in &found.policies {
        thresholds(&mut page, policy, found);
    }
    page + page::end()
}

/// What somebody wants to know who reads nothing else.
fn headline(page: &mut String, found: &Backtest) {
    let (Some(first), Some(last)) = (found.policies.first(), found.policies.last()) else {
        return;
    };
    let said = |policy: &OfPolicy| {
        format!(
            "{} finds {} of {} frauds with {:.1} alerts a day",
            escape(&policy.name),
            grouped(policy.alert.found),
            grouped(policy.alert.frauds),
            policy.alert.alerts_a_day
        )
    };
    let words = if found.policies.len() == 1 {
        said(first)
    } else {
        format!("{}; {}", said(first), said(last))
    };
    let left_out = match found.left_out {
        0 => String::new(),
        count => format!(
            " {} events of cards that were known to be compromised are left out.",
            grouped(count as u64)
        ),
    };
    let _ = write!(
        page,
        "<p class=\"lead\">{words}.</p><p>{} events from {} to {}, {} of them fraud ({}). Labels counted as of when they were known, and no \
         sooner than {} after their events; what an event was in the end, all labels of the file say.{left_out}</p>",
        grouped(found.events as u64),
        day(found.from_ms),
        day(found.until_ms),
        grouped(found.frauds as u64),
        money(found, found.frauds_minor),
        when::span(found.label_delay_ms)
    );
}

fn figures(page: &mut String, found: &Backtest) {
    let (Some(first), Some(last)) = (found.policies.first(), found.policies.last()) else {
        return;
    };
    let change = |of: &dyn Fn(&OfPolicy) -> String| {
        if found.policies.len() == 1 {
            of(first)
        } else {
            format!("{} → {}", of(first), of(last))
        }
    };
    let list = [
        (change(&|policy| decimal(policy.whole.auc)), "AUC".to_owned()),
        (
            change(&|policy| decimal(policy.whole.ap)),
            "average precision".to_owned(),
        ),
        (
            change(&|policy| decimal(policy.whole.card_precision)),
            format!("card precision@{}", found.cards_a_day),
        ),
        (
            change(&|policy| format!("{:.1}", policy.alert.alerts_a_day)),
            "alerts a day".to_owned(),
        ),
        (
            change(&|policy| percent(policy.alert.recall)),
            "of the frauds found".to_owned(),
        ),
        (
            change(&|policy| percent(share(policy.alert.found_minor, policy.alert.frauds_minor))),
            "of their money found".to_owned(),
        ),
    ];
    *page += &page::figures(&list);
}

/// Each measure with all policies' figures.
fn side_by_side(page: &mut String, found: &Backtest) {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let mut row = |name: String, of: &dyn Fn(&OfPolicy) -> String| {
        rows.push((name, found.policies.iter().map(of).collect()));
    };
    let span = |at: &AtThreshold| format!("from {}: {:.1} a day", at.threshold, at.alerts_a_day);
    row("AUC".to_owned(), &|policy| {
        decimal(policy.whole.auc) + &between(policy.intervals.auc)
    });
    row("average precision".to_owned(), &|policy| {
        decimal(policy.whole.ap) + &between(policy.intervals.ap)
    });
    row(format!("card precision@{}", found.cards_a_day), &|policy| {
        decimal(policy.whole.card_precision) + &between(policy.intervals.card_precision)
    });
    row(
        "average precision over weeks".to_owned(),
        &|policy| match policy.weeks_spread.ap {
            Some([mean, deviation]) => format!("{mean:.3} ± {deviation:.3}"),
            None => "-".to_owned(),
        },
    );
    row("alerts".to_owned(), &|policy| span(&policy.alert));
    row("their precision".to_owned(), &|policy| {
        percent(policy.alert.precision) + &between_percent(policy.intervals.alert.precision)
    });
    row("their recall".to_owned(), &|policy| {
        percent(policy.alert.recall) + &between_percent(policy.intervals.alert.recall)
    });
    row("money that they find".to_owned(), &|policy| {
        let at = &policy.alert;
        format!(
            "{}, {}{}",
            money(found, at.found_minor),
            percent(share(at.found_minor, at.frauds_minor)),
            between_percent(policy.intervals.alert.money)
        )
    });
    row("genuine money that they stop".to_owned(), &|policy| {
        money(found, policy.alert.false_minor)
    });
    row("alerts and reviews".to_owned(), &|policy| span(&policy.review));
    row("their precision".to_owned(), &|policy| {
        percent(policy.review.precision) + &between_percent(policy.intervals.review.precision)
    });
    row("their recall".to_owned(), &|policy| {
        percent(policy.review.recall) + &between_percent(policy.intervals.review.recall)
    });
    for tier in found
        .policies
        .iter()
        .flat_map(|policy| policy.tiers.keys())
        .collect::<std::collections::BTreeSet<_>>()
    {
        row(format!("tier {tier}: events (frauds)"), &|policy| {
            let [events, frauds] = policy.tiers.get(tier).copied().unwrap_or_default();
            format!("{} ({})", grouped(events), grouped(frauds))
        });
    }
    let rules = found.policies.iter().flat_map(|policy| &policy.rules);
    for name in rules
        .map(|rule| rule.rule.as_str())
        .collect::<std::collections::BTreeSet<_>>()
    {
        row(format!("rule {name}"), &|policy| {
            let Some(rule) = policy.rules.iter().find(|rule| rule.rule == name) else {
                return "-".to_owned();
            };
            format!(
                "{} events, precision {}, {} of fraud, {} of genuine money",
                grouped(rule.hits),
                percent(rule.precision),
                money(found, rule.found_minor),
                money(found, rule.false_minor)
            )
        });
    }
    for week in found.policies.first().iter().flat_map(|policy| policy.weeks.keys()) {
        row(format!("week of {}", day(week * MS_PER_DAY)), &|policy| {
            let Some(figures) = policy.weeks.get(week) else {
                return "-".to_owned();
            };
            format!(
                "AUC {}, AP {}, {} frauds",
                decimal(figures.auc),
                decimal(figures.ap),
                grouped(figures.frauds as u64)
            )
        });
    }
    page.push_str("<h2>Side by side</h2><p class=\"how\">Behind a figure: where it lies with 95 % confidence, by drawing cards anew.</p><div class=\"scroll\"><table><tr><th></th>");
    for policy in &found.policies {
        let _ = write!(page, "<th>{}, version {}</th>", escape(&policy.name), policy.version);
    }
    page.push_str("</tr>");
    for (name, cells) in rows {
        let _ = write!(page, "<tr><td>{}</td>", escape(&name));
        for cell in cells {
            let _ = write!(page, "<td>{}</td>", escape(&cell));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn matrix(page: &mut String, events: &[[u64; 3]; 3], frauds: &[[u64; 3]; 3]) {
    page.push_str("<div class=\"scroll\"><table><tr><th>before ↓ after →</th>");
    for decision in DECISIONS {
        let _ = write!(page, "<th>{decision}</th>");
    }
    page.push_str("</tr>");
    for (row, decision) in DECISIONS.iter().enumerate() {
        let _ = write!(page, "<tr><td>{decision}</td>");
        for (column, count) in events[row].iter().enumerate() {
            let class = if row != column && *count > 0 {
                " class=\"flip\""
            } else {
                ""
            };
            let _ = write!(
                page,
                "<td{class}>{} ({})</td>",
                grouped(*count),
                grouped(frauds[row][column])
            );
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn thresholds(page: &mut String, policy: &OfPolicy, found: &Backtest) {
    let _ = write!(
        page,
        "<h2>{} by threshold</h2><div class=\"scroll\"><table><tr><th>alerts from</th><th>a day</th><th>precision</th><th>recall</th><th>money found</th><th>of it</th><th>genuine money stopped</th></tr>",
        escape(&policy.name)
    );
    let own = [&policy.review, &policy.alert];
    let mut all: Vec<(&AtThreshold, &str)> = policy.thresholds.iter().map(|at| (at, "")).collect();
    for (at, name) in own.into_iter().zip([" (review)", " (alert)"]) {
        match all.iter_mut().find(|(known, _)| known.threshold == at.threshold) {
            Some(known) => known.1 = name,
            None => all.push((at, name)),
        }
    }
    all.sort_by(|one, other| one.0.threshold.total_cmp(&other.0.threshold));
    for (at, name) in all {
        let _ = write!(
            page,
            "<tr><td>{}{name}</td><td>{:.1}</td><td>{}{}</td><td>{}{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            at.threshold,
            at.alerts_a_day,
            percent(at.precision),
            between_percent(at.precision_interval),
            percent(at.recall),
            between_percent(at.recall_interval),
            money(found, at.found_minor),
            percent(share(at.found_minor, at.frauds_minor)),
            money(found, at.false_minor)
        );
    }
    page.push_str("</table></div>");
}
