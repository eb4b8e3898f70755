//! Text within text: escapes of JSON, percent signs of URLs and forms, base64 and hexadecimal digits.

use super::glyph::{Glyph, Span};
use super::suspect::{BASE64_MIN, HEX_MIN, may_hold_decoded, sextet};

/// Characters of a JSON escape of the form `\u0034`, and of a byte as `%34`.
const UNICODE_ESCAPE_LENGTH: usize = 6;
const PERCENT_LENGTH: usize = 3;

/// The text with its JSON escapes resolved. What is no escape stands as it is.
pub(super) fn json_unescaped(text: &[Glyph]) -> Vec<Glyph> {
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (character, length) = json_escape(&text[at..]).unwrap_or((text[at].character, 1));
        if !super::glyph::is_invisible(character) {
            plain.push(Glyph::new(character, text[at].through(text[at + length - 1])));
        }
        at += length;
    }
    plain
}

/// The character of the escape that the text starts with, and the escape's length.
fn json_escape(text: &[Glyph]) -> Option<(char, usize)> {
    if text.first()?.character != '\\' {
        return None;
    }
    let character = match text.get(1)?.character {
        'u' => return unicode_escape(text),
        'b' => '\u{8}',
        'f' => '\u{C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        mark @ ('"' | '\\' | '/') => mark,
        _ => return None,
    };
    Some((character, 2))
}

/// `\u0034`, or two of them for a character beyond 16 bits.
fn unicode_escape(text: &[Glyph]) -> Option<(char, usize)> {
    let unit = |text: &[Glyph]| match text.get(..UNICODE_ESCAPE_LENGTH)? {
        [slash, u, code @ ..] if (slash.character, u.character) == ('\\', 'u') => hex(code),
        _ => None,
    };
    let first = unit(text)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, UNICODE_ESCAPE_LENGTH));
    }
    let second = unit(&text[UNICODE_ESCAPE_LENGTH..]).unwrap_or_default();
    let units = [first, second].map(|unit| u16::try_from(unit).unwrap_or_default());
    match char::decode_utf16(units).next() {
        Some(Ok(character)) => Some((character, 2 * UNICODE_ESCAPE_LENGTH)),
        _ => Some((char::REPLACEMENT_CHARACTER, UNICODE_ESCAPE_LENGTH)),
    }
}

/// The text with bytes such as `%34` and `%C2%A0` resolved. Everything else stands as it is.
pub(super) fn percent_decoded(text: &[Glyph]) -> Vec<Glyph> {
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let Some(first) = percent(&text[at..]) else {
            plain.push(text[at]);
            at += 1;
            continue;
        };
        let width = match first {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        let bytes: Vec<u8> = (0..width)
            .map_while(|place| percent(text.get(at + place * PERCENT_LENGTH..)?))
            .collect();
        let character = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
        let length = PERCENT_LENGTH * if character.is_some() { bytes.len() } else { 1 };
        let character = character.unwrap_or(char::from(first));
        if !super::glyph::is_invisible(character) {
            plain.push(Glyph::new(character, text[at].through(text[at + length - 1])));
        }
        at += length;
    }
    plain
}

/// The byte that the text starts with, as `%34`.
fn percent(text: &[Glyph]) -> Option<u8> {
    match text.get(..PERCENT_LENGTH)? {
        [sign, code @ ..] if sign.character == '%' => u8::try_from(hex(code)?).ok(),
        _ => None,
    }
}

/// A number of hexadecimal digits.
fn hex(digits: &[Glyph]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |number, glyph| Some(number * 16 + glyph.character.to_digit(16)?))
}

/// Bytes that were decoded from text, and the bytes of the payload that spell each.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    pub(super) spans: Vec<Span>,
}

impl Decoded {
    /// `None`, before anything is kept, when no card number can be in it.
    fn of(bytes: impl Iterator<Item = (u8, Span)> + Clone) -> Option<Self> {
        let may_hold = may_hold_decoded(bytes.clone().map(|(byte, _)| byte));
        may_hold.then(|| {
            let (bytes, spans) = bytes.unzip();
            Self { bytes, spans }
        })
    }
}

/// Calls with what each run of base64 decodes to (both alphabets; lines may be broken), from each of the four characters that
/// a group may start at, since a run may have more in front of it.
pub(super) fn for_each_base64(text: &[Glyph], each: &mut dyn FnMut(&Decoded)) {
    let in_run = |glyph: &Glyph| sextet(glyph.character).is_some() || matches!(glyph.character, '\r' | '\n');
    for run in text.split(|glyph| !in_run(glyph)).filter(|run| run.len() >= BASE64_MIN) {
        let run: Vec<(u8, Glyph)> = run
            .iter()
            .filter_map(|glyph| Some((sextet(glyph.character)?, *glyph)))
            .collect();
        for first in 0..4.min(run.len()) {
            if let Some(decoded) = Decoded::of(base64_bytes(&run[first..])) {
                each(&decoded);
            }
        }
    }
}

fn base64_bytes(run: &[(u8, Glyph)]) -> impl Iterator<Item = (u8, Span)> + Clone {
    // Of four characters come three bytes: of six bits and two, of four and four, of two and six.
    let places = run.windows(2).enumerate().filter(|(place, _)| place % 4 != 3);
    places.filter_map(|(place, pair)| {
        let [(high, from), (low, to)] = pair else { return None };
        let shift = 2 * (place % 4 + 1);
        let byte = (u32::from(*high) << shift | u32::from(*low) >> (6 - shift)) & 0xFF;
        Some((u8::try_from(byte).ok()?, from.through(*to)))
    })
}

/// Calls with what each run of hexadecimal digits decodes to, from each of the two that a byte may start at.
pub(super) fn for_each_hex(text: &[Glyph], each: &mut dyn FnMut(&Decoded)) {
    let runs = text.split(|glyph| !glyph.character.is_ascii_hexdigit());
    for run in runs.filter(|run| run.len() >= HEX_MIN) {
        for first in 0..2 {
            let bytes = run[first..].chunks_exact(2).filter_map(|pair| {
                let byte = hex(pair).and_then(|byte| u8::try_from(byte).ok())?;
                Some((byte, pair[0].through(pair[1])))
            });
            if let Some(decoded) = Decoded::of(bytes) {
                each(&decoded);
            }
        }
    }
}
