//! What `tidemark map check` shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use terminal::input::repeats_text;
use terminal::ui::{self, paint, shown};
use terminal::when;
use tidemark_domain::event::Currency;
use translate::{MapCode, RefusedRow, RowAccount};

/// Characters of the left side.
const LEFT_CHARS: usize = 48;
/// Refused rows that a terminal shows.
const REFUSED_SHOWN_MAX: usize = 20;
/// An event's members, in the order of the contract; others come behind.
const ORDER: [&str; 14] = [
    "schema",
    "event_id",
    "card_id",
    "verdict",
    "known_since_ms",
    "occurred_at_ms",
    "amount_minor",
    "currency",
    "merchant_id",
    "mcc",
    "country",
    "channel",
    "approved",
    "device_id",
];

/// What a map makes of a file.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// The first rows.
    pub(super) rows: Vec<CheckedRow>,
    /// All rows.
    pub(super) account: RowAccount,
}

/// A row, as the file has it and as the map has it.
#[derive(Debug, Serialize)]
pub(super) struct CheckedRow {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// The columns that the map names, in its order.
    pub(super) theirs: Vec<(String, String)>,
    /// The events, each with its members in their order.
    pub(super) ours: Vec<BTreeMap<String, Value>>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<RefusedRow>,
}

/// Rows side by side, refusals, counts.
pub(super) fn render(checked: &Checked) -> String {
    let mut text = String::new();
    for row in &checked.rows {
        side_by_side(&mut text, row);
    }
    let account = &checked.account;
    let named = account.refused.iter().take(REFUSED_SHOWN_MAX);
    for refused in named {
        let _ = writeln!(text, "{}", refusal(refused));
    }
    let more = account.refused_total.saturating_sub(REFUSED_SHOWN_MAX as u64);
    if more > 0 {
        let _ = writeln!(
            text,
            "… and {} more refused rows: --json names the first {}",
            ui::grouped(more),
            ui::grouped(account.refused.len() as u64)
        );
    }
    text += &advice(account);
    if let Some(repeats) = repeats_text(account) {
        let _ = writeln!(text, "{repeats}");
    }
    text + &counts(account)
}

/// `4,998 of 5,000 rows …`.
pub(super) fn counts(account: &RowAccount) -> String {
    let count = ui::grouped;
    let profiles = match account.profiles {
        0 => String::new(),
        profiles => format!(", {} profiles", count(profiles)),
    };
    let mut text = format!(
        "{} rows: {} translated ({} transactions, {} labels{profiles}), {} skipped, {} refused\n",
        count(account.rows),
        count(account.translated),
        count(account.transactions),
        count(account.labels),
        count(account.skipped),
        count(account.refused_total),
    );
    if account.silent > 0 {
        let _ = writeln!(text, "{} rows say nothing: no verdict", count(account.silent));
    }
    if account.out_of_order > 0 {
        let _ = writeln!(
            text,
            "{} transactions happened before one of an earlier row: train and backtest need the order of time (`map apply --sort`)",
            count(account.out_of_order)
        );
    }
    if account.refused_total > 0 {
        let codes = account.refused_by_code.iter();
        let codes: Vec<String> = codes.map(|(code, rows)| format!("{code} {}", count(*rows))).collect();
        let _ = writeln!(text, "refused: {}", codes.join(", "));
    }
    text
}

fn side_by_side(text: &mut String, row: &CheckedRow) {
    let _ = writeln!(text, "{}", paint(ui::HEADING, format!("line {}", row.line)));
    let theirs = row
        .theirs
        .iter()
        .map(|(name, value)| format!("{} = {}", shown(name), shown(value)));
    let mut theirs: Vec<String> = theirs.collect();
    let mut ours: Vec<String> = row.ours.iter().flat_map(event).collect();
    if let Some(refused) = &row.refused {
        ours.push(format!("refused [{}]", refused.code));
        ours.push(refused.place());
        ours.push(refused.why.clone());
    }
    let length = theirs.len().max(ours.len());
    theirs.resize(length, String::new());
    ours.resize(length, String::new());
    for (left, right) in theirs.iter().zip(&ours) {
        let left: String = left.chars().take(LEFT_CHARS).collect();
        let _ = writeln!(
            text,
            "{}",
            format!("  {left:<LEFT_CHARS$}  {}", shown(right)).trim_end()
        );
    }
    text.push('\n');
}

/// An event's members, one a line.
fn event(members: &BTreeMap<String, Value>) -> Vec<String> {
    let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    let mut names: Vec<&String> = members.keys().filter(|name| *name != "version").collect();
    names.sort_by_key(|name| rank(name));
    names
        .into_iter()
        .map(|name| format!("{name} = {}", value(name, members)))
        .collect()
}

/// A value as it is, and as a person reads it.
fn value(name: &str, members: &BTreeMap<String, Value>) -> String {
    let Some(value) = members.get(name) else {
        return String::new();
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if name.ends_with("_ms") => {
            format!("{number} ({})", when::instant(number.as_i64().unwrap_or_default()))
        }
        Value::Number(number) if name == "amount_minor" => {
            let currency = members.get("currency").and_then(Value::as_str).and_then(Currency::new);
            match currency.zip(number.as_u64()) {
                Some((currency, minor)) => format!("{number} ({})", ui::money(minor, currency)),
                None => number.to_string(),
            }
        }
        other => other.to_string(),
    }
}

fn refusal(refused: &RefusedRow) -> String {
    let place = refused.place();
    let place = if place.is_empty() {
        String::new()
    } else {
        format!(", {}", shown(&place))
    };
    let value = refused
        .value
        .as_ref()
        .map_or_else(String::new, |value| format!(": {:?}", shown(value)));
    let code = paint(ui::BAD, format!("[{}]", refused.code));
    format!("line {}{place}{value}: {} {code}", refused.line, shown(&refused.why))
}

/// What to do, once for each of the map's codes.
fn advice(account: &RowAccount) -> String {
    let codes = MapCode::ALL
        .iter()
        .filter(|code| account.refused_by_code.contains_key(code.as_str()));
    let mut text: String = codes
        .map(|code| format!("  {}: {}\n", code.as_str(), code.advice()))
        .collect();
    let of_map = |code: &&str| MapCode::ALL.iter().any(|of_map| of_map.as_str() == *code);
    if account.refused_by_code.keys().any(|code| !of_map(code)) {
        text += "  the other codes are the contract's: docs/errors/refusals.md\n";
    }
    text
}
