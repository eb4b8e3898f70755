//! Points: each feature has a table of bins, each bin its bits, and their sum is the log2 of the odds of fraud.
//! `docs/concepts/learning.md` says where the bits come from.

use crate::measure::Measured;
use crate::outcome::SCORE_MAX;
use crate::policy::{Points, PointsTable, Policy};

use super::parts::Parts;
use super::value;

/// So many bits take the odds from 1:1 to a score of 667 of 1000: the logistic curve over a quarter of the log2 odds, so that scores
/// still tell rare events apart at odds of one to ten thousand.
const BITS_PER_OCTAVE: f64 = 4.0;

/// The log2 of the odds, and its parts above 0 as reasons.
pub(super) fn sum(points: &Points, measured: &Measured<'_>, policy: &Policy) -> (f64, Parts) {
    let mut parts = Parts::default();
    let mut total = points.prior_bits;
    for table in &points.tables {
        let bits = bits_of(table, measured, policy);
        total += bits;
        parts.add(table.key(), bits);
    }
    (total, parts)
}

/// Whether the card's own features alone made the event improbable.
pub(super) fn is_explained(measured: &Measured<'_>, policy: &Policy) -> bool {
    policy.explained.as_ref().is_some_and(|explained| {
        let tables = explained.points.tables.iter();
        let bits = tables.fold(explained.points.prior_bits, |sum, table| {
            sum + bits_of(table, measured, policy)
        });
        bits >= explained.from_bits
    })
}

fn bits_of(table: &PointsTable, measured: &Measured<'_>, policy: &Policy) -> f64 {
    table.bits_of(value(table.feature, measured, policy))
}

/// `1000 / (1 + 2^(−bits / 4))`: even odds are 500.
pub(super) fn score_of(bits: f64) -> u16 {
    let share = 1.0 / (1.0 + libm::exp2(-bits / BITS_PER_OCTAVE));
    // The share is from 0 to 1, so that the number fits.
    libm::round(f64::from(SCORE_MAX) * share) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_odds_are_500_and_four_bits_more_double_their_share() {
        assert_eq!([0.0, 4.0, -4.0, 8.0].map(score_of), [500, 667, 333, 800]);
        assert_eq!([-1000.0, 1000.0].map(score_of), [0, 1000]);
        // One in ten thousand and one in twenty thousand are told apart.
        assert!(score_of(-13.3) > score_of(-14.3));
    }
}
