//! Scores that were learned, by `docs/concepts/learning.md`: log2 odds from points or trees, on the scale where 500 are even odds.

use std::f64::consts::LN_2;

use tidemark_domain::catalogue::FeatureKey;
use tidemark_domain::policy::{Points, Policy};

use super::features;
use super::measure::View;
use super::trees;

/// The score, and what each feature added to the log2 odds; `None` for a policy of weights.
pub(super) fn score(
    view: &View<'_>,
    policy: &Policy,
    in_use: impl Fn(&FeatureKey) -> bool,
) -> Option<(f64, Vec<(FeatureKey, f64)>)> {
    let (bits, parts) = if let Some(model) = &policy.trees {
        let value_of = |key| if in_use(&key) { worth(key, view, policy) } else { None };
        let (names, said) = trees::say(&model.model.encode(), value_of)?;
        let parts = names.into_iter().zip(said.parts.into_iter().map(|part| part / LN_2));
        // What is left out is missing, and no reason.
        let parts = parts.filter(|(key, _)| in_use(key));
        (f64::from(said.margin) / LN_2, parts.collect())
    } else {
        sum(policy.points.as_ref()?, view, policy, in_use)
    };
    Some((1000.0 / (1.0 + libm::exp2(-bits / 4.0)), parts))
}

/// Whether the card's own features alone make the event improbable.
pub(super) fn is_explained(view: &View<'_>, policy: &Policy) -> bool {
    let tables = policy.explained.as_ref();
    tables.is_some_and(|explained| sum(&explained.points, view, policy, |_| true).0 >= explained.from_bits)
}

/// The log2 odds of points, and what each feature adds.
fn sum(
    points: &Points,
    view: &View<'_>,
    policy: &Policy,
    in_use: impl Fn(&FeatureKey) -> bool,
) -> (f64, Vec<(FeatureKey, f64)>) {
    let mut parts = Vec::new();
    for table in points.tables.iter().filter(|table| in_use(&table.key())) {
        let bits = match worth(table.key(), view, policy) {
            None => table.missing_bits,
            Some(value) => table.bits[table.edges.iter().filter(|edge| value >= **edge).count()],
        };
        parts.push((table.key(), bits));
    }
    (parts.iter().fold(points.prior_bits, |sum, (_, bits)| sum + bits), parts)
}

/// A feature's value, or the bits of surprise that stand for it.
pub(super) fn worth(key: FeatureKey, view: &View<'_>, policy: &Policy) -> Option<f64> {
    if !key.is_surprise() {
        return features::value(key, view);
    }
    let bits = features::surprise(key, view, policy);
    let most = policy.scoring.feature_bits_max;
    Some(if bits.is_nan() { 0.0 } else { bits.clamp(0.0, most) })
}
