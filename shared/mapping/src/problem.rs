//! What is wrong with a map, each with its place in the text.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct MapProblem {
    /// The file, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Problems of a text, by their place.
pub(crate) struct Problems<'t> {
    file: &'t str,
    text: &'t str,
    document: Option<Spanned<DeTable<'t>>>,
    found: Vec<(usize, String)>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            document: DeTable::parse(text).ok(),
            found: Vec::new(),
        }
    }

    /// A problem at a byte of the text.
    pub(crate) fn at(&mut self, offset: usize, message: impl Into<String>) {
        self.found.push((offset, message.into()));
    }

    /// A problem of what stands under a path of keys (`transaction`, `card_id`, `hash`), or of what holds it.
    pub(crate) fn of(&mut self, path: &[&str], message: impl Into<String>) {
        let offset = self.offset(path);
        self.at(offset, message);
    }

    fn offset(&self, path: &[&str]) -> usize {
        let mut found = 0;
        let Some(document) = &self.document else { return found };
        let mut table = Some(document.get_ref());
        let mut list: Option<&[Spanned<DeValue<'_>>]> = None;
        for key in path {
            let value = match (table, list) {
                (Some(table), _) => table.get(*key),
                (None, Some(list)) => key.parse().ok().and_then(|at: usize| list.get(at)),
                (None, None) => None,
            };
            let Some(value) = value else { break };
            found = value.span().start;
            (table, list) = match value.get_ref() {
                DeValue::Table(table) => (Some(table), None),
                DeValue::Array(list) => (None, Some(&list[..])),
                _ => (None, None),
            };
        }
        found
    }

    /// In the order of the text; `None`: there is none.
    pub(crate) fn into_list(mut self) -> Option<Vec<MapProblem>> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort();
        let (file, text) = (self.file, self.text);
        let problem = |(offset, message)| {
            let (line, column) = line_column(text, offset);
            MapProblem {
                file: file.to_owned(),
                line,
                column,
                message,
            }
        };
        Some(self.found.into_iter().map(problem).collect())
    }
}

/// Line and column of a byte, both from 1, columns in characters.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}
