//! What a person sees: data goes to stdout, all else to stderr; colours and bars only on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemark_aws::admin::Waiting;
use tidemark_domain::event::Currency;

use crate::error::CliError;
use crate::escape::printable;

pub use crate::escape::shown;

/// How often a bar is drawn again while nothing moves.
const TICK_MS: u64 = 120;

/// Bold, for headings.
pub const HEADING: Style = Style::new().bold();
/// For what holds.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// For what does not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what is beside the point.
pub const DIM: Style = Style::new().dimmed();
/// For what a person should look at.
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// Writes to stdout; colours go when it is not a terminal or NO_COLOR is set. A closed pipe is not an error. Whatever could
/// command a terminal and is no style of ours is written as an escape.
pub fn out(text: &str) {
    let text = printable(text);
    let mut stdout = anstream::stdout().lock();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Writes a line to stderr, likewise.
pub fn note(text: &str) {
    let text = printable(text);
    let mut stderr = anstream::stderr().lock();
    drop(writeln!(stderr, "{text}"));
}

/// Says on stderr that a read waits, for what, and how long it would go on.
pub fn waiting(wait: &Waiting) {
    let seconds = |ms: u64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    let until = wait.left_ms.map_or_else(String::new, |left_ms| {
        format!("; gives up after {} more", seconds(left_ms))
    });
    note(&paint(
        DIM,
        format!("  waiting {}: {}{until}", seconds(wait.wait_ms), wait.why),
    ));
}

/// A report as pretty JSON, or as text for a person.
///
/// # Errors
/// When it can't be written as JSON.
pub fn json_or<T: serde::Serialize>(
    json: bool,
    report: &T,
    render: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    if !json {
        return Ok(render(report));
    }
    serde_json::to_string_pretty(report)
        .map(|text| text + "\n")
        .map_err(|e| CliError::machine("report", e, "This is a bug in tidemark: please report it."))
}

/// An amount as a person writes it: `2,477.98 THB`.
#[must_use]
pub fn money(minor: u64, currency: Currency) -> String {
    let digits = currency.minor_digits();
    let unit = 10_u64.pow(digits);
    let whole = grouped(minor / unit);
    match digits as usize {
        0 => format!("{whole} {}", currency.as_str()),
        digits => format!("{whole}.{:0digits$} {}", minor % unit, currency.as_str()),
    }
}

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// A bar over `total` steps, hidden when stderr is not a terminal or `quiet` is asked for.
#[must_use]
pub fn bar(total: u64, label: &str, quiet: bool) -> ProgressBar {
    let hidden = quiet || !std::io::stderr().is_terminal();
    let target = if hidden {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template("  {msg} {human_pos}/{human_len} {per_sec} {eta} {wide_bar}") {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    bar
}

/// A spinner for a step of unknown length; off a terminal the step's name is printed once.
#[must_use]
pub fn step(label: &str, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    if !std::io::stderr().is_terminal() {
        note(&format!("  {label}"));
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    bar
}

/// A whole number with thin groups of three.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn groups_of_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_303_778), "1,303,778");
    }
}
