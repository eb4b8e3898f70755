//! Rules: expressions of the Common Expression Language over an event, its features, its card's profile and its score, which are
//! checked when a policy is read and evaluated without a map or a string being made. `docs/concepts/rules.md` has the language and what
//! a rule decides; `docs/decisions/0010-rules.md` says why it is evaluated here and not by a library.
//!
//! ```text
//! token     a rule's text as tokens, each with its place
//! syntax    tokens as a tree, as deep as [`RULE_NESTING_MAX`]
//! facts     the names that a rule may use, and what each of them is
//! program   the tree with types, over slots
//! steps     the program as a walk from fact to fact: what is evaluated for nearly every event
//! check     from the tree to the program, or a problem with its place and what to do
//! ```

mod check;
mod facts;
mod program;
mod steps;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use crate::catalogue::FeatureKey;
use crate::outcome::{Decision, RuleEnd, RuleHit, RuleSays};

pub(crate) use facts::{CodeFact, Facts, Known, NumberFact, TextFact, WholeFact, of_channel, of_country, of_currency};

use program::{Lack, Test};
use steps::Steps;

/// A rule's expression may have so many bytes.
pub const RULE_BYTES_MAX: usize = 2_000;
/// A rule's expression may be nested so deep.
pub const RULE_NESTING_MAX: usize = 32;

/// What is wrong with an expression, and where: the place in its text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The place, in bytes from the start of the expression.
    pub at: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl RuleProblem {
    fn new(at: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { at, message }
    }
}

/// Whether a rule decides, or only watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMode {
    /// It decides.
    Enforce,
    /// It is recorded when it holds, and decides nothing.
    Observe,
}

impl RuleMode {
    /// As it is written in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// A rule of a policy: what it says, when it holds and what it decides then.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name and its reason.
    pub says: Arc<RuleSays>,
    /// The decision that it makes.
    pub then: Decision,
    /// Whether it makes it, or only watches.
    pub mode: RuleMode,
    /// The expression, as it is written.
    pub when: Arc<str>,
    test: Test,
    steps: Steps,
}

/// What rules of one policy read of its features: each once, in the order of the slots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slots(pub(crate) Vec<FeatureKey>);

impl Rule {
    /// Checks an expression, and makes a rule of it. `known` is what the policy has; the rule's own features get their places in `slots`.
    pub(crate) fn new(
        (says, then, mode): (Arc<RuleSays>, Decision, RuleMode),
        when: &str,
        known: &Known<'_>,
        slots: &mut Slots,
    ) -> Result<Self, RuleProblem> {
        let tree = syntax::parse(when)?;
        let test = check::check(&tree, known, slots)?;
        Ok(Self {
            says,
            then,
            mode,
            when: when.into(),
            steps: Steps::of(&test),
            test,
        })
    }

    /// What the rule says of an event, if anything.
    #[inline(always)]
    pub(crate) fn hit(&self, facts: &impl Facts) -> Option<RuleHit> {
        match steps::holds(&self.steps, &self.test, facts) {
            Ok(false) | Err(Lack::Missing) => None,
            found => self.hit_of(found),
        }
    }

    #[inline(never)]
    fn hit_of(&self, found: Result<bool, Lack>) -> Option<RuleHit> {
        let end = match (found, self.mode) {
            (Ok(false) | Err(Lack::Missing), _) => return None,
            (Ok(true), RuleMode::Enforce) => RuleEnd::Held(self.then),
            (Ok(true), RuleMode::Observe) => RuleEnd::Observed(self.then),
            (Err(Lack::Undefined), _) => RuleEnd::Undefined,
        };
        let says = Arc::clone(&self.says);
        Some(RuleHit { says, end })
    }
}

/// The names after `features.` in an expression, for whoever has to keep these features; none of a text that is no expression.
#[must_use]
pub fn features_named(when: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(tree) = syntax::parse(when) {
        tree.each_path(&mut |path| {
            if let ["features", of @ ..] = path {
                names.push(of.join("."));
            }
        });
    }
    names.sort_unstable();
    names.dedup();
    names
}
