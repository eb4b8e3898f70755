//! The comparison as one page: everything is in it, nothing is fetched.

use std::fmt::Write as _;

use terminal::ui::grouped;
use tidemark_domain::outcome::Decision;

use super::super::until;
use super::measure::{Comparison, Precision, Samples, share};
use super::plot;

const STYLE: &str = "
:root{--paper:#fff;--ink:#1b2330;--soft:#5c6778;--line:#e3e7ee;--active:#5b6ee1;--candidate:#e08a3c;--bad:#c23b4b}
@media(prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e8ecf2;--soft:#98a3b5;--line:#2a3240;--active:#8794f0;--candidate:#f0a35e;--bad:#f07b88}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}h1{font-size:25px;margin:0 0 4px}h2{font-size:17px;margin:34px 0 2px}
p{margin:4px 0;color:var(--soft)}p.lead{color:var(--ink);font-size:17px;margin:8px 0}p.how{font-size:13px;margin:0 0 8px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(155px,1fr));gap:12px;margin:20px 0 8px}
.figure{border:1px solid var(--line);border-radius:10px;padding:11px 12px}.figure b{display:block;font-size:19px;font-weight:600;white-space:nowrap}
.figure span{color:var(--soft);font-size:13px}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:0 36px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:500}
th:first-child,td:first-child,.text{text-align:left}td.flip{color:var(--bad);font-weight:600}td.group{color:var(--soft);padding-top:14px}
svg{width:100%;height:auto;display:block}.tick,.axis,.note{font:12px system-ui,sans-serif;fill:var(--soft)}.note{fill:var(--ink)}.grid{stroke:var(--line)}
rect.active{fill:var(--active)}rect.candidate{fill:var(--candidate)}rect.heat{fill:var(--active)}
polyline{fill:none;stroke-width:2}polyline.active{stroke:var(--active)}polyline.candidate{stroke:var(--candidate)}
.diagonal{stroke:var(--soft);stroke-dasharray:2 4}.gap{stroke:var(--bad);stroke-width:3}
.limit{stroke-dasharray:5 4}.limit.active{stroke:var(--active)}.limit.candidate{stroke:var(--candidate)}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin:0 5px 0 14px}.key i:first-child{margin-left:0}
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
    headline(&mut page, c);
    figures(&mut page, c);
    page.push_str(
        "<p class=\"key\"><i style=\"background:var(--active)\"></i>active policy<i style=\"background:var(--candidate)\"></i>candidate</p>",
    );
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
    flips(&mut page, c);
    page.push_str("</main></body></html>\n");
    page
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
}

fn figures(page: &mut String, c: &Comparison) {
    let (active, candidate) = (&c.active_precision, &c.candidate_precision);
    let change = |before: u64, after: u64| format!("{} → {}", grouped(before), grouped(after));
    let list = [
        (format!("{:.2} %", c.agreement_pct), "the same decision"),
        (change(active.alerts, candidate.alerts), "alerts"),
        (
            change(active.flagged - active.alerts, candidate.flagged - candidate.alerts),
            "reviews",
        ),
        (format!("{:+.1}", c.drift.mean_difference), "mean difference of scores"),
        (format!("{:.3}", c.drift.psi), population(c.drift.psi)),
        (
            format!(
                "{:.1} → {:.1} µs",
                c.cost.active_us_per_event, c.cost.candidate_us_per_event
            ),
            "time an event",
        ),
    ];
    page.push_str("<div class=\"figures\">");
    for (figure, words) in list {
        let _ = write!(page, "<div class=\"figure\"><b>{figure}</b><span>{words}</span></div>");
    }
    page.push_str("</div>");
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
    let labelled = |fraud: u64, of: u64, pct: Option<f64>| {
        pct.map_or_else(|| "no labels".to_owned(), |pct| format!("{pct:.1} % ({fraud} of {of})"))
    };
    let alerts = |p: &Precision| labelled(p.alerts_fraud, p.alerts_labelled, p.alert_precision_pct);
    let flagged = |p: &Precision| labelled(p.flagged_fraud, p.flagged_labelled, p.flagged_precision_pct);
    let groups = [
        (
            "fraud among what is labelled",
            vec![
                ("alerts", alerts(a), alerts(b)),
                ("reviews and alerts", flagged(a), flagged(b)),
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
