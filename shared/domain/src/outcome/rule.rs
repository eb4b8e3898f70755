//! What rules said of an event: which held, by their names and their reasons, so that an outcome can tell it when the policy is gone.

use std::sync::Arc;

use super::Decision;

/// At most so many rules may a policy have, and so many may hold for one event.
pub const RULES_MAX: usize = 64;
/// The longest name of a rule, bytes.
pub const RULE_NAME_BYTES_MAX: usize = 32;
/// The longest reason of a rule, bytes.
pub const RULE_REASON_BYTES_MAX: usize = 120;

/// A rule's own words: its name, and the reason that a person is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleSays {
    name: Box<str>,
    reason: Box<str>,
}

impl RuleSays {
    /// The words of a rule; `None` where the name or the reason can't be one ([`RuleSays::is_name`], [`RuleSays::is_reason`]).
    #[must_use]
    pub fn new(name: &str, reason: &str) -> Option<Self> {
        (Self::is_name(name) && Self::is_reason(reason)).then(|| Self {
            name: name.into(),
            reason: reason.into(),
        })
    }

    /// Whether a text may be a rule's name: 1 to [`RULE_NAME_BYTES_MAX`] of the characters a to z, 0 to 9 and `_`, a letter first.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.len() <= RULE_NAME_BYTES_MAX
            && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
            && name.bytes().all(is_word)
    }

    /// Whether a text may be a rule's reason: 1 to [`RULE_REASON_BYTES_MAX`] bytes without control characters, a word at both ends.
    #[must_use]
    pub fn is_reason(reason: &str) -> bool {
        !reason.is_empty()
            && reason.len() <= RULE_REASON_BYTES_MAX
            && reason.trim() == reason
            && !reason.chars().any(char::is_control)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// How a rule ended for an event that it said something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleEnd {
    /// It held. The first that did says what the decision is.
    Held(Decision),
    /// It held, and only watches: no decision depends on it.
    Observed(Decision),
    /// Its arithmetic has no result, as a division by zero: it did not hold.
    Undefined,
}

impl RuleEnd {
    /// Every end.
    pub const ALL: [Self; 7] = [
        Self::Held(Decision::Pass),
        Self::Held(Decision::Review),
        Self::Held(Decision::Alert),
        Self::Undefined,
        Self::Observed(Decision::Pass),
        Self::Observed(Decision::Review),
        Self::Observed(Decision::Alert),
    ];

    /// The lists of an outcome in which rules are named by their ends.
    pub const LISTS: [&str; 3] = ["held", "observed", "undefined"];

    /// Which of [`RuleEnd::LISTS`] names the rule.
    #[must_use]
    pub const fn list(self) -> usize {
        match self {
            Self::Held(_) => 0,
            Self::Observed(_) => 1,
            Self::Undefined => 2,
        }
    }

    /// The persisted number, 0 to 6.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Held(decision) => decision as u8,
            Self::Undefined => 3,
            Self::Observed(decision) => 4 + decision as u8,
        }
    }

    /// The end of a number; `None` where there is none.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A rule that said something of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleHit {
    /// Which rule.
    pub says: Arc<RuleSays>,
    /// What came of it.
    pub end: RuleEnd,
}

impl RuleHit {
    /// The code of a rule's reason in outcomes.
    pub const REASON_CODE: &str = "rule";

    /// What it makes of the event, if it held and does not only watch.
    #[must_use]
    pub const fn held(&self) -> Option<Decision> {
        match self.end {
            RuleEnd::Held(decision) => Some(decision),
            RuleEnd::Observed(_) | RuleEnd::Undefined => None,
        }
    }

    /// Whether it held, watching or not.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self.end, RuleEnd::Held(_) | RuleEnd::Observed(_))
    }
}

/// The decision of a score after the rules: the first that held decides. `pass` lets the event pass, whatever its score; `review` and
/// `alert` make the decision stricter, never more lenient.
#[must_use]
pub fn ruled(by_score: Decision, hits: &[RuleHit]) -> Decision {
    match hits.iter().find_map(RuleHit::held) {
        None => by_score,
        Some(Decision::Pass) => Decision::Pass,
        Some(decision) => decision.max(by_score),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(end: RuleEnd) -> RuleHit {
        let says = Arc::new(RuleSays::new("a", "words").unwrap());
        RuleHit { says, end }
    }

    #[test]
    fn the_first_that_held_decides_and_only_pass_makes_it_more_lenient() {
        use Decision::{Alert, Pass, Review};
        let ruled = |by_score, ends: &[RuleEnd]| {
            let hits: Vec<RuleHit> = ends.iter().copied().map(hit).collect();
            ruled(by_score, &hits)
        };
        assert_eq!(ruled(Review, &[]), Review);
        assert_eq!(ruled(Pass, &[RuleEnd::Held(Review), RuleEnd::Held(Alert)]), Review);
        assert_eq!(ruled(Alert, &[RuleEnd::Held(Review)]), Alert);
        assert_eq!(ruled(Alert, &[RuleEnd::Held(Pass), RuleEnd::Held(Alert)]), Pass);
        assert_eq!(ruled(Pass, &[RuleEnd::Observed(Alert), RuleEnd::Undefined]), Pass);
        assert_eq!(ruled(Pass, &[RuleEnd::Observed(Pass), RuleEnd::Held(Alert)]), Alert);
    }

    #[test]
    fn every_end_is_that_of_its_number() {
        for (number, end) in (0..).zip(RuleEnd::ALL) {
            assert_eq!(end.number(), number);
            assert_eq!(RuleEnd::from_number(number), Some(end));
        }
        assert_eq!(RuleEnd::from_number(7), None);
    }

    #[test]
    fn names_are_short_words_and_reasons_short_lines() {
        for name in ["a", "gift_cards_over_200", &"a".repeat(32)] {
            assert!(RuleSays::is_name(name), "{name}");
        }
        for name in ["", "1a", "_a", "A", "a-b", "a.b", "ä", &"a".repeat(33)] {
            assert!(!RuleSays::is_name(name), "{name}");
        }
        for reason in ["Gift cards over 200 € on young cards", &"a".repeat(120)] {
            assert!(RuleSays::is_reason(reason), "{reason}");
        }
        for reason in ["", " a", "a ", "a\nb", "a\u{7f}", &"a".repeat(121)] {
            assert!(!RuleSays::is_reason(reason), "{reason:?}");
        }
    }
}
