//! Reads variables: remembers which, and collects what is wrong, so that all of it is reported together.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use tidemark_telemetry::ErrorCode;

/// Variables of this prefix that nobody reads are reported: a misspelt one would be ignored in silence.
const PREFIX: &str = "TIDEMARK_";

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {variable}: {message}")]
pub struct SettingProblem {
    /// The page in docs/errors.
    pub code: ErrorCode,
    /// The variable.
    pub variable: String,
    /// What is wrong and what was expected.
    pub message: String,
}

/// A variable for tuning, for the reference and its test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The variable's name.
    pub variable: &'static str,
    /// Smallest value, largest value, value when unset.
    pub least: u64,
    /// The largest value.
    pub most: u64,
    /// The value when it is unset.
    pub default: u64,
}

/// Reads variables for tuning: whole numbers within a range.
pub struct Tuner<'a, 'b, 'k> {
    reader: &'a mut Reader<'b>,
    knobs: Option<&'k mut Vec<Knob>>,
}

impl<'a, 'b, 'k> Tuner<'a, 'b, 'k> {
    /// With `knobs`, the list of variables is written down on the way.
    #[must_use]
    pub fn new(reader: &'a mut Reader<'b>, knobs: Option<&'k mut Vec<Knob>>) -> Self {
        Self { reader, knobs }
    }

    /// Notes that values contradict each other.
    pub fn problem(&mut self, code: ErrorCode, variable: impl Display, message: String) {
        self.reader.problem(code, variable, message);
    }

    /// Sets a field, where its variable is set and in range.
    pub fn set<T>(&mut self, variable: &'static str, least: u64, most: u64, field: &mut T)
    where
        T: FromStr + Copy + TryInto<u64>,
    {
        let default = (*field).try_into().unwrap_or_default();
        if let Some(knobs) = &mut self.knobs {
            knobs.push(Knob {
                variable,
                least,
                most,
                default,
            });
        }
        let Some(text) = self.reader.optional(variable) else {
            return;
        };
        let in_range = text.parse::<u64>().is_ok_and(|value| (least..=most).contains(&value));
        match text.parse::<T>() {
            Ok(value) if in_range => *field = value,
            _ => {
                let message = format!("expected a whole number from {least} to {most}, found {text:?}");
                self.reader.problem(ErrorCode::ConfigurationInvalid, variable, message);
            }
        }
    }
}

/// Reads variables, remembers which, and collects what is wrong.
pub struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    known: Vec<&'static str>,
    problems: Vec<SettingProblem>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    #[must_use]
    pub fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self {
            variables,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// An empty variable counts as unset: templates have no other way to leave one out.
    pub fn optional(&mut self, variable: &'static str) -> Option<&'a str> {
        self.known.push(variable);
        self.variables
            .get(variable)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A variable without which nothing goes.
    pub fn required(&mut self, variable: &'static str, valid: impl Fn(&str) -> bool, expected: &str) -> Option<String> {
        match self.optional(variable) {
            Some(value) if valid(value) => Some(value.to_owned()),
            Some(value) => {
                self.problem(
                    ErrorCode::ConfigurationInvalid,
                    variable,
                    format!("expected {expected}, found {value:?}"),
                );
                None
            }
            None => {
                self.problem(
                    ErrorCode::ConfigurationInvalid,
                    variable,
                    format!("not set; expected {expected}"),
                );
                None
            }
        }
    }

    /// Notes what is wrong.
    pub fn problem(&mut self, code: ErrorCode, variable: impl Display, message: String) {
        self.problems.push(SettingProblem {
            code,
            variable: variable.to_string(),
            message,
        });
    }

    /// A variable as it stands, without a look at it.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// The name of a stream.
    pub fn stream(&mut self, variable: &'static str) -> Option<String> {
        self.required(variable, |name| is_name(name, 1, 128), "a stream's name, not its ARN")
    }

    /// The URL of a queue.
    pub fn queue_url(&mut self, variable: &'static str) -> Option<String> {
        self.required(variable, is_url, "a queue's URL, http(s)://…")
    }

    /// What was read, and the variables that begin with `TIDEMARK_` and mean nothing.
    ///
    /// # Errors
    /// Every problem, in one list.
    pub fn finish<T>(self, read: Option<T>) -> Result<(T, Vec<String>), Vec<SettingProblem>> {
        let unknown = self.unknown();
        match read {
            Some(read) if self.problems.is_empty() => Ok((read, unknown)),
            _ => Err(self.problems),
        }
    }

    fn unknown(&self) -> Vec<String> {
        let ours = self.variables.keys().filter(|name| name.starts_with(PREFIX));
        ours.filter(|name| !self.known.contains(&name.as_str()))
            .cloned()
            .collect()
    }
}

pub(crate) fn is_name(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

pub(crate) fn is_url(text: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}
