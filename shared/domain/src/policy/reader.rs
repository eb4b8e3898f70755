//! Reads typed values out of a TOML document and collects every problem with its place.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::PolicyProblem;

/// Where in the text, in bytes.
pub(super) type Span = Range<usize>;

/// Problems found so far, by their place.
#[derive(Default)]
pub(super) struct Problems(Vec<(usize, String)>);

impl Problems {
    pub(super) fn push(&mut self, at: &Span, message: impl Into<String>) {
        self.0.push((at.start, message.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the text, with line and column.
    pub(super) fn into_list(mut self, text: &str, file: &str) -> Vec<PolicyProblem> {
        self.0.sort_by_key(|(offset, _)| *offset);
        self.0
            .into_iter()
            .map(|(offset, message)| {
                let (line, column) = line_column(text, offset);
                PolicyProblem {
                    file: file.to_owned(),
                    line,
                    column,
                    message,
                }
            })
            .collect()
    }
}

/// Line and column of a byte offset, both from 1, columns in characters.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

/// A table of the document, with the keys that it may have.
pub(super) struct Section<'a, 'i> {
    /// As in `scoring.half_bits`; empty for the document itself.
    name: &'static str,
    span: Span,
    table: Option<&'a DeTable<'i>>,
}

impl<'a, 'i> Section<'a, 'i> {
    /// The document's top level.
    pub(super) fn top(document: &'a Spanned<DeTable<'i>>, keys: &[&str], problems: &mut Problems) -> Self {
        let section = Self {
            name: "",
            span: 0..0,
            table: Some(document.get_ref()),
        };
        section.refuse_unknown(keys, problems);
        section
    }

    /// A table of a list of tables; `None`: it is not a table, and that has been reported.
    pub(super) fn item(name: &'static str, item: &'a Spanned<DeValue<'i>>, problems: &mut Problems) -> Option<Self> {
        let span = item.span();
        match item.get_ref() {
            DeValue::Table(table) => Some(Self {
                name,
                span,
                table: Some(table),
            }),
            other => {
                problems.push(&span, format!("expected tables in `{name}`, found {}", kind(other)));
                None
            }
        }
    }

    /// A table inside; an absent one has no keys, and a required one that is absent is a problem.
    pub(super) fn inside(&self, name: &'static str, required: bool, problems: &mut Problems) -> Self {
        let key = name.rsplit('.').next().unwrap_or(name);
        let Some((span, value)) = self.find(key) else {
            if required {
                problems.push(&self.span, format!("the table [{name}] is missing"));
            }
            return Self {
                name,
                span: self.span.clone(),
                table: None,
            };
        };
        match value {
            DeValue::Table(table) => Self {
                name,
                span,
                table: Some(table),
            },
            other => {
                problems.push(&span, format!("expected `{name}` to be a table, found {}", kind(other)));
                Self {
                    name,
                    span,
                    table: None,
                }
            }
        }
    }

    /// Whether the table is there and has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Names every key that is not in the list.
    pub(super) fn refuse_unknown(&self, keys: &[&str], problems: &mut Problems) {
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            if !keys.contains(&key.get_ref().as_ref()) {
                let place = if self.name.is_empty() {
                    "the policy".to_owned()
                } else {
                    format!("[{}]", self.name)
                };
                let message = format!(
                    "unknown key `{}` in {place}, expected one of: {}",
                    key.get_ref(),
                    keys.join(", ")
                );
                problems.push(&key.span(), message);
            }
        }
    }

    /// Where the key's value is, or else where the table begins.
    pub(super) fn place(&self, key: &str) -> Span {
        self.find(key).map_or_else(|| self.span.clone(), |(span, _)| span)
    }

    /// Keys and values with their places, in the order of the keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Span, &'a Spanned<DeValue<'i>>)> + use<'a, 'i> {
        self.table
            .into_iter()
            .flat_map(DeTable::iter)
            .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    /// A whole number in a range. `None`: absent (a problem if there is no default) or wrong.
    pub(super) fn integer(
        &self,
        key: &str,
        range: &RangeInclusive<i64>,
        default: Option<i64>,
        problems: &mut Problems,
    ) -> Option<i64> {
        match self.find(key) {
            Some((span, value)) => integer(&self.path(key), &span, value, range, problems),
            None => self.or_default(key, "a whole number", default, problems),
        }
    }

    /// A number in a range. `None`: absent (a problem if there is no default) or wrong.
    pub(super) fn number(
        &self,
        key: &str,
        range: &RangeInclusive<f64>,
        default: Option<f64>,
        problems: &mut Problems,
    ) -> Option<f64> {
        match self.find(key) {
            Some((span, value)) => number(&self.path(key), &span, value, range, problems),
            None => self.or_default(key, "a number", default, problems),
        }
    }

    /// `true` or `false`. `None`: wrong.
    pub(super) fn boolean(&self, key: &str, default: bool, problems: &mut Problems) -> Option<bool> {
        match self.find(key) {
            Some((_, DeValue::Boolean(value))) => Some(*value),
            Some((span, other)) => {
                problems.push(
                    &span,
                    format!(
                        "expected `{}` to be true or false, found {}",
                        self.path(key),
                        kind(other)
                    ),
                );
                None
            }
            None => Some(default),
        }
    }

    /// A string. `None`: absent (a problem if there is no default) or wrong.
    pub(super) fn string(
        &self,
        key: &str,
        default: Option<&'a str>,
        problems: &mut Problems,
    ) -> Option<(&'a str, Span)> {
        match self.find(key) {
            Some((span, DeValue::String(text))) => Some((text.as_ref(), span)),
            Some((span, other)) => {
                problems.push(
                    &span,
                    format!("expected `{}` to be a string, found {}", self.path(key), kind(other)),
                );
                None
            }
            None => self
                .or_default(key, "a string", default, problems)
                .map(|text| (text, self.span.clone())),
        }
    }

    /// A list. `None`: absent or wrong, and a problem either way.
    pub(super) fn list(&self, key: &str, problems: &mut Problems) -> Option<&'a [Spanned<DeValue<'i>>]> {
        match self.find(key) {
            Some((_, DeValue::Array(items))) => Some(items),
            Some((span, other)) => {
                problems.push(
                    &span,
                    format!("expected `{}` to be a list, found {}", self.path(key), kind(other)),
                );
                None
            }
            None => self.or_default(key, "a list", None, problems),
        }
    }

    fn or_default<T>(&self, key: &str, expected: &str, default: Option<T>, problems: &mut Problems) -> Option<T> {
        // An absent table that had to be there has been named already.
        if default.is_none() && self.table.is_some() {
            problems.push(
                &self.span,
                format!("`{}` is missing, expected {expected}", self.path(key)),
            );
        }
        default
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn find(&self, key: &str) -> Option<(Span, &'a DeValue<'i>)> {
        self.table?.get(key).map(|value| (value.span(), value.get_ref()))
    }
}

/// A whole number in a range.
pub(super) fn integer(
    path: &str,
    span: &Span,
    value: &DeValue<'_>,
    range: &RangeInclusive<i64>,
    problems: &mut Problems,
) -> Option<i64> {
    let found = match value {
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
        _ => None,
    };
    if let Some(number) = found.filter(|number| range.contains(number)) {
        return Some(number);
    }
    let (least, most) = (range.start(), range.end());
    let message = format!(
        "expected `{path}` to be a whole number from {least} to {most}, found {}",
        shown(value)
    );
    problems.push(span, message);
    None
}

/// A finite number in a range.
pub(super) fn number(
    path: &str,
    span: &Span,
    value: &DeValue<'_>,
    range: &RangeInclusive<f64>,
    problems: &mut Problems,
) -> Option<f64> {
    let found = match value {
        // Through text, so that a whole number beyond 2^53 rounds as the same number with ".0" does.
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str().parse::<f64>().ok(),
        DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
        _ => None,
    };
    // NaN is in no range, and no range reaches infinity.
    if let Some(number) = found.filter(|number| range.contains(number)) {
        return Some(number);
    }
    let (least, most) = (range.start(), range.end());
    problems.push(
        span,
        format!(
            "expected `{path}` to be a number from {least} to {most}, found {}",
            shown(value)
        ),
    );
    None
}

/// What kind of value was found, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The value itself where it is a number, otherwise its kind.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(digits) => digits.to_string(),
        DeValue::Float(digits) => digits.to_string(),
        other => kind(other).to_owned(),
    }
}
