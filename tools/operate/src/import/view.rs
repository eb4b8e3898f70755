//! What an import says.

use terminal::ui;
use tidemark_telemetry::price::Prices;

use super::Purpose;
use super::args::ImportArgs;
use super::importer::Tally;

const MILLION: f64 = 1_000_000.0;
const MINUTE_S: f64 = 60.0;

/// What the units cost on demand in us-east-1, dollars.
fn usd(tally: &Tally) -> f64 {
    let prices = Prices::default();
    (tally.units.write * prices.write_units_million_usd + tally.units.read * prices.read_units_million_usd) / MILLION
}

pub(super) fn report(tally: &Tally, purpose: Purpose, args: &ImportArgs, table: &str, policy: u32, json: bool) {
    if json {
        let named = tally.refused.first.iter();
        let named: Vec<_> = named
            .map(|row| serde_json::json!({"line": row.number, "code": row.code, "why": row.why}))
            .collect();
        let is_written = purpose == Purpose::Import;
        let value = serde_json::json!({
            "table": table, "policy": policy, "dry_run": purpose == Purpose::DryRun, "check": purpose == Purpose::Check,
            "lines": tally.lines, "imported": if is_written { tally.imported } else { 0 },
            "missing": if is_written { 0 } else { tally.imported }, "known": tally.known, "too_old": tally.too_old,
            "labels_too_old": tally.labels_too_old,
            "profiles_and_labels": tally.applied, "profiles_and_labels_known": tally.applied_before,
            "refused_total": tally.refused.total(), "refused_by_code": tally.refused.by_code, "refused": named,
            "not_taken_total": tally.not_taken_total(), "not_taken": tally.not_taken,
            "write_units": tally.units.write, "read_units": tally.units.read, "usd": usd(tally),
        });
        ui::out(&format!("{value}\n"));
        return;
    }
    for row in &tally.refused.first {
        ui::note(&format!("  line {}: {}: {}", row.number, row.code, row.why));
    }
    ui::out(&text(tally, purpose, args, table));
}

fn text(tally: &Tally, purpose: Purpose, args: &ImportArgs, table: &str) -> String {
    let count = ui::grouped;
    let events = match purpose {
        Purpose::Import => format!(
            "{} imported into {table}, {} there already",
            count(tally.imported),
            count(tally.known)
        ),
        Purpose::DryRun => format!(
            "{} would be imported into {table}, {} are there already",
            count(tally.imported),
            count(tally.known)
        ),
        Purpose::Check => format!(
            "{} are in their card, {} are not",
            count(tally.known),
            count(tally.imported)
        ),
    };
    let mut text = format!("{} lines: events: {events}\n", count(tally.lines));
    if tally.too_old > 0 {
        text += &format!(
            "{} lie further behind their card's newest event than anything is kept, and so do the events of {} labels\n",
            count(tally.too_old),
            count(tally.labels_too_old)
        );
    }
    let others = tally.applied + tally.applied_before;
    if others > 0 {
        text += &format!(
            "profiles and labels: {}, of which {} were there already\n",
            count(others),
            count(tally.applied_before)
        );
    }
    let codes = |counts: Vec<String>| counts.join(", ");
    if tally.refused.total() > 0 {
        let by_code = tally.refused.by_code.iter();
        let by_code = by_code.map(|(code, many)| format!("{} {code}", count(*many))).collect();
        text += &format!("refused: {}\n", codes(by_code));
    }
    if tally.not_taken_total() > 0 {
        let by_cause = tally.not_taken.iter();
        let by_cause = by_cause.map(|(why, many)| format!("{} {why}", count(*many))).collect();
        text += &format!(
            "not taken: {}; import the file again, what is there counts once\n",
            codes(by_cause)
        );
    }
    text + &cost(tally, purpose, args)
}

/// What it took, or would take.
fn cost(tally: &Tally, purpose: Purpose, args: &ImportArgs) -> String {
    #[allow(clippy::cast_precision_loss, reason = "40,000 at most")]
    let minutes = tally.units.write / args.write_units as f64 / MINUTE_S;
    let units = format!("{:.0} write and {:.0} read units", tally.units.write, tally.units.read);
    match purpose {
        Purpose::Import => format!("{units}: {:.2} USD\n", usd(tally)),
        Purpose::DryRun => format!(
            "it would take {units}: {:.2} USD, and {minutes:.0} minutes at {} write units a second\n",
            usd(tally),
            ui::grouped(args.write_units)
        ),
        Purpose::Check => String::new(),
    }
}
