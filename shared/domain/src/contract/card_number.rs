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
mod suspect;

use std::borrow::Cow;

use bytes::{Bytes, Places};
use glyph::{Glyph, Span};
use suspect::{may_hold, may_hold_text};

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
    let mut masked = Cow::Borrowed(payload);
    // What stood beside a masked one may be one by itself now, so that it is looked at again until nothing is left: each time at
    // least thirteen characters are gone.
    loop {
        let spans = card_number_spans(&masked);
        if spans.is_empty() {
            return masked;
        }
        let bytes = masked.to_mut();
        for (start, end) in spans {
            match &mut bytes[start..end] {
                // Still a JSON escape of the same length: of the mask's character.
                [b'\\', b'u', code @ ..] if code.len() == 4 => code.copy_from_slice(b"002a"),
                digit => digit
                    .iter_mut()
                    .filter(|byte| **byte != 0)
                    .for_each(|byte| *byte = MASK),
            }
        }
    }
}

/// The bytes of every digit of every card number of a payload; some more than once.
fn card_number_spans(payload: &[u8]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    if !may_hold(payload) {
        return spans;
    }
    let found: &mut dyn FnMut(Span) = &mut |span| spans.push(span);
    let is_object = payload.trim_ascii_start().starts_with(b"{");
    if is_object && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok() {
        for_each_suspect(payload, |start, end| {
            let string = &payload[start..end];
            let is_encoded = string.iter().any(|byte| matches!(byte, b'\\' | b'%'));
            if !is_encoded && !may_hold_text(string) {
                return;
            }
            let string = bytes::utf8(Bytes {
                values: string,
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
    spans
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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    /// What the scan finds in a text, whatever the quick look says of it.
    fn is_found(text: &str) -> bool {
        let mut found = false;
        let text = bytes::utf8(Bytes {
            values: text.as_bytes(),
            places: Places::From(0),
        });
        look(&text, LAYERS_MAX, &mut |_| found = true);
        found
    }

    /// Words, numbers, card numbers, and all of these in base64 or in hexadecimal digits, once or twice.
    fn piece() -> impl Strategy<Value = String> {
        let plain = prop_oneof![
            4 => "[a-zA-Z0-9]{1,12}",
            2 => "[-_/+ .]{1,2}",
            1 => "[0-9]{1,19}",
            2 => Just("4111111111111111".to_owned()),
            1 => Just("5500-0000-0000-0004".to_owned()),
        ];
        let text = proptest::collection::vec(plain, 1..4).prop_map(|words| words.concat());
        text.prop_recursive(2, 4, 1, |text| {
            text.prop_flat_map(|text| {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                prop_oneof![
                    Just(STANDARD.encode(&text)),
                    Just(URL_SAFE_NO_PAD.encode(&text)),
                    Just(hex),
                    Just(text),
                ]
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_quick_look_lets_nothing_go_that_the_scan_finds(pieces in proptest::collection::vec(piece(), 1..4)) {
            let text = pieces.concat();
            prop_assert!(may_hold_text(text.as_bytes()) || !is_found(&text), "{text}");
        }
    }

    #[test]
    fn the_quick_look_lets_long_words_go() {
        for id in [
            "card-ygczxc-000182",
            "transactions_per_day",
            "merchant-abcdefgh-ijklmnop",
            "evt_01hzy3k2abcdefghjkmn",
        ] {
            assert!(!may_hold_text(id.as_bytes()), "{id}");
        }
        for held in [
            "NDExMTExMTExMTExMTExMQ",
            "x/NDExMTExMTExMTExMTExMQ==",
            "34313131313131313131313131313131",
        ] {
            assert!(may_hold_text(held.as_bytes()) && holds_card_number(held), "{held}");
        }
    }
}
