//! Tails of distributions, in bits, and what is believed of how often a card is used: summed term by term from the
//! definitions in `docs/concepts/scoring.md`.

use std::f64::consts::LN_2;

use super::measure::{self, MS_PER_DAY, OWN_HISTORY_MIN, View};

/// Terms fall: once one is this share of their sum, the rest is below the last digit.
const NEGLIGIBLE: f64 = 1e-17;

#[allow(clippy::cast_precision_loss)]
pub(super) fn days(time_ms: i64) -> f64 {
    time_ms as f64 / MS_PER_DAY as f64
}

/// What is believed of how often a card is used: a gamma distribution.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_day: f64,
    pub(super) shape: f64,
}

/// The rate from `events` earlier ones, seen from the first of the history to the start of the window.
#[allow(clippy::cast_precision_loss)]
pub(super) fn rate(view: &View<'_>, events: usize, window_ms: i64) -> Rate {
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
pub(super) fn busy(others: usize, days: f64, rate: Rate) -> f64 {
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
pub(super) fn binomial(hits: usize, trials: usize, chance: f64) -> f64 {
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
pub(super) fn spending(amounts: &[u64], others: &[u64]) -> f64 {
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
pub(super) fn lognormal(amount: f64, mean: f64, deviation: f64) -> f64 {
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

pub(super) fn bits(probability: f64) -> f64 {
    (-libm::log(probability) / LN_2).max(0.0)
}
