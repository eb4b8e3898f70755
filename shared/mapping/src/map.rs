//! A map at work: a row under it, and what is said of a row that it refuses.

use tidemark_domain::refusal::Refusal;

use crate::code::{MapCode, RefusedRow, Wrong, shown_value};
use crate::compile::{InputRule, KindRule, RowMap, WhenRule};
use crate::event::{self, Made, Unmade};
use crate::row::{Cell, PathId, RowView, ValuePlace};
use crate::rules::id::IdRule;

impl RowMap {
    /// How the file is written.
    #[must_use]
    pub const fn input(&self) -> &InputRule {
        &self.input
    }

    /// Every column and path that the map names.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Where each path leads in an object.
    #[must_use]
    pub fn places_in_objects(&self) -> Vec<ValuePlace> {
        self.paths.iter().map(|path| member(path)).collect()
    }

    /// The events of a row; `None`: the map leaves it out.
    ///
    /// # Errors
    /// Why the row gives none.
    pub fn make(&self, row: &RowView<'_>) -> Result<Option<Made>, Unmade> {
        if self.skip.as_ref().is_some_and(|skip| is_of(skip, row)) {
            return Ok(None);
        }
        let mut kinds = self.kinds.iter();
        let Some(kind) = kinds.find(|kind| kind.when.as_ref().is_none_or(|when| is_of(when, row))) else {
            let first = self.kinds.first().and_then(|kind| kind.when.as_ref());
            let path = first.map(|when| when.from);
            let why = format!("none of the {} kinds of the map takes this row", self.kinds.len());
            let wrong = match path.map(|path| row.cell(path)) {
                Some(Cell::Text(text)) => Wrong::of(MapCode::NoKind, &text, why),
                _ => Wrong::new(MapCode::NoKind, why),
            };
            return Err(Unmade::Rule((path, wrong)));
        };
        event::make(kind, row).map(Some)
    }

    /// A refused row as a person reads of it. A value that the map hashes is not in it.
    #[must_use]
    pub fn refused(&self, unmade: Unmade, row: &RowView<'_>) -> RefusedRow {
        let (path, code, value, why, advice) = match unmade {
            Unmade::Rule((path, wrong)) => {
                let advice = wrong.code.advice().to_owned();
                (path, wrong.code.as_str(), wrong.value, wrong.why, advice)
            }
            Unmade::Contract(path, Refusal { code, detail }) => {
                let advice =
                    format!("docs/errors/refusals.md says what `{code}` means; the map, or the row, has to change.");
                let value = path.and_then(|path| match row.cell(path) {
                    Cell::Text(text) => Some(shown_value(&text)),
                    Cell::Fraction(text) => Some(shown_value(&text)),
                    Cell::Nothing | Cell::Nested => None,
                });
                (path, code.as_str(), value, detail, advice)
            }
        };
        let is_hashed = path.is_some_and(|path| self.is_hashed(path));
        let place = path.and_then(|path| row.places.get(path.0));
        RefusedRow {
            code,
            line: row.line,
            column: path.and_then(|path| self.paths.get(path.0)).cloned(),
            column_number: match place {
                Some(ValuePlace::Column(column)) => Some(column + 1),
                _ => None,
            },
            value: value.filter(|_| !is_hashed),
            why,
            advice,
        }
    }

    /// Whether the map hashes what stands under a path.
    #[must_use]
    pub fn is_hashed(&self, path: PathId) -> bool {
        self.kinds
            .iter()
            .flat_map(ids)
            .any(|rule| rule.is_hashed() && rule.names(path))
    }
}

/// Every id of a kind.
pub(crate) fn ids(kind: &KindRule) -> impl Iterator<Item = &IdRule> {
    let of_transaction = kind.transaction.iter().flat_map(|rule| {
        let required = [&rule.event_id, &rule.card_id, &rule.merchant_id];
        let links = rule.links.iter().map(|(_, rule)| rule);
        required.into_iter().chain(&rule.device_id).chain(links)
    });
    let of_label = kind.label.iter().flat_map(|rule| {
        let ids = [&rule.event_id, &rule.card_id, &rule.merchant_id, &rule.device_id];
        ids.into_iter().flatten()
    });
    let of_profile = kind.profile.iter().filter_map(|rule| rule.card_id.as_ref());
    of_transaction.chain(of_label).chain(of_profile)
}

fn is_of(when: &WhenRule, row: &RowView<'_>) -> bool {
    let is = |text: &str| when.is.iter().any(|value| value == text);
    match row.cell(when.from) {
        Cell::Nothing => is(""),
        Cell::Text(text) => is(&text),
        Cell::Fraction(text) => is(&text),
        Cell::Nested => false,
    }
}

/// Where a path leads in an object.
fn member(path: &str) -> ValuePlace {
    if path.starts_with('/') {
        ValuePlace::Pointer(path.to_owned())
    } else {
        ValuePlace::Member(path.to_owned())
    }
}
