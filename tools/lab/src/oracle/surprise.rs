//! The score by the formulas of docs/concepts/scoring.md: tails are summed term by term from their definitions.

use std::collections::HashSet;
use std::f64::consts::LN_2;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::{Profile, Transaction};
use tidemark_domain::outcome::Missing;
use tidemark_domain::policy::Policy;

use super::amount::base_amount;
use super::history::NaiveCard;
use super::measure::{self, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, OWN_HISTORY_MIN, View};
use super::{ExpectedOutcome, NamedProfile};

/// Terms fall: once one is this share of their sum, the rest is below the last digit.
const NEGLIGIBLE: f64 = 1e-17;
const HIGHEST_SCORE: f64 = 1000.0;

/// The outcome of a transaction on a card that has not accepted it yet.
pub(super) fn score(
    card: &NaiveCard,
    tx: &Transaction,
    profile: Option<&Profile>,
    named: NamedProfile,
    policy: &Policy,
) -> ExpectedOutcome {
    let cheap = low_risk(tx, policy);
    let (profile, named) = if cheap.is_some() {
        (None, NamedProfile::Unavailable)
    } else {
        (profile, named)
    };
    let in_use = |key: &FeatureKey| cheap.is_none_or(|part| part.features().any(|other| other == *key));
    let view = View::new(card, tx, profile, policy);
    let scoring = &policy.scoring;
    let mut parts: Vec<(FeatureKey, f64)> = policy
        .weights()
        .filter(|(key, _)| in_use(key))
        .map(|(key, weight)| {
            let bits = surprise(key, &view, policy);
            let bits = if bits.is_nan() {
                0.0
            } else {
                bits.clamp(0.0, scoring.feature_bits_max)
            };
            (key, weight * (bits - scoring.quiet_bits).max(0.0))
        })
        .filter(|(_, part)| *part > 0.0)
        .collect();
    let whole: f64 = parts.iter().map(|(_, part)| part).sum();
    parts.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let blind = named == NamedProfile::Unavailable && view.earlier.len() < policy.neutral_below_events as usize;
    let (tiers, raw_score): (&[&str], f64) = match (cheap, named) {
        (Some(_), _) => (&["low_risk"], surprising(whole, scoring.half_bits)),
        (None, _) if blind => {
            parts.clear();
            (&["neutral"], f64::from(policy.thresholds.review))
        }
        (None, NamedProfile::Unavailable) => (&["no_profile", "history_only"], surprising(whole, scoring.half_bits)),
        (None, _) => (&["full"], surprising(whole, scoring.half_bits)),
    };
    ExpectedOutcome {
        state_version: card.accepted,
        tiers,
        raw_score,
        parts,
        missing: missing(&view, named, policy),
        profile_unknown: matches!(named, NamedProfile::Version(_)) && profile.is_none(),
        features: view.values().into_iter().filter(|(key, _)| in_use(key)).collect(),
    }
}

fn surprising(whole_bits: f64, half_bits: f64) -> f64 {
    HIGHEST_SCORE * (1.0 - libm::exp2(-whole_bits / half_bits))
}

/// The part of the policy with the features of an event of low risk; `None` for any other event.
fn low_risk<'p>(tx: &Transaction, policy: &'p Policy) -> Option<&'p Policy> {
    let rules = policy.low_risk.as_ref()?;
    let of_category = rules.merchant_categories.is_empty() || rules.merchant_categories.contains(&tx.mcc);
    let is_little = base_amount(tx, policy).is_some_and(|amount| amount <= rules.amount_max_minor);
    let is_low = of_category && is_little;
    is_low.then_some(&*rules.policy)
}

fn missing(view: &View<'_>, named: NamedProfile, policy: &Policy) -> Vec<&'static str> {
    let is_unpriced = view.amount.is_none() || view.earlier.iter().any(|past| past.amount.is_none());
    let bits = [
        (named == NamedProfile::Absent, Missing::PROFILE_ABSENT),
        (named == NamedProfile::Unavailable, Missing::PROFILE_UNAVAILABLE),
        (is_unpriced, Missing::CURRENCY_RATE),
        (is_stale(view, policy), Missing::PROFILE_STALE),
    ];
    let set = bits.iter().filter(|(is, _)| *is).fold(0, |set, (_, bit)| set | bit);
    Missing::NAMES
        .iter()
        .filter(|(bit, _)| set & bit != 0)
        .map(|(_, name)| *name)
        .collect()
}

fn is_stale(view: &View<'_>, policy: &Policy) -> bool {
    let updated_ms = view.profile.and_then(|profile| profile.updated_at_ms);
    let (Some(updated_ms), Some(max_ms)) = (updated_ms, policy.profile_max_age_ms) else {
        return false;
    };
    view.tx.occurred_at_ms - updated_ms > max_ms
}

/// How improbable a feature's value is, in bits.
#[allow(clippy::cast_precision_loss)]
fn surprise(key: FeatureKey, view: &View<'_>, policy: &Policy) -> f64 {
    let window_ms = i64::from(key.window_minutes) * MS_PER_MINUTE;
    let held = || view.window(window_ms);
    let rare = |found: usize, of: usize| (found as f64 + 1.0) / (of as f64 + 20.0);
    let succession = |firsts: usize, of: usize| (firsts as f64 + 1.0) / (of as f64 + 2.0);
    match key.kind {
        FeatureKind::Count => {
            let longest = policy.windows().iter().copied().max().unwrap_or(0);
            if view.usual_per_day().is_none() && 2 * key.window_minutes > longest {
                return 0.0;
            }
            let belief = rate(view, view.before(window_ms).count(), window_ms);
            busy(held().count - 1, days(window_ms), belief)
        }
        FeatureKind::SinceLast => view.since_last_ms().map_or(0.0, |elapsed_ms| {
            busy(1, days(elapsed_ms.max(1)), rate(view, view.earlier.len(), 0))
        }),
        FeatureKind::ProfileCountRatio => view.usual_per_day().map_or(0.0, |usual| {
            busy(
                view.count_in_day() - 1,
                1.0,
                Rate {
                    per_day: usual,
                    shape: f64::INFINITY,
                },
            )
        }),
        FeatureKind::Sum => {
            let held = held();
            view.amount
                .map_or(0.0, |_| spending(&held.amounts, &view.amounts_before(window_ms)))
        }
        FeatureKind::AmountZ => view
            .amount
            .map_or(0.0, |amount| spending(&[amount], &view.own_amounts())),
        FeatureKind::AmountRatio => {
            let own = view.own_amounts();
            let Some(amount) = view.amount.filter(|_| own.len() >= OWN_HISTORY_MIN) else {
                return 0.0;
            };
            let mean = measure::mean(&own);
            lognormal(amount as f64, mean, measure::deviation(&own).max(0.1 * mean))
        }
        FeatureKind::ProfileAmountZ => view.profile.zip(view.amount).map_or(0.0, |(profile, amount)| {
            let (mean, spread) = (profile.spend_mean_minor, profile.spend_deviation_minor);
            if mean > 0.0 && spread > 0.0 {
                lognormal(amount as f64, mean, spread)
            } else {
                0.0
            }
        }),
        FeatureKind::ShareDeclined => {
            let before: Vec<bool> = view.before(window_ms).map(|past| past.approved).collect();
            let declined = before.iter().filter(|approved| !**approved).count();
            binomial(held().declined, held().count, rare(declined, before.len()))
        }
        FeatureKind::DistinctMerchants => {
            let chance = succession(view.merchants_before(), view.earlier.len());
            binomial(held().merchants - 1, held().count - 1, chance)
        }
        FeatureKind::DistinctCountries => {
            let chance = succession(view.countries_before(), view.earlier.len());
            binomial(held().countries - 1, held().count - 1, chance)
        }
        FeatureKind::NewMerchant if view.is_new_merchant() == Some(true) => {
            bits(succession(view.merchants_before(), view.earlier.len()))
        }
        FeatureKind::NewCountry if view.is_new_country() == Some(true) => {
            bits(succession(view.countries_before(), view.earlier.len()))
        }
        FeatureKind::NewDevice if view.is_new_device() == Some(true) => {
            let devices = view.devices_before();
            bits(succession(devices.iter().collect::<HashSet<_>>().len(), devices.len()))
        }
        FeatureKind::ForeignToProfile if view.is_foreign() => {
            let usual = view.profile.map(|profile| profile.usual_country);
            let abroad = view.earlier.iter().filter(|past| Some(past.country) != usual).count();
            bits(rare(abroad, view.earlier.len()))
        }
        FeatureKind::AmountPopulation => view.value(key).unwrap_or(0.0),
        FeatureKind::Speed => view.journey().map_or(0.0, |(km, elapsed_ms)| {
            (km - 10.0).max(0.0) / (elapsed_ms as f64 / MS_PER_HOUR + 1.0 / 6.0) / 150.0
        }),
        _ => 0.0,
    }
}

#[allow(clippy::cast_precision_loss)]
fn days(time_ms: i64) -> f64 {
    time_ms as f64 / MS_PER_DAY as f64
}

/// What is believed of how often a card is used: a gamma distribution.
#[derive(Clone, Copy)]
struct Rate {
    per_day: f64,
    shape: f64,
}

/// The rate from `events` earlier ones, seen from the first of the history to the start of the window.
#[allow(clippy::cast_precision_loss)]
fn rate(view: &View<'_>, events: usize, window_ms: i64) -> Rate {
    let (believed, worth_days) = view.usual_per_day().map_or((1.0, 1.0), |usual| (usual * 7.0, 7.0));
    let now_ms = view.tx.occurred_at_ms;
    let seen_ms = (now_ms - view.first_ms().unwrap_or(now_ms) - window_ms).max(0);
    let shape = believed + events.saturating_sub(1) as f64;
    Rate {
        per_day: shape / (worth_days + days(seen_ms)),
        shape,
    }
}

/// `others` more events in a time: the negative binomial's tail.
#[allow(clippy::cast_precision_loss)]
fn busy(others: usize, days: f64, rate: Rate) -> f64 {
    let (mean, shape) = (rate.per_day * days, rate.shape.min(2.0 + 2.0 * days));
    let least = others as f64;
    if mean <= 0.0 || least <= mean {
        return 0.0;
    }
    let odds = mean / (shape + mean);
    let ln_first = libm::lgamma(least + shape) - libm::lgamma(least + 1.0) - libm::lgamma(shape)
        + shape * libm::log(shape / (shape + mean))
        + least * libm::log(odds);
    (-(ln_first + ln_sum(|step| (least + step + shape) / (least + step + 1.0) * odds)) / LN_2).max(0.0)
}

#[allow(clippy::cast_precision_loss)]
fn binomial(hits: usize, trials: usize, chance: f64) -> f64 {
    let (k, n) = (hits as f64, trials as f64);
    if k <= n * chance || hits > trials {
        return 0.0;
    }
    let ln_first = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
        + k * libm::log(chance)
        + (n - k) * libm::log(1.0 - chance);
    let sum = ln_sum(|step| (n - k - step) / (k + step + 1.0) * chance / (1.0 - chance));
    (-(ln_first + sum) / LN_2).max(0.0)
}

/// The logarithm of 1 and all the terms after it, each of which is the one before times a ratio that falls: to the very end,
/// however many there are.
fn ln_sum(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut step) = (1.0, 1.0, 0.0);
    while term > sum * NEGLIGIBLE {
        term *= ratio(step);
        sum += term;
        step += 1.0;
    }
    libm::log(sum)
}

/// These amounts together against others of the card: Student's t by Wallace's approximation.
#[allow(clippy::cast_precision_loss)]
fn spending(amounts: &[u64], others: &[u64]) -> f64 {
    if others.len() < OWN_HISTORY_MIN {
        return 0.0;
    }
    let (n, k) = (others.len() as f64, amounts.len() as f64);
    let mean = measure::mean(others);
    let spread = (measure::deviation(others) * (n / (n - 1.0)).sqrt()).max(0.1 * mean);
    let t = (measure::total(amounts) as f64 - k * mean) / (spread * (k + k * k / n).sqrt());
    if t <= 0.0 {
        return 0.0;
    }
    let freedom = n - 1.0;
    normal((8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * (freedom * libm::log(1.0 + t * t / freedom)).sqrt())
}

/// An amount against a lognormal distribution with that mean and deviation.
fn lognormal(amount: f64, mean: f64, deviation: f64) -> f64 {
    let variance = libm::log(1.0 + (deviation / mean) * (deviation / mean));
    normal((libm::log(amount) - libm::log(mean) + variance / 2.0) / variance.sqrt())
}

/// The upper tail of the normal distribution.
fn normal(z: f64) -> f64 {
    if z <= 0.0 {
        0.0
    } else {
        bits(libm::erfc(z / 2.0_f64.sqrt()) / 2.0)
    }
}

fn bits(probability: f64) -> f64 {
    (-libm::log(probability) / LN_2).max(0.0)
}
