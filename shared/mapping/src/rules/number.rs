//! Numbers: degrees.

use crate::code::{MapCode, Wrong};
use crate::row::{PathId, RowView};

use super::{Blame, text_of};

/// A number of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberRule {
    pub(crate) from: PathId,
}

impl NumberRule {
    /// The number of a row; `None` where nothing stands.
    pub(crate) fn make(self, row: &RowView<'_>) -> Result<Option<f64>, Blame> {
        let Some(text) = text_of(row, self.from)? else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => {
                let wrong = Wrong::of(MapCode::NumberText, &text, "expected a number such as 50.8503");
                Err((Some(self.from), wrong))
            }
        }
    }
}
