//! What a policy's features need beyond counts and sums.

use crate::card::sealed::Wants;
use crate::catalogue::Need;
use crate::event::Transaction;
use crate::policy::Policy;

/// Which of the costly things the policy's features need for an event.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    pub(super) merchants: bool,
    pub(super) countries: bool,
    pub(super) devices: bool,
    pub(super) travel: bool,
    /// Events by country: how many were abroad.
    foreign: bool,
}

impl Needs {
    pub(crate) fn of(policy: &Policy, tx: &Transaction) -> Self {
        let mut needs = Self::default();
        for need in policy.features.iter().flat_map(|key| key.kind.needs()) {
            match need {
                Need::Merchants => needs.merchants = true,
                Need::Countries => needs.countries = true,
                Need::Devices => needs.devices = tx.device_id.is_some(),
                Need::Places => needs.travel = true,
                Need::Abroad => needs.foreign = true,
                // Every walk has these, or they are not there to be had.
                Need::Amount | Need::Profile | Need::Day => {}
            }
        }
        needs
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
