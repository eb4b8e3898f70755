//! Lines that are held together: enough of a file that a card has several events in it, so that one write of its state
//! serves them all.

use std::io::BufRead;
use std::ops::Range;

use crate::glance::Glances;
use crate::lines::{Line, Lines, LinesError, Unread};

/// Lines that are held at once.
pub const CHUNK_LINES_MAX: usize = 128 * 1024;
/// Bytes of lines that are held at once; the line that goes beyond is still taken.
pub const CHUNK_BYTES_MAX: usize = 32 << 20;

/// A line of a chunk.
pub struct LineOfChunk {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Where its text is, or why it has none.
    text: Result<Range<usize>, Unread>,
    /// A fingerprint of its card.
    pub card: u64,
}

/// A part of a file.
#[derive(Default)]
pub struct LineChunk {
    glances: Glances,
    text: Vec<u8>,
    /// Its lines, in the order of the file.
    pub lines: Vec<LineOfChunk>,
}

impl LineChunk {
    /// Takes a line.
    pub fn push(&mut self, number: u64, line: Line<'_>) {
        let (text, card) = match line {
            Ok(payload) => {
                let start = self.text.len();
                self.text.extend_from_slice(payload);
                (Ok(start..self.text.len()), self.glances.card(payload))
            }
            Err(unread) => (Err(unread), 0),
        };
        self.lines.push(LineOfChunk { number, text, card });
    }

    /// Takes the lines that follow in a file, until it is full or the file ends.
    ///
    /// # Errors
    /// When the file can't be read; the lines before are taken.
    pub fn fill<R: BufRead>(&mut self, lines: &mut Lines<R>) -> Result<(), LinesError> {
        while !self.is_full()
            && let Some((number, line)) = lines.next()?
        {
            self.push(number, line);
        }
        Ok(())
    }

    /// Whether no further line is to be taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lines.len() >= CHUNK_LINES_MAX || self.text.len() >= CHUNK_BYTES_MAX
    }

    /// The text of a line, or why it has none.
    ///
    /// # Errors
    /// When the line could not be held, or is no event.
    pub fn text(&self, line: usize) -> Result<&[u8], &Unread> {
        self.lines[line].text.as_ref().map(|range| &self.text[range.clone()])
    }

    /// Forgets all lines.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
    }
}
