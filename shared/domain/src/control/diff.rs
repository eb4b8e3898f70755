//! What differs between two policies, and what each difference does to cards that have a history already.

use crate::catalogue::FeatureKey;
use crate::policy::{Points, Policy};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The key, as it is written in the file.
    pub key: String,
    /// The value before; `None` where there was none.
    pub before: Option<String>,
    /// The value after; `None` where there is none.
    pub after: Option<String>,
    /// What it does besides changing scores.
    pub effect: Effect,
}

/// What a difference does to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing, and no score changes either: only what an alarm is held against.
    Alarms,
    /// Nothing: only scores to come change.
    Scores,
    /// More or fewer events are accepted than before.
    Accepts,
    /// Histories shrink with the next event of each card, or have to fill up before longer windows are whole.
    History,
    /// Stored amounts are in another currency than new ones: such a policy can't follow the other on the same table.
    Amounts,
}

impl Effect {
    /// In words, for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarms => "alarms",
            Self::Scores => "scores",
            Self::Accepts => "accepts other events",
            Self::History => "histories",
            Self::Amounts => "stored amounts: can't follow on the same table",
        }
    }
}

/// The differences from one policy to another, in the order of the file; versions are not compared.
#[must_use]
pub fn diff(before: &Policy, after: &Policy) -> Vec<Difference> {
    let mut found = Vec::new();
    let (old, new) = (flat(before), flat(after));
    for (key, value, effect) in &old {
        let now = new.iter().find(|(other, ..)| other == key).map(|(_, value, _)| value);
        if now != Some(value) {
            found.push(Difference {
                key: key.clone(),
                before: Some(value.clone()),
                after: now.cloned(),
                effect: *effect,
            });
        }
    }
    for (key, value, effect) in new {
        if !old.iter().any(|(other, ..)| *other == key) {
            found.push(Difference {
                key,
                before: None,
                after: Some(value),
                effect,
            });
        }
    }
    found
}

/// Whether `after` may follow `before` on the same table.
#[must_use]
pub fn may_follow(before: &Policy, after: &Policy) -> bool {
    before.currency.base == after.currency.base
}

/// A policy as a list of keys and values. The policy is taken apart by name, so that a new field can't be forgotten.
fn flat(policy: &Policy) -> Vec<(String, String, Effect)> {
    let Policy {
        version: _,
        bounds,
        compiled: _,
        thresholds,
        scoring,
        dedupe_horizon_ms,
        takes_history: _,
        currency,
        outcome_features,
        head_events_max,
        head_bytes_max,
        low_risk,
        neutral_below_events,
        profile_max_age_ms,
        keys,
        run_gap_ms,
        population,
        points,
        trees,
        explained,
        expected,
        zone_offset_ms,
        rules,
        lists,
    } = policy;
    let (windows, features) = (policy.windows(), policy.features());
    let mut list: Vec<(String, String, Effect)> = Vec::new();
    let mut add = |key: &str, value: String, effect: Effect| list.push((key.to_owned(), value, effect));
    add("windows_minutes", format!("{windows:?}"), Effect::History);
    add("features", names(features), Effect::Scores);
    add("dedupe_horizon_ms", dedupe_horizon_ms.to_string(), Effect::History);
    add("head_events_max", head_events_max.to_string(), Effect::History);
    add("head_bytes_max", head_bytes_max.to_string(), Effect::History);
    for (key, weight) in policy.weights() {
        add(&format!("weights.{key}"), weight.to_string(), Effect::Scores);
    }
    add("thresholds.review", thresholds.review.to_string(), Effect::Scores);
    add("thresholds.alert", thresholds.alert.to_string(), Effect::Scores);
    add("scoring.half_bits", scoring.half_bits.to_string(), Effect::Scores);
    add("scoring.quiet_bits", scoring.quiet_bits.to_string(), Effect::Scores);
    add(
        "scoring.feature_bits_max",
        scoring.feature_bits_max.to_string(),
        Effect::Scores,
    );
    add(
        "scoring.reasons_min_score",
        scoring.reasons_min_score.to_string(),
        Effect::Scores,
    );
    add(
        "scoring.reasons_min_share_pct",
        scoring.reasons_min_share_pct.to_string(),
        Effect::Scores,
    );
    add("bounds", format!("{bounds:?}"), Effect::Accepts);
    add("currency.base", currency.base.as_str().to_owned(), Effect::Amounts);
    for (code, rate) in &currency.rates {
        add(
            &format!("currency.rates.{}", code.as_str()),
            rate.to_string(),
            Effect::Scores,
        );
    }
    add("outcome.features", outcome_features.to_string(), Effect::Scores);
    add("neutral_below_events", neutral_below_events.to_string(), Effect::Scores);
    if let Some(age_ms) = profile_max_age_ms {
        add(
            "profile_max_age_days",
            (age_ms / MS_PER_DAY).to_string(),
            Effect::Scores,
        );
    }
    add(
        "zone_offset_minutes",
        (zone_offset_ms / MS_PER_MINUTE).to_string(),
        Effect::Scores,
    );
    for key in keys {
        add(&format!("keys.{}", key.name), key.field.to_string(), Effect::History);
    }
    add(
        "labels.run_gap_days",
        (run_gap_ms / MS_PER_DAY).to_string(),
        Effect::Scores,
    );
    if let Some(population) = population {
        let points = population.amounts.iter().zip(&population.bits);
        let points: Vec<String> = points.map(|(amount, bits)| format!("{amount}:{bits}")).collect();
        add("population", points.join(" "), Effect::Scores);
    }
    if let Some(points) = points {
        add_points("points", points, &mut add);
    }
    if let Some(trees) = trees {
        add("trees.model", trees.key.to_string(), Effect::Scores);
    }
    if let Some(explained) = explained {
        add("explained.from_bits", explained.from_bits.to_string(), Effect::Scores);
        add_points("explained", &explained.points, &mut add);
    }
    if let Some(expected) = expected {
        let (alert, review) = (expected.alert_share, expected.review_share);
        add("expected.alert_share", alert.to_string(), Effect::Alarms);
        add("expected.review_share", review.to_string(), Effect::Alarms);
    }
    for (list, action) in lists.overrides() {
        let key = format!("lists.{}.overrides", list.name);
        add(&key, action.as_str().to_owned(), Effect::Scores);
    }
    for list in lists.terms() {
        add(
            &format!("lists.{}", list.name),
            list.of.as_str().to_owned(),
            Effect::Scores,
        );
    }
    if !rules.all().is_empty() {
        let names: Vec<&str> = rules.all().iter().map(|rule| rule.says.name()).collect();
        add("rules", names.join(" "), Effect::Scores);
    }
    for rule in rules.all() {
        let (then, mode, reason) = (rule.then.as_str(), rule.mode.as_str(), rule.says.reason());
        let value = format!("{then}, {mode}, when {} ({reason})", rule.when);
        add(&format!("rules.{}", rule.says.name()), value, Effect::Scores);
    }
    if let Some(low_risk) = low_risk {
        let categories = format!("{:?}", low_risk.merchant_categories);
        add(
            "low_risk.amount_max_minor",
            low_risk.amount_max_minor.to_string(),
            Effect::Scores,
        );
        add("low_risk.merchant_categories", categories, Effect::Scores);
        add("low_risk.features", names(low_risk.policy.features()), Effect::Scores);
    }
    list
}

fn add_points(section: &str, points: &Points, add: &mut impl FnMut(&str, String, Effect)) {
    add(
        &format!("{section}.prior_bits"),
        points.prior_bits.to_string(),
        Effect::Scores,
    );
    for table in &points.tables {
        let value = format!("{:?} {:?} missing {}", table.edges, table.bits, table.missing_bits);
        add(&format!("{section}.{}", table.key()), value, Effect::Scores);
    }
}

fn names(features: impl Iterator<Item = FeatureKey>) -> String {
    let names: Vec<String> = features.map(|key| key.to_string()).collect();
    names.join(" ")
}
