//! What a sweep over a card's history found: everything that features and score are made of.

use crate::event::Profile;
use crate::labelled::{AsOf, KeyInput};
use crate::policy::{Feature, Policy};

use super::calendar::HOURS;
use super::pane::{Amounts, Pane};

/// An amount is compared with the event's past from so many earlier events on.
pub const PAST_EVENTS_MIN: u32 = 5;

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
    /// What each window holds, in the order of the policy's windows.
    pub(super) panes: [Pane; Policy::WINDOWS_LIMIT],
    /// What the longest window holds.
    pub(super) longest: Pane,
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
    /// Whether events were dropped for want of space that the longest window should hold.
    pub(crate) truncated: bool,
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
    /// Known frauds among the card's own events before this one, ms: those that were looked at one by one.
    pub(super) frauds_ms: Vec<i64>,
    /// Median of the known amounts before this event, base minor units, of those that were looked at one by one.
    pub(super) median: Option<f64>,
    /// How many earlier events that were looked at one by one were in each hour of the day.
    pub(crate) hours: [u32; HOURS],
    /// The hour of this event, and whether it is on a weekend.
    pub(crate) hour: usize,
    pub(super) weekend: bool,
    /// When the card's account was opened, ms.
    pub(super) opened_ms: Option<i64>,
    /// Distinct merchant categories before this event, and how many events have one that is known.
    pub(crate) categories: u32,
    pub(crate) category_events: u32,
    pub(super) category_seen: bool,
    /// Whether it was seen at all is not known: it is taken for seen.
    pub(super) category_unsure: bool,
    /// Whether events were counted by the sums of their segment: only then can anything be an estimate.
    pub(super) summed: bool,
    /// Events of the longest window that were not looked at one by one, and the time of the last of them, ms.
    pub(super) unlisted: u32,
    pub(super) unlisted_last_ms: i64,
    pub(crate) profile: Option<&'a Profile>,
    /// The labelled histories of the policy's keys, in its order.
    pub(super) keys: &'a [KeyInput<'a>],
}

impl Measured<'_> {
    /// What a feature's window holds.
    pub(crate) fn pane(&self, feature: Feature) -> Option<&Pane> {
        self.panes.get(feature.window?)
    }

    /// What labels had said of the feature's key before this event; `None` where it is not known.
    pub(super) fn key(&self, feature: Feature) -> Option<AsOf<'_>> {
        self.keys.get(feature.key_at?)?.as_of(self.time_ms)
    }

    /// Events of the longest window before this one.
    pub(crate) fn past_count(&self) -> u32 {
        self.longest.count - 1
    }

    /// Whether the amount of this event, or of another one in the longest window, is not known.
    pub(crate) const fn has_unpriced(&self) -> bool {
        self.longest.unpriced > 0
    }

    /// Known amounts of the longest window before this event.
    pub(crate) fn past(&self) -> Amounts {
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

    /// Events of the longest window that lie before the window of this pane.
    pub(crate) fn count_before(&self, pane: &Pane) -> u32 {
        self.longest.count - pane.count
    }

    /// Known amounts of the longest window that lie before the window of this pane.
    pub(crate) fn before(&self, pane: &Pane) -> Amounts {
        let (all, inside) = (self.longest.amounts(), pane.amounts());
        Amounts {
            count: all.count - inside.count,
            sum: all.sum - inside.sum,
            squares: all.squares - inside.squares,
        }
    }

    /// Declined events of the longest window that lie before the window of this pane.
    pub(crate) fn declined_before(&self, pane: &Pane) -> u32 {
        self.longest.declined - pane.declined
    }

    /// Distinct merchants of the longest window before this event.
    pub(crate) fn past_merchants(&self) -> u32 {
        self.longest.merchants.saturating_sub(u32::from(!self.merchant_seen))
    }

    /// Distinct countries of the longest window before this event.
    pub(crate) fn past_countries(&self) -> u32 {
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
        (self.past_count() > 0).then_some(!self.merchant_seen)
    }

    pub(crate) fn new_country(&self) -> Option<bool> {
        (self.past_count() > 0).then_some(!self.country_seen)
    }

    pub(crate) fn new_device(&self) -> Option<bool> {
        (self.has_device && self.past_count() > 0).then_some(!self.device_seen)
    }

    pub(crate) fn new_category(&self) -> Option<bool> {
        (self.past_count() > 0).then_some(!self.category_seen)
    }

    /// The profile's usual number of transactions a day, where it is one to divide by.
    pub(crate) fn usual_per_day(&self) -> Option<f64> {
        self.profile
            .map(|profile| profile.transactions_per_day)
            .filter(|usual| *usual > 0.0 && usual.is_finite())
    }
}
