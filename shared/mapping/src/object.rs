//! One JSON object out of bytes: a line of a file, or a record of a stream.

use serde_json::Value;

use crate::code::{MapCode, Wrong};
use crate::limits::{NESTING_MAX, ROW_BYTES_MAX};

/// Reads a JSON object, within its limits.
///
/// # Errors
/// Why the bytes are none.
pub fn object_of(text: &[u8]) -> Result<Value, Wrong> {
    if text.len() > ROW_BYTES_MAX {
        let why = format!("the line has {} bytes, more than {ROW_BYTES_MAX}", text.len());
        return Err(Wrong::new(MapCode::RowTooLong, why));
    }
    if std::str::from_utf8(text).is_err() {
        return Err(Wrong::new(MapCode::NotUtf8, "the line is not UTF-8"));
    }
    if nesting(text) > NESTING_MAX {
        let why = format!("expected at most {NESTING_MAX} levels of arrays and objects");
        return Err(Wrong::new(MapCode::TooDeep, why));
    }
    match serde_json::from_slice::<Value>(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => {
            let why = "expected a JSON object, found another value";
            Err(Wrong::new(MapCode::NotJson, why))
        }
        Err(error) => {
            let why = format!("no JSON: at byte {} of the line", error.column());
            Err(Wrong::new(MapCode::NotJson, why))
        }
    }
}

/// How deep arrays and objects stand within each other, without reading them.
fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::nesting;

    #[test]
    fn brackets_within_strings_are_no_levels() {
        assert_eq!(nesting(br#"{"a":"[[[{","b":[1,{"c":2}]}"#), 3);
        assert_eq!(nesting(br#"{"a":"\"[","b":"\\"}"#), 1);
        assert_eq!(nesting(b"]]]"), 0);
    }
}
