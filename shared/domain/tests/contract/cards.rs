//! Card numbers: what is one, what is not, and what masking leaves.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::refusal::RefusalCode::CardNumber;

use super::payload::{Payload, code_of, read};

/// Numbers that card schemes publish for tests, and made-up ones of the other lengths.
const FOUND: &[&str] = &[
    "4222222222222",
    "30569309025904",
    "378282246310005",
    "4111111111111111",
    "41111111111111113",
    "411111111111111118",
    "6304000000000000000",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111 1111-1111 1111",
    "41 11 11 11 11 11 11 11",
    "3782 822463 10005",
    "card 4111111111111111, thanks",
    "pan:4111111111111111",
    "pan_4111111111111111",
    "(4111111111111111)",
    "12 4111111111111111",
    "4111111111111111 12/29",
    "x-4111-1111-1111-1111-y",
    "0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77 4111111111111111",
    "4111111111111111-0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77",
    "é 4111111111111111",
    "4111\u{a0}1111\u{a0}1111\u{a0}1111",
    "4111\u{2011}1111\u{2013}1111\u{2212}1111",
    "\u{FF14}\u{FF11}\u{FF11}\u{FF11}111111111111",
    // Digits of other scripts, and characters that show nothing between them.
    "\u{664}\u{661}\u{661}\u{661}111111111111",
    "\u{6F4}111111111111111",
    "\u{96A}111111111111111",
    "\u{1D7D2}111111111111111",
    "4111\u{200B}1111\u{AD}1111\u{2060}1111",
    // In a script without spaces.
    "\u{5361}\u{53F7}4111111111111111\u{3067}\u{3059}",
    // As forms and URLs write it.
    "4111+1111+1111+1111",
    "100%4111111111111111",
    "pan=4111%201111%201111%201111&",
    "4111%2D1111%E2%80%911111%c2%a01111",
    "%34%31%31%31111111111111",
    // Base64 of it, of `pan=4111 1111 1111 1111`, in the alphabet for URLs, after more, and twice.
    "NDExMTExMTExMTExMTExMQ==",
    "data:text/plain;base64,cGFuPTQxMTEgMTExMSAxMTExIDExMTE=",
    "tokenNDExMTExMTExMTExMTExMQ",
    "Pj4_IDQxMTExMTExMTExMTExMTE-",
    "TkRFeE1URXhNVEV4TVRFeE1URXhNUT09",
    // Base64 of it in UTF-16.
    "NAAxADEAMQAxADEAMQAxADEAMQAxADEAMQAxADEAMQA=",
    // Its bytes as hexadecimal digits.
    "34313131313131313131313131313131",
    "0x343131312D313131312D313131312D31313131",
    // JSON in a string.
    "{\"n\":\"a\\n4111111111111111\"}",
    "{\"n\":\"\\u0034111111111111111\"}",
    // An issuer of each kind.
    "2221000000000009",
    "3530111333300000",
    "6011111111111117",
    "6200000000000005",
    "9792000000000003",
    "2200000000000004",
    "5555555555554444",
    "135410014004955",
];

const NOT_FOUND: &[&str] = &[
    "",
    // Luhn fails.
    "4111111111111112",
    "4111 1111 1111 1112",
    // Too short, too long.
    "424242424242",
    "41111111111111111111",
    "00000000000000000000000000000000",
    // Touches a letter or a digit: part of something else.
    "x4111111111111111",
    "4111111111111111x",
    "é4111111111111111",
    "4111111111111111\u{FF11}",
    "\u{FF14}111111111111111x",
    // More than one separator, or another.
    "4111  1111  1111  1111",
    "4111 - 1111 - 1111 - 1111",
    "4111.1111.1111.1111",
    // UUIDs whose groups would pass.
    "41111111-1111-1111-8111-111111111111",
    "aaaaaaaa-bbbb-cccc-4111-111111111111",
    "id 41111111-1111-1111-8111-111111111111 end",
    "txn-demo-00000042",
    "+33 6 12 34 56 78",
    // No issuer has such numbers: of nothing but zeros, of a time in milliseconds, of 17 digits that begin with 5.
    "0000-0000-0000-0000",
    "1795348799002",
    "55555555555555552",
    "7111111111111114",
    // Hexadecimal tokens of 128, 160 and 256 bits with groups of their own, and a ULID.
    "4111111111111111-abcdef0123456789",
    "41111111-11111111-abcdef01-23456789",
    "41111111-11111111-abcdef01-23456789-abcdef01",
    "4111111111111111-abcdef0123456789-abcdef0123456789-abcdef0123456789",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    // Base64 and hexadecimal digits of other things.
    "QSBmaW5lIGRheSBmb3IgYSB3YWxrIGJ5IHRoZSBzZWE=",
    "34313131313131313131313131313132",
];

fn in_merchant(text: &str) -> Vec<u8> {
    Payload::transaction()
        .set("merchant_id", &serde_json::to_string(text).unwrap())
        .bytes()
}

/// A text in an encoding, from its code units.
fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-32LE" => text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect(),
        "UTF-32BE" => text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect(),
        "EBCDIC" => text
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' => byte - b'0' + 0xF0,
                b' ' => 0x40,
                b'-' => 0x60,
                b'a'..=b'i' => byte - b'a' + 0x81,
                _ => 0x7F,
            })
            .collect(),
        other => panic!("{other}"),
    }
}

fn masked(payload: &[u8]) -> String {
    String::from_utf8(mask_card_numbers(payload).into_owned()).unwrap()
}

#[test]
fn card_numbers_are_found_and_masked() {
    for text in FOUND {
        let payload = in_merchant(text);
        assert_eq!(code_of(&payload), Some(CardNumber), "{text}");
        // In JSON, and in bytes that are not.
        for bytes in [
            payload.clone(),
            text.as_bytes().to_vec(),
            [b"\xFF|", text.as_bytes(), b"|{"].concat(),
        ] {
            let masked = mask_card_numbers(&bytes);
            assert!(matches!(masked, Cow::Owned(_)), "{text}");
            assert_eq!(masked.len(), bytes.len(), "{text}");
            assert!(matches!(mask_card_numbers(&masked), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(code_of(&mask_card_numbers(&payload)), None, "{text}");
    }
}

/// What a reader would try when the bytes are no UTF-8, with or without a byte order mark, at any place in other bytes, and
/// in base64.
#[test]
fn card_numbers_are_masked_in_every_encoding() {
    for encoding in ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"] {
        for text in FOUND {
            let json = String::from_utf8(in_merchant(text)).unwrap();
            for (before, text) in [("", *text), ("\u{FEFF}", json.as_str()), ("\u{FEFF}", *text)] {
                let bytes = encoded(&format!("{before}{text}"), encoding);
                for bytes in [
                    bytes.clone(),
                    [b"\xFE|".as_slice(), &bytes, b"\x01"].concat(),
                    [b"\xFE|:", bytes.as_slice()].concat(),
                ] {
                    let masked = mask_card_numbers(&bytes);
                    assert!(matches!(masked, Cow::Owned(_)), "{encoding} {text:?} {bytes:?}");
                    assert_eq!(masked.len(), bytes.len(), "{encoding} {text}");
                    assert!(
                        matches!(mask_card_numbers(&masked), Cow::Borrowed(_)),
                        "{encoding} {text}"
                    );
                }
                let nested = STANDARD.encode(&bytes);
                assert!(
                    matches!(mask_card_numbers(nested.as_bytes()), Cow::Owned(_)),
                    "{encoding} {text}"
                );
            }
        }
        for text in NOT_FOUND.iter().filter(|text| !text.contains("4111111111111111")) {
            // A reading that is one byte off loses the first character or the last: neither is a part of the text here.
            let bytes = encoded(&format!("\u{FEFF}|{text}|"), encoding);
            assert!(
                matches!(mask_card_numbers(&bytes), Cow::Borrowed(_)),
                "{encoding} {text}"
            );
        }
    }
    assert_eq!(
        mask_card_numbers(&encoded("\u{FEFF}a 4111 1111 1111 1111", "UTF-16LE")),
        encoded("\u{FEFF}a **** **** **** ****", "UTF-16LE")
    );
    for text in ["4111111111111111", "pan 4111-1111-1111-1111"] {
        let bytes = encoded(text, "EBCDIC");
        assert!(matches!(mask_card_numbers(&bytes), Cow::Owned(_)), "{text}");
    }
}

#[test]
fn what_only_looks_like_one_is_left_alone() {
    for text in NOT_FOUND {
        let payload = in_merchant(if text.is_empty() { "shop" } else { text });
        assert_eq!(code_of(&payload), None, "{text}");
        assert!(matches!(mask_card_numbers(&payload), Cow::Borrowed(_)), "{text}");
        assert!(matches!(mask_card_numbers(text.as_bytes()), Cow::Borrowed(_)), "{text}");
    }
}

#[test]
fn masking_keeps_all_but_the_digits() {
    assert_eq!(masked(b"a 4111-1111 1111-1111 b"), "a ****-**** ****-**** b");
    assert_eq!(masked(b"12 4111111111111111"), "12 ****************");
    assert_eq!(
        masked(b"{\"n\":\"\\u0034111111111111111\"}"),
        "{\"n\":\"\\u002a***************\"}"
    );
    // Over the end of a line, and between marks that turn the direction of writing: no id may hold either.
    assert_eq!(masked(b"NDExMTExMTEx\r\nMTExMTExMQ=="), "************\r\n**********==");
    assert_eq!(
        masked("\u{202D}4111111111111111\u{202C}".as_bytes()),
        "\u{202D}****************\u{202C}"
    );
    // A bare backslash, and an emoji as a pair of escapes, before the number.
    assert_eq!(
        masked(br#"{"n":"\\4111111111111111"}"#),
        r#"{"n":"\\****************"}"#
    );
    assert_eq!(
        masked(br#"{"n":"\ud83d\ude004111111111111111"}"#),
        r#"{"n":"\ud83d\ude00****************"}"#
    );
    assert_eq!(code_of(&in_merchant("\u{1F600}4111111111111111")), Some(CardNumber));
}

#[test]
fn in_json_only_strings_are_masked() {
    let json = br#"{"occurred_at_ms":4222222222222,"4111111111111111":"4111111111111111","a\"b":[4111111111111111]}"#;
    assert_eq!(
        masked(json),
        r#"{"occurred_at_ms":4222222222222,"****************":"****************","a\"b":[4111111111111111]}"#
    );
    // A number where an id is due is no time; a payload or a partition key that is a bare number is no event.
    assert_eq!(
        masked(b"{\"card_id\" : 4111111111111111,\"mcc\":1}"),
        "{\"card_id\" : ****************,\"mcc\":1}"
    );
    assert_eq!(masked(b"4111111111111111"), "****************");
    assert_eq!(masked(b"[4111111111111111]"), "[****************]");
    // Cut off: no longer JSON, so that everything may be a card number.
    assert_eq!(
        masked(&json[..33]),
        r#"{"occurred_at_ms":*************,"#.to_owned() + "\""
    );
}

/// A JSON number is no string: digits that would be a card number in a string are not one here.
#[test]
fn a_number_that_passes_the_check_is_accepted() {
    for number in ["4111111111111111", "4222222222222"] {
        let payload = Payload::transaction().set("extra", number).bytes();
        assert!(read(&payload).is_ok(), "{number}");
        assert!(matches!(mask_card_numbers(&payload), Cow::Borrowed(_)), "{number}");
    }
}
