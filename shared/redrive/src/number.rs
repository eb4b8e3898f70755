//! Sequence numbers: decimal strings of 56 digits and more, beyond every integer type.

use std::cmp::Ordering;

use tidemark_engine::record::compare_sequence_numbers;

use crate::limits::SEQUENCE_DIGITS_MAX;

/// Whether a text can be a sequence number. Those of Kinesis begin with no zero, those of an emulator may: the text stays as it is,
/// because the service is asked by it.
#[must_use]
pub fn is_sequence_number(text: &str) -> bool {
    (1..=SEQUENCE_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the left one comes before the right one.
#[must_use]
pub fn is_before(left: &str, right: &str) -> bool {
    compare_sequence_numbers(left, right) == Ordering::Less
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_only_and_not_too_many() {
        let longest = "9".repeat(SEQUENCE_DIGITS_MAX);
        for good in [
            "0",
            "7",
            "000000017668776000000000000009",
            "49590338271490256608559692538361571095921575989136588898",
            &longest,
        ] {
            assert!(is_sequence_number(good), "{good}");
        }
        let absurd = "9".repeat(10_000);
        for bad in ["", "-1", "1e9", " 1", "٣", "0x1", &absurd] {
            assert!(!is_sequence_number(bad), "{bad}");
        }
    }
}
