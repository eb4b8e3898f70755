//! Times: a text or a number to milliseconds since 1970-01-01T00:00:00Z.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use tidemark_domain::contract::{TIME_MS_END, TIME_MS_START};

use crate::code::{MapCode, Wrong};
use crate::keys::Which;
use crate::row::{PathId, RowView};

use super::{Blame, nothing, text_of};

/// Digits of a date without separators, 20261123.
const DATE_DIGITS: usize = 8;
/// Digits of a number that may be a time: what is longer is none, in any unit.
const EPOCH_DIGITS_MAX: usize = 20;

/// How the file writes a time.
#[derive(Clone, Debug)]
pub(crate) enum TimeFormat {
    /// By ISO 8601.
    Iso,
    /// A number of units, so many microseconds each, since an origin (ms since 1970-01-01T00:00:00Z).
    Epoch { unit_us: i64, origin_ms: i64 },
    /// By a format as strptime has it, with an example.
    Signs { format: String, example: String },
}

/// How a time is read.
#[derive(Clone, Debug)]
pub(crate) struct TimeRule {
    /// `None`: the event's own time, and the delay behind it.
    pub(crate) from: Option<PathId>,
    pub(crate) format: TimeFormat,
    pub(crate) zone: Option<TimeZone>,
    pub(crate) twice: Which,
    pub(crate) skipped: Which,
    pub(crate) delay_ms: i64,
}

/// What a time says before its zone is known.
enum Said {
    Instant(i64),
    Clock(DateTime),
}

impl TimeRule {
    /// The time of a row, ms since 1970-01-01T00:00:00Z; `None` where nothing stands. `event_ms` is the event's own time.
    pub(crate) fn make(&self, row: &RowView<'_>, event_ms: Option<i64>) -> Result<Option<i64>, Blame> {
        let Some(path) = self.from else {
            return Ok(event_ms.map(|event_ms| event_ms.saturating_add(self.delay_ms)));
        };
        let Some(text) = text_of(row, path)? else {
            return Ok(None);
        };
        match self.read(&text) {
            Ok(time_ms) => Ok(Some(time_ms.saturating_add(self.delay_ms))),
            Err((code, why)) => Err((Some(path), Wrong::of(code, &text, why))),
        }
    }

    /// The same where there must be one.
    pub(crate) fn require(&self, row: &RowView<'_>, event_ms: Option<i64>) -> Result<i64, Blame> {
        self.make(row, event_ms)?.ok_or_else(|| nothing(self.from))
    }

    fn read(&self, text: &str) -> Result<i64, (MapCode, String)> {
        let said = match &self.format {
            TimeFormat::Iso => iso(text)?,
            TimeFormat::Epoch { unit_us, origin_ms } => Said::Instant(epoch(text, *unit_us, *origin_ms)?),
            TimeFormat::Signs { format, example } => by_signs(text, format, example)?,
        };
        let time_ms = match said {
            Said::Instant(time_ms) => time_ms,
            Said::Clock(clock) => self.in_zone(clock)?,
        };
        if (TIME_MS_START..TIME_MS_END).contains(&time_ms) {
            Ok(time_ms)
        } else {
            let why = "expected a time between 1973-03-03 and the year 5138".to_owned();
            Err((MapCode::TimeText, why))
        }
    }

    /// What a clock in the map's zone meant.
    fn in_zone(&self, clock: DateTime) -> Result<i64, (MapCode, String)> {
        let Some(zone) = &self.zone else {
            let why = "the time names no zone, and the map names none".to_owned();
            return Err((MapCode::TimeWithoutZone, why));
        };
        // Of an hour that comes twice the greater offset, which is that of summer, is the earlier instant. Of an hour that does
        // not exist it is, too: read by the offset that comes after the gap, a clock shows an instant before it.
        let (code, why, rule, before, after) = match zone.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => return instant(clock, offset),
            AmbiguousOffset::Fold { before, after } => (
                MapCode::TimeTwice,
                "clocks were set back: this hour came twice",
                self.twice,
                before,
                after,
            ),
            AmbiguousOffset::Gap { before, after } => (
                MapCode::TimeSkipped,
                "clocks were set forward: this hour did not exist",
                self.skipped,
                before,
                after,
            ),
        };
        let (summer, winter) = if before > after {
            (before, after)
        } else {
            (after, before)
        };
        match rule {
            Which::Earlier => instant(clock, summer),
            Which::Later => instant(clock, winter),
            Which::Refuse => Err((code, why.to_owned())),
        }
    }
}

fn instant(clock: DateTime, offset: Offset) -> Result<i64, (MapCode, String)> {
    let time = offset.to_timestamp(clock);
    time.map(jiff::Timestamp::as_millisecond)
        .map_err(|_| not_a_time("a time"))
}

fn not_a_time(example: &str) -> (MapCode, String) {
    (MapCode::TimeText, format!("expected a time such as {example}"))
}

fn iso(text: &str) -> Result<Said, (MapCode, String)> {
    if text.len() > DATE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let why = "a number, and the map says nothing of its unit".to_owned();
        return Err((MapCode::TimeUnit, why));
    }
    let Ok(pieces) = Pieces::parse(text) else {
        return Err(slashes(text).unwrap_or_else(|| not_a_time("2026-11-23T02:00:00Z")));
    };
    let clock = match pieces.time() {
        Some(time) => pieces.date().to_datetime(time),
        None => pieces.date().at(0, 0, 0, 0),
    };
    match pieces.to_numeric_offset() {
        Some(offset) => instant(clock, offset).map(Said::Instant),
        None if pieces.time_zone_annotation().is_some() => {
            let why = "a zone in brackets says which instant is meant only beside an offset".to_owned();
            Err((MapCode::TimeText, why))
        }
        None => Ok(Said::Clock(clock)),
    }
}

/// A date of three numbers that does not say which is the month.
fn slashes(text: &str) -> Option<(MapCode, String)> {
    let date = text.split([' ', 'T']).next()?;
    let numbers: Vec<&str> = date.split(['/', '.', '-']).collect();
    let [first, second, year] = numbers[..] else {
        return None;
    };
    let is_year = year.len() == 2 || year.len() == 4;
    let (first, second): (u8, u8) = (first.parse().ok()?, second.parse().ok()?);
    if !is_year || year.parse::<u16>().is_err() || first == 0 || second == 0 || first > 31 || second > 31 {
        return None;
    }
    if first > 12 || second > 12 || first == second {
        let order = if second > 12 { "%m/%d/%Y" } else { "%d/%m/%Y" };
        let why = format!("no date by ISO 8601: it looks like {order}, which the map has to state");
        return Some((MapCode::TimeText, why));
    }
    let why = format!("day {first} of month {second}, or day {second} of month {first}: the map does not say which");
    Some((MapCode::TimeAmbiguous, why))
}

/// A number of units since an origin; digits behind the unit are kept down to the millisecond.
fn epoch(text: &str, unit_us: i64, origin_ms: i64) -> Result<i64, (MapCode, String)> {
    let no_number = || {
        let why = "expected a number, since the map says that times are numbers".to_owned();
        (MapCode::TimeText, why)
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > EPOCH_DIGITS_MAX || !is_digits(whole) || !is_digits(fraction) {
        return Err(no_number());
    }
    let whole: i128 = whole.parse().map_err(|_| no_number())?;
    // Nine digits are nanoseconds of a second.
    let nines: i128 = format!("{fraction:0<9}")
        .get(..9)
        .and_then(|nines| nines.parse().ok())
        .unwrap_or(0);
    let unit_us = i128::from(unit_us);
    let since_us = whole * unit_us + nines * unit_us / 1_000_000_000;
    let time_ms = since_us / 1_000 + i128::from(origin_ms);
    match i64::try_from(time_ms) {
        Ok(time_ms) if (TIME_MS_START..TIME_MS_END).contains(&time_ms) => Ok(time_ms),
        _ => Err((MapCode::TimeUnit, other_unit(whole, origin_ms))),
    }
}

/// The unit by which a number would be a time.
fn other_unit(number: i128, origin_ms: i64) -> String {
    let units = [("seconds", 1_000_000), ("milliseconds", 1_000), ("microseconds", 1)];
    let range = i128::from(TIME_MS_START)..i128::from(TIME_MS_END);
    let meant = units
        .into_iter()
        .find(|(_, unit_us)| range.contains(&(number * unit_us / 1_000 + i128::from(origin_ms))));
    match meant {
        Some((unit, _)) => format!("no time in the map's unit; it would be one in {unit}"),
        None => "no time between 1973-03-03 and the year 5138".to_owned(),
    }
}

fn by_signs(text: &str, format: &str, example: &str) -> Result<Said, (MapCode, String)> {
    let wrong = || {
        let why = format!("expected a time by {format:?}, such as {example:?}");
        (MapCode::TimeText, why)
    };
    let said = strtime::parse(format, text).map_err(|_| wrong())?;
    if let Some(time) = said.timestamp() {
        return Ok(Said::Instant(time.as_millisecond()));
    }
    let date = said.to_date().map_err(|_| wrong())?;
    let clock = match said.hour() {
        Some(_) => date.to_datetime(said.to_time().map_err(|_| wrong())?),
        None => date.at(0, 0, 0, 0),
    };
    match said.offset() {
        Some(offset) => instant(clock, offset).map(Said::Instant),
        None => Ok(Said::Clock(clock)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(format: TimeFormat, zone: Option<&str>) -> TimeRule {
        TimeRule {
            from: Some(PathId(0)),
            format,
            zone: zone.map(|zone| TimeZone::get(zone).unwrap()),
            twice: Which::Refuse,
            skipped: Which::Refuse,
            delay_ms: 0,
        }
    }

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn read(rule: &TimeRule, text: &str) -> Result<i64, MapCode> {
        rule.read(text).map_err(|(code, _)| code)
    }

    #[test]
    fn iso_times_say_their_zone_or_take_the_maps() {
        let none = rule(TimeFormat::Iso, None);
        for text in [
            "2026-11-23T02:00:00Z",
            "2026-11-23T03:00:00+01:00",
            "2026-11-23 02:00:00.000Z",
            "20261123T020000Z",
        ] {
            assert_eq!(read(&none, text), Ok(ms("2026-11-23T02:00:00Z")), "{text}");
        }
        assert_eq!(
            read(&none, "2026-11-23T02:00:00.25Z"),
            Ok(ms("2026-11-23T02:00:00.25Z"))
        );
        assert_eq!(read(&none, "2026-11-23T02:00:00"), Err(MapCode::TimeWithoutZone));
        assert_eq!(read(&none, "2026-11-23"), Err(MapCode::TimeWithoutZone));
        let brussels = rule(TimeFormat::Iso, Some("Europe/Brussels"));
        assert_eq!(read(&brussels, "2026-11-23 03:00:00"), Ok(ms("2026-11-23T02:00:00Z")));
        assert_eq!(read(&brussels, "2026-07-01"), Ok(ms("2026-06-30T22:00:00Z")));
        assert_eq!(
            read(&brussels, "2026-11-23T03:00:00Z"),
            Ok(ms("2026-11-23T03:00:00Z")),
            "the text's own wins"
        );
        assert_eq!(read(&brussels, "1700000000"), Err(MapCode::TimeUnit));
        for text in [
            "yesterday",
            "",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00[Europe/Paris]",
            "2026-02-30",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(read(&brussels, text), Err(MapCode::TimeText), "{text}");
        }
    }

    #[test]
    fn dates_with_slashes_are_refused_unless_their_order_is_stated() {
        let iso = rule(TimeFormat::Iso, Some("UTC"));
        assert_eq!(read(&iso, "03/04/2026"), Err(MapCode::TimeAmbiguous));
        assert_eq!(read(&iso, "03.04.26 10:00"), Err(MapCode::TimeAmbiguous));
        assert_eq!(
            read(&iso, "25/04/2026"),
            Err(MapCode::TimeText),
            "one order only, and still not stated"
        );
        let stated = |format: &str| {
            let (format, example) = (format.to_owned(), String::new());
            rule(TimeFormat::Signs { format, example }, Some("UTC"))
        };
        assert_eq!(read(&stated("%d/%m/%Y"), "03/04/2026"), Ok(ms("2026-04-03T00:00:00Z")));
        assert_eq!(read(&stated("%m/%d/%Y"), "03/04/2026"), Ok(ms("2026-03-04T00:00:00Z")));
        assert_eq!(
            read(&stated("%d.%m.%Y %H:%M:%S"), "03.04.2026 23:59:58"),
            Ok(ms("2026-04-03T23:59:58Z"))
        );
        assert_eq!(
            read(&stated("%m/%d/%Y %I:%M %p"), "03/04/2026 1:05 PM"),
            Ok(ms("2026-03-04T13:05:00Z"))
        );
        assert_eq!(
            read(&stated("%d/%m/%Y %H:%M %z"), "03/04/2026 10:00 +0200"),
            Ok(ms("2026-04-03T08:00:00Z"))
        );
        assert_eq!(read(&stated("%d/%m/%Y"), "13/13/2026"), Err(MapCode::TimeText));
        assert_eq!(
            read(&stated("%d/%m/%Y"), "03/04/2026 10:00"),
            Err(MapCode::TimeText),
            "more than stated"
        );
    }

    /// Europe/Brussels: 2026-10-25 02:00 to 03:00 comes twice, 2026-03-29 02:00 to 03:00 never.
    #[test]
    fn the_hour_of_autumn_and_the_hour_of_spring_have_their_rules() {
        let mut brussels = rule(TimeFormat::Iso, Some("Europe/Brussels"));
        let (twice, skipped) = ("2026-10-25 02:30:00", "2026-03-29 02:30:00");
        assert_eq!(read(&brussels, twice), Err(MapCode::TimeTwice));
        assert_eq!(read(&brussels, skipped), Err(MapCode::TimeSkipped));
        (brussels.twice, brussels.skipped) = (Which::Earlier, Which::Earlier);
        assert_eq!(read(&brussels, twice), Ok(ms("2026-10-25T00:30:00Z")));
        assert_eq!(
            read(&brussels, skipped),
            Ok(ms("2026-03-29T00:30:00Z")),
            "01:30 in winter's time"
        );
        (brussels.twice, brussels.skipped) = (Which::Later, Which::Later);
        assert_eq!(read(&brussels, twice), Ok(ms("2026-10-25T01:30:00Z")));
        assert_eq!(
            read(&brussels, skipped),
            Ok(ms("2026-03-29T01:30:00Z")),
            "03:30 in summer's time"
        );
        assert_eq!(read(&brussels, "2026-10-25 03:00:00"), Ok(ms("2026-10-25T02:00:00Z")));
    }

    #[test]
    fn numbers_are_times_in_the_unit_that_the_map_states() {
        let epoch = |unit_us, origin_ms| rule(TimeFormat::Epoch { unit_us, origin_ms }, None);
        let (s, milli, micro) = (epoch(1_000_000, 0), epoch(1_000, 0), epoch(1, 0));
        assert_eq!(read(&s, "1764380000"), Ok(1_764_380_000_000));
        assert_eq!(read(&s, "1764380000.25"), Ok(1_764_380_000_250));
        assert_eq!(read(&milli, "1764380000250"), Ok(1_764_380_000_250));
        assert_eq!(read(&micro, "1764380000250999"), Ok(1_764_380_000_250));
        assert_eq!(read(&s, "1764380000000"), Err(MapCode::TimeUnit));
        assert_eq!(read(&milli, "1764380000"), Err(MapCode::TimeUnit));
        let (_, why) = milli.read("1764380000").unwrap_err();
        assert!(why.contains("in seconds"), "{why}");
        assert_eq!(read(&s, "2026-11-23"), Err(MapCode::TimeText));
        assert_eq!(read(&s, "-5"), Err(MapCode::TimeText));
        assert_eq!(read(&s, &"9".repeat(20)), Err(MapCode::TimeUnit));
        assert_eq!(read(&s, &"9".repeat(60)), Err(MapCode::TimeText));
        let since = epoch(1_000_000, ms("2017-12-01T00:00:00Z"));
        assert_eq!(read(&since, "86400"), Ok(ms("2017-12-02T00:00:00Z")));
        assert_eq!(read(&since, "0"), Ok(ms("2017-12-01T00:00:00Z")));
    }
}
