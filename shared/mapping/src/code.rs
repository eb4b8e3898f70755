//! Why a row gives no event: a code, the place, and what to do.

use serde::Serialize;
use tidemark_domain::contract::mask_card_numbers;

use crate::limits::SHOWN_CHARS_MAX;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $advice:literal;)*) => {
        /// The codes of rows that a map can't make an event of. What the contract refuses besides has the contract's own codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MapCode {
            $($(#[$doc])* $variant,)*
        }

        impl MapCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

codes! {
    /// The row is longer than the limit.
    RowTooLong = "row_too_long", "Look whether a quote before this line is not closed; split the row otherwise.";
    /// The row has more or fewer columns than the first one.
    Columns = "columns", "Look for a quote that is not closed, or for a delimiter within a value: such values stand in quotes.";
    /// The row is not UTF-8.
    NotUtf8 = "not_utf8", "Make UTF-8 of the file: iconv -f LATIN1 -t UTF-8 FILE (or whatever it is in).";
    /// The line is no JSON object.
    NotJson = "not_json", "Each line is one JSON object.";
    /// The line nests too deep.
    TooDeep = "too_deep", "Take out what lies so deep: the map can't need it.";
    /// The path leads to an array or an object.
    NotAValue = "not_a_value", "Lead the path on to the value within: /card/id.";
    /// Nothing stands where something must.
    EmptyValue = "empty_value", "Give `empty = …` in the map for rows without it, or mend the row.";
    /// The value is none of those that the map lists.
    UnknownValue = "unknown_value", "Add it to `values`, or give `otherwise = …` for all that are not listed.";
    /// The row is of none of the map's kinds.
    NoKind = "no_kind", "Add a [[kinds]] whose `when` takes it, or leave such rows out with [skip].";
    /// The amount is no number.
    AmountText = "amount_text", "Take signs such as € out with `strip = \"€\"`, or mend the row.";
    /// The amount has separators that the map does not state.
    AmountSeparators = "amount_separators", "State what they mean: `thousands = \",\"` and `decimal = \".\"`, or the other way round.";
    /// The amount is finer than the currency's minor unit.
    AmountPrecision = "amount_precision", "State `thousands` if that is a separator of thousands, or `round = true` if the amount may be rounded.";
    /// The amount is negative.
    AmountNegative = "amount_negative", "State `absolute = true` if the file writes debits so, or leave such rows out with [skip].";
    /// The currency is none that has a known minor unit.
    UnknownCurrency = "unknown_currency", "Use a code of ISO 4217, or translate it with `values`.";
    /// The time can't be read by the map's format.
    TimeText = "time_text", "State how the file writes times: `time = \"%d/%m/%Y %H:%M:%S\"`; docs/reference/map.md lists the signs.";
    /// The date can be read in two ways.
    TimeAmbiguous = "time_ambiguous", "State which it is: `time = \"%d/%m/%Y\"` or `time = \"%m/%d/%Y\"`.";
    /// The time has no zone, and the map names none.
    TimeWithoutZone = "time_without_zone", "State the zone of the file's clocks: `zone = \"Europe/Brussels\"`, or \"UTC\".";
    /// The hour comes twice on that day.
    TimeTwice = "time_twice", "State which one is meant: `twice = \"earlier\"` or `twice = \"later\"`.";
    /// The hour does not exist on that day.
    TimeSkipped = "time_skipped", "State what is meant: `skipped = \"earlier\"` or `skipped = \"later\"`; or the zone is another one.";
    /// The number is a time in another unit.
    TimeUnit = "time_unit", "State the unit: `time = \"epoch_s\"`, \"epoch_ms\" or \"epoch_us\".";
    /// The value is no number.
    NumberText = "number_text", "Mend the row, or lead `from` to another column.";
    /// The value is no boolean.
    BooleanText = "boolean_text", "Say what it means: values = { \"00\" = true, \"05\" = false }.";
    /// The id is a number that is not whole.
    IdNumber = "id_number", "Write ids as text: a number with a fraction or an exponent has many spellings.";
}

/// What is wrong with a value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The code.
    pub code: MapCode,
    /// The value, where it may be shown.
    pub value: Option<String>,
    /// What is wrong, without the value.
    pub why: String,
}

impl Wrong {
    /// Without a value.
    #[must_use]
    pub fn new(code: MapCode, why: impl Into<String>) -> Self {
        Self {
            code,
            value: None,
            why: why.into(),
        }
    }

    /// With the value that it is about.
    #[must_use]
    pub fn of(code: MapCode, value: &str, why: impl Into<String>) -> Self {
        Self {
            code,
            value: Some(shown_value(value)),
            why: why.into(),
        }
    }
}

/// A row that gives no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// The code: the map's ([`MapCode`]), or the contract's.
    pub code: &'static str,
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// The column's name, or the path; where one is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The column's number in a table, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_number: Option<usize>,
    /// The value, cut, card numbers masked; none of a column that the map hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub advice: String,
}

impl RefusedRow {
    /// `column "amount" (5)`, or nothing where no column is to blame.
    #[must_use]
    pub fn place(&self) -> String {
        match (&self.column, self.column_number) {
            (Some(column), Some(number)) => format!("column {column:?} ({number})"),
            (Some(column), None) => format!("column {column:?}"),
            (None, _) => String::new(),
        }
    }

    /// `column "amount" (5): expected …`, without the value.
    #[must_use]
    pub fn place_and_reason(&self) -> String {
        match self.place() {
            place if place.is_empty() => self.why.clone(),
            place => format!("{place}: {}", self.why),
        }
    }
}

/// A value as it may be shown: card numbers masked, and cut.
#[must_use]
pub fn shown_value(value: &str) -> String {
    let masked = mask_card_numbers(value.as_bytes());
    let masked = String::from_utf8_lossy(&masked);
    let mut shown: String = masked.chars().take(SHOWN_CHARS_MAX).collect();
    if masked.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a text holds what a message would mask.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    mask_card_numbers(text.as_bytes()).as_ref() != text.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_and_shows_no_card_number() {
        assert_eq!(shown_value("pan 4111 1111 1111 1111!"), "pan **** **** **** ****!");
        assert_eq!(shown_value(&"é".repeat(100)).chars().count(), SHOWN_CHARS_MAX + 1);
        assert_eq!(shown_value("12.30"), "12.30");
    }

    #[test]
    fn codes_are_told_apart_and_each_says_what_to_do() {
        let names: std::collections::BTreeSet<&str> = MapCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), MapCode::ALL.len());
        assert!(MapCode::ALL.iter().all(|code| code.advice().len() > 20));
    }
}
