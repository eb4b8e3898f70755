//! What a rule is worth: how often it held, and what of that was fraud.

use serde::Serialize;

/// How often a rule held, and what of that was fraud, in events and in money.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleWorth {
    /// The rule's name.
    pub rule: String,
    /// Events for which it held, whether it decides or only watches.
    pub hits: u64,
    /// Events of these whose truth is known.
    pub known: u64,
    /// Of these, fraud.
    pub found: u64,
    /// Fraud among those whose truth is known; nothing of none.
    pub precision: Option<f64>,
    /// Amounts of the frauds, minor units.
    pub found_minor: u64,
    /// Amounts of those that are known to be none, minor units.
    pub false_minor: u64,
}

impl RuleWorth {
    /// Of a rule that has not held yet.
    #[must_use]
    pub fn new(rule: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            ..Self::default()
        }
    }

    /// Counts an event for which it held; `fraud` is nothing where nobody knows.
    pub fn count(&mut self, fraud: Option<bool>, amount_minor: u64) {
        self.hits += 1;
        let Some(fraud) = fraud else { return };
        self.known += 1;
        if fraud {
            self.found += 1;
            self.found_minor = self.found_minor.saturating_add(amount_minor);
        } else {
            self.false_minor = self.false_minor.saturating_add(amount_minor);
        }
        self.precision = Some(self.found as f64 / self.known as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_of_events_whose_truth_is_known() {
        let mut worth = RuleWorth::new("a");
        assert_eq!(worth.precision, None);
        worth.count(None, 100);
        assert_eq!((worth.hits, worth.known, worth.precision), (1, 0, None));
        worth.count(Some(true), 200);
        worth.count(Some(false), 300);
        worth.count(Some(true), 400);
        assert_eq!((worth.hits, worth.known, worth.found), (4, 3, 2));
        assert_eq!((worth.found_minor, worth.false_minor), (600, 300));
        assert_eq!(worth.precision, Some(2.0 / 3.0));
    }
}
