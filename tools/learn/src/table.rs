//! What is learned from: feature values and labels, a column a feature.

use std::sync::Arc;

use crate::refusal::LearnError;

/// At most so many features: the bins of one event, four bits each, and its label fit one 128-bit number.
pub const FEATURES_MAX: usize = 31;

/// At most so many events: with 20 features they are 185 bytes each, 18.5 GB together.
pub const ROWS_MAX: usize = 100_000_000;

/// What is known of an event besides its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The event's own time, ms.
    pub at_ms: i64,
    /// Its card: a number that stands for it.
    pub card: u64,
    /// Its amount, base minor units.
    pub amount_minor: u64,
    /// Whether a label calls it fraud, as known when training begins.
    pub fraud: bool,
}

/// Feature values and labels, by column.
///
/// Values are kept as `f64`, 8 bytes each, exactly as the score sees them: an event that lies on a bin's edge must lie on
/// the same side of it in training and in use, and rounding to `f32` would push some over. 1.3 million events with 20
/// features are 208 MB, and 33 MB for what else is known of them. Missing values are stored as NaN, which can't come in.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    /// Shared with the tables of a part of the features.
    columns: Vec<Arc<Vec<f64>>>,
    at_ms: Arc<Vec<i64>>,
    card: Arc<Vec<u64>>,
    amount_minor: Arc<Vec<u64>>,
    fraud: Arc<Vec<bool>>,
}

impl Table {
    /// An empty table of these features.
    ///
    /// # Errors
    /// Without a feature, with more than [`FEATURES_MAX`], or with two of one name.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Self, LearnError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(LearnError::NoFeatures);
        }
        if names.len() > FEATURES_MAX {
            return Err(LearnError::TooManyFeatures {
                found: names.len(),
                max: FEATURES_MAX,
            });
        }
        let is_second = |(at, name): &(usize, &String)| names[..*at].contains(name);
        if let Some((_, name)) = names.iter().enumerate().find(is_second) {
            return Err(LearnError::DuplicateFeature(name.clone()));
        }
        Ok(Self {
            columns: names.iter().map(|_| Arc::default()).collect(),
            names,
            at_ms: Arc::default(),
            card: Arc::default(),
            amount_minor: Arc::default(),
            fraud: Arc::default(),
        })
    }

    /// Makes room for so many more rows, so that the columns need not grow by copying.
    pub fn reserve(&mut self, rows: usize) {
        for column in &mut self.columns {
            Arc::make_mut(column).reserve_exact(rows);
        }
        Arc::make_mut(&mut self.at_ms).reserve_exact(rows);
        Arc::make_mut(&mut self.card).reserve_exact(rows);
        Arc::make_mut(&mut self.amount_minor).reserve_exact(rows);
        Arc::make_mut(&mut self.fraud).reserve_exact(rows);
    }

    /// Adds an event with its features' values in the table's order; `None` is a missing value. Events need no order.
    ///
    /// # Errors
    /// When the table is full, there are too few or too many values, or one is not a finite number. The table stays as it was.
    pub fn push(&mut self, row: Row, values: &[Option<f64>]) -> Result<(), LearnError> {
        if self.len() >= ROWS_MAX {
            return Err(LearnError::TooManyRows { max: ROWS_MAX });
        }
        if values.len() != self.names.len() {
            return Err(LearnError::WrongWidth {
                row: self.len(),
                found: values.len(),
                expected: self.names.len(),
            });
        }
        let is_finite = |value: &Option<f64>| value.is_none_or(f64::is_finite);
        if let Some(at) = values.iter().position(|value| !is_finite(value)) {
            return Err(LearnError::NotFinite {
                row: self.len(),
                feature: self.names[at].clone(),
            });
        }
        for (column, value) in self.columns.iter_mut().zip(values) {
            Arc::make_mut(column).push(value.unwrap_or(f64::NAN));
        }
        Arc::make_mut(&mut self.at_ms).push(row.at_ms);
        Arc::make_mut(&mut self.card).push(row.card);
        Arc::make_mut(&mut self.amount_minor).push(row.amount_minor);
        Arc::make_mut(&mut self.fraud).push(row.fraud);
        Ok(())
    }

    /// The same events with a part of the features, in the same order. The values are shared, not copied.
    pub(crate) fn only(&self, keeps: impl Fn(&str) -> bool) -> Self {
        let kept = self.names.iter().zip(&self.columns).filter(|(name, _)| keeps(name));
        let (names, columns) = kept.map(|(name, column)| (name.clone(), Arc::clone(column))).unzip();
        Self {
            names,
            columns,
            ..self.clone()
        }
    }

    /// Names of the features, in the table's order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fraud.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fraud.is_empty()
    }

    /// What is known of an event besides its features; `None` beyond the end.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<Row> {
        Some(Row {
            at_ms: *self.at_ms.get(at)?,
            card: *self.card.get(at)?,
            amount_minor: *self.amount_minor.get(at)?,
            fraud: *self.fraud.get(at)?,
        })
    }

    /// The values of an event, in the table's order.
    pub fn values(&self, at: usize) -> impl Iterator<Item = Option<f64>> {
        self.columns
            .iter()
            .map(move |column| column.get(at).copied().filter(|value| !value.is_nan()))
    }

    /// Amounts of all events, base minor units.
    #[must_use]
    pub fn amounts_minor(&self) -> &[u64] {
        &self.amount_minor
    }

    /// The values of one feature; NaN where it is missing.
    pub(crate) fn column(&self, feature: usize) -> &[f64] {
        &self.columns[feature]
    }

    pub(crate) fn times_ms(&self) -> &[i64] {
        &self.at_ms
    }

    pub(crate) fn frauds(&self) -> &[bool] {
        &self.fraud
    }
}
