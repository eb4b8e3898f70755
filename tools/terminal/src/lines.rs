//! Lines of a file of events, none of them held beyond a limit.
//!
//! A byte order mark is no part of the first line, and lines of white space are skipped; numbers count every line, as editors
//! do. A file that is no JSON lines at all is known by its beginning, and said to be what it looks like.

use std::io::{self, BufRead};
use std::sync::{Arc, Mutex, PoisonError};

use tidemark_domain::refusal::RefusalCode;
use translate::{InputFault, LineReader, RowAccount, Translated, Translator, is_utf16, pass_mark};

use crate::error::CliError;

/// Bytes of a file's beginning that tell its encoding.
const START_BYTES: usize = 64;
/// Characters of a first line that are shown.
const SHOWN_CHARS: usize = 60;
/// From so many commas (or semicolons, or tabs) on a first line that is no JSON looks like a table's head.
const SEPARATORS_MIN: usize = 2;

/// A line without its end, or why there is no text of it.
pub type Line<'a> = Result<&'a [u8], Unread>;

/// Why there is no text of a line: it is longer than what is held of any, or its map makes no event of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The map's code, or the contract's.
    pub code: &'static str,
    /// What is wrong: a length, or the column and what it has; no value.
    pub why: String,
}

impl Unread {
    /// A line of so many bytes.
    fn too_long(bytes: u64, bytes_max: usize) -> Self {
        Self {
            code: RefusalCode::TooLarge.as_str(),
            why: format!("{bytes} bytes, at most {bytes_max} are taken"),
        }
    }
}

/// Why lines can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// Reading failed.
    #[error("can't read the events")]
    Read(#[from] io::Error),
    /// It is no file of JSON lines.
    #[error("{looks}")]
    Foreign {
        /// What it looks like.
        looks: String,
        /// How to make JSON lines of it.
        advice: &'static str,
    },
    /// It is no file that its map is of, or breaks off.
    #[error(transparent)]
    Rows(#[from] InputFault),
}

impl LinesError {
    /// For a person; `so_far` is what was done before, after a semicolon.
    #[must_use]
    pub fn into_cli(self, so_far: &str) -> CliError {
        match self {
            Self::Read(e) => CliError::input("input_read", format!("{e}{so_far}"), "Check the file."),
            Self::Foreign { looks, advice } => CliError::input("not_json_lines", looks, advice),
            Self::Rows(fault) => {
                let cause = match std::error::Error::source(&fault) {
                    Some(cause) => format!(": {cause}"),
                    None => String::new(),
                };
                CliError::input("map_input", format!("{fault}{cause}{so_far}"), fault.advice())
            }
        }
    }
}

/// Reads lines into one buffer; or rows, and gives the events that their map makes of them.
pub struct Lines<R> {
    source: Source<R>,
    bytes_max: usize,
    seen_event: bool,
}

enum Source<R> {
    Lines(LineReader<R>),
    Rows(Box<Rows<R>>),
}

/// Rows under their map.
struct Rows<R> {
    translator: Translator<R>,
    /// Events of the last row that were given.
    given: usize,
    account: AccountOfRows,
}

/// Where the account of a file's rows is put when all of them are read.
pub type AccountOfRows = Arc<Mutex<Option<RowAccount>>>;

impl<R: BufRead> Lines<R> {
    /// Lines of at most so many bytes, the end not counted.
    pub fn new(input: R, bytes_max: usize) -> Self {
        Self {
            source: Source::Lines(LineReader::new(input, bytes_max)),
            bytes_max,
            seen_event: false,
        }
    }

    /// Lines of a table: its first one is no JSON, and nothing is wrong with that.
    pub fn of_table(input: R, bytes_max: usize) -> Self {
        Self {
            seen_event: true,
            ..Self::new(input, bytes_max)
        }
    }

    /// The events of rows, each with the number of the line that its row begins on.
    pub fn of_rows(translator: Translator<R>, bytes_max: usize, account: AccountOfRows) -> Self {
        let rows = Rows {
            translator,
            given: 0,
            account,
        };
        Self {
            source: Source::Rows(Box::new(rows)),
            bytes_max,
            seen_event: true,
        }
    }

    /// The next line that is not blank, without `\n` or `\r\n`, and its number from 1 on; `None` at the end.
    ///
    /// # Errors
    /// When reading fails, or the first line shows that these are no JSON lines.
    #[allow(clippy::should_implement_trait)] // a line is lent until the next one
    pub fn next(&mut self) -> Result<Option<(u64, Line<'_>)>, LinesError> {
        match &mut self.source {
            Source::Rows(rows) => rows.next(self.bytes_max),
            Source::Lines(lines) => next_line(lines, self.bytes_max, &mut self.seen_event),
        }
    }
}

fn next_line<'l, R: BufRead>(
    lines: &'l mut LineReader<R>,
    bytes_max: usize,
    seen_event: &mut bool,
) -> Result<Option<(u64, Line<'l>)>, LinesError> {
    loop {
        if lines.number() == 0 {
            begin(lines.input())?;
        }
        let Some(length) = lines.read()? else { return Ok(None) };
        if length > bytes_max as u64 {
            *seen_event = true;
            return Ok(Some((lines.number(), Err(Unread::too_long(length, bytes_max)))));
        }
        if lines.line().iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if !*seen_event {
            *seen_event = true;
            if let Some(foreign) = foreign(lines.line()) {
                return Err(foreign);
            }
        }
        return Ok(Some((lines.number(), Ok(lines.line()))));
    }
}

impl<R: BufRead> Rows<R> {
    fn next(&mut self, bytes_max: usize) -> Result<Option<(u64, Line<'_>)>, LinesError> {
        while self.given >= self.translator.events().1.len() {
            self.given = 0;
            match self.translator.next()? {
                None => {
                    let account = self.translator.account();
                    *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
                    return Ok(None);
                }
                Some(Translated::Refused(refused)) => {
                    let (code, why) = (refused.code, refused.place_and_reason());
                    return Ok(Some((refused.line, Err(Unread { code, why }))));
                }
                Some(Translated::Events { .. } | Translated::Skipped { .. }) => {}
            }
        }
        let (line, events) = self.translator.events();
        let event = events.get(self.given).map(Vec::as_slice).unwrap_or_default();
        self.given += 1;
        Ok(Some(match event.len() {
            bytes if bytes > bytes_max => (line, Err(Unread::too_long(bytes as u64, bytes_max))),
            _ => (line, Ok(event)),
        }))
    }
}

/// Looks at the file's beginning: leaves a mark of UTF-8 out, and knows other encodings.
fn begin(input: &mut impl BufRead) -> Result<(), LinesError> {
    let start = input.fill_buf()?;
    if let Some(foreign) = encoding(start.get(..START_BYTES).unwrap_or(start)) {
        return Err(foreign);
    }
    pass_mark(input)?;
    Ok(())
}

/// An encoding or a packing that is not UTF-8, by a file's first bytes.
fn encoding(start: &[u8]) -> Option<LinesError> {
    let (name, advice) = if start.starts_with(b"\x1f\x8b") {
        ("gzip", "Unpack it on the way: gzip -dc FILE | tidemark … -i -")
    } else if start.starts_with(b"\x28\xb5\x2f\xfd") {
        ("zstd", "Unpack it on the way: zstd -dc FILE | tidemark … -i -")
    } else if is_utf16(start) {
        ("UTF-16", "Make UTF-8 of it: iconv -f UTF-16 -t UTF-8 FILE")
    } else {
        return None;
    };
    Some(LinesError::Foreign {
        looks: format!("looks like {name}; events are lines of UTF-8"),
        advice,
    })
}

/// What a first line that begins no JSON line looks like.
fn foreign(line: &[u8]) -> Option<LinesError> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let foreign = |looks: String, advice| Some(LinesError::Foreign { looks, advice });
    if text == "[" || text.starts_with("[{") {
        return foreign(
            "looks like one JSON array; events are JSON objects, one a line".to_owned(),
            "Take it apart: jq -c '.[]' FILE",
        );
    }
    if text == "{" {
        return foreign(
            "looks like JSON over several lines; events are JSON objects, one a line".to_owned(),
            "Put each event on a line: jq -c . FILE",
        );
    }
    let separators = [',', ';', '\t'].map(|separator| text.matches(separator).count());
    let is_table = !text.contains(['{', '[']) && separators.into_iter().any(|count| count >= SEPARATORS_MIN);
    if !is_table {
        return None;
    }
    let head: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if text.chars().count() > SHOWN_CHARS { "…" } else { "" };
    // What a table's first line holds may be data (I9), and is shown only where it has no digit.
    let shown = if text.chars().any(|c| c.is_ascii_digit()) {
        "its first line has columns".to_owned()
    } else {
        format!("{head}{more}")
    };
    foreign(
        format!("looks like CSV: {shown}"),
        "Events are JSON objects, one a line, with the fields of docs/reference/contract.md. A map says how a table's columns become those: tidemark map suggest FILE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], bytes_max: usize) -> Vec<(u64, Result<Vec<u8>, Unread>)> {
        // A buffer of three bytes cuts lines in every place.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, text), bytes_max);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            all.push((number, line.map(<[u8]>::to_vec)));
        }
        all
    }

    fn refused(text: &[u8]) -> String {
        let mut lines = Lines::new(text, 1_000);
        lines.next().unwrap_err().to_string()
    }

    #[test]
    fn lines_end_with_or_without_carriage_return_and_at_the_end_of_the_file() {
        let expected = vec![
            (1, Ok(b"one".to_vec())),
            (4, Ok(b"four".to_vec())),
            (5, Ok(b"end".to_vec())),
        ];
        assert_eq!(read(b"one\r\n\n \t\r\nfour\nend", 100), expected);
        assert_eq!(read(b"", 100), vec![]);
        assert_eq!(read(b"\n", 100), vec![]);
    }

    #[test]
    fn a_line_over_the_limit_is_measured_and_the_next_one_is_whole() {
        assert_eq!(
            read(b"12345678\nab\n1234\r\n", 4),
            vec![
                (1, Err(Unread::too_long(8, 4))),
                (2, Ok(b"ab".to_vec())),
                (3, Ok(b"1234".to_vec()))
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(
            read(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n{}\r\n", 100),
            vec![(1, Ok(b"{\"a\":1}".to_vec())), (3, Ok(b"{}".to_vec()))]
        );
        assert_eq!(read(b"\xef\xbb\xbf", 100), vec![]);
        // Only at the beginning.
        assert_eq!(read(b"{}\n\xef\xbb\xbf{}", 100)[1].1, Ok(b"\xef\xbb\xbf{}".to_vec()));
    }

    #[test]
    fn what_is_no_json_lines_is_called_by_its_name() {
        assert_eq!(
            refused(b"\nevent_id,card_id,amount\ne1,c1,5\n"),
            "looks like CSV: event_id,card_id,amount"
        );
        assert!(refused(b"event_id;card_id;amount\n").starts_with("looks like CSV: "));
        assert!(refused("betrag\tkarte\tzeit\u{e4}\n".as_bytes()).starts_with("looks like CSV: "));
        assert!(
            !refused(b"4111111111111111,5,6\n").contains("4111"),
            "data is not shown"
        );
        assert!(refused(b"[\n{}\n]").contains("one JSON array"));
        assert!(refused(b"[{\"a\":1},\n").contains("one JSON array"));
        assert!(refused(b"{\n  \"a\": 1\n}\n").contains("several lines"));
        assert!(refused(b"\xff\xfe{\0}\0\n\0").contains("UTF-16"));
        assert!(refused(b"\xfe\xff\0{\0}\0\n").contains("UTF-16"));
        assert!(refused(b"{\0\"\0a\0").contains("UTF-16"));
        assert!(refused(b"\x1f\x8b\x08\0").contains("gzip"));
    }

    #[test]
    fn a_broken_first_line_of_json_lines_is_a_line_like_any_other() {
        for first in [
            "{'schema':'transaction'}",
            "[1,2,3]",
            "\"transaction\"",
            "{\"a\":1,\"b\":2,",
            "x",
            "a, b",
        ] {
            assert_eq!(read(format!("{first}\n{{}}").as_bytes(), 100).len(), 2, "{first}");
        }
    }
}
