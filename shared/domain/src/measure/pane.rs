//! A pane: what a window holds for one event, as whole-number sums: so that a value does not depend on the order in which events arrived. The only
//! fractions come out at the end.

/// What a window holds for an event, the event included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pane {
    pub(crate) count: u32,
    pub(crate) declined: u32,
    pub(crate) merchants: u32,
    pub(crate) countries: u32,
    /// Events of which the amount is not known; sums, least and greatest are those of the others.
    pub(crate) unpriced: u32,
    /// Base minor units.
    pub(crate) sum: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Sum of squared amounts.
    pub(crate) squares: u128,
    /// How far the distinct merchants may be off; 0: they are exact.
    pub(crate) merchants_error: u32,
    /// How far the distinct countries may be off; 0: they are exact.
    pub(crate) countries_error: u32,
}

impl Pane {
    /// The amounts that are known.
    pub(crate) const fn amounts(&self) -> Amounts {
        Amounts {
            count: self.count.saturating_sub(self.unpriced),
            sum: self.sum,
            squares: self.squares,
        }
    }
}

/// Amounts of a set of events, as whole-number sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) count: u32,
    pub(crate) sum: u64,
    pub(crate) squares: u128,
}

impl Amounts {
    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / f64::from(self.count)
    }

    /// `count² × population variance`, exact.
    fn spread(&self) -> u128 {
        let sum = u128::from(self.sum);
        // Never negative (Cauchy-Schwarz) while sums are exact; a state with absurd amounts must not panic either.
        u128::from(self.count)
            .saturating_mul(self.squares)
            .saturating_sub(sum * sum)
    }

    /// Population standard deviation.
    pub(crate) fn deviation(&self) -> f64 {
        (self.spread() as f64).sqrt() / f64::from(self.count)
    }
}
