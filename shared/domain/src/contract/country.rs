//! Countries: the officially assigned codes of ISO 3166-1 alpha-2, and the number that stands for each in a card's state.

use crate::event::Country;

/// Every country. A country's place here is its persisted number: a new one goes to the end, none is ever taken out.
#[rustfmt::skip]
const COUNTRIES: [[u8; 2]; 249] = [
    *b"AD", *b"AE", *b"AF", *b"AG", *b"AI", *b"AL", *b"AM", *b"AO", *b"AQ", *b"AR", *b"AS", *b"AT", *b"AU", *b"AW", *b"AX", *b"AZ", *b"BA", *b"BB",
    *b"BD", *b"BE", *b"BF", *b"BG", *b"BH", *b"BI", *b"BJ", *b"BL", *b"BM", *b"BN", *b"BO", *b"BQ", *b"BR", *b"BS", *b"BT", *b"BV", *b"BW", *b"BY",
    *b"BZ", *b"CA", *b"CC", *b"CD", *b"CF", *b"CG", *b"CH", *b"CI", *b"CK", *b"CL", *b"CM", *b"CN", *b"CO", *b"CR", *b"CU", *b"CV", *b"CW", *b"CX",
    *b"CY", *b"CZ", *b"DE", *b"DJ", *b"DK", *b"DM", *b"DO", *b"DZ", *b"EC", *b"EE", *b"EG", *b"EH", *b"ER", *b"ES", *b"ET", *b"FI", *b"FJ", *b"FK",
    *b"FM", *b"FO", *b"FR", *b"GA", *b"GB", *b"GD", *b"GE", *b"GF", *b"GG", *b"GH", *b"GI", *b"GL", *b"GM", *b"GN", *b"GP", *b"GQ", *b"GR", *b"GS",
    *b"GT", *b"GU", *b"GW", *b"GY", *b"HK", *b"HM", *b"HN", *b"HR", *b"HT", *b"HU", *b"ID", *b"IE", *b"IL", *b"IM", *b"IN", *b"IO", *b"IQ", *b"IR",
    *b"IS", *b"IT", *b"JE", *b"JM", *b"JO", *b"JP", *b"KE", *b"KG", *b"KH", *b"KI", *b"KM", *b"KN", *b"KP", *b"KR", *b"KW", *b"KY", *b"KZ", *b"LA",
    *b"LB", *b"LC", *b"LI", *b"LK", *b"LR", *b"LS", *b"LT", *b"LU", *b"LV", *b"LY", *b"MA", *b"MC", *b"MD", *b"ME", *b"MF", *b"MG", *b"MH", *b"MK",
    *b"ML", *b"MM", *b"MN", *b"MO", *b"MP", *b"MQ", *b"MR", *b"MS", *b"MT", *b"MU", *b"MV", *b"MW", *b"MX", *b"MY", *b"MZ", *b"NA", *b"NC", *b"NE",
    *b"NF", *b"NG", *b"NI", *b"NL", *b"NO", *b"NP", *b"NR", *b"NU", *b"NZ", *b"OM", *b"PA", *b"PE", *b"PF", *b"PG", *b"PH", *b"PK", *b"PL", *b"PM",
    *b"PN", *b"PR", *b"PS", *b"PT", *b"PW", *b"PY", *b"QA", *b"RE", *b"RO", *b"RS", *b"RU", *b"RW", *b"SA", *b"SB", *b"SC", *b"SD", *b"SE", *b"SG",
    *b"SH", *b"SI", *b"SJ", *b"SK", *b"SL", *b"SM", *b"SN", *b"SO", *b"SR", *b"SS", *b"ST", *b"SV", *b"SX", *b"SY", *b"SZ", *b"TC", *b"TD", *b"TF",
    *b"TG", *b"TH", *b"TJ", *b"TK", *b"TL", *b"TM", *b"TN", *b"TO", *b"TR", *b"TT", *b"TV", *b"TW", *b"TZ", *b"UA", *b"UG", *b"UM", *b"US", *b"UY",
    *b"UZ", *b"VA", *b"VC", *b"VE", *b"VG", *b"VI", *b"VN", *b"VU", *b"WF", *b"WS", *b"YE", *b"YT", *b"ZA", *b"ZM", *b"ZW",
];

const LETTERS: usize = 26;
/// What [`NUMBERS`] holds where no country has that code.
const NONE: u8 = u8::MAX;
/// The number of each pair of letters: `NUMBERS[26 * first + second]`.
static NUMBERS: [u8; LETTERS * LETTERS] = numbers();

const fn numbers() -> [u8; LETTERS * LETTERS] {
    assert!(COUNTRIES.len() <= NONE as usize, "a country's number must fit a byte");
    let mut numbers = [NONE; LETTERS * LETTERS];
    let mut number = 0;
    while number < COUNTRIES.len() {
        let [first, second] = COUNTRIES[number];
        let at = (first - b'A') as usize * LETTERS + (second - b'A') as usize;
        assert!(numbers[at] == NONE, "a country is listed twice");
        #[allow(clippy::cast_possible_truncation)] // the assertion above
        {
            numbers[at] = number as u8;
        }
        number += 1;
    }
    numbers
}

/// The number of a code, or `NONE`.
fn number_of(code: [u8; 2]) -> u8 {
    let [first, second] = code.map(|letter| usize::from(letter.wrapping_sub(b'A')));
    if first < LETTERS && second < LETTERS {
        NUMBERS[first * LETTERS + second]
    } else {
        NONE
    }
}

impl Country {
    /// Takes two capital letters that ISO 3166-1 assigns to a country; any other text is `None`.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        (number_of(code) != NONE).then_some(Self(code))
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only `new` and `from_index` make a country, from ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The country's number, 0 to 248, the same for ever: a card's state keeps it.
    #[must_use]
    pub fn index(self) -> u8 {
        number_of(self.0)
    }

    /// The country of a number.
    #[must_use]
    pub fn from_index(index: u8) -> Option<Self> {
        COUNTRIES.get(usize::from(index)).copied().map(Self)
    }

    /// Every country, in the order of the numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        COUNTRIES.into_iter().map(Self)
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_there_and_back_and_never_move() {
        for (number, country) in Country::all().enumerate() {
            assert_eq!(usize::from(country.index()), number);
            assert_eq!(Country::from_index(country.index()), Some(country));
            assert_eq!(Country::new(country.as_str()), Some(country));
        }
        // Persisted: these must read the same for ever.
        let of = |code| Country::new(code).map(Country::index);
        assert_eq!(
            [of("AD"), of("DE"), of("FR"), of("US"), of("ZW")],
            [0, 56, 74, 232, 248].map(Some)
        );
        assert_eq!(Country::from_index(249), None);
    }

    #[test]
    fn no_other_text_is_a_country() {
        for text in [
            "", "F", "fr", "FRA", "ZZ", "XX", "XK", "UK", "EU", "F1", "@A", "[A", "é",
        ] {
            assert_eq!(Country::new(text), None, "{text}");
        }
    }
}
