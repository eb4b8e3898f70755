//! How rare an amount is among all amounts, in bits: a table of quantiles that a policy holds.
//!
//! The bits of an amount are `−log2` of the share of amounts that are at least as great: its surprise. The table is fitted
//! once, without labels, and is the same for every event and on every replay.

use serde::Serialize;

use crate::refusal::LearnError;

/// At most so many knots.
pub const KNOTS_MAX: usize = 64;
/// The highest knot has at least so many amounts from it on: a table tells of no single event.
const TAIL_MIN: f64 = 10.0;
/// Bits are whole multiples of one in so many.
const BITS_STEPS: f64 = 1_000.0;

/// An amount with its bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Knot {
    /// The amount, base minor units.
    pub amount_minor: u64,
    /// `−log2` of the share of amounts that are at least this.
    pub bits: f64,
}

/// The tail of a population's amounts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct LearnedPopulation {
    knots: Vec<Knot>,
}

impl LearnedPopulation {
    /// The table of these amounts, of at most so many knots ([`KNOTS_MAX`] at most). They lie at equal steps of bits, so that
    /// each next one has the same share of the amounts above the one before it: geometric in the tail.
    ///
    /// # Errors
    /// Without an amount.
    pub fn fit(mut amounts_minor: Vec<u64>, knots: usize) -> Result<Self, LearnError> {
        amounts_minor.sort_unstable();
        let count = amounts_minor.len();
        let (Some(first), steps) = (amounts_minor.first(), knots.clamp(2, KNOTS_MAX) - 1) else {
            return Err(LearnError::NoAmounts);
        };
        let all = count as f64;
        let bits_max = libm::log2((all / TAIL_MIN).max(1.0));
        let mut table = vec![Knot {
            amount_minor: *first,
            bits: 0.0,
        }];
        for step in 1..=steps {
            let share = libm::exp2(-bits_max * step as f64 / steps as f64);
            let above = (libm::round(all * share) as usize).clamp(1, count);
            let amount_minor = amounts_minor[count - above];
            let from = amounts_minor.partition_point(|other| *other < amount_minor);
            let bits = libm::log2(all / (count - from) as f64);
            if table.last().is_some_and(|last| last.amount_minor < amount_minor) {
                let bits = libm::round(bits * BITS_STEPS) / BITS_STEPS;
                table.push(Knot { amount_minor, bits });
            }
        }
        Ok(Self { knots: table })
    }

    /// The table of these knots, as a policy holds them.
    ///
    /// # Errors
    /// Without a knot, with more than [`KNOTS_MAX`], or when amounts don't ascend, or bits fall or are no number from 0 on.
    pub fn new(knots: Vec<Knot>) -> Result<Self, LearnError> {
        let refuse = |at, why| Err(LearnError::Knot { at, why });
        if knots.is_empty() {
            return Err(LearnError::NoAmounts);
        }
        if knots.len() > KNOTS_MAX {
            return refuse(KNOTS_MAX, "is one too many");
        }
        if let Some(at) = knots
            .iter()
            .position(|knot| !(knot.bits >= 0.0 && knot.bits.is_finite()))
        {
            return refuse(at, "its bits are not a number from 0 on");
        }
        for (at, pair) in knots.windows(2).enumerate() {
            if pair[1].amount_minor <= pair[0].amount_minor {
                return refuse(at + 1, "its amount is not above the one before it");
            }
            if pair[1].bits < pair[0].bits {
                return refuse(at + 1, "its bits are below those before it");
            }
        }
        Ok(Self { knots })
    }

    /// The table.
    #[must_use]
    pub fn knots(&self) -> &[Knot] {
        &self.knots
    }

    /// The bits of an amount: straight lines between knots, those of the last knot beyond it, those of the first below.
    #[must_use]
    pub fn bits_of(&self, amount_minor: u64) -> f64 {
        let above = self.knots.partition_point(|knot| knot.amount_minor <= amount_minor);
        let lower = self.knots[above.saturating_sub(1)];
        match self.knots.get(above) {
            Some(upper) if above > 0 => {
                let part = (amount_minor - lower.amount_minor) as f64;
                let whole = (upper.amount_minor - lower.amount_minor) as f64;
                lower.bits + (upper.bits - lower.bits) * (part / whole)
            }
            _ => lower.bits,
        }
    }
}
