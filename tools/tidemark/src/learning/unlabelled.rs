//! Learning without labels: how rare the values of features are in this stream.
//!
//! The features that the policy to begin with weighs, by how surprising they are for the card, and three of the amount. Each is held
//! against all events of the range: what is rare there has bits, times the policy's weight. Two walks over the file, and no label.

use learn::metrics::Ranked;
use learn::quantiles::LearnedPopulation;
use learn::rarity::{self, Weighed};
use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::policy::Policy;

use super::LearningError;
use super::labels::Labels;
use super::policy_text::PolicyText;
use super::task::{TrainOptions, Trained, latest, measure, parse, set_thresholds, used};

/// Features of the amount that join those of the policy, each with a weight of 1: against all cards, against the card's own history
/// before, and what of the last weeks was largest against that.
const OF_AMOUNT: [&str; 3] = ["amount_population", "amount_before_ratio_7d", "max_ratio_14d"];
/// What a policy may hold as its prior, bits.
const PRIOR_BITS_MAX: f64 = 100.0;
/// Bits are whole multiples of one in so many.
const BITS_STEPS: f64 = 100.0;

/// Learns a policy.
///
/// # Errors
/// When the file can't be read or is out of order, or the range holds too few events.
pub(super) fn learn(
    options: &TrainOptions,
    mut text: PolicyText,
    base: &Policy,
    population: &LearnedPopulation,
    first_ms: i64,
) -> Result<Trained, LearningError> {
    let features = features(base);
    let names: Vec<String> = features.iter().map(|feature| feature.name.clone()).collect();
    text.add_population(population);
    set_features(&mut text, names.clone());
    let measured = {
        let mut text = text.clone();
        text.weigh_anything();
        parse(&text.render("")?)?
    };
    let range_ms = (options.learn_from_ms(first_ms), options.until_ms);
    let table = measure(options, &measured, &Labels::default(), range_ms, &names)?;
    let mut rarity = rarity::fit(&table, &features)?;
    // A score of 500 is where the alerts are as many as somebody can look at.
    let bits = rarity.points.scores(&table);
    let cases = latest(&table, &bits, |bits| bits);
    let alert_bits = Ranked::new(&cases)?.all().threshold_for(options.alerts_a_day);
    let prior_bits = -alert_bits.unwrap_or(0.0).clamp(0.0, PRIOR_BITS_MAX);
    rarity.points.prior_bits = (prior_bits * BITS_STEPS).round() / BITS_STEPS + 0.0;

    set_thresholds(&mut text, &rarity.points, &table, options)?;
    set_features(&mut text, used(&rarity.points));
    text.add_rarity(&rarity);
    let text = text.render("# Made by `tidemark train --unlabelled`.\n")?;
    Ok(Trained {
        policy: parse(&text)?,
        text,
        explained: None,
        points: None,
        rarity: Some(rarity),
    })
}

/// What the policy weighs, as surprise, and the features of the amount where it does not weigh them itself.
fn features(base: &Policy) -> Vec<Weighed> {
    let mut features: Vec<Weighed> = base
        .weights()
        .map(|(key, weight)| Weighed {
            name: surprise_of(key),
            weight,
        })
        .collect();
    for name in OF_AMOUNT {
        if features.iter().all(|feature| feature.name != name) {
            features.push(Weighed {
                name: name.to_owned(),
                weight: 1.0,
            });
        }
    }
    features
}

/// The name of how surprising a feature is; that of the population is bits already.
fn surprise_of(key: FeatureKey) -> String {
    if key.kind == FeatureKind::AmountPopulation || key.is_surprise() {
        key.to_string()
    } else {
        format!("surprise.{key}")
    }
}

/// The features of points, and the population's amounts, which some of them rest on.
fn set_features(text: &mut PolicyText, mut names: Vec<String>) {
    names.push("amount_population".to_owned());
    text.set_features(names);
}
