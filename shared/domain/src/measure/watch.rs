//! What a sweep must watch for an event, since a policy's features need it beyond counts and sums.

use crate::catalogue::{Need, Needs};
use crate::history::sealed::Wants;

use super::observed::Observed;

/// Which of the costly things a sweep watches.
#[derive(Clone, Copy, Default)]
pub(super) struct Watch {
    pub(super) merchants: bool,
    pub(super) countries: bool,
    pub(super) devices: bool,
    pub(super) travel: bool,
    /// Labels of the card's own events.
    pub(super) labels: bool,
    /// Every amount by itself.
    pub(super) amounts: bool,
    /// The hour of every event.
    pub(super) hours: bool,
    /// The merchant category of every event.
    pub(super) categories: bool,
    /// Events by country: how many were abroad.
    foreign: bool,
}

impl Watch {
    pub(super) fn of(all: Needs, event: &Observed<'_>) -> Self {
        let mut watch = Self::default();
        for need in Need::ALL.iter().filter(|need| all.has(**need)) {
            match need {
                Need::Merchants => watch.merchants = true,
                Need::Countries => watch.countries = true,
                Need::Devices => watch.devices = event.device_fp.is_some(),
                Need::Places => watch.travel = true,
                Need::Abroad => watch.foreign = true,
                Need::Labels => watch.labels = true,
                Need::Hours => watch.hours = true,
                Need::Categories => watch.categories = true,
                Need::EachAmount => watch.amounts = event.amount.is_some(),
                // Every sweep has these, or they are not there to be had.
                Need::Amount | Need::Profile | Need::Day => {}
            }
        }
        watch
    }

    /// Whether there is something to look at in every event that its sums don't tell.
    pub(super) const fn one_by_one(self) -> bool {
        self.labels || self.amounts || self.hours || self.categories
    }

    /// What sealed events must name one by one.
    pub(super) const fn wants(self) -> Wants {
        Wants {
            merchants: self.merchants,
            countries: self.countries || self.foreign,
            devices: self.devices,
        }
    }
}
