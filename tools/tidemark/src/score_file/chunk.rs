//! Lines that are held together: enough of a file that a card has several events in it, so that one write of its state
//! serves them all.

use std::ops::Range;

use terminal::lines::Line;

use super::glance::Glances;

/// Lines that are held at once.
pub(crate) const CHUNK_LINES_MAX: usize = 128 * 1024;
/// Bytes of lines that are held at once; the line that goes beyond is still taken.
pub(crate) const CHUNK_BYTES_MAX: usize = 32 << 20;

/// A line of a chunk.
pub(crate) struct ChunkLine {
    /// Its number in the file, from 1.
    pub(crate) number: u64,
    /// Where its text is, or why it has none.
    text: Result<Range<usize>, Unread>,
    /// A fingerprint of its card.
    pub(crate) card: u64,
}

/// Why a line has no text.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    /// It was too long to be held: its length in bytes.
    TooLong(u64),
    /// Its map makes no event of it.
    Refused { code: &'static str, why: String },
}

/// A part of a file.
#[derive(Default)]
pub(crate) struct Chunk {
    glances: Glances,
    text: Vec<u8>,
    pub(crate) lines: Vec<ChunkLine>,
}

impl Chunk {
    /// Takes a line.
    pub(crate) fn push(&mut self, number: u64, line: Line<'_>) {
        let (text, card) = match line {
            Line::Whole(payload) => {
                let start = self.text.len();
                self.text.extend_from_slice(payload);
                (Ok(start..self.text.len()), self.glances.card(payload))
            }
            Line::TooLong { bytes } => (Err(Unread::TooLong(bytes)), 0),
            Line::Refused { code, why } => {
                let why = why.to_owned();
                (Err(Unread::Refused { code, why }), 0)
            }
        };
        self.lines.push(ChunkLine { number, text, card });
    }

    /// Whether no further line is to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.lines.len() >= CHUNK_LINES_MAX || self.text.len() >= CHUNK_BYTES_MAX
    }

    /// The text of a line, or why it has none.
    pub(crate) fn text(&self, line: usize) -> Result<&[u8], &Unread> {
        self.lines[line].text.as_ref().map(|range| &self.text[range.clone()])
    }

    /// Forgets all lines.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
    }
}
