//! Text of others on a terminal: the one place that makes it harmless.
//!
//! An id, a reason or a message may hold anything: a newline and a tick, a colour, a mark that turns the line around, one that is
//! not seen. [`shown`] is for each value that others wrote; [`printable`] is for everything that is printed, so that a value
//! which was forgotten still can't command the terminal. Both write `\u001b` for what they don't let through, as JSON does.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character moves, hides or turns text instead of being seen: controls (C0, DEL, C1), line separators,
/// bidirectional marks, and characters without a width.
#[must_use]
pub const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, joiners and fillers.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Bidirectional marks, zero-width characters, separators of lines and paragraphs.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        // Variation selectors, annotations, tags.
        | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A value that others wrote, on one line.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut safe, c);
    }
    Cow::Owned(safe)
}

/// A whole output: its lines, tabs and our own colours stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_foreign = |c: char| is_unseen(c) && c != '\n' && c != '\t';
    if !text.contains(is_foreign) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if c == '\u{1b}' { style_length(rest) } else { None };
        match length {
            Some(length) => safe.push_str(&rest[..length]),
            None if is_foreign(c) => push(&mut safe, c),
            None => safe.push(c),
        }
        rest = &rest[length.unwrap_or(c.len_utf8())..];
    }
    Cow::Owned(safe)
}

/// Bytes of a style (`ESC [ digits and semicolons m`) at the beginning of a text.
fn style_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

fn push(safe: &mut String, c: char) {
    if !is_unseen(c) {
        safe.push(c);
        return;
    }
    match c {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line_and_commands_nothing() {
        let evil = "x\n\u{1b}[32m✓ I1 and I3 hold\u{1b}[0m\r\u{9b}2J\u{202e}abc\u{200b}\u{7f}";
        assert_eq!(
            shown(evil),
            "x\\n\\u001b[32m✓ I1 and I3 hold\\u001b[0m\\r\\u009b2J\\u202eabc\\u200b\\u007f"
        );
        assert_eq!(shown("\u{e0041}"), "\\udb40\\udc41");
        assert!(matches!(shown("Zürich 東京 card-1"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_output_keeps_its_lines_and_our_styles() {
        let ours = "\u{1b}[1mtitle\u{1b}[0m\n\tline\n";
        assert_eq!(printable(ours), ours);
        assert_eq!(
            printable("a\u{1b}[2Jb\u{1b}]0;t\u{7}c\u{9b}m"),
            "a\\u001b[2Jb\\u001b]0;t\\u0007c\\u009bm"
        );
        assert_eq!(printable("\u{1b}[38;5;1mx\u{1b}"), "\u{1b}[38;5;1mx\\u001b");
        assert_eq!(printable("\u{1b}[;é"), "\\u001b[;é");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "id": "a\u{9b}\u{202e}\u{e0041}\u{1b}\n" });
        let text = printable(&value.to_string()).into_owned();
        assert!(!text.contains(is_unseen), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
