//! What happened, as a hash, and as lines where somebody wants to read them.

use std::fmt::Write as _;

use xxhash_rust::xxh3::Xxh3;

use super::START_MS;

pub(super) struct Trace {
    pub(super) hash: Xxh3,
    keep: bool,
    pub(super) lines: Vec<String>,
    /// One line's text, kept for the next: most runs keep none.
    line: String,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace")
            .field("lines", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl Trace {
    pub(super) fn new(keep: bool) -> Self {
        Self {
            hash: Xxh3::new(),
            keep,
            lines: Vec::new(),
            line: String::new(),
        }
    }

    pub(super) fn add(&mut self, now_ms: i64, line: std::fmt::Arguments<'_>) {
        self.line.clear();
        // Writing into a text can't fail.
        let _ = self.line.write_fmt(line);
        self.hash.update(&now_ms.to_le_bytes());
        self.hash.update(self.line.as_bytes());
        if self.keep {
            self.lines.push(format!("{:>10} {}", now_ms - START_MS, self.line));
        }
    }
}
