//! What does not hold at the end of a run.

use std::fmt;

use tidemark_domain::invariant::Invariant;

/// How many violations are told; more say nothing new.
const TOLD_MAX: usize = 20;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant that it breaks; `None` where no invariant speaks of it.
    pub invariant: Option<Invariant>,
    /// What, in words.
    pub words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(invariant) = self.invariant {
            write!(f, "{invariant}: ")?;
        }
        f.write_str(&self.words)
    }
}

/// All that does not hold.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    /// The first few.
    pub told: Vec<Violation>,
    /// How many there are.
    pub count: u64,
}

impl Violations {
    /// Adds one, of an invariant or of none.
    pub fn add(&mut self, invariant: impl Into<Option<Invariant>>, words: String) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            let invariant = invariant.into();
            self.told.push(Violation { invariant, words });
        }
    }

    /// Adds one unless something holds.
    pub fn expect(&mut self, invariant: impl Into<Option<Invariant>>, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, words());
        }
    }

    /// Whether everything holds.
    #[must_use]
    pub const fn none(&self) -> bool {
        self.count == 0
    }
}
