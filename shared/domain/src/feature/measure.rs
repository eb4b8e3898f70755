//! One pass over a card's history, from the event backwards: everything that features and score are made of.
//!
//! Sums are whole numbers, so that a value does not depend on the order in which events arrived. The only fractions
//! come out at the end.

use crate::card::{CardState, Entry};
use crate::event::{Country, Place, Profile, Transaction};
use crate::id::fingerprint32;
use crate::policy::Policy;
use crate::score::{BASE_AMOUNT_MAX, base_amount};

use super::distinct::{Countries, Fingerprints};
use super::{FeatureKey, FeatureKind, FeatureValue, geo};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;
const MS_PER_SECOND: f64 = 1000.0;
const MS_PER_HOUR: f64 = 3_600_000.0;

/// An amount is compared with the card's own history from so many earlier events on.
pub const HISTORY_EVENTS_MIN: u32 = 5;

/// What a window holds, the scored event included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    pub(crate) count: u32,
    pub(crate) declined: u32,
    pub(crate) merchants: u32,
    pub(crate) countries: u32,
    /// Base minor units.
    pub(crate) sum: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Sum of squared amounts.
    pub(crate) squares: u128,
}

/// Amounts of a set of events, as whole-number sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) count: u32,
    pub(crate) sum: u64,
    pub(crate) squares: u128,
}

impl Amounts {
    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / f64::from(self.count)
    }

    /// `count² × population variance`, exact.
    fn spread(&self) -> u128 {
        let sum = u128::from(self.sum);
        // Never negative (Cauchy-Schwarz) while sums are exact; a state with absurd amounts must not panic either.
        (u128::from(self.count) * self.squares).saturating_sub(sum * sum)
    }

    /// Population standard deviation.
    pub(crate) fn deviation(&self) -> f64 {
        (self.spread() as f64).sqrt() / f64::from(self.count)
    }
}

/// How far and how long it is from the previous placed event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Travel {
    pub(crate) km: f64,
    /// At least one millisecond, the resolution of event time.
    pub(crate) elapsed_ms: i64,
}

/// What the features and the score are made of.
pub(crate) struct Measured<'a> {
    /// The event's time, ms, and amount, base minor units.
    time_ms: i64,
    pub(crate) amount: u64,
    /// Whether the currency had no rate.
    pub(crate) rate_missing: bool,
    /// In the order of the policy's windows.
    windows: [Window; Policy::WINDOWS_LIMIT],
    /// What the longest window holds.
    longest: Window,
    /// Events of the last day, this one included.
    pub(crate) count_day: u32,
    /// The earliest event within the longest window, if there is one before this.
    pub(crate) first_ms: Option<i64>,
    previous_ms: Option<i64>,
    merchant_seen: bool,
    country_seen: bool,
    device_seen: bool,
    /// Whether this event names a device.
    has_device: bool,
    /// Distinct devices before this event, and how many events named one.
    pub(crate) devices: u32,
    pub(crate) device_events: u32,
    /// Events before this one outside the profile's usual country.
    pub(crate) foreign_events: u32,
    /// Whether this event is.
    pub(crate) foreign: bool,
    pub(crate) travel: Option<Travel>,
    pub(crate) profile: Option<&'a Profile>,
}

/// Which of the costly things the policy's features need.
struct Needs {
    merchants: bool,
    countries: bool,
    devices: bool,
    travel: bool,
}

impl Needs {
    fn of(policy: &Policy) -> Self {
        let mut needs = Self {
            merchants: false,
            countries: false,
            devices: false,
            travel: false,
        };
        for key in &policy.features {
            match key.kind {
                FeatureKind::DistinctMerchants | FeatureKind::NewMerchant => needs.merchants = true,
                FeatureKind::DistinctCountries | FeatureKind::NewCountry => needs.countries = true,
                FeatureKind::NewDevice => needs.devices = true,
                FeatureKind::Speed => needs.travel = true,
                _ => {}
            }
        }
        needs
    }
}

impl<'a> Measured<'a> {
    /// Walks back over the entries at or before the event's time, as far as the longest window reaches.
    pub(crate) fn new(state: &CardState, tx: &Transaction, profile: Option<&'a Profile>, policy: &Policy) -> Self {
        let now = tx.occurred_at_ms;
        let entries = state.entries();
        let (before, _) = entries.split_at(entries.partition_point(|entry| entry.time_ms <= now));
        let mut pass = Pass::new(tx, profile, policy, before.len());
        let mut starts = [i64::MAX; Policy::WINDOWS_LIMIT];
        for (start, minutes) in starts.iter_mut().zip(&policy.windows) {
            *start = now.saturating_sub(i64::from(*minutes) * MS_PER_MINUTE);
        }
        let mut open = 0;
        let windows = policy.windows.len().min(Policy::WINDOWS_LIMIT);
        let mut earliest = None;
        for entry in before.iter().rev() {
            while open < windows && entry.time_ms <= starts[open] {
                pass.measured.windows[open] = pass.window;
                open += 1;
            }
            if open == windows {
                break;
            }
            pass.add(entry);
            earliest = Some(entry.time_ms);
        }
        pass.measured.windows[open..windows].fill(pass.window);
        pass.measured.longest = pass.window;
        pass.measured.first_ms = earliest;
        // The walk begins with the latest: if it took any, it took that.
        pass.measured.previous_ms = earliest.and(before.last()).map(|entry| entry.time_ms);
        pass.measured
    }

    /// The values of the policy's features.
    pub(crate) fn values(&self, policy: &Policy) -> Vec<FeatureValue> {
        policy
            .features
            .iter()
            .map(|key| (*key, self.value(*key, policy)))
            .collect()
    }

    /// One value; `None` where its inputs are missing, or so absurd (a profile's) that no finite number comes out.
    pub(crate) fn value(&self, key: FeatureKey, policy: &Policy) -> Option<f64> {
        self.raw(key, policy).filter(|value| value.is_finite())
    }

    fn raw(&self, key: FeatureKey, policy: &Policy) -> Option<f64> {
        match key.kind {
            FeatureKind::SinceLast => self.since_last_ms().map(|elapsed| elapsed as f64 / MS_PER_SECOND),
            FeatureKind::AmountZ => self.amount_z(),
            FeatureKind::AmountRatio => self.amount_ratio(),
            FeatureKind::ProfileAmountZ => self.profile_amount_z(),
            FeatureKind::ProfileCountRatio => self.usual_per_day().map(|usual| f64::from(self.count_day) / usual),
            FeatureKind::NewMerchant => self.new_merchant().map(flag),
            FeatureKind::NewCountry => self.new_country().map(flag),
            FeatureKind::NewDevice => self.new_device().map(flag),
            FeatureKind::Speed => self
                .travel
                .map(|travel| travel.km / (travel.elapsed_ms as f64 / MS_PER_HOUR)),
            FeatureKind::ForeignToProfile => self.profile.map(|_| flag(self.foreign)),
            kind => self
                .window(key.window_minutes, policy)
                .map(|window| windowed(kind, window)),
        }
    }

    /// The window of so many minutes.
    pub(crate) fn window(&self, minutes: u16, policy: &Policy) -> Option<&Window> {
        let at = policy.windows.iter().position(|window| *window == minutes)?;
        self.windows.get(at)
    }

    /// Events of the longest window before this one.
    pub(crate) fn prior_count(&self) -> u32 {
        self.longest.count - 1
    }

    /// Amounts of the longest window before this one.
    pub(crate) fn prior(&self) -> Amounts {
        let amount = self.amount;
        let square = u128::from(amount) * u128::from(amount);
        Amounts {
            count: self.prior_count(),
            sum: self.longest.sum - amount,
            squares: self.longest.squares - square,
        }
    }

    /// Amounts of the longest window that lie before the given window.
    pub(crate) fn before(&self, window: &Window) -> Amounts {
        Amounts {
            count: self.longest.count - window.count,
            sum: self.longest.sum - window.sum,
            squares: self.longest.squares - window.squares,
        }
    }

    /// Declined events of the longest window that lie before the given window.
    pub(crate) fn declined_before(&self, window: &Window) -> u32 {
        self.longest.declined - window.declined
    }

    /// Distinct merchants of the longest window before this event.
    pub(crate) fn prior_merchants(&self) -> u32 {
        self.longest.merchants.saturating_sub(u32::from(!self.merchant_seen))
    }

    /// Distinct countries of the longest window before this event.
    pub(crate) fn prior_countries(&self) -> u32 {
        self.longest.countries.saturating_sub(u32::from(!self.country_seen))
    }

    /// Time from the earliest event of the longest window to the start of a window of so many milliseconds, ms.
    pub(crate) fn observed_before_ms(&self, window_ms: i64) -> i64 {
        let first = self.first_ms.unwrap_or(self.time_ms);
        self.time_ms.saturating_sub(first).saturating_sub(window_ms).max(0)
    }

    /// Time since the previous event, ms.
    pub(crate) fn since_last_ms(&self) -> Option<i64> {
        self.previous_ms.map(|previous| self.time_ms.saturating_sub(previous))
    }

    pub(crate) fn new_merchant(&self) -> Option<bool> {
        (self.prior_count() > 0).then_some(!self.merchant_seen)
    }

    pub(crate) fn new_country(&self) -> Option<bool> {
        (self.prior_count() > 0).then_some(!self.country_seen)
    }

    pub(crate) fn new_device(&self) -> Option<bool> {
        (self.has_device && self.prior_count() > 0).then_some(!self.device_seen)
    }

    /// The profile's usual number of transactions a day, where it is one to divide by.
    pub(crate) fn usual_per_day(&self) -> Option<f64> {
        self.profile
            .map(|profile| profile.transactions_per_day)
            .filter(|usual| *usual > 0.0 && usual.is_finite())
    }

    fn amount_z(&self) -> Option<f64> {
        let prior = self.prior();
        let deviation = prior.deviation();
        (prior.count >= HISTORY_EVENTS_MIN && deviation > 0.0).then(|| (self.amount as f64 - prior.mean()) / deviation)
    }

    fn amount_ratio(&self) -> Option<f64> {
        let prior = self.prior();
        (prior.count >= HISTORY_EVENTS_MIN && prior.sum > 0).then(|| self.amount as f64 / prior.mean())
    }

    fn profile_amount_z(&self) -> Option<f64> {
        let profile = self.profile?;
        let deviation = profile.spend_deviation_minor;
        (deviation > 0.0).then(|| (self.amount as f64 - profile.spend_mean_minor) / deviation)
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn windowed(kind: FeatureKind, window: &Window) -> f64 {
    let amounts = Amounts {
        count: window.count,
        sum: window.sum,
        squares: window.squares,
    };
    match kind {
        FeatureKind::Count => f64::from(window.count),
        FeatureKind::Sum => window.sum as f64,
        FeatureKind::Mean => amounts.mean(),
        FeatureKind::Deviation => amounts.deviation(),
        FeatureKind::Min => window.min as f64,
        FeatureKind::Max => window.max as f64,
        FeatureKind::ShareDeclined => f64::from(window.declined) / f64::from(window.count),
        FeatureKind::DistinctMerchants => f64::from(window.merchants),
        // The kinds without a window do not come here.
        _ => f64::from(window.countries),
    }
}

/// The walk's memory: what the window holds so far, and what has been seen.
struct Pass<'a> {
    needs: Needs,
    window: Window,
    merchants: Fingerprints,
    devices: Fingerprints,
    countries: Countries,
    /// The country counted last.
    country_last: Option<Country>,
    /// The device counted last.
    device_last: Option<u32>,
    merchant_fp: u32,
    country: Country,
    device_fp: Option<u32>,
    place: Option<Place>,
    /// The profile's; without one this event's, and nobody reads what is counted by it.
    usual_country: Country,
    day_start_ms: i64,
    measured: Measured<'a>,
}

impl<'a> Pass<'a> {
    /// Begins with the event itself.
    fn new(tx: &Transaction, profile: Option<&'a Profile>, policy: &Policy, events_max: usize) -> Self {
        let needs = Needs::of(policy);
        let (amount, rate_missing) = base_amount(tx, policy);
        let merchant_fp = if needs.merchants {
            fingerprint32(tx.merchant_id.as_str())
        } else {
            0
        };
        let device_fp = tx
            .device_id
            .as_ref()
            .filter(|_| needs.devices)
            .map(|id| fingerprint32(id.as_str()));
        let usual_country = profile.map_or(tx.country, |profile| profile.usual_country);
        let time_ms = tx.occurred_at_ms;
        let mut pass = Self {
            merchants: Fingerprints::new(if needs.merchants { events_max + 1 } else { 0 }),
            devices: Fingerprints::new(if device_fp.is_some() { events_max } else { 0 }),
            countries: Countries::default(),
            country_last: None,
            device_last: None,
            place: tx.place.filter(|_| needs.travel),
            needs,
            window: Window {
                min: u64::MAX,
                ..Window::default()
            },
            merchant_fp,
            country: tx.country,
            device_fp,
            usual_country,
            day_start_ms: time_ms.saturating_sub(MS_PER_DAY),
            measured: Measured {
                time_ms,
                amount,
                rate_missing,
                windows: [Window::default(); Policy::WINDOWS_LIMIT],
                longest: Window::default(),
                count_day: 1,
                first_ms: None,
                previous_ms: None,
                merchant_seen: false,
                country_seen: false,
                device_seen: false,
                has_device: tx.device_id.is_some(),
                devices: 0,
                device_events: 0,
                foreign_events: 0,
                foreign: usual_country != tx.country,
                travel: None,
                profile,
            },
        };
        pass.count(amount, tx.approved, merchant_fp, tx.country);
        pass
    }

    /// Adds an earlier event.
    #[inline]
    fn add(&mut self, entry: &Entry) {
        self.count(
            entry.amount_base_minor.min(BASE_AMOUNT_MAX),
            entry.approved,
            entry.merchant_fp,
            entry.country,
        );
        let measured = &mut self.measured;
        measured.count_day += u32::from(entry.time_ms > self.day_start_ms);
        measured.merchant_seen |= entry.merchant_fp == self.merchant_fp;
        measured.country_seen |= entry.country == self.country;
        measured.foreign_events += u32::from(entry.country != self.usual_country);
        if let Some(here) = self.place
            && let Some(there) = entry.place
        {
            let elapsed_ms = measured.time_ms.saturating_sub(entry.time_ms).max(1);
            measured.travel = Some(Travel {
                km: geo::distance_km(here, there),
                elapsed_ms,
            });
            // Only the latest placed event counts.
            self.place = None;
        }
        if let Some(device) = self.device_fp
            && let Some(other) = entry.device_fp
        {
            measured.device_seen |= device == other;
            measured.device_events += 1;
            if self.device_last != Some(other) {
                self.device_last = Some(other);
                measured.devices += u32::from(self.devices.insert(other));
            }
        }
    }

    /// Counts an event in every window that is still open.
    #[inline]
    fn count(&mut self, amount: u64, approved: bool, merchant_fp: u32, country: Country) {
        let window = &mut self.window;
        window.count += 1;
        window.declined += u32::from(!approved);
        window.sum += amount;
        window.squares += u128::from(amount) * u128::from(amount);
        window.min = window.min.min(amount);
        window.max = window.max.max(amount);
        if self.needs.merchants {
            window.merchants += u32::from(self.merchants.insert(merchant_fp));
        }
        // Runs of one country are the rule: they cost a comparison.
        if self.needs.countries && self.country_last != Some(country) {
            self.country_last = Some(country);
            window.countries += u32::from(self.countries.insert(country));
        }
    }
}
