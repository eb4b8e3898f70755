//! A draft of a map: a look at a file's first rows, a guess for each field, and what nobody can guess.

mod amounts;
mod facts;
mod guess;
mod times;
mod words;
mod write;

use std::io::BufRead;

use serde_json::Value;

use tidemark_mapping::{Format, InputRule, RowData};

use crate::limits::NESTING_MAX;
use crate::read::{InputFault, Read, RowReader};

use facts::Facts;

/// Bytes of a beginning that tell a table's delimiter.
const START_BYTES: usize = 64 << 10;
/// Values of an array that have paths of their own.
const ITEMS_MAX: usize = 4;
/// Paths of a file of JSON lines that are looked at.
const PATHS_MAX: usize = 500;

/// A draft of a map.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The map, with what it was guessed by as comments.
    pub text: String,
    /// Fields that somebody has to state, or to look at.
    pub to_state: Vec<String>,
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows among the first that could not be read, and so were not looked at.
    pub unreadable: u64,
    /// The line of the first of them, and why.
    pub first_unreadable: Option<(u64, String)>,
    /// Columns or paths that were found.
    pub columns: usize,
}

/// What a file holds, as far as it was looked at.
pub(crate) struct Looked {
    pub(crate) format: Format,
    pub(crate) delimiter: u8,
    pub(crate) rows: u64,
    pub(crate) unreadable: u64,
    pub(crate) first_unreadable: Option<(u64, String)>,
    pub(crate) columns: Vec<Facts>,
}

/// Looks at a file's first rows, unpacked already, and drafts a map; `name` is what the file is called, and whether examples stand
/// in the comments is said.
///
/// # Errors
/// When the file is of another kind, or can't be read so far.
pub fn suggest(input: impl BufRead, name: &str, rows_max: u64, examples: bool) -> Result<Suggestion, InputFault> {
    Ok(drafted(&look(input, rows_max)?, name, examples))
}

/// As [`suggest`], of the rows of a Parquet file, which are handed in as JSON lines.
///
/// # Errors
/// When the file can't be read so far.
pub fn suggest_of_parquet(
    input: impl BufRead,
    name: &str,
    rows_max: u64,
    examples: bool,
) -> Result<Suggestion, InputFault> {
    let mut looked = look(input, rows_max)?;
    looked.format = Format::Parquet;
    Ok(drafted(&looked, name, examples))
}

fn drafted(looked: &Looked, name: &str, examples: bool) -> Suggestion {
    let guesses = guess::guess(looked);
    let (text, to_state) = write::draft(looked, &guesses, name, examples);
    Suggestion {
        text,
        to_state,
        rows: looked.rows,
        unreadable: looked.unreadable,
        first_unreadable: looked.first_unreadable.clone(),
        columns: looked.columns.len(),
    }
}

fn look(mut input: impl BufRead, rows_max: u64) -> Result<Looked, InputFault> {
    let start = input
        .fill_buf()
        .map_err(|source| InputFault::Broken { line: 0, source })?;
    let (format, delimiter) = sort(start.get(..START_BYTES).unwrap_or(start));
    let rule = InputRule {
        format,
        delimiter,
        quote: b'"',
        columns: None,
        empty: Vec::new(),
    };
    let mut reader = RowReader::new(input, &rule)?;
    let header = reader.header()?;
    let mut looked = Looked {
        format,
        delimiter,
        rows: 0,
        unreadable: 0,
        first_unreadable: None,
        columns: header.iter().map(|name| Facts::new(name)).collect(),
    };
    while looked.rows + looked.unreadable < rows_max {
        match reader.next(header.len())? {
            Read::End => break,
            Read::Wrong { line, wrong } => {
                looked.unreadable += 1;
                looked.first_unreadable.get_or_insert((line, wrong.why));
            }
            Read::Row { .. } => {
                looked.rows += 1;
                take(&mut looked.columns, &reader);
            }
        }
    }
    Ok(looked)
}

/// What a beginning looks like: an object, or a table with the delimiter that its first line has most of.
fn sort(start: &[u8]) -> (Format, u8) {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if start.starts_with(b"{") {
        return (Format::JsonLines, b',');
    }
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| {
        let mut is_quoted = false;
        let outside = first.iter().filter(|byte| {
            is_quoted ^= **byte == b'"';
            !is_quoted && **byte == delimiter
        });
        outside.count()
    };
    let delimiters = [b'|', b'\t', b';', b','];
    let most = delimiters.into_iter().max_by_key(|delimiter| count(*delimiter));
    (Format::Csv, most.unwrap_or(b','))
}

fn take<R: BufRead>(columns: &mut Vec<Facts>, reader: &RowReader<R>) {
    match reader.data() {
        RowData::Table { .. } => {
            for (facts, value) in columns.iter_mut().zip(reader.values()) {
                facts.take(value.trim());
            }
        }
        RowData::Object(object) => take_object(columns, "", object, 0),
    }
}

/// Takes every value of an object under its path: a name at the top, a JSON pointer below.
fn take_object(columns: &mut Vec<Facts>, path: &str, value: &Value, depth: usize) {
    if depth > NESTING_MAX {
        return;
    }
    let step = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, value)| take_object(columns, &step(name), value, depth + 1));
        }
        Value::Array(items) => {
            let items = items.iter().take(ITEMS_MAX).enumerate();
            items.for_each(|(at, item)| take_object(columns, &step(&at.to_string()), item, depth + 1));
        }
        value => {
            // What lies at the top is called by its name, unless that looks like a pointer.
            let plain = path
                .strip_prefix('/')
                .filter(|name| !name.contains('/') && !name.contains('~'));
            let name = plain.unwrap_or(path);
            let known = columns.iter().position(|facts| facts.name == name);
            let at = match known {
                Some(at) => at,
                None if columns.len() < PATHS_MAX => {
                    columns.push(Facts::new(name));
                    columns.len() - 1
                }
                None => return,
            };
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            if let Some(facts) = columns.get_mut(at) {
                facts.take(&text);
            }
        }
    }
}
