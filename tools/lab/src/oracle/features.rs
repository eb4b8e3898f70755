//! What each feature is worth and how improbable that is, as `docs/reference/policy.md` and `docs/concepts/scoring.md` define it: a
//! feature that is new gets both here.

use std::collections::HashSet;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind, KeyName};
use tidemark_domain::policy::Policy;

use super::keys;
use super::measure::{MS_PER_HOUR, MS_PER_MINUTE, OWN_HISTORY_MIN, View, deviation, mean, total};
use super::tails::{Rate, binomial, bits, busy, days, lognormal, rate, spending};

/// A feature's value as the reference defines it.
#[allow(clippy::cast_precision_loss)]
pub(super) fn value(key: FeatureKey, view: &View<'_>) -> Option<f64> {
    if view.amount.is_none() && is_of_amounts(key.kind) {
        return None;
    }
    let amount = view.amount.unwrap_or(0) as f64;
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    let held = || view.window(i64::from(key.window_minutes) * MS_PER_MINUTE);
    match key.kind {
        FeatureKind::Count => Some(held().count as f64),
        FeatureKind::Sum => Some(total(&held().amounts) as f64),
        FeatureKind::Mean => Some(mean(&held().amounts)),
        FeatureKind::Deviation => Some(deviation(&held().amounts)),
        FeatureKind::Min => Some(held().amounts.iter().copied().min().unwrap_or(0) as f64),
        FeatureKind::Max => Some(held().amounts.iter().copied().max().unwrap_or(0) as f64),
        FeatureKind::ShareDeclined => {
            let held = held();
            Some(held.declined as f64 / held.count as f64)
        }
        FeatureKind::DistinctMerchants => Some(held().merchants as f64),
        FeatureKind::DistinctCountries => Some(held().countries as f64),
        FeatureKind::SinceLast => view.since_last_ms().map(|elapsed| elapsed as f64 / 1000.0),
        FeatureKind::AmountZ => {
            let own = view.own_amounts();
            let spread = deviation(&own);
            (own.len() >= OWN_HISTORY_MIN && spread > 0.0).then(|| (amount - mean(&own)) / spread)
        }
        FeatureKind::AmountRatio => {
            let own = view.own_amounts();
            (own.len() >= OWN_HISTORY_MIN).then(|| amount / mean(&own))
        }
        FeatureKind::ProfileAmountZ => view.profile.and_then(|profile| {
            let spread = profile.spend_deviation_minor;
            (spread > 0.0).then(|| (amount - profile.spend_mean_minor) / spread)
        }),
        FeatureKind::ProfileCountRatio => view.usual_per_day().map(|usual| view.count_in_day() as f64 / usual),
        FeatureKind::NewMerchant => view.is_new_merchant().map(flag),
        FeatureKind::NewCountry => view.is_new_country().map(flag),
        FeatureKind::NewDevice => view.is_new_device().map(flag),
        FeatureKind::Speed => view
            .journey()
            .map(|(km, elapsed_ms)| km / (elapsed_ms as f64 / MS_PER_HOUR)),
        FeatureKind::ForeignToProfile => view.profile.map(|_| flag(view.is_foreign())),
        FeatureKind::AmountMedianRatio => {
            let mut own = view.own_amounts();
            own.sort_unstable();
            let middle = own.len() / 2;
            let median = || match own.len() % 2 {
                0 => (own[middle - 1] + own[middle]) as f64 / 2.0,
                _ => own[middle] as f64,
            };
            (own.len() >= OWN_HISTORY_MIN).then(|| amount / median())
        }
        FeatureKind::AmountBeforeRatio | FeatureKind::MaxRatio => {
            let window_ms = i64::from(key.window_minutes) * MS_PER_MINUTE;
            let before = view.amounts_before(window_ms);
            let largest = held().amounts.iter().copied().max().unwrap_or(0) as f64;
            let of = if key.kind == FeatureKind::MaxRatio {
                largest
            } else {
                amount
            };
            (before.len() >= OWN_HISTORY_MIN).then(|| of / mean(&before))
        }
        FeatureKind::AmountPopulation => view.policy.population.as_ref().map(|population| {
            let knots: Vec<(f64, f64)> = population
                .amounts
                .iter()
                .copied()
                .zip(population.bits.iter().copied())
                .collect();
            let (below, above): (Vec<_>, Vec<_>) = knots.into_iter().partition(|(knot, _)| *knot <= amount);
            match (below.last(), above.first()) {
                (Some((low, bits)), Some((high, more))) => bits + (more - bits) * (amount - low) / (high - low),
                (Some((_, bits)), None) | (None, Some((_, bits))) => *bits,
                (None, None) => 0.0,
            }
        }),
        FeatureKind::CardAge => view.account_days(),
        FeatureKind::HourOfDay => Some(view.hour() as f64),
        FeatureKind::Weekend => Some(flag(view.is_weekend())),
        FeatureKind::NewMerchantCategory => view.is_new_category().map(flag),
        FeatureKind::Frauds if key.of == Some(KeyName::CARD) => {
            Some(view.own_frauds(i64::from(key.window_minutes) * MS_PER_MINUTE) as f64)
        }
        FeatureKind::FraudRun | FeatureKind::FraudRunAge | FeatureKind::Frauds | FeatureKind::SinceFraud => {
            let labels = view.labels_of(key.of?)?;
            keys::value(key, labels, view.tx.occurred_at_ms, view.policy.run_gap_ms)
        }
    }
}

/// Whether a feature is made of the event's amount.
fn is_of_amounts(kind: FeatureKind) -> bool {
    use FeatureKind::{
        AmountBeforeRatio, AmountMedianRatio, AmountPopulation, AmountRatio, AmountZ, Deviation, Max, MaxRatio, Mean,
        Min, ProfileAmountZ, Sum,
    };
    let of_window = [Sum, Mean, Deviation, Min, Max, MaxRatio, AmountBeforeRatio].contains(&kind);
    of_window
        || [
            AmountZ,
            AmountRatio,
            AmountMedianRatio,
            AmountPopulation,
            ProfileAmountZ,
        ]
        .contains(&kind)
}

/// How improbable a feature's value is, in bits.
#[allow(clippy::cast_precision_loss)]
pub(super) fn surprise(key: FeatureKey, view: &View<'_>, policy: &Policy) -> f64 {
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
            let mean = mean(&own);
            lognormal(amount as f64, mean, deviation(&own).max(0.1 * mean))
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
        FeatureKind::AmountPopulation => value(key, view).unwrap_or(0.0),
        FeatureKind::NewMerchantCategory if view.is_new_category() == Some(true) => {
            bits(succession(view.categories_before(), view.earlier.len()))
        }
        FeatureKind::HourOfDay => {
            let chances = view.hour_chances();
            let own = chances[usize::try_from(view.hour()).unwrap_or(0)];
            // Equal shares of tenths are equal here, whatever the last bit says.
            bits(chances.iter().filter(|chance| **chance <= own + 1e-12).sum())
        }
        FeatureKind::Speed => view.journey().map_or(0.0, |(km, elapsed_ms)| {
            (km - 10.0).max(0.0) / (elapsed_ms as f64 / MS_PER_HOUR + 1.0 / 6.0) / 150.0
        }),
        // Nothing is new or abroad.
        FeatureKind::NewMerchant
        | FeatureKind::NewCountry
        | FeatureKind::NewDevice
        | FeatureKind::NewMerchantCategory
        | FeatureKind::ForeignToProfile => 0.0,
        // No model.
        FeatureKind::Mean
        | FeatureKind::Deviation
        | FeatureKind::Min
        | FeatureKind::Max
        | FeatureKind::AmountMedianRatio
        | FeatureKind::AmountBeforeRatio
        | FeatureKind::MaxRatio
        | FeatureKind::CardAge
        | FeatureKind::Weekend
        | FeatureKind::FraudRun
        | FeatureKind::FraudRunAge
        | FeatureKind::Frauds
        | FeatureKind::SinceFraud => 0.0,
    }
}
