//! The comparison for a terminal.

use std::fmt::Write as _;

use learn::metrics::RuleWorth;
use terminal::ui::{self, grouped, paint};
use tidemark_domain::event::Currency;
use tidemark_domain::outcome::Decision;

use super::super::until;
use super::measure::{Comparison, Precision};
use super::worth::{Found, Worth, between};

const DECISIONS: [Decision; 3] = [Decision::Pass, Decision::Review, Decision::Alert];

/// The text.
pub(super) fn render(comparison: &Comparison) -> String {
    let c = comparison;
    let active: Vec<String> = c.active.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{}\n",
        paint(
            ui::HEADING,
            format!("candidate {} beside version {}", c.candidate, active.join(", "))
        )
    );
    let _ = writeln!(
        text,
        "  {} events of {} cards, {} to {}",
        grouped(c.events),
        grouped(c.cards),
        until::show(c.from_ms),
        until::show(c.to_ms)
    );
    let _ = writeln!(
        text,
        "\n  agreement {:.2} %; would be stricter: {}, more lenient: {}\n",
        c.agreement_pct,
        grouped(c.flips_stricter),
        grouped(c.flips_lenient)
    );
    let _ = writeln!(
        text,
        "  {:<18}{:>12}{:>12}{:>12}   candidate",
        "active", "pass", "review", "alert"
    );
    for (row, decision) in c.matrix.iter().zip(DECISIONS) {
        let _ = write!(text, "  {:<18}", decision.as_str());
        for cell in row {
            let _ = write!(text, "{:>12}", grouped(*cell));
        }
        text.push('\n');
    }
    scores(&mut text, c);
    text += "\n  right in what it flags, where labels exist\n";
    for (name, precision, found) in [
        ("active", &c.active_precision, &c.active_found),
        ("candidate", &c.candidate_precision, &c.candidate_found),
    ] {
        let _ = writeln!(text, "  {name:<18}{}", precision_words(precision, found));
    }
    if c.active_found.alerts.frauds > 0 {
        text += "\n  found, of the frauds that labels know of\n";
        for (name, found) in [("active", &c.active_found), ("candidate", &c.candidate_found)] {
            let _ = writeln!(text, "  {name:<18}alerts {}", found_words(&found.alerts, c));
            let _ = writeln!(
                text,
                "  {:<18}reviews and alerts {}",
                "",
                found_words(&found.flagged, c)
            );
        }
    }
    for (whose, rules) in [("active", &c.active_rules), ("candidate", &c.candidate_rules)] {
        for rule in rules {
            let _ = writeln!(text, "  {whose:<18}{}", rule_words(rule, c));
        }
    }
    let cost = &c.cost;
    let _ = writeln!(
        text,
        "\n  time an event       active {:.1} µs, candidate {:.1} µs\n  processor, million  active {:.6} USD, candidate {:.6} USD\n  trying, million     {:.4} USD ({:.3} write units an event)",
        cost.active_us_per_event,
        cost.candidate_us_per_event,
        cost.active_usd_per_million,
        cost.candidate_usd_per_million,
        cost.trial_usd_per_million,
        cost.trial_write_units_per_event
    );
    flips(&mut text, c);
    for what in c.not_looked_at() {
        let _ = writeln!(text, "\n  {}", paint(ui::WARN, what));
    }
    text
}

fn scores(text: &mut String, c: &Comparison) {
    let _ = writeln!(
        text,
        "\n  {:<18}{:>12}{:>12}{:>12}{:>12}",
        "scores", "mean", "p50", "p95", "p99"
    );
    for (name, scores) in [("active", &c.active_scores), ("candidate", &c.candidate_scores)] {
        let _ = writeln!(
            text,
            "  {name:<18}{:>12.1}{:>12}{:>12}{:>12}",
            scores.mean, scores.p50, scores.p95, scores.p99
        );
    }
    let drift = &c.drift;
    let _ = writeln!(
        text,
        "  drift: mean {:+.1}, mean absolute {:.1}, KS {:.3}, PSI {:.3}",
        drift.mean_difference, drift.mean_absolute_difference, drift.ks, drift.psi
    );
}

fn precision_words(precision: &Precision, found: &Found) -> String {
    let part = |pct: Option<f64>, fraud: u64, labelled: u64, worth: &Worth, all: u64| match pct {
        Some(pct) => format!(
            "{pct:.1} % ({fraud} of {labelled} labelled,{}, {} in all)",
            between(worth.precision_interval_pct).replace(['(', ')'], ""),
            grouped(all)
        ),
        None => format!("no labels yet ({} in all)", grouped(all)),
    };
    let p = precision;
    format!(
        "alerts {}; reviews and alerts {}",
        part(
            p.alert_precision_pct,
            p.alerts_fraud,
            p.alerts_labelled,
            &found.alerts,
            p.alerts
        ),
        part(
            p.flagged_precision_pct,
            p.flagged_fraud,
            p.flagged_labelled,
            &found.flagged,
            p.flagged
        )
    )
}

/// `2 of 3, 66.7 % (9.4 to 99.2 %); 1,234.00 of 2,000.00 EUR, 61.7 %`.
pub(super) fn found_words(worth: &Worth, c: &Comparison) -> String {
    let pct = |pct: Option<f64>| pct.map_or_else(String::new, |pct| format!(", {pct:.1} %"));
    format!(
        "{} of {}{}{}; {} of {}{}{}",
        grouped(worth.found),
        grouped(worth.frauds),
        pct(worth.recall_pct),
        between(worth.recall_interval_pct),
        money(worth.found_minor, c),
        money(worth.frauds_minor, c),
        pct(worth.money_pct),
        between(worth.money_interval_pct)
    )
}

/// `rule gift_cards: held for 12 events; 3 of 4 labelled are fraud, 75.0 %; 400.00 EUR of fraud, 20.00 EUR cleared`.
pub(super) fn rule_words(rule: &RuleWorth, c: &Comparison) -> String {
    let held = format!("rule {}: held for {} events", rule.rule, grouped(rule.hits));
    match rule.precision {
        None => format!("{held}; no labels yet"),
        Some(precision) => format!(
            "{held}; {} of {} labelled are fraud, {:.1} %; {} of fraud, {} cleared",
            grouped(rule.found),
            grouped(rule.known),
            100.0 * precision,
            money(rule.found_minor, c),
            money(rule.false_minor, c)
        ),
    }
}

/// An amount for a person; in minor units where the currency is not known.
pub(super) fn money(minor: u64, c: &Comparison) -> String {
    match c.currency.as_deref().and_then(Currency::new) {
        Some(currency) => ui::money(minor, currency),
        None => format!("{} minor units", grouped(minor)),
    }
}

fn flips(text: &mut String, c: &Comparison) {
    if c.examples.is_empty() {
        return;
    }
    text.push_str("\n  decisions that would flip, the greatest difference first\n");
    for flip in c.examples.iter().take(10) {
        let _ = writeln!(
            text,
            "  {:<38} {:<24} {:>4} {:<6} → {:>4} {}",
            flip.event_id,
            flip.card_id,
            flip.active.score,
            flip.active.decision.as_str(),
            flip.candidate.score,
            flip.candidate.decision.as_str()
        );
    }
}
