//! Features of one event by brute force: every window looks through the whole list again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tidemark_domain::catalogue::{FeatureKey, FeatureKind};
use tidemark_domain::event::{Country, Place, Profile, Transaction};
use tidemark_domain::policy::Policy;

use super::amount::base_amount;
use super::history::{NaiveCard, Past};

pub(super) const MS_PER_MINUTE: i64 = 60_000;
pub(super) const MS_PER_HOUR: f64 = 3_600_000.0;
pub(super) const MS_PER_DAY: i64 = 86_400_000;
/// From so many earlier events on an amount is held against the card's own.
pub(super) const OWN_HISTORY_MIN: usize = 5;
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// One event with the list it is seen against: its own time decides what counts, the event itself does.
pub(super) struct View<'a> {
    pub(super) tx: &'a Transaction,
    /// Base minor units, where there is a rate.
    pub(super) amount: Option<u64>,
    pub(super) profile: Option<&'a Profile>,
    policy: &'a Policy,
    /// The windows that were looked through already, by their length.
    windows: RefCell<Vec<(i64, Rc<Held>)>>,
    card: &'a NaiveCard,
    /// When each merchant and country was last seen among the earlier ones, ms; `None`: never.
    merchants: Vec<Option<i64>>,
    countries: HashMap<Country, i64>,
    /// Earlier ones (equal times: those that arrived before) within the longest window.
    pub(super) earlier: Vec<&'a Past>,
}

/// What a window holds.
pub(super) struct Held {
    pub(super) count: usize,
    /// The amounts that are known.
    pub(super) amounts: Vec<u64>,
    pub(super) declined: usize,
    pub(super) merchants: usize,
    pub(super) countries: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(
        card: &'a NaiveCard,
        tx: &'a Transaction,
        profile: Option<&'a Profile>,
        policy: &'a Policy,
    ) -> Self {
        let amount = base_amount(tx, policy);
        let longest_ms = i64::from(policy.windows().iter().copied().max().unwrap_or(0)) * MS_PER_MINUTE;
        let now_ms = tx.occurred_at_ms;
        let earlier: Vec<&Past> = card
            .events
            .iter()
            .filter(|past| past.time_ms <= now_ms && past.time_ms > now_ms - longest_ms)
            .collect();
        let (mut merchants, mut countries) = (vec![None; card.merchants.len()], HashMap::new());
        for past in &earlier {
            let seen = &mut merchants[past.merchant];
            *seen = (*seen).max(Some(past.time_ms));
            let seen = countries.entry(past.country).or_insert(past.time_ms);
            *seen = past.time_ms.max(*seen);
        }
        Self {
            card,
            merchants,
            countries,
            tx,
            amount,
            profile,
            policy,
            windows: RefCell::default(),
            earlier,
        }
    }

    /// (t − w, t], the event itself among them. Each window is looked through once.
    pub(super) fn window(&self, window_ms: i64) -> Rc<Held> {
        let mut seen = self.windows.borrow_mut();
        if let Some((_, held)) = seen.iter().find(|(of_ms, _)| *of_ms == window_ms) {
            return Rc::clone(held);
        }
        let held = Rc::new(self.look_through(window_ms));
        seen.push((window_ms, Rc::clone(&held)));
        held
    }

    fn look_through(&self, window_ms: i64) -> Held {
        let inside: Vec<&&Past> = self
            .earlier
            .iter()
            .filter(|past| past.time_ms > self.tx.occurred_at_ms - window_ms)
            .collect();
        let mut amounts: Vec<u64> = inside.iter().filter_map(|past| past.amount).collect();
        amounts.extend(self.amount);
        // What was last seen within the window is in it; this event's own are in it anyway.
        let start_ms = self.tx.occurred_at_ms - window_ms;
        let own = self.own_merchant();
        let merchants = (0..).zip(&self.merchants);
        let others =
            merchants.filter(|(number, seen)| seen.is_some_and(|seen| seen > start_ms) && Some(*number) != own);
        let abroad = self.countries.iter();
        let abroad = abroad.filter(|(country, seen)| **seen > start_ms && **country != self.tx.country);
        Held {
            count: inside.len() + 1,
            amounts,
            declined: inside.iter().filter(|past| !past.approved).count() + usize::from(!self.tx.approved),
            merchants: others.count() + 1,
            countries: abroad.count() + 1,
        }
    }

    /// Known amounts of the earlier events that lie before the window.
    pub(super) fn amounts_before(&self, window_ms: i64) -> Vec<u64> {
        self.before(window_ms).filter_map(|past| past.amount).collect()
    }

    pub(super) fn before(&self, window_ms: i64) -> impl Iterator<Item = &Past> {
        let start_ms = self.tx.occurred_at_ms - window_ms;
        self.earlier
            .iter()
            .copied()
            .filter(move |past| past.time_ms <= start_ms)
    }

    /// Known amounts of all earlier events.
    pub(super) fn own_amounts(&self) -> Vec<u64> {
        self.earlier.iter().filter_map(|past| past.amount).collect()
    }

    pub(super) fn count_in_day(&self) -> usize {
        self.window(MS_PER_DAY).count
    }

    pub(super) fn first_ms(&self) -> Option<i64> {
        self.earlier.iter().map(|past| past.time_ms).min()
    }

    pub(super) fn since_last_ms(&self) -> Option<i64> {
        self.earlier
            .iter()
            .map(|past| self.tx.occurred_at_ms - past.time_ms)
            .min()
    }

    fn own_merchant(&self) -> Option<usize> {
        self.card.merchants.find(self.tx.merchant_id.as_str())
    }

    /// Different merchants of the earlier events.
    pub(super) fn merchants_before(&self) -> usize {
        self.merchants.iter().flatten().count()
    }

    /// Different countries of the earlier events.
    pub(super) fn countries_before(&self) -> usize {
        self.countries.len()
    }

    /// The devices that earlier events named, one for each such event.
    pub(super) fn devices_before(&self) -> Vec<usize> {
        self.earlier.iter().filter_map(|past| past.device).collect()
    }

    pub(super) fn is_new_merchant(&self) -> Option<bool> {
        let seen = || self.own_merchant().and_then(|own| self.merchants[own]);
        (!self.earlier.is_empty()).then(|| seen().is_none())
    }

    pub(super) fn is_new_country(&self) -> Option<bool> {
        (!self.earlier.is_empty()).then(|| !self.countries.contains_key(&self.tx.country))
    }

    pub(super) fn is_new_device(&self) -> Option<bool> {
        let device = self.card.devices.find(self.tx.device_id.as_ref()?.as_str());
        (!self.earlier.is_empty()).then(|| device.is_none_or(|device| !self.devices_before().contains(&device)))
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.profile
            .is_some_and(|profile| profile.usual_country != self.tx.country)
    }

    /// Kilometres and milliseconds (at least one) from the previous placed event.
    pub(super) fn journey(&self) -> Option<(f64, i64)> {
        let here = self.tx.place?;
        // The latest in time; of equal times the last to arrive.
        let placed = self.earlier.iter().filter(|past| past.place.is_some());
        let last = placed.max_by_key(|past| (past.time_ms, past.seq))?;
        Some((
            haversine_km(last.place?, here),
            (self.tx.occurred_at_ms - last.time_ms).max(1),
        ))
    }

    pub(super) fn usual_per_day(&self) -> Option<f64> {
        self.profile
            .map(|profile| profile.transactions_per_day)
            .filter(|usual| *usual > 0.0)
    }

    /// A feature's value as the reference defines it.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn value(&self, key: FeatureKey) -> Option<f64> {
        if self.amount.is_none() && is_of_amounts(key.kind) {
            return None;
        }
        let amount = self.amount.unwrap_or(0) as f64;
        let flag = |is: bool| if is { 1.0 } else { 0.0 };
        let held = || self.window(i64::from(key.window_minutes) * MS_PER_MINUTE);
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
            FeatureKind::SinceLast => self.since_last_ms().map(|elapsed| elapsed as f64 / 1000.0),
            FeatureKind::AmountZ => {
                let own = self.own_amounts();
                let spread = deviation(&own);
                (own.len() >= OWN_HISTORY_MIN && spread > 0.0).then(|| (amount - mean(&own)) / spread)
            }
            FeatureKind::AmountRatio => {
                let own = self.own_amounts();
                (own.len() >= OWN_HISTORY_MIN).then(|| amount / mean(&own))
            }
            FeatureKind::ProfileAmountZ => self.profile.and_then(|profile| {
                let spread = profile.spend_deviation_minor;
                (spread > 0.0).then(|| (amount - profile.spend_mean_minor) / spread)
            }),
            FeatureKind::ProfileCountRatio => self.usual_per_day().map(|usual| self.count_in_day() as f64 / usual),
            FeatureKind::NewMerchant => self.is_new_merchant().map(flag),
            FeatureKind::NewCountry => self.is_new_country().map(flag),
            FeatureKind::NewDevice => self.is_new_device().map(flag),
            FeatureKind::Speed => self
                .journey()
                .map(|(km, elapsed_ms)| km / (elapsed_ms as f64 / MS_PER_HOUR)),
            FeatureKind::ForeignToProfile => self.profile.map(|_| flag(self.is_foreign())),
            FeatureKind::AmountMedianRatio => {
                let mut own = self.own_amounts();
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
                let before = self.amounts_before(window_ms);
                let largest = held().amounts.iter().copied().max().unwrap_or(0) as f64;
                let of = if key.kind == FeatureKind::MaxRatio {
                    largest
                } else {
                    amount
                };
                (before.len() >= OWN_HISTORY_MIN).then(|| of / mean(&before))
            }
            FeatureKind::AmountPopulation => self.policy.population.as_ref().map(|population| {
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
            // The oracle looks at one card alone, and at no label: nothing of these is recomputed.
            FeatureKind::FraudRun | FeatureKind::FraudRunAge | FeatureKind::Frauds | FeatureKind::SinceFraud => None,
        }
    }

    /// Every feature of the policy, where its outcomes carry them.
    pub(super) fn values(&self) -> Vec<(FeatureKey, Option<f64>)> {
        let asked = self.policy.features().filter(|_| self.policy.outcome_features);
        asked.map(|key| (key, self.value(key))).collect()
    }
}

pub(super) fn total(amounts: &[u64]) -> u128 {
    amounts.iter().copied().map(u128::from).sum()
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn mean(amounts: &[u64]) -> f64 {
    total(amounts) as f64 / amounts.len() as f64
}

/// Population standard deviation, by its definition: the mean of squared distances from the mean.
#[allow(clippy::cast_precision_loss)]
pub(super) fn deviation(amounts: &[u64]) -> f64 {
    let mean = mean(amounts);
    let squares: f64 = amounts
        .iter()
        .map(|amount| (*amount as f64 - mean) * (*amount as f64 - mean))
        .sum();
    (squares / amounts.len() as f64).sqrt()
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

/// Great-circle distance by the spherical law of cosines' stable sibling, in vectors: the angle between two directions.
fn haversine_km(a: Place, b: Place) -> f64 {
    let direction = |place: Place| {
        let latitude = (f64::from(place.latitude_e4) / 10_000.0).to_radians();
        let longitude = (f64::from(place.longitude_e4) / 10_000.0).to_radians();
        let (cos, sin) = (libm::cos(latitude), libm::sin(latitude));
        [cos * libm::cos(longitude), cos * libm::sin(longitude), sin]
    };
    let (u, v) = (direction(a), direction(b));
    let difference: f64 = u.iter().zip(&v).map(|(u, v)| (u - v) * (u - v)).sum::<f64>().sqrt();
    let sum: f64 = u.iter().zip(&v).map(|(u, v)| (u + v) * (u + v)).sum::<f64>().sqrt();
    // Kahan's angle between unit vectors: exact for small and for nearly opposite ones.
    2.0 * libm::atan2(difference, sum) * EARTH_RADIUS_KM
}
