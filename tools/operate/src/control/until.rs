//! When an override ends: a time, or a span from now on.

use jiff::Timestamp;
use terminal::error::CliError;
use terminal::when::{self, span_ms};
use tidemark_domain::control::OVERRIDE_DAYS_MAX;

const MS_PER_DAY: i64 = 86_400_000;
const ADVICE: &str = "Give --until a time such as 2026-12-24T18:00:00Z, or a span such as 30m, 2h or 7d.";

/// The end, ms since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When there is none, it can't be read, is past, or is too far away.
pub(super) fn parse(text: Option<&str>, now_ms: i64) -> Result<i64, CliError> {
    let Some(text) = text else {
        return Err(CliError::usage(
            "override_without_end",
            "an override without an end is not taken: it would outlive everybody's memory of it",
            ADVICE,
        ));
    };
    if let Ok(number) = text.parse() {
        return checked(text, when::milliseconds("--until", number)?, now_ms);
    }
    let until_ms = span_ms(text)
        .map(|span_ms| now_ms.saturating_add(span_ms))
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond))
        .ok_or_else(|| {
            CliError::usage(
                "override_until",
                format!("{text:?} is neither a time nor a span"),
                ADVICE,
            )
        })?;
    checked(text, until_ms, now_ms)
}

/// The end of an entry of a list, ms since 1970-01-01T00:00:00Z: in the future, however far.
///
/// # Errors
/// When it can't be read, or is past.
pub(super) fn parse_any(text: &str, now_ms: i64) -> Result<i64, CliError> {
    let until_ms = match text.parse() {
        Ok(number) => Some(when::milliseconds("--until", number)?),
        Err(_) => span_ms(text)
            .map(|span_ms| now_ms.saturating_add(span_ms))
            .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)),
    };
    let wrong = |what: &str| CliError::usage("list_until", format!("{text:?} {what}"), ADVICE);
    match until_ms {
        None => Err(wrong("is neither a time nor a span")),
        Some(until_ms) if until_ms <= now_ms => Err(wrong(
            "is not in the future: an entry that has ended holds for no event to come",
        )),
        Some(until_ms) => Ok(until_ms),
    }
}

/// An end in the future, and not too far away.
fn checked(text: &str, until_ms: i64, now_ms: i64) -> Result<i64, CliError> {
    if until_ms <= now_ms {
        return Err(CliError::usage(
            "override_until",
            format!("{text} is not in the future"),
            ADVICE,
        ));
    }
    if until_ms > now_ms.saturating_add(OVERRIDE_DAYS_MAX * MS_PER_DAY) {
        let what = format!("{text} is more than {OVERRIDE_DAYS_MAX} days away");
        return Err(CliError::usage(
            "override_until",
            what,
            "Set it again when it is due, with a new reason.",
        ));
    }
    Ok(until_ms)
}

/// A time for a person.
pub(super) fn show(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| format!("{time_ms} ms"), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    #[test]
    fn a_time_or_a_span_in_the_future() {
        assert_eq!(parse(Some("30m"), NOW_MS).unwrap(), NOW_MS + 1_800_000);
        assert_eq!(parse(Some("7d"), NOW_MS).unwrap(), NOW_MS + 7 * MS_PER_DAY);
        let time = show(NOW_MS + 3_600_000);
        assert_eq!(parse(Some(&time), NOW_MS).unwrap(), NOW_MS + 3_600_000, "{time}");
        assert_eq!(parse(Some("1790003600000"), NOW_MS).unwrap(), NOW_MS + 3_600_000);
    }

    #[test]
    fn no_end_a_past_one_a_far_one_and_nonsense_are_errors_with_a_code() {
        for (text, code) in [
            (None, "override_without_end"),
            (Some(""), "override_until"),
            (Some("tomorrow"), "override_until"),
            (Some("é"), "override_until"),
            (Some("0h"), "override_until"),
            (Some("-5h"), "override_until"),
            (Some("99999999999999999999d"), "override_until"),
            (Some("91d"), "override_until"),
            (Some("1790003600"), "time_unit"),
            (Some("1780000000000"), "override_until"),
            (Some("2020-01-01T00:00:00Z"), "override_until"),
        ] {
            let error = parse(text, NOW_MS).unwrap_err();
            assert_eq!(
                (error.code, error.exit),
                (code, terminal::error::Exit::Usage),
                "{text:?}"
            );
        }
    }
}
