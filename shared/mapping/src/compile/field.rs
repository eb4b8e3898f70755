//! The rule of one field, of its keys.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::compile::Salts;
use crate::keys::{AmountKeys, AmountUnit, ChoiceKeys, Format, IdKeys, Paths, TimeKeys, Which};
use crate::limits::{ID_PARTS_MAX, SALT_BYTES_MIN};
use crate::problem::Problems;
use crate::row::PathId;
use crate::rules::amount::AmountRule;
use crate::rules::choice::ChoiceRule;
use crate::rules::id::{IdRule, IdSource, Salt};
use crate::rules::time::{TimeFormat, TimeRule};
use crate::span::span_ms;

/// A time by which formats are tried: 2026-12-31T23:59:58Z, ms.
const EXAMPLE_MS: i64 = 1_798_761_598_000;
const EXAMPLE_HOUR: i8 = 23;
/// Signs of a format that say which instant is meant, so that no zone is needed.
const SIGNS_OF_ZONES: [&str; 5] = ["%z", "%:z", "%::z", "%:::z", "%s"];

/// Makes rules, and keeps the paths that they name.
pub(super) struct Fields<'s> {
    salts: Salts<'s>,
    format: Format,
    paths: Vec<String>,
}

impl<'s> Fields<'s> {
    pub(super) fn new(salts: Salts<'s>, format: Format) -> Self {
        Self {
            salts,
            format,
            paths: Vec::new(),
        }
    }

    pub(super) fn into_paths(self) -> Vec<String> {
        self.paths
    }

    /// A path's number.
    pub(super) fn path(&mut self, name: &str, problems: &mut Problems<'_>, at: &[&str]) -> PathId {
        let name = name.trim();
        let under = [at, &["from"]].concat();
        if name.is_empty() {
            problems.of(&under, "expected the name of a column, found nothing");
        } else if self.format != Format::Csv && name.starts_with('/') && is_wrong_pointer(name) {
            problems.of(&under, "no JSON pointer: behind ~ comes 0 (for ~) or 1 (for /)");
        }
        let known = self.paths.iter().position(|path| path == name);
        PathId(known.unwrap_or_else(|| {
            self.paths.push(name.to_owned());
            self.paths.len() - 1
        }))
    }

    pub(super) fn id(&mut self, keys: IdKeys, problems: &mut Problems<'_>, at: &[&str]) -> IdRule {
        let source = match (keys.from, keys.line_number, keys.value) {
            (Some(paths), false, None) => self.columns(paths, keys.join, problems, at),
            (None, true, None) => IdSource::LineNumber,
            (None, false, Some(id)) => IdSource::Constant(id),
            _ => {
                problems.of(at, "expected one of `from`, `value` and `line_number = true`");
                IdSource::LineNumber
            }
        };
        let salt = match (keys.hash, keys.salt_env) {
            (None, None) => None,
            (Some(_), Some(variable)) => self.salt(&variable, problems, at),
            (Some(_), None) => {
                let what =
                    "a hash without a salt is guessed in minutes: give `salt_env`, the variable that has the salt";
                problems.of(at, what);
                None
            }
            (None, Some(_)) => {
                problems.of(at, "a salt without a hash does nothing: give `hash = \"sha256\"`, too");
                None
            }
        };
        IdRule {
            source,
            strip: keys.strip.unwrap_or_default(),
            lower: keys.lower,
            salt,
            prefix: keys.prefix.unwrap_or_default(),
            empty: keys.empty,
        }
    }

    fn columns(&mut self, paths: Paths, join: Option<String>, problems: &mut Problems<'_>, at: &[&str]) -> IdSource {
        let names = match paths {
            Paths::One(name) => vec![name],
            Paths::Several(names) => names,
        };
        if names.is_empty() || names.len() > ID_PARTS_MAX {
            problems.of(at, format!("an id is made of 1 to {ID_PARTS_MAX} columns"));
        }
        IdSource::Columns {
            paths: names.iter().map(|name| self.path(name, problems, at)).collect(),
            join: join.unwrap_or_else(|| "|".to_owned()),
        }
    }

    fn salt(&self, variable: &str, problems: &mut Problems<'_>, at: &[&str]) -> Option<Salt> {
        let under = [at, &["salt_env"]].concat();
        let Some(salt) = (self.salts)(variable) else {
            problems.of(
                &under,
                format!("the environment has no variable {variable:?}: export it, with a salt that you keep"),
            );
            return None;
        };
        if salt.len() < SALT_BYTES_MIN {
            let what =
                format!("the salt in {variable} has less than {SALT_BYTES_MIN} bytes: openssl rand -hex 16 makes one");
            problems.of(&under, what);
            return None;
        }
        Salt::new(&salt)
    }

    pub(super) fn choice<T>(&mut self, keys: ChoiceKeys<T>, problems: &mut Problems<'_>, at: &[&str]) -> ChoiceRule<T> {
        if keys.from.is_some() == keys.value.is_some() {
            problems.of(at, "expected either `from` or `value`");
        }
        if keys.otherwise.is_some() && keys.values.is_none() {
            problems.of(at, "`otherwise` goes with `values` only");
        }
        ChoiceRule {
            from: keys.from.map(|name| self.path(&name, problems, at)),
            constant: keys.value,
            values: keys.values,
            otherwise: keys.otherwise,
            empty: keys.empty,
        }
    }

    pub(super) fn amount(&mut self, keys: AmountKeys, problems: &mut Problems<'_>, at: &[&str]) -> AmountRule {
        let mut sign = |key: &str, given: Option<String>| {
            let mut letters = given.as_deref()?.chars();
            match (letters.next(), letters.next()) {
                (Some(sign), None) if !sign.is_ascii_alphanumeric() && !matches!(sign, '-' | '+') => Some(sign),
                _ => {
                    problems.of(
                        &[at, &[key]].concat(),
                        format!("expected one sign as `{key}`, such as \".\" or \",\""),
                    );
                    None
                }
            }
        };
        let decimal = sign("decimal", keys.decimal).unwrap_or('.');
        let thousands = sign("thousands", keys.thousands);
        if thousands == Some(decimal) {
            problems.of(
                at,
                format!("`thousands` and `decimal` are both {decimal:?}: state the other one, too"),
            );
        }
        AmountRule {
            from: self.path(&keys.from, problems, at),
            is_decimal: keys.unit == AmountUnit::Decimal,
            decimal,
            thousands,
            strip: keys.strip.unwrap_or_default(),
            absolute: keys.absolute,
            round: keys.round,
        }
    }

    /// The rule of a time; only of some a delay is expected.
    pub(super) fn time(
        &mut self,
        keys: TimeKeys,
        may_delay: bool,
        problems: &mut Problems<'_>,
        at: &[&str],
    ) -> TimeRule {
        let delay_ms = keys.delay.as_deref().map(|delay| {
            span_ms(delay).unwrap_or_else(|| {
                problems.of(
                    &[at, &["delay"]].concat(),
                    "expected a delay such as 7d, 12h, 30m or 90s",
                );
                0
            })
        });
        match (&keys.from, delay_ms, may_delay) {
            (None, Some(_), true) | (Some(_), _, true) | (Some(_), None, false) => {}
            (_, Some(_), false) => problems.of(at, "`delay` is a key of `known_since_ms` only"),
            (None, None, true) => problems.of(at, "expected `from` or `delay`"),
            (None, None, false) => problems.of(at, "expected `from`, the column of this time"),
        }
        let zone = keys.zone.as_deref().and_then(|name| zone(name, problems, at));
        let format = format(&keys, problems, at);
        if zone.is_none() && (keys.twice != Which::Refuse || keys.skipped != Which::Refuse) {
            problems.of(at, "`twice` and `skipped` go with a `zone` only");
        }
        TimeRule {
            from: keys.from.map(|name| self.path(&name, problems, at)),
            format,
            zone,
            twice: keys.twice,
            skipped: keys.skipped,
            delay_ms: delay_ms.unwrap_or(0),
        }
    }
}

fn format(keys: &TimeKeys, problems: &mut Problems<'_>, at: &[&str]) -> TimeFormat {
    let unit_us = match keys.time.as_deref() {
        Some("epoch_s") => Some(1_000_000),
        Some("epoch_ms") => Some(1_000),
        Some("epoch_us") => Some(1),
        _ => None,
    };
    if keys.origin.is_some() && unit_us.is_none() {
        problems.of(at, "`origin` goes with epoch_s, epoch_ms and epoch_us only");
    }
    if let Some(unit_us) = unit_us {
        let origin = keys.origin.as_deref().map(|text| {
            text.parse::<Timestamp>()
                .map(Timestamp::as_millisecond)
                .unwrap_or_else(|_| {
                    problems.of(
                        &[at, &["origin"]].concat(),
                        "expected a time such as 2017-12-01T00:00:00Z",
                    );
                    0
                })
        });
        let origin_ms = origin.unwrap_or(0);
        return TimeFormat::Epoch { unit_us, origin_ms };
    }
    match keys.time.as_deref() {
        None | Some("iso8601") => TimeFormat::Iso,
        Some(format) => signs(format, keys.zone.is_some(), problems, &[at, &["time"]].concat()),
    }
}

fn signs(format: &str, is_in_zone: bool, problems: &mut Problems<'_>, at: &[&str]) -> TimeFormat {
    let example = Timestamp::from_millisecond(EXAMPLE_MS)
        .ok()
        .map(|time| time.to_zoned(TimeZone::UTC))
        .and_then(|time| strtime::format(format, &time).ok());
    // What can't be read back is no format of times; a zone's name in the text is not read.
    let is_whole = |text: &String| {
        let said = strtime::parse(format, text);
        said.is_ok_and(|said| {
            // Twelve hours without morning or afternoon would all be mornings; the example is in the last hour of its day.
            let is_of_day = said.hour().is_none_or(|hour| hour == EXAMPLE_HOUR);
            is_of_day && said.iana_time_zone().is_none() && (said.timestamp().is_some() || said.to_date().is_ok())
        })
    };
    match &example {
        Some(text) if format.contains('%') && is_whole(text) => {
            let has_zone = SIGNS_OF_ZONES.iter().any(|sign| format.contains(sign));
            if !has_zone && !is_in_zone {
                problems.of(at, "this format says no zone: give `zone`, such as \"Europe/Brussels\" or \"UTC\"");
            }
        }
        _ => problems.of(
            at,
            "expected iso8601, epoch_s, epoch_ms, epoch_us, or a format with a whole date such as \"%d/%m/%Y %H:%M:%S\"",
        ),
    }
    TimeFormat::Signs {
        format: format.to_owned(),
        example: example.unwrap_or_default(),
    }
}

fn zone(name: &str, problems: &mut Problems<'_>, at: &[&str]) -> Option<TimeZone> {
    let zone = DateTimeParser::new().parse_time_zone(name).ok();
    if zone.is_none() {
        let what =
            format!("no zone is called {name:?}: expected one such as \"Europe/Brussels\", \"UTC\" or \"+02:00\"");
        problems.of(&[at, &["zone"]].concat(), what);
    }
    zone
}

/// Whether a `~` stands where it means nothing.
fn is_wrong_pointer(pointer: &str) -> bool {
    pointer.split('~').skip(1).any(|after| !after.starts_with(['0', '1']))
}
