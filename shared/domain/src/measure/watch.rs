//! What a walk must watch for an event, since a policy's features need it beyond counts and sums.

use crate::catalogue::{Need, Needs};
use crate::event::Transaction;
use crate::history::sealed::Wants;
use crate::policy::Policy;

/// Which of the costly things a walk watches.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watch {
    pub(super) merchants: bool,
    pub(super) countries: bool,
    pub(super) devices: bool,
    pub(super) travel: bool,
    /// Events by country: how many were abroad.
    foreign: bool,
}

impl Watch {
    pub(crate) fn of(policy: &Policy, tx: &Transaction) -> Self {
        let all = policy
            .features
            .iter()
            .fold(Needs::default(), |all, key| all.and(key.kind.needs()));
        let mut watch = Self::default();
        for need in Need::ALL.iter().filter(|need| all.has(**need)) {
            match need {
                Need::Merchants => watch.merchants = true,
                Need::Countries => watch.countries = true,
                Need::Devices => watch.devices = tx.device_id.is_some(),
                Need::Places => watch.travel = true,
                Need::Abroad => watch.foreign = true,
                // Every walk has these, or they are not there to be had.
                Need::Amount | Need::Profile | Need::Day => {}
            }
        }
        watch
    }

    /// What sealed events must name one by one.
    pub(crate) const fn wants(self) -> Wants {
        Wants {
            merchants: self.merchants,
            countries: self.countries || self.foreign,
            devices: self.devices,
        }
    }
}
