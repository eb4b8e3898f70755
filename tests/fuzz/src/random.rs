//! What drives the mutations: a sequence that a seed fixes.

use lab::dice::{Dice, SplitMix};

/// The draws of a run.
#[derive(Clone, Debug)]
pub struct Random(Dice<SplitMix>);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Dice::plain(seed))
    }

    /// The next number of the sequence.
    #[allow(
        clippy::should_implement_trait,
        reason = "it never ends, and nobody iterates over it"
    )]
    pub fn next(&mut self) -> u64 {
        self.0.any()
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
