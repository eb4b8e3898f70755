//! Times on the command line, and ages for people.

use tidemark_domain::contract::{TIME_MS_END, TIME_MS_START};

pub use translate::span_ms;

use crate::error::CliError;

const ADVICE: &str =
    "Write an age (90s, 15m, 2h, 7d), a time with its zone (2026-11-23T02:00:00Z), or milliseconds since 1970.";
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A time as people write it: `2h` (ago), `2026-11-23T02:00:00Z`, or ms since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When it is none.
pub fn parse(option: &str, text: &str, now_ms: i64) -> Result<i64, CliError> {
    if let Ok(number) = text.parse::<u64>() {
        return milliseconds(option, number);
    }
    if let Some(age_ms) = span_ms(text) {
        return Ok(now_ms.saturating_sub(age_ms));
    }
    let time = text.parse::<jiff::Timestamp>();
    time.map(jiff::Timestamp::as_millisecond)
        .map_err(|_| CliError::usage("time", format!("{option} {text:?} is no time"), ADVICE))
}

/// A number that is a time in milliseconds, by the same bounds as an event's: seconds would be taken for 1970.
///
/// # Errors
/// When it is in another unit.
pub fn milliseconds(option: &str, number: u64) -> Result<i64, CliError> {
    if let Ok(time_ms) = i64::try_from(number)
        && (TIME_MS_START..TIME_MS_END).contains(&time_ms)
    {
        return Ok(time_ms);
    }
    let as_ms = |factor_up: u64, factor_down: u64| {
        let time_ms = number.checked_mul(factor_up)? / factor_down;
        i64::try_from(time_ms)
            .ok()
            .filter(|time_ms| (TIME_MS_START..TIME_MS_END).contains(time_ms))
    };
    let units = [
        ("seconds", 1_000, 1),
        ("microseconds", 1, 1_000),
        ("nanoseconds", 1, 1_000_000),
    ];
    let meant = units
        .into_iter()
        .find_map(|(unit, up, down)| as_ms(up, down).map(|time_ms| (unit, time_ms)));
    Err(match meant {
        Some((unit, time_ms)) => CliError::usage(
            "time_unit",
            format!("{option} {number} is in {unit}, a time is in milliseconds"),
            format!("Write {option} {time_ms}, which is {}.", instant(time_ms)),
        ),
        None => CliError::usage(
            "time_unit",
            format!("{option} {number} is no time in milliseconds since 1970"),
            ADVICE,
        ),
    })
}

/// The same for a flag that takes nothing else.
///
/// # Errors
/// When it is no number, or in another unit.
pub fn milliseconds_argument(text: &str) -> Result<i64, String> {
    let number = text
        .parse()
        .map_err(|_| "expected milliseconds since 1970".to_owned())?;
    milliseconds("", number).map_err(|error| format!("{}; {}", error.what.trim_start(), error.advice))
}

/// A range of times; either end may be open.
///
/// # Errors
/// When one is no time, or the range ends before it begins.
pub fn range(since: Option<&str>, until: Option<&str>, now_ms: i64) -> Result<(Option<i64>, Option<i64>), CliError> {
    let since_ms = since.map(|text| parse("--since", text, now_ms)).transpose()?;
    let until_ms = until.map(|text| parse("--until", text, now_ms)).transpose()?;
    if let (Some(since_ms), Some(until_ms)) = (since_ms, until_ms)
        && until_ms < since_ms
    {
        return Err(CliError::usage(
            "range_reversed",
            format!(
                "--until ({}) is before --since ({})",
                instant(until_ms),
                instant(since_ms)
            ),
            "Swap them: --since is the earlier one.",
        ));
    }
    Ok((since_ms, until_ms))
}

/// A time for people, in UTC.
#[must_use]
pub fn instant(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map_or_else(|_| time_ms.to_string(), |time| time.to_string())
}

/// A length of time for people: two units at most.
#[must_use]
pub fn span(length_ms: i64) -> String {
    let length_ms = length_ms.max(0);
    let (days, hours) = (length_ms / DAY_MS, length_ms % DAY_MS / HOUR_MS);
    let (minutes, seconds) = (length_ms % HOUR_MS / MINUTE_MS, length_ms % MINUTE_MS / SECOND_MS);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn times_are_ages_instants_or_milliseconds() {
        assert_eq!(parse("--since", "2h", NOW_MS).unwrap(), NOW_MS - 7_200_000);
        assert_eq!(parse("--since", "0s", NOW_MS).unwrap(), NOW_MS);
        assert_eq!(parse("--since", "1795399200250", NOW_MS).unwrap(), 1_795_399_200_250);
        assert_eq!(
            parse("--since", "2026-11-23T02:00:00.25Z", NOW_MS).unwrap(),
            1_795_399_200_250
        );
        for wrong in [
            "",
            "h",
            "-1",
            "-1h",
            "2 h",
            "yesterday",
            "2026-11-23",
            "1w",
            "99999999999d",
            "é",
        ] {
            assert_eq!(parse("--since", wrong, NOW_MS).unwrap_err().code, "time", "{wrong:?}");
        }
    }

    #[test]
    fn seconds_and_microseconds_are_refused_by_name() {
        for (number, unit) in [
            ("1764380000", "seconds"),
            ("1764380000000000", "microseconds"),
            ("1764380000000000000", "nanoseconds"),
        ] {
            let error = parse("--since", number, NOW_MS).unwrap_err();
            assert_eq!((error.code, error.exit as u8), ("time_unit", 2));
            assert!(error.what.contains(&format!("is in {unit}")), "{}", error.what);
            assert!(
                error
                    .advice
                    .contains("--since 1764380000000, which is 2025-11-29T01:33:20Z"),
                "{}",
                error.advice
            );
        }
        for number in ["0", "7", "99999999", "18446744073709551615"] {
            assert_eq!(
                parse("--until", number, NOW_MS).unwrap_err().code,
                "time_unit",
                "{number}"
            );
        }
        assert_eq!(milliseconds_argument("1764380000000"), Ok(1_764_380_000_000));
        assert!(
            milliseconds_argument("1764380000")
                .unwrap_err()
                .starts_with("1764380000 is in seconds")
        );
    }

    #[test]
    fn a_range_does_not_end_before_it_begins() {
        assert_eq!(range(None, None, NOW_MS).unwrap(), (None, None));
        assert!(range(Some("2h"), Some("1h"), NOW_MS).is_ok());
        let error = range(Some("1h"), Some("2h"), NOW_MS).unwrap_err();
        assert_eq!((error.code, error.exit as u8), ("range_reversed", 2));
    }

    #[test]
    fn spans_are_read_at_a_glance() {
        assert_eq!(span(-5), "0 s");
        assert_eq!(span(61_000), "1 min 1 s");
        assert_eq!(span(7_260_000), "2 h 1 min");
        assert_eq!(span(3 * 86_400_000 + 3_600_000), "3 d 1 h");
    }
}
