//! What a policy measures and weighs, made ready once when the policy is read: so that no event searches a window by its
//! length, or gathers what all features need together.

use crate::catalogue::{FeatureKey, Needs};

use super::key_terms::KeyTerms;

/// What is measured over which windows, and what that weighs in the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    windows: Vec<u32>,
    features: Vec<Feature>,
    needs: Needs,
    weights: Vec<Weight>,
}

/// A feature, and where its window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) key: FeatureKey,
    /// The window's place among the policy's; `None` for a feature without one, and where the policy has no such window.
    pub(crate) window: Option<usize>,
    /// The key's place among the policy's; `None` for a feature of the card.
    pub(crate) key_at: Option<usize>,
}

/// A feature that is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weight {
    pub(crate) feature: Feature,
    /// What a bit of surprise counts.
    pub(crate) weight: f64,
}

impl Feature {
    /// The feature of this name, under these windows and keys.
    pub(crate) fn new(key: FeatureKey, windows: &[u32], keys: &[KeyTerms]) -> Self {
        let window = windows.iter().position(|minutes| *minutes == key.window_minutes);
        let key_at = key.of.and_then(|name| keys.iter().position(|terms| terms.name == name));
        Self { key, window, key_at }
    }
}

impl Compiled {
    /// Of windows (minutes, ascending), features in the policy's order, and weights in the order of their features, without keys.
    #[must_use]
    pub fn new(windows: Vec<u32>, features: &[FeatureKey], weights: &[(FeatureKey, f64)]) -> Self {
        Self::with_keys(windows, &[], features, weights)
    }

    /// The same of a policy that declares keys.
    pub(super) fn with_keys(
        windows: Vec<u32>,
        keys: &[KeyTerms],
        features: &[FeatureKey],
        weights: &[(FeatureKey, f64)],
    ) -> Self {
        let feature = |key: &FeatureKey| Feature::new(*key, &windows, keys);
        let weight = |(key, weight): &(FeatureKey, f64)| Weight {
            feature: feature(key),
            weight: *weight,
        };
        Self {
            features: features.iter().map(feature).collect(),
            needs: features
                .iter()
                .fold(Needs::default(), |all, key| all.and(key.kind.needs())),
            weights: weights.iter().map(weight).collect(),
            windows,
        }
    }

    /// The same over a part of the features.
    pub(super) fn only(&self, keys: &[KeyTerms], keeps: impl Fn(FeatureKey) -> bool) -> Self {
        let features = self.features.iter().map(|feature| feature.key);
        let features: Vec<FeatureKey> = features.filter(|key| keeps(*key)).collect();
        let weights = self.weights.iter().map(|weight| (weight.feature.key, weight.weight));
        let weights: Vec<(FeatureKey, f64)> = weights.filter(|(key, _)| keeps(*key)).collect();
        Self::with_keys(self.windows.clone(), keys, &features, &weights)
    }

    /// Window lengths in minutes, ascending, each once.
    pub(crate) fn windows(&self) -> &[u32] {
        &self.windows
    }

    /// What is computed, in the order of the file.
    pub(crate) fn features(&self) -> &[Feature] {
        &self.features
    }

    /// What all features need together.
    pub(crate) const fn needs(&self) -> Needs {
        self.needs
    }

    /// What is scored, in the order of the features.
    pub(crate) fn weights(&self) -> &[Weight] {
        &self.weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{FeatureKind, Need};

    #[test]
    fn windows_and_needs_are_at_hand_and_those_of_a_part_are_its_own() {
        let [count, mean, new] = [
            FeatureKey::new(FeatureKind::Count, 60),
            FeatureKey::new(FeatureKind::Mean, 1440),
            FeatureKey::new(FeatureKind::NewMerchant, 0),
        ];
        let all = Compiled::new(vec![5, 60, 1440], &[count, mean, new], &[(count, 1.5), (new, 0.5)]);
        let windows: Vec<Option<usize>> = all.features().iter().map(|feature| feature.window).collect();
        assert_eq!(windows, [Some(1), Some(2), None]);
        assert_eq!(all.needs(), Needs::of(&[Need::Amount, Need::Merchants]));
        let weights = all.weights().iter();
        let weights: Vec<_> = weights.map(|weight| (weight.feature.window, weight.weight)).collect();
        assert_eq!(weights, [(Some(1), 1.5), (None, 0.5)]);
        let part = all.only(&[], |key| key != new);
        assert_eq!(part, Compiled::new(vec![5, 60, 1440], &[count, mean], &[(count, 1.5)]));
        assert_eq!(part.needs(), Needs::of(&[Need::Amount]));
    }
}
