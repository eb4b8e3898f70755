//! What is worth a scan: a quick look at bytes that tells most of them cannot hold a card number.

/// Digits of the shortest card number.
pub(super) const DIGITS_MIN: usize = 13;
/// Digits of the longest card number.
pub(super) const DIGITS_MAX: usize = 19;
/// Characters of the shortest base64 text that holds a card number.
pub(super) const BASE64_MIN: usize = (DIGITS_MIN * 4).div_ceil(3);
/// Characters of the shortest hexadecimal text that holds a card number.
pub(super) const HEX_MIN: usize = DIGITS_MIN * 2;

/// A string that is no longer than this is looked into before it is scanned.
const SHORT_MAX: usize = 1024;
/// No character of base64.
const NO_SEXTET: u8 = u8::MAX;

/// A quick look that spares most strings the scan: whether it is no plain id, and [`may_hold_text`].
pub(super) fn may_hold(bytes: &[u8]) -> bool {
    !is_plain_id(bytes) && may_hold_text(bytes)
}

/// Whether there are enough digits anywhere, or characters that may be digits, or so long a run of base64 that it may hold a
/// card number.
pub(super) fn may_hold_text(bytes: &[u8]) -> bool {
    // A digit is a byte at least, in whatever encoding.
    if bytes.len() < DIGITS_MIN {
        return false;
    }
    // Too short for a run that counts: it is the digits that do, and what may be one.
    if bytes.len() < BASE64_MIN {
        let digits: usize = bytes.iter().map(|byte| usize::from(SHORTS[usize::from(*byte)])).sum();
        return digits >= DIGITS_MIN;
    }
    let (mut digits, mut run, mut longest) = (0, 0, 0);
    for byte in bytes {
        match PLACES[usize::from(*byte)] {
            Place::Digit => (digits, run) = (digits + 1, run + 1),
            Place::Base64 => run += 1,
            Place::LineEnd => {}
            Place::Between => (longest, run) = (longest.max(run), 0),
            Place::Other => return true,
        }
    }
    longest = longest.max(run);
    digits >= DIGITS_MIN || longest >= BASE64_MIN && may_hold_encoded(bytes)
}

/// What a byte is in a text that is looked at.
#[derive(Clone, Copy)]
enum Place {
    Digit,
    /// Another character of base64.
    Base64,
    /// Passed over in base64.
    LineEnd,
    /// What parts two runs of base64.
    Between,
    /// What no text of ASCII has: another script, or UTF-16.
    Other,
}

/// What each byte is.
const PLACES: [Place; 256] = {
    let mut places = [Place::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        #[allow(clippy::cast_possible_truncation)] // below 256
        let character = byte as u8;
        places[byte] = match character {
            b'0'..=b'9' => Place::Digit,
            b'\r' | b'\n' => Place::LineEnd,
            _ if SEXTETS[byte] != NO_SEXTET => Place::Base64,
            _ if character.is_ascii_control() && !character.is_ascii_whitespace() => Place::Other,
            _ => Place::Between,
        };
        byte += 1;
    }
    places
};

/// How many digits each byte counts for in a short text: what no text of ASCII has is enough.
const SHORTS: [u8; 256] = {
    let mut shorts = [0; 256];
    let mut byte = 0;
    while byte < shorts.len() {
        #[allow(clippy::cast_possible_truncation)] // 13
        let enough = DIGITS_MIN as u8;
        shorts[byte] = match PLACES[byte] {
            Place::Digit => 1,
            Place::Other => enough,
            Place::Base64 | Place::LineEnd | Place::Between => 0,
        };
        byte += 1;
    }
    shorts
};

/// How long a run of base64 is with one more byte: a line's end is passed over, and the zeros of UTF-16.
fn run_of_base64(before: usize, byte: u8) -> usize {
    match byte {
        b'\r' | b'\n' | 0 => before,
        byte if SEXTETS[usize::from(byte)] != NO_SEXTET => before + 1,
        _ => 0,
    }
}

/// Whether a text of ASCII with few digits may hold a card number that is encoded in it. It decodes each run of base64 from each
/// of the four places that a group may start at, and counts what is in it: so an id that is a long word is let go.
fn may_hold_encoded(text: &[u8]) -> bool {
    // What is escaped once more, or broken into lines, is left to the scan.
    let is_left = |byte: &u8| matches!(byte, b'\\' | b'%' | b'\r' | b'\n');
    if text.len() > SHORT_MAX || text.iter().any(is_left) {
        return true;
    }
    let is_in_run = |byte: &u8| SEXTETS[usize::from(*byte)] != NO_SEXTET;
    let mut runs = text
        .split(|byte| !is_in_run(byte))
        .filter(|run| run.len() >= BASE64_MIN);
    runs.any(|run| may_hold_base64(run) || run.iter().filter(|byte| byte.is_ascii_hexdigit()).count() >= HEX_MIN)
}

/// Whether a run of base64 decodes, from any of its first four characters, to as many digits or characters of base64 as a card
/// number needs; in whatever order.
fn may_hold_base64(run: &[u8]) -> bool {
    // By the place of a pair in its group of four: the first three give a byte each, the last one gives none.
    let mut found = [Counts::default(); 4];
    for (place, pair) in run.windows(2).enumerate() {
        let [high, low] = [pair[0], pair[1]].map(|byte| u32::from(SEXTETS[usize::from(byte)]));
        let bits = high << 6 | low;
        for (nth, shift) in [4, 2, 0].into_iter().enumerate() {
            // Where the group began of which this pair is the first, the second or the third.
            let class = CLASSES[(bits >> shift & 0xFF) as usize];
            let counts = &mut found[place.wrapping_sub(nth) % 4];
            counts.digits += class.digits;
            counts.base64 += class.base64;
        }
    }
    let is_enough =
        |counts: &Counts| usize::from(counts.digits) >= DIGITS_MIN || usize::from(counts.base64) >= BASE64_MIN;
    found.iter().any(is_enough)
}

/// How many of some bytes may be digits, in any encoding, and how many are characters of base64 or passed over in it.
#[derive(Clone, Copy, Default)]
struct Counts {
    digits: u16,
    base64: u16,
}

/// What each byte counts.
const CLASSES: [Counts; 256] = {
    let mut classes = [Counts { digits: 0, base64: 0 }; 256];
    let mut byte = 0;
    while byte < classes.len() {
        #[allow(clippy::cast_possible_truncation)] // below 256
        let value = byte as u8;
        let is_passed = matches!(value, b'\r' | b'\n' | 0);
        classes[byte] = Counts {
            digits: is_digit_of_any_encoding(value) as u16,
            base64: (is_passed || SEXTETS[byte] != NO_SEXTET) as u16,
        };
        byte += 1;
    }
    classes
};

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
        digits += usize::from(is_digit_of_any_encoding(byte));
        run = run_of_base64(run, byte);
        longest = longest.max(run);
    }
    digits >= DIGITS_MIN || longest >= BASE64_MIN
}

/// Whether a byte may be of a digit: in ASCII, in the other scripts' UTF-8, in UTF-16, or in EBCDIC.
const fn is_digit_of_any_encoding(byte: u8) -> bool {
    matches!(byte, 0x30..=0x39 | 0x10..=0x19 | 0x60..=0x6F | 0x90..=0x99 | 0xA0..=0xAF | 0xE6..=0xEF | 0xF0..=0xF9)
}

/// The value of a character of base64, of the standard alphabet or the one for URLs.
pub(super) fn sextet(character: char) -> Option<u8> {
    let byte = u8::try_from(character).ok()?;
    Some(SEXTETS[usize::from(byte)]).filter(|value| *value != NO_SEXTET)
}

/// The values of all characters of base64, by their byte.
const SEXTETS: [u8; 256] = {
    let mut values = [NO_SEXTET; 256];
    let mut byte = 0;
    while byte < values.len() {
        #[allow(clippy::cast_possible_truncation)] // below 256
        let character = byte as u8;
        values[byte] = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NO_SEXTET,
        };
        byte += 1;
    }
    values
};
