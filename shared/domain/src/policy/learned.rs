//! What a policy learned from labels, or from amounts alone: tables of points, trees, the population's amounts, and what its
//! decisions were.

use std::sync::Arc;

use crate::catalogue::FeatureKey;
use crate::trees::{TreeModel, TreeModelKey};

use super::compiled::Feature;

/// A table of points: the bins of one feature, each with its bits.
#[derive(Clone, Debug, PartialEq)]
pub struct PointsTable {
    pub(crate) feature: Feature,
    /// Where the bins but the first begin, ascending: a value belongs to the bin of the last edge that is not above it.
    pub edges: Vec<f64>,
    /// What each bin adds, bits: one more than edges.
    pub bits: Vec<f64>,
    /// What a value adds that is missing, bits.
    pub missing_bits: f64,
}

impl PointsTable {
    /// The feature.
    #[must_use]
    pub const fn key(&self) -> FeatureKey {
        self.feature.key
    }

    /// What a value adds, bits.
    #[must_use]
    pub fn bits_of(&self, value: Option<f64>) -> f64 {
        match value {
            Some(value) => {
                let bin = self.edges.partition_point(|edge| *edge <= value);
                self.bits.get(bin).copied().unwrap_or(0.0)
            }
            None => self.missing_bits,
        }
    }
}

/// Tables whose sum is the log2 of the odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// The bits before any table.
    pub prior_bits: f64,
    /// The tables, in the policy's order.
    pub tables: Vec<PointsTable>,
}

impl Points {
    /// The tables of the features for which `keeps` holds.
    #[must_use]
    pub(super) fn only(&self, keeps: impl Fn(FeatureKey) -> bool) -> Self {
        let tables = self.tables.iter().filter(|table| keeps(table.key()));
        Self {
            prior_bits: self.prior_bits,
            tables: tables.cloned().collect(),
        }
    }
}

/// Boosted trees whose margin is the natural logarithm of the odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    /// The model's name.
    pub key: TreeModelKey,
    /// The model.
    pub model: Arc<TreeModel>,
    /// The features whose values the model takes, in its order; `None` for one that is missing from every event.
    pub(crate) features: Vec<Option<Feature>>,
}

impl Trees {
    /// The same model where only the features are measured for which `keeps` holds: to it, all others are missing.
    #[must_use]
    pub(super) fn only(&self, keeps: impl Fn(FeatureKey) -> bool) -> Self {
        let kept = |feature: &Option<Feature>| feature.filter(|feature| keeps(feature.key));
        Self {
            features: self.features.iter().map(kept).collect(),
            ..self.clone()
        }
    }
}

/// Which events their card's own features explain.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Points of the card's own features.
    pub points: Points,
    /// From so many bits on an event is explained.
    pub from_bits: f64,
}

/// What share of the transactions a policy is to decide how, by what it was set with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedShares {
    /// The share with the decision `alert`, 0 to 1.
    pub alert_share: f64,
    /// The share with the decision `review`, 0 to 1.
    pub review_share: f64,
}

/// How rare amounts are among all cards: a table of the tail.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// Amounts in base minor units, ascending.
    pub amounts: Vec<f64>,
    /// log2 of one over the share of amounts that are no smaller, at each of them; never falling.
    pub bits: Vec<f64>,
}

impl Population {
    /// The bits of an amount (base minor units): on the straight line between its neighbours, as those of the nearest beyond them.
    #[must_use]
    pub fn bits_of(&self, amount: f64) -> f64 {
        let at = self.amounts.partition_point(|known| *known <= amount);
        let point = |at: usize| self.amounts.get(at).copied().zip(self.bits.get(at).copied());
        match (at.checked_sub(1).and_then(point), point(at)) {
            (Some((low, low_bits)), Some((high, high_bits))) => {
                low_bits + (high_bits - low_bits) * ((amount - low) / (high - low))
            }
            (Some((_, bits)), None) | (None, Some((_, bits))) => bits,
            (None, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::FeatureKind;

    #[test]
    fn a_value_belongs_to_the_bin_of_the_last_edge_that_is_not_above_it() {
        let key = FeatureKey::new(FeatureKind::AmountRatio, 0);
        let table = PointsTable {
            feature: Feature::new(key, &[], &[]),
            edges: vec![1.0, 2.0],
            bits: vec![-1.0, 0.5, 3.0],
            missing_bits: 0.25,
        };
        let bits = [None, Some(0.99), Some(1.0), Some(1.99), Some(2.0), Some(1e9)].map(|value| table.bits_of(value));
        assert_eq!(bits, [0.25, -1.0, 0.5, 0.5, 3.0, 3.0]);
    }

    #[test]
    fn bits_of_an_amount_lie_on_a_line_between_those_of_its_neighbours() {
        let population = Population {
            amounts: vec![100.0, 200.0, 400.0],
            bits: vec![0.0, 1.0, 5.0],
        };
        let bits = [1.0, 100.0, 150.0, 200.0, 300.0, 400.0, 1e12].map(|amount| population.bits_of(amount));
        assert_eq!(bits, [0.0, 0.0, 0.5, 1.0, 3.0, 5.0, 5.0]);
    }
}
