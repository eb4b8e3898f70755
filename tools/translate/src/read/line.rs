//! Lines, none of them held beyond a limit.

use std::io::{self, BufRead};

use memchr::memchr;

/// Reads lines into one buffer.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    line: Vec<u8>,
    bytes_max: usize,
    number: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Lines of at most so many bytes, the end not counted.
    pub const fn new(input: R, bytes_max: usize) -> Self {
        Self {
            input,
            line: Vec::new(),
            bytes_max,
            number: 0,
        }
    }

    /// Reads a line without its `\n` or `\r\n`, and gives its length, which may be over the limit: then only its beginning is held.
    /// `None` at the end.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        let mut length = 0_u64;
        let mut ended = false;
        while !ended {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let (taken, used) = match memchr(b'\n', chunk) {
                Some(end) => {
                    ended = true;
                    (end, end + 1)
                }
                None => (chunk.len(), chunk.len()),
            };
            length += taken as u64;
            // One byte of room for the `\r` that may be the line's end.
            let room = (self.bytes_max + 1).saturating_sub(self.line.len());
            self.line
                .extend_from_slice(chunk.get(..taken.min(room)).unwrap_or_default());
            self.input.consume(used);
        }
        if !ended && length == 0 {
            return Ok(None);
        }
        self.number += 1;
        if length == self.line.len() as u64 && self.line.last() == Some(&b'\r') {
            self.line.pop();
            length -= 1;
        }
        Ok(Some(length))
    }

    /// The line that was read.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Its number, from 1; every line is counted, as editors do.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whose lines they are: for a look at the beginning.
    pub const fn input(&mut self) -> &mut R {
        &mut self.input
    }
}
