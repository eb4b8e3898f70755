//! Rows in, events out: a file under its map.

use std::io::BufRead;
use std::sync::Arc;

use tidemark_mapping::{Cell, Format, Made, PathId, RefusedRow, RowMap, RowView, Unmade, ValuePlace, shown_value};

use crate::account::{Ids, RowAccount};
use crate::read::{InputFault, Read, RowReader};

/// What has become of a row.
#[derive(Debug)]
pub enum Translated<'a> {
    /// It gave events, one JSON object each: none where it says nothing.
    Events {
        /// The line on which it begins, from 1.
        line: u64,
        /// A transaction, a label, or both in this order.
        events: &'a [Vec<u8>],
    },
    /// The map leaves it out.
    Skipped {
        /// The line on which it begins, from 1.
        line: u64,
    },
    /// It gave nothing.
    Refused(RefusedRow),
}

/// Translates a file row by row.
pub struct Translator<R> {
    map: Arc<RowMap>,
    reader: RowReader<R>,
    /// The columns' names; none of JSON lines.
    header: Vec<String>,
    places: Vec<ValuePlace>,
    made: Made,
    line: u64,
    /// The last row was read: its values are at hand.
    is_read: bool,
    account: RowAccount,
    ids: Ids,
    /// The latest transaction so far, ms since 1970-01-01T00:00:00Z.
    newest_ms: i64,
}

impl<R: BufRead> Translator<R> {
    /// Begins with a file, which is unpacked already: its columns are held to the map.
    ///
    /// # Errors
    /// When the file is of another kind, or has not the columns that the map names.
    pub fn new(input: R, map: Arc<RowMap>) -> Result<Self, InputFault> {
        let mut reader = RowReader::new(input, map.input())?;
        let header = match (&map.input().columns, map.input().format) {
            (_, Format::JsonLines | Format::Parquet) => Vec::new(),
            (Some(columns), Format::Csv) => columns.clone(),
            (None, Format::Csv) => reader.header()?,
        };
        let places = match map.input().format {
            Format::Csv => columns(map.paths(), &header)?,
            Format::JsonLines | Format::Parquet => map.places_in_objects(),
        };
        Ok(Self {
            map,
            reader,
            header,
            places,
            made: Made::default(),
            line: 0,
            is_read: false,
            account: RowAccount::default(),
            ids: Ids::default(),
            newest_ms: i64::MIN,
        })
    }

    /// Translates the next row; `None` at the end.
    ///
    /// # Errors
    /// When the file can't be read on. What came before are whole rows.
    #[allow(clippy::should_implement_trait)] // events are lent until the next row
    pub fn next(&mut self) -> Result<Option<Translated<'_>>, InputFault> {
        let (line, wrong) = match self.reader.next(self.header.len())? {
            Read::End => {
                // Whoever asks again after the end is given nothing a second time.
                self.made = Made::default();
                return Ok(None);
            }
            Read::Row { line } => (line, None),
            Read::Wrong { line, wrong } => (line, Some(wrong)),
        };
        (self.line, self.is_read) = (line, wrong.is_none());
        self.made = Made::default();
        self.account.rows += 1;
        let ended = match wrong {
            Some(wrong) => Err(Unmade::Rule((None, wrong))),
            None => self.map.make(&self.view()),
        };
        match ended {
            Ok(Some(made)) => Ok(Some(self.take(made))),
            Ok(None) => {
                self.account.skipped += 1;
                Ok(Some(Translated::Skipped { line }))
            }
            Err(refused) => {
                let refused = self.map.refused(refused, &self.view());
                self.account.refuse(refused.clone());
                Ok(Some(Translated::Refused(refused)))
            }
        }
    }

    /// The events of the last row, and the line on which it begins.
    pub fn events(&self) -> (u64, &[Vec<u8>]) {
        (self.line, &self.made.events)
    }

    /// What has become of the rows so far.
    pub fn account(&self) -> RowAccount {
        let mut account = self.account.clone();
        account.repeats.all_looked_at = !self.ids.is_full();
        account
    }

    /// The last row as the file has it: the columns that the map names, by their names. Values that the map hashes are not shown, and
    /// nothing is of a row that can't be read: which of its values is which nobody knows.
    pub fn theirs(&self) -> Vec<(&str, String)> {
        if !self.is_read {
            return Vec::new();
        }
        let row = self.view();
        let shown = |at: usize, name: &'_ String| match row.cell(PathId(at)) {
            _ if self.map.is_hashed(PathId(at)) => format!("(hashed: {} is not shown)", name),
            Cell::Nothing => String::new(),
            Cell::Text(text) => shown_value(&text),
            Cell::Fraction(text) => shown_value(&text),
            Cell::Nested => "(an array or an object)".to_owned(),
        };
        let paths = self.map.paths().iter().enumerate();
        paths.map(|(at, name)| (name.as_str(), shown(at, name))).collect()
    }

    fn view(&self) -> RowView<'_> {
        RowView {
            data: self.reader.data(),
            places: &self.places,
            empty: &self.map.input().empty,
            line: self.line,
        }
    }

    fn take(&mut self, made: Made) -> Translated<'_> {
        let account = &mut self.account;
        account.transactions += u64::from(made.transaction.is_some());
        account.labels += u64::from(made.has_label);
        account.profiles += u64::from(made.has_profile);
        if made.events.is_empty() {
            account.silent += 1;
        } else {
            account.translated += 1;
        }
        if let Some(named) = &made.transaction {
            account.out_of_order += u64::from(named.occurred_at_ms < self.newest_ms);
            self.newest_ms = self.newest_ms.max(named.occurred_at_ms);
        }
        let repeat = made
            .transaction
            .as_ref()
            .and_then(|named| self.ids.take(named, self.line));
        if let Some(repeat) = repeat {
            account.repeat(repeat);
        }
        self.made = made;
        Translated::Events {
            line: self.line,
            events: &self.made.events,
        }
    }
}

/// Where each path of a map stands in a table.
fn columns(paths: &[String], header: &[String]) -> Result<Vec<ValuePlace>, InputFault> {
    let found = paths.iter().map(|path| {
        let mut places = header.iter().enumerate().filter(|(_, name)| *name == path);
        match (places.next(), places.next()) {
            (Some((column, _)), None) => Ok(ValuePlace::Column(column)),
            (Some((first, _)), Some((second, _))) => Err(InputFault::Header {
                line: 1,
                why: format!("two columns are called {path:?}: {} and {}", first + 1, second + 1),
                advice: "Give the columns names of their own, in the file or by `columns` under [input].".to_owned(),
            }),
            (None, _) => Err(InputFault::Header {
                line: 1,
                why: format!("no column is called {path:?}"),
                advice: format!(
                    "The file has {}. Mend `from` in the map; look at delimiter and header, too.",
                    named(header)
                ),
            }),
        }
    });
    found.collect()
}

/// Columns for a message: not more than a person reads, and no card numbers.
fn named(header: &[String]) -> String {
    const NAMED_MAX: usize = 30;
    let names: Vec<String> = header
        .iter()
        .take(NAMED_MAX)
        .map(|name| format!("{:?}", shown_value(name)))
        .collect();
    let more = header.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}
