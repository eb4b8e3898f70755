//! Boosted trees: the score is that of the model's margin, on the same scale as points. `docs/concepts/learning.md` says where a
//! model comes from.

use std::f64::consts::LN_2;

use crate::measure::Measured;
use crate::outcome::Reason;
use crate::policy::{Policy, Trees};
use crate::trees::input;

use super::parts::Parts;
use super::{points, told, value};

/// The score, and the features as reasons that raised it most.
pub(super) fn scored(trees: &Trees, measured: &Measured<'_>, policy: &Policy) -> (u16, Vec<Reason>) {
    let value_of = |feature: &Option<_>| input(feature.and_then(|feature| value(feature, measured, policy)));
    let values: Vec<f32> = trees.features.iter().map(value_of).collect();
    // There is one value for each feature of the model: the policy was read so.
    let margin = trees
        .model
        .margin(&values)
        .map_or(f64::NAN, |margin| f64::from(margin.0));
    let score = points::score_of(margin / LN_2);
    let reasons = told(score, &policy.scoring, || parts(trees, &values));
    (score, reasons)
}

/// What each feature added to the log2 of the odds.
fn parts(trees: &Trees, values: &[f32]) -> Parts {
    let mut parts = Parts::default();
    if let Ok(found) = trees.model.contributions(values) {
        for (at, feature) in trees.features.iter().enumerate() {
            if let Some(feature) = feature {
                parts.add(feature.key, found.bits(at));
            }
        }
    }
    parts
}
