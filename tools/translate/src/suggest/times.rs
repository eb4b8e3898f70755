//! How a column writes times.

use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;

/// Dates with the day and the month as numbers: in both orders, with each separator, with two and four digits of the year.
const DATES: [&str; 12] = [
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
    "%m.%d.%y", "%d-%b-%Y", "%Y/%m/%d",
];
/// Times that a number is taken for, ms since 1970-01-01T00:00:00Z: 1990 to 2040. Card numbers lie far above, as microseconds.
const LIKELY_MS: std::ops::Range<i128> = 631_152_000_000..2_208_988_800_000;
/// What may follow.
const CLOCKS: [&str; 6] = ["", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S%.f"];

/// The ways in which every value so far could be read.
pub(crate) struct Times {
    /// By ISO 8601; and whether each value says its zone.
    iso: bool,
    has_zones: bool,
    /// As numbers in seconds, milliseconds, microseconds.
    epochs: [bool; 3],
    formats: Vec<String>,
    is_seen: bool,
}

/// How a column writes times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeGuess {
    /// By ISO 8601, with zones or without.
    Iso { has_zones: bool },
    /// As numbers.
    Epoch(&'static str),
    /// By a format.
    Format(String),
    /// By one of two formats, and the rows don't tell which.
    Either(String, String),
}

impl Default for Times {
    fn default() -> Self {
        let formats = DATES
            .into_iter()
            .flat_map(|date| CLOCKS.map(|clock| format!("{date}{clock}")));
        Self {
            iso: true,
            has_zones: true,
            epochs: [true; 3],
            formats: formats.collect(),
            is_seen: false,
        }
    }
}

impl Times {
    pub(crate) fn take(&mut self, value: &str) {
        self.is_seen = true;
        if self.iso {
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            match Pieces::parse(value) {
                Ok(pieces) if !is_number => self.has_zones &= pieces.to_numeric_offset().is_some(),
                _ => self.iso = false,
            }
        }
        for (is_it, unit_us) in self.epochs.iter_mut().zip([1_000_000_i128, 1_000, 1]) {
            let number = value.split('.').next().and_then(|whole| whole.parse::<i128>().ok());
            *is_it &= number.is_some_and(|number| LIKELY_MS.contains(&(number.saturating_mul(unit_us) / 1_000)));
        }
        if !self.formats.is_empty() {
            self.formats
                .retain(|format| strtime::parse(format, value).is_ok_and(|said| said.to_date().is_ok()));
        }
    }

    /// The way in which all values can be read.
    pub(crate) fn guess(&self) -> Option<TimeGuess> {
        if !self.is_seen {
            return None;
        }
        if self.iso {
            return Some(TimeGuess::Iso {
                has_zones: self.has_zones,
            });
        }
        let epochs = self.epochs.iter().zip(["epoch_s", "epoch_ms", "epoch_us"]);
        if let Some((_, name)) = epochs.into_iter().find(|(is_it, _)| **is_it) {
            return Some(TimeGuess::Epoch(name));
        }
        // Four digits of a year are read by %Y only, two by %y and by %Y as the year 26.
        let two_digits = self.formats.iter().any(|format| format.contains("%y"));
        let mut left = self
            .formats
            .iter()
            .filter(|format| !two_digits || format.contains("%y"));
        let first = left.next()?.clone();
        Some(match left.find(|format| is_other_order(&first, format)) {
            Some(other) => TimeGuess::Either(first, other.clone()),
            None => TimeGuess::Format(first),
        })
    }
}

fn is_other_order(first: &str, other: &str) -> bool {
    let day_first = first.starts_with("%d");
    day_first == other.starts_with("%m") && (day_first || first.starts_with("%m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<TimeGuess> {
        let mut times = Times::default();
        values.iter().for_each(|value| times.take(value));
        times.guess()
    }

    #[test]
    fn a_format_is_told_by_all_values_together() {
        let format = |text: &str| Some(TimeGuess::Format(text.to_owned()));
        assert_eq!(of(&["2026-11-23T02:00:00Z"]), Some(TimeGuess::Iso { has_zones: true }));
        assert_eq!(
            of(&["2026-11-23 02:00:00", "2026-11-23"]),
            Some(TimeGuess::Iso { has_zones: false })
        );
        assert_eq!(
            of(&["03/04/2026 10:00:00", "25/04/2026 10:00:00"]),
            format("%d/%m/%Y %H:%M:%S")
        );
        assert_eq!(of(&["03/04/2026", "03/25/2026"]), format("%m/%d/%Y"));
        assert_eq!(of(&["31.12.26 23:59"]), format("%d.%m.%y %H:%M"));
        assert_eq!(
            of(&["03/04/2026"]),
            Some(TimeGuess::Either("%d/%m/%Y".to_owned(), "%m/%d/%Y".to_owned()))
        );
        assert_eq!(of(&["1/31/2026 1:05 PM"]), format("%m/%d/%Y %I:%M %p"));
        assert_eq!(of(&["1764380000", "1764380001.5"]), Some(TimeGuess::Epoch("epoch_s")));
        assert_eq!(of(&["1764380000000"]), Some(TimeGuess::Epoch("epoch_ms")));
        assert_eq!(of(&["Spar", "2026-11-23"]), None);
        assert_eq!(of(&[]), None);
    }
}
