//! `[low_risk]`: which events are scored cheaply, and with which features.

use std::sync::Arc;

use crate::catalogue::{FeatureKey, Need};
use crate::contract::MCC_MAX;
use crate::policy::reader::{self, Problems, Section};
use crate::policy::terms::{LowRisk, Policy};

use super::features::{feature, named};

/// The section as it was read.
pub(super) struct Rules {
    amount_max_minor: u64,
    merchant_categories: Vec<u16>,
    features: Vec<FeatureKey>,
}

impl Rules {
    /// The section of a policy that is whole otherwise.
    pub(super) fn applied_to(self, policy: &Policy) -> LowRisk {
        let cheap = Policy {
            compiled: policy.compiled.only(&policy.keys, |key| self.features.contains(&key)),
            points: policy
                .points
                .as_ref()
                .map(|points| points.only(|key| self.features.contains(&key))),
            trees: policy
                .trees
                .as_ref()
                .map(|trees| trees.only(|key| self.features.contains(&key))),
            explained: None,
            rules: policy.rules.only(|key| self.features.contains(&key)),
            ..policy.clone()
        };
        LowRisk {
            amount_max_minor: self.amount_max_minor,
            merchant_categories: self.merchant_categories,
            policy: Arc::new(cheap),
        }
    }
}

/// `None`: the section is absent, or wrong and that has been said.
pub(super) fn read(
    top: &Section<'_, '_>,
    features: Option<&[FeatureKey]>,
    weights: Option<&[(FeatureKey, f64)]>,
    problems: &mut Problems,
) -> Option<Rules> {
    if !top.has("low_risk") {
        return None;
    }
    let section = top.inside("low_risk", true, problems);
    section.refuse_unknown(&["amount_max_minor", "merchant_categories", "features"], problems);
    let amounts = 1..=i64::try_from(crate::history::BASE_AMOUNT_MAX).unwrap_or(i64::MAX);
    let amount = section.integer("amount_max_minor", &amounts, None, problems);
    let merchant_categories = categories(&section, problems);
    // Points and trees have a prior: without a table, or a split by what is known, an event gets the score of that.
    let weights = weights.filter(|_| !top.has("points") && !top.has("trees"));
    let features = chosen(&section, features, weights, problems);
    Some(Rules {
        amount_max_minor: u64::try_from(amount?).ok()?,
        merchant_categories: merchant_categories?,
        features: features?,
    })
}

/// Every category where the key is absent.
fn categories(section: &Section<'_, '_>, problems: &mut Problems) -> Option<Vec<u16>> {
    const KEY: &str = "merchant_categories";
    if !section.has(KEY) {
        return Some(Vec::new());
    }
    let items = section.list(KEY, problems)?;
    let mut categories: Vec<u16> = Vec::new();
    for item in items {
        let (path, range) = ("low_risk.merchant_categories", 0..=i64::from(MCC_MAX));
        let code = reader::integer(path, &item.span(), item.get_ref(), &range, problems);
        match code.and_then(|code| u16::try_from(code).ok()) {
            Some(code) if categories.contains(&code) => {
                problems.push(&item.span(), format!("category {code} is named twice, expected once"));
            }
            Some(code) => categories.push(code),
            None => {}
        }
    }
    if items.is_empty() || items.len() > Policy::MERCHANT_CATEGORIES_LIMIT {
        let (found, limit) = (items.len(), Policy::MERCHANT_CATEGORIES_LIMIT);
        problems.push(
            &section.place(KEY),
            format!("expected 1 to {limit} merchant categories, or no such key for all of them, found {found}"),
        );
    }
    categories.sort_unstable();
    Some(categories)
}

/// Features of the policy that need no profile, at least one of them scored.
fn chosen(
    section: &Section<'_, '_>,
    features: Option<&[FeatureKey]>,
    weights: Option<&[(FeatureKey, f64)]>,
    problems: &mut Problems,
) -> Option<Vec<FeatureKey>> {
    let before = problems.len();
    let chosen = named(section, |name| one(name, features), problems)?;
    let is_scored = |key: &FeatureKey| weights.is_none_or(|weights| weights.iter().any(|(other, _)| other == key));
    if before == problems.len() && !chosen.iter().any(is_scored) {
        let message = "expected at least one feature with a weight in low_risk.features: \
                       without one every event of low risk would get the score 0";
        problems.push(&section.place("features"), message);
    }
    Some(chosen)
}

fn one(name: &str, features: Option<&[FeatureKey]>) -> Result<FeatureKey, String> {
    let key = feature(name, None, None)?;
    if key.of.is_some() && !key.is_surprise() {
        return Err(format!(
            "`{name}` is made of labels, expected features of the history: events of low risk are scored without keys"
        ));
    }
    if key.kind.needs().has(Need::Profile) {
        return Err(format!(
            "`{name}` needs the profile, expected features of the history: events of low risk are scored without a profile"
        ));
    }
    if features.is_some_and(|features| !features.contains(&key)) {
        return Err(format!(
            "`{name}` is in low_risk.features, expected it in `features` too"
        ));
    }
    Ok(key)
}
