//! `tidemark train`: points from a history and its labels, as a policy.
//!
//! Three walks over the file. The first takes amounts: how rare each is among all cards, which needs no label. The second measures the
//! card's own features, and learns from them which frauds a card explains by itself. The third measures all features with keys, whose
//! rows of unexplained frauds rest on the second, and learns the points. So what is measured in training is what is measured in use.

use learn::quantiles::{KNOTS_MAX, LearnedPopulation};
use learn::{FEATURES_MAX, FitOptions, Fitted, LearnError, Table, points};
use tidemark_domain::policy::{KeyField, Policy};

use super::LearningError;
use super::labels::Labels;
use super::policy_text::PolicyText;
use super::replay::{self, amount_of};
use super::task::{measure, parse, set_thresholds, used, windows};
use super::unlabelled;

pub use super::task::{TrainOptions, Trained};

/// Features of the card to choose from.
const CARD: [&str; 16] = [
    "amount_population",
    "amount_median_ratio",
    "surprise.sum_7d",
    "surprise.sum_1d",
    "max_ratio_14d",
    "amount_before_ratio_14d",
    "surprise.amount_z",
    "surprise.count_1h",
    "surprise.count_1d",
    "surprise.count_7d",
    "share_declined_1d",
    "since_last",
    "surprise.new_merchant",
    "surprise.new_country",
    "surprise.new_device",
    "surprise.speed",
];
/// Whether a history has what a feature is made of.
type IsThere = fn(&Looked) -> bool;

/// Features of the card that are tried after those above, where the history has what they are made of: each is taken only when validation
/// gains by it, so that a history without anything in them gives the policy that it always gave.
const LATE: [(&str, IsThere); 4] = [
    ("card_age", |looked| looked.has_accounts),
    ("surprise.new_merchant_category", |looked| looked.categories > 1),
    ("surprise.hour_of_day", |_| true),
    ("weekend", |_| true),
];
/// Features of each key to choose from.
const OF_KEY: [&str; 3] = ["fraud_run", "fraud_run_age", "since_fraud"];
/// A card explains a fraud from so many bits above the odds of fraud in the range on (log2 odds by the card's own features, prior
/// included): whatever the share of fraud is, an event that is as ordinary as most explains nothing (docs/reference/detection.md).
const EXPLAINED_ABOVE_BITS: f64 = 1.4;

/// Learns.
///
/// # Errors
/// When the file can't be read or is out of order, or holds too little to learn from.
pub fn train(options: &TrainOptions) -> Result<Trained, LearningError> {
    let base = parse(&options.base)?;
    let mut looked = look(options, &base)?;
    let population = LearnedPopulation::fit(std::mem::take(&mut looked.amounts), KNOTS_MAX)?;
    let mut text = PolicyText::new(&options.base)?;
    let version = text.version() + 1;
    text.set("version", version);
    text.set("windows_minutes", windows(&base));
    if options.unlabelled {
        return unlabelled::learn(options, text, &base, &population, looked.first_ms);
    }
    if base.keys.is_empty() {
        let mut keys = vec![key("terminal", KeyField::Merchant)];
        keys.extend(looked.has_devices.then(|| key("device", KeyField::Device)));
        text.set("keys", toml::Value::Array(keys));
    }
    let from_ms = options.learn_from_ms(looked.first_ms);
    let labels = Labels::read(|| replay::lines(&options.input, &base), options.label_delay_ms)?;
    let names: Vec<String> = CARD.map(str::to_owned).to_vec();
    let late = late(&looked);
    let own = names_to_try(names.clone(), &late);
    let own = explaining(fit(
        options,
        &with(&text, &population, None, &own)?,
        &labels,
        from_ms,
        (&own, &late),
    ))?;
    let keyed = with(&text, &population, own.as_ref(), &names)?;
    let mut all = names;
    for key in &keyed.keys {
        all.extend(OF_KEY.map(|feature| format!("{}.{feature}", key.name)));
    }
    let all = names_to_try(all, &late);
    let policy = with(&text, &population, own.as_ref(), &all)?;
    let (fitted, table) = fit(options, &policy, &labels, from_ms, (&all, &late))?;
    set_thresholds(&mut text, &fitted.points, &table, options)?;
    finish(text, &population, own, fitted)
}

/// A key as a policy declares it.
fn key(name: &str, field: KeyField) -> toml::Value {
    let field = field.to_string();
    let members = [("name", name), ("field", &field), ("keeps", "labelled")];
    let members = members.map(|(name, value)| (name.to_owned(), toml::Value::from(value)));
    toml::Value::Table(members.into_iter().collect())
}

/// The late features that this history has something for.
fn late(looked: &Looked) -> Vec<String> {
    let found = LATE.iter().filter(|(_, is_there)| is_there(looked));
    found.map(|(name, _)| (*name).to_owned()).collect()
}

/// Features to choose from and the late ones behind them, as many as there may be.
fn names_to_try(mut names: Vec<String>, late: &[String]) -> Vec<String> {
    names.extend(late.iter().cloned());
    names.truncate(FEATURES_MAX);
    names
}

/// What was learned of the card's own features. Where they tell no fraud from the rest, no card explains any.
fn explaining(fitted: Result<(Fitted, Table), LearningError>) -> Result<Option<Fitted>, LearningError> {
    match fitted {
        Ok((fitted, _)) => Ok(Some(fitted)),
        Err(LearningError::Learn(LearnError::NothingLearned | LearnError::NothingVaries)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a first look at a history tells.
struct Looked {
    /// The amounts of all transactions before the end, base minor units.
    amounts: Vec<u64>,
    /// When the first of them was, ms since 1970-01-01T00:00:00Z.
    first_ms: i64,
    /// Whether any of them names a device.
    has_devices: bool,
    /// Whether any event says when its account was opened.
    has_accounts: bool,
    /// Different merchant categories, as far as they were counted: one, or more than one.
    categories: usize,
}

fn look(options: &TrainOptions, policy: &Policy) -> Result<Looked, LearningError> {
    let (mut amounts, mut has_devices, mut has_accounts) = (Vec::new(), false, false);
    let mut categories: Vec<u16> = Vec::new();
    let mut first_ms = None;
    let mut lines = replay::lines(&options.input, policy)?;
    while let Some((_, line)) = lines.next()? {
        let Ok(payload) = line else { continue };
        has_accounts = has_accounts || says(payload, "account_opened_at_ms");
        let Some(time_ms) = replay::time_of(payload) else {
            continue;
        };
        if time_ms >= options.until_ms {
            break;
        }
        if categories.len() < 2 {
            categories.extend(category_of(payload).filter(|found| !categories.contains(found)));
        }
        first_ms = first_ms.or(Some(time_ms));
        has_devices = has_devices || says(payload, "device_id");
        amounts.extend(Some(amount_of(payload, policy)).filter(|amount| *amount > 0));
    }
    Ok(Looked {
        amounts,
        first_ms: first_ms.ok_or(LearningError::NothingInRange)?,
        has_devices,
        has_accounts,
        categories: categories.len(),
    })
}

/// Whether a line has a member of its top level that is not null.
fn says(payload: &[u8], member: &str) -> bool {
    memchr::memmem::find(payload, member.as_bytes()).is_some()
        && serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(payload)
            .is_ok_and(|members| members.get(member).is_some_and(|value| !value.is_null()))
}

fn category_of(payload: &[u8]) -> Option<u16> {
    #[derive(serde::Deserialize)]
    struct Sold {
        mcc: u16,
    }
    serde_json::from_slice::<Sold>(payload).ok().map(|sold| sold.mcc)
}

/// The text of a policy that measures these features, and those which tell what is explained.
fn with_text(
    text: &PolicyText,
    population: &LearnedPopulation,
    explained: Option<&Fitted>,
    names: &[String],
) -> Result<String, LearningError> {
    let mut text = text.clone();
    let mut features = names.to_vec();
    features.extend(explained.into_iter().flat_map(|fitted| used(&fitted.points)));
    text.set_features(features);
    text.add_population(population);
    if let Some(fitted) = explained {
        add_explained(&mut text, fitted);
    }
    text.weigh_anything();
    text.render("")
}

fn with(
    text: &PolicyText,
    population: &LearnedPopulation,
    explained: Option<&Fitted>,
    names: &[String],
) -> Result<Policy, LearningError> {
    parse(&with_text(text, population, explained, names)?)
}

/// The limit, to a tenth of a bit.
fn explained_from_bits(events: usize, frauds: usize) -> f64 {
    let odds_bits = (frauds as f64 / events.saturating_sub(frauds).max(1) as f64).log2();
    ((odds_bits + EXPLAINED_ABOVE_BITS) * 10.0).round() / 10.0
}

fn add_explained(text: &mut PolicyText, fitted: &Fitted) {
    let first = format!(
        "from_bits = {:?}\n",
        explained_from_bits(fitted.report.events, fitted.report.frauds)
    );
    let words = "Which events their card's own features explain: a fraud of one says little of its keys.";
    text.add_points("explained", words, &first, fitted.points.prior_bits, &fitted.report);
}

/// Measures the features of a policy, and learns from those that are named, late ones among them.
fn fit(
    options: &TrainOptions,
    policy: &Policy,
    labels: &Labels,
    from_ms: i64,
    (names, late): (&[String], &[String]),
) -> Result<(Fitted, Table), LearningError> {
    // What happened later has no label yet that could be known.
    let last_ms = options.until_ms - options.label_delay_ms;
    let table = measure(options, policy, labels, (from_ms, last_ms), names)?;
    let fitted = points::fit(
        &table,
        &FitOptions {
            late: late.to_vec(),
            ..FitOptions::new(options.label_delay_ms)
        },
    )?;
    Ok((fitted, table))
}

/// The policy, with nothing but what its points look at.
fn finish(
    mut text: PolicyText,
    population: &LearnedPopulation,
    own: Option<Fitted>,
    fitted: Fitted,
) -> Result<Trained, LearningError> {
    let mut features = used(&fitted.points);
    features.extend(own.iter().flat_map(|own| used(&own.points)));
    text.set_features(features);
    text.add_population(population);
    if let Some(own) = &own {
        add_explained(&mut text, own);
    }
    let words = "Bits of each bin; their sum is the log2 odds of fraud.";
    text.add_points("points", words, "", fitted.points.prior_bits, &fitted.report);
    let text = text.render("# Made by `tidemark train`.\n")?;
    Ok(Trained {
        policy: parse(&text)?,
        text,
        explained: own,
        points: Some(fitted),
        rarity: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_explains_what_is_far_above_the_odds_of_its_stream() {
        assert_eq!(
            [800, 6_000].map(|frauds| explained_from_bits(100_000, frauds)),
            [-5.6, -2.6]
        );
    }
}
