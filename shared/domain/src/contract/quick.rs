//! The same pass as `read` over nearly every payload: a flat object of members that some schema knows, each once, in strings without
//! escapes and numbers as most producers write them. Whatever else a text has is left to `read`, which reads all of JSON and says what is
//! wrong with it; what both read is the same.

use std::borrow::Cow;

use super::card_number::holds_card_number;
use super::field::Field;
use super::read::{Flaws, Members, Raw};

/// Digits of a whole number that always fits 64 bits.
const WHOLE_DIGITS_MAX: usize = 18;
/// Digits of a whole number that a 64-bit float always holds.
const EXACT_DIGITS_MAX: usize = 15;

/// Fills the members, none of which is there yet, with those of a text; `None` where it is not so simple. All of them are borrowed: they
/// may be [forgotten](forget).
pub(super) fn read<'a>(text: &'a str, nesting_max: usize, members: &mut Members<'a>) -> Option<()> {
    // A payload may be of some kilobytes, so that this is looked for in many bytes at a time.
    let least = text.bytes().fold(u8::MAX, u8::min);
    let has_escape = text.bytes().fold(false, |found, byte| found | (byte == b'\\'));
    if nesting_max == 0 || least < b' ' || has_escape {
        return None;
    }
    let mut rest = Text {
        text: text.trim_matches(' '),
        at: 0,
    };
    rest.take(b'{')?;
    rest.skip_spaces();
    loop {
        let field = Field::of(rest.string()?)?;
        rest.skip_spaces();
        rest.take(b':')?;
        rest.skip_spaces();
        if members.present & field.bit() != 0 {
            return None;
        }
        members.present |= field.bit();
        let value = rest.value(&mut members.flaws)?;
        forget(std::mem::replace(&mut members.values[field as usize], value));
        rest.skip_spaces();
        if rest.take(b',').is_none() {
            break;
        }
        rest.skip_spaces();
    }
    rest.take(b'}')?;
    (rest.at == rest.text.len()).then_some(())
}

/// Forgets what has nothing of its own: a walk over all members, to free nothing, shows.
#[inline(always)]
pub(super) fn forget<T>(borrowed: T) {
    std::mem::forget(borrowed);
}

/// A text that is read up to a place. Every step is `None` where the text is not of the shape.
struct Text<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Text<'a> {
    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    fn first(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.first()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    #[inline(always)]
    fn skip_spaces(&mut self) {
        while self.take(b' ').is_some() {}
    }

    #[inline(always)]
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let end = self.at + quote_at(self.rest())?;
        let text = self.text.get(self.at..end)?;
        self.at = end + 1;
        Some(text)
    }

    #[inline(always)]
    fn value(&mut self, flaws: &mut Flaws) -> Option<Raw<'a>> {
        match self.first()? {
            b'"' => {
                let text = self.string()?;
                flaws.card_number |= holds_card_number(text);
                Some(Raw::Text(Cow::Borrowed(text)))
            }
            b't' => self.word("true", Raw::Bool(true)),
            b'f' => self.word("false", Raw::Bool(false)),
            b'n' => self.word("null", Raw::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Raw<'a>) -> Option<Raw<'a>> {
        self.rest().strip_prefix(word.as_bytes())?;
        self.at += word.len();
        Some(value)
    }

    /// The digits that come next, as a number if they are few, and how many they are.
    #[inline(always)]
    fn digits(&mut self, before: u64) -> (u64, usize) {
        let (mut number, begin) = (before, self.at);
        while let Some(digit @ b'0'..=b'9') = self.first() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        (number, self.at - begin)
    }

    fn number(&mut self) -> Option<Raw<'a>> {
        let begin = self.at;
        let is_negative = self.take(b'-').is_some();
        let first = self.first();
        let (whole, digits) = self.digits(0);
        let is_plain = digits == 1 || digits > 1 && first != Some(b'0');
        match self.first() {
            Some(b'.') if is_plain => {
                self.at += 1;
                let (number, decimals) = self.digits(whole);
                let is_end = !matches!(self.first(), Some(b'.' | b'-' | b'+' | b'e' | b'E'));
                // Both are exact as floats, so that one division gives the float that is nearest, as serde's does.
                if let Some(scale) = SCALES.get(decimals)
                    && is_end
                    && decimals > 0
                    && digits + decimals <= EXACT_DIGITS_MAX
                {
                    let number = number as f64 / scale;
                    return Some(Raw::Number(if is_negative { -number } else { number }));
                }
            }
            Some(b'.' | b'-' | b'+' | b'e' | b'E') => {}
            _ if is_plain && !is_negative && digits <= WHOLE_DIGITS_MAX => return Some(Raw::Whole(whole)),
            _ => {}
        }
        self.at = begin;
        self.any_number()
    }

    /// A number as serde reads it.
    #[cold]
    fn any_number(&mut self) -> Option<Raw<'a>> {
        let is_part = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        let length = self.rest().iter().take_while(is_part).count();
        let token = self.text.get(self.at..self.at + length)?;
        self.at += length;
        let number: serde_json::Number = serde_json::from_str(token).ok()?;
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), _, _) => Some(Raw::Whole(whole)),
            (None, Some(negative), _) => Some(Raw::Negative(negative)),
            (None, None, number) => number.filter(|number| number.is_finite()).map(Raw::Number),
        }
    }
}

/// Powers of ten by their exponent.
const SCALES: [f64; EXACT_DIGITS_MAX + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Where the first quote is.
#[inline(always)]
fn quote_at(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const QUOTES: u64 = ONES * b'"' as u64;
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // Zero where there is a quote; the lowest byte that is zero gets its highest bit (A. Mycroft's test).
        let other = u64::from_le_bytes(*word) ^ QUOTES;
        let zeros = other.wrapping_sub(ONES) & !other & (ONES << 7);
        if zeros != 0 {
            return Some(at * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let looked_at = words.len() * 8;
    let rest = bytes[looked_at..].iter().position(|byte| *byte == b'"')?;
    Some(looked_at + rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::super::read;
    use super::*;

    fn read_quickly(text: &str, nesting_max: usize) -> Option<Members<'_>> {
        let mut members = Members::none(Flaws::default());
        read(text, nesting_max, &mut members)?;
        Some(members)
    }

    /// What a pass found, as far as it can be compared.
    fn said<'a>(members: &'a Members<'_>) -> (&'a [Raw<'a>], u32, u32, String) {
        let flaws = format!("{:?}", members.flaws);
        (&members.values, members.present, members.strangers, flaws)
    }

    fn value() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            6 => "[ !#-\\[\\]-~]{0,24}",
            1 => "\\PC{0,8}",
            1 => Just("4111 1111 1111 1111".to_owned()),
            1 => select(vec!["\\u0041", "\t", "\"", "é", "ü\u{1}"]).prop_map(str::to_owned),
        ];
        let number = prop_oneof![
            4 => any::<u64>().prop_map(|number| number.to_string()),
            2 => any::<i64>().prop_map(|number| number.to_string()),
            3 => any::<f64>().prop_map(|number| number.to_string()),
            3 => (-1_800_000..1_800_000_i32).prop_map(|steps| (f64::from(steps) / 1e4).to_string()),
            2 => "-?[0-9]{1,22}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?",
        ];
        prop_oneof![
            6 => text.prop_map(|text| format!("\"{text}\"")),
            6 => number,
            2 => select(vec!["true", "false", "null", "nul", "True", "NaN", "-Infinity"]).prop_map(str::to_owned),
            1 => "-?[0-9]{0,9}\\.[0-9]{1,12}",
            1 => select(vec!["{}", "[1]", "{\"a\":1}", ""]).prop_map(str::to_owned),
        ]
    }

    fn member() -> impl Strategy<Value = String> {
        let names = FIELDS.map(Field::name).to_vec();
        let name = prop_oneof![30 => select(names), 1 => select(vec!["more", "", "event\\u005fid"])];
        let between = || prop_oneof![6 => Just(""), 2 => Just(" "), 1 => select(vec!["  ", "\n", "\t"])];
        (between(), name, between(), between(), value(), between())
            .prop_map(|(before, name, a, b, value, after)| format!("{before}\"{name}\"{a}:{b}{value}{after}"))
    }

    const FIELDS: [Field; 6] = [
        Field::Schema,
        Field::EventId,
        Field::AmountMinor,
        Field::Latitude,
        Field::Approved,
        Field::Links,
    ];

    fn payload() -> impl Strategy<Value = String> {
        let fault = prop_oneof![
            6 => Just(None),
            1 => (any::<Index>(), select(b"{}[]\",:\\ 0.ex\t\x00".to_vec()), any::<bool>()).prop_map(Some),
        ];
        let ends = select(vec![
            ("{", "}"),
            ("{", "}"),
            ("{", "}"),
            (" {", "} "),
            ("{", ""),
            ("", "}"),
            ("{", "}}"),
            ("{", ",}"),
            ("\n{", "}\n"),
        ]);
        (proptest::collection::vec(member(), 0..5), ends, fault).prop_map(|(members, (begin, end), fault)| {
            let mut json = format!("{begin}{}{end}", members.join(","));
            if let Some((at, byte, is_more)) = fault
                && !json.is_empty()
            {
                let at = at.index(json.len());
                if json.is_char_boundary(at) {
                    let rest = json.split_off(at);
                    json.push(char::from(byte));
                    json.extend(rest.chars().skip(usize::from(!is_more)));
                }
            }
            json
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_quickly_is_what_serde_reads(json in payload(), nesting_max in 0..3_usize) {
            if let Some(quick) = read_quickly(&json, nesting_max) {
                let any = read::read(&json, nesting_max);
                prop_assert!(any.is_ok(), "{}", json);
                let any = any.unwrap();
                prop_assert_eq!(said(&quick), said(&any));
            }
        }

        #[test]
        fn a_quote_is_found_where_it_is(bytes in proptest::collection::vec(select(b"a\"!#\xA2\x00 b".to_vec()), 0..40)) {
            prop_assert_eq!(quote_at(&bytes), bytes.iter().position(|byte| *byte == b'"'));
        }
    }

    #[test]
    fn what_most_producers_write_is_read_quickly() {
        for json in [
            r#"{"schema":"transaction","version":2,"amount_minor":1234,"latitude":48.8566,"approved":true,"device_id":null}"#,
            r#"{"schema": "transaction", "version": 2, "amount_minor": 0, "latitude": -48.8566, "approved": false}"#,
        ] {
            let quick = read_quickly(json, 16).unwrap();
            assert_eq!(said(&quick), said(&read::read(json, 16).unwrap()));
            assert!(quick.present.count_ones() >= 5);
        }
        // 19 digits are serde's, and a zero before others is nobody's.
        let json = r#"{"version":1234567890123456789}"#;
        let version = &read_quickly(json, 16).unwrap().values[Field::Version as usize];
        assert_eq!(*version, Raw::Whole(1_234_567_890_123_456_789));
        assert!(read_quickly(r#"{"version":01}"#, 16).is_none() && read::read(r#"{"version":01}"#, 16).is_err());
    }
}
