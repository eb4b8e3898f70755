//! A file's beginning: what it looks like, if it is not what the map says.

use std::io::{self, BufRead};

use tidemark_mapping::Format;

use super::InputFault;

/// Bytes of a beginning that are looked at.
const START_BYTES: usize = 64;

/// Passes over a mark of UTF-8, and knows files of other kinds.
pub(super) fn begin(input: &mut impl BufRead, format: Format) -> Result<(), InputFault> {
    let broken = |source| InputFault::Broken { line: 0, source };
    let start = input.fill_buf().map_err(broken)?;
    if let Some((looks, advice)) = looks(start) {
        return Err(foreign(looks, advice));
    }
    pass_mark(input).map_err(broken)?;
    let start = input.fill_buf().map_err(broken)?.trim_ascii_start();
    if format == Format::JsonLines && start.starts_with(b"[") {
        return Err(foreign(
            "the file looks like one JSON array; the map says that each line is an object",
            "Take it apart: jq -c '.[]' FILE | tidemark map apply MAP -",
        ));
    }
    if format == Format::Csv && start.starts_with(b"{\"") {
        return Err(foreign(
            "the rows are objects, those of JSON lines or of a Parquet file; the map says that the file is a table",
            "State format = \"json_lines\" under [input], or \"parquet\".",
        ));
    }
    if format == Format::Parquet && !start.is_empty() && !start.starts_with(b"{") {
        return Err(foreign(
            "the file is no Parquet file; the map says that it is one",
            "State what it is: format = \"csv\" under [input], or \"json_lines\".",
        ));
    }
    Ok(())
}

/// Passes over a mark of UTF-8. It may come in pieces; nothing else begins with its first byte and is UTF-8 that a row or a line of JSON
/// would begin with.
///
/// # Errors
/// When reading fails.
pub fn pass_mark(input: &mut impl BufRead) -> io::Result<()> {
    for byte in b"\xef\xbb\xbf" {
        if input.fill_buf()?.first() != Some(byte) {
            break;
        }
        input.consume(1);
    }
    Ok(())
}

fn foreign(looks: &str, advice: &str) -> InputFault {
    InputFault::Foreign {
        looks: looks.to_owned(),
        advice: advice.to_owned(),
    }
}

/// What a file's first bytes say that it is, if rows can't be read of that.
pub(crate) fn looks(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let start = start.get(..START_BYTES).unwrap_or(start);
    if start.starts_with(b"PAR1") {
        return Some((
            "the file is Parquet, which is read by its name only, and by a command that was built for it",
            "Name the file, if it came by a pipe, and build with --features parquet; or write it as CSV: duckdb -c \"copy 'FILE' to 'rows.csv'\"",
        ));
    }
    if start.starts_with(b"PK\x03\x04") {
        return Some((
            "the file is a zip archive, or a workbook of Excel",
            "Unpack it, or save the sheet as CSV (UTF-8).",
        ));
    }
    if is_utf16(start) {
        return Some(("the file is UTF-16", "Make UTF-8 of it: iconv -f UTF-16 -t UTF-8 FILE"));
    }
    None
}

/// Whether a file is UTF-16: by its mark, or by a zero in one half of its first characters, which neither a table nor JSON has.
#[must_use]
pub fn is_utf16(start: &[u8]) -> bool {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return true;
    }
    let half = |which: usize, zero: bool| start.iter().skip(which).step_by(2).all(|byte| (*byte == 0) == zero);
    start.len() >= 4 && ((half(0, true) && half(1, false)) || (half(0, false) && half(1, true)))
}
