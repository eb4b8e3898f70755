//! One pass over a card's history, from the event backwards: everything that features and score are made of.
//!
//! Sums are whole numbers, so that a value does not depend on the order in which events arrived. The only fractions
//! come out at the end.

use crate::card::CardState;
use crate::card::sealed::{Cuts, Piece, Wants};
use crate::card::sketch::EXACT_MAX;
use crate::event::{Profile, Transaction};
use crate::policy::Policy;

use super::needs::Needs;
use super::pass::Pass;
use super::{FeatureKey, FeatureKind, FeatureValue};

const MS_PER_MINUTE: i64 = 60_000;
pub(super) const MS_PER_DAY: i64 = 86_400_000;
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
    /// Events of which the amount is not known; sums, least and greatest are those of the others.
    pub(crate) unpriced: u32,
    /// Base minor units.
    pub(crate) sum: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Sum of squared amounts.
    pub(crate) squares: u128,
    /// How far the distinct merchants may be off; 0: they are exact.
    pub(crate) merchants_error: u32,
    /// How far the distinct countries may be off; 0: they are exact.
    pub(crate) countries_error: u32,
}

impl Window {
    /// The amounts that are known.
    pub(crate) const fn amounts(&self) -> Amounts {
        Amounts {
            count: self.count.saturating_sub(self.unpriced),
            sum: self.sum,
            squares: self.squares,
        }
    }
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
        u128::from(self.count)
            .saturating_mul(self.squares)
            .saturating_sub(sum * sum)
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
    /// The event's time, ms.
    pub(super) time_ms: i64,
    /// Its amount, base minor units; `None` when its currency has no rate.
    pub(crate) amount: Option<u64>,
    /// In the order of the policy's windows.
    pub(super) windows: [Window; Policy::WINDOWS_LIMIT],
    /// What the longest window holds.
    pub(super) longest: Window,
    /// Events of the last day, this one included.
    pub(crate) count_day: u32,
    /// The earliest event within the longest window, if there is one before this.
    pub(crate) first_ms: Option<i64>,
    pub(super) previous_ms: Option<i64>,
    pub(super) merchant_seen: bool,
    pub(super) country_seen: bool,
    pub(super) device_seen: bool,
    /// Whether it was seen at all is not known: it is taken for seen.
    pub(super) merchant_unsure: bool,
    pub(super) country_unsure: bool,
    pub(super) device_unsure: bool,
    /// Whether segments were not at hand that a window needed, so that it holds too much.
    pub(crate) blurred: bool,
    /// How far the distinct devices may be off; 0: they are exact.
    pub(super) devices_error: u32,
    /// Whether it is not known of some events if they were abroad: they are taken to have been.
    pub(super) foreign_unsure: bool,
    /// Whether this event names a device.
    pub(super) has_device: bool,
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

/// Where the windows of an event begin and end, ms since 1970-01-01T00:00:00Z.
pub(crate) struct Edges {
    pub(crate) now_ms: i64,
    /// Where the longest window begins: nothing at or before it counts.
    pub(crate) oldest_ms: i64,
    /// Where each window begins, in the policy's order, and the last day; unused ones are at the end of time.
    pub(crate) starts_ms: [i64; Policy::WINDOWS_LIMIT + 1],
}

impl Edges {
    pub(crate) fn new(now_ms: i64, policy: &Policy) -> Self {
        let mut starts_ms = [i64::MAX; Policy::WINDOWS_LIMIT + 1];
        let mut oldest_ms = now_ms;
        for (start_ms, minutes) in starts_ms.iter_mut().zip(&policy.windows) {
            *start_ms = now_ms.saturating_sub(i64::from(*minutes) * MS_PER_MINUTE);
            oldest_ms = *start_ms;
        }
        starts_ms[Policy::WINDOWS_LIMIT] = now_ms.saturating_sub(MS_PER_DAY);
        Self {
            now_ms,
            oldest_ms,
            starts_ms,
        }
    }

    /// How sealed history is cut for these windows.
    pub(crate) const fn cuts(&self, wants: Wants) -> Cuts<'_> {
        Cuts {
            now_ms: self.now_ms,
            oldest_ms: self.oldest_ms,
            starts_ms: &self.starts_ms,
            wants,
        }
    }
}

impl<'a> Measured<'a> {
    /// Walks back over the events at or before the event's time, as far as the longest window reaches: over the head's,
    /// then over the sealed ones.
    pub(crate) fn new(state: &CardState, tx: &Transaction, profile: Option<&'a Profile>, policy: &Policy) -> Self {
        let now = tx.occurred_at_ms;
        let entries = state.entries();
        let (before, _) = entries.split_at(entries.partition_point(|entry| entry.time_ms <= now));
        let edges = Edges::new(now, policy);
        let needs = Needs::of(policy, tx);
        let sealed = if state.sealed.is_empty() {
            Vec::new()
        } else {
            state.sealed_pieces(&edges.cuts(needs.wants()))
        };
        let sealed_distinct = sealed.iter().map(|piece| match piece {
            Piece::One(_) => 1,
            Piece::Whole(whole) => whole.distinct_max(),
            Piece::Unread(_) => EXACT_MAX,
        });
        let distinct_max = before.len() + sealed_distinct.sum::<usize>();
        let mut pass = Pass::new(tx, profile, policy, needs, distinct_max);
        let mut open = 0;
        let windows = policy.windows.len().min(Policy::WINDOWS_LIMIT);
        let (mut latest, mut earliest) = (None, None);
        for piece in before.iter().rev().map(Piece::One).chain(sealed) {
            let (first_ms, last_ms) = piece.span_ms();
            while open < windows && last_ms <= edges.starts_ms[open] {
                pass.measured.windows[open] = pass.window();
                open += 1;
            }
            if open == windows {
                break;
            }
            pass.add(piece);
            latest = latest.or(Some(last_ms));
            earliest = Some(first_ms);
        }
        let window = pass.window();
        pass.measured.windows[open..windows].fill(window);
        pass.measured.longest = window;
        pass.measured.first_ms = earliest;
        pass.measured.previous_ms = latest;
        pass.finish()
    }

    /// The features of the policy of which the value, or what it weighs in the score, rests on an estimate: how far the
    /// value may be off, 1 at least. In the policy's order.
    pub(crate) fn errors(&self, policy: &Policy) -> Vec<(FeatureKey, f64)> {
        let errors = policy.features.iter().map(|key| (*key, self.error(*key, policy)));
        errors
            .filter(|(_, error)| *error > 0)
            .map(|(key, error)| (key, f64::from(error)))
            .collect()
    }

    /// What is new is as surprising as new ones were seldom before, and so are many different ones.
    fn error(&self, key: FeatureKey, policy: &Policy) -> u32 {
        let is_prior = self.prior_count() > 0;
        let window = || self.window(key.window_minutes, policy).copied().unwrap_or_default();
        let merchants_before = u32::from(is_prior && self.longest.merchants_error > 0);
        let countries_before = u32::from(is_prior && self.longest.countries_error > 0);
        let of_new = |is_unsure: bool, is_new: Option<bool>, before: u32| {
            u32::from(is_prior && is_unsure) | if is_new == Some(true) { before } else { 0 }
        };
        match key.kind {
            FeatureKind::DistinctMerchants => window().merchants_error.max(merchants_before),
            FeatureKind::DistinctCountries => window().countries_error.max(countries_before),
            FeatureKind::NewMerchant => of_new(self.merchant_unsure, self.new_merchant(), merchants_before),
            FeatureKind::NewCountry => of_new(self.country_unsure, self.new_country(), countries_before),
            FeatureKind::NewDevice => of_new(
                self.has_device && self.device_unsure,
                self.new_device(),
                u32::from(self.devices_error > 0),
            ),
            FeatureKind::ForeignToProfile => {
                u32::from(self.profile.is_some() && self.foreign && self.foreign_unsure && is_prior)
            }
            _ => 0,
        }
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
                .and_then(|window| self.windowed(kind, window)),
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

    /// Whether the amount of this event, or of another one in the longest window, is not known.
    pub(crate) const fn has_unpriced(&self) -> bool {
        self.longest.unpriced > 0
    }

    /// Known amounts of the longest window before this event.
    pub(crate) fn prior(&self) -> Amounts {
        let all = self.longest.amounts();
        let Some(amount) = self.amount else {
            return all;
        };
        Amounts {
            count: all.count - 1,
            sum: all.sum - amount,
            squares: all.squares - u128::from(amount) * u128::from(amount),
        }
    }

    /// Events of the longest window that lie before the given window.
    pub(crate) fn count_before(&self, window: &Window) -> u32 {
        self.longest.count - window.count
    }

    /// Known amounts of the longest window that lie before the given window.
    pub(crate) fn before(&self, window: &Window) -> Amounts {
        let (all, inside) = (self.longest.amounts(), window.amounts());
        Amounts {
            count: all.count - inside.count,
            sum: all.sum - inside.sum,
            squares: all.squares - inside.squares,
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
        let amount = self.amount? as f64;
        (prior.count >= HISTORY_EVENTS_MIN && deviation > 0.0).then(|| (amount - prior.mean()) / deviation)
    }

    fn amount_ratio(&self) -> Option<f64> {
        let prior = self.prior();
        let amount = self.amount? as f64;
        (prior.count >= HISTORY_EVENTS_MIN && prior.sum > 0).then(|| amount / prior.mean())
    }

    fn profile_amount_z(&self) -> Option<f64> {
        let profile = self.profile?;
        let deviation = profile.spend_deviation_minor;
        let amount = self.amount? as f64;
        (deviation > 0.0).then(|| (amount - profile.spend_mean_minor) / deviation)
    }

    /// A value of a window. One of amounts is `None` when the amount of this event is not known: it would be the window's
    /// without this event.
    fn windowed(&self, kind: FeatureKind, window: &Window) -> Option<f64> {
        let amounts = || self.amount.map(|_| window.amounts());
        match kind {
            FeatureKind::Count => Some(f64::from(window.count)),
            FeatureKind::Sum => amounts().map(|amounts| amounts.sum as f64),
            FeatureKind::Mean => amounts().map(|amounts| amounts.mean()),
            FeatureKind::Deviation => amounts().map(|amounts| amounts.deviation()),
            FeatureKind::Min => amounts().map(|_| window.min as f64),
            FeatureKind::Max => amounts().map(|_| window.max as f64),
            FeatureKind::ShareDeclined => Some(f64::from(window.declined) / f64::from(window.count)),
            FeatureKind::DistinctMerchants => Some(f64::from(window.merchants)),
            // The kinds without a window do not come here.
            _ => Some(f64::from(window.countries)),
        }
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
