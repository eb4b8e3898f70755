//! The seed's draws: the lab's dice, and how this simulation picks a number below another. Seeds stand in reports, so that a
//! draw stays what it is.

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct Dice(lab::dice::Dice);

impl Dice {
    /// The choices of a seed; `lane` gives each use of the seed a sequence of its own.
    #[must_use]
    pub fn new(seed: u64, lane: u64) -> Self {
        Self(lab::dice::Dice::new(seed, lane))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.any()
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias is below 2^-32 for the small ends used here.
        self.0.any() % end.max(1)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.chance(share)
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        &list[at]
    }
}
