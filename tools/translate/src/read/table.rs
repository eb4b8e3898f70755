//! Rows of a table: the csv crate's own parser, with the memory in our hands.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader as Core, ReaderBuilder};
use memchr::memchr_iter;

use crate::limits::{COLUMNS_MAX, ROW_BYTES_MAX};

use super::InputFault;

/// Room for a row and for its columns to begin with.
const ROW_BYTES: usize = 4 << 10;
const COLUMNS: usize = 64;
/// One more than a row may have, so that a row of just as many is told from one of more.
const ENDS_MAX: usize = COLUMNS_MAX + 1;

/// Reads rows into one buffer.
pub(crate) struct TableReader<R> {
    input: R,
    core: Core,
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<usize>,
    columns: usize,
    /// Ends of lines that were passed.
    newlines: u64,
    lines_of_row: u64,
}

/// What was read; lines count from 1.
pub(super) enum TableRow {
    Row { line: u64 },
    TooLong { line: u64 },
    TooManyColumns { line: u64 },
    End,
}

impl<R: BufRead> TableReader<R> {
    pub(super) fn new(input: R, delimiter: u8, quote: u8) -> Self {
        Self {
            input,
            core: ReaderBuilder::new().delimiter(delimiter).quote(quote).build(),
            text: vec![0; ROW_BYTES],
            text_length: 0,
            ends: vec![0; COLUMNS],
            columns: 0,
            newlines: 0,
            lines_of_row: 0,
        }
    }

    /// Reads a row. One that is over a limit is passed over to its end, and not held.
    pub(super) fn next(&mut self) -> Result<TableRow, InputFault> {
        self.pass_ends_of_lines()?;
        let before = self.newlines;
        let line = before + 1;
        (self.text_length, self.columns) = (0, 0);
        let (mut too_long, mut too_many) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(source) => return Err(InputFault::Broken { line: before, source }),
            };
            let room = self.text.get_mut(self.text_length..).unwrap_or_default();
            let room_of_ends = self.ends.get_mut(self.columns..).unwrap_or_default();
            let (result, read, written, ended) = self.core.read_record(chunk, room, room_of_ends);
            let passed = chunk.get(..read).unwrap_or_default();
            self.newlines += memchr_iter(b'\n', passed).count() as u64;
            self.input.consume(read);
            self.text_length += written;
            self.columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    if !too_many && self.text.len() < ROW_BYTES_MAX {
                        self.text.resize((2 * self.text.len()).min(ROW_BYTES_MAX), 0);
                    } else {
                        too_long |= !too_many;
                        self.text_length = 0;
                    }
                }
                ReadRecordResult::OutputEndsFull => {
                    if !too_long && self.ends.len() < ENDS_MAX {
                        self.ends.resize((2 * self.ends.len()).min(ENDS_MAX), 0);
                    } else {
                        too_many |= !too_long;
                        self.columns = 0;
                    }
                }
                ReadRecordResult::Record => {
                    self.lines_of_row = (self.newlines - before).max(1);
                    too_many |= self.columns > COLUMNS_MAX;
                    return Ok(match (too_long, too_many) {
                        (true, _) => TableRow::TooLong { line },
                        (_, true) => TableRow::TooManyColumns { line },
                        (false, false) => TableRow::Row { line },
                    });
                }
                ReadRecordResult::End => return Ok(TableRow::End),
            }
        }
    }

    /// Ends of lines before a row are no part of it: its number is that of the line on which it begins.
    fn pass_ends_of_lines(&mut self) -> Result<(), InputFault> {
        loop {
            let line = self.newlines;
            let chunk = self
                .input
                .fill_buf()
                .map_err(|source| InputFault::Broken { line, source })?;
            let ends = chunk.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if ends == 0 {
                return Ok(());
            }
            let newlines = memchr_iter(b'\n', chunk.get(..ends).unwrap_or_default()).count();
            self.newlines += newlines as u64;
            self.input.consume(ends);
        }
    }

    /// The values of the row that was read, one behind the other.
    pub(super) fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self.text.get(..self.text_length).unwrap_or_default())
    }

    /// Where each value ends in [`TableReader::text`].
    pub(super) fn ends(&self) -> &[usize] {
        self.ends.get(..self.columns).unwrap_or_default()
    }

    /// The values, where the row is UTF-8.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        let text = self.text().unwrap_or_default();
        let mut start = 0;
        self.ends().iter().map(move |end| {
            let value = text.get(start..*end).unwrap_or_default();
            start = *end;
            value
        })
    }

    /// Lines of the file that the row stands on.
    pub(super) const fn lines_of_row(&self) -> u64 {
        self.lines_of_row
    }
}
