//! Base64 up to the quote that ends it, so that its characters are looked at once.

/// Beyond the 24 bits of four characters: one of them is none of base64.
const NONE: u32 = 1 << 31;

/// What each byte says as the first, second, third and fourth character of a group.
static VALUES: [[u32; 256]; 4] = [values(18), values(12), values(6), values(0)];

const fn values(shift: u32) -> [u32; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = (value as u32) << shift;
        value += 1;
    }
    values
}

#[inline(always)]
fn group(characters: [u8; 4]) -> u32 {
    let [first, second, third, fourth] = characters.map(usize::from);
    VALUES[0][first] | VALUES[1][second] | VALUES[2][third] | VALUES[3][fourth]
}

/// Adds the bytes that the characters before the first quote stand for, and says how many characters these are; `None` where they are not
/// base64 of RFC 4648 with its padding and nothing left over, and then the bytes are of no account.
pub(super) fn decode_quoted(text: &[u8], bytes: &mut Vec<u8>) -> Option<usize> {
    let mut rest = text;
    while let Some((groups, behind)) = rest.split_first_chunk::<16>() {
        let (groups, _) = groups.as_chunks::<4>();
        let [a, b, c, d] = [group(groups[0]), group(groups[1]), group(groups[2]), group(groups[3])];
        if (a | b | c | d) & NONE != 0 {
            break;
        }
        let mut decoded = [0; 12];
        decoded[..4].copy_from_slice(&(a << 8 | b >> 16).to_be_bytes());
        decoded[4..8].copy_from_slice(&(b << 16 | c >> 8).to_be_bytes());
        decoded[8..].copy_from_slice(&(c << 24 | d).to_be_bytes());
        bytes.extend_from_slice(&decoded);
        rest = behind;
    }
    while *rest.first()? != b'"' {
        let (characters, behind) = rest.split_first_chunk::<4>()?;
        // What is left over of the last byte must be 0, and the end behind it.
        let (characters, count, left_over, is_last) = match *characters {
            [first, second, b'=', b'='] => ([first, second, b'A', b'A'], 1, 0xFFFF, true),
            [first, second, third, b'='] => ([first, second, third, b'A'], 2, 0xFF, true),
            characters => (characters, 3, 0, false),
        };
        let value = group(characters);
        if value & (NONE | left_over) != 0 || is_last && *behind.first()? != b'"' {
            return None;
        }
        bytes.extend_from_slice(&value.to_be_bytes()[1..1 + count]);
        rest = behind;
    }
    Some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_decoded_is_what_the_crate_decodes(
            text in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| STANDARD.encode(bytes)),
                "[A-D+/=]{0,40}",
                "[A-Za-z0-9+/]{0,40}={0,3}",
                "[A-Za-z0-9+/ _é]{0,40}",
            ],
            behind in "[A=\" ]{0,20}",
        ) {
            let mut bytes = vec![7];
            let found = decode_quoted(format!("{text}\"{behind}").as_bytes(), &mut bytes);
            let expected = STANDARD.decode(&text).ok();
            prop_assert_eq!(found, expected.as_ref().map(|_| text.len()));
            if let Some(expected) = expected {
                prop_assert_eq!(&bytes[1..], &expected[..]);
            }
            prop_assert_eq!(decode_quoted(text.as_bytes(), &mut bytes), None);
        }
    }
}
