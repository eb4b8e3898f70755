//! Amounts: a text to whole minor units of a currency, exactly, without a float in between.

use tidemark_domain::event::Currency;

use crate::code::{MapCode, Wrong};
use crate::row::{PathId, RowView};

use super::{Blame, nothing, text_of, without};

/// How an amount is read.
#[derive(Clone, Debug)]
pub(crate) struct AmountRule {
    pub(crate) from: PathId,
    /// Whether it counts major units with a fraction.
    pub(crate) is_decimal: bool,
    pub(crate) decimal: char,
    pub(crate) thousands: Option<char>,
    pub(crate) strip: String,
    pub(crate) absolute: bool,
    pub(crate) round: bool,
}

/// An amount without its sign: digits before and behind the separator.
struct Digits {
    whole: String,
    fraction: String,
}

impl AmountRule {
    /// The amount of a row in minor units of its currency.
    pub(crate) fn require(&self, row: &RowView<'_>, currency: Currency) -> Result<u64, Blame> {
        let text = text_of(row, self.from)?.map(|text| without(text, &self.strip));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Err(nothing(Some(self.from)));
        };
        self.minor(&text, currency)
            .map_err(|(code, why)| (Some(self.from), Wrong::of(code, &text, why)))
    }

    fn minor(&self, text: &str, currency: Currency) -> Result<u64, (MapCode, String)> {
        let (unsigned, is_negative) = match text.strip_prefix(['-', '−']) {
            Some(unsigned) => (unsigned, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let digits = self.digits(unsigned.trim())?;
        if is_negative && !self.absolute {
            return Err((MapCode::AmountNegative, "expected an amount of zero or more".to_owned()));
        }
        let exponent = if self.is_decimal {
            currency.minor_digits() as usize
        } else {
            0
        };
        let kept = digits.fraction.trim_end_matches('0');
        let rounds_up = if kept.len() > exponent {
            if !self.round {
                return Err((MapCode::AmountPrecision, self.too_fine(currency, exponent)));
            }
            kept.as_bytes().get(exponent).is_some_and(|digit| *digit >= b'5')
        } else {
            false
        };
        let fraction = kept.get(..exponent.min(kept.len())).unwrap_or_default();
        let minor = format!("0{}{fraction:0<exponent$}", digits.whole);
        let too_large = |_| {
            (
                MapCode::AmountText,
                "expected an amount of at most 18 digits".to_owned(),
            )
        };
        let minor: u64 = minor.parse().map_err(too_large)?;
        Ok(minor.saturating_add(u64::from(rounds_up)))
    }

    fn too_fine(&self, currency: Currency, exponent: usize) -> String {
        if self.is_decimal {
            format!(
                "expected at most {exponent} digits behind the separator, as {} has",
                currency.as_str()
            )
        } else {
            "expected whole minor units (`unit = \"decimal\"` takes a fraction)".to_owned()
        }
    }

    fn digits(&self, text: &str) -> Result<Digits, (MapCode, String)> {
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = text.split_once(self.decimal).unwrap_or((text, ""));
        let grouped = match self.thousands {
            Some(thousands) if whole.contains(thousands) => ungrouped(whole, thousands),
            _ => Some(whole.to_owned()),
        };
        let has_digit = !whole.is_empty() || !fraction.is_empty();
        match grouped {
            Some(whole)
                if has_digit
                    && (whole.is_empty() || is_digits(&whole))
                    && (fraction.is_empty() || is_digits(fraction)) =>
            {
                let fraction = fraction.to_owned();
                Ok(Digits { whole, fraction })
            }
            _ if is_separated(text) => {
                let thousands = self.thousands.map_or("none".to_owned(), |sign| format!("{sign:?}"));
                let why = format!("the map states decimal {:?} and thousands {thousands}", self.decimal);
                Err((MapCode::AmountSeparators, why))
            }
            _ => Err((MapCode::AmountText, "expected an amount such as 12.34".to_owned())),
        }
    }
}

/// Digits without what stands between their groups: of three at the end, and of two or three before, as in India.
fn ungrouped(whole: &str, thousands: char) -> Option<String> {
    let groups: Vec<&str> = whole.split(thousands).collect();
    let (first, rest) = groups.split_first()?;
    let last = rest.last()?;
    let is_group = |group: &&str| (2..=3).contains(&group.len());
    (last.len() == 3 && (1..=3).contains(&first.len()) && rest.iter().all(is_group)).then(|| groups.concat())
}

/// Whether it is digits, and signs that separate digits somewhere.
fn is_separated(text: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | ',' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '_' | '·');
    text.chars().any(|c| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || is_separator(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> AmountRule {
        AmountRule {
            from: PathId(0),
            is_decimal: true,
            decimal: '.',
            thousands: None,
            strip: String::new(),
            absolute: false,
            round: false,
        }
    }

    fn read(rule: &AmountRule, text: &str, currency: &str) -> Result<u64, MapCode> {
        let currency = Currency::new(currency).unwrap();
        rule.minor(text, currency).map_err(|(code, _)| code)
    }

    #[test]
    fn a_decimal_counts_by_the_exponent_of_its_currency() {
        for (text, currency, minor) in [
            ("12.34", "EUR", 1_234),
            ("12.3", "EUR", 1_230),
            ("12", "EUR", 1_200),
            ("12.3400", "EUR", 1_234),
            (".5", "EUR", 50),
            ("5.", "EUR", 500),
            ("+7.00", "EUR", 700),
            ("0.00", "EUR", 0),
            ("12", "JPY", 12),
            ("12.0", "JPY", 12),
            ("12.345", "KWD", 12_345),
            ("0.1", "KWD", 100),
        ] {
            assert_eq!(read(&rule(), text, currency), Ok(minor), "{text} {currency}");
        }
    }

    #[test]
    fn separators_that_nobody_stated_are_refused() {
        for text in [
            "1,234.56",
            "1.234,56",
            "12,50",
            "1 234",
            "1'234.00",
            "1.234.567",
            "1_000",
        ] {
            assert_eq!(read(&rule(), text, "EUR"), Err(MapCode::AmountSeparators), "{text}");
        }
        // Two lands, one text: 1.234 is not a thousand unless the map says so.
        assert_eq!(read(&rule(), "1.234", "EUR"), Err(MapCode::AmountPrecision));
        let german = AmountRule {
            decimal: ',',
            thousands: Some('.'),
            ..rule()
        };
        assert_eq!(read(&german, "1.234,56", "EUR"), Ok(123_456));
        assert_eq!(read(&german, "1.234", "EUR"), Ok(123_400));
        assert_eq!(
            read(&german, "12.34", "EUR"),
            Err(MapCode::AmountSeparators),
            "no group of three"
        );
        assert_eq!(read(&german, "1234,5", "EUR"), Ok(123_450));
        assert_eq!(read(&german, ".234,5", "EUR"), Err(MapCode::AmountSeparators));
        let indian = AmountRule {
            thousands: Some(','),
            ..rule()
        };
        assert_eq!(read(&indian, "12,34,567.89", "INR"), Ok(123_456_789));
        assert_eq!(read(&indian, "1,2,345", "INR"), Err(MapCode::AmountSeparators));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "abc", "1e3", "12.3.4x", "EUR 5", "NaN", "--5", "0x10"] {
            assert_eq!(read(&rule(), text, "EUR").unwrap_err(), MapCode::AmountText, "{text}");
        }
        assert_eq!(read(&rule(), "99999999999999999999", "EUR"), Err(MapCode::AmountText));
        assert_eq!(read(&rule(), "-1.00", "EUR"), Err(MapCode::AmountNegative));
        let absolute = AmountRule {
            absolute: true,
            ..rule()
        };
        assert_eq!(read(&absolute, "-1.00", "EUR"), Ok(100));
        assert_eq!(read(&absolute, "−1.00", "EUR"), Ok(100));
    }

    #[test]
    fn rounding_is_half_away_from_zero_and_only_where_it_is_stated() {
        let round = AmountRule { round: true, ..rule() };
        for (text, minor) in [
            ("12.345", 1_235),
            ("12.3449", 1_234),
            ("0.004", 0),
            ("0.995", 100),
            ("12", 1_200),
        ] {
            assert_eq!(read(&round, text, "EUR"), Ok(minor), "{text}");
        }
        assert_eq!(read(&round, "12.5", "JPY"), Ok(13));
        let minor = AmountRule {
            is_decimal: false,
            ..rule()
        };
        assert_eq!(read(&minor, "1234", "EUR"), Ok(1_234));
        assert_eq!(read(&minor, "1234.0", "EUR"), Ok(1_234));
        assert_eq!(read(&minor, "12.34", "EUR"), Err(MapCode::AmountPrecision));
    }
}
