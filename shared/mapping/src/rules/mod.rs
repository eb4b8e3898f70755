//! Rules: what makes a field of an event of values of a row.

pub(crate) mod amount;
pub(crate) mod choice;
pub(crate) mod id;
pub(crate) mod number;
pub(crate) mod time;

use std::borrow::Cow;

use crate::code::{MapCode, Wrong};
use crate::row::{Cell, PathId, RowView};

/// What a rule found wrong, and in which column.
pub(crate) type Blame = (Option<PathId>, Wrong);

/// A value as a text; `None` where nothing stands.
pub(crate) fn text_of<'r>(row: &RowView<'r>, path: PathId) -> Result<Option<Cow<'r, str>>, Blame> {
    match row.cell(path) {
        Cell::Nothing => Ok(None),
        Cell::Text(text) => Ok(Some(text)),
        Cell::Fraction(text) => Ok(Some(Cow::Owned(text))),
        Cell::Nested => {
            let wrong = Wrong::new(MapCode::NotAValue, "expected a value, found an array or an object");
            Err((Some(path), wrong))
        }
    }
}

/// Nothing stands where something must.
pub(crate) fn nothing(path: Option<PathId>) -> Blame {
    (path, Wrong::new(MapCode::EmptyValue, "expected a value, found nothing"))
}

/// A text without some characters.
pub(crate) fn without<'t>(text: Cow<'t, str>, strip: &str) -> Cow<'t, str> {
    if strip.is_empty() || !text.contains(|c| strip.contains(c)) {
        return text;
    }
    let kept: String = text.chars().filter(|c| !strip.contains(*c)).collect();
    Cow::Owned(kept.trim().to_owned())
}
