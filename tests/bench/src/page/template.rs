//! The page is the template with a figure of the results in the place of each placeholder:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{{NAME.FIGURE}}`, `{{NAME.FIGURE:2}}` | the figure's median, with so many decimals (a negative number rounds to tens, hundreds …) |
//! | `{{holds NAME.FIGURE MAX}}` | `yes` where the figure's median is at most this number, `**no**` where it is above |
//! | `{{when NAME}}` | profile, day, runs and load of the measurement; `NAME*` takes all whose names begin so |
//! | `{{command NAME}}` | its command |
//! | `{{figures NAME:1}}` | a table of all its figures |
//! | `{{measurements}}` | a table of all measurements |
//!
//! What a section could measure and nobody has measured yet is told so.

use super::results::{Measurement, Results, Spread};

/// The template from the repository's root.
pub const FILE: &str = "tests/bench/page/benchmarks.template";
/// The page from the repository's root.
pub const PAGE: &str = "docs/reference/benchmarks.md";

/// Words behind a number that make it a measured one, so that it has to come from the results.
const UNITS: [&str; 14] = [
    "ms",
    "s",
    "µs",
    "minutes",
    "KB",
    "MB",
    "%",
    "bytes",
    "instructions",
    "events a second",
    "records a second",
    "lines a second",
    "write units",
    "read units",
];

/// What stands for the figures of a measurement that nobody has made yet.
const NOT_YET: &str = "not measured yet";

/// The page; every problem of the template together. `known` names all measurements that there can be.
pub fn render(template: &str, results: &Results, known: &[String]) -> Result<String, String> {
    let mut problems = unmeasured(template);
    let mut page = String::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once("{{") {
        page += text;
        let Some((placeholder, after)) = after.split_once("}}") else {
            problems.push("a placeholder has no end".to_owned());
            break;
        };
        match resolve(placeholder, results, known) {
            Ok(text) => page += &text,
            Err(problem) => problems.push(format!("{{{{{placeholder}}}}}: {problem}")),
        }
        rest = after;
    }
    page += rest;
    if problems.is_empty() {
        Ok(page)
    } else {
        Err(problems.join("\n"))
    }
}

fn resolve(placeholder: &str, results: &Results, known: &[String]) -> Result<String, String> {
    if placeholder == "measurements" {
        return Ok(table(results));
    }
    if let Some(goal) = placeholder.strip_prefix("holds ") {
        return holds(goal, results, known);
    }
    let (path, decimals) = placeholder.split_once(':').unwrap_or((placeholder, "0"));
    let decimals: i32 = decimals
        .parse()
        .map_err(|_| format!("{decimals} is no number of decimals"))?;
    let (kind, name) = match (path.split_once(' '), path.split_once('.')) {
        (Some((kind @ ("when" | "command" | "figures"), name)), _) => (kind, name),
        (_, Some((name, figure))) => (figure, name),
        _ => return Err("expected MEASUREMENT.FIGURE".to_owned()),
    };
    let all = meant(name, results, known)?;
    let Some(first) = all.first() else {
        return Ok(NOT_YET.to_owned());
    };
    match kind {
        "when" => when(&all),
        "command" => Ok(first.command.clone()),
        "figures" => Ok(figures(first, decimals)),
        figure => Ok(number(median(first, figure)?, decimals)),
    }
}

/// Whether a goal is met: `NAME.FIGURE MAX`.
fn holds(goal: &str, results: &Results, known: &[String]) -> Result<String, String> {
    let (path, max) = goal.split_once(' ').ok_or("expected MEASUREMENT.FIGURE MAX")?;
    let max: f64 = max.parse().map_err(|_| format!("{max} is no number"))?;
    let (name, figure) = path.split_once('.').ok_or("expected MEASUREMENT.FIGURE MAX")?;
    let Some(first) = meant(name, results, known)?.first().copied() else {
        return Ok(NOT_YET.to_owned());
    };
    Ok(if median(first, figure)? <= max { "yes" } else { "**no**" }.to_owned())
}

/// The measurements of that name (`NAME*`: whose names begin so); none where they could be made and nobody has yet.
fn meant<'r>(name: &str, results: &'r Results, known: &[String]) -> Result<Vec<&'r Measurement>, String> {
    let is_meant = |key: &str| {
        name.strip_suffix('*')
            .map_or(key == name, |prefix| key.starts_with(prefix))
    };
    let all = results.measurements.iter().filter(|(key, _)| is_meant(key));
    let all: Vec<&Measurement> = all.map(|(_, measurement)| measurement).collect();
    if all.is_empty() && !known.iter().any(|key| is_meant(key)) {
        return Err("no such measurement".to_owned());
    }
    Ok(all)
}

fn median(one: &Measurement, figure: &str) -> Result<f64, String> {
    let spread = one.figures.get(figure).ok_or("the measurement has no such figure")?;
    Ok(spread.median)
}

/// How these were measured, in words.
fn when(all: &[&Measurement]) -> Result<String, String> {
    let distinct = |of: &dyn Fn(&Measurement) -> String| {
        let mut words: Vec<String> = all.iter().map(|one| of(one)).collect();
        words.sort();
        words.dedup();
        words
    };
    let days = distinct(&|one| one.date.clone());
    let days: Result<Vec<String>, String> = days.iter().map(|day| in_words(day)).collect();
    let runs = distinct(&|one| match one.runs {
        1 => "one run".to_owned(),
        runs => format!("median of {runs} runs"),
    });
    let loads = all.iter().map(|one| one.machine.load);
    let (low, high) = (loads.clone().fold(f64::INFINITY, f64::min), loads.fold(0.0, f64::max));
    let load = match (number(low, 1), number(high, 1)) {
        (low, high) if low == high => high,
        (low, high) => format!("{low} to {high}"),
    };
    let profiles = distinct(&|one| one.profile.clone()).join(" and ");
    Ok(format!(
        "{profiles} profile, {}, {} each, load {load} before",
        days?.join(" and "),
        runs.join(" or ")
    ))
}

/// 1 December 2026.
fn in_words(day: &str) -> Result<String, String> {
    let day: jiff::civil::Date = day.parse().map_err(|error| format!("{day}: {error}"))?;
    Ok(day.strftime("%-d %B %Y").to_string())
}

/// With so many decimals and a comma between thousands.
fn number(value: f64, decimals: i32) -> String {
    let tens = 10_f64.powi(-decimals.min(0));
    let text = format!(
        "{:.*}",
        usize::try_from(decimals).unwrap_or(0),
        (value / tens).round_to(decimals) * tens
    );
    let (whole, part) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    part.map_or_else(|| grouped.clone(), |part| format!("{grouped}.{part}"))
}

trait RoundTo {
    fn round_to(self, decimals: i32) -> Self;
}

impl RoundTo for f64 {
    /// Halves away from zero, where the format would take the even neighbour.
    fn round_to(self, decimals: i32) -> Self {
        let scale = 10_f64.powi(decimals.max(0));
        (self * scale).round() / scale
    }
}

fn figures(one: &Measurement, decimals: i32) -> String {
    let line = |(name, spread): (&String, &Spread)| {
        let [median, least, greatest] =
            [spread.median, spread.least, spread.greatest].map(|value| number(value, decimals));
        format!("\n| {name} | {median} | {least} | {greatest} |")
    };
    let lines: String = one.figures.iter().map(line).collect();
    format!("| what | median | least | greatest |\n|---|---:|---:|---:|{lines}")
}

fn table(results: &Results) -> String {
    let mut text =
        "| measurement | command | profile | day | runs | load before | processor, cores | rustc |\n".to_owned();
    text += "|---|---|---|---|---:|---:|---|---|\n";
    for (name, one) in &results.measurements {
        let before = one.before.iter().map(|command| format!("`{command}`, then "));
        text += &format!(
            "| {name} | {}`{}` | {} | {} | {} | {} | {}, {} | {} |\n",
            before.collect::<String>(),
            one.command,
            one.profile,
            one.date,
            one.runs,
            number(one.machine.load, 1),
            one.machine.cpu,
            one.machine.cores,
            one.rustc
        );
    }
    text.trim_end().to_owned()
}

/// Figures that stand in the template by hand: in a table's cells from the second on (the first says what was asked for), and in
/// prose where a unit follows.
fn unmeasured(template: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut is_code = false;
    for (line, text) in (1..).zip(template.lines()) {
        if text.starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let bare = without(&without(text, "{{", "}}"), "`", "`");
        let by_hand = match bare.strip_prefix('|') {
            // A heading has words.
            Some(_) if template.lines().nth(line).is_some_and(|below| below.starts_with("|--")) => None,
            Some(cells) => cells
                .split('|')
                .skip(1)
                .find(|cell| cell.contains(|letter: char| letter.is_ascii_digit())),
            None => measured_looking(&bare),
        };
        if let Some(figure) = by_hand {
            problems.push(format!("{FILE}:{line}: {:?} is not from the results", figure.trim()));
        }
    }
    problems
}

/// The first number with a unit.
fn measured_looking(text: &str) -> Option<&str> {
    let begins = text.char_indices().filter(|(at, letter)| {
        letter.is_ascii_digit()
            && !text[..*at].ends_with(|before: char| before.is_alphanumeric() || ".,".contains(before))
    });
    for (at, _) in begins {
        let rest = text[at..].trim_start_matches(|letter: char| letter.is_ascii_digit() || ".,".contains(letter));
        let Some(rest) = rest.strip_prefix(' ') else { continue };
        let is_unit = |unit: &&&str| {
            let after = rest.strip_prefix(**unit);
            after.is_some_and(|after| !after.starts_with(|letter: char| letter.is_alphanumeric()))
        };
        if let Some(unit) = UNITS.iter().find(is_unit) {
            let end = text.len() - rest.len() + unit.len();
            return text.get(at..end);
        }
    }
    None
}

/// The text without what stands between these marks.
fn without(text: &str, begin: &str, end: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(begin) {
        kept += before;
        rest = after.split_once(end).map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
