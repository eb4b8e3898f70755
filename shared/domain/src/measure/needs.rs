//! What a policy's features need beyond counts and sums.

use crate::card::sealed::Wants;
use crate::catalogue::FeatureKind;
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
        for key in &policy.features {
            match key.kind {
                FeatureKind::DistinctMerchants | FeatureKind::NewMerchant => needs.merchants = true,
                FeatureKind::DistinctCountries | FeatureKind::NewCountry => needs.countries = true,
                FeatureKind::NewDevice => needs.devices = tx.device_id.is_some(),
                FeatureKind::Speed => needs.travel = true,
                FeatureKind::ForeignToProfile => needs.foreign = true,
                _ => {}
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
