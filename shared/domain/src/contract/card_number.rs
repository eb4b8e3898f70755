//! Card numbers: finding them in text, and masking them in any bytes (I9).
//!
//! A card number is 13 to 19 digits that pass the Luhn check and begin as the numbers of some issuer do, in one group or in
//! several with a single space, dash or plus between two of them. A group counts only whole: digits that touch a letter or a
//! further digit are part of something else (a hash, a longer number), and so are the groups of a UUID or of another
//! hexadecimal token. Other groups may stand before and after: every run of whole groups is tried.
//!
//! Digits are those of ASCII and of other scripts; spaces and dashes are those of ASCII and the ones that word processors and
//! web pages put in their place. Characters that show nothing are passed over.
//!
//! The same is found in every encoding that a reader would try (`bytes`), and within text that is escaped or encoded once more
//! (`nested`), a few layers deep. What is compressed or encrypted can't be seen.

mod bytes;
mod glyph;
mod issuer;
mod nested;
mod scan;

use std::borrow::Cow;

use bytes::{Bytes, Places};
use glyph::{Glyph, Span};

/// Digits of the shortest card number.
const DIGITS_MIN: usize = 13;
/// Digits of the longest card number.
const DIGITS_MAX: usize = 19;
/// How many times a text may be encoded in another one and still be looked into.
const LAYERS_MAX: usize = 3;
/// What stands for each byte of a masked digit.
const MASK: u8 = b'*';
/// How the names of identifiers end.
const ID_SUFFIX: &[u8] = b"_id";

/// Whether a text holds a card number. The text is a string's value: escapes are already resolved.
pub(super) fn holds_card_number(text: &str) -> bool {
    if !may_hold(text.as_bytes()) {
        return false;
    }
    let mut found = false;
    let text = bytes::utf8(Bytes {
        values: text.as_bytes(),
        places: Places::From(0),
    });
    look(&text, LAYERS_MAX, &mut |_| found = true);
    found
}

/// The payload with every card number masked, at the same length: each byte of a digit becomes `*` (a byte that is zero stays,
/// so that UTF-16 stays what it is). Of base64, each character with a part of a digit becomes one. Borrowed when there is nothing to
/// mask.
///
/// In a payload that is a JSON object, only strings are looked at (keys too) and numbers given for an id, so that a time or an
/// amount which happens to pass the check stays readable; in any other bytes, everything is.
#[must_use]
pub fn mask_card_numbers(payload: &[u8]) -> Cow<'_, [u8]> {
    if !may_hold(payload) {
        return Cow::Borrowed(payload);
    }
    let mut spans: Vec<Span> = Vec::new();
    let found: &mut dyn FnMut(Span) = &mut |span| spans.push(span);
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    if is_object && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok() {
        for_each_suspect(payload, |start, end| {
            let string = bytes::utf8(Bytes {
                values: &payload[start..end],
                places: Places::From(start),
            });
            look(&nested::json_unescaped(&string), LAYERS_MAX, found);
        });
    } else {
        let whole = Bytes {
            values: payload,
            places: Places::From(0),
        };
        bytes::readings(whole, &mut |text| look(text, LAYERS_MAX, found));
    }
    if spans.is_empty() {
        return Cow::Borrowed(payload);
    }
    let mut masked = payload.to_vec();
    for (start, end) in spans {
        match &mut masked[start..end] {
            // Still a JSON escape of the same length: of the mask's character.
            [b'\\', b'u', code @ ..] if code.len() == 4 => code.copy_from_slice(b"002a"),
            digit => digit
                .iter_mut()
                .filter(|byte| **byte != 0)
                .for_each(|byte| *byte = MASK),
        }
    }
    Cow::Owned(masked)
}

/// Calls with the bytes of every digit of every card number of a text, and of the texts that are encoded in it.
fn look(text: &[Glyph], layers: usize, found: &mut dyn FnMut(Span)) {
    scan::card_numbers(text, found);
    let Some(layers) = layers.checked_sub(1) else {
        return;
    };
    let has = |mark| text.iter().any(|glyph| glyph.character == mark);
    if has('\\') {
        look(&nested::json_unescaped(text), layers, found);
    }
    if has('%') {
        look(&nested::percent_decoded(text), layers, found);
    }
    let mut inside = |decoded: &nested::Decoded| {
        let bytes = Bytes {
            values: &decoded.bytes,
            places: Places::Each(&decoded.spans),
        };
        bytes::readings(bytes, &mut |text| look(text, layers, found));
    };
    nested::for_each_base64(text, &mut inside);
    nested::for_each_hex(text, &mut inside);
}

/// A quick look that spares most strings the scan: enough digits anywhere, or characters that may be digits, or so long a run of
/// base64 that it may hold one.
fn may_hold(bytes: &[u8]) -> bool {
    if is_plain_id(bytes) {
        return false;
    }
    let (mut digits, mut run) = (0, 0);
    for byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        run = run_of_base64(run, *byte);
        // What no text of ASCII has: another script, or UTF-16.
        let is_other = !byte.is_ascii() || byte.is_ascii_control() && !byte.is_ascii_whitespace();
        if is_other || run >= nested::BASE64_MIN {
            return true;
        }
    }
    digits >= DIGITS_MIN
}

/// How long a run of base64 is with one more byte: a line's end is passed over.
fn run_of_base64(before: usize, byte: u8) -> usize {
    match byte {
        b'\r' | b'\n' => before,
        byte if nested::sextet(char::from(byte)).is_some() => before + 1,
        _ => 0,
    }
}

/// Whether the whole is a UUID or a ULID, as most ids are: neither holds a card number, plain or encoded.
fn is_plain_id(bytes: &[u8]) -> bool {
    match bytes.len() {
        36 => bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        }),
        26 => {
            let letter =
                |byte: &u8| matches!(byte, b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z');
            matches!(bytes[0], b'0'..=b'7') && bytes.iter().all(|byte| byte.is_ascii_digit() || letter(byte))
        }
        _ => false,
    }
}

/// The same for bytes that were decoded, where chance gives characters of all kinds: digits in any encoding, or base64 once more.
fn may_hold_decoded(bytes: impl Iterator<Item = u8>) -> bool {
    let (mut digits, mut run, mut longest) = (0, 0, 0);
    for byte in bytes {
        digits += usize::from(
            matches!(byte, 0x30..=0x39 | 0x10..=0x19 | 0x90..=0x99 | 0xA0..=0xAF | 0xE6..=0xEF | 0xF0..=0xF9),
        );
        run = run_of_base64(run, byte);
        longest = longest.max(run);
    }
    digits >= DIGITS_MIN || longest >= nested::BASE64_MIN
}

/// Calls with the start and end of each place of a JSON text that may hold a card number: what is between the quotes of a
/// string, and a number given for an id, which must be a string and so is refused.
fn for_each_suspect(json: &[u8], mut each: impl FnMut(usize, usize)) {
    // The last string, and whether only white space and a colon came after it: then it is the key of what comes.
    let (mut key, mut at_value) = (0..0, false);
    let mut at = 0;
    while at < json.len() {
        let start = at;
        match json[at] {
            b'"' => {
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                key = start + 1..at.min(json.len());
                each(key.start, key.end);
                (at, at_value) = (at + 1, false);
            }
            b'0'..=b'9' => {
                at += json[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                if at_value && json[key.clone()].ends_with(ID_SUFFIX) {
                    each(start, at);
                }
                at_value = false;
            }
            byte => {
                at_value = byte == b':' || at_value && byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
}
