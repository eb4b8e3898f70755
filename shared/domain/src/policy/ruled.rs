//! The rules of a policy, over its own features.

use crate::catalogue::FeatureKey;
use crate::outcome::RuleHit;
use crate::rules::{Facts, Rule, Slots};

use super::compiled::Feature;
use super::key_terms::KeyTerms;

/// The rules of a policy, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    all: Vec<Rule>,
    /// The features that the rules read, by their slots; `None` for one that is not measured for these events.
    features: Vec<Option<Feature>>,
}

impl Rules {
    pub(super) fn new(all: Vec<Rule>, slots: Slots, windows: &[u32], keys: &[KeyTerms]) -> Self {
        let features = slots.0.into_iter().map(|key| Some(Feature::new(key, windows, keys)));
        let features = features.collect();
        Self { all, features }
    }

    /// The same rules where only the features are measured for which `keeps` holds: to the rules, all others are missing.
    #[must_use]
    pub(super) fn only(&self, keeps: impl Fn(FeatureKey) -> bool) -> Self {
        let kept = |feature: &Option<Feature>| feature.filter(|feature| keeps(feature.key));
        Self {
            features: self.features.iter().map(kept).collect(),
            all: self.all.clone(),
        }
    }

    /// The rules, in the policy's order.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.all
    }

    /// The features that the rules read, by their slots.
    pub(crate) fn features(&self) -> &[Option<Feature>] {
        &self.features
    }

    /// What the rules say of an event, in their order.
    #[inline]
    pub(crate) fn hits(&self, facts: &impl Facts) -> Vec<RuleHit> {
        let mut hits = Vec::new();
        for rule in &self.all {
            // Hardly ever: nothing but the look is on the way of all others.
            if let Some(hit) = rule.hit(facts) {
                hits.push(hit);
            }
        }
        hits
    }
}
