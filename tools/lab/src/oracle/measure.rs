//! Features of one event by brute force: every window looks through the whole list again.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tidemark_domain::catalogue::KeyName;
use tidemark_domain::event::{Country, Place, Profile, Transaction, Verdict};
use tidemark_domain::labelled::LabelledEvent;
use tidemark_domain::policy::Policy;

use super::amount::base_amount;
use super::history::{NaiveCard, Past};
use super::lessons::Choice;

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
    pub(super) policy: &'a Policy,
    /// The windows that were looked through already, by their length.
    windows: RefCell<Vec<(i64, Rc<Held>)>>,
    card: &'a NaiveCard,
    /// When each merchant and country was last seen among the earlier ones, ms; `None`: never.
    merchants: Vec<Option<i64>>,
    countries: HashMap<Country, i64>,
    /// Earlier ones (equal times: those that arrived before) within the longest window.
    pub(super) earlier: Vec<&'a Past>,
    /// What is known of its keys.
    pub(super) keys: Choice,
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
            keys: Choice::new(),
        }
    }

    /// What labels say of a key; `None` where the event names none, or it could not be read.
    pub(super) fn labels_of(&self, key: KeyName) -> Option<&[LabelledEvent]> {
        let (_, labels) = self.keys.iter().find(|(name, _)| *name == key)?;
        labels.as_deref().map(Vec::as_slice)
    }

    /// Frauds among the card's own events of the window that were known then.
    pub(super) fn own_frauds(&self, window_ms: i64) -> usize {
        let now_ms = self.tx.occurred_at_ms;
        let within = self.earlier.iter().filter(|past| past.time_ms > now_ms - window_ms);
        let is_known = |(verdict, since_ms): (Verdict, i64)| verdict == Verdict::Fraud && since_ms <= now_ms;
        within.filter(|past| past.label.is_some_and(is_known)).count()
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

    pub(super) fn is_new_category(&self) -> Option<bool> {
        (!self.earlier.is_empty()).then(|| self.earlier.iter().all(|past| past.mcc != self.tx.mcc))
    }

    /// Different merchant categories of the earlier events.
    pub(super) fn categories_before(&self) -> usize {
        self.earlier.iter().map(|past| past.mcc).collect::<HashSet<_>>().len()
    }

    /// Days since the account was opened.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn account_days(&self) -> Option<f64> {
        let of_profile = self.profile.map(|profile| profile.account_opened_at_ms);
        let opened_ms = self.tx.account_opened_at_ms.or(of_profile)?;
        Some((self.tx.occurred_at_ms - opened_ms).max(0) as f64 / MS_PER_DAY as f64)
    }

    /// A clock and a calendar in the policy's zone: hours since midnight, and days since 1970-01-01.
    fn local(&self, time_ms: i64) -> (i64, i64) {
        let hours = (time_ms + self.policy.zone_offset_ms).div_euclid(3_600_000);
        (hours.rem_euclid(24), hours.div_euclid(24))
    }

    pub(super) fn hour(&self) -> i64 {
        self.local(self.tx.occurred_at_ms).0
    }

    /// Saturday and Sunday: 1970-01-03 was the first Saturday.
    pub(super) fn is_weekend(&self) -> bool {
        matches!((self.local(self.tx.occurred_at_ms).1 - 2).rem_euclid(7), 0 | 1)
    }

    /// How usual each hour is for the card, as a probability: each earlier event counts four tenths for its own hour, two for the
    /// hours beside it, one for those beyond, and twelve events are believed to be anywhere in the day.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn hour_chances(&self) -> Vec<f64> {
        let hours: Vec<i64> = self.earlier.iter().map(|past| self.local(past.time_ms).0).collect();
        let chance = |hour: i64| {
            let tenths = hours.iter().map(|other| match (hour - other).rem_euclid(24) {
                0 => 4,
                1 | 23 => 2,
                2 | 22 => 1,
                _ => 0,
            });
            (f64::from(tenths.sum::<i32>()) / 10.0 + 0.5) / (hours.len() as f64 + 12.0)
        };
        (0..24).map(chance).collect()
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
