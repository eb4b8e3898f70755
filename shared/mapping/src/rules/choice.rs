//! Values out of a few: a currency, a country, a channel, a category, yes or no, a verdict.

use std::collections::BTreeMap;

use crate::code::{MapCode, Wrong};
use crate::row::{PathId, RowView};

use super::{Blame, nothing, text_of};

/// How a value is chosen.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceRule<T> {
    pub(crate) from: Option<PathId>,
    pub(crate) constant: Option<T>,
    pub(crate) values: Option<BTreeMap<String, T>>,
    pub(crate) otherwise: Option<T>,
    pub(crate) empty: Option<T>,
}

/// What a value is when no list says what it means.
pub(crate) trait Plain: Clone {
    fn plain(text: &str) -> Result<Self, Wrong>;
}

impl Plain for String {
    fn plain(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}

impl Plain for u16 {
    fn plain(text: &str) -> Result<Self, Wrong> {
        let expected = || Wrong::of(MapCode::NumberText, text, "expected a whole number");
        // A table may have been through a program that writes 5411 as 5411.0.
        let whole = text.strip_suffix(".0").unwrap_or(text);
        whole.parse().map_err(|_| expected())
    }
}

impl Plain for u64 {
    fn plain(text: &str) -> Result<Self, Wrong> {
        let whole = text.strip_suffix(".0").unwrap_or(text);
        let expected = |_| Wrong::of(MapCode::NumberText, text, "expected a whole number of zero or more");
        whole.parse().map_err(expected)
    }
}

impl Plain for bool {
    fn plain(text: &str) -> Result<Self, Wrong> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "0" => Ok(false),
            _ => Err(Wrong::of(
                MapCode::BooleanText,
                text,
                "expected true or false, t or f, yes or no, y or n, 1 or 0",
            )),
        }
    }
}

impl<T: Plain> ChoiceRule<T> {
    /// The value of a row; `None` where nothing stands and nothing is said of that.
    pub(crate) fn make(&self, row: &RowView<'_>) -> Result<Option<T>, Blame> {
        let Some(path) = self.from else {
            return Ok(self.constant.clone());
        };
        let Some(text) = text_of(row, path)? else {
            return Ok(self.empty.clone());
        };
        let Some(values) = &self.values else {
            return T::plain(&text).map(Some).map_err(|wrong| (Some(path), wrong));
        };
        match values.get(text.as_ref()).or(self.otherwise.as_ref()) {
            Some(value) => Ok(Some(value.clone())),
            None => {
                let why = format!("none of the {} values that the map lists", values.len());
                Err((Some(path), Wrong::of(MapCode::UnknownValue, &text, why)))
            }
        }
    }

    /// The same where there must be one.
    pub(crate) fn require(&self, row: &RowView<'_>) -> Result<T, Blame> {
        self.make(row)?.ok_or_else(|| nothing(self.from))
    }
}
