//! What a model says of an event, and why.

use std::f64::consts::LN_2;

use super::error::WrongWidth;
use super::model::{Node, Split, TreeModel};

/// The natural logarithm of the odds: what XGBoost gives with `output_margin=True`. Always finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Margin(pub f32);

impl Margin {
    /// Log2 odds, `margin / ln 2`: each bit doubles the odds.
    #[must_use]
    pub fn bits(self) -> f64 {
        f64::from(self.0) / LN_2
    }

    /// `1 / (1 + e^−margin)`.
    #[must_use]
    pub fn probability(self) -> f64 {
        1.0 / (1.0 + libm::exp(-f64::from(self.0)))
    }
}

/// What each feature gave to a margin. `expected` and all parts together are the margin, but for rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The margin of an event of which nothing is known yet: the base margin and each tree's expectation, log odds.
    pub expected: f64,
    /// A part for each feature, in the model's order, log odds.
    pub parts: Vec<f64>,
}

impl Contributions {
    /// A feature's part in bits of log2 odds; 0 for one that the model does not have.
    #[must_use]
    pub fn bits(&self, feature: usize) -> f64 {
        self.parts.get(feature).map_or(0.0, |part| part / LN_2)
    }
}

/// A value as a model takes it: in single precision, to nearest, as numpy and XGBoost round it; NaN where it is missing.
#[must_use]
pub fn input(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

impl Split {
    /// The node that an event goes to from the split that is at this place.
    fn next(&self, at: usize, values: &[f32]) -> usize {
        let value = values[usize::from(self.feature)];
        let is_left = if value.is_nan() {
            self.missing_left
        } else {
            value < self.threshold
        };
        if is_left { at + 1 } else { self.right as usize }
    }
}

impl TreeModel {
    /// The log odds of an event whose values are given in the order of [`TreeModel::features`], NaN for a missing one.
    ///
    /// The sum begins with the base margin and takes one leaf of each tree, in single precision and in the order of the trees.
    ///
    /// # Errors
    /// When there is not one value a feature.
    pub fn margin(&self, values: &[f32]) -> Result<Margin, WrongWidth> {
        self.check_width(values)?;
        let mut margin = self.base_margin;
        for root in &self.roots {
            margin += self.leaf(*root as usize, values);
        }
        Ok(Margin(margin))
    }

    /// The leaf that the values lead to. Each step goes to a node further on in the list, so that it ends.
    fn leaf(&self, root: usize, values: &[f32]) -> f32 {
        let mut at = root;
        loop {
            match &self.nodes[at] {
                Node::Leaf(value) => return *value,
                Node::Split(split) => at = split.next(at, values),
            }
        }
    }

    /// What each feature gave to the margin of these values: at each split on the way the feature that splits is given what the
    /// expectation changes by, and a tree's first expectation goes to `expected`.
    ///
    /// The method is A. Saabas's ("Interpreting random forests", 2014), which XGBoost offers as `approx_contribs=True`
    /// (`src/tree/tree_model.cc`, `CalculateContributionsApprox`). A node's expectation is the mean of its children's,
    /// weighted by their cover, the JSON's `sum_hessian` (`src/predictor/cpu_predictor.cc`, `FillNodeMeanValues`).
    ///
    /// # Errors
    /// When there is not one value a feature.
    pub fn contributions(&self, values: &[f32]) -> Result<Contributions, WrongWidth> {
        self.check_width(values)?;
        let mut expected = f64::from(self.base_margin);
        let mut parts = vec![0.0; self.features.len()];
        for root in &self.roots {
            let mut at = *root as usize;
            let mut before = f64::from(self.nodes[at].expected());
            expected += before;
            while let Node::Split(split) = &self.nodes[at] {
                at = split.next(at, values);
                let after = f64::from(self.nodes[at].expected());
                parts[usize::from(split.feature)] += after - before;
                before = after;
            }
        }
        Ok(Contributions { expected, parts })
    }

    const fn check_width(&self, values: &[f32]) -> Result<(), WrongWidth> {
        let (given, wanted) = (values.len(), self.features.len());
        if given == wanted {
            Ok(())
        } else {
            Err(WrongWidth { given, wanted })
        }
    }
}
