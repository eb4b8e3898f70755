//! Card numbers: what is one, what is not, and what masking leaves.

use std::borrow::Cow;

use tidemark_domain::contract::mask_card_numbers;
use tidemark_domain::refusal::RefusalCode::CardNumber;

use crate::payload::{Payload, code_of, read};

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
    "0000-0000-0000-0000",
    "0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77 4111111111111111",
    "4111111111111111-0192f0c1-7e5a-7c3e-9a41-5d0f6b1c2e77",
    "é 4111111111111111",
    "4111\u{a0}1111\u{a0}1111\u{a0}1111",
    "4111\u{2011}1111\u{2013}1111\u{2212}1111",
    "\u{FF14}\u{FF11}\u{FF11}\u{FF11}111111111111",
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
];

fn in_merchant(text: &str) -> Vec<u8> {
    Payload::transaction()
        .set("merchant_id", &serde_json::to_string(text).unwrap())
        .bytes()
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

/// A number as JSON is no string: a time that passes the check by chance is still a time.
#[test]
fn a_time_that_passes_the_check_is_accepted() {
    let last = (0..10_i64)
        .map(|digit| 1_795_348_799_000 + digit)
        .find(|time| !matches!(mask_card_numbers(time.to_string().as_bytes()), Cow::Borrowed(_)));
    let time = last.expect("one of ten in a row passes");
    assert!(read(&Payload::transaction().set("occurred_at_ms", &time.to_string()).bytes()).is_ok());
}
