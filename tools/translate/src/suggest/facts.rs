//! What a column's values have in common.

use std::collections::BTreeMap;

use super::amounts::Amounts;
use super::times::Times;
use super::words;
use tidemark_mapping::holds_card_number;

/// Values of a column that are told apart.
const DISTINCT_MAX: usize = 64;

/// What a column's values have in common, so far.
pub(crate) struct Facts {
    pub(crate) name: String,
    /// The words of its name, in small letters.
    pub(crate) words: Vec<String>,
    pub(crate) filled: u64,
    /// Values and how often each came, as far as they are told apart.
    pub(crate) values: BTreeMap<String, u64>,
    /// Whether there are more values than are told apart.
    pub(crate) has_more: bool,
    /// Whether a value came twice.
    pub(crate) has_repeats: bool,
    seen: std::collections::BTreeSet<u64>,
    /// Values that hold a card number.
    pub(crate) card_numbers: u64,
    pub(crate) amounts: Amounts,
    pub(crate) times: Times,
}

impl Facts {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            words: words::of(name),
            filled: 0,
            values: BTreeMap::new(),
            has_more: false,
            has_repeats: false,
            seen: std::collections::BTreeSet::new(),
            card_numbers: 0,
            amounts: Amounts::default(),
            times: Times::default(),
        }
    }

    pub(crate) fn take(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        self.filled += 1;
        self.has_repeats |= !self.seen.insert(tidemark_domain::id::fingerprint64(value));
        if let Some(count) = self.values.get_mut(value) {
            *count += 1;
        } else if self.values.len() < DISTINCT_MAX {
            self.values.insert(value.to_owned(), 1);
        } else {
            self.has_more = true;
        }
        self.card_numbers += u64::from(holds_card_number(value));
        self.amounts.take(value);
        self.times.take(value);
    }

    /// Whether every value that there is passes.
    pub(crate) fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        self.filled > 0 && self.values.keys().all(|value| is(value))
    }

    /// All of its values, where they are few.
    pub(crate) fn few(&self, at_most: usize) -> Option<Vec<&str>> {
        let is_few = !self.has_more && !self.values.is_empty() && self.values.len() <= at_most;
        is_few.then(|| self.values.keys().map(String::as_str).collect())
    }

    /// Whether each row has a value of its own.
    pub(crate) fn is_unique(&self) -> bool {
        self.filled > 0 && !self.has_repeats
    }
}
