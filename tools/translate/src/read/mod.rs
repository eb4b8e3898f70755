//! Rows of a file, one at a time, none of them held beyond a limit.

mod line;
mod start;
mod table;
mod unpack;

use std::io::{self, BufRead};

use serde_json::Value;
use tidemark_mapping::{Format, InputRule, MapCode, RowData, Wrong, holds_card_number, object_of};

use crate::limits::{COLUMNS_MAX, ROW_BYTES_MAX};

pub use line::LineReader;
pub use start::{is_utf16, pass_mark};

use table::{TableReader, TableRow};
pub use unpack::unpack;

/// Why a file can't be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum InputFault {
    /// It breaks off, or is damaged.
    #[error("behind line {line} the file can't be read on")]
    Broken {
        /// The last line that was read whole.
        line: u64,
        /// What the system or the unpacking said.
        #[source]
        source: io::Error,
    },
    /// It is of another kind.
    #[error("{looks}")]
    Foreign {
        /// What it looks like.
        looks: String,
        /// How to make rows of it.
        advice: String,
    },
    /// The names of its columns can't be used.
    #[error("line {line}: {why}")]
    Header {
        /// The line of the names.
        line: u64,
        /// What is wrong.
        why: String,
        /// What to do.
        advice: String,
    },
}

impl InputFault {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Broken { .. } => {
                "Get the file once more: it is cut or damaged. What was read before is whole rows.".to_owned()
            }
            Self::Foreign { advice, .. } | Self::Header { advice, .. } => advice.clone(),
        }
    }
}

/// Reads rows of either kind.
pub(crate) enum RowReader<R> {
    Table(Box<TableReader<R>>),
    Lines(Box<ObjectReader<R>>),
}

/// Reads an object a line.
pub(crate) struct ObjectReader<R> {
    lines: LineReader<R>,
    object: Value,
}

/// What was read.
pub(crate) enum Read {
    /// A row, which begins on this line.
    Row { line: u64 },
    /// A row that can't be looked at.
    Wrong { line: u64, wrong: Wrong },
    /// The end.
    End,
}

impl<R: BufRead> RowReader<R> {
    /// Begins to read; a byte order mark is passed over.
    pub(crate) fn new(mut input: R, rule: &InputRule) -> Result<Self, InputFault> {
        start::begin(&mut input, rule.format)?;
        Ok(match rule.format {
            Format::Csv => Self::Table(Box::new(TableReader::new(input, rule.delimiter, rule.quote))),
            Format::JsonLines | Format::Parquet => Self::Lines(Box::new(ObjectReader {
                lines: LineReader::new(input, ROW_BYTES_MAX),
                object: Value::Null,
            })),
        })
    }

    /// The names of the columns, from a table's first row; none of JSON lines.
    pub(crate) fn header(&mut self) -> Result<Vec<String>, InputFault> {
        let Self::Table(table) = self else {
            return Ok(Vec::new());
        };
        let header = |line, why: String, advice: &str| InputFault::Header {
            line,
            why,
            advice: advice.to_owned(),
        };
        match table.next()? {
            TableRow::Row { line } => match table.text() {
                Ok(_) if table.values().any(holds_card_number) => Err(header(
                    line,
                    "the first row holds a card number: it is a row, and not the names of the columns".to_owned(),
                    "Write a row of names before it, or name the columns in the map: `columns` under [input].",
                )),
                Ok(_) => Ok(table.values().map(|name| name.trim().to_owned()).collect()),
                Err(_) => Err(header(
                    line,
                    "the names of the columns are not UTF-8".to_owned(),
                    MapCode::NotUtf8.advice(),
                )),
            },
            TableRow::TooLong { line } => {
                let why = format!("the names of the columns have more than {ROW_BYTES_MAX} bytes");
                Err(header(line, why, "Check the delimiter and the quotes of the file."))
            }
            TableRow::TooManyColumns { line } => {
                let why = format!(
                    "the file has more than {COLUMNS_MAX} columns; column {} is the first too many",
                    COLUMNS_MAX + 1
                );
                let advice = "Cut out the columns that the map needs (cut -d, -f1-20 FILE), or check the delimiter.";
                Err(header(line, why, advice))
            }
            TableRow::End => Err(header(
                1,
                "the file has no row with the names of its columns: it is empty".to_owned(),
                "Name another file.",
            )),
        }
    }

    /// Reads the next row; `columns` is how many values a row of a table has.
    pub(crate) fn next(&mut self, columns: usize) -> Result<Read, InputFault> {
        match self {
            Self::Table(table) => next_of_table(table, columns),
            Self::Lines(lines) => lines.next(),
        }
    }

    /// The row that was read.
    pub(crate) fn data(&self) -> RowData<'_> {
        match self {
            Self::Table(table) => RowData::Table {
                text: table.text().unwrap_or_default(),
                ends: table.ends(),
            },
            Self::Lines(lines) => RowData::Object(&lines.object),
        }
    }

    /// The values of a table's row that was read, in their order.
    pub(crate) fn values(&self) -> Vec<&str> {
        match self {
            Self::Table(table) => table.values().collect(),
            Self::Lines(_) => Vec::new(),
        }
    }
}

fn next_of_table<R: BufRead>(table: &mut TableReader<R>, columns: usize) -> Result<Read, InputFault> {
    loop {
        let (line, wrong) = match table.next()? {
            TableRow::End => return Ok(Read::End),
            TableRow::TooLong { line } => {
                let why = format!("the row has more than {ROW_BYTES_MAX} bytes");
                (line, Wrong::new(MapCode::RowTooLong, why))
            }
            TableRow::TooManyColumns { line } => {
                let why = format!("expected {columns} columns, found more than {COLUMNS_MAX}");
                (line, Wrong::new(MapCode::Columns, why))
            }
            TableRow::Row { line } => {
                let found = table.ends().len();
                let Ok(text) = table.text() else {
                    return Ok(Read::Wrong {
                        line,
                        wrong: Wrong::new(MapCode::NotUtf8, "the row is not UTF-8"),
                    });
                };
                if found == columns {
                    return Ok(Read::Row { line });
                }
                // A line of white space is none of one column either.
                if found == 1 && text.trim().is_empty() {
                    continue;
                }
                let lines = table.lines_of_row();
                let over = if lines > 1 {
                    format!(" on {lines} lines")
                } else {
                    String::new()
                };
                let why = format!("expected {columns} columns, found {found}{over}");
                (line, Wrong::new(MapCode::Columns, why))
            }
        };
        return Ok(Read::Wrong { line, wrong });
    }
}

impl<R: BufRead> ObjectReader<R> {
    fn next(&mut self) -> Result<Read, InputFault> {
        loop {
            let line = self.lines.number() + 1;
            let broken = |source| InputFault::Broken { line: line - 1, source };
            let Some(length) = self.lines.read().map_err(broken)? else {
                return Ok(Read::End);
            };
            if length > ROW_BYTES_MAX as u64 {
                let why = format!("the line has {length} bytes, more than {ROW_BYTES_MAX}");
                let wrong = Wrong::new(MapCode::RowTooLong, why);
                return Ok(Read::Wrong { line, wrong });
            }
            let text = self.lines.line();
            if text.trim_ascii().is_empty() {
                continue;
            }
            return Ok(match object_of(text) {
                Ok(object) => {
                    self.object = object;
                    Read::Row { line }
                }
                Err(wrong) => Read::Wrong { line, wrong },
            });
        }
    }
}
