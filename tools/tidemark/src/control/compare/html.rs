//! The comparison as one page: everything is in it, nothing is fetched.

use std::fmt::Write as _;

use tidemark_domain::outcome::Decision;

use super::super::until;
use super::measure::{Comparison, Precision, Samples};
use super::plot;
use crate::ui::grouped;

const STYLE: &str = "
:root{--paper:#fff;--ink:#1b2330;--soft:#5c6778;--line:#dde2ea;--active:#5b6ee1;--candidate:#e08a3c;--bad:#c23b4b}
@media(prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e8ecf2;--soft:#98a3b5;--line:#2a3240;--active:#8794f0;--candidate:#f0a35e;--bad:#f07b88}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 8px}
p{margin:4px 0;color:var(--soft)}.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:20px 0}
.figure{border:1px solid var(--line);border-radius:10px;padding:12px 14px}.figure b{display:block;font-size:23px;font-weight:600}
.figure span{color:var(--soft);font-size:13px}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:20px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:500}
th:first-child,td:first-child,td.text{text-align:left}td.flip{color:var(--bad);font-weight:600}
svg{width:100%;height:auto;display:block}.tick,.axis{font:11px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--line)}
rect.active{fill:var(--active)}rect.candidate{fill:var(--candidate)}rect.heat{fill:var(--active)}
polyline{fill:none;stroke-width:2}polyline.active{stroke:var(--active)}polyline.candidate{stroke:var(--candidate)}
.diagonal{stroke:var(--soft);stroke-dasharray:4 4}.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin:0 5px 0 14px}
";
const DECISIONS: [Decision; 3] = [Decision::Pass, Decision::Review, Decision::Alert];

/// Text that stands for itself in a page, whatever is in it.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The page.
pub(super) fn render(comparison: &Comparison, samples: &Samples) -> String {
    let c = comparison;
    let active: Vec<String> = c.active.iter().map(ToString::to_string).collect();
    let title = format!("Candidate {} beside version {}", c.candidate, active.join(", "));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    );
    let _ = write!(
        page,
        "<p>{} events of {} cards, {} to {}. Both policies scored the same events on the same histories; only the active \
         policy's outcomes were sent.</p>",
        grouped(c.events),
        grouped(c.cards),
        until::show(c.from_ms),
        until::show(c.to_ms)
    );
    figures(&mut page, c);
    page.push_str(
        "<p class=\"key\"><i style=\"background:var(--active)\"></i>active<i style=\"background:var(--candidate)\"></i>candidate</p>",
    );
    let _ = write!(
        page,
        "<div class=\"plots\"><section><h2>Events by score</h2>{}</section><section><h2>At or below a score</h2>{}</section>\
         <section><h2>Score against score</h2>{}</section><section><h2>Decisions</h2>{}<h2>Right in what it flags</h2>{}\
         <h2>Scores and cost</h2>{}</section></div>",
        plot::histogram(c),
        plot::cumulative(samples),
        plot::heat(samples),
        decisions(c),
        precision(c),
        scores(c)
    );
    flips(&mut page, c);
    page.push_str("</main></body></html>\n");
    page
}

fn figures(page: &mut String, c: &Comparison) {
    let list = [
        (format!("{:.2} %", c.agreement_pct), "the same decision"),
        (grouped(c.flips_stricter), "would become stricter"),
        (grouped(c.flips_lenient), "would become more lenient"),
        (format!("{:+.1}", c.drift.mean_difference), "mean difference of scores"),
        (format!("{:.3}", c.drift.psi), "stability index (PSI)"),
        (
            format!("{:.1} µs", c.cost.candidate_us_per_event),
            "candidate's time an event",
        ),
    ];
    page.push_str("<div class=\"figures\">");
    for (figure, words) in list {
        let _ = write!(page, "<div class=\"figure\"><b>{figure}</b><span>{words}</span></div>");
    }
    page.push_str("</div>");
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

fn precision(c: &Comparison) -> String {
    let part = |pct: Option<f64>| pct.map_or_else(|| "no labels".to_owned(), |pct| format!("{pct:.1} %"));
    let row = |name: &str, p: &Precision| {
        format!(
            "<tr><td>{name}</td><td>{}</td><td>{} of {}</td><td>{}</td><td>{} of {}</td></tr>",
            part(p.alert_precision_pct),
            p.alerts_labelled,
            grouped(p.alerts),
            part(p.flagged_precision_pct),
            p.flagged_labelled,
            grouped(p.flagged)
        )
    };
    format!(
        "<div class=\"scroll\"><table><tr><th>policy</th><th>alerts: fraud</th><th>labelled</th><th>reviews and alerts: fraud</th>\
         <th>labelled</th></tr>{}{}</table></div>",
        row("active", &c.active_precision),
        row("candidate", &c.candidate_precision)
    )
}

fn scores(c: &Comparison) -> String {
    let row = |name: &str, s: &super::measure::Scores, us: f64, usd: f64| {
        format!(
            "<tr><td>{name}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{us:.1}</td><td>{usd:.4}</td></tr>",
            s.mean, s.p50, s.p95, s.p99
        )
    };
    let cost = &c.cost;
    format!(
        "<div class=\"scroll\"><table><tr><th>policy</th><th>mean</th><th>p50</th><th>p95</th><th>p99</th><th>µs an event</th>\
         <th>USD a million</th></tr>{}{}</table></div><p>KS {:.3}, PSI {:.3}. Trying a million events costs {:.4} USD: the \
         candidate's time and {:.3} write units an event.</p>",
        row(
            "active",
            &c.active_scores,
            cost.active_us_per_event,
            cost.active_usd_per_million
        ),
        row(
            "candidate",
            &c.candidate_scores,
            cost.candidate_us_per_event,
            cost.candidate_usd_per_million
        ),
        c.drift.ks,
        c.drift.psi,
        cost.trial_usd_per_million,
        cost.trial_write_units_per_event
    )
}

fn flips(page: &mut String, c: &Comparison) {
    page.push_str("<h2>Decisions that would flip, the greatest difference first</h2>");
    if c.examples.is_empty() {
        page.push_str("<p>None.</p>");
        return;
    }
    page.push_str("<div class=\"scroll\"><table><tr><th>event</th><th>card</th><th>active</th><th></th><th>candidate</th><th></th></tr>");
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
