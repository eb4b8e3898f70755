//! Card numbers: finding them in text, and masking them in any bytes (I9).
//!
//! A card number is 13 to 19 digits that pass the Luhn check, in one group or in several with a single space or dash
//! between two of them. A group counts only whole: digits that touch a letter or a further digit are part of something
//! else (a hash, a longer number), and so are the groups of a UUID. Other groups may stand before and after: every run of
//! whole groups is tried.
//!
//! Digits are those of ASCII and their full-width forms; spaces and dashes are those of ASCII and the ones that word
//! processors and web pages put in their place.

use std::borrow::Cow;

/// Digits of the shortest card number.
const DIGITS_MIN: usize = 13;
/// Digits of the longest card number.
const DIGITS_MAX: usize = 19;
/// The lengths of a UUID's groups of hexadecimal digits.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Bytes of a UUID with its dashes.
const UUID_BYTES: usize = 36;
/// What stands for each byte of a masked digit.
const MASK: u8 = b'*';
/// How the names of identifiers end.
const ID_SUFFIX: &[u8] = b"_id";
/// Bytes of a JSON escape of the form `\u0034`.
const UNICODE_ESCAPE_BYTES: usize = 6;

/// Whether a text holds a card number. The text is a string's value: escapes are already resolved.
pub(super) fn holds_card_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < DIGITS_MIN || !may_hold(bytes) {
        return false;
    }
    let mut found = false;
    Scan { bytes, escapes: false }.card_numbers(0, bytes.len(), &mut |_| found = true);
    found
}

/// The payload with every card number masked, at the same length: each byte of a digit becomes `*`. Borrowed when there is
/// nothing to mask.
///
/// In a payload that is a JSON object, only strings are looked at (keys too) and numbers given for an id, so that a time or an
/// amount which happens to pass the check stays readable; in any other bytes, everything is.
#[must_use]
pub fn mask_card_numbers(payload: &[u8]) -> Cow<'_, [u8]> {
    // An escaped digit has digits enough of its own.
    if !may_hold(payload) {
        return Cow::Borrowed(payload);
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let scan = Scan {
        bytes: payload,
        escapes: true,
    };
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    if is_object && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok() {
        for_each_suspect(payload, |start, end| {
            scan.card_numbers(start, end, &mut |digit| ranges.push(digit));
        });
    } else {
        scan.card_numbers(0, payload.len(), &mut |digit| ranges.push(digit));
    }
    if ranges.is_empty() {
        return Cow::Borrowed(payload);
    }
    let mut masked = payload.to_vec();
    for (start, end) in ranges {
        let digit = &mut masked[start..end];
        match digit {
            // Still a JSON escape of the same length: of the mask's character.
            [b'\\', b'u', code @ ..] => code.copy_from_slice(b"002a"),
            _ => digit.fill(MASK),
        }
    }
    Cow::Owned(masked)
}

/// A quick look that spares most strings the scan: enough digits anywhere, or characters that may be digits.
fn may_hold(bytes: &[u8]) -> bool {
    let mut digits = 0;
    for byte in bytes {
        if byte.is_ascii_digit() {
            digits += 1;
        } else if !byte.is_ascii() {
            return true;
        }
    }
    digits >= DIGITS_MIN
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

/// What a character is to a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Digit(u8),
    Separator,
    /// A letter, or anything that may be part of a word.
    Letter,
    Other,
}

/// A digit and the bytes it takes.
#[derive(Clone, Copy, Debug)]
struct Digit {
    value: u8,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy)]
struct Scan<'a> {
    bytes: &'a [u8],
    /// Whether a backslash starts a JSON escape.
    escapes: bool,
}

/// Groups of digits with single separators between them.
#[derive(Default)]
struct Chain {
    digits: Vec<Digit>,
    /// Where each group starts in `digits`.
    groups: Vec<usize>,
}

impl Scan<'_> {
    /// Calls with the bytes of every digit of every card number between two places; with some more than once.
    fn card_numbers(self, start: usize, end: usize, each: &mut impl FnMut((usize, usize))) {
        let mut chain = Chain::default();
        let mut at = start;
        // Whether the character before is a separator that follows a digit group of the chain.
        let mut joined = false;
        while at < end {
            let word_end = self.word_end(at, end);
            if word_end == at {
                let (kind, next) = self.glyph(at, end);
                if kind == Kind::Separator && !joined && !chain.digits.is_empty() {
                    joined = true;
                } else {
                    chain.flush(each);
                    joined = false;
                }
                at = next;
                continue;
            }
            if self.is_uuid(at, end) {
                chain.flush(each);
                joined = false;
                at += UUID_BYTES;
                continue;
            }
            if !chain.push_word(self, at, word_end) {
                chain.flush(each);
            }
            joined = false;
            at = word_end;
        }
        chain.flush(each);
    }

    /// Where the word (digits and letters) that starts here ends; here, when there is none.
    fn word_end(self, start: usize, end: usize) -> usize {
        let mut at = start;
        while at < end {
            let (kind, next) = self.glyph(at, end);
            if !matches!(kind, Kind::Digit(_) | Kind::Letter) {
                break;
            }
            at = next;
        }
        at
    }

    /// The character at a place, and where the next one starts.
    fn glyph(self, at: usize, end: usize) -> (Kind, usize) {
        let byte = self.bytes[at];
        match byte {
            b'0'..=b'9' => (Kind::Digit(byte - b'0'), at + 1),
            b' ' | b'-' => (Kind::Separator, at + 1),
            b'a'..=b'z' | b'A'..=b'Z' => (Kind::Letter, at + 1),
            b'\\' if self.escapes => self.escape(at, end),
            0..=0x7F => (Kind::Other, at + 1),
            _ => {
                let width = match byte {
                    0xC2..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF4 => 4,
                    _ => 1,
                };
                let next = (at + width).min(end);
                match std::str::from_utf8(&self.bytes[at..next])
                    .ok()
                    .and_then(|text| text.chars().next())
                {
                    Some(character) => (kind_of(character), next),
                    None => (Kind::Other, at + 1),
                }
            }
        }
    }

    /// The character that an escape stands for, and where the next character starts.
    fn escape(self, at: usize, end: usize) -> (Kind, usize) {
        let Some(unit) = self.unicode_escape(at, end) else {
            return (Kind::Other, end.min(at + 2));
        };
        let after = at + UNICODE_ESCAPE_BYTES;
        if let Some(character) = char::from_u32(unit.into()) {
            return (kind_of(character), after);
        }
        let pair = [unit, self.unicode_escape(after, end).unwrap_or_default()];
        match char::decode_utf16(pair).next() {
            Some(Ok(character)) => (kind_of(character), after + UNICODE_ESCAPE_BYTES),
            _ => (Kind::Other, after),
        }
    }

    /// The UTF-16 code unit of an escape such as `\u0034`, if there is one here.
    fn unicode_escape(self, at: usize, end: usize) -> Option<u16> {
        let code = self.bytes[at..end].strip_prefix(b"\\u")?.first_chunk::<4>()?;
        let code = std::str::from_utf8(code)
            .ok()
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u16::from_str_radix(code, 16).ok()
    }

    /// Whether the word that starts here is a UUID, to its end.
    fn is_uuid(self, start: usize, end: usize) -> bool {
        let Some(bytes) = self.bytes[start..end].get(..UUID_BYTES) else {
            return false;
        };
        let after = start + UUID_BYTES;
        let mut groups = bytes.split(|byte| *byte == b'-');
        let is_group = |length| {
            groups
                .next()
                .is_some_and(|group| group.len() == length && group.iter().all(u8::is_ascii_hexdigit))
        };
        UUID_GROUPS.into_iter().all(is_group) && self.word_end(after, end) == after
    }
}

impl Chain {
    /// Adds a group; whether the word was one, that is, digits only.
    fn push_word(&mut self, scan: Scan<'_>, start: usize, end: usize) -> bool {
        let first = self.digits.len();
        let mut at = start;
        while at < end {
            let (kind, next) = scan.glyph(at, end);
            let Kind::Digit(value) = kind else {
                self.digits.truncate(first);
                return false;
            };
            self.digits.push(Digit {
                value,
                start: at,
                end: next,
            });
            at = next;
        }
        self.groups.push(first);
        true
    }

    /// Tries every run of whole groups, and starts anew.
    fn flush(&mut self, each: &mut impl FnMut((usize, usize))) {
        for (number, &start) in self.groups.iter().enumerate() {
            let ends = self.groups[number + 1..].iter().copied().chain([self.digits.len()]);
            for end in ends.take_while(|end| end - start <= DIGITS_MAX) {
                if end - start >= DIGITS_MIN && luhn(&self.digits[start..end]) {
                    self.digits[start..end]
                        .iter()
                        .for_each(|digit| each((digit.start, digit.end)));
                }
            }
        }
        self.digits.clear();
        self.groups.clear();
    }
}

/// The Luhn check of ISO/IEC 7812-1: from the right, every second digit doubled.
fn luhn(digits: &[Digit]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit.value);
            match (place % 2, value) {
                (0, _) => value,
                (_, 0..=4) => 2 * value,
                _ => 2 * value - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// What a character outside ASCII, or an escaped one, is.
fn kind_of(character: char) -> Kind {
    #[allow(clippy::cast_possible_truncation)] // a difference of at most 9
    match character {
        '0'..='9' => Kind::Digit((character as u32 - '0' as u32) as u8),
        // Full-width digits.
        '\u{FF10}'..='\u{FF19}' => Kind::Digit((character as u32 - 0xFF10) as u8),
        // Space, no-break, en to hair, narrow no-break and ideographic spaces.
        ' ' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{3000}' => Kind::Separator,
        // Hyphens and dashes, minus, small and full-width hyphen-minus.
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE63}' | '\u{FF0D}' => Kind::Separator,
        other if other.is_alphanumeric() => Kind::Letter,
        _ => Kind::Other,
    }
}
