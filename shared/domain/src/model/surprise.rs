//! How improbable each feature's value is for this card, in bits. One function a model; `docs/concepts/scoring.md` has
//! the formulas and their sources.

use crate::catalogue::{FeatureKey, FeatureKind};
use crate::measure::{Amounts, HOURS, Measured, PAST_EVENTS_MIN, Pane};
use crate::policy::{Feature, Policy};

use super::tail;

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_HOUR: f64 = 3_600_000.0;
const MS_PER_DAY: f64 = 86_400_000.0;

/// What is believed of a card's rate before the event's past speaks: so many transactions a day, and the days of evidence
/// that this belief is worth.
const RATE_PRIOR_PER_DAY: f64 = 1.0;
const RATE_PRIOR_DAYS: f64 = 1.0;
/// A profile's usual rate is worth so many days of evidence.
const RATE_PROFILE_DAYS: f64 = 7.0;
/// People use cards in bouts: the rate varies, like a gamma distribution of this shape plus this much for each day that
/// the window lasts.
const ACTIVITY_SHAPE: f64 = 2.0;
const ACTIVITY_SHAPE_PER_DAY: f64 = 2.0;
/// The least deviation of a card's amounts, as a share of their mean: a card of equal amounts still varies.
const AMOUNT_DEVIATION_SHARE_MIN: f64 = 0.1;
/// What is believed of rare things (declined, abroad) beforehand: once in so many events.
const RARE_PRIOR_HITS: f64 = 1.0;
const RARE_PRIOR_EVENTS: f64 = 20.0;
/// What is believed of a card's hours beforehand: so many events, spread evenly over the day.
const HOUR_PRIOR_EVENTS: f64 = 12.0;
/// Distance and time that are taken off a journey: two clocks, two places of one shop.
const TRAVEL_SLACK_KM: f64 = 10.0;
const TRAVEL_SLACK_HOURS: f64 = 1.0 / 6.0;
/// Each further so many km/h is half as probable: 6 bits at an airliner's 900 km/h.
const TRAVEL_HALVING_KM_PER_HOUR: f64 = 150.0;

/// The surprise of one feature, bits; 0 where its inputs are missing, and for one without a model.
pub(super) fn of(feature: Feature, measured: &Measured<'_>, policy: &Policy) -> f64 {
    let pane = || measured.pane(feature);
    let bits = match feature.key.kind {
        FeatureKind::Count => pane().map(|pane| count(feature.key, pane, measured, policy)),
        FeatureKind::Sum => pane().and_then(|pane| sum(pane, measured)),
        FeatureKind::ShareDeclined => pane().map(|pane| share_declined(pane, measured)),
        FeatureKind::DistinctMerchants => {
            pane().map(|pane| distinct(pane.merchants, pane, measured.past_merchants(), measured))
        }
        FeatureKind::DistinctCountries => {
            pane().map(|pane| distinct(pane.countries, pane, measured.past_countries(), measured))
        }
        FeatureKind::SinceLast => measured
            .since_last_ms()
            .map(|elapsed_ms| since_last(elapsed_ms, measured)),
        FeatureKind::AmountZ => amount(measured),
        FeatureKind::AmountRatio => amount_ratio(measured),
        FeatureKind::ProfileAmountZ => profile_amount(measured),
        FeatureKind::ProfileCountRatio => measured.usual_per_day().map(|usual| profile_count(usual, measured)),
        FeatureKind::NewMerchant => first(
            measured.new_merchant(),
            measured.past_merchants(),
            measured.past_count(),
        ),
        FeatureKind::NewCountry => first(measured.new_country(), measured.past_countries(), measured.past_count()),
        FeatureKind::NewDevice => first(measured.new_device(), measured.devices, measured.device_events),
        FeatureKind::NewMerchantCategory => {
            first(measured.new_category(), measured.categories, measured.category_events)
        }
        FeatureKind::HourOfDay => Some(hour(&measured.hours, measured.hour)),
        FeatureKind::Speed => measured.travel.map(|travel| speed(travel.km, travel.elapsed_ms)),
        FeatureKind::ForeignToProfile => Some(foreign(measured)),
        FeatureKind::AmountPopulation => measured.value(feature, policy),
        FeatureKind::Mean
        | FeatureKind::Deviation
        | FeatureKind::Min
        | FeatureKind::Max
        | FeatureKind::FraudRun
        | FeatureKind::FraudRunAge
        | FeatureKind::Frauds
        | FeatureKind::SinceFraud
        | FeatureKind::AmountMedianRatio
        | FeatureKind::AmountBeforeRatio
        | FeatureKind::MaxRatio
        | FeatureKind::CardAge
        | FeatureKind::Weekend => None,
    };
    // Numbers from outside (a profile) may be absurd; NaN is no surprise, infinity the greatest.
    bits.filter(|bits| !bits.is_nan())
        .map_or(0.0, |bits| bits.min(policy.scoring.feature_bits_max))
}

/// The card's rate by the event's past before a window: mean a day, and the shape of what is believed of it.
fn rate(events: u32, observed_ms: i64, measured: &Measured<'_>) -> (f64, f64) {
    let (prior_events, prior_days) = match measured.usual_per_day() {
        Some(usual) => (usual * RATE_PROFILE_DAYS, RATE_PROFILE_DAYS),
        None => (RATE_PRIOR_PER_DAY * RATE_PRIOR_DAYS, RATE_PRIOR_DAYS),
    };
    // The first event opens the observed time, so it is not one of the events within it.
    let shape = prior_events + f64::from(events.saturating_sub(1));
    (shape / (prior_days + observed_ms as f64 / MS_PER_DAY), shape)
}

/// Tail of the number of events besides this one in a time of so many days.
fn count_tail(others: u32, days: f64, per_day: f64, belief_shape: f64) -> f64 {
    let shape = (ACTIVITY_SHAPE + ACTIVITY_SHAPE_PER_DAY * days).min(belief_shape);
    tail::count(others, per_day * days, shape)
}

fn count(key: FeatureKey, pane: &Pane, measured: &Measured<'_>, policy: &Policy) -> f64 {
    let window_ms = i64::from(key.window_minutes) * MS_PER_MINUTE;
    // Without a profile the window is held against the time before it: there must be as much of that as of the window.
    if measured.usual_per_day().is_none() && window_ms > policy.window_max_ms() / 2 {
        return 0.0;
    }
    let (per_day, shape) = rate(
        measured.count_before(pane),
        measured.observed_before_ms(window_ms),
        measured,
    );
    count_tail(pane.count - 1, window_ms as f64 / MS_PER_DAY, per_day, shape)
}

fn profile_count(usual_per_day: f64, measured: &Measured<'_>) -> f64 {
    count_tail(measured.count_day - 1, 1.0, usual_per_day, f64::INFINITY)
}

fn since_last(elapsed_ms: i64, measured: &Measured<'_>) -> f64 {
    let (per_day, shape) = rate(measured.past_count(), measured.observed_before_ms(0), measured);
    // Equal times: as if a millisecond lay between.
    count_tail(1, elapsed_ms.max(1) as f64 / MS_PER_DAY, per_day, shape)
}

/// The sum of `events` amounts against as many drawn from a reference: a t test with the reference's deviation.
fn total(sum: u64, events: u32, reference: Amounts) -> f64 {
    if reference.count < PAST_EVENTS_MIN {
        return 0.0;
    }
    let (n, k) = (f64::from(reference.count), f64::from(events));
    let mean = reference.mean();
    // Sample deviation: n - 1 in the denominator.
    let deviation = (reference.deviation() * (n / (n - 1.0)).sqrt()).max(AMOUNT_DEVIATION_SHARE_MIN * mean);
    let excess = sum as f64 - k * mean;
    tail::student(excess / (deviation * (k * (1.0 + k / n)).sqrt()), n - 1.0)
}

fn amount(measured: &Measured<'_>) -> Option<f64> {
    Some(total(measured.amount?, 1, measured.past()))
}

/// Of the amounts that are known; where this event's own is not, it can't be what makes them many.
fn sum(pane: &Pane, measured: &Measured<'_>) -> Option<f64> {
    measured.amount?;
    Some(total(pane.sum, pane.amounts().count, measured.before(pane)))
}

/// Tail of a lognormal distribution with that mean and deviation.
fn lognormal(amount: f64, mean: f64, deviation: f64) -> f64 {
    let spread = deviation / mean;
    let variance = libm::log1p(spread * spread);
    tail::normal((libm::log(amount / mean) + variance / 2.0) / variance.sqrt())
}

fn amount_ratio(measured: &Measured<'_>) -> Option<f64> {
    let (amount, past) = (measured.amount? as f64, measured.past());
    if past.count < PAST_EVENTS_MIN {
        return None;
    }
    let mean = past.mean();
    let deviation = past.deviation().max(AMOUNT_DEVIATION_SHARE_MIN * mean);
    Some(lognormal(amount, mean, deviation))
}

fn profile_amount(measured: &Measured<'_>) -> Option<f64> {
    let (amount, profile) = (measured.amount? as f64, measured.profile?);
    let (mean, deviation) = (profile.spend_mean_minor, profile.spend_deviation_minor);
    (mean > 0.0 && deviation > 0.0).then(|| lognormal(amount, mean, deviation))
}

fn share_declined(pane: &Pane, measured: &Measured<'_>) -> f64 {
    let declined = f64::from(measured.declined_before(pane));
    let events = f64::from(measured.count_before(pane));
    let probability = (declined + RARE_PRIOR_HITS) / (events + RARE_PRIOR_EVENTS);
    tail::binomial(pane.declined, pane.count, probability)
}

/// Laplace's rule of succession: of `events`, `firsts` were at a merchant (in a country, on a device) not seen before.
fn first_probability(firsts: u32, events: u32) -> f64 {
    (f64::from(firsts) + 1.0) / (f64::from(events) + 2.0)
}

fn first(is_new: Option<bool>, firsts: u32, events: u32) -> Option<f64> {
    is_new.map(|is_new| {
        if is_new {
            tail::bits(first_probability(firsts, events))
        } else {
            0.0
        }
    })
}

fn distinct(found: u32, pane: &Pane, firsts: u32, measured: &Measured<'_>) -> f64 {
    let probability = first_probability(firsts, measured.past_count());
    tail::binomial(found.saturating_sub(1), pane.count - 1, probability)
}

fn foreign(measured: &Measured<'_>) -> f64 {
    if !measured.foreign {
        return 0.0;
    }
    let abroad = f64::from(measured.foreign_events) + RARE_PRIOR_HITS;
    tail::bits(abroad / (f64::from(measured.past_count()) + RARE_PRIOR_EVENTS))
}

/// The share of this hour and of all that are no more usual, of hours that draw from those beside them: of ten parts of an event its
/// own hour has four, those beside it two each, those beyond one each.
fn hour(events: &[u32; HOURS], hour: usize) -> f64 {
    let at = |hour: usize| u64::from(events[hour % HOURS]);
    let parts = |hour: usize| {
        let beside = at(hour + 1) + at(hour + HOURS - 1);
        let beyond = at(hour + 2) + at(hour + HOURS - 2);
        4 * at(hour) + 2 * beside + beyond
    };
    let own = parts(hour);
    let rare = (0..HOURS).map(parts).filter(|parts| *parts <= own);
    let (hours, parts) = rare.fold((0.0, 0), |(hours, sum), parts| (hours + 1.0, sum + parts));
    let all: u64 = (0..HOURS).map(at).sum();
    let believed = HOUR_PRIOR_EVENTS * hours / HOURS as f64;
    tail::bits((parts as f64 / 10.0 + believed) / (all as f64 + HOUR_PRIOR_EVENTS))
}

fn speed(km: f64, elapsed_ms: i64) -> f64 {
    let km_per_hour = (km - TRAVEL_SLACK_KM).max(0.0) / (elapsed_ms as f64 / MS_PER_HOUR + TRAVEL_SLACK_HOURS);
    km_per_hour / TRAVEL_HALVING_KM_PER_HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many events, spread evenly over the hours from 8 to 22 o'clock.
    fn day(events: usize) -> [u32; HOURS] {
        let mut hours = [0; HOURS];
        (0..events).for_each(|number| hours[8 + number % 14] += 1);
        hours
    }

    #[test]
    fn an_hour_is_the_rarer_the_more_the_past_says_so() {
        let bits = |events: usize, at: usize| libm::round(hour(&day(events), at) * 100.0) / 100.0;
        assert_eq!([0, 5, 60, 300].map(|events| bits(events, 4)), [0.0, 1.18, 4.58, 6.7]);
        // Beside usual hours, among them, and beyond.
        assert_eq!([7, 14, 23].map(|at| bits(60, at)), [3.07, 0.62, 4.21]);
        // Midnight is beside the last hour of the day.
        let mut late = [0; HOURS];
        late[23] = 100;
        assert!(hour(&late, 0) < hour(&late, 3));
        assert!((hour(&late, 0) - hour(&late, 22)).abs() < 1e-12);
        assert_eq!(hour(&late, 23), 0.0);
    }
}
