//! The comparison as one page: everything is in it, nothing is fetched.

use std::fmt::Write as _;

use terminal::ui::grouped;
use tidemark_domain::outcome::Decision;

use crate::page::{self, escape};

use super::super::until;
use super::measure::{Comparison, Precision, Samples, share};
use super::plot;
use super::text::money;
use super::worth::{Found, Worth, between};

const DECISIONS: [Decision; 3] = [Decision::Pass, Decision::Review, Decision::Alert];

/// The page.
pub(super) fn render(comparison: &Comparison, samples: &Samples) -> String {
    let c = comparison;
    let active: Vec<String> = c.active.iter().map(ToString::to_string).collect();
    let title = format!("Candidate {} beside version {}", c.candidate, active.join(", "));
    let mut page = page::begin(&title);
    headline(&mut page, c);
    figures(&mut page, c);
    page += &page::key(&[
        ("active".to_owned(), "active policy"),
        ("candidate".to_owned(), "candidate"),
    ]);
    let _ = write!(
        page,
        "<div class=\"plots\"><section><h2>Events by score</h2><p class=\"how\">Dashed: where review and alert begin.</p>{}</section>\
         <section><h2>Share of events at or below a score</h2><p class=\"how\">One line over the other: the lower one's scores are higher.</p>{}</section>\
         <section><h2>Score against score</h2><p class=\"how\">On the diagonal nothing changes; above it the candidate is stricter.</p>{}</section>\
         <section><h2>Decisions</h2><p class=\"how\">Rows: what was decided. Columns: what the candidate would have decided.</p>{}\
         <h2>Side by side</h2>{}</section></div>",
        plot::histogram(c),
        plot::cumulative(c, samples),
        plot::heat(c, samples),
        decisions(c),
        side_by_side(c)
    );
    rules(&mut page, c);
    flips(&mut page, c);
    page + page::end()
}

/// What somebody wants to know who reads nothing else.
fn headline(page: &mut String, c: &Comparison) {
    let flips = c.flips_stricter + c.flips_lenient;
    let _ = write!(
        page,
        "<p class=\"lead\">{} of {} events ({:.2} %) would be decided otherwise: {} more strictly, {} more leniently.</p>\
         <p>{} cards, {} to {}. Both policies scored the same events on the same histories; only the active policy's outcomes \
         were sent.</p>",
        grouped(flips),
        grouped(c.events),
        100.0 * share(flips, c.events),
        grouped(c.flips_stricter),
        grouped(c.flips_lenient),
        grouped(c.cards),
        until::show(c.from_ms),
        until::show(c.to_ms)
    );
    for what in c.not_looked_at() {
        let _ = write!(page, "<p class=\"lead\">{what}.</p>");
    }
}

fn figures(page: &mut String, c: &Comparison) {
    let (active, candidate) = (&c.active_precision, &c.candidate_precision);
    let change = |before: u64, after: u64| format!("{} → {}", grouped(before), grouped(after));
    let list = [
        (format!("{:.2} %", c.agreement_pct), "the same decision".to_owned()),
        (change(active.alerts, candidate.alerts), "alerts".to_owned()),
        (
            change(active.flagged - active.alerts, candidate.flagged - candidate.alerts),
            "reviews".to_owned(),
        ),
        (
            format!("{:+.1}", c.drift.mean_difference),
            "mean difference of scores".to_owned(),
        ),
        (format!("{:.3}", c.drift.psi), population(c.drift.psi).to_owned()),
        (
            format!(
                "{:.1} → {:.1} µs",
                c.cost.active_us_per_event, c.cost.candidate_us_per_event
            ),
            "time an event".to_owned(),
        ),
    ];
    *page += &page::figures(&list);
}

/// What a stability index says, by the usual limits of it.
fn population(psi: f64) -> &'static str {
    match psi {
        ..0.1 => "PSI: the same population",
        ..0.25 => "PSI: the population shifts",
        _ => "PSI: another population",
    }
}

fn decisions(c: &Comparison) -> String {
    let mut table = "<div class=\"scroll\"><table><tr><th>active ↓ candidate →</th>".to_owned();
    for decision in DECISIONS {
        let _ = write!(table, "<th>{}</th>", decision.as_str());
    }
    table.push_str("</tr>");
    for (row, decision) in DECISIONS.iter().enumerate() {
        let _ = write!(table, "<tr><td>{}</td>", decision.as_str());
        for (column, count) in c.matrix[row].iter().enumerate() {
            let class = if row != column && *count > 0 {
                " class=\"flip\""
            } else {
                ""
            };
            let _ = write!(table, "<td{class}>{}</td>", grouped(*count));
        }
        table.push_str("</tr>");
    }
    table + "</table></div>"
}

/// Each measure with both policies' figures.
fn side_by_side(c: &Comparison) -> String {
    let (a, b) = (&c.active_precision, &c.candidate_precision);
    let (x, y) = (&c.active_scores, &c.candidate_scores);
    let cost = &c.cost;
    let (found_a, found_b) = (&c.active_found, &c.candidate_found);
    let labelled = |fraud: u64, of: u64, pct: Option<f64>, worth: &Worth| {
        pct.map_or_else(
            || "no labels".to_owned(),
            |pct| format!("{pct:.1} % ({fraud} of {of}){}", between(worth.precision_interval_pct)),
        )
    };
    let alerts =
        |p: &Precision, f: &Found| labelled(p.alerts_fraud, p.alerts_labelled, p.alert_precision_pct, &f.alerts);
    let flagged =
        |p: &Precision, f: &Found| labelled(p.flagged_fraud, p.flagged_labelled, p.flagged_precision_pct, &f.flagged);
    let recall = |worth: &Worth| {
        worth.recall_pct.map_or_else(
            || "no labels".to_owned(),
            |pct| {
                format!(
                    "{pct:.1} % ({} of {}){}",
                    worth.found,
                    worth.frauds,
                    between(worth.recall_interval_pct)
                )
            },
        )
    };
    let sum = |worth: &Worth| {
        worth.money_pct.map_or_else(
            || "no labels".to_owned(),
            |pct| {
                format!(
                    "{pct:.1} % ({}){}",
                    money(worth.found_minor, c),
                    between(worth.money_interval_pct)
                )
            },
        )
    };
    let stopped = |worth: &Worth| money(worth.false_minor, c);
    let groups = [
        (
            "fraud among what is labelled",
            vec![
                ("alerts", alerts(a, found_a), alerts(b, found_b)),
                ("reviews and alerts", flagged(a, found_a), flagged(b, found_b)),
            ],
        ),
        (
            "found of the frauds that labels know of",
            vec![
                ("by alerts", recall(&found_a.alerts), recall(&found_b.alerts)),
                ("their money", sum(&found_a.alerts), sum(&found_b.alerts)),
                (
                    "by reviews and alerts",
                    recall(&found_a.flagged),
                    recall(&found_b.flagged),
                ),
                ("their money", sum(&found_a.flagged), sum(&found_b.flagged)),
                (
                    "cleared money in reviews and alerts",
                    stopped(&found_a.flagged),
                    stopped(&found_b.flagged),
                ),
            ],
        ),
        (
            "scores",
            vec![
                ("mean", format!("{:.1}", x.mean), format!("{:.1}", y.mean)),
                ("half are at or below", x.p50.to_string(), y.p50.to_string()),
                ("95 %", x.p95.to_string(), y.p95.to_string()),
                ("99 %", x.p99.to_string(), y.p99.to_string()),
            ],
        ),
        (
            "time and cost",
            vec![
                (
                    "processor time an event",
                    format!("{:.1} µs", cost.active_us_per_event),
                    format!("{:.1} µs", cost.candidate_us_per_event),
                ),
                (
                    "of a million events",
                    format!("{:.6} USD", cost.active_usd_per_million),
                    format!("{:.6} USD", cost.candidate_usd_per_million),
                ),
            ],
        ),
    ];
    let mut table = "<div class=\"scroll\"><table><tr><th></th><th>active</th><th>candidate</th></tr>".to_owned();
    for (group, rows) in groups {
        let _ = write!(table, "<tr><td class=\"group\" colspan=\"3\">{group}</td></tr>");
        for (name, active, candidate) in rows {
            let _ = write!(table, "<tr><td>{name}</td><td>{active}</td><td>{candidate}</td></tr>");
        }
    }
    let _ = write!(
        table,
        "</table></div><p class=\"how\">Times are medians over batches, of {} events; the active policy's is with folding. Trying a million events costs {:.4} USD: the \
         candidate's time and {:.3} write units an event.</p>",
        grouped(cost.timed_events),
        cost.trial_usd_per_million,
        cost.trial_write_units_per_event
    );
    table
}

/// What each rule is worth; nothing where no policy has any.
fn rules(page: &mut String, c: &Comparison) {
    if c.active_rules.is_empty() && c.candidate_rules.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Rules</h2><p class=\"how\">Events for which each held, whether it decides or only watches, and what labels say of them.</p>\
         <div class=\"scroll\"><table><tr><th class=\"text\">policy</th><th class=\"text\">rule</th><th>held</th><th>labelled</th><th>fraud</th>\
         <th>of it</th><th>money of fraud</th><th>cleared money</th></tr>",
    );
    for (whose, rules) in [("active", &c.active_rules), ("candidate", &c.candidate_rules)] {
        for rule in rules {
            let share = rule
                .precision
                .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
            let _ = write!(
                page,
                "<tr><td class=\"text\">{whose}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{share}</td><td>{}</td><td>{}</td></tr>",
                escape(&rule.rule),
                grouped(rule.hits),
                grouped(rule.known),
                grouped(rule.found),
                money(rule.found_minor, c),
                money(rule.false_minor, c)
            );
        }
    }
    page.push_str("</table></div>");
}

fn flips(page: &mut String, c: &Comparison) {
    page.push_str("<h2>Decisions that would flip, the greatest difference first</h2>");
    if c.examples.is_empty() {
        page.push_str("<p>None.</p>");
        return;
    }
    page.push_str(
        "<div class=\"scroll\"><table><tr><th>event</th><th class=\"text\">card</th><th>active</th><th></th><th>candidate</th><th></th></tr>",
    );
    for flip in &c.examples {
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td class=\"text\">{}</td><td>{}</td><td class=\"text\">{}</td></tr>",
            escape(&flip.event_id),
            escape(&flip.card_id),
            flip.active.score,
            flip.active.decision.as_str(),
            flip.candidate.score,
            flip.candidate.decision.as_str()
        );
    }
    page.push_str("</table></div>");
}
