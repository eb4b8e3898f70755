//! The file as text, before anything is known of what it says.

use serde::de::DeserializeOwned;

use crate::trees::error::ImportError;

use super::bounded::excerpt;

/// What XGBoost writes for numbers that are not finite, and JSON does not have. (`-Infinity` has a sign before it.)
const WORDS: [&[u8]; 2] = [b"NaN", b"Infinity"];

/// UBJSON begins with an object, too; its first key has a length before it, whose type is one of these letters.
pub(super) const fn is_ubjson(bytes: &[u8]) -> bool {
    matches!(bytes, [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..])
}

/// What the file says, as far as `T` keeps it.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if is_at_word(json, line, column) {
            return ImportError::NotFinite { line, column };
        }
        let message = error.to_string();
        let problem = excerpt(
            message
                .rsplit_once(" at line ")
                .map_or(&message, |(problem, _)| problem),
        );
        ImportError::Json { line, column, problem }
    })
}

/// Whether one of the words stands where reading ended, which may be at its sign.
fn is_at_word(json: &[u8], line: usize, column: usize) -> bool {
    let text = json.split(|byte| *byte == b'\n').nth(line.saturating_sub(1));
    let rest = text.and_then(|text| text.get(column.saturating_sub(1)..));
    rest.is_some_and(|rest| word_at(rest.strip_prefix(b"-").unwrap_or(rest)).is_some())
}

/// The word that the text begins with.
fn word_at(text: &[u8]) -> Option<&'static [u8]> {
    WORDS.into_iter().find(|word| text.starts_with(word))
}

/// The same text with a 0 and spaces for each of the words, but for those in strings.
pub(super) fn without_words(json: &[u8]) -> Vec<u8> {
    let mut text = json.to_vec();
    let (mut at, mut in_string) = (0, false);
    while at < text.len() {
        match text[at] {
            // The letter after it stands for itself, a quotation mark too.
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' if !in_string => {
                if let Some(word) = word_at(&text[at..]) {
                    text[at..at + word.len()].fill(b' ');
                    text[at] = b'0';
                }
            }
            _ => {}
        }
        at += 1;
    }
    text
}
