//! The training set as Parquet.

use std::io::Write;

use columns::{ColumnKind, Value};

use super::KEYS;
use crate::learning::LearningError;
use crate::learning::replay::Scored;

/// What the columns before the features hold, in the order of [`KEYS`].
const KINDS: [ColumnKind; KEYS.len()] = [
    ColumnKind::Text,
    ColumnKind::Text,
    ColumnKind::Whole,
    ColumnKind::Whole,
    ColumnKind::Whole,
    ColumnKind::Text,
    ColumnKind::Whole,
];

/// A file under way.
pub(super) struct ParquetRows<'a>(columns::Rows<&'a mut (dyn Write + Send)>);

impl<'a> ParquetRows<'a> {
    pub(super) fn begin(names: &[String], output: &'a mut (dyn Write + Send)) -> Result<Self, LearningError> {
        let keys = KEYS.into_iter().zip(KINDS);
        let features = names.iter().map(|name| (name.as_str(), ColumnKind::Number));
        let columns: Vec<(&str, ColumnKind)> = keys.chain(features).collect();
        Ok(Self(columns::Rows::new(output, &columns)?))
    }

    pub(super) fn row(&mut self, scored: &Scored, fraud: bool) -> Result<(), LearningError> {
        // An amount is below 2^50.
        let amount = i64::try_from(scored.amount_minor).unwrap_or(i64::MAX);
        let mut row = vec![
            Value::Text(&scored.event_id),
            Value::Text(&scored.card_id),
            Value::Whole(scored.time_ms),
            Value::Whole(amount),
            Value::Whole(scored.score.into()),
            Value::Text(&scored.decision),
            Value::Whole(fraud.into()),
        ];
        row.extend(scored.values.iter().map(|value| Value::Number(*value)));
        Ok(self.0.push(&row)?)
    }

    pub(super) fn finish(self) -> Result<(), LearningError> {
        Ok(self.0.finish()?)
    }
}
