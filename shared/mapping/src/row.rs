//! A row, as rules look at it: one value by one path.

use std::borrow::Cow;

use serde_json::Value;

/// A path of a map: its place in the list of all paths of that map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathId(pub usize);

/// What stands under a path.
#[derive(Debug, PartialEq)]
pub enum Cell<'r> {
    /// Nothing: no such member, null, or what the map calls empty.
    Nothing,
    /// A text, a whole number or a boolean, without white space around it.
    Text(Cow<'r, str>),
    /// A number with a fraction or an exponent, of JSON.
    Fraction(String),
    /// An array or an object.
    Nested,
}

/// A row under its map's paths.
#[derive(Clone, Copy)]
pub struct RowView<'r> {
    /// What it is made of.
    pub data: RowData<'r>,
    /// Where each path leads.
    pub places: &'r [ValuePlace],
    /// What stands for nothing.
    pub empty: &'r [String],
    /// The row's line, from 1.
    pub line: u64,
}

/// What a row is made of.
#[derive(Clone, Copy)]
pub enum RowData<'r> {
    /// Values side by side: their text, and where each ends.
    Table {
        /// The values, one behind the other.
        text: &'r str,
        /// Where each ends.
        ends: &'r [usize],
    },
    /// An object.
    Object(&'r Value),
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuePlace {
    /// A table's column, from 0.
    Column(usize),
    /// A member of an object.
    Member(String),
    /// A member of members: a JSON pointer (RFC 6901).
    Pointer(String),
}

impl<'r> RowView<'r> {
    /// What stands under a path.
    #[must_use]
    pub fn cell(&self, path: PathId) -> Cell<'r> {
        let cell = match (self.data, self.places.get(path.0)) {
            (RowData::Table { text, ends }, Some(ValuePlace::Column(column))) => table_cell(text, ends, *column),
            (RowData::Object(object), Some(ValuePlace::Member(name))) => json_cell(object.get(name)),
            (RowData::Object(object), Some(ValuePlace::Pointer(pointer))) => json_cell(object.pointer(pointer)),
            _ => Cell::Nothing,
        };
        match cell {
            Cell::Text(text) if text.is_empty() || self.empty.iter().any(|empty| *empty == text) => Cell::Nothing,
            cell => cell,
        }
    }
}

fn table_cell<'r>(text: &'r str, ends: &[usize], column: usize) -> Cell<'r> {
    let start = column.checked_sub(1).and_then(|before| ends.get(before)).copied();
    let start = start.unwrap_or(0);
    let value = ends.get(column).and_then(|end| text.get(start..*end));
    Cell::Text(Cow::Borrowed(value.unwrap_or_default().trim()))
}

fn json_cell(value: Option<&Value>) -> Cell<'_> {
    match value {
        None | Some(Value::Null) => Cell::Nothing,
        Some(Value::String(text)) => Cell::Text(Cow::Borrowed(text.trim())),
        Some(Value::Bool(boolean)) => Cell::Text(Cow::Borrowed(if *boolean { "true" } else { "false" })),
        Some(Value::Number(number)) if number.is_f64() => Cell::Fraction(number.to_string()),
        Some(Value::Number(number)) => Cell::Text(Cow::Owned(number.to_string())),
        Some(Value::Array(_) | Value::Object(_)) => Cell::Nested,
    }
}
