//! Lines of a file, none of them held beyond a limit.

use std::io::{self, BufRead};

/// A line without its end.
pub(super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It was over the limit: only its length is known.
    TooLong {
        /// Its length in bytes.
        bytes: u64,
    },
}

/// Reads lines into one buffer.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    bytes_max: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self {
            input,
            line: Vec::new(),
            bytes_max,
        }
    }

    /// The next line, without `\n` or `\r\n`; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0_u64;
        let mut ended = false;
        while !ended {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let (taken, used) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    ended = true;
                    (end, end + 1)
                }
                None => (chunk.len(), chunk.len()),
            };
            length += taken as u64;
            // One byte of room for the `\r` that may be the line's end.
            let room = (self.bytes_max + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&chunk[..taken.min(room)]);
            self.input.consume(used);
        }
        if !ended && length == 0 {
            return Ok(None);
        }
        if length == self.line.len() as u64 && self.line.last() == Some(&b'\r') {
            self.line.pop();
            length -= 1;
        }
        if length > self.bytes_max as u64 {
            return Ok(Some(Line::TooLong { bytes: length }));
        }
        Ok(Some(Line::Whole(&self.line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], bytes_max: usize) -> Vec<Result<Vec<u8>, u64>> {
        // A buffer of three bytes cuts lines in every place.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, text), bytes_max);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(match line {
                Line::Whole(bytes) => Ok(bytes.to_vec()),
                Line::TooLong { bytes } => Err(bytes),
            });
        }
        all
    }

    #[test]
    fn lines_end_with_or_without_carriage_return_and_at_the_end_of_the_file() {
        let expected = vec![
            Ok(b"one".to_vec()),
            Ok(b"".to_vec()),
            Ok(b"three".to_vec()),
            Ok(b"end".to_vec()),
        ];
        assert_eq!(read(b"one\r\n\nthree\nend", 100), expected);
        assert_eq!(read(b"", 100), vec![]);
        assert_eq!(read(b"\n", 100), vec![Ok(b"".to_vec())]);
    }

    #[test]
    fn a_line_over_the_limit_is_measured_and_the_next_one_is_whole() {
        assert_eq!(
            read(b"12345678\nab\n1234\r\n", 4),
            vec![Err(8), Ok(b"ab".to_vec()), Ok(b"1234".to_vec())]
        );
    }
}
