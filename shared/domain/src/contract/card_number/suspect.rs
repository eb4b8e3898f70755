//! What is worth a scan: a quick look at bytes that tells most of them cannot hold a card number.

/// Digits of the shortest card number.
pub(super) const DIGITS_MIN: usize = 13;
/// Digits of the longest card number.
pub(super) const DIGITS_MAX: usize = 19;
/// Characters of the shortest base64 text that holds a card number.
pub(super) const BASE64_MIN: usize = (DIGITS_MIN * 4).div_ceil(3);

/// A quick look that spares most strings the scan: enough digits anywhere, or characters that may be digits, or so long a run of
/// base64 that it may hold one.
pub(super) fn may_hold(bytes: &[u8]) -> bool {
    if is_plain_id(bytes) {
        return false;
    }
    let (mut digits, mut run) = (0, 0);
    for byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        run = run_of_base64(run, *byte);
        // What no text of ASCII has: another script, or UTF-16.
        let is_other = !byte.is_ascii() || byte.is_ascii_control() && !byte.is_ascii_whitespace();
        if is_other || run >= BASE64_MIN {
            return true;
        }
    }
    digits >= DIGITS_MIN
}

/// How long a run of base64 is with one more byte: a line's end is passed over, and the zeros of UTF-16.
fn run_of_base64(before: usize, byte: u8) -> usize {
    match byte {
        b'\r' | b'\n' | 0 => before,
        byte if sextet(char::from(byte)).is_some() => before + 1,
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
pub(super) fn may_hold_decoded(bytes: impl Iterator<Item = u8>) -> bool {
    let (mut digits, mut run, mut longest) = (0, 0, 0);
    for byte in bytes {
        digits += usize::from(
            matches!(byte, 0x30..=0x39 | 0x10..=0x19 | 0x60..=0x6F | 0x90..=0x99 | 0xA0..=0xAF | 0xE6..=0xEF | 0xF0..=0xF9),
        );
        run = run_of_base64(run, byte);
        longest = longest.max(run);
    }
    digits >= DIGITS_MIN || longest >= BASE64_MIN
}

/// The value of a character of base64, of the standard alphabet or the one for URLs.
pub(super) fn sextet(character: char) -> Option<u8> {
    #[allow(clippy::cast_possible_truncation)] // ASCII
    let byte = character as u8;
    match character {
        'A'..='Z' => Some(byte - b'A'),
        'a'..='z' => Some(byte - b'a' + 26),
        '0'..='9' => Some(byte - b'0' + 52),
        '+' | '-' => Some(62),
        '/' | '_' => Some(63),
        _ => None,
    }
}
